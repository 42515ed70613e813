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

"""A machine's disk as the host sees it."""

from collections.abc import Iterator
import contextlib
import dataclasses
import json
import pathlib
import tempfile

from tests.lab import commands
from tests.lab import machine


@dataclasses.dataclass(frozen=True, kw_only=True)
class Partition:
    """A partition with a file system.

    :ivar start: bytes
    :ivar size: bytes
    :ivar kind: of the file system
    :ivar label: of the file system
    """

    start: int
    size: int
    kind: str
    label: str


def partitions(hardware: machine.Machine) -> list[Partition]:
    """What is on the disk, in its order."""
    loop = commands.run(
        'losetup', '--find', '--show', '--read-only',
        '--sector-size', str(hardware.sector_size), hardware.disk).strip()
    try:
        table = json.loads(commands.run('sfdisk', '--json', loop))
    finally:
        commands.run('losetup', '--detach', loop)
    found = [_partition(hardware, each['start'] * hardware.sector_size,
                        each['size'] * hardware.sector_size)
             for each in table['partitiontable']['partitions']]
    return [each for each in found if each]


@contextlib.contextmanager
def mounted(hardware: machine.Machine, label: str) -> Iterator[pathlib.Path]:
    """Mount the file system of that label, while the machine is off."""
    each, = (each for each in partitions(hardware) if each.label == label)
    with tempfile.TemporaryDirectory() as place:
        commands.run('mount', '-t', each.kind, '-o',
                     f'loop,offset={each.start},sizelimit={each.size}',
                     hardware.disk, place)
        try:
            yield pathlib.Path(place)
        finally:
            commands.run('umount', place)


def _partition(hardware: machine.Machine, start: int, size: int
               ) -> Partition | None:
    try:
        text = commands.run('blkid', '--probe', '--offset', str(start),
                            '--size', str(size), '--output', 'export',
                            hardware.disk)
    except commands.CommandFailed:
        return None   # nothing that blkid knows
    found = dict(line.split('=', 1) for line in text.splitlines())
    return Partition(start=start, size=size, kind=found.get('TYPE', ''),
                     label=found.get('LABEL', ''))
