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
import datetime
import importlib.metadata
import json
import os
import pathlib
import platform
import re
import signal
import subprocess
import sys
import typing

from benchmarks import contenders
from benchmarks import images
from benchmarks import measurement
from benchmarks import plot
from benchmarks import results
from benchmarks import stage

MIB = 1 << 20
_UNITS = {'M': MIB, 'G': 1024 * MIB}


def main() -> int:
    signal.signal(signal.SIGTERM, _terminate)
    signal.signal(signal.SIGINT, _terminate)
    options = _options()
    machine = _machine(options)
    built = images.prepare(options.cache_dir, options.size, options.image)
    _touch(options.state_dir, options.size)
    measured = []
    with stage.WebServer(options.state_dir, options.cache_dir) as server:
        for image in built:
            # Larger ones than the others do not fit into the memory.
            disk_type = (stage.Disk if image.virtual_size <= options.size
                         else stage.ThinDisk)
            with disk_type(options.state_dir, image.virtual_size) as disk:
                race = Race(image, disk, server, options)
                if result := race.run():
                    measured.append(result)
                    print(results.table([result]), flush=True)
                    _save(options, machine, measured)
    if not measured:
        return 1
    return 0 if all(row.identical is not False
                    for result in measured for row in result.rows) else 1


def _terminate(*_: object) -> None:
    """Once: what is left is cleaned up in peace."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(143)


class Race:
    """Rounds in which each contender runs once, with one image.

    :param image: which all of them write.
    """

    def __init__(self, image: images.Image, disk: stage.Disk,
                 server: stage.WebServer, options: argparse.Namespace
                 ) -> None:
        self._image = image
        self._disk = disk
        self._server = server
        self._rounds = options.rounds
        scratch = options.state_dir / 'scratch'
        scratch.mkdir(exist_ok=True)
        self._place = contenders.Place(
            disk.device, server.url(image.path), scratch)

    def run(self) -> results.Result | None:
        """The figures; none when we refuse the image."""
        if refusal := self._refusal():
            print(f'{self._image.name}: skipped, {refusal}', flush=True)
            return None
        result = results.Result(self._image.name, self._image.virtual_size,
                                self._image.path.stat().st_size)
        _warm(self._image.path)
        able = [contender for contender in contenders.ALL
                if contender.command(self._image, self._place)]
        for contender in able:
            result.rows.append(self._first(contender))
        able, result.rows = _fastest(able, result.rows)
        for number in range(1, self._rounds):
            # Nobody is always the one who comes after the same other.
            turn = number * 2 % len(able)
            for index in [*range(turn, len(able)), *range(turn)]:
                result.rows[index].runs.append(self._measure(able[index]))
        return result

    def _refusal(self) -> str:
        checked = subprocess.run(
            [pathlib.Path(sys.prefix, 'bin', 'ironic-imagedeploy'), 'check',
             self._image.path], text=True, capture_output=True)
        return (checked.stdout + checked.stderr).strip() if (
            checked.returncode) else ''

    def _first(self, contender: contenders.Contender) -> results.Row:
        """The first run, of which also the bytes count."""
        row = results.Row(contender.name, contender.copies)
        self._disk.soil(self._image.guest)
        sent, asked = self._server.sent, self._disk.asked
        row.runs.append(self._timed(contender))
        row.fetched = self._server.sent - sent
        row.written = row.runs[0].written
        row.zeroed = max(self._disk.asked - asked - row.written, 0)
        row.stored = row.runs[0].said.get('stored', 0)
        if contender.copies:
            row.identical = self._disk.digest() == self._image.digest
        return row

    def _measure(self, contender: contenders.Contender
                 ) -> measurement.Measurement:
        self._disk.soil(self._image.guest)
        return self._timed(contender)

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


def _fastest(able: list[contenders.Contender], rows: list[results.Row]
             ) -> tuple[list[contenders.Contender], list[results.Row]]:
    """Without the slower variants."""
    kept = []
    for contender, row in zip(able, rows, strict=True):
        rivals = [other.seconds for rival, other
                  in zip(able, rows, strict=True)
                  if contender.variant_of
                  and rival.variant_of == contender.variant_of]
        if not rivals or row.seconds == min(rivals):
            kept.append((contender, row))
    return [each for each, _ in kept], [row for _, row in kept]


def _warm(path: pathlib.Path) -> None:
    """Into the page cache."""
    with path.open('rb', buffering=0) as file:
        chunk = bytearray(4 * MIB)
        while file.readinto(chunk):
            pass


def _touch(folder: pathlib.Path, size: int) -> None:
    """Use the memory once: the first time costs a virtual machine more."""
    path = folder / 'touch'
    with path.open('wb', buffering=0) as file:
        for _ in range(size * 2 // (4 * MIB)):
            file.write(bytes(4 * MIB))
    path.unlink()


def _machine(options: argparse.Namespace) -> dict[str, typing.Any]:
    processor = re.search(r'^model name\s*: (.*)$', pathlib.Path(
        '/proc/cpuinfo').read_text(), re.MULTILINE)
    memory = os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')
    return {
        'date': datetime.datetime.now(datetime.UTC).isoformat(
            timespec='seconds'),
        'processor': processor[1] if processor else platform.machine(),
        'processors': os.cpu_count(), 'memory': memory,
        'kernel': platform.release(), 'size': options.size,
        'rounds': options.rounds, 'load_before': os.getloadavg()[0],
        'versions': {name: importlib.metadata.version(name) for name in (
            'ironic-imagedeploy', 'ironic-python-agent', 'isal')},
        'qemu-img': subprocess.run(
            ['qemu-img', '--version'], text=True, check=True,
            stdout=subprocess.PIPE).stdout.splitlines()[0]}


def _save(options: argparse.Namespace, machine: dict[str, typing.Any],
          measured: list[results.Result]) -> None:
    """What there is until now: an interrupted run keeps it."""
    machine['load_after'] = os.getloadavg()[0]
    folder = options.output or options.cache_dir / 'results'
    folder.mkdir(parents=True, exist_ok=True)
    (folder / 'results.json').write_text(json.dumps(
        {'machine': machine, 'results': [
            result.to_dict() for result in measured]}, indent=1) + '\n')
    (folder / 'results.txt').write_text(results.table(measured))
    (folder / 'results.svg').write_text(plot.svg(measured))
    print(f'{folder}/results.json, .txt, .svg', file=sys.stderr)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='benchmarks/run.sh', description='Measure how fast images get '
        'onto a disk. All of it stays on this machine, in memory.')
    parser.add_argument('--state-dir', type=pathlib.Path, required=True,
                        help=argparse.SUPPRESS)
    parser.add_argument('--cache-dir', type=pathlib.Path, required=True,
                        help=argparse.SUPPRESS)
    parser.add_argument(
        '--size', type=_size, default=8 << 30, metavar='SIZE',
        help='of the disk in the images, as 512M or 8G; takes up to three '
        'times as much memory (default: 8G)')
    parser.add_argument('--rounds', type=int, default=3, metavar='N',
                        help='runs of each (default: 3)')
    parser.add_argument(
        '--image', action='append', choices=images.NAMES,
        help='only this image; may be repeated')
    parser.add_argument(
        '--output', type=pathlib.Path, metavar='FOLDER',
        help='for the results (default: beside the images, in the cache)')
    options = parser.parse_args()
    options.image = options.image or list(images.NAMES)
    return options


def _size(text: str) -> int:
    match = re.fullmatch(r'([1-9]\d*)([MG])', text)
    if not match or int(match[1]) * _UNITS[match[2]] < 256 * MIB:
        raise argparse.ArgumentTypeError('as 512M or 8G, at least 256M')
    return int(match[1]) * _UNITS[match[2]]


if __name__ == '__main__':
    sys.exit(main())
