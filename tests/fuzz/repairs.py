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


"""Checksums of a changed disk, made right again.

Without them a reader, or the one that it is compared with, refuses nearly
every change at once.
"""

from collections.abc import Callable
import hashlib
import struct
import zlib

from ironic_imagedeploy.engine.contents.filesystems import crc32c
from tests.fuzz import disk as _disk

Disk = _disk.Disk
Repair = Callable[[Disk], None]

_GPT_SIZE, _GPT_CRC = 12, 16
_GPT_ENTRIES = struct.Struct('<QII')
_GPT_ENTRIES_AT, _GPT_ENTRIES_CRC = 72, 88
_GPT_MOST = 1 << 20
_BTRFS_SUPERBLOCKS = (64 << 10, 64 << 20)
_BTRFS_NODE_SIZE = 4096
_BTRFS_CHECKED = 32
_BTRFS_KIND_AT, _BTRFS_SHA256 = 196, 2
_XFS_CRCS = {b'XFSB': 224, b'XAGF': 216, b'XAGI': 312, b'XAFL': 32}
_XFS_BLOCKS = {b'XDB3': 4, b'XDD3': 4, b'XSLM': 12, b'BMA3': 64,
               b'AB3B': 52, b'AB3C': 52, b'IAB3': 52, b'FIB3': 52}
_XFS_INODE, _XFS_INODE_CRC, _XFS_VERSION = b'IN', 100, 4


def gpt(disk: Disk) -> None:
    """Both headers, and their entries."""
    for sector_size in (512, 4096):
        for sector in (1, disk.size // sector_size - 1):
            _gpt_header(disk, sector * sector_size, sector_size)


def _gpt_header(disk: Disk, place: int, sector_size: int) -> None:
    stored = bytearray(disk.read(place, sector_size))
    if not stored.startswith(b'EFI PART') or len(stored) < 92:
        return
    size, = struct.unpack_from('<I', stored, _GPT_SIZE)
    at, count, length = _GPT_ENTRIES.unpack_from(stored, _GPT_ENTRIES_AT)
    if count * length <= _GPT_MOST:
        entries = disk.read(at * sector_size, count * length)
        struct.pack_into('<I', stored, _GPT_ENTRIES_CRC, zlib.crc32(entries))
    stored[_GPT_CRC:_GPT_CRC + 4] = bytes(4)
    crc = zlib.crc32(stored[:min(size, sector_size)])
    struct.pack_into('<I', stored, _GPT_CRC, crc)
    disk.write(place, bytes(stored))


def ext4(disk: Disk, start: int = 0) -> None:
    """The superblock: there are no other checksums in the seeds."""
    stored = disk.read(start + 1024, 1024)
    crc = crc32c.update(stored[:0x3fc])
    disk.write(start + 1024 + 0x3fc, struct.pack('<I', crc))


def btrfs(disk: Disk) -> None:
    """The superblocks, and the nodes of all trees."""
    for place in _BTRFS_SUPERBLOCKS:
        if disk.read(place + 64, 8) == b'_BHRfS_M':
            _btrfs_block(disk, place, 4096)
    identifier = disk.read(_BTRFS_SUPERBLOCKS[0] + _BTRFS_CHECKED, 16)
    for place in disk.blocks(_BTRFS_NODE_SIZE):
        if disk.read(place + _BTRFS_CHECKED, 16) == identifier and (
                place not in _BTRFS_SUPERBLOCKS):
            _btrfs_block(disk, place, _BTRFS_NODE_SIZE)


def _btrfs_block(disk: Disk, place: int, length: int) -> None:
    checked = disk.read(place, length)[_BTRFS_CHECKED:]
    kind = disk.read(_BTRFS_SUPERBLOCKS[0] + _BTRFS_KIND_AT, 1)[0]
    disk.write(place, hashlib.sha256(checked).digest()
               if kind == _BTRFS_SHA256
               else struct.pack('<I', crc32c.checksum(checked)))


def xfs(disk: Disk) -> None:
    """Superblocks, inodes and blocks with names, by their signatures."""
    for place in disk.blocks():
        magic = disk.read(place, 4)
        if magic in _XFS_CRCS:
            _xfs_crc(disk, place, 512, _XFS_CRCS[magic])
        elif magic in _XFS_BLOCKS:
            _xfs_crc(disk, place, 4096, _XFS_BLOCKS[magic])
        elif magic.startswith(_XFS_INODE) and disk.read(
                place + _XFS_VERSION, 1) == b'\x03':
            _xfs_crc(disk, place, 512, _XFS_INODE_CRC)


def _xfs_crc(disk: Disk, place: int, length: int, at: int) -> None:
    stored = bytearray(disk.read(place, length))
    stored[at:at + 4] = bytes(4)
    disk.write(place + at, struct.pack('<I', crc32c.checksum(bytes(stored))))


#: Repairs by the seed's file system or table.
REPAIRS: dict[str, Repair] = {
    'gpt': gpt, 'ext4': ext4, 'btrfs': btrfs, 'xfs': xfs}


def superblock(name: str, disk: Disk) -> None:
    """What our readers look at: they do not check the rest."""
    if name.startswith('btrfs'):
        _btrfs_block(disk, _BTRFS_SUPERBLOCKS[0], 4096)
    elif name in ('xfs', 'xfs-blocks'):
        _xfs_crc(disk, 0, 512, _XFS_CRCS[b'XFSB'])
    elif name.startswith('ext4'):
        ext4(disk)
    elif name in ('gpt', 'system'):
        gpt(disk)


def everything(name: str, disk: Disk) -> None:
    """What the tools of a file system look at."""
    for kind, repair in REPAIRS.items():
        if name.startswith(kind):
            repair(disk)
