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

"""Boot entries in the NVRAM of the firmware."""

from collections.abc import Sequence
import re

from oslo_concurrency import processutils
from oslo_config import cfg
from oslo_log import log

from ironic_python_agent import config  # noqa: F401 (before efi_utils)
from ironic_python_agent import efi_utils
from ironic_python_agent import errors

from ironic_imagedeploy.agent.boot import esp
from ironic_imagedeploy.agent.boot import grub
from ironic_imagedeploy.agent import sysfs

LOG = log.getLogger(__name__)

#: The boot entry that the agent itself makes; a second one would be left.
LABEL = 'ironic1'
#: And those that it makes for a software RAID.
_LABELS = re.compile(LABEL + r'(?: \(RAID, part\d+\))?')


def add_boot_entries(esps: Sequence[sysfs.Partition],
                     platform: grub.Platform) -> None:
    """Let the firmware start the system; there are no other such entries.

    :param esps: the EFI system partition, or all halves of its mirror; the
        firmware tries them in this order.
    """
    loader = f'\\EFI\\{esp.REMOVABLE}\\BOOT{platform.suffix.upper()}.EFI'
    labels = [LABEL]
    if len(esps) > 1:
        labels = [f'{LABEL} (RAID, part{number})'
                  for number in range(len(esps))]
    try:
        for entry, label, *_ in list(efi_utils.get_boot_records()):
            if _LABELS.fullmatch(label):
                efi_utils.remove_boot_record(entry)
        # The entry that was added last comes first.
        for half, label in reversed(list(zip(esps, labels, strict=True))):
            efi_utils.add_boot_record(half.disk, half.number, loader, label)
    except (OSError, processutils.ProcessExecutionError) as error:
        raise errors.DeploymentError(
            f'A boot entry could not be added: {error}') from error


def add_entries_of_image(halves: Sequence[sysfs.Partition], place: str
                         ) -> None:
    """Let the firmware start the programs of an image, as the agent does.

    :param halves: of the mirror of its EFI system partition; the firmware
        tries them in this order.
    :param place: where the mirror is mounted.
    :raises DeploymentError: when there are no programs, or when the firmware
        takes no entry and the agent's option ``ignore_bootloader_failure`` is
        not set.
    """
    try:
        programs = efi_utils._get_efi_bootloaders(place)
        # The entry that was added last comes first.
        for number, half in reversed(list(enumerate(halves))):
            efi_utils._run_efibootmgr(
                programs, half.disk, half.number, place,
                f'(RAID, part{number})')
    except (OSError, ValueError, IndexError,
            processutils.ProcessExecutionError) as error:
        if not cfg.CONF.ignore_bootloader_failure:
            raise errors.DeploymentError(
                f'A boot entry could not be added: {error}') from error
        LOG.warning('A boot entry could not be added: %s', error)
        return
    if not programs:
        raise errors.DeploymentError(
            'No boot entry could be added: expected a program for UEFI in '
            'the EFI system partition of the image, found none that '
            'ironic-python-agent knows. Use an image with '
            'EFI/BOOT/BOOTX64.EFI, or that of its architecture.')
