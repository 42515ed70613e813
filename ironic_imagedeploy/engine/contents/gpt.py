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

"""GUID partition tables, in sectors.

Source: UEFI 2.10, section 5.3, "GUID Partition Table (GPT) Disk Layout".
"""

from collections.abc import Iterable
import itertools
import struct
import typing
import uuid
import zlib

from ironic_imagedeploy.engine.contents import read as _read
from ironic_imagedeploy.engine import exceptions

MAGIC = b'EFI PART'
#: Bytes in a sector, where disks are made.
SECTOR_SIZES = (512, 4096)
#: The remedy for a GPT of which one half is good.
REPAIR = ('Repair it in the raw image, and upload that: '
          'ironic-imagedeploy repair-gpt FILE')

_HEADER = struct.Struct('<8sIIIIQQQQ16sQIII')
_ENTRY = struct.Struct('<16s16sQQQ72s')
#: Partition entries of a table, of which all are read.
_MOST_ENTRIES = 1024
#: Sectors of the first header, which is after the MBR, and where entries may
#: begin.
_FIRST, _FIRST_ENTRIES = 1, 2
_LEGACY_BOOTABLE = 1 << 2


class Entry(typing.NamedTuple):
    """A partition. Places are sectors.

    :ivar type: GUID in lower case.
    :ivar name: hostile text.
    :ivar uuid: its own GUID in lower case.
    """

    number: int
    type: str
    first: int
    last: int
    name: str
    bootable: bool
    uuid: str


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
    entries_crc: int

    @property
    def end(self) -> int:
        """Bytes that the disk has at least, for Linux to use the table."""
        return (self.last_usable + 1) * self.sector_size

    @property
    def entries_length(self) -> int:
        """Bytes of the array of partition entries."""
        return self.entries * _ENTRY.size

    @property
    def backup_length(self) -> int:
        """Bytes that a backup of the table takes at the end of a disk."""
        return (-(-self.entries_length // self.sector_size)
                + 1) * self.sector_size

    def read_entries(self, read: _read.Read) -> bytes:
        """The array of partition entries.

        :raises BadContent: when it is not complete, or its checksum is wrong.
        """
        length = self.entries_length
        entries = read(self.entries_at * self.sector_size, length)
        if len(entries) < length:
            raise exceptions.BadContent(
                'corrupt', f'{length} bytes of GPT entries at byte '
                f'{self.entries_at * self.sector_size}',
                f'{len(entries)} bytes up to the end of the disk')
        if zlib.crc32(entries) != self.entries_crc:
            raise exceptions.BadContent(
                'corrupt', 'GPT entries with a right checksum', 'a wrong one')
        return entries


def read_header(read: _read.Read, sector_size: int, sector: int
                ) -> Header | None:
    """The header in a sector; None when there is none.

    :param sector: -1 for the last one of a disk that has none.
    :raises BadContent: when it cannot be used.
    """
    stored = read(sector * sector_size, sector_size) if sector >= 0 else b''
    if not stored.startswith(MAGIC):
        return None
    if len(stored) < _HEADER.size:
        raise exceptions.BadContent(
            'truncated', 'a whole GPT header', f'{len(stored)} bytes of it')
    (_, _, header_size, crc, _, own, other, first_usable, last_usable, disk,
     entries_at, count, entry_size, entries_crc) = _HEADER.unpack_from(stored)
    if not _HEADER.size <= header_size <= sector_size or crc != zlib.crc32(
            stored[:16] + bytes(4) + stored[20:header_size]):
        raise exceptions.BadContent(
            'corrupt', 'a GPT header with a right checksum', 'a wrong one')
    if own != sector:
        raise exceptions.BadContent(
            'corrupt', f'the GPT header for sector {sector}',
            f'the one for sector {own}')
    if entries_at < _FIRST_ENTRIES:
        raise exceptions.BadContent(
            'corrupt', f'GPT entries from sector {_FIRST_ENTRIES} on, after '
            'the first header', f'entries from sector {entries_at}')
    # Linux takes a table for none unless all of this is true.
    if entry_size != _ENTRY.size or not 0 < count <= _MOST_ENTRIES:
        raise exceptions.BadContent(
            'corrupt', f'1 to {_MOST_ENTRIES} GPT entries of {_ENTRY.size} '
            'bytes', f'{count} entries of {entry_size} bytes')
    if last_usable < first_usable:
        raise exceptions.BadContent(
            'corrupt', 'a GPT with sectors that can be used', 'one in which '
            f'sector {first_usable} is the first and {last_usable} the last')
    return Header(sector_size, other, first_usable, last_usable, disk,
                  entries_at, count, entries_crc)


def read_table(read: _read.Read, size: int | None
               ) -> tuple[Header, list[Entry]] | None:
    """The GPT of a disk, for whichever size of sectors there is a good one.

    :param size: bytes of the disk; None when that is not known.
    :raises BadContent: when there are only such as must not be used.
    """
    problem = None
    for sector_size in SECTOR_SIZES:
        try:
            if header := read_header(read, sector_size, _FIRST):
                return header, _entries(header.read_entries(read), header,
                                        size)
        except exceptions.BadContent as bad:
            problem = problem or with_backup(bad, read, sector_size, size)
    if problem:
        raise problem
    return None


def missing(read: _read.Read, size: int | None) -> exceptions.BadContent:
    """The error for a disk whose first sector promises a GPT in vain."""
    bad = exceptions.BadContent(
        'corrupt', 'the GPT that the first sector names',
        'none in sectors of 512 or 4096 bytes')
    for sector_size in SECTOR_SIZES:
        bad = with_backup(bad, read, sector_size, size)
    return bad


def with_backup(bad: exceptions.BadContent, read: _read.Read,
                sector_size: int, size: int | None
                ) -> exceptions.BadContent:
    """The error, with a hint at a good backup.

    Linux and BIOS do not look at a backup by themselves, and a repair takes
    it only where the table before it is not good.
    """
    if bad.code != 'corrupt' or size is None or _is_good(
            read, sector_size, _FIRST) or not _is_good(
            read, sector_size, size // sector_size - 1):
        return bad
    return exceptions.BadContent(
        bad.code, bad.expected, f'{bad.found}, and a good backup at the end',
        f'{REPAIR}.')


def _is_good(read: _read.Read, sector_size: int, sector: int) -> bool:
    """Whether a half of a GPT is good, whatever partitions it names."""
    try:
        header = read_header(read, sector_size, sector)
        return header is not None and bool(header.read_entries(read))
    except (exceptions.BadContent, exceptions.SourceNotSeekable):
        return False


def used(entries: bytes) -> list[tuple[int, int]]:
    """First and last sectors of the partitions in stored entries."""
    return [(first, last) for kind, _, first, last, _, _
            in _ENTRY.iter_unpack(entries) if any(kind)]


def _entries(stored: bytes, header: Header, size: int | None
             ) -> list[Entry]:
    found, sector_size = [], header.sector_size
    for number, (kind, own, first, last, attributes, name) in enumerate(
            _ENTRY.iter_unpack(stored), 1):
        if not any(kind):
            continue
        if last < first or last > header.last_usable and (
                size is not None and (last + 1) * sector_size > size):
            raise exceptions.BadContent(
                'corrupt', f'partitions inside of {size} bytes',
                f'partition {number} from sector {first} to {last}')
        if size is not None and (last + 1) * sector_size > size:
            raise exceptions.BadContent(
                'truncated', f'a disk of at least {(last + 1) * sector_size} '
                f'bytes, as its GPT says, for partition {number}',
                f'one of {size} bytes')
        found.append(Entry(
            number, str(uuid.UUID(bytes_le=kind)), first, last,
            name.decode('utf-16-le', 'replace').partition('\0')[0],
            bool(attributes & _LEGACY_BOOTABLE),
            str(uuid.UUID(bytes_le=own))))
    _check_overlaps(found, sector_size)
    return found


def _check_overlaps(entries: Iterable[Entry], sector_size: int) -> None:
    in_order = sorted(entries, key=lambda entry: entry.first)
    for one, other in itertools.pairwise(in_order):
        if one.last >= other.first:
            raise exceptions.BadContent(
                'corrupt', 'partitions that do not overlap',
                f'partition {one.number} to byte '
                f'{(one.last + 1) * sector_size - 1}, and partition '
                f'{other.number} from byte {other.first * sector_size}')
