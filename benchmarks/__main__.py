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

"""The benchmark; `run.sh` sets up what it needs and starts it."""

import argparse
from collections.abc import Iterable
import json
import os
import pathlib
import signal
import subprocess
import sys
import typing

from benchmarks import contenders
from benchmarks import disks
from benchmarks import images
from benchmarks import measurement
from benchmarks import plot
from benchmarks import results
from benchmarks import server
from benchmarks import summary
from benchmarks import table

_PACKAGES = ('ironic-imagedeploy', 'ironic-python-agent', 'deflate', 'isal',
             'backports.zstd', 'zstandard')
#: Exit status of our check.
_REFUSED = 4


def main() -> int:
    signal.signal(signal.SIGTERM, _terminate)
    signal.signal(signal.SIGINT, _terminate)
    options = _options()
    machine = _machine(options)
    built = images.prepare(options.cache_dir, options.size, options.image)
    _touch(options)
    measured = []
    with server.WebServer(options.state_dir, options.cache_dir) as web:
        for image in built:
            with disks.make(options.state_dir, options.disk,
                            image.virtual_size, options.size) as disk:
                if result := Race(image, disk, web, options).run():
                    measured.append(result)
                    print(summary.detail(result), flush=True)
                    _save(options, machine, measured)
    if not measured:
        return 1
    print('\n'.join(summary.summary(measured)))
    return 0 if all(row.identical is not False
                    for result in measured for row in result.rows) else 1


