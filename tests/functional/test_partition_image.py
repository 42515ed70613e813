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


import base64
import gzip
import os
import pathlib
from unittest import mock

from ironic_python_agent import config  # noqa: F401 (before the others)
from ironic_python_agent import errors
from ironic_python_agent import partition_utils

from ironic_imagedeploy.agent.boot import mounts
from tests.functional import partition_images
from tests.functional.partition_images import put
from tests.support import disks

MIB = partition_images.MIB
SECTOR = 512


class BiosTest(partition_images.PartitionImageTestCase):

    def assert_boots(self) -> int:
        """The first sector leads to a core of grub2, that to the rest.

        :returns: the sector that the core begins in.
        """
        first = disks.first_bytes(self.device, 4 * MIB)
        self.assertEqual(b'\x55\xaa', first[510:512])
        # grub2's offsets: no drive check, the drive that booted
        self.assertEqual(b'\x90\x90', first[0x66:0x68])
        self.assertEqual(0xff, first[0x64])
        start = int.from_bytes(first[0x5c:0x64], 'little')
        core = first[start * SECTOR:]
        self.assertEqual(start + 1,
                         int.from_bytes(core[0x1f4:0x1fc], 'little'))
        return start

    def test_msdos(self):
        self.use(partition_images.debian)
        result = self.written(swap_mb=16, ephemeral_mb=32,
                              ephemeral_format='ext4')
        self.assertEqual(1, self.assert_boots())
        self.assertEqual(
            {'platform': 'i386-pc', 'menu': '/boot/grub/grub.cfg',
             'origin': 'ramdisk',
             'kernel_origin': 'image',
             'kernels': ['/boot/vmlinuz-6.1.0-10-amd64',
                         '/boot/vmlinuz-6.1.0-9-amd64']},
            result['imagedeploy']['bootloader'])
        self.assertEqual(
            ['ext4', 'swap', 'ext4'],
            [disks.run('blkid', '-p', '-s', 'TYPE', '-o', 'value',
                       self.partition(what))
             for what in ('ephemeral', 'swap', 'root')])
        uuid = self.standby.partition_uuids['root uuid']
        self.assertEqual(uuid, disks.run('blkid', '-p', '-s', 'UUID', '-o',
                                         'value', self.guest))
        menu = self.menu()
        self.assertIn('search --no-floppy --fs-uuid --hint=$root '
                      f'--set=root {uuid}', menu)
        self.assertIn(
            f"linux '/boot/vmlinuz-6.1.0-10-amd64' root=UUID={uuid} ro "
            "'console=ttyS0,115200n8' 'quiet'", menu)
        self.assertIn("initrd '/boot/initrd.img-6.1.0-10-amd64'", menu)
        self.assert_file_system_is_sound()

    def assert_file_system_is_sound(self) -> None:
        disks.run('e2fsck', '-fn', self.partition())

    def test_gpt(self):
        self.use(partition_images.debian, disk_label='gpt')
        self.written()
        start = self.assert_boots()
        name = os.path.basename(self.partition('BIOS Boot partition'))
        self.assertEqual(pathlib.Path(
            f'/sys/class/block/{name}/start').read_text().strip(), str(start))

    def test_xfs_and_btrfs(self):
        for kind in ('xfs', 'btrfs'):
            with self.subTest(kind=kind):
                self.use(partition_images.debian, kind=kind)
                self.written()
                self.assertIn('vmlinuz-6.1.0-10-amd64', self.menu(kind=kind))

    def test_subvolume(self):
        def change(tree: pathlib.Path) -> None:
            disks.run('btrfs', '-q', 'subvolume', 'create', tree / '@')
            partition_images.debian(tree / '@')

        self.use(change, kind='btrfs')
        self.written()
        menu = self.menu(kind='btrfs')
        self.assertIn("linux '/@/boot/vmlinuz-6.1.0-10-amd64' root=", menu)
        self.assertIn(" ro 'rootflags=subvol=@' 'console=ttyS0", menu)

    def test_default_subvolume(self):
        def change(tree: pathlib.Path) -> None:
            disks.run('btrfs', '-q', 'subvolume', 'create', tree / 'system')
            partition_images.debian(tree / 'system')
            disks.run('btrfs', 'subvolume', 'set-default', tree / 'system')

        self.use(change, kind='btrfs')
        self.written()
        menu = self.menu(kind='btrfs')
        self.assertIn("linux '/system/boot/vmlinuz-6.1.0-10-amd64'", menu)
        self.assertNotIn('rootflags', menu)

    def test_menu_of_a_distribution_with_grub2_in_its_names(self):
        self.use(partition_images.debian,
                 lambda tree: put(tree, 'usr/sbin/grub2-install', b'x'))
        result = self.written()
        self.assertEqual('/boot/grub2/grub.cfg',
                         result['imagedeploy']['bootloader']['menu'])
        self.assertIn('vmlinuz', self.menu('boot/grub2/grub.cfg'))

    def test_grub2_accepts_the_menu(self):
        self.use(partition_images.debian)
        self.written()
        path = self.directory / 'grub.cfg'
        path.write_text(self.menu())
        disks.run('grub-script-check', path)

    def test_rebuild_keeps_the_ephemeral_partition(self):
        self.use(partition_images.debian)
        sizes = {'ephemeral_mb': 32, 'ephemeral_format': 'ext4',
                 'swap_mb': 16}
        self.written(**sizes)
        with mounts.mounted(self.partition('ephemeral'), 'ext4') as root, \
                root.writable():
            root.write('precious', b'mine')
        self.use(partition_images.debian, lambda tree: put(
            tree, 'boot/vmlinuz-6.2', b'a newer kernel'))
        self.written(preserve_ephemeral=True, **sizes)
        self.assertEqual(1, self.assert_boots())
        with mounts.mounted(self.partition('ephemeral'), 'ext4') as root:
            self.assertEqual(b'mine', root.read('precious'))
        # Without an initramfs it comes last, and finds its root like this.
        partition = disks.run('blkid', '-p', '-s', 'PART_ENTRY_UUID', '-o',
                        'value', self.partition())
        self.assertRegex(
            self.menu(), r"menuentry 'Linux 6.2' {\n  linux "
            rf"'/boot/vmlinuz-6.2' root=UUID=\S+ root=PARTUUID={partition} ")

    def test_rebuild_with_a_new_ephemeral_partition(self):
        self.use(partition_images.debian)
        for form in ('xfs', 'btrfs', 'xfs'):
            self.written(root_mb=100, ephemeral_mb=310, ephemeral_format=form)
            self.assertEqual(form, disks.run(
                'blkid', '-p', '-s', 'TYPE', '-o', 'value',
                self.partition('ephemeral')))

    def use_on_old_disk(self) -> bytes:
        """How a disk begins that must not be touched."""
        self.use(partition_images.debian)
        old = bytes([disks.OLD]) * MIB
        pathlib.Path(self.device).write_bytes(old)
        return old

    def test_config_drive_that_is_none_or_does_not_fit(self):
        old = self.use_on_old_disk()
        good = gzip.compress(bytes(60 * MIB), 1)
        for content, root_mb, said in (
                (good, 720, 'config drive 60'),
                (good[:-9], 400, 'config drive cannot be unpacked: Compr'),
                (good[:99] + b'\xff' * 99, 400, 'config drive cannot be un'),
                (b'#cloud-config', 400, 'Not a gzipped file')):
            self.assertIn(said, self.failed(
                configdrive=base64.b64encode(content).decode(),
                root_mb=root_mb))
        self.assertIn('status code 404', self.failed(
            configdrive=self.server.url('gone')))
        self.assertEqual(old, disks.first_bytes(self.device, MIB))

    def test_formats_that_cannot_be_made(self):
        old = self.use_on_old_disk()
        self.assertIn('expected a program mkfs.hfs, found none', self.failed(
            ephemeral_mb=32, ephemeral_format='hfs'))
        self.assertEqual(old, disks.first_bytes(self.device, MIB))
        # The agent's own error has no fields that could be sent.
        with mock.patch.object(partition_utils, 'work_on_disk', autospec=True,
                               side_effect=errors.FileSystemNotSupported(
                                   'ext4')):
            self.assertIn('File system ext4 is not supported', self.failed())


class LargeSectorsTest(partition_images.PartitionImageTestCase):
    """A disk with sectors of 4096 bytes."""

    SIZE = 1024 * MIB
    SECTOR_SIZE = 4096

    def test_uefi(self):
        self.conf.config(efi_system_partition_size=300, group='disk_utils')
        self.use(partition_images.debian, boot_mode='uefi')
        self.written()
        self.assertTrue(self.esp('EFI/BOOT/BOOTX64.EFI').startswith(b'MZ'))

    def test_bios(self):
        for label in ('msdos', 'gpt'):
            self.use(partition_images.debian, disk_label=label)
            self.assertIn(f'No BIOS boots from {self.device}: expected '
                          'sectors of 512 bytes, found 4096', self.failed())
        self.assertEqual(bytes(MIB), disks.first_bytes(self.device, MIB))
