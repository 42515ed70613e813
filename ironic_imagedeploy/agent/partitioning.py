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

"""Partitions around a partition image, as the agent itself makes them."""

from collections.abc import Iterator
import contextlib
import os
import shutil
import tempfile
import time
import typing
import zlib

from oslo_concurrency import processutils
from oslo_config import cfg

from ironic_python_agent import config  # noqa: F401 (first)
from ironic_python_agent import disk_utils
from ironic_python_agent import errors
from ironic_python_agent import partition_utils
from ironic_python_agent import utils

from ironic_imagedeploy.agent import commands

_MIB = 1 << 20
#: Bytes of the largest sectors that ISO 9660 is mounted from.
_ISO_BLOCK = 2048
#: Seconds until a new partition has a device, also on a busy machine.
_APPEARS = 30.0


def root_size(image_info: dict[str, typing.Any]) -> int:
    """Bytes of the root partition that was ordered.

    :raises DeploymentError: when none was.
    """
    try:
        return int(image_info['root_mb']) * _MIB
    except (KeyError, TypeError, ValueError):
        raise errors.DeploymentError(
            'The size of the root partition is not known: expected root_gb '
            'in instance_info of the node. openstack baremetal node set '
            '--instance-info root_gb=SIZE NODE') from None


def check_fit(image_info: dict[str, typing.Any], disk_size: int,
              boot_mode: str, configdrive: str | None = None) -> None:
    """See that all partitions fit, before the disk is touched.

    :param disk_size: bytes.
    :param configdrive: the config drive, or its URL.
    :raises DeploymentError: when they do not.
    """
    options = cfg.CONF.disk_utils
    parts = {'root': root_size(image_info) // _MIB,
             'swap': int(image_info.get('swap_mb') or 0),
             'ephemeral': int(image_info.get('ephemeral_mb') or 0),
             'boot': (options.efi_system_partition_size if boot_mode == 'uefi'
                      else options.bios_boot_partition_size),
             'config drive': _config_drive_size(
                 configdrive, image_info.get('node_uuid', 'local')),
             # before the first one and behind the last one
             'tables': 2}
    if sum(parts.values()) > disk_size // _MIB:
        raise errors.DeploymentError(
            'The partitions do not fit on the disk: expected at most '
            f'{disk_size // _MIB} MiB, found {sum(parts.values())} MiB ('
            + ', '.join(f'{name} {size}' for name, size in parts.items())
            + '). Choose smaller root_gb, swap_mb or ephemeral_gb in '
            'instance_info.')


def _config_drive_size(configdrive: str | None, node_uuid: str) -> int:
    """MiB of a config drive, which is unpacked for that.

    :raises DeploymentError: when it is none.
    """
    if not configdrive:
        return 0
    with tempfile.TemporaryDirectory(prefix='imagedeploy-') as name:
        try:
            return int(partition_utils.get_configdrive(
                configdrive, node_uuid, tempdir=name)[0])
        except (EOFError, zlib.error) as error:
            raise errors.DeploymentError(
                f'The config drive cannot be unpacked: {error}. Make it '
                'again.') from error


def check_formats(image_info: dict[str, typing.Any], boot_mode: str) -> None:
    """See that all partitions can be formatted, before the disk is touched.

    :raises DeploymentError: naming what is missing.
    """
    formats = ['vfat'] if boot_mode == 'uefi' else []
    if int(image_info.get('ephemeral_mb') or 0) and not image_info.get(
            'preserve_ephemeral'):
        formats.append(str(image_info.get('ephemeral_format')))
    for name in formats:
        program = f'mkfs.{name}'
        if not shutil.which(program):
            raise errors.DeploymentError(
                f'The deploy ramdisk cannot make a file system {name}: '
                f'expected a program {program}, found none. Add it to the '
                'ramdisk, or choose another ephemeral_format in '
                'instance_info.')


def make(node: dict[str, typing.Any], image_info: dict[str, typing.Any],
         device: str, configdrive: str | None, *, boot_mode: str, arch: str
         ) -> dict[str, typing.Any]:
    """Make and format all partitions, but leave the root one empty.

    :returns: ``partitions``, devices by what they are for, and UUIDs by the
        agent's names; that of the root is not known yet.
    :raises DeploymentError: when the disk cannot be partitioned like this.
    """
    node_uuid = image_info.get('node_uuid', 'local')
    if not image_info.get('preserve_ephemeral'):
        _wipe_partitions(device)
    try:
        made: dict[str, typing.Any] = partition_utils.work_on_disk(
            device, root_size(image_info) // _MIB,
            int(image_info.get('swap_mb') or 0),
            int(image_info.get('ephemeral_mb') or 0),
            image_info.get('ephemeral_format'), None, node_uuid,
            preserve_ephemeral=bool(image_info.get('preserve_ephemeral')),
            configdrive=configdrive, boot_mode=boot_mode,
            disk_label=utils.get_partition_table_type_from_specs(node),
            cpu_arch=arch)
        if configdrive and disk_utils.get_dev_sector_size(
                device) > _ISO_BLOCK:
            _make_mountable(made['partitions']['configdrive'], configdrive,
                            node_uuid)
    except processutils.ProcessExecutionError as error:
        raise errors.DeploymentError(
            f'{device} cannot be partitioned: {str(error.stderr).strip()}'
        ) from error
    except errors.FileSystemNotSupported as error:
        # Sent as it is, the conductor would see no answer of the agent.
        raise errors.DeploymentError(
            f'{device} cannot be partitioned: {error.message}') from error
    return made


def _wipe_partitions(device: str) -> None:
    """Forget the file systems on a disk that is going to be erased.

    New partitions begin where old ones did, and mkfs for XFS and btrfs
    refuses what has a file system.
    """
    for name in commands.run('lsblk', '-nlpo', 'NAME', device).split()[1:]:
        utils.try_execute('wipefs', '--force', '--all', name)


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


@contextlib.contextmanager
def held_open(partition: str) -> Iterator[None]:
    """Keep all partitions of a disk where they are.

    Whenever somebody closes a disk that was open for writing, udev reads its
    partition table anew, and devices vanish for a moment; but never while a
    partition is open.

    :raises DeploymentError: when it does not appear.
    """
    end = time.monotonic() + _APPEARS
    while True:
        try:
            descriptor = os.open(partition, os.O_RDONLY | os.O_CLOEXEC)
            break
        except OSError as error:
            if time.monotonic() > end:
                raise errors.DeploymentError(
                    f'{partition} cannot be opened: {error.strerror}'
                ) from error
            time.sleep(0.1)
    try:
        yield
    finally:
        os.close(descriptor)


def with_uuids(made: dict[str, typing.Any]) -> dict[str, typing.Any]:
    """The same, once an image is in the root partition.

    The file systems themselves are asked: what udev knows may be older.

    :raises DeploymentError: when one has none, or is two at once.
    """
    found = {**made, 'root uuid': _uuid(made['partitions']['root'])}
    if esp := made['partitions'].get('efi system partition'):
        found['efi system partition uuid'] = _uuid(esp)
    return found


def partition_uuid(partition: str) -> str:
    """The UUID that the partition table has for it."""
    return _uuid(partition, 'PART_ENTRY_UUID')


def _uuid(partition: str, of_what: str = 'UUID') -> str:
    return commands.run('blkid', '-p', '-s', of_what, '-o', 'value',
                        partition).strip()