def _terminate(*_: object) -> None:
    """Once: what is left is cleaned up in peace."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(143)


class Race:
    """Rounds in which the contenders run, with one image.

    :param image: which all of them write.
    """

    def __init__(self, image: images.Image, disk: disks.Disk,
                 web: server.WebServer, options: argparse.Namespace
                 ) -> None:
        self._image = image
        self._disk = disk
        self._web = web
        self._rounds = min(options.rounds, disk.rounds)
        scratch = options.state_dir / 'scratch'
        scratch.mkdir(exist_ok=True)
        self._place = contenders.Place(
            disk.device, web.url(image.path), scratch)

    def run(self) -> results.Result | None:
        """The figures; none when we refuse the image."""
        if refusal := self._refusal():
            print(f'{self._image.name}: skipped, {refusal}', flush=True)
            return None
        able = {contender.name: contender for contender in contenders.ALL
                if contender.command(self._image, self._place)}
        result = results.Result(
            self._image.name, self._image.virtual_size,
            self._image.path.stat().st_size, self._disk.kind,
            os.cpu_count() or 1, [
                results.Row(each.name, each.copies)
                for each in able.values()])
        # Who writes first waits for what the host of a virtual machine does
        # once, as giving the disk its blocks. That is nobody's work.
        first = result.rows[0]
        self._measure(able[first.name], results.Row(
            f'{first.name}, not counted', first.copies))
        for row in result.rows:
            self._measure(able[row.name], row)
        result.rows = [row for row in result.rows if not _is_slower_variant(
            able[row.name], row, zip(able.values(), result.rows,
                                     strict=True))]
        # One run of a part does not tell the slowest for sure.
        again = [row for row in result.rows if able[row.name].pairs or not (
            row.copies or row.seconds < 0.7 * result.bound.seconds)]
        for _ in range(1, self._rounds):
            for row in again:
                self._measure(able[row.name], row)
        return result

    def _refusal(self) -> str:
        checked = subprocess.run(
            [pathlib.Path(sys.prefix, 'bin', 'ironic-imagedeploy'), 'check',
             self._image.path], text=True, capture_output=True)
        said = (checked.stdout + checked.stderr).strip()
        if checked.returncode not in (0, _REFUSED):
            raise measurement.Failed(said)
        return said if checked.returncode else ''

    def _measure(self, contender: contenders.Contender, row: results.Row
                 ) -> None:
        """Run it once more, and look at the disk."""
        self._disk.soil(self._image.guest)
        _warm(self._image.path)
        os.sync()
        sent, asked = self._web.sent, self._disk.asked
        run = self._timed(contender)
        if not row.runs:
            row.fetched = self._web.sent - sent
            row.written = run.written
            row.zeroed = max(self._disk.asked - asked - row.written, 0)
            row.stored = run.said.get('stored', 0)
        row.runs.append(run)
        if contender.copies and row.identical is not False:
            row.identical = self._disk.digest() == self._image.digest

    def _timed(self, contender: contenders.Contender
               ) -> measurement.Measurement:
        scratch = self._place.scratch
        command = contender.command(self._image, self._place)
        assert command
        try:
            measured = measurement.run(command, {'TMPDIR': str(scratch)})
            report = scratch / 'report.json'
            if report.exists():
                measured.said['report'] = json.loads(report.read_text())
        finally:
            for path in scratch.iterdir():
                path.unlink()
        print(f'  {self._image.name}: {contender.name}: '
              f'{measured.seconds:.2f} s', file=sys.stderr, flush=True)
        return measured


def _is_slower_variant(
        contender: contenders.Contender, row: results.Row,
        all_rows: Iterable[tuple[contenders.Contender, results.Row]]
        ) -> bool:
    """Of several variants only the fastest stays."""
    return contender.variant_of is not None and any(
        other.seconds < row.seconds for rival, other in all_rows
        if rival.variant_of == contender.variant_of)


def _warm(path: pathlib.Path) -> None:
    """All of it in the page cache."""
    resident = subprocess.run(
        ['fincore', '--bytes', '--noheadings', '--output', 'RES', path],
        check=True, text=True, stdout=subprocess.PIPE).stdout
    if int(resident) >= path.stat().st_size:
        return
    with path.open('rb', buffering=0) as file:
        chunk = bytearray(4 * table.MIB)
        while file.readinto(chunk):
            pass


def _touch(options: argparse.Namespace) -> None:
    """Use the memory once: the first time costs a virtual machine more."""
    path = options.state_dir / 'touch'
    with path.open('wb', buffering=0) as file:
        for _ in range(options.size * (1 if options.disk else 2)
                       // (4 * table.MIB)):
            file.write(bytes(4 * table.MIB))
    path.unlink()


def _machine(options: argparse.Namespace) -> dict[str, typing.Any]:
    machine = measurement.machine(_PACKAGES)
    qemu = subprocess.run(['qemu-img', '--version'], text=True, check=True,
                          stdout=subprocess.PIPE).stdout.split()[2]
    machine['versions']['qemu-img'] = qemu
    return {**machine, 'size': options.size, 'rounds': options.rounds}


def _save(options: argparse.Namespace, machine: dict[str, typing.Any],
          measured: list[results.Result]) -> None:
    """What there is until now: an interrupted run keeps it."""
    machine['load_after'] = os.getloadavg()[0]
    folder = options.output or options.cache_dir / 'results'
    folder.mkdir(parents=True, exist_ok=True)
    (folder / 'results.json').write_text(json.dumps(
        {'machine': machine, 'results': [
            result.to_dict() for result in measured]}, indent=1) + '\n')
    (folder / 'results.txt').write_text(summary.whole(machine, measured))
    (folder / 'results.svg').write_text(plot.svg(machine, measured))
    print(f'{folder}/results.json, .txt, .svg', file=sys.stderr)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='benchmarks/run.sh', description='Measure how fast images get '
        'onto a disk. All of it stays on this machine.')
    parser.add_argument('--state-dir', type=pathlib.Path, required=True,
                        help=argparse.SUPPRESS)
    parser.add_argument('--cache-dir', type=pathlib.Path, required=True,
                        help=argparse.SUPPRESS)
    parser.add_argument(
        '--size', type=table.size, default=8 << 30, metavar='SIZE',
        help='of the disk in the images, as 512M or 8G (default: 8G)')
    parser.add_argument(
        '--disk', default='', metavar='memory|FOLDER',
        help='where the disk is: a file in that folder, which takes SIZE '
        'and direct I/O, and should be on a real disk (default: the cache); '
        'or in memory, of which that takes up to three times SIZE, not two')
    parser.add_argument(
        '--rounds', type=int, default=3, metavar='N',
        help="pairs of runs, ours and that of Ironic's node code "
        '(default: 3)')
    parser.add_argument(
        '--image', action='append', choices=images.NAMES,
        help='only this image; may be repeated')
    parser.add_argument(
        '--output', type=pathlib.Path, metavar='FOLDER',
        help='for the results (default: beside the images, in the cache)')
    options = parser.parse_args()
    options.image = options.image or list(images.NAMES)
    options.disk = None if options.disk == 'memory' else pathlib.Path(
        options.disk or options.cache_dir)
    return options


if __name__ == '__main__':
    sys.exit(main())
