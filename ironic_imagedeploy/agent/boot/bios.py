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

"""grub2 for BIOS: its first sector, and the rest where no partition is.

What grub-bios-setup does, without its look at file systems. The offsets are
those of grub2's include/grub/i386/pc/boot.h and offsets.h.
"""

import os
import pathlib
import struct

from ironic_python_agent import errors

from ironic_imagedeploy.agent.boot import grub
from ironic_imagedeploy.engine.contents import partitions
from ironic_imagedeploy.engine import exceptions

_SECTOR = 512
#: The parameters of a FAT that may be in a first sector.
_PARAMETERS = slice(0x3, 0x5a)
_CORE_SECTOR = 0x5c
_BOOT_DRIVE = 0x64
_THE_ONE_THAT_BOOTED = 0xff
#: A jump that takes the drive number of the BIOS for right; some give none.
_DRIVE_CHECK = slice(0x66, 0x68)
_NO_OPERATIONS = b'\x90\x90'
#: The disk's signature and its partition table.
_TABLE = slice(0x1b8, 0x1fe)
#: Where the first sector of the core has the sector that comes next.
_NEXT = _SECTOR - 12


class Unreadable(errors.DeploymentError):
    """A disk from which a partition table cannot be read."""


def check(device: str, sector_size: int) -> None:
    """See that a BIOS can boot from the disk, before it is erased.

    :param sector_size: bytes of a logical sector.
    :raises DeploymentError: when it cannot: it reads sectors of 512 bytes.
    """
    if sector_size != _SECTOR:
        raise errors.DeploymentError(
            f'No BIOS boots from {device}: expected sectors of '
            f'{_SECTOR} bytes, found {sector_size}. Boot the node with UEFI '
            '(its capability boot_mode:uefi).')


def install(device: str, core: bytes, *, verify: bool = False) -> None:
    """Write grub2 to a disk, into its BIOS boot partition or the MBR gap.

    :param device: a disk with a partition table.
    :param core: made by grub-mkimage.
    :param verify: read back what was written.
    :raises DeploymentError: when there is no place for it, or the disk has
        not kept it.
    """
    boot = bytearray(pathlib.Path(grub.BIOS.directory, 'boot.img')
                     .read_bytes())
    disk = os.open(device, os.O_RDWR)
    try:
        start, most = _core_space(read_table(device), device)
        if len(core) > most:
            raise errors.DeploymentError(
                f'grub2 does not fit on {device}: expected at least '
                f'{len(core)} bytes before the first partition or in a BIOS '
                f'boot partition, found {most}')
        linked = _linked(core, start // _SECTOR)
        _write(disk, start, linked)
        first = os.pread(disk, _SECTOR, 0)
        boot[_PARAMETERS] = first[_PARAMETERS]
        boot[_TABLE] = first[_TABLE]
        boot[_DRIVE_CHECK] = _NO_OPERATIONS
        boot[_BOOT_DRIVE] = _THE_ONE_THAT_BOOTED
        struct.pack_into('<Q', boot, _CORE_SECTOR, start // _SECTOR)
        os.fsync(disk)
        _write(disk, 0, bytes(boot))
        os.fsync(disk)
        if verify:
            os.posix_fadvise(disk, 0, 0, os.POSIX_FADV_DONTNEED)
            _verify(disk, device, start, linked)
            _verify(disk, device, 0, bytes(boot))
    except OSError as error:
        raise errors.DeploymentError(
            f'grub2 cannot be written to {device}: {error.strerror}'
        ) from error
    finally:
        os.close(disk)


def table_name(device: str) -> str:
    """Name that grub2 has for the kind of partition table of a disk."""
    return 'gpt' if read_table(device).kind == 'gpt' else 'msdos'


def read_table(device: str) -> partitions.PartitionTable:
    """The partition table of a disk.

    :raises Unreadable: when the disk does not give it.
    :raises DeploymentError: when it cannot be used.
    """
    try:
        with open(device, 'rb') as disk:
            def read(offset: int, length: int) -> bytes:
                disk.seek(offset)
                return disk.read(length)

            table = partitions.read_table(read, disk.seek(0, os.SEEK_END))
    except exceptions.BadContent as error:
        raise errors.DeploymentError(
            f'The partition table of {device} cannot be used: expected '
            f'{error.expected}, found {error.found}.') from error
    except OSError as error:
        raise Unreadable(
            f'The partition table of {device} cannot be read: '
            f'{error.strerror}. Replace the disk.') from error
    if table is None:
        raise errors.DeploymentError(f'{device} has no partition table')
    return table


def _linked(core: bytes, sector: int) -> bytes:
    """The core, as it is when it starts with that sector of the disk."""
    linked = bytearray(core)
    struct.pack_into('<Q', linked, _NEXT, sector + 1)
    return bytes(linked) + bytes(-len(linked) % _SECTOR)


def _core_space(table: partitions.PartitionTable, device: str
                ) -> tuple[int, int]:
    """Offset of the space for the core, and its length; in bytes."""
    if table.kind == 'mbr':
        first = min(partition.start for partition in table.partitions)
        return _SECTOR, first - _SECTOR
    found = table.first(partitions.BIOS_BOOT)
    if found is None:
        raise errors.DeploymentError(
            f'grub2 for BIOS has no place on {device}: expected a BIOS boot '
            'partition, found a GPT without one. Boot the node with UEFI.')
    return found.start, found.length


def _write(disk: int, start: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        written = os.pwrite(disk, view, start)
        start, view = start + written, view[written:]


def _verify(disk: int, device: str, start: int, content: bytes) -> None:
    if os.pread(disk, len(content), start) != content:
        raise errors.DeploymentError(
            f'grub2 is not on {device}: expected what was written from byte '
            f'{start} on, found other bytes. Replace the disk.')
