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

"""Partition tables: GPT (UEFI 2.10, chapter 5) and MBR.

Only what is needed to judge an image: what lies where, how it can boot, and
for which sector size it was made. What Linux and UEFI firmware both accept
is accepted; what they tolerate is a flaw.
"""

from collections.abc import Callable
from collections.abc import Iterator
import dataclasses
import itertools
import struct
import typing
import uuid
import zlib

from ironic_imagedeploy.engine import exceptions

ESP = 'c12a7328-f81f-11d2-ba4b-00a0c93ec93b'
BIOS_BOOT = '21686148-6449-6e6f-744e-656564454649'
_MBR_ESP = '0xef'
_MBR_GPT = 0xee
_BOOT_CODE = 440
_GPT_HEADER = struct.Struct('<8sIIIIQQQQ16sQIII')
_GPT_ENTRY = struct.Struct('<16s16sQQQ72s')
_MBR_ENTRY = struct.Struct('<B3sB3sII')
_GPT_MAGIC = b'EFI PART'
#: The end of a boot sector, of disks and of file systems.
BOOT_SIGNATURE = b'\x55\xaa'
_SECTOR_SIZES = (512, 4096)
#: Bytes of partition entries that are read at most (1024 entries).
_ENTRIES_LIMIT = 128 << 10

#: How to mend a GPT of which one half is good.
REPAIR = 'Repair it in the raw image, and upload that: sgdisk -e FILE'

#: Gives bytes of the disk: offset, length.
Read = Callable[[int, int], bytes]


class BadTable(Exception):
    """The partition table contradicts itself or the disk.

    :ivar code: ``corrupt`` or ``truncated``.
    :ivar fix: what to do about it, where it is known.
    """

    def __init__(self, code: str, expected: str, found: str,
                 fix: str = '') -> None:
        super().__init__(f'expected {expected}, found {found}')
        self.code = code
        self.expected = expected
        self.found = found
        self.fix = fix


class Flaw(typing.NamedTuple):
    """What is wrong in a table that can be used."""

    expected: str
    found: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Partition:
    """A part of the disk. Start and length in bytes.

    :ivar type: GUID in lower case for GPT, ``0x83`` and the like for MBR.
    :ivar name: as the GPT states it: hostile text.
    """

    number: int
    start: int
    length: int
    type: str
    name: str = ''
    bootable: bool = False


class Header(typing.NamedTuple):
    """The header of a GPT. Places are sectors.

    :ivar other: where the other header is.
    :ivar disk: the disk's GUID as it is stored.
    """

    sector_size: int
    other: int
    first_usable: int
    last_usable: int
    disk: bytes
    entries_at: int
    entries: int
    entry_size: int
    entries_crc: int

    def read_entries(self, read: Read) -> bytes:
        """The table of partitions.

        :raises BadTable: when its checksum is wrong.
        """
        entries = read(self.entries_at * self.sector_size,
                       self.entries * self.entry_size)
        if zlib.crc32(entries) != self.entries_crc:
            raise BadTable('corrupt', 'GPT entries with a right checksum',
                           'a wrong one')
        return entries


@dataclasses.dataclass(frozen=True, kw_only=True)
class PartitionTable:
    """A partition table.

    :ivar kind: ``gpt`` or ``mbr``.
    :ivar sector_size: bytes in the sectors it counts; None when the table
        does not tell (MBR).
    :ivar boot_code: whether the first sector holds a program for BIOS.
    :ivar header: that of a GPT.
    """

    kind: str
    sector_size: int | None
    partitions: tuple[Partition, ...]
    boot_code: bool
    header: Header | None = None

    @property
    def esp(self) -> Partition | None:
        """The first EFI system partition."""
        return self.first(ESP, _MBR_ESP)

    def first(self, *types: str) -> Partition | None:
        """The first partition of one of these types."""
        return next((partition for partition in self.partitions
                     if partition.type in types), None)


def has_gpt(head: bytes) -> bool:
    """Whether the front of a disk has the header of a GPT.

    Without the protective MBR before it, no firmware and no kernel sees it.
    """
    return head[510:512] == BOOT_SIGNATURE and any(
        head.startswith(_GPT_MAGIC, size) for size in _SECTOR_SIZES)


