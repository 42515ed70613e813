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

"""What a former system leaves at the ends of a disk.

Each is as libblkid knows it: the superblock of an array, of a volume or of a
file system, where its size of the disk puts it.
"""

from collections.abc import Callable
import struct
import zlib

from tests.support import commands
from tests.support import disks
from tests.support import lvm

KIB = 1 << 10
MIB = 1 << 20
_LABEL = 256 * KIB
#: Of the second half of a label of ZFS, each KiB.
_UBERBLOCK = struct.Struct('<QQQQQ')
_ZFS_MAGIC, _ZFS_VERSION = 0x00bab10c, 5000
_MD_MAGIC = 0xa92b4efc
_MD_RESERVED = 64 * KIB


def _put(device: str, *parts: tuple[int, bytes]) -> None:
    with open(device, 'r+b') as disk:
        for offset, content in parts:
            disk.seek(offset)
            disk.write(content)


def gpt(device: str, size: int) -> None:
    """A table with its backup."""
    commands.run('sfdisk', '-q', '--no-reread', device,
                 stdin='label: gpt\nsize=1MiB\n')


def zfs(device: str, size: int) -> None:
    """Two labels at the front, and two at the end."""
    label = bytearray(_LABEL)
    for at in range(_LABEL // 2, _LABEL, KIB):
        _UBERBLOCK.pack_into(label, at, _ZFS_MAGIC, _ZFS_VERSION, 4 + at, 1,
                             1)
    end = size - size % _LABEL
    _put(device, *((at, bytes(label)) for at in (
        0, _LABEL, end - 2 * _LABEL, end - _LABEL)))


def md_0_90(device: str, size: int) -> None:
    """The superblock of an array in the last whole 64 KiB."""
    at = size - size % _MD_RESERVED - _MD_RESERVED
    _put(device, (at, struct.pack('<12I', _MD_MAGIC, 0, 90, 0, 0, 0x1234, 1, 1,
                                  at >> 10, 2, 2, 127)))


def md_1_0(device: str, size: int) -> None:
    """The superblock of an array, 8 to 12 KiB before the end."""
    sector = (size // 512 - 16) // 8 * 8
    _put(device, (sector * 512, struct.pack(
        '<4I16s32sQIIQIIII', _MD_MAGIC, 1, 0, 0, b'former-array-uid', b'old',
        0, 1, 0, sector, 0, 2, 0, 0).ljust(128, b'\0') + struct.pack(
            '<4Q', 0, sector, sector, 0)))


def lvm2(device: str, size: int) -> None:
    """A volume with a second copy of its metadata at the end."""
    front = lvm.front(lvm.metadata({'root': [(2, 0)]}), size)
    struct.pack_into('<I', front, 512 + 16, _lvm_crc(front[532:1024]))
    area = bytes(front[4096:8192])
    _put(device, (0, bytes(front)), (size - MIB, area))


def _lvm_crc(content: bytes) -> int:
    """As lvm2 computes it: of zlib's kind, from another beginning."""
    crc = 0xf597a6cf
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xedb88320 if crc & 1 else 0)
    return crc


def ddf(device: str, size: int) -> None:
    """The anchor of an array of firmware in the last sector, and a header."""
    header = bytearray(512)
    struct.pack_into('>II24s8s', header, 0, 0xde11de11, 0xffffffff,
                     b'LSI     former array    ', b'01.02.00')
    struct.pack_into('>Q', header, 96, size // 512 - 64)
    struct.pack_into('>I', header, 4, zlib.crc32(header))
    _put(device, (size - 512, bytes(header)),
         ((size // 512 - 64) * 512, bytes(header)))


def intel_raid(device: str, size: int) -> None:
    """An array of Intel's firmware, in the last sector but one."""
    _put(device, (size - 1024,
                  b'Intel Raid ISM Cfg Sig. 1.3.00\0\0'))


def btrfs(device: str, size: int) -> None:
    """A file system with a second superblock at 64 MiB."""
    disks.run('mkfs.btrfs', '-q', '-f', device)


#: By what libblkid calls each of them, and a version.
KINDS: dict[str, Callable[[str, int], None]] = {
    'gpt': gpt, 'zfs_member': zfs, 'LVM2_member': lvm2, 'btrfs': btrfs,
    'ddf_raid_member': ddf, 'isw_raid_member': intel_raid,
    'linux_raid_member 0.90': md_0_90, 'linux_raid_member 1.0': md_1_0}
