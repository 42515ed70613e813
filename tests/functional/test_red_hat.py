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

"""Systems in the layout of Fedora, CentOS Stream and their relatives."""

import pathlib

from tests.functional import partition_images
from tests.functional.partition_images import put
from tests.support import boot_files
from tests.support import disks

efi_program = boot_files.efi_program
MACHINE = '4d3c2b1a00000000000000000000beef'
NEWER, OLDER = '6.11.4-301.fc41.x86_64', '6.9.12-200.fc40.x86_64'
RESCUE = f'0-rescue-{MACHINE}'
ENTRY = '''title Fedora Linux ({0}) 41 (Server Edition)
version {0}
linux {1}/vmlinuz-{0}
initrd {1}/initramfs-{0}.img
initrd $tuned_initrd
options {2}
grub_users $grub_users
grub_arg --unrestricted
grub_class fedora
'''


def fedora(tree: pathlib.Path) -> None:
    """What such a system has of kernels and of grub2."""
    for version in (NEWER, OLDER, RESCUE):
        put(tree, f'boot/vmlinuz-{version}', b'a kernel')
        put(tree, f'boot/initramfs-{version}.img', b'its initramfs')
    entries = {
        # As it is written when /boot was a file system of its own.
        OLDER: ENTRY.format(OLDER, '', '$kernelopts'),
        NEWER: ENTRY.format(
            NEWER, '/boot', 'root=UUID=00000000-0000-4000-8000-00000000dead '
            'ro rootflags=subvol=root console=ttyS0,115200 rhgb $tuned_params'
            ' dyndbg="file drivers/usb/* +p"'),
        RESCUE: ENTRY.format(RESCUE, '/boot', '$kernelopts')}
    for version, text in entries.items():
        put(tree, f'boot/loader/entries/{MACHINE}-{version}.conf',
            text.encode())
    put(tree, 'boot/grub2/grubenv', (
        b'# GRUB Environment Block\nsaved_entry=$(reboot)\n'
        b'kernelopts=root=/dev/sda1 ro init=/bin/sh\n').ljust(
            1024, b'#'))
    put(tree, 'boot/grub2/grub.cfg', b'blscfg\n')
    put(tree, 'etc/default/grub',
        b'GRUB_TIMEOUT=1\n'
        b'GRUB_DISTRIBUTOR="$(sed \'s, release .*$,,g\' /etc/system-release)"'
        b'\nGRUB_CMDLINE_LINUX="console=ttyS0 net.ifnames=0"\n'
        b'GRUB_ENABLE_BLSCFG=true\n')
    put(tree, 'etc/os-release', b'NAME="Fedora Linux"\nID=fedora\n')
    put(tree, 'etc/fstab', b'UUID=old / ext4 defaults 1 1\n')
    put(tree, 'usr/sbin/grub2-install', b'#!/bin/sh\n', mode=0o755)
    for name in ('shim', 'grub'):
        put(tree, f'boot/efi/EFI/fedora/{name}x64.efi', efi_program(name))


class RedHatTest(partition_images.PartitionImageTestCase):

    def assert_menu(self) -> None:
        """Newest first, the rescue system last."""
        uuid = self.standby.partition_uuids['root uuid']
        root = f'root=UUID={uuid} ro'
        lines = self.menu('boot/grub2/grub.cfg').splitlines()
        self.assertEqual([
            f"menuentry 'Linux {NEWER}' {{",
            f"  linux '/boot/vmlinuz-{NEWER}' {root} 'rootflags=subvol=root' "
            "'console=ttyS0,115200' 'rhgb' 'dyndbg=file drivers/usb/* +p'",
            f"  initrd '/boot/initramfs-{NEWER}.img'", '}', '',
            f"menuentry 'Linux {OLDER}' {{",
            f"  linux '/boot/vmlinuz-{OLDER}' {root} 'console=ttyS0' "
            "'net.ifnames=0'",
            f"  initrd '/boot/initramfs-{OLDER}.img'", '}', '',
            f"menuentry 'Linux {RESCUE}' {{",
            f"  linux '/boot/vmlinuz-{RESCUE}' {root} 'console=ttyS0' "
            "'net.ifnames=0'",
            f"  initrd '/boot/initramfs-{RESCUE}.img'", '}'], lines[5:])
        path = self.directory / 'grub.cfg'
        path.write_text('\n'.join(lines))
        disks.run('grub-script-check', path)

    def test_bios(self):
        self.use(fedora)
        result = self.written()['imagedeploy']['bootloader']
        self.assertEqual('/boot/grub2/grub.cfg', result['menu'])
        self.assert_menu()

    def test_uefi(self):
        self.use(fedora, boot_mode='uefi')
        result = self.written()['imagedeploy']['bootloader']
        self.assertEqual('image', result['origin'])
        self.assert_menu()
        self.assertEqual(efi_program('shim'),
                         self.esp('EFI/BOOT/BOOTX64.EFI'))
        uuid = self.standby.partition_uuids['root uuid']
        self.assertEqual(
            "regexp --set 1:disk '^([^,]+),' $root\n"
            f'search.fs_uuid {uuid} root $disk,gpt2\n'
            'set prefix=($root)/boot/grub2\nconfigfile $prefix/grub.cfg\n',
            self.esp('EFI/fedora/grub.cfg').decode())
