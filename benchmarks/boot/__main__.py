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

"""Seconds of layout and boot loader of a partition image, beside the stock.

`boot.sh` sets up what it needs and starts it.
"""

import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import textwrap
import typing

from benchmarks import measurement
from benchmarks import table
from tests.support import debian_system
from tests.support import disks

_DISK = 4 * table.GIB
_OURS = 'ironic-imagedeploy'
_NAMES = {_OURS: 'ours', 'ironic-python-agent': 'stock'}
_FIRMWARE = ('bios', 'uefi')
_STEPS = ('layout', 'image', 'bootloader')
#: Widths of a label, then of the cells.
_WIDTHS = (28, 12)

Result = dict[str, typing.Any]


def main() -> int:
    """The command; its exit status."""
    options = _options()
    image = debian_system.image()
    machine = measurement.machine(tuple(_NAMES))
    results: list[Result] = []
    with tempfile.TemporaryDirectory(dir=options.disk) as folder:
        place = disks.run('findmnt', '-n', '-o', 'FSTYPE', '--target',
                          folder)
        for firmware in _FIRMWARE:
            results += _measure(pathlib.Path(folder), image, firmware,
                                options.rounds)
    machine |= {'load_after': os.getloadavg()[0], 'rounds': options.rounds,
                'image': image.stat().st_size, 'disk': place}
    text = _table(machine, results)
    print(text, end='')
    if options.output:
        options.output.mkdir(parents=True, exist_ok=True)
        (options.output / 'boot.txt').write_text(text)
        (options.output / 'boot.json').write_text(json.dumps(
            {'machine': machine, 'results': results}, indent=1) + '\n')
    # What the stock agent cannot do here is a result, too.
    return 0 if all(result['runs'] for result in results
                    if result['name'] == _OURS) else 1


def _measure(folder: pathlib.Path, image: pathlib.Path, firmware: str,
             rounds: int) -> list[Result]:
    """Both in turn, each time on a new disk."""
    results: list[Result] = [
        {'name': name, 'firmware': firmware, 'runs': [], 'error': ''}
        for name in _NAMES]
    for _ in range(rounds):
        for result in results:
            if not result['error']:
                _run(folder, image, result)
    return results


def _run(folder: pathlib.Path, image: pathlib.Path, result: Result) -> None:
    backing = folder / 'disk'
    disks.fill(backing, _DISK, 0)
    device = disks.attach(backing)
    image.read_bytes()
    try:
        # It asks fuser who uses the disk, and mounts things.
        measured = measurement.run(
            ['unshare', '--mount', '--pid', '--mount-proc', '--fork',
             '--kill-child', sys.executable, '-m',
             f'benchmarks.boot.{_NAMES[result["name"]]}', device, image,
             result['firmware']], {})
        result['runs'].append(measured.said['steps'])
        print(result['name'], result['firmware'], measured.said['steps'],
              file=sys.stderr, flush=True)
    except measurement.Failed as error:
        result['error'] = _reason(str(error))
    finally:
        subprocess.run(['partx', '-d', device], check=False,
                       stderr=subprocess.DEVNULL)
        disks.run('losetup', '-d', device)
        backing.unlink()


def _reason(text: str) -> str:
    """What an error says that counts, in one line."""
    said = re.findall(r'^Stderr: [\'"](.+?)(?:\\n|[\'"]$)', text, re.MULTILINE)
    reason = said[-1] if said else text.strip().splitlines()[-1]
    return re.sub(r'/tmp/\w+', '', reason)


def _table(machine: dict[str, typing.Any], results: list[Result]) -> str:
    lines = [
        *table.head(machine, f'qcow2 of {table.mib(machine["image"])} MiB, '
                    f'loop device over a file in {machine["disk"]}; median '
                    f'seconds of {machine["rounds"]} rounds'),
        '', table.line('', _STEPS, _WIDTHS)]
    for result in results:
        label = f'{result["firmware"]}  {result["name"]}'
        if result['error']:
            lines += [f'{label:30}cannot be run here:',
                      *textwrap.wrap(result['error'], 70,
                                     initial_indent=' ' * 6,
                                     subsequent_indent=' ' * 6)]
        else:
            lines.append(table.line(label, (
                f'{_median(result, step):.2f}' for step in _STEPS), _WIDTHS))
    return '\n'.join(lines) + '\n'


def _median(result: Result, step: str) -> float:
    return statistics.median(run[step] for run in result['runs'])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='benchmarks/boot.sh', description='Measure how long a partition '
        'image takes from a blank disk to one that boots.')
    parser.add_argument('--rounds', type=int, default=5, metavar='N',
                        help='of each (default: 5)')
    parser.add_argument('--disk', type=pathlib.Path, metavar='FOLDER',
                        help='where the file of the disk is, of 4 GiB '
                        '(default: the folder for temporary files)')
    parser.add_argument('--output', type=pathlib.Path, metavar='FOLDER',
                        help='for boot.txt and boot.json')
    return parser.parse_args()


if __name__ == '__main__':
    sys.exit(main())
