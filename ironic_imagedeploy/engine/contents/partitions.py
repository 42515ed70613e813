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

"""Partition tables, as much as is needed to judge an image.

What lies where, how it can boot, and for which sector size it was made. What
Linux and UEFI firmware both accept is accepted; what they tolerate is a flaw.
"""

from collections.abc import Iterator
import dataclasses
import typing

from ironic_imagedeploy.engine.contents import gpt
from ironic_imagedeploy.engine.contents import mbr
from ironic_imagedeploy.engine.contents import read as _read
from ironic_imagedeploy.engine.contents import sectors
from ironic_imagedeploy.engine.contents import signatures
from ironic_imagedeploy.engine import exceptions

ESP = 'c12a7328-f81f-11d2-ba4b-00a0c93ec93b'
BIOS_BOOT = '21686148-6449-6e6f-744e-656564454649'
_MBR_ESP = '0xef'
ESP_TYPES = frozenset({ESP, _MBR_ESP})
#: Of an MBR: partitions in which others are.
EXTENDED = frozenset({'0x05', '0x0f', '0x85'})
#: Bytes that an MBR is taken to count in, when nothing in it tells.
_MBR_SECTOR = 512


class Flaw(typing.NamedTuple):
    """A fault in a table that can be used.

    :ivar mend: ``tolerated`` when it can be repaired in the image, ``cut``
        when only on a larger disk, ``outside`` when only by another table.
    """

    expected: str
    found: str
    mend: str = 'tolerated'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Partition:
    """A part of the disk. Start and length in bytes.

    :ivar type: GUID in lower case for GPT, ``0x83`` and the like for MBR.
    :ivar name: as the GPT states it: hostile text.
    :ivar uuid: as Linux names the partition by it (PARTUUID), if any.
    """

    number: int
    start: int
    length: int
    type: str
    name: str = ''
    bootable: bool = False
    uuid: str = ''

    @property
    def end(self) -> int:
        """First byte after the partition."""
        return self.start + self.length


@dataclasses.dataclass(frozen=True, kw_only=True)
class PartitionTable:
    """A partition table.

    :ivar kind: ``gpt`` or ``mbr``.
    :ivar sector_size: bytes in the sectors it counts; for an MBR as the
        content of the partitions tells, or None.
    :ivar boot_code: whether the first sector holds a program for BIOS; what
        starts a partition only counts where that holds one, too.
    :ivar header: that of a GPT.
    """

    kind: str
    sector_size: int | None
    partitions: tuple[Partition, ...]
    boot_code: bool
    header: gpt.Header | None = None

    @property
    def partitions_end(self) -> int:
        """First byte after all partitions; 0 without one."""
        return max((partition.end for partition in self.partitions),
                   default=0)

    @property
    def least_disk(self) -> int:
        """Bytes that a disk has at least, for the table to be used on it."""
        return max(self.partitions_end, self.header.end if self.header else 0)

    @property
    def esp(self) -> Partition | None:
        """The first EFI system partition."""
        return self.first(ESP, _MBR_ESP)

    @property
    def esps(self) -> tuple[Partition, ...]:
        """EFI system partitions of the disk."""
        return tuple(partition for partition in self.partitions
                     if partition.type in ESP_TYPES)

    def first(self, *types: str) -> Partition | None:
        """The first partition of one of these types."""
        return next((partition for partition in self.partitions
                     if partition.type in types), None)


def has_gpt(head: bytes) -> bool:
    """Whether the front of a disk has the header of a GPT.

    Without the protective MBR before it, no firmware and no kernel sees it.
    """
    return mbr.is_boot_sector(head) and any(
        head.startswith(gpt.MAGIC, size) for size in gpt.SECTOR_SIZES)


def may_have_table(head: bytes) -> bool:
    """Whether partitions may be listed at the front of a disk.

    Where some file systems have a boot sector, its program is in the place of
    an MBR. A GPT comes first for Linux and firmware, whatever else is there.
    """
    return (signatures.file_system(head) not in signatures.LIKE_MBR
            or has_gpt(head) and mbr.is_protective(head))


