# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""The cost of a rebuild, when some of the image changed.

`rebuild.sh` sets up what it needs and starts it.
"""

import argparse
from collections.abc import Iterator
import json
import os
import pathlib
import random
import shutil
import signal
import sys

from benchmarks import contenders
from benchmarks import digest
from benchmarks import disks
from benchmarks import images
from benchmarks import measurement
from benchmarks import server
from benchmarks import table

MIB = table.MIB
_PACKAGES = ('ironic-imagedeploy', 'ironic-python-agent')
_NAMES = ('raw', 'qcow2-plain', 'qcow2-zlib')
#: Of these the disk has a manifest of its own, that of the file does not tell.
_COMPRESSED = frozenset({'qcow2-zlib'})
#: Bytes of one change: small files up to large ones.
_RUNS = (16 << 10, 16 * MIB)
_WIDTHS = (36, 9, 8, 9, 9, 8, 9, 9, 6)


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options = _options()
    machine = measurement.machine(_PACKAGES)
    lines = table.head(machine, f'{options.size / table.GIB:.4g} GiB disks, '
                       f'{options.changed} % of the data changed')
    identical = True
    with server.WebServer(options.state_dir, options.cache_dir) as web:
        for name in options.image or _NAMES:
            before, = images.prepare(options.cache_dir, options.size, [name])
            after = _changed(before, options.changed)
            with disks.make(options.state_dir, options.disk,
                            after.virtual_size, options.size) as disk:
                rebuild = Rebuild(before, after, disk, web,
                                  options.state_dir / 'scratch')
                lines += ['', *rebuild.lines()]
                identical = identical and rebuild.identical
    text = '\n'.join(lines) + '\n'
    print(text, end='')
    if options.output:
        options.output.mkdir(parents=True, exist_ok=True)
        (options.output / 'rebuild.txt').write_text(text)
    return 0 if identical else 1


class Rebuild:
    """Writes of the changed image to one disk, as it is found.

    :param before: the image that was on the disk.
    :param after: the image that is written.
    :ivar identical: the disk was right after each of them.
    """

    def __init__(self, before: images.Image, after: images.Image,
                 disk: disks.Disk, web: server.WebServer,
                 scratch: pathlib.Path) -> None:
        self.identical = True
        self._before = before
        self._after = after
        self._disk = disk
        self._web = web
        self._by_disk = after.name in _COMPRESSED
        self._manifest = after.manifest
        scratch.mkdir(exist_ok=True)
        self._place = contenders.Place(disk.device, web.url(after.path),
                                       scratch)

    def lines(self) -> Iterator[str]:
        """A table of what it took, line by line."""
        size = self._after.path.stat().st_size
        yield (f'{self._after.name}: {table.mib(size)} MiB, a disk of '
               f'{table.mib(self._after.virtual_size)} MiB: '
               f'{self._disk.kind}')
        yield table.line('', ('seconds', 'cpu', 'fetched', 'part', 'reused',
                              'GB/s', 'peak', 'same'), _WIDTHS)
        if self._by_disk:
            self._manifest = self._place.scratch / 'manifest'
            measurement.run([
                sys.executable, '-m', 'benchmarks.by_disk', 'finer',
                self._after.path, self._after.manifest, self._manifest], {})
            yield self._make('  manifest of the disk, made once')
        self._disk.soil(self._after.guest)
        yield self._line('  onto a disk of something else')
        self._write_before()
        yield self._look('  look at the disk alone')
        yield self._line('  onto the image before')
        yield self._line('  onto itself')

    def _write_before(self) -> None:
        place = contenders.Place(
            self._disk.device, self._web.url(self._before.path),
            self._place.scratch)
        measurement.run(contenders.by_file(self._before, place), {})

    def _line(self, label: str) -> str:
        """A write, and what it took."""
        os.sync()
        sent = self._web.sent
        run = measurement.run(
            self._command('write', self._place.url) if self._by_disk
            else contenders.ours(self._after, self._place), {})
        fetched = self._web.sent - sent
        reused = run.said['reused'] if self._by_disk else json.loads(
            (self._place.scratch / 'report.json').read_text())['reused']
        same = self._disk.digest() == self._after.digest
        self.identical = self.identical and same
        size = self._after.path.stat().st_size
        return table.line(label, (
            f'{run.seconds:.2f}', f'{run.processor:.1f}', table.mib(fetched),
            f'{100 * fetched / size:.1f} %', table.mib(reused), '-',
            table.mib(run.peak), 'yes' if same else 'NO'), _WIDTHS)

    def _look(self, label: str) -> str:
        """The look at the disk, as a process of its own."""
        run = measurement.run(
            self._command('look', self._after.path) if self._by_disk else
            [sys.executable, '-m', 'benchmarks.bound', 'look',
             self._after.path, self._after.manifest, self._disk.device], {})
        return table.line(label, (
            f'{run.seconds:.2f}', f'{run.processor:.1f}', '-', '-',
            table.mib(run.said['found']),
            f'{run.said["read"] / run.seconds / 1e9:.2f}',
            table.mib(run.peak), '-'), _WIDTHS)

    def _make(self, label: str) -> str:
        """The manifest of the disk, which the conductor makes."""
        run = measurement.run(
            self._command('make', self._after.path)[:-1], {})
        return table.line(label, (
            f'{run.seconds:.2f}', f'{run.processor:.1f}', '-', '-', '-', '-',
            table.mib(run.peak), '-'), _WIDTHS)

    def _command(self, what: str, image: str | pathlib.Path
                 ) -> contenders.Command:
        """What is done by the manifest of the disk."""
        return [sys.executable, '-m', 'benchmarks.by_disk', what, image,
                self._manifest, self._place.scratch / 'disk-manifest',
                self._disk.device]


def _changed(image: images.Image, percent: int) -> images.Image:
    """The next build of an image: some of its data is other data.

    The changes are in runs of many sizes, in place, as those of a package
    manager are; the file system is not laid out anew.
    """
    folder = image.guest.parent / f'next-{percent}'
    folder.mkdir(exist_ok=True)
    guest = folder / 'raw'
    images.once(guest, lambda path: _change(image.guest, path, percent))
    path = guest
    if image.form == 'qcow2':
        path = folder / image.name
        images.once(path, lambda path: images.convert(
            image.name, guest, path))
    return images.Image(image.name, path, image.form, image.virtual_size,
                        guest)


def _change(before: pathlib.Path, after: pathlib.Path, percent: int) -> None:
    """Put bytes of other places of the image in some places of it.

    So they can be compressed as well as those that they replace.
    """
    shutil.copy(before, after)
    dice = random.Random(percent)
    size = before.stat().st_size
    with before.open('rb') as old, after.open('r+b') as new:
        data = list(digest.data(old.fileno(), size))
        left = sum(length for _, length in data) * percent // 100
        while left > 0:
            step = min(left, int(_RUNS[0] * (_RUNS[1] / _RUNS[0])
                                 ** dice.random()))
            # The partition table and the start of ext4 stay.
            at = min(max(_place(data, step, dice), 2 * MIB),
                     size - 2 * MIB - step)
            content = os.pread(old.fileno(), step, _place(data, step, dice))
            if content != os.pread(old.fileno(), step, at):
                os.pwrite(new.fileno(), content, at)
                left -= step


def _place(data: list[tuple[int, int]], length: int, dice: random.Random
           ) -> int:
    """Offset of some data of the image, after which there is as much."""
    start, most = dice.choices(data, [max(most - length, 1)
                                      for _, most in data])[0]
    return (start + dice.randrange(max(most - length, 1))) // 4096 * 4096


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='benchmarks/rebuild.sh', description='Measure what a rebuild '
        'costs. All of it stays on this machine.')
    parser.add_argument('--state-dir', type=pathlib.Path, required=True,
                        help=argparse.SUPPRESS)
    parser.add_argument('--cache-dir', type=pathlib.Path, required=True,
                        help=argparse.SUPPRESS)
    parser.add_argument(
        '--size', type=table.size, default=8 << 30, metavar='SIZE',
        help='of the disk in the images, as 512M or 8G (default: 8G)')
    parser.add_argument(
        '--changed', type=int, default=5, metavar='PERCENT',
        help='of the data in the image (default: 5)')
    parser.add_argument('--image', action='append', choices=_NAMES,
                        help='only this image; may be repeated')
    parser.add_argument(
        '--disk', type=pathlib.Path, metavar='FOLDER',
        help='where the disk is: a file in that folder, which should be on '
        'a real disk (default: the cache)')
    parser.add_argument('--output', type=pathlib.Path, metavar='FOLDER',
                        help='for rebuild.txt')
    options = parser.parse_args()
    options.disk = options.disk or options.cache_dir
    return options


if __name__ == '__main__':
    sys.exit(main())
