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

"""A software RAID that gets a system, and what its disks need to boot it.

The array holds all partitions of the system. Its members are partitions of
disks that the firmware boots from: on each of these is a mirror of the EFI
system partition, or grub2 for BIOS.
"""

from collections.abc import Iterator
import contextlib
import dataclasses
import operator
import os
import re

from oslo_concurrency import processutils
from oslo_config import cfg
from oslo_log import log

from ironic_python_agent import config  # noqa: F401 (before raid_utils)
from ironic_python_agent import errors
from ironic_python_agent import raid_utils

from ironic_imagedeploy.agent.boot import bios
from ironic_imagedeploy.agent.boot import grub
from ironic_imagedeploy.agent.boot import previous_system
from ironic_imagedeploy.agent import commands
from ironic_imagedeploy.agent import sysfs
from ironic_imagedeploy.engine.contents import partitions

LOG = log.getLogger(__name__)

_MIB = 1 << 20
_UUID = re.compile(r'[0-9a-f]{8}(?::[0-9a-f]{8}){3}')
#: The agent's ESP and BIOS boot partition on each disk, with its alignment.
_ESP_MIB = raid_utils.ESP_SIZE_MIB
_BIOS_BOOT_MIB = 2
#: What the agent names each half of a mirror of ESPs by, and its disk.
_HALF = 'uefi-holder-'
#: Bytes of that ESP.
ESP_SIZE = _ESP_MIB * _MIB


@dataclasses.dataclass(frozen=True, kw_only=True)
class Array:
    """A software RAID.

    :ivar device: the array itself.
    :ivar uuid: as mdadm prints it.
    :ivar disks: that have its members as partitions.
    :ivar members: those that it was written to when it was found.
    """

    device: str
    uuid: str
    disks: tuple[str, ...]
    members: tuple[str, ...] = ()

    @property
    def grub_name(self) -> str:
        """Name that grub2 has for it."""
        return 'mduuid/' + self.uuid.replace(':', '')

    @property
    def kernel_options(self) -> tuple[str, ...]:
        """Options that let an initramfs of dracut assemble it."""
        return (f'rd.md.uuid={self.uuid}',)

    def check(self, platform: grub.Platform) -> None:
        """See that a boot loader will fit, before anything is written.

        :raises DeploymentError: when a disk has no place for it.
        """
        for disk in self.disks:
            _check_disk(disk, bios.read_table(disk), platform)

    def check_members(self) -> None:
        """See that no disk fell out of the array since it was found.

        The array goes on without it, and without sectors of a disk that
        cannot be written; but firmware may start from that disk, and find
        there what is not whole.

        :raises DeploymentError: naming those that are not complete, or do
            not keep what they took.
        """
        _check_members(self.device, self.members)

    def make_bios_boot_partitions(self) -> None:
        """On disks with a GPT that have none yet.

        :raises DeploymentError: when one cannot be made.
        """
        self._prepare([
            disk for disk in self.disks
            if not bios.read_table(disk).first(partitions.BIOS_BOOT)],
            None, 'bios')

    def mirror_esp(self, esp: str) -> str:
        """Move an EFI system partition out of the array onto its disks.

        Firmware does not read the array, but each half of a mirror of its
        own. UUID and label stay. What is in the partition is copied file by
        file, in no sequence that a loss of power would bear: nothing that
        firmware starts may have its name yet.

        :param esp: the partition in the array.
        :returns: the mirror.
        :raises DeploymentError: when it cannot be made.
        """
        self._remove_lone_halves()
        for disk in self.disks:
            _clear_room(disk)
        mirror = self._prepare(list(self.disks), esp, 'uefi')
        assert mirror is not None
        return mirror

    def _remove_lone_halves(self) -> None:
        """Remove halves of a mirror of ESPs that was not made any more.

        The power may have failed before. The agent looks for a mirror, and
        would have no room for other halves.
        """
        halves = {disk: _halves(disk) for disk in self.disks}
        devices = {disk: sysfs.partitions(disk)
                   for disk, numbers in halves.items() if numbers}
        if any(sysfs.holders(devices[disk][number])
               for disk in devices for number in halves[disk]
               if number in devices[disk]):
            return
        for disk in devices:
            LOG.warning('%s has a half of a mirror of EFI system partitions '
                        'that is not there: it is made anew', disk)
            for number in halves[disk]:
                commands.run('sgdisk', '-d', str(number), disk)
            commands.run('partprobe', disk)

    def _prepare(self, disks: list[str], esp: str | None, boot_mode: str
                 ) -> str | None:
        prepare = raid_utils.prepare_boot_partitions_for_softraid
        try:
            mirror: str | None = prepare(self.device, disks, esp, boot_mode)
        except (errors.RESTError, processutils.ProcessExecutionError,
                OSError, IndexError) as error:
            raise errors.DeploymentError(
                f'The disks of {self.device} cannot be made to boot: {error}. '
                'Create the RAID anew by target_raid_config of the node.'
            ) from error
        return mirror


