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

"""Systems of :mod:`tests.unit.engine.systems` that start on metal, and more.

Sources of those in here: the kickstart files of Rocky Linux for its images
for clouds, image descriptions of osbuild, and openSUSE's descriptions for
KIWI of Leap and of MicroOS.
"""

import dataclasses

from tests.support import boot_files
from tests.unit.engine import systems

Part = systems.Part

PREP = '9e1a2d38-c612-4316-aa26-8b49521e5a8b'
VAR_UUID = '6d1f2b3c-0000-4000-8000-00000000000c'
#: Of the group that tests.support.lvm makes.
LOGICAL = '/dev/mapper/rhel--x-root--1'
ROCKY = '5.14.0-503.14.1.el9_5.x86_64'
RHEL = '5.14.0-427.13.1.el9_4.x86_64'
LEAP = '6.4.0-150600.21-default'
MICROOS = '6.11.8-1-default'
_LOCKED = systems.text('root:!:19000:0:99999:7:::\n')
#: openSUSE's root is one of them, and is mounted by default.
_SUBVOLUMES = ('.snapshots', 'boot/grub2/i386-pc', 'boot/grub2/x86_64-efi',
               'home', 'opt', 'root', 'srv', 'usr/local')


def rocky() -> list[Part]:
    """Rocky Linux 9's GenericCloud-LVM, with a console for a screen, too.

    It starts on machines of IBM as well, so there is a partition for these.
    """
    return _rocky('console=tty0 console=ttyS0,115200n8')


def rocky_as_published() -> list[Part]:
    """The same with the console that it has: a serial one."""
    return _rocky('console=ttyS0,115200n8')


def _rocky(consoles: str) -> list[Part]:
    options = (f'root={LOGICAL} ro {consoles} no_timer_check '
               'crashkernel=1G-4G:192M,4G-64G:256M,64G-:512M net.ifnames=0 '
               'rd.lvm.lv=rhel-x/root-1')
    prep = dataclasses.replace(systems.BIOS_PART, type=PREP)
    return [prep, systems.BIOS_PART, systems.esp('rocky'), Part(
        kind='xfs', uuid=systems.BOOT_UUID, label='boot',
        tree=_red_hat_boot(ROCKY, options)), Part(
        kind='lvm-xfs', uuid=systems.ROOT_UUID, tree={
            'usr/lib/os-release': systems.os_release(
                'Rocky', '9.5', 'Rocky Linux 9.5 (Blue Onyx)'),
            'etc/os-release': '../usr/lib/os-release',
            'etc/fstab': systems.text(
                f'{LOGICAL} / xfs defaults 0 0\n'
                f'UUID={systems.BOOT_UUID} /boot xfs defaults 0 0\n'
                f'UUID={systems.ESP_SERIAL} /boot/efi vfat '
                'defaults,uid=0,gid=0,umask=077,shortname=winnt 0 2\n'),
            'etc/sysconfig/network-scripts/ifcfg-eth0': systems.text(
                'DEVICE="eth0"\nBOOTPROTO="dhcp"\nONBOOT="yes"\n'),
            **systems.modules(f'usr/lib/modules/{ROCKY}', systems.METAL),
            'etc/machine-id': b'', 'boot': None, 'etc/shadow': _LOCKED,
            **systems.cloud_init()})]


def rhel() -> list[Part]:
    """RHEL 9's KVM guest image, as osbuild makes it."""
    options = (f'root=UUID={systems.ROOT_UUID} console=tty0 '
               'console=ttyS0,115200n8 no_timer_check crashkernel=1G-4G:192M '
               'net.ifnames=0')
    return [systems.BIOS_PART, systems.esp('redhat'), Part(
        kind='xfs', type=systems.BOOT, uuid=systems.BOOT_UUID, label='boot',
        tree=_red_hat_boot(RHEL, options)), Part(
        kind='xfs', uuid=systems.ROOT_UUID, label='root', tree={
            'etc/os-release': systems.os_release(
                'rhel', '9.4', 'Red Hat Enterprise Linux 9.4 (Plow)'),
            'etc/fstab': systems.text(
                f'UUID={systems.ROOT_UUID}\t/\txfs\tdefaults\t0\t0\n'
                f'UUID={systems.BOOT_UUID}\t/boot\txfs\tdefaults\t0\t0\n'
                f'UUID={systems.ESP_SERIAL}\t/boot/efi\tvfat\tdefaults,uid=0,'
                'gid=0,umask=077,shortname=winnt\t0\t2\n'),
            **systems.modules(f'usr/lib/modules/{RHEL}', systems.METAL),
            'etc/machine-id': b'uninitialized\n', 'boot': None,
            'etc/shadow': _LOCKED, **systems.cloud_init()})]


