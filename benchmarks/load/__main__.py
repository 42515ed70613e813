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

"""Deploy one image to hundreds of nodes at once, and count what it costs."""

import argparse
import dataclasses
import json
import pathlib
import sys
import tempfile
import time
import traceback
from typing import Any

from benchmarks.load import deployments
from benchmarks.load import figures
from benchmarks import measurement
from benchmarks import table
from tests.support.simulation import image

_JSON = 'load.json'
_PACKAGES = ('ironic-imagedeploy', 'ironic')
_INTERFACES = ('imagedeploy', 'direct')


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='benchmarks/load.sh', description=__doc__)
    parser.add_argument('--nodes', type=int, default=500,
                        help='number of simulated nodes (default: 500)')
    parser.add_argument('--interface', action='append', choices=_INTERFACES,
                        help='only this deploy interface (default: both); '
                        'figures of the other one stay in FOLDER')
    parser.add_argument('--size', type=int, default=256, metavar='MIB',
                        help='disk of the image (default: 256)')
    parser.add_argument('--data', type=int, default=64, metavar='MIB',
                        help='of it that no codec makes smaller '
                        '(default: 64)')
    parser.add_argument('--boot-seconds', type=float, default=20,
                        help='until a ramdisk runs (default: 20)')
    parser.add_argument('--write-seconds', type=float, default=30,
                        help='of a write (default: 30)')
    parser.add_argument('--timeout', type=float, default=1500,
                        help='seconds for all deployments with one interface '
                        '(default: 1500)')
    parser.add_argument('--neighbours', action='store_true',
                        help='with [imagedeploy]neighbours (default: without, '
                        'as Ironic is installed)')
    parser.add_argument('--output', type=pathlib.Path, metavar='FOLDER',
                        help='for load.txt and load.json')
    return parser.parse_args()


def _say(text: str) -> None:
    print(time.strftime('%H:%M:%S'), text, file=sys.stderr)


def main() -> int:
    """The command; its exit status."""
    wanted = _arguments()
    with tempfile.TemporaryDirectory(prefix='imagedeploy.') as folder:
        state = pathlib.Path(folder)
        plan = deployments.Plan(
            nodes=wanted.nodes, timeout=wanted.timeout,
            boot_seconds=wanted.boot_seconds,
            write_seconds=wanted.write_seconds,
            neighbours=wanted.neighbours,
            image=image.make(state / 'image.qcow2', wanted.size * table.MIB,
                             wanted.data * table.MIB))
        results: dict[str, dict[str, Any]] = _kept(wanted.output)
        failed = False
        for interface in wanted.interface or _INTERFACES:
            home = state / interface
            home.mkdir()
            machine = measurement.machine(_PACKAGES)
            try:
                result = deployments.Run(plan, interface, home,
                                         _say).measure()
            except Exception:
                # Let the figures of the other one not be lost with it.
                traceback.print_exc()
                failed = True
                continue
            failed = failed or result.lost > 0
            results[interface] = {
                'machine': machine, 'boot_seconds': plan.boot_seconds,
                'write_seconds': plan.write_seconds,
                'image_bytes': plan.image.stat().st_size,
                'disk_bytes': wanted.size * table.MIB,
                **dataclasses.asdict(result)}
            # Of an interrupted test the first half remains.
            _keep(wanted.output, results)
    print(figures.text(results), end='')
    return int(failed)


def _kept(folder: pathlib.Path | None) -> dict[str, dict[str, Any]]:
    """The results that are there, of which a run replaces its own."""
    try:
        kept: dict[str, dict[str, Any]] = json.loads(
            (folder / _JSON).read_text()) if folder else {}
    except FileNotFoundError:
        return {}
    return kept


def _keep(folder: pathlib.Path | None,
          results: dict[str, dict[str, Any]]) -> None:
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _JSON).write_text(json.dumps(results, indent=2) + '\n')
        (folder / 'load.txt').write_text(figures.text(results))


if __name__ == '__main__':
    sys.exit(main())
