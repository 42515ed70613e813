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

"""The EFI system partition of a whole-disk image on a software RAID.

Firmware does not read it in the array. It moves to a mirror of its own, which
has a half on each disk of the array.
"""

from collections.abc import Iterator
import contextlib
import os

from oslo_concurrency import processutils
from oslo_log import log

from ironic_python_agent import config  # noqa: F401 (before utils)
from ironic_python_agent import errors
from ironic_python_agent import utils

from ironic_imagedeploy.agent.boot import esp
from ironic_imagedeploy.agent.boot import nvram
from ironic_imagedeploy.agent.boot import previous_system
from ironic_imagedeploy.agent.boot import software_raid
from ironic_imagedeploy.agent import sysfs
from ironic_imagedeploy import engine
from ironic_imagedeploy.engine.contents import fat

LOG = log.getLogger(__name__)

#: The directory that firmware, and its boot entries, start programs from, as
#: a FAT has its name.
_EFI = b'EFI        '
#: Its name as long as it is not whole.
_WITHHELD = b'EFI     NEW'
_OPTIONS = ('nosuid', 'nodev')
_FIRMWARE = '/sys/firmware/efi'


def move(array: software_raid.Array) -> None:
    """Move the partition onto the disks, and let the firmware start from it.

    The copy is made file by file. Its directory ``EFI`` gets that name when
    all of it is on the medium.

    :param array: with the image on it, which is verified.
    :raises DeploymentError: when it cannot be moved, or has no programs.
    :raises BadContent: when it is not a FAT that can be read.
    """
    partition = _find(array.device)
    _rename(partition, _EFI, _WITHHELD)
    mirror = array.mirror_esp(partition)
    with software_raid.complete(mirror):
        # The agent goes on with what it could not unmount.
        os.sync()
        esp.flush(mirror)
        _rename(mirror, _WITHHELD, _EFI)
    LOG.info('The EFI system partition of %(array)s is %(mirror)s now',
             {'array': array.device, 'mirror': mirror})
    if os.path.exists(_FIRMWARE):
        halves = filter(None, map(sysfs.partition, sysfs.members(mirror)))
        with _mounted(mirror, 'ro') as place:
            nvram.add_entries_of_image([*halves], place)


def _find(array: str) -> str:
    found = previous_system.esp_devices(array)
    if not found:
        utils.rescan_device(array)
        found = previous_system.esp_devices(array)
    if found:
        return found[0]
    raise errors.DeploymentError(
        f'No firmware starts the image on {array}: expected an EFI system '
        'partition in it, found none. Use an image for UEFI.')


def _rename(device: str, old: bytes, new: bytes) -> None:
    """Give a directory another name: one sector changes."""
    try:
        with open(device, 'r+b') as file:
            def read(offset: int, length: int) -> bytes:
                return os.pread(file.fileno(), length, offset)

            volume = fat.FatVolume(read, engine.Budget.before_write())
            at, taken = volume.find(old), volume.find(new)
            if at is None or taken is not None:
                raise errors.DeploymentError(
                    'No firmware starts the image: expected a directory EFI, '
                    'and none of the name EFI.NEW, in its EFI system '
                    f'partition {device}, found '
                    f'{"no EFI" if at is None else "both"}. Use an image for '
                    'UEFI.')
            os.pwrite(file.fileno(), new, at)
            os.fsync(file.fileno())
    except OSError as error:
        raise errors.DeploymentError(
            f'The EFI system partition {device} cannot be changed: '
            f'{error.strerror}') from error


@contextlib.contextmanager
def _mounted(device: str, *options: str) -> Iterator[str]:
    try:
        with utils.mounted(device, fs_type='vfat',
                           opts=[*options, *_OPTIONS]) as place:
            yield place
    except processutils.ProcessExecutionError as error:
        raise errors.DeploymentError(
            f'The EFI system partition {device} cannot be mounted: '
            f'{str(error.stderr).strip()}') from error
