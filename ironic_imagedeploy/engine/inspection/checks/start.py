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

"""Checks of how the system in an image starts, on whatever machine.

Of what cannot be told, nothing is said.
"""

from collections.abc import Iterator
import re

from ironic_imagedeploy.engine.contents import partitions
from ironic_imagedeploy.engine.contents.system import contents as _contents
from ironic_imagedeploy.engine.contents.system import first_boot
from ironic_imagedeploy.engine.contents.system import fstab
from ironic_imagedeploy.engine.contents.system import growth
from ironic_imagedeploy.engine.contents.system import volumes as _volumes
from ironic_imagedeploy.engine import findings

Contents = _contents.Contents
Finding = findings.Finding

#: Drivers of which servers need one of the first, or one of the second.
_STORAGE = frozenset({'ahci', 'mpt3sas', 'megaraid_sas', 'hpsa', 'smartpqi',
                      'aacraid'})
_NETWORK = frozenset({'e1000e', 'igb', 'ixgbe', 'i40e', 'ice', 'tg3', 'bnx2x',
                      'bnxt_en'})
#: Processors of the servers that have these.
_ARCHS = frozenset({'x86_64', 'aarch64'})
_SERIAL = re.compile(r'tty(?:S|AMA|USB|LP|SC)\d+|hvc\d+')
_SCREEN = re.compile(r'tty\d*')
_WITH_SPEED = re.compile(r'tty[A-Z]\w*,\d+\w*|hvc\d+')
_CONFIG_DRIVES = frozenset({'configdrive', 'openstack'})
#: Kinds of volumes whose UUID is known, and types that have none.
_NAMED = frozenset({'ext4', 'xfs', 'btrfs', 'swap', 'vfat'})
_WITHOUT_UUID = frozenset({partitions.BIOS_BOOT,
                           '9e1a2d38-c612-4316-aa26-8b49521e5a8b', '0x41'})
_UUID = re.compile(r'[0-9a-fA-F-]{9,36}')
#: One that is written without escapes, quotes and variables.
_LABEL = re.compile(r'[A-Za-z0-9_.-]+')


def check(contents: Contents, table: partitions.PartitionTable | None
          ) -> Iterator[Finding]:
    """Findings about the system in an image.

    :param table: the partitions; None for a partition image, whose boot menu
        and fstab are written anew for the disk.
    """
    if contents.root is None:
        return
    yield from _check_kernels(contents)
    if table:
        yield from _check_names(contents)
        yield from _check_devices(contents, table)
        yield from _check_growth(contents, contents.root, table)
    yield from _check_console(contents)
    yield from _check_first_boot(contents)
    yield from _check_leftovers(contents)
    yield from _check_state(contents)
    if contents.has_fallback is False and any(
            name.endswith('.efi') for name in contents.loaders or ()):
        yield Finding(
            code='no-fallback-loader', found='none',
            expected='a program such as EFI/BOOT/BOOTX64.EFI')


def _check_kernels(contents: Contents) -> Iterator[Finding]:
    kernels = contents.kernels or ()
    if not kernels or any(
            kernel.drivers is None or kernel.arch not in _ARCHS
            or not kernel.drivers.isdisjoint(_STORAGE | _NETWORK)
            for kernel in kernels):
        return
    yield Finding(
        code='kernel-for-virtual-machines',
        expected='drivers such as ahci, megaraid_sas, ixgbe or tg3',
        found=f'none of them in {kernels[0].version}',
        data={'version': kernels[0].version})


def _check_names(contents: Contents) -> Iterator[Finding]:
    for name in contents.root_names:
        if fstab.device(name).changes:
            yield Finding(
                code='unstable-device-name', case='menu',
                expected='root=UUID=...', found=f'root={name}',
                data={'device': name})
            break
    for mount in contents.table or ():
        if mount.device.changes and not mount.is_optional:
            yield Finding(
                code='unstable-device-name', expected='UUID=...',
                found=f'{mount.device.name} for {mount.point} in '
                      '/etc/fstab', data={'device': mount.device.name})
            break


def _check_devices(contents: Contents, table: partitions.PartitionTable
                   ) -> Iterator[Finding]:
    if not _all_known(contents, table):
        return
    for name in contents.root_names:
        if _is_missing_root(fstab.device(name), contents):
            yield Finding(
                code='device-missing', case='menu', found=f'root={name}',
                expected='a root that is in the image',
                data={'device': name})
            break
    yield from _check_searches(contents)
    for mount in contents.table or ():
        if not mount.is_optional and _is_missing(mount.device, contents):
            yield Finding(
                code='device-missing',
                expected='devices that are in the image',
                found=f'{mount.device.name} for {mount.point} in '
                      '/etc/fstab', data={'device': mount.device.name})
            break


def _check_searches(contents: Contents) -> Iterator[Finding]:
    for case, searches in (('loader', contents.searches or ()),
                           ('kernel', (contents.kernel_search,))):
        missing = next((
            search for search in searches if search and all(
                _is_missing(fstab.device(f'UUID={uuid}'), contents)
                for uuid in search.uuids)), None)
        if missing:
            uuid = missing.uuids[0]
            yield Finding(
                code='device-missing', case=case,
                found=f'a search for {uuid} in {missing.path}',
                expected='a file system that is in the image',
                data={'device': f'UUID={uuid}'})


