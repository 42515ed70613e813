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


"""Repair of a GPT: both halves anew, and the backup at the end of the disk.

Source: UEFI 2.10, section 5.3, "GUID Partition Table (GPT) Disk Layout".
"""

import struct
import typing
import zlib

from ironic_imagedeploy.engine.contents import gpt
from ironic_imagedeploy.engine.contents import read as _read
from ironic_imagedeploy.engine import exceptions

#: Sector of the header, and of the entries that are made anew.
_FIRST = 1
_ENTRIES = 2
#: Fields of a header: the place of its own CRC-32, then own and other sector,
#: first and last usable sector, disk, sector of the entries.
_CRC = slice(16, 20)
_PLACES = struct.Struct('<QQQQ16sQ')
_PLACES_AT = 24
_HEADER_SIZE = struct.Struct('<I')
_HEADER_SIZE_AT = 12
#: A protective MBR: its one entry, of this type, from sector 1 on.
_MBR_ENTRIES = 446
_MBR_ENTRY = struct.Struct('<B3sB3sII')
_PROTECTIVE = 0xee
_MBR_MOST = 0xffffffff


class Write(typing.NamedTuple):
    """Bytes for a place of the disk.

    :ivar flush: they must be on the medium before the next ones: one half of
        the table is good at every moment.
    """

    start: int
    content: bytes
    flush: bool = False


class _Half(typing.NamedTuple):
    """A good half of a GPT: its header as it is stored, and the entries."""

    header: gpt.Header
    stored: bytes
    entries: bytes


def writes(read: _read.Read, size: int) -> list[Write]:
    """Writes, in this sequence, that repair the GPT of a disk.

    :param size: bytes of the disk.
    :returns: nothing when the disk has no GPT, or one that is whole and ends
        with the disk.
    :raises BadContent: when no half of it is good, or a partition is where
        the table must be.
    """
    problem = None
    for sector_size in gpt.SECTOR_SIZES:
        try:
            good = (_half(read, sector_size, _FIRST)
                    or _half(read, sector_size, size // sector_size - 1))
        except exceptions.BadContent as bad:
            problem = problem or bad
            good = _backup(read, sector_size, size)
        if good:
            return [write for write in _halves(read, good, size)
                    if read(write.start, len(write.content))
                    != write.content]
    if problem:
        raise problem
    return []


def _half(read: _read.Read, sector_size: int, sector: int) -> _Half | None:
    header = gpt.read_header(read, sector_size, sector)
    if header is None:
        return None
    return _Half(header, read(sector * sector_size, sector_size),
                 header.read_entries(read))


def _backup(read: _read.Read, sector_size: int, size: int) -> _Half | None:
    try:
        return _half(read, sector_size, size // sector_size - 1)
    except exceptions.BadContent:
        return None


def _halves(read: _read.Read, good: _Half, size: int) -> list[Write]:
    """Writes for both halves, the backup first."""
    sector_size = good.header.sector_size
    last = size // sector_size - 1
    room = -(-len(good.entries) // sector_size)
    first_usable = good.header.first_usable
    last_usable = last - room - 1
    entries_at = good.header.entries_at
    if entries_at > first_usable:
        # The good half is the backup, which does not tell where they were.
        entries_at = _ENTRIES
    _check_room(good, entries_at + room, last_usable)
    padded = good.entries + bytes(-len(good.entries) % sector_size)

    def header(own: int, other: int, entries: int) -> bytes:
        return _header(good.stored, own, other, first_usable, last_usable,
                       good.header.disk, entries)

    return [Write((last - room) * sector_size, padded),
            Write(last * sector_size, header(last, _FIRST, last - room),
                  flush=True),
            Write(entries_at * sector_size, padded, flush=True),
            Write(_FIRST * sector_size, header(_FIRST, last, entries_at),
                  flush=True),
            *_protective(read, last)]


def _check_room(good: _Half, entries_end: int, last_usable: int) -> None:
    used = gpt.used(good.entries)
    first = min((start for start, _ in used),
                default=good.header.first_usable)
    end = max([good.header.first_usable, *(last for _, last in used)])
    if entries_end > min(first, good.header.first_usable):
        raise exceptions.BadContent(
            'corrupt', f'no partition before sector {entries_end}, where the '
            'entries of the GPT belong', f'one from sector {first}')
    if end > last_usable:
        raise exceptions.BadContent(
            'truncated', 'room for the backup of the GPT after sector '
            f'{end}, up to which there may be partitions',
            f'room up to sector {last_usable}')


def _header(stored: bytes, own: int, other: int, first_usable: int,
            last_usable: int, disk: bytes, entries: int) -> bytes:
    """Header, otherwise as the good one, with its checksum."""
    size, = _HEADER_SIZE.unpack_from(stored, _HEADER_SIZE_AT)
    made = bytearray(stored[:size])
    made[_CRC] = bytes(4)
    _PLACES.pack_into(made, _PLACES_AT, own, other, first_usable,
                      last_usable, disk, entries)
    made[_CRC] = zlib.crc32(made).to_bytes(4, 'little')
    return bytes(made) + bytes(len(stored) - size)


def _protective(read: _read.Read, last: int) -> list[Write]:
    """The write that lets a protective MBR cover the whole disk."""
    sector = bytearray(read(0, 512))
    boot, begin, kind, end, first, _ = _MBR_ENTRY.unpack_from(
        sector, _MBR_ENTRIES)
    others = sector[_MBR_ENTRIES + _MBR_ENTRY.size:510]
    if sector[510:] != b'\x55\xaa' or kind != _PROTECTIVE or first != 1 or (
            any(others)):
        return []
    _MBR_ENTRY.pack_into(sector, _MBR_ENTRIES, boot, begin, kind, end, first,
                         min(last, _MBR_MOST))
    return [Write(0, bytes(sector), flush=True)]
