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

"""Sectors that the content of a disk was made for.

An MBR does not say how large the sectors are that it counts, and no driver
mounts a file system on a disk whose sectors are larger than its own units:
what lies in the partitions tells both.
"""

from collections.abc import Iterable
import contextlib

from ironic_imagedeploy.engine.contents import mbr
from ironic_imagedeploy.engine.contents import read as _read
from ironic_imagedeploy.engine.contents import signatures
from ironic_imagedeploy.engine import exceptions

SIZES = (512, 4096)
#: Bytes at the front of a partition: the superblock of btrfs is the last.
_FRONT = 72 << 10
#: How partitions begin that hold anything but a file system: LUKS, BitLocker,
#: an array of md, bcache.
_CONTAINERS = (
    signatures.Signature('luks', 0, b'LUKS\xba\xbe'),
    signatures.Signature('bitlocker', 3, b'-FVE-FS-'),
    signatures.Signature('md', 0, b'\xfc\x4e\x2b\xa9'),
    signatures.Signature('bcache', 0x1018, b'\xc6\x85\x73\xf6\x4e\x1a\x45\xca'
                                           b'\x82\x65\xf5\x7f\x48\xba\x6d\x81'))
#: Types of partitions that are lists of others.
_EXTENDED = frozenset({0x05, 0x0f, 0x85})


def of_mbr(read: _read.Read, entries: Iterable[mbr.Entry], size: int | None
           ) -> int | None:
    """Bytes in the sectors that an MBR counts; None when nothing tells.

    :param read: gives bytes of the disk.
    :param size: bytes of the disk; None when that is not known.
    """
    entries = tuple(entries)
    for sector_size in SIZES:
        if size is not None and any(
                (entry.start + entry.length) * sector_size > size
                for entry in entries):
            continue
        if any(_begins(read, entry, sector_size) for entry in entries):
            return sector_size
    return None


def _begins(read: _read.Read, entry: mbr.Entry, sector_size: int) -> bool:
    """Whether a partition begins there, as its content shows."""
    front = _front(read, entry.start * sector_size)
    return bool(
        signatures.file_system(front)
        or any(each.found_in(front, b'') for each in _CONTAINERS)
        or entry.type in _EXTENDED and mbr.is_boot_sector(front)
        and mbr.entries(front))


def file_system(read: _read.Read, start: int) -> tuple[str, int | None] | None:
    """The file system that begins there, and bytes in its smallest unit.

    :param read: gives bytes of the disk.
    :param start: first byte of the partition.
    :returns: None without one, or when it cannot be read; None for the unit
        of a kind that tells none.
    """
    front = _front(read, start)
    name = signatures.file_system(front)
    return (name, _unit(name, front)) if name else None


def _front(read: _read.Read, start: int) -> bytes:
    with contextlib.suppress(exceptions.SourceNotSeekable):
        return read(start, _FRONT)
    return b''


def _unit(name: str, front: bytes) -> int | None:
    match name:
        case 'vfat' | 'ntfs':
            # "BPB_BytsPerSec" of the FAT specification.
            unit = int.from_bytes(front[11:13], 'little')
        case 'exfat':
            # "BytesPerSectorShift" of the exFAT specification.
            unit = 1 << min(front[108], 16) if len(front) > 108 else 0
        case 'xfs':
            # sb_sectsize.
            unit = int.from_bytes(front[102:104])
        case 'ext4':
            # s_log_block_size.
            unit = 1024 << min(front[0x418], 6)
        case _:
            return None
    return unit or None
