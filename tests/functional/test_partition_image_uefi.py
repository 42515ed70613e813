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


from ironic_python_agent import config  # noqa: F401 (before the others)

from tests.functional import partition_images
from tests.functional.partition_images import put
from tests.support import boot_files

efi_program = boot_files.efi_program


class UefiTest(partition_images.PartitionImageTestCase):

    def assert_leads_to_menu(self, path: str, folder: str = '/boot/grub'
                             ) -> None:
        """A configuration in the ESP finds the one of the root."""
        uuid = self.standby.partition_uuids['root uuid']
        self.assertEqual(
            "regexp --set 1:disk '^([^,]+),' $root\n"
            f'search.fs_uuid {uuid} root $disk,gpt2\n'
            f'set prefix=($root){folder}\n'
            'configfile $prefix/grub.cfg\n', self.esp(path).decode())

    def test_programs_of_the_ramdisk(self):
        self.use(partition_images.debian, boot_mode='uefi')
        result = self.written()
        self.assertEqual('ramdisk',
                         result['imagedeploy']['bootloader']['origin'])
        program = self.esp('EFI/BOOT/BOOTX64.EFI')
        self.assertTrue(program.startswith(b'MZ'))
        self.assertIn(self.standby.partition_uuids['root uuid'].encode(),
                      program)

    def test_signed_programs_of_debian(self):
        self.use(
            partition_images.debian,
            lambda tree: put(tree, 'usr/lib/shim/shimx64.efi.signed',
                             efi_program('shim')),
            lambda tree: put(
                tree, 'usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed',
                efi_program('signed grub2')), boot_mode='uefi')
        result = self.written()
        self.assertEqual('image',
                         result['imagedeploy']['bootloader']['origin'])
        self.assertEqual(efi_program('shim'),
                         self.esp('EFI/BOOT/BOOTX64.EFI'))
        self.assertEqual(efi_program('signed grub2'),
                         self.esp('EFI/BOOT/grubx64.efi'))
        self.assert_leads_to_menu('EFI/debian/grub.cfg')
        self.assert_leads_to_menu('EFI/BOOT/grub.cfg')

    def test_signed_programs_of_fedora(self):
        self.use(
            partition_images.debian,
            lambda tree: put(tree, 'usr/sbin/grub2-install', b'x'),
            *(lambda tree, name=name: put(
                tree, f'boot/efi/EFI/fedora/{name}x64.efi', efi_program(name))
              for name in ('shim', 'grub')), boot_mode='uefi')
        self.written()
        self.assertEqual(efi_program('shim'),
                         self.esp('EFI/BOOT/BOOTX64.EFI'))
        self.assert_leads_to_menu('EFI/fedora/grub.cfg', '/boot/grub2')

    def test_programs_for_another_processor(self):
        self.use(
            partition_images.debian,
            *(lambda tree, path=path: put(
                tree, path, efi_program('', 0xaa64))
              for path in ('usr/lib/shim/shimx64.efi.signed',
                           'usr/lib/grub/x86_64-efi-signed/'
                           'grubx64.efi.signed')), boot_mode='uefi')
        result = self.written()
        self.assertEqual('ramdisk',
                         result['imagedeploy']['bootloader']['origin'])

    def test_an_update_of_the_boot_loader_finds_the_esp(self):
        self.use(partition_images.debian, boot_mode='uefi')
        self.written()
        with self.root() as root:
            lines = root.read('etc/fstab').decode().splitlines()
        self.assertEqual('LABEL=root / ext4 defaults 0 1', lines[0])
        uuid = self.standby.partition_uuids['efi system partition uuid']
        self.assertEqual([f'UUID={uuid}', '/boot/efi', 'vfat'],
                         lines[1].split()[:3])
        self.assertEqual(2, len(lines))

    def test_an_esp_of_another_disk(self):
        """A system that waits for it in vain does not start."""
        kept = (b'# /boot/efi was on /dev/sda1\nLABEL=root / ext4 ro\n'
                b'#UUID=AAAA-BBBB /boot/efi vfat\n')
        self.use(partition_images.debian, lambda tree: put(
            tree, 'etc/fstab', kept + b'x /boot/efi/a vfat ro\n'
            b'UUID=7B77-95E7\t/boot/efi\tvfat\t'
            b'umask=0077\t0 1\n LABEL=BOOT /boot ext4 defaults 0 2'),
            boot_mode='uefi')
        self.written()
        uuid = self.standby.partition_uuids['efi system partition uuid']
        with self.root() as root:
            table = root.read('etc/fstab')
        self.assertEqual(kept + b'x /boot/efi/a vfat ro,nofail\n'
                         + f'UUID={uuid}\t/boot/efi\tvfat\t'
                         'umask=0077,nofail\t0 1\n LABEL=BOOT /boot ext4 '
                         'defaults,nofail 0 2'.encode(), table)