def find(device: str) -> Array | None:
    """The array that a device is; none when it is a disk.

    :raises DeploymentError: when it is one that no boot loader reads.
    """
    if not sysfs.is_array(device):
        return None
    details = dict(line.split('=', 1) for line in commands.run(
        'mdadm', '--detail', '--export', device).splitlines() if '=' in line)
    version = details.get('MD_METADATA', 'none')
    uuid = details.get('MD_UUID', '')
    if not version.startswith('1.') or not _UUID.fullmatch(uuid):
        raise errors.DeploymentError(
            f'No boot loader reads the software RAID {device}: expected one '
            f'of mdadm with metadata 1.x, found {ascii(version)}. Create it '
            'anew by target_raid_config of the node.')
    members = {name: sysfs.partition(name)
               for name in sysfs.members(device)}
    whole = [name for name, partition in members.items() if not partition]
    if whole or not members:
        raise errors.DeploymentError(
            f'The software RAID {device} leaves no place for a boot loader: '
            'expected partitions as its members, found '
            f'{", ".join(whole) or "none"}. Create it anew by '
            'target_raid_config of the node.')
    return Array(
        device=device, uuid=uuid,
        members=tuple(sysfs.written_members(device)),
        disks=tuple(dict.fromkeys(
            partition.disk for partition in members.values() if partition)))


@contextlib.contextmanager
def complete(device: str) -> Iterator[None]:
    """Fail when a disk falls out of a software RAID meanwhile.

    :raises DeploymentError: naming those that fell out.
    """
    before = tuple(sysfs.written_members(device)
                   ) if sysfs.is_array(device) else ()
    yield
    _check_members(device, before)


def check_whole_disk(device: str, boot_mode: str) -> None:
    """See that something would boot an image of a whole disk from a device.

    :raises DeploymentError: when it is an array, which a BIOS does not read.
    """
    if boot_mode != 'bios' or not sysfs.is_array(device):
        return
    # The agent does, by grub-install of the image, when it is permitted to.
    if getattr(cfg.CONF, 'enable_bios_bootloader_install', True):
        return
    raise errors.DeploymentError(
        'No BIOS boots a whole-disk image from the software RAID '
        f'{device}: '
        'expected a node with UEFI, or a partition image, found neither. '
        'Boot the node with UEFI (its capability boot_mode:uefi), or deploy '
        'a partition image: grub2 is then installed on each disk.')


def _check_members(device: str, before: tuple[str, ...]) -> None:
    after = sysfs.written_members(device) if before else []
    lost = [sysfs.disk_of(member) for member in before if member not in after]
    if lost:
        raise errors.DeploymentError(
            f'{", ".join(lost)} fell out of the software RAID {device} while '
            f'it was written: expected {len(before)} disks in it, found '
            f'{len(after)}. Replace the disk, and create the RAID anew by '
            'target_raid_config of the node.')
    for member in after:
        _flush(device, member)
    incomplete = map(sysfs.disk_of, sysfs.incomplete_members(device)
                     if before else [])
    if disks := ', '.join(incomplete):
        raise errors.DeploymentError(
            f'{disks} of the software RAID {device} is not complete: expected '
            'a disk that takes all writes, found bad blocks. Replace the '
            'disk, and create the RAID anew by target_raid_config of the '
            'node.')


def _flush(device: str, member: str) -> None:
    """Let a disk keep what it took: an array tells of no error there."""
    try:
        descriptor = os.open(member, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise errors.DeploymentError(
            f'{sysfs.disk_of(member)} of the software RAID {device} may lose '
            'what it took: expected a disk that flushes its cache, found '
            f'{error.strerror}. Replace the disk, and create the RAID anew by '
            'target_raid_config of the node.') from error


def _check_disk(disk: str, table: partitions.PartitionTable,
                platform: grub.Platform) -> None:
    is_bios = platform is grub.BIOS
    if is_bios and table.kind == 'mbr':
        return
    kind, needed = ((partitions.BIOS_BOOT, _BIOS_BOOT_MIB) if is_bios
                    else (partitions.ESP, _ESP_MIB))
    room = len(_largest_gap(table)) // _MIB
    if room < needed and not table.first(kind):
        raise errors.DeploymentError(
            f'{disk} of a software RAID has no place for the boot loader '
            f'{platform.name}: expected {needed} MiB without a partition in '
            f'a GPT, found {room} MiB in a table of kind {table.kind}. Create '
            'the RAID anew by target_raid_config of the node, with its boot '
            'mode as it is now.')


def _halves(disk: str) -> list[int]:
    """Numbers of the partitions that the agent made for a mirror of ESPs."""
    return [each.number for each in bios.read_table(disk).partitions
            if each.type == partitions.ESP and each.name.startswith(_HALF)]


def _clear_room(disk: str) -> None:
    """Forget the file system that was where the ESP of a disk will be made.

    A new partition would bring it back to light.
    """
    table = bios.read_table(disk)
    if not table.first(partitions.ESP):
        room = _largest_gap(table)
        previous_system.clear(disk, 'room for an EFI system partition',
                              room.start,
                              min(len(room), previous_system.FRONT))


def _largest_gap(table: partitions.PartitionTable) -> range:
    """Bytes that a GPT has for one more partition, which starts at a MiB."""
    if table.header is None:
        return range(0)
    unit = table.header.sector_size
    begin, end = (table.header.first_usable * unit,
                  (table.header.last_usable + 1) * unit)
    gaps = []
    for partition in sorted(table.partitions,
                            key=operator.attrgetter('start')):
        gaps.append(range(_aligned(begin), partition.start))
        begin = partition.start + partition.length
    gaps.append(range(_aligned(begin), end))
    return max(gaps, key=len)


def _aligned(offset: int) -> int:
    return -(-offset // _MIB) * _MIB