def _all_known(contents: Contents, table: partitions.PartitionTable) -> bool:
    """Whether each UUID of the disk is known."""
    return len(table.partitions) == sum(
        not volume.logical for volume in contents.volumes) and all(
        volume.kind in _NAMED and bool(volume.uuid)
        or volume.kind == 'lvm' and not volume.unread
        or volume.kind is None and volume.type in _WITHOUT_UUID
        for volume in contents.volumes) and not any(
        partition.type in partitions.EXTENDED
        for partition in table.partitions)


def _is_missing(device: fstab.Device, contents: Contents) -> bool:
    return (device.tag in ('uuid', 'partuuid')
            and _UUID.fullmatch(device.value) is not None
            and device.find(contents.volumes) is None)


def _is_missing_root(device: fstab.Device, contents: Contents) -> bool:
    # In an fstab, a label may be that of a data disk of the machine.
    return _is_missing(device, contents) or (
        device.tag in ('label', 'partlabel')
        and _LABEL.fullmatch(device.value) is not None
        and device.find(contents.volumes) is None)


def _check_growth(contents: Contents, root: _volumes.Volume,
                  table: partitions.PartitionTable) -> Iterator[Finding]:
    # Who enlarges a logical volume enlarges its partition before.
    if contents.is_usr_only or root.logical or (
            _grows_instead(contents, table)):
        return
    after = next((partition for partition in table.partitions
                  if partition.start > root.start), None)
    if after:
        yield Finding(
            code='root-not-last',
            expected=f'the root, partition {root.number}, after all others',
            found=f'partition {after.number} after it',
            data={'partition': after.number})
    elif contents.growth == ():
        yield Finding(
            code='root-does-not-grow', found='none',
            expected='growpart, growroot, systemd-repart or the like')


def _grows_instead(contents: Contents, table: partitions.PartitionTable
                   ) -> bool:
    """Whether the last partition grows, as that of /var in MicroOS.

    The root is read-only there.
    """
    if contents.growth is not None and growth.GENERATOR not in (
            contents.growth):
        return False
    last = max(partition.start for partition in table.partitions)
    grown = [mount.device.find(contents.volumes)
             for mount in contents.table or () if mount.grows]
    return any(volume and volume.start == last for volume in grown)


def _check_console(contents: Contents) -> Iterator[Finding]:
    names = [console.partition(',')[0] for console in contents.consoles]
    if any(map(_SERIAL.fullmatch, names)) and not any(
            map(_SCREEN.fullmatch, names)):
        yield Finding(
            code='serial-console-only',
            case='' if any(map(_WITH_SPEED.fullmatch, contents.consoles))
            else 'speed', expected='console=tty0, too',
            found=' '.join(f'console={name}' for name in contents.consoles))


def _check_first_boot(contents: Contents) -> Iterator[Finding]:
    found = contents.first_boot
    if found is None:
        return
    if not found.agents:
        yield Finding(code='no-first-boot-agent', found='none',
                      expected='cloud-init, ignition, glean or the like')
        if contents.can_log_in is False:
            yield Finding(
                code='no-login', found='neither',
                expected='an account with a password or a key')
    if found.agents == (first_boot.CLOUD_INIT,) and (
            found.data_sources is not None
            and _CONFIG_DRIVES.isdisjoint(
                map(str.lower, found.data_sources))):
        yield Finding(
            code='no-config-drive-source', expected='ConfigDrive or OpenStack',
            found=', '.join(found.data_sources) or 'none')


def _check_leftovers(contents: Contents) -> Iterator[Finding]:
    if contents.network and contents.network.pinned:
        path = f'/{contents.network.pinned[0]}'
        yield Finding(code='network-pinned', expected='none for one card only',
                      found=path, data={'path': path})
    yield from _check_network_names(contents)
    left = contents.leftovers
    if left is None:
        return
    if left.host_keys and not (
            contents.first_boot and contents.first_boot.deletes_host_keys):
        yield Finding(code='host-keys-left', expected='none',
                      found=f'/{left.host_keys[0]}')
    if left.machine_id:
        yield Finding(code='machine-id-left', expected='an empty one',
                      found='one that is set')
    if traces := left.leases + left.histories:
        yield Finding(code='traces-left', expected='none',
                      found=', '.join(f'/{path}' for path in traces[:3]))


def _check_network_names(contents: Contents) -> Iterator[Finding]:
    """Findings about cards that the kernel would call so, but systemd not."""
    network, lines = contents.network, contents.command_lines
    if contents.first_boot is None or contents.first_boot.agents:
        # They write it anew.
        return
    if not network or not network.named or not network.are_renamed or (
            not contents.all_options_known or any(
                '0' in line.values('net.ifnames') for line in lines or ())):
        return
    path, name = network.named[0]
    yield Finding(
        code='network-old-name', data={'path': f'/{path}', 'name': name},
        expected='a name such as eno1, or none',
        found=f'{name} in /{path}')


def _check_state(contents: Contents) -> Iterator[Finding]:
    if contents.is_dirty:
        yield Finding(
            code='file-system-in-use', expected='a journal that is empty',
            found='changes that wait in it')
    if any(volume.is_suspended for volume in contents.volumes):
        yield Finding(code='hibernated', expected='empty swap space',
                      found='the memory of a machine')
