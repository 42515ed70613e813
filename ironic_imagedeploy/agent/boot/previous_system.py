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

"""The system that was on a disk before: firmware must not start it any more.

Half of it, or half of it with parts of the new one, may be there when the
power fails while the new one is written.
"""

from collections.abc import Iterator
import contextlib
import os

from oslo_concurrency import processutils

from ironic_python_agent import config  # noqa: F401 (before utils)
from ironic_python_agent import errors
from ironic_python_agent import utils

from ironic_imagedeploy.agent.boot import bios
from ironic_imagedeploy.agent import sysfs
from ironic_imagedeploy import engine
from ironic_imagedeploy.engine.contents import partitions
from ironic_imagedeploy.engine.contents import read as _read
from ironic_imagedeploy.engine import memory

#: Bytes of a first sector before the disk's signature and partition table.
_BOOT_CODE = 440
#: Bytes of a FAT that has its table and its first directories in them: when
#: another one is made in its place, parts of both may be there.
FRONT = 4 << 20
#: Bytes of each end of a disk that have its partition tables in them.
_END = 1 << 20


def disable(disk: engine.Target, *, keep_partitions: bool,
            verify: bool = False) -> None:
    """Let nothing start from a disk, before anything on it is changed.

    What firmware begins with is zero on the medium before the rest is.

    :param disk: with all of its partitions.
    :param keep_partitions: boot code and EFI system partitions are wiped;
        else the ends of the disk, and the front of each partition.
    :param verify: read back what was wiped.
    :raises TargetError: when it cannot be written.
    :raises TargetMayBoot: when the disk has lost the zeroes.
    """
    found = _partitions(disk)
    if keep_partitions:
        found = [each for each in found if each.type in partitions.ESP_TYPES]
        for esp in found:
            disk.zero(esp.start, disk.sector_size)
        disk.write(0, memoryview(bytes(_BOOT_CODE)))
        disk.flush()
    else:
        disk.wipe_ends()
    for each in found:
        disk.zero(each.start, min(each.length, FRONT))
    disk.flush()
    if verify:
        end = min(_END, disk.size)
        ends = [(0, _BOOT_CODE)] if keep_partitions else [
            (0, end), (disk.size - end, end)]
        for start, length in (*ends, *((each.start, min(each.length, FRONT))
                                       for each in found)):
            _verify(disk, start, length)


def disable_array(device: str, *, verify: bool = False) -> None:
    """Let nothing start from the disks that a software RAID lies on.

    Their boot code and EFI system partitions are not in the array, and would
    start the system in it while another one is written over that. Does
    nothing for a disk. Where one fails, the others are wiped all the same.

    :param verify: read back what was wiped.
    :raises TargetError: when a disk cannot be written.
    :raises TargetMayBoot: when one has lost the zeroes.
    :raises DeploymentError: when an EFI system partition cannot be made anew.
    """
    if not sysfs.is_array(device):
        return
    found = filter(None, map(sysfs.partition, sysfs.members(device)))
    disks = dict.fromkeys(member.disk for member in found)
    failures: list[Exception] = []
    with contextlib.ExitStack() as stack:
        esps, paths = [], dict[str, None]()
        for disk in disks:
            with _noted(failures):
                paths |= dict.fromkeys(esp_devices(disk))
        for path in paths:
            with _noted(failures):
                esps.append(stack.enter_context(engine.open_target(path)))
        for esp in esps:
            with _noted(failures):
                esp.zero(0, esp.sector_size)
                esp.flush()
        for disk in disks:
            with _noted(failures):
                clear(disk, 'boot code', 0, _BOOT_CODE, verify=verify)
        for esp in esps:
            with _noted(failures):
                esp.zero(0, min(esp.size, FRONT))
                esp.flush()
                if verify:
                    _verify(esp, 0, min(esp.size, FRONT))
    if failures:
        raise failures[0]
    for esp in esps:
        if sysfs.is_array(esp.path):
            _make_fat(esp.path)


@contextlib.contextmanager
def _noted(failures: list[Exception]) -> Iterator[None]:
    """Go on with the other disks where one fails."""
    try:
        yield
    except (engine.exceptions.TargetError, errors.DeploymentError) as error:
        failures.append(error)


def esp_devices(disk: str) -> list[str]:
    """EFI system partitions of a disk, or the mirrors that they are in.

    :raises Unreadable: when the disk does not give its table.
    """
    try:
        table = bios.read_table(disk)
    except bios.Unreadable:
        raise
    except errors.DeploymentError:
        return []
    devices = sysfs.partitions(disk)
    found = [devices[each.number] for each in table.partitions
             if each.type in partitions.ESP_TYPES and each.number in devices]
    return [device for esp in found for device in sysfs.holders(esp) or [esp]]


def clear(disk: str, what: str, start: int, length: int, *,
          verify: bool = False) -> None:
    """Zero some bytes of a disk that a software RAID lies on.

    :param what: is there, for the error.
    :param verify: read them back.
    :raises TargetError: when they cannot be written.
    :raises TargetMayBoot: when the disk has lost the zeroes.
    """
    # Not as a target: the array holds a part of the disk.
    try:
        with open(disk, 'r+b') as file:
            file.seek(start)
            file.write(bytes(length))
            file.flush()
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            is_zero = not verify or not any(
                os.pread(file.fileno(), length, start))
    except OSError as error:
        raise engine.exceptions.TargetError(
            disk, expected=f'zeroes in place of the {what}',
            found=f'{error.strerror} on {disk}',
            fix='Check the disk and its cable, or replace it.') from error
    if not is_zero:
        raise _may_boot(disk, disk)


def _verify(target: engine.Target, start: int, length: int) -> None:
    """See that a range, which begins with a sector, is zero."""
    sectors = -(-length // target.sector_size) * target.sector_size
    for copy in target.copies:
        copy.drop_cache()
        if not memory.is_zero(copy.read(start, sectors)[:length]):
            raise _may_boot(target.path, copy.path)


def _may_boot(device: str, disk: str) -> engine.exceptions.TargetMayBoot:
    return engine.exceptions.TargetMayBoot(
        device, expected='zeroes, which it said to have written, in place of '
        'the former boot code and EFI system partition',
        found=f'other bytes on {disk}',
        fix='Do not start the machine from this disk: replace it, or wipe it '
        'by other means.')


def _make_fat(mirror: str) -> None:
    """Make an empty FAT, by which the agent knows a mirror of an ESP."""
    try:
        utils.mkfs(fs='vfat', path=mirror, label='efi-part')
    except processutils.ProcessExecutionError as error:
        raise errors.DeploymentError(
            f'The EFI system partition {mirror} cannot be made anew: '
            f'{str(error.stderr).strip()}') from error


def _partitions(disk: engine.Target) -> list[partitions.Partition]:
    read = _read.part(lambda offset, length: bytes(
        disk.read(offset, length)), 0, disk.size)
    try:
        table = partitions.read_table(read, disk.size)
    except engine.exceptions.BadContent:
        return []
    return [each for each in table.partitions
            if 0 < each.start < each.end <= disk.size] if table else []
