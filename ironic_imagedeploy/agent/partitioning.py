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

"""Partitions around a partition image, made as the agent itself makes them."""

import os

from oslo_concurrency import processutils

from ironic_python_agent import config  # noqa: F401 (first)
from ironic_python_agent import disk_utils
from ironic_python_agent import errors
from ironic_python_agent import partition_utils
from ironic_python_agent import utils

from ironic_imagedeploy.agent.boot import previous_system
from ironic_imagedeploy.agent import commands
from ironic_imagedeploy.agent import order as orders
from ironic_imagedeploy.agent import partition_devices
from ironic_imagedeploy import engine

#: Bytes of the largest sectors that ISO 9660 is mounted from.
_ISO_BLOCK = 2048


def make(order: orders.WriteOrder, device: str
         ) -> partition_devices.Partitions:
    """Make and format all partitions, but leave the root one empty.

    :raises DeploymentError: when the disk cannot be partitioned like this.
    :raises TargetError: when the system on it cannot be wiped, or when it is
        not, by what is read back.
    """
    sizes = order.partition_sizes
    verify = order.policy.read_back != 'none'
    previous_system.disable_array(device, verify=verify)
    with engine.open_target(device) as disk:
        previous_system.disable(
            disk, keep_partitions=sizes.preserve_ephemeral, verify=verify)
        if not sizes.preserve_ephemeral:
            _wipe_partitions(device)
    try:
        partitions = partition_devices.Partitions.of(
            partition_utils.work_on_disk(
                device, sizes.root, sizes.swap, sizes.ephemeral,
                sizes.ephemeral_format, None, order.node_uuid,
                preserve_ephemeral=sizes.preserve_ephemeral,
                configdrive=order.configdrive, boot_mode=order.boot_mode,
                disk_label=order.disk_label, cpu_arch=order.arch))
        if (order.configdrive and partitions.configdrive
                and disk_utils.get_dev_sector_size(device) > _ISO_BLOCK):
            _make_mountable(partitions.configdrive, order.configdrive,
                            order.node_uuid)
    except processutils.ProcessExecutionError as error:
        raise errors.DeploymentError(
            f'{device} cannot be partitioned: {str(error.stderr).strip()}'
        ) from error
    except errors.FileSystemNotSupported as error:
        # Sent as it is, the conductor would see no answer of the agent.
        raise errors.DeploymentError(
            f'{device} cannot be partitioned: {error.message}') from error
    _flush(device)
    return partitions


def _wipe_partitions(device: str) -> None:
    """Forget the file systems on a disk that is going to be erased.

    New partitions begin where old ones did, and mkfs for XFS and btrfs
    refuses what has a file system.
    """
    for name in commands.run('lsblk', '-nlpo', 'NAME', device).split()[1:]:
        utils.try_execute('wipefs', '--force', '--all', name)


def _flush(device: str) -> None:
    """Let new file systems be on the medium before the image is written."""
    with open(device, 'rb') as disk:
        # The partitions have caches of their own.
        os.sync()
        os.fsync(disk)


def _make_mountable(partition: str, configdrive: str, node_uuid: str) -> None:
    """Put the files of a config drive into a FAT instead of an ISO 9660.

    As the agent does it for whole-disk images. Its public function may take
    a partition that udev has no label of yet for none, and make another.
    """
    _, path = partition_utils.get_configdrive(configdrive, node_uuid)
    try:
        partition_utils._try_build_fat32_config_drive(partition, path)
    finally:
        utils.unlink_without_raise(path)