def read_table(read: Read, size: int | None) -> PartitionTable | None:
    """The partition table of a disk, or None.

    :param read: gives bytes of the disk.
    :param size: bytes of the disk; None when that is not known.
    :raises BadTable: when there is one that must not be used.
    """
    first = read(0, 512)
    if len(first) < 512 or first[510:] != BOOT_SIGNATURE:
        return None
    boot_code = any(first[:_BOOT_CODE])
    if _may_have_gpt(first) and (found := _gpt(read, size)):
        header, partitions = found
        return PartitionTable(
            kind='gpt', sector_size=header.sector_size, boot_code=boot_code,
            partitions=partitions, header=header)
    in_mbr = _mbr(read, first, size)
    if in_mbr is None:
        return None
    return PartitionTable(kind='mbr', sector_size=None, boot_code=boot_code,
                          partitions=in_mbr)


def flaws(read: Read, size: int, table: PartitionTable) -> Iterator[Flaw]:
    """What is wrong in a GPT that Linux and firmware still use.

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
        if partition.start < low or partition.start + partition.length > high:
            yield Flaw(f'partitions from byte {low} to {high - 1}, as the '
                       'GPT says', f'partition {partition.number} from byte '
                       f'{partition.start} to '
                       f'{partition.start + partition.length - 1}')
    last = size // header.sector_size - 1
    for sector in dict.fromkeys((header.other, last)):
        try:
            backup = _header(read, header.sector_size, sector)
            if backup:
                backup.read_entries(read)
        except BadTable as bad:
            yield Flaw(f'{bad.expected} in the backup', bad.found)
            return
        if backup:
            if (backup.entries_crc, backup.disk) != (header.entries_crc,
                                                     header.disk):
                yield Flaw('the same partitions in the backup of the GPT',
                           'others')
            return
    yield Flaw(f'a backup of the GPT in sector {header.other}', 'none')


def _may_have_gpt(first: bytes) -> bool:
    """Whether the MBR leaves the disk to a GPT, as Linux and UEFI see it.

    One with partitions and without the protective one is on a disk that was
    partitioned anew; what is left of its GPT means nothing.
    """
    kinds = [kind for _, _, kind, _, _, length in _mbr_entries(first)
             if kind and length]
    return _MBR_GPT in kinds or not kinds


def _gpt(read: Read, size: int | None
         ) -> tuple[Header, tuple[Partition, ...]] | None:
    """The GPT, for whichever size of sectors there is a good one."""
    problem = None
    for sector_size in _SECTOR_SIZES:
        try:
            if header := _header(read, sector_size, 1):
                _check_size(header, size)
                entries = header.read_entries(read)
                return header, tuple(_gpt_partitions(entries, header, size))
        except BadTable as bad:
            problem = problem or _with_backup(bad, read, sector_size, size)
    if problem:
        raise problem
    return None


def _header(read: Read, sector_size: int, sector: int) -> Header | None:
    """The header in a sector; None when there is none.

    :raises BadTable: when it cannot be used.
    """
    stored = read(sector * sector_size, 512)
    if not stored.startswith(_GPT_MAGIC):
        return None
    if len(stored) < _GPT_HEADER.size:
        raise BadTable('truncated', 'a whole GPT header',
                       f'{len(stored)} bytes of it')
    (_, _, header_size, crc, _, own, other, first_usable, last_usable, disk,
     entries_at, count, entry_size, entries_crc) = _GPT_HEADER.unpack_from(
        stored)
    if not _GPT_HEADER.size <= header_size <= 512 or crc != zlib.crc32(
            stored[:16] + bytes(4) + stored[20:header_size]):
        raise BadTable('corrupt', 'a GPT header with a right checksum',
                       'a wrong one')
    if own != sector:
        raise BadTable('corrupt', f'the GPT header for sector {sector}',
                       f'the one for sector {own}')
    if entry_size < _GPT_ENTRY.size or entry_size * count > _ENTRIES_LIMIT:
        raise BadTable('corrupt', f'{_ENTRIES_LIMIT} bytes of GPT entries',
                       f'{count} entries of {entry_size} bytes')
    return Header(sector_size, other, first_usable, last_usable, disk,
                  entries_at, count, entry_size, entries_crc)


def _check_size(header: Header, size: int | None) -> None:
    for sector in (header.other, header.last_usable):
        end = (sector + 1) * header.sector_size
        if size is not None and end > size:
            raise BadTable('truncated', f'a disk of at least {end} bytes, as '
                           'its GPT says', f'one of {size} bytes')


def _with_backup(bad: BadTable, read: Read, sector_size: int,
                 size: int | None) -> BadTable:
    """Say so when the backup is good: Linux and BIOS do not look at it."""
    if bad.code != 'corrupt' or size is None or not _has_backup(
            read, sector_size, size):
        return bad
    return BadTable(
        bad.code, bad.expected, f'{bad.found}, and a good backup at the end',
        f'{REPAIR}.')


def _has_backup(read: Read, sector_size: int, size: int) -> bool:
    """Whether a good GPT ends the disk."""
    try:
        backup = _header(read, sector_size, size // sector_size - 1)
        return backup is not None and bool(backup.read_entries(read))
    except (BadTable, exceptions.SourceNotSeekable):
        return False


def _gpt_partitions(entries: bytes, header: Header, size: int | None
                    ) -> list[Partition]:
    partitions, sector_size = [], header.sector_size
    for number in range(header.entries):
        kind, _, first, last, attributes, name = _GPT_ENTRY.unpack_from(
            entries, number * header.entry_size)
        if not any(kind):
            continue
        if last < first or (size is not None
                            and (last + 1) * sector_size > size):
            raise BadTable(
                'corrupt', f'partitions inside of {size} bytes',
                f'partition {number + 1} from sector {first} to {last}')
        partitions.append(Partition(
            number=number + 1, start=first * sector_size,
            length=(last - first + 1) * sector_size,
            type=str(uuid.UUID(bytes_le=kind)),
            name=name.decode('utf-16-le', 'replace').partition('\0')[0],
            bootable=bool(attributes & 4)))
    in_order = sorted(partitions, key=lambda partition: partition.start)
    for one, other in itertools.pairwise(in_order):
        if one.start + one.length > other.start:
            raise BadTable(
                'corrupt', 'partitions that do not overlap',
                f'partition {one.number} to byte '
                f'{one.start + one.length - 1}, and partition {other.number} '
                f'from byte {other.start}')
    return partitions


def _mbr_entries(first: bytes) -> Iterator[tuple[int, bytes, int, bytes, int,
                                                 int]]:
    return _MBR_ENTRY.iter_unpack(first[446:510])


def _mbr(read: Read, first: bytes, size: int | None
         ) -> tuple[Partition, ...] | None:
    """The primary partitions; None when it is no partition table.

    Boot sectors of file systems end in the same two bytes.
    """
    partitions = []
    for number, entry in enumerate(_mbr_entries(first)):
        status, _, kind, _, start, length = entry
        if status not in (0, 0x80):
            return None
        if not kind or not length:
            continue
        if kind == _MBR_GPT and number == 0 and start <= 1:
            raise _lost_gpt(read, size)
        if not start:
            return None
        partitions.append(Partition(
            number=number + 1, start=start * 512, length=length * 512,
            type=f'{kind:#04x}', bootable=status == 0x80))
    if not partitions:
        return None
    for partition in partitions:
        if size is not None and partition.start + partition.length > size:
            raise BadTable(
                'truncated', f'a disk of at least '
                f'{partition.start + partition.length} bytes, as its '
                'partition table says', f'one of {size} bytes')
    return tuple(partitions)


def _lost_gpt(read: Read, size: int | None) -> BadTable:
    bad = BadTable('corrupt', 'the GPT that the first sector names',
                   'none in sectors of 512 or 4096 bytes')
    for sector_size in _SECTOR_SIZES:
        bad = _with_backup(bad, read, sector_size, size)
    return bad
