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

"""Work of the agent itself on a disk, before and after an image is written."""

from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import typing

from oslo_log import log

from ironic_python_agent import config  # noqa: F401 (before disk_utils)
from ironic_python_agent import disk_utils
from ironic_python_agent.extensions import base
from ironic_python_agent import hardware

from ironic_imagedeploy.agent.boot import mirrored_esp
from ironic_imagedeploy.agent.boot import previous_system
from ironic_imagedeploy.agent.boot import software_raid
from ironic_imagedeploy.agent import order as orders
from ironic_imagedeploy.agent import sysfs
from ironic_imagedeploy.contract import names
from ironic_imagedeploy import engine

LOG = log.getLogger(__name__)


def forget_image() -> None:
    """Let the agent not believe that an earlier image is on the disk."""
    base.get_extension('standby').cached_image_id = None


def make_bootable(order: orders.WriteOrder, device: str,
                  array: software_raid.Array | None = None
                  ) -> tuple[dict[str, typing.Any], bool]:
    """Partition table, config drive and root UUID, the agent's own way.

    :param array: what the device is when it is a software RAID.
    :returns: the result of the agent's command prepare_image, and whether
        the backup of a GPT is where the disk ends.
    :raises RESTError: when the agent finds the disk unusable, which then
        boots nothing.
    """
    with bootable_or_wiped(device):
        is_repaired = _fix_partition_table(device)
        result = finish(order, {})
        if array:
            array.check_members()
            if order.own_boot_loader:
                _move_esp(order, array)
        return result, is_repaired


def _move_esp(order: orders.WriteOrder, array: software_raid.Array) -> None:
    """Let the disks of an array start it, and tell that they do."""
    mirrored_esp.move(array)
    array.check_members()
    base.get_extension('standby').partition_uuids[names.BOOTLOADER] = (
        order.boot_mode)


def add_boot_entry(order: orders.WriteOrder) -> None:
    """Let the firmware start a whole-disk image, the agent's own way.

    Ironic asks for it after the deploy step write_image, and not after those
    of others. Does nothing where the image has its boot entries.

    :raises RESTError: when that fails; the disk boots nothing then.
    """
    if names.BOOTLOADER in base.get_extension('standby').partition_uuids:
        return
    device = hardware.dispatch_to_managers('get_os_install_device')
    with bootable_or_wiped(device):
        base.get_extension('image').install_bootloader(
            root_uuid=None, target_boot_mode=order.boot_mode).wait()


@contextlib.contextmanager
def bootable_or_wiped(*devices: str) -> Iterator[None]:
    """Leave nothing that boots when anything goes wrong inside.

    :param devices: the disk; or the partition with the root file system, and
        then its disk, whose partition table and boot loader are wiped where
        the partition cannot be.
    :raises TargetMayBoot: when none of them can be wiped.
    """
    try:
        yield
    except BaseException as error:
        forget_image()
        failures = _wipe(devices)
        if failures:
            raise engine.exceptions.TargetMayBoot.after(
                failures, subject=devices[-1], cause=error) from error
        raise


def _wipe(devices: Sequence[str]) -> list[BaseException]:
    """Wipe the first of the devices that can be; what failed if none can."""
    failures: list[BaseException] = []
    for device in devices:
        try:
            with engine.open_target(device) as target:
                target.wipe_ends()
            failures = []
            break
        except BaseException as failure:
            _note(failures, device, failure)
    if sysfs.is_array(devices[-1]):
        # Firmware does not begin with the array.
        failures = []
        try:
            previous_system.disable_array(devices[-1])
        except BaseException as failure:
            _note(failures, devices[-1], failure)
    return failures


def _note(failures: list[BaseException], device: str, failure: BaseException
          ) -> None:
    LOG.error('%(device)s of a failed deployment cannot be wiped: %(error)s',
              {'device': device, 'error': failure})
    failures.append(failure)


def finish(order: orders.WriteOrder, partition_uuids: dict[str, typing.Any]
           ) -> dict[str, typing.Any]:
    """Run the rest of the agent's command, for an image that is there.

    It does not write an image that it believes to be on the disk.

    :param partition_uuids: what the agent tells the conductor later.
    :returns: the result of the agent's command prepare_image.
    """
    standby = base.get_extension('standby')
    standby.partition_uuids = partition_uuids
    standby.cached_image_id = order.image_info['id']
    command = standby.prepare_image(image_info=order.image_info,
                                    configdrive=order.configdrive)
    result: dict[str, typing.Any] = command.wait()
    return result


def _fix_partition_table(device: str) -> bool:
    """Move the backup GPT from the end of the image to that of the disk.

    :returns: whether it is there.
    """
    is_repaired = True
    try:
        with engine.open_target(device) as target:
            engine.repair_gpt(target)
    except engine.exceptions.ImageDeployError as error:
        LOG.warning('The backup GPT stays where the image ends: %s', error)
        is_repaired = False
    disk_utils.trigger_device_rescan(device)
    return is_repaired
