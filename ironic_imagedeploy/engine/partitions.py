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
for which sector size it was made.
"""

from collections.abc import Callable
import dataclasses
import struct
import uuid
import zlib

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

#: Gives bytes of the disk: offset, length.
Read = Callable[[int, int], bytes]


class BadTable(Exception):
    """The partition table contradicts itself or the disk.

    :ivar code: ``corrupt`` or ``truncated``.
    """

    def __init__(self, code: str, expected: str, found: str) -> None:
        super().__init__(f'expected {expected}, found {found}')
        self.code = code
        self.expected = expected
        self.found = found


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


@dataclasses.dataclass(frozen=True, kw_only=True)
class PartitionTable:
    """A partition table.

    :ivar kind: ``gpt`` or ``mbr``.
    :ivar sector_size: bytes in the sectors it counts; None when the table
        does not tell (MBR).
    :ivar boot_code: whether the first sector holds a program for BIOS.
    """

    kind: str
    sector_size: int | None
    partitions: tuple[Partition, ...]
    boot_code: bool

    @property
    def esp(self) -> Partition | None:
        """The first EFI system partition."""
        return next((partition for partition in self.partitions
                     if partition.type in (ESP, _MBR_ESP)), None)


def has_gpt(head: bytes) -> bool:
    """Whether the front of a disk has the header of a GPT."""
    return any(head.startswith(_GPT_MAGIC, size) for size in _SECTOR_SIZES)


def read_table(read: Read, size: int) -> PartitionTable | None:
    """The partition table of a disk, or None.

    :param read: gives bytes of the disk.
    :param size: bytes of the disk.
    :raises BadTable: when there is one that must not be used.
    """
    first = read(0, 512)
    if len(first) < 512 or first[510:] != BOOT_SIGNATURE:
        return None
    boot_code = any(first[:_BOOT_CODE])
    for sector_size in _SECTOR_SIZES:
        header = read(sector_size, 512)
        if header.startswith(_GPT_MAGIC):
            return PartitionTable(
                kind='gpt', sector_size=sector_size, boot_code=boot_code,
                partitions=_gpt(read, header, sector_size, size))
    partitions = _mbr(first, size)
    if partitions is None:
        return None
    return PartitionTable(kind='mbr', sector_size=None, boot_code=boot_code,
                          partitions=partitions)


def _gpt(read: Read, header: bytes, sector_size: int, size: int
         ) -> tuple[Partition, ...]:
    if len(header) < _GPT_HEADER.size:
        raise BadTable('truncated', 'a whole GPT header',
                       f'{len(header)} bytes of it')
    (_, _, header_size, crc, _, _, backup, _, last_usable, _, entries_at,
     count, entry_size, entries_crc) = _GPT_HEADER.unpack_from(header)
    if not _GPT_HEADER.size <= header_size <= 512 or crc != zlib.crc32(
            header[:16] + bytes(4) + header[20:header_size]):
        raise BadTable('corrupt', 'a GPT header with a right checksum',
                       'a wrong one')
    if entry_size < _GPT_ENTRY.size or entry_size * count > _ENTRIES_LIMIT:
        raise BadTable('corrupt', f'{_ENTRIES_LIMIT} bytes of GPT entries',
                       f'{count} entries of {entry_size} bytes')
    for sector in (backup, last_usable):
        if (sector + 1) * sector_size > size:
            raise BadTable(
                'truncated',
                f'a disk of at least {(sector + 1) * sector_size} bytes, as '
                'its GPT says', f'one of {size} bytes')
    entries = read(entries_at * sector_size, count * entry_size)
    if zlib.crc32(entries) != entries_crc:
        raise BadTable('corrupt', 'GPT entries with a right checksum',
                       'a wrong one')
    return tuple(_gpt_partitions(entries, entry_size, sector_size, size))


def _gpt_partitions(entries: bytes, entry_size: int, sector_size: int,
                    size: int) -> list[Partition]:
    partitions = []
    for number in range(len(entries) // entry_size):
        kind, _, first, last, attributes, name = _GPT_ENTRY.unpack_from(
            entries, number * entry_size)
        if not any(kind):
            continue
        if last < first or (last + 1) * sector_size > size:
            raise BadTable(
                'corrupt', f'partitions inside of {size} bytes',
                f'partition {number + 1} from sector {first} to {last}')
        partitions.append(Partition(
            number=number + 1, start=first * sector_size,
            length=(last - first + 1) * sector_size,
            type=str(uuid.UUID(bytes_le=kind)),
            name=name.decode('utf-16-le', 'replace').partition('\0')[0],
            bootable=bool(attributes & 4)))
    return partitions


def _mbr(first: bytes, size: int) -> tuple[Partition, ...] | None:
    """The primary partitions; None when it is no partition table.

    Boot sectors of file systems end in the same two bytes.
    """
    partitions = []
    for number in range(4):
        status, _, kind, _, start, length = _MBR_ENTRY.unpack_from(
            first, 446 + number * 16)
        if status not in (0, 0x80):
            return None
        if not kind or not length:
            continue
        if kind == _MBR_GPT and number == 0 and start <= 1:
            raise BadTable('corrupt', 'the GPT that the first sector names',
                           'none in sectors of 512 or 4096 bytes')
        if not start:
            return None
        partitions.append(Partition(
            number=number + 1, start=start * 512, length=length * 512,
            type=f'{kind:#04x}', bootable=status == 0x80))
    if not partitions:
        return None
    for partition in partitions:
        if partition.start + partition.length > size:
            raise BadTable(
                'truncated', f'a disk of at least '
                f'{partition.start + partition.length} bytes, as its '
                'partition table says', f'one of {size} bytes')
    return tuple(partitions)