def read_table(read: _read.Read, size: int | None) -> PartitionTable | None:
    """The partition table of a disk, or None.

    :param read: gives bytes of the disk.
    :param size: bytes of the disk; None when that is not known.
    :raises BadContent: when there is one that must not be used.
    """
    first = read(0, 512)
    if not mbr.is_boot_sector(first):
        return None
    boot_code = mbr.has_boot_code(first)
    chain_loads = mbr.starts_partition(first)
    if mbr.leaves_disk_to_gpt(first) and (
            found := gpt.read_table(read, size)):
        header, entries = found
        return PartitionTable(
            kind='gpt', sector_size=header.sector_size,
            boot_code=boot_code and not chain_loads,
            partitions=tuple(_from_gpt(entry, header.sector_size)
                             for entry in entries), header=header)
    if mbr.is_protective(first):
        raise gpt.missing(read, size)
    listed = mbr.entries(first)
    if listed is None:
        return None
    sector_size = sectors.of_mbr(read, listed, size)
    partitions = tuple(_from_mbr(entry, sector_size or _MBR_SECTOR,
                                 mbr.identifier(first))
                       for entry in listed)
    _check_ends(partitions, size)
    return PartitionTable(
        kind='mbr', sector_size=sector_size, boot_code=boot_code and (
            not chain_loads or _is_bootable(read, partitions)),
        partitions=partitions)


def flaws(read: _read.Read, size: int, table: PartitionTable
          ) -> Iterator[Flaw]:
    """Faults in a GPT that Linux and firmware still use.

    Reads the backup at the end of the disk, or at its former end: it stays
    there when a disk grows, and is moved by who grows the partitions.

    :param read: gives bytes of the disk.
    :param size: bytes of the disk.
    """
    header = table.header
    if header is None:
        return
    low, high = (header.first_usable * header.sector_size,
                 (header.last_usable + 1) * header.sector_size)
    for partition in table.partitions:
        if partition.start < low or partition.end > high:
            yield Flaw(f'partitions from byte {low} to {high - 1}, as the '
                       'GPT says', f'partition {partition.number} from byte '
                       f'{partition.start} to {partition.end - 1}',
                       'outside')
    has_room = table.partitions_end + header.backup_length <= size
    last = size // header.sector_size - 1
    if header.last_usable > last:
        yield Flaw(f'a disk of at least {header.end} bytes, as the GPT says',
                   f'an image of {size} bytes',
                   'tolerated' if has_room else 'cut')
    elif not has_room and table.partitions_end <= high:
        yield Flaw('a backup of the GPT after the last partition',
                   'no room for it', 'cut')
    if not has_room and table.partitions_end <= high:
        return
    for sector in dict.fromkeys((header.other, last)):
        try:
            backup = gpt.read_header(read, header.sector_size, sector)
            if backup:
                backup.read_entries(read)
        except exceptions.BadContent as bad:
            yield Flaw(f'{bad.expected} in the backup', bad.found)
            return
        if backup:
            if (backup.entries_crc, backup.disk) != (header.entries_crc,
                                                     header.disk):
                yield Flaw('the same partitions in the backup of the GPT',
                           'others')
            return
    yield Flaw(f'a backup of the GPT in sector {header.other}', 'none')


def _from_gpt(entry: gpt.Entry, sector_size: int) -> Partition:
    return Partition(
        number=entry.number, start=entry.first * sector_size,
        length=(entry.last - entry.first + 1) * sector_size,
        type=entry.type, name=entry.name, bootable=entry.bootable,
        uuid=entry.uuid)


def _from_mbr(entry: mbr.Entry, sector_size: int, disk: int) -> Partition:
    return Partition(
        number=entry.number, start=entry.start * sector_size,
        length=entry.length * sector_size, type=f'{entry.type:#04x}',
        bootable=entry.bootable,
        uuid=f'{disk:08x}-{entry.number:02x}' if disk else '')


def _is_bootable(read: _read.Read, partitions: tuple[Partition, ...]) -> bool:
    """Whether the boot sector of the bootable partition holds a program."""
    try:
        return any(mbr.starts_system(read(partition.start, 512))
                   for partition in partitions if partition.bootable)
    except exceptions.SourceNotSeekable:
        # It is out of sight.
        return True


def _check_ends(partitions: tuple[Partition, ...], size: int | None) -> None:
    for partition in partitions:
        if size is not None and partition.end > size:
            raise exceptions.BadContent(
                'truncated', f'a disk of at least {partition.end} bytes, as '
                'its partition table says', f'one of {size} bytes')
