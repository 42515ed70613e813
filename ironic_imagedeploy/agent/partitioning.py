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
from collections.abc import Mapping
import contextlib
import dataclasses
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
from ironic_imagedeploy.agent import order as orders

_MIB = 1 << 20
#: Bytes of the largest sectors that ISO 9660 is mounted from.
_ISO_BLOCK = 2048
#: Seconds until a new partition has a device, also on a busy machine.
_APPEARS = 30.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Partitions:
    """Partitions of a disk, by their devices.

    :ivar root: the one that the image goes into.
    :ivar root_uuid: of its file system; empty while it has none.
    :ivar esp: the EFI system partition.
    :ivar esp_uuid: of its file system.
    :ivar configdrive: the one that holds the config drive.
    :ivar of_agent: the same under ironic-python-agent's names, for Ironic.
    """

    root: str
    root_uuid: str = ''
    esp: str | None = None
    esp_uuid: str | None = None
    configdrive: str | None = None
    of_agent: Mapping[str, typing.Any] = dataclasses.field(
        default_factory=dict)

    @classmethod
    def of(cls, made: Mapping[str, typing.Any]) -> 'Partitions':
        """The partitions that ironic-python-agent has made."""
        devices = made['partitions']
        return cls(root=devices['root'],
                   esp=devices.get('efi system partition'),
                   configdrive=devices.get('configdrive'), of_agent=made)

    def with_uuids(self) -> 'Partitions':
        """The same partitions, once an image is in that of the root.

        The file systems themselves are asked: what udev knows may be older.

        :raises DeploymentError: when one has none, or is two at once.
        """
        root_uuid = _uuid(self.root)
        esp_uuid = _uuid(self.esp) if self.esp else None
        of_agent = {**self.of_agent, 'root uuid': root_uuid}
        if esp_uuid:
            of_agent['efi system partition uuid'] = esp_uuid
        return dataclasses.replace(self, root_uuid=root_uuid,
                                   esp_uuid=esp_uuid, of_agent=of_agent)


def root_size(order: orders.WriteOrder) -> int:
    """Bytes of the root partition that was ordered."""
    return _sizes(order).root * _MIB


def check_fit(order: orders.WriteOrder, disk_size: int) -> None:
    """See that all partitions fit, before the disk is touched.

    :param disk_size: bytes.
    :raises DeploymentError: when they do not.
    """
    options, sizes = cfg.CONF.disk_utils, _sizes(order)
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


def _sizes(order: orders.WriteOrder) -> orders.PartitionSizes:
    assert order.partitions is not None
    return order.partitions


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
    sizes = _sizes(order)
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


def make(order: orders.WriteOrder, device: str) -> Partitions:
    """Make and format all partitions, but leave the root one empty.

    :raises DeploymentError: when the disk cannot be partitioned like this.
    """
    sizes = _sizes(order)
    if not sizes.preserve_ephemeral:
        _wipe_partitions(device)
    try:
        partitions = Partitions.of(partition_utils.work_on_disk(
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
    return partitions


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


def partition_uuid(partition: str) -> str:
    """The UUID that the partition table has for it."""
    return _uuid(partition, 'PART_ENTRY_UUID')


def _uuid(partition: str, of_what: str = 'UUID') -> str:
    return commands.run('blkid', '-p', '-s', of_what, '-o', 'value',
                        partition).strip()
