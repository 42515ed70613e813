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

"""Checks of the ordered partitions, before the disk is touched."""

import shutil
import tempfile
import zlib

from oslo_config import cfg

from ironic_python_agent import config  # noqa: F401 (first)
from ironic_python_agent import errors
from ironic_python_agent import partition_utils

from ironic_imagedeploy.agent import order as orders

_MIB = 1 << 20


def check_fit(order: orders.WriteOrder, disk_size: int) -> None:
    """See that all partitions fit, before the disk is touched.

    :param disk_size: bytes.
    :raises DeploymentError: when they do not.
    """
    options, sizes = cfg.CONF.disk_utils, order.partition_sizes
    parts = {'root': sizes.root, 'swap': sizes.swap,
             'ephemeral': sizes.ephemeral,
             'boot': (options.efi_system_partition_size
                      if order.boot_mode == 'uefi'
                      else options.bios_boot_partition_size),
             'config drive': _config_drive_size(order),
             # before the first one and after the last one
             'tables': 2}
    if sum(parts.values()) > disk_size // _MIB:
        raise errors.DeploymentError(
            'The partitions do not fit on the disk: expected at most '
            f'{disk_size // _MIB} MiB, found {sum(parts.values())} MiB ('
            + ', '.join(f'{name} {size}' for name, size in parts.items())
            + '). Choose smaller root_gb, swap_mb or ephemeral_gb in '
            'instance_info.')


def _config_drive_size(order: orders.WriteOrder) -> int:
    """MiB of the config drive, which is unpacked for that.

    :raises DeploymentError: when it is not one.
    """
    if not order.configdrive:
        return 0
    with tempfile.TemporaryDirectory(prefix='imagedeploy-') as name:
        try:
            return int(partition_utils.get_configdrive(
                order.configdrive, order.node_uuid, tempdir=name)[0])
        except (EOFError, zlib.error) as error:
            raise errors.DeploymentError(
                f'The config drive cannot be unpacked: {error}. Make it '
                'again.') from error


def check_formats(order: orders.WriteOrder) -> None:
    """See that all partitions can be formatted, before the disk is touched.

    :raises DeploymentError: naming what is missing.
    """
    sizes = order.partition_sizes
    formats = ['vfat'] if order.boot_mode == 'uefi' else []
    if sizes.ephemeral and not sizes.preserve_ephemeral:
        formats.append(str(sizes.ephemeral_format))
    for name in formats:
        program = f'mkfs.{name}'
        if not shutil.which(program):
            raise errors.DeploymentError(
                f'The deploy ramdisk cannot make a file system {name}: '
                f'expected a program {program}, found none. Add it to the '
                'ramdisk, or choose another ephemeral_format in '
                'instance_info.')
