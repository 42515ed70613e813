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

"""Partition tables made by hand, and volumes to lie in them."""

from collections.abc import Mapping
from collections.abc import Sequence
import pathlib
import shutil
import struct
import typing
import uuid
import zlib

from tests.unit.engine import base

LINUX = '0fc63daf-8483-4772-8e79-3d69d8477de4'
ESP = 'c12a7328-f81f-11d2-ba4b-00a0c93ec93b'
_HEADER = struct.Struct('<8sIIIIQQQQ16sQIII')
_ENTRY = struct.Struct('<16s16sQQQ72s')
_MBR_ENTRY = struct.Struct('<B3sB3sII')


class Entry(typing.NamedTuple):
    """A partition of a GPT, from one sector to another inclusive."""

    first: int
    last: int
    type: str = LINUX
    name: bytes = b''
    attributes: int = 0


def mbr(size: int, entries: Sequence[tuple[int, int, int, int]], *,
        boot_code: bytes = b'') -> bytearray:
    """A disk with an MBR.

    :param entries: status, type, first sector and number of sectors.
    """
    disk = bytearray(size)
    disk[:len(boot_code)] = boot_code
    for number, (status, kind, start, length) in enumerate(entries):
        _MBR_ENTRY.pack_into(disk, 446 + number * 16, status, bytes(3), kind,
                             bytes(3), start, length)
    disk[510:512] = b'\x55\xaa'
    return disk


def gpt(size: int, entries: Sequence[Entry] = (), *, sector_size: int = 512,
        boot_code: bytes = b'', entry_size: int = 128, count: int = 128,
        **fields: int) -> bytearray:
    """A disk with a protective MBR, a GPT and, where it fits, its backup.

    :param fields: other values for ``header_size``, ``own``, ``backup``,
        ``first_usable``, ``last_usable``, ``entries_at``, ``header_crc`` and
        ``entries_crc``.
    """
    sectors = size // sector_size
    disk = mbr(size, [(0, 0xee, 1, min(sectors - 1, 0xffffffff))],
               boot_code=boot_code)
    # Cylinder, head and sector of its start (UEFI 2.10, table 5-4).
    disk[447:450] = b'\x00\x02\x00'
    table = bytearray(min(entry_size * count, 1 << 20))
    for number, entry in enumerate(entries):
        _ENTRY.pack_into(
            table, number * entry_size, uuid.UUID(entry.type).bytes_le,
            uuid.UUID(int=number + 1).bytes_le, entry.first, entry.last,
            entry.attributes, entry.name)
    header = _header(table, sectors, entry_size, count, **fields)
    disk[sector_size:sector_size + 512] = header
    start = 2 * sector_size
    disk[start:start + len(table)] = table
    del disk[size:]
    behind = sectors - 1 - -(-len(table) // sector_size)
    if 'backup' not in fields and behind * sector_size >= start + len(table):
        end = (sectors - 1) * sector_size
        fields |= {'own': sectors - 1, 'backup': 1, 'entries_at': behind}
        disk[end:end + 512] = _header(table, sectors, entry_size, count,
                                      **fields)
        disk[behind * sector_size:behind * sector_size + len(table)] = table
    return disk


def _header(table: bytes | bytearray, sectors: int, entry_size: int,
            count: int, **fields: int) -> bytearray:
    """The header of a GPT with these partitions."""
    header = bytearray(512)
    _HEADER.pack_into(
        header, 0, b'EFI PART', 0x10000, fields.get('header_size', 92), 0, 0,
        fields.get('own', 1), fields.get('backup', sectors - 1),
        fields.get('first_usable', 6), fields.get('last_usable', sectors - 2),
        uuid.UUID(int=9).bytes_le, fields.get('entries_at', 2), count,
        entry_size, fields.get('entries_crc', zlib.crc32(table)))
    length = fields.get('header_size', 92)
    # What is longer goes on with zeroes, in a sector that has room for it.
    crc = zlib.crc32(header[:length].ljust(min(length, 4096), b'\0'))
    struct.pack_into('<I', header, 16, fields.get('header_crc', crc))
    return header


def program(machine: int, size: int = 4096, *, signed: bool = False
            ) -> bytes:
    """A PE program for that machine, as far as its header goes.

    :param signed: with a table of certificates, of which only its place is
        there.
    """
    front = b'MZ' + bytes(0x3a) + (0x80).to_bytes(4, 'little')
    front = (front.ljust(0x80, b'\0') + b'PE\0\0'
             + machine.to_bytes(2, 'little')).ljust(0x98, b'\0')
    if signed:
        # PE32+, 16 directories, the fifth of which is that of certificates.
        front += (b'\x0b\x02'.ljust(108, b'\0') + (16).to_bytes(4, 'little')
                  + bytes(4 * 8) + (3000).to_bytes(4, 'little')
                  + (1000).to_bytes(4, 'little'))
    return front.ljust(size, b'\0')


def fat(path: pathlib.Path, size: int, files: Mapping[str, bytes], *,
        bits: int = 16, sector_size: int = 512) -> bytes:
    """A FAT volume with these files.

    :param path: for the volume, and with ``.d`` for its files.
    :param bits: 12, 16 or 32.
    """
    with path.open('wb') as volume:
        volume.truncate(size)
    base.run('mkfs.vfat', '-F', str(bits), '-S', str(sector_size), path)
    tree = path.with_suffix('.d')
    shutil.rmtree(tree, ignore_errors=True)
    for name, content in files.items():
        file = tree / name.lstrip('/')
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    if files:
        base.run('mcopy', '-s', '-i', path, *tree.iterdir(), '::')
    return path.read_bytes()