def _red_hat_boot(version: str, options: str) -> dict[str, bytes | str | None]:
    """A partition for /boot with an entry of its kernel."""
    return {
        'grub2/grub.cfg': b'load_env\ninsmod blscfg\nblscfg\n',
        'grub2/i386-pc/normal.mod': b'x',
        'grub2/grubenv': b'# GRUB Environment Block\nboot_success=0\n'.ljust(
            1024, b'#'),
        f'loader/entries/ffffffffffffffffffffffffffffffff-{version}.conf':
            systems.text(
                f'title Linux ({version})\nversion {version}\n'
                f'linux /vmlinuz-{version}\ninitrd /initramfs-{version}.img '
                f'$tuned_initrd\noptions {options} $tuned_params\n'
                'grub_users $grub_users\ngrub_arg --unrestricted\n'),
        f'vmlinuz-{version}': boot_files.bzimage(version=version),
        f'initramfs-{version}.img': boot_files.initramfs()}


def leap() -> list[Part]:
    """openSUSE Leap 15.6 with snapshots: the root is the first of them."""
    options = (f'root=UUID={systems.ROOT_UUID} ${{extra_cmdline}} '
               'console=ttyS0,115200 console=tty0 net.ifnames=0 quiet')
    return [systems.BIOS_PART, systems.esp('opensuse'), Part(
        kind='btrfs', uuid=systems.ROOT_UUID, label='ROOT', tree={
            'etc/os-release': systems.os_release(
                'opensuse-leap', '15.6', 'openSUSE Leap 15.6'),
            'etc/fstab': _subvolumes('rw', ('var',)),
            **systems.kernel(LEAP), 'boot/vmlinuz': f'vmlinuz-{LEAP}',
            'boot/initrd': f'initrd.img-{LEAP}', 'boot/efi': None,
            'boot/grub2/i386-pc': None, '.snapshots': None, 'var': None,
            'usr/lib/dracut/modules.d/90kiwi-repart/x': b'',
            'etc/machine-id': b'', 'etc/shadow': _LOCKED,
            'usr/bin/cloud-init': b'x', 'etc/cloud/cloud.cfg': systems.text(
                'datasource_list: [ NoCloud, OpenStack, None ]\n'),
            'boot/grub2/grub.cfg': systems.grub(
                options, 'boot/grub2', f'/boot/vmlinuz-{LEAP}')[
                    'boot/grub2/grub.cfg']})]


def microos() -> list[Part]:
    """openSUSE MicroOS for KVM: read-only, and /var grows instead."""
    options = (f'root=UUID={systems.ROOT_UUID} ${{extra_cmdline}} quiet '
               'systemd.show_status=yes console=ttyS0,115200 console=tty0 '
               'ignition.platform.id=qemu security=selinux selinux=1 '
               'enforcing=1 ${ignition_firstboot}')
    folder = f'usr/lib/modules/{MICROOS}'
    return [systems.BIOS_PART, systems.esp('opensuse'), Part(
        kind='btrfs', uuid=systems.ROOT_UUID, label='ROOT', tree={
            'usr/lib/os-release': systems.os_release(
                'opensuse-microos', '20241125', 'openSUSE MicroOS'),
            'etc/os-release': '../usr/lib/os-release',
            'etc/fstab': _subvolumes('ro') + systems.text(
                f'UUID={VAR_UUID} /var btrfs x-initrd.mount,x-growpart.grow,'
                'x-systemd.growfs 0 0\noverlay /etc overlay defaults,'
                'lowerdir=/sysroot/etc,upperdir=/sysroot/var/lib/overlay/1/'
                'etc,workdir=/sysroot/var/lib/overlay/work-etc,'
                'x-systemd.requires-mounts-for=/var,x-initrd.mount 0 0\n'),
            f'{folder}/vmlinuz': boot_files.bzimage(version=MICROOS),
            **systems.modules(folder, systems.METAL),
            f'boot/vmlinuz-{MICROOS}': f'../{folder}/vmlinuz',
            f'boot/initrd-{MICROOS}': boot_files.initramfs(),
            'boot/vmlinuz': f'vmlinuz-{MICROOS}',
            'boot/efi': None, 'boot/grub2/i386-pc': None, '.snapshots': None,
            'var': None, 'etc/shadow': _LOCKED,
            'usr/lib/dracut/modules.d/30ignition/x': b'',
            'usr/lib/dracut/modules.d/35combustion/x': b'',
            'usr/lib/systemd/system-generators/growpart-generator.sh': b'x',
            'boot/grub2/grub.cfg': systems.grub(
                options, 'boot/grub2', f'/boot/vmlinuz-{MICROOS}')[
                    'boot/grub2/grub.cfg']}), Part(
        kind='btrfs', uuid=VAR_UUID, tree={'lib/rpm': None})]


def _subvolumes(option: str, others: tuple[str, ...] = ()) -> bytes:
    """An fstab whose root is a snapshot."""
    return systems.text(
        f'UUID={systems.ROOT_UUID} / btrfs {option} 0 0\n'
        + ''.join(f'UUID={systems.ROOT_UUID} /{name} btrfs subvol=@/{name} '
                  '0 0\n' for name in (*_SUBVOLUMES, *others))
        + f'UUID={systems.ESP_SERIAL} /boot/efi vfat defaults 0 0\n')


#: Those that are known to start on machines of metal.
ALL = {function.__name__: function for function in (
    systems.debian, systems.ubuntu, systems.fedora, systems.centos,
    systems.suse, systems.alpine, systems.arch, systems.unified_arch,
    systems.coreos, systems.flatcar, systems.logical, rocky, rhel, leap,
    microos)}
