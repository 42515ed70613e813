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

"""Master boot records: the four primary partitions, in sectors.

The record does not say how many bytes a sector has.
"""

from collections.abc import Iterator
import struct
import typing

#: The end of a boot sector, of disks and of file systems.
BOOT_SIGNATURE = b'\x55\xaa'
_BOOT_CODE = 440
#: The code that libparted writes where there is none, and nothing after it: it
#: starts the boot sector of the bootable partition.
_OF_PARTED = bytes.fromhex(
    'fab800108ed0bc00b0b800008ed88ec0fbbe007cbf0006b90002f3a4ea21060000bebe07'
    '3804750b83c61081fefe0775f3eb16b402b001bb007cb2808a74018b4c02cd13ea007c00'
    '00ebfe').ljust(_BOOT_CODE, b'\0')
#: What the boot sector of a FAT says that boots nothing.
_NO_SYSTEM = b'not a bootable disk'
_TABLE = slice(446, 510)
_ENTRY = struct.Struct('<B3sB3sII')
_BOOTABLE = 0x80
_STATUSES = (0, _BOOTABLE)
#: The type that protects a disk with a GPT from tools that know none.
_PROTECTIVE = 0xee


class Entry(typing.NamedTuple):
    """A primary partition. Unit: sectors.

    :ivar number: 1 to 4.
    :ivar status: 0, or 0x80 for the bootable one.
    """

    number: int
    status: int
    type: int
    start: int
    length: int

    @property
    def bootable(self) -> bool:
        """Whether the boot code starts this partition."""
        return self.status == _BOOTABLE


def is_boot_sector(first: bytes) -> bool:
    """Whether a first sector of 512 bytes is marked as one."""
    return len(first) >= 512 and first[510:512] == BOOT_SIGNATURE


def has_boot_code(first: bytes) -> bool:
    """Whether the first sector holds a program for BIOS."""
    return any(first[:_BOOT_CODE])


def starts_partition(first: bytes) -> bool:
    """Whether the first sector does no more than start a partition."""
    return first.startswith(_OF_PARTED)


def starts_system(sector: bytes) -> bool:
    """Whether the first sector of a partition holds a program for BIOS."""
    return is_boot_sector(sector) and _NO_SYSTEM not in sector and any(
        sector[:_BOOT_CODE])


def identifier(first: bytes) -> int:
    """The number that Linux and Windows know the disk by; 0 for none."""
    return int.from_bytes(first[_BOOT_CODE:_BOOT_CODE + 4], 'little')


def leaves_disk_to_gpt(first: bytes) -> bool:
    """Whether the record leaves the disk to a GPT, as Linux and UEFI see it.

    A record with partitions but without the protective one is on a disk that
    was partitioned anew; what is left of its GPT means nothing.
    """
    types = [entry.type for entry in _used(first)]
    return _PROTECTIVE in types or not types


def is_protective(first: bytes) -> bool:
    """Whether the first partition stands for a GPT, from sector 1 on."""
    status, _, kind, _, start, length = _ENTRY.unpack_from(first, _TABLE.start)
    return (status in _STATUSES and kind == _PROTECTIVE and start <= 1
            and length > 0)


def entries(first: bytes) -> tuple[Entry, ...] | None:
    """Partitions that a boot sector lists; None when it is not a table.

    Boot sectors of file systems end in the same two bytes.
    """
    if any(status not in _STATUSES
           for status, *_ in _ENTRY.iter_unpack(first[_TABLE])):
        return None
    used = tuple(_used(first))
    if not all(entry.start for entry in used):
        return None
    return used or None


def _used(first: bytes) -> Iterator[Entry]:
    for number, (status, _, kind, _, start, length) in enumerate(
            _ENTRY.iter_unpack(first[_TABLE]), 1):
        if kind and length:
            yield Entry(number, status, kind, start, length)
