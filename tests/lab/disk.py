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

"""A machine's disk, or the mirror on its disks, as the host sees it."""

from collections.abc import Iterator
import contextlib
import dataclasses
import json
import pathlib
import struct
import tempfile

from tests.lab import machine
from tests.support import commands


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
    """What is on the disk, in its order, or on the mirror on it."""
    return list(_partitions(hardware, 0, hardware.disk_size))


@contextlib.contextmanager
def mounted(hardware: machine.Machine, label: str) -> Iterator[pathlib.Path]:
    """Mount the file system of that label, while the machine is off.

    Its mirror on other disks becomes the same.
    """
    each, = (each for each in partitions(hardware) if each.label == label)
    with tempfile.TemporaryDirectory() as place:
        commands.run('mount', '-t', each.kind, '-o',
                     f'loop,offset={each.start},sizelimit={each.size}',
                     hardware.disk, place)
        try:
            yield pathlib.Path(place)
        finally:
            commands.run('umount', place)
            for other in hardware.disks[1:]:
                commands.run(
                    'dd', f'if={hardware.disk}', f'of={other}', 'bs=1M',
                    'conv=notrunc', f'skip={each.start}B',
                    f'seek={each.start}B', f'count={each.size}B')


def _partitions(hardware: machine.Machine, start: int, size: int
                ) -> Iterator[Partition]:
    loop = commands.run(
        'losetup', '--find', '--show', '--read-only', '--offset', str(start),
        '--sizelimit', str(size), '--sector-size', str(hardware.sector_size),
        hardware.disk).strip()
    try:
        table = json.loads(commands.run('sfdisk', '--json', loop))
    finally:
        commands.run('losetup', '--detach', loop)
    for each in table['partitiontable']['partitions']:
        yield from _content(
            hardware, start + each['start'] * hardware.sector_size,
            each['size'] * hardware.sector_size)


def _content(hardware: machine.Machine, start: int, size: int
             ) -> Iterator[Partition]:
    try:
        text = commands.run('blkid', '--probe', '--offset', str(start),
                            '--size', str(size), '--output', 'export',
                            hardware.disk)
    except commands.CommandFailed:
        return   # nothing that blkid knows
    found = dict(line.split('=', 1) for line in text.splitlines())
    kind = found.get('TYPE', '')
    if kind == 'linux_raid_member' and found['VERSION'] == '1.2':
        yield from _partitions(hardware, *_mirror(hardware.disk, start))
    else:
        yield Partition(start=start, size=size, kind=kind,
                        label=found.get('LABEL', ''))


def _mirror(disk: pathlib.Path, member: int) -> tuple[int, int]:
    """Start and size, in bytes, of what a member of a mirror carries."""
    with disk.open('rb') as content:
        # The superblock of version 1.2 counts sectors of 512 bytes.
        content.seek(member + 4096 + 128)
        start, size = struct.unpack('<QQ', content.read(16))
    return member + start * 512, size * 512
