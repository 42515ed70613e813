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

"""What firmware starts from a disk: SeaBIOS, and EDK II's UEFI.

Read as they read it, by nothing of what is tested; files in a FAT by mtools.
"""

from collections.abc import Iterator
import struct
import subprocess
import typing
import zlib

from tests.support.faults import cuts

#: Of the tables that a disk may have, all sectors that firmware reads.
_ENTRIES = 32
_SIGNATURE = b'\x55\xaa'
_MBR_ENTRY = struct.Struct('<B3xB3xII')
_PROTECTIVE = 0xee
_HEADER = struct.Struct('<8sIIIIQQQQ16sQIII')
_TORITO = b'EL TORITO SPECIFICATION'
#: How the code of libparted begins, which starts the active partition.
_LIBPARTED = bytes.fromhex('fab800108ed0bc00b0')
PROGRAM = 'EFI/BOOT/BOOTX64.EFI'


class Start(typing.NamedTuple):
    """Something that firmware starts.

    :ivar firmware: ``bios`` or ``uefi``.
    :ivar place: where it is.
    :ivar program: the bytes, where it is a file.
    """

    firmware: str
    place: str
    program: bytes = b''


def starts(disk: cuts.Medium, sector_size: int = 512) -> Iterator[Start]:
    """What each firmware starts from a disk."""
    first = disk.read(0, 512)
    # A protective MBR has no code: nobody is at home.
    if sector_size == 512 and first[510:] == _SIGNATURE and any(first[:440]):
        place = 'the first sector'
        if first.startswith(_LIBPARTED):
            place = _active(disk, first)
        if place:
            yield Start('bios', place)
    for place, start in _volumes(disk, first, sector_size):
        program = _program(disk, start)
        if program:
            yield Start('uefi', place, program)


def sectors(size: int, sector_size: int = 512) -> list[int]:
    """Offsets of the sectors that decide about a disk of that size."""
    last = size // sector_size - 1
    entries = _ENTRIES * 512 // sector_size
    numbers = [0, 1, 2, 3, entries + 1, entries + 2, 64, 68, last, last - 1,
               last - entries, last - entries - 1]
    return [number * sector_size for number in numbers]


def _active(disk: cuts.Medium, first: bytes) -> str:
    """Place of a boot sector in the active partition; empty without one."""
    for number, at in enumerate(range(446, 510, 16), 1):
        active, _, start, _ = _MBR_ENTRY.unpack_from(first, at)
        if active == 0x80 and disk.read(
                start * 512 + 510, 2) == _SIGNATURE:
            return f'the boot sector of partition {number}'
    return ''


def _volumes(disk: cuts.Medium, first: bytes, sector_size: int
             ) -> Iterator[tuple[str, int]]:
    """Places, and first bytes, of what may be a FAT."""
    yield from _optical(disk)
    yield 'the whole disk', 0
    if first[510:] != _SIGNATURE:
        return
    entries = [_MBR_ENTRY.unpack_from(first, at)
               for at in range(446, 510, 16)]
    if any(kind == _PROTECTIVE and start == 1 and not boot
           for boot, kind, start, _ in entries):
        last = disk.size // sector_size - 1
        for name, sector in (('GPT', 1), ('backup GPT', last)):
            found = _gpt(disk, sector, sector_size)
            if found is not None:
                for number, start in found:
                    yield f'{name}, partition {number}', start
                return
    for number, (_, kind, start, length) in enumerate(entries, 1):
        if kind not in (0, _PROTECTIVE) and start and length:
            yield f'MBR, partition {number}', start * sector_size


def _gpt(disk: cuts.Medium, sector: int, sector_size: int
         ) -> list[tuple[int, int]] | None:
    """Numbers and first bytes of partitions, if the table is valid."""
    stored = disk.read(sector * sector_size, sector_size)
    if len(stored) < 92:
        return None
    (signature, _, size, crc, _, own, _, _, _, _, at, count, length,
     entries_crc) = _HEADER.unpack_from(stored)
    if signature != b'EFI PART' or not 92 <= size <= sector_size or (
            own != sector or zlib.crc32(
                stored[:16] + bytes(4) + stored[20:size]) != crc):
        return None
    entries = disk.read(at * sector_size, min(count * length, 1 << 20))
    if zlib.crc32(entries) != entries_crc:
        return None
    found = []
    for number in range(count):
        entry = entries[number * length:(number + 1) * length]
        if any(entry[:16]):
            found.append((number + 1, struct.unpack_from('<Q', entry, 32)[0]
                          * sector_size))
    return found


def _optical(disk: cuts.Medium) -> Iterator[tuple[str, int]]:
    """The images for UEFI in an El Torito boot catalog."""
    for sector in range(16, 32):
        record = disk.read(sector * 2048, 2048)
        if record[1:6] != b'CD001':
            return
        if record[7:7 + len(_TORITO)] == _TORITO:
            break
    else:
        return
    catalog = disk.read(
        struct.unpack_from('<I', record, 0x47)[0] * 2048, 2048)
    for at in range(32, len(catalog), 32):
        if catalog[at] == 0x88:
            yield (f'El Torito, entry {at // 32}',
                   struct.unpack_from('<I', catalog, at + 8)[0] * 2048)


def _program(disk: cuts.Medium, start: int) -> bytes:
    """The program that UEFI starts from a FAT; nothing without one."""
    if disk.read(start + 510, 2) != _SIGNATURE or disk.read(start, 1) not in (
            b'\xe9', b'\xeb'):
        return b''
    found = subprocess.run(
        ['mcopy', '-n', '-i', f'{disk.path}@@{start}', f'::{PROGRAM}', '-'],
        capture_output=True, stdin=subprocess.DEVNULL, check=False)
    return found.stdout if not found.returncode else b''
