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

"""The agent deploys partition images to loop devices."""

import base64
import gzip
import os
import pathlib
import re
import shlex
import subprocess
import sys
from unittest import mock

from ironic_python_agent import config  # noqa: F401 (before the others)
from ironic_python_agent import errors
from ironic_python_agent import partition_utils

from ironic_imagedeploy.agent.boot import image_tree
from ironic_imagedeploy.agent.boot import mounts
from tests.functional import partition_images
from tests.functional.partition_images import put
from tests.support import boot_files
from tests.support import disks

efi_program = boot_files.efi_program
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
        self.assertIn(f'search --no-floppy --fs-uuid --set=root {uuid}', menu)
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


class UefiTest(partition_images.PartitionImageTestCase):

    def assert_leads_to_menu(self, path: str, folder: str = '/boot/grub'
                             ) -> None:
        """A configuration in the ESP finds the one of the root."""
        uuid = self.standby.partition_uuids['root uuid']
        self.assertEqual(
            f'search.fs_uuid {uuid} root \nset prefix=($root){folder}\n'
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
        kept = (b'# /boot/efi was on /dev/sda1\nLABEL=root / ext4\n'
                b'#UUID=AAAA-BBBB /boot/efi vfat\nx /boot/efi/a vfat\n')
        self.use(partition_images.debian, lambda tree: put(
            tree, 'etc/fstab', kept + b'UUID=7B77-95E7\t/boot/efi\tvfat\t'
            b'umask=0077\t0 1\n LABEL=UEFI /boot/efi/ vfat'),
            boot_mode='uefi')
        self.written()
        uuid = self.standby.partition_uuids['efi system partition uuid']
        with self.root() as root:
            table = root.read('etc/fstab')
        self.assertEqual(kept + f'UUID={uuid}\t/boot/efi\tvfat\t'
                         'umask=0077,nofail\t0\t1\n'.encode(), table)


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


class HostileTest(partition_images.PartitionImageTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.pwned = self.directory / 'pwned'
        self.secret = self.directory / 'secret'
        self.secret.write_text('root:secret')

    def traps(self, tree: pathlib.Path) -> None:
        """Whatever of it was executed would leave a file."""
        script = f'#!/bin/sh\ntouch {self.pwned}\n'.encode()
        for path in ('usr/sbin/grub-install', 'usr/sbin/grub-mkconfig',
                     'usr/sbin/update-grub', 'usr/bin/lsb_release', 'bin/sh',
                     'usr/bin/efibootmgr', 'lib64/ld-linux-x86-64.so.2',
                     'lib/x86_64-linux-gnu/libc.so.6', 'etc/grub.d/00_header'):
            put(tree, path, script, mode=0o4755)
        put(tree, 'etc/default/grub', (
            f'touch {self.pwned}\n'
            f'GRUB_DISTRIBUTOR=`touch {self.pwned}`\n'
            f'GRUB_CMDLINE_LINUX_DEFAULT="$(touch {self.pwned})"\n'
            f'GRUB_CMDLINE_LINUX="quiet; touch {self.pwned}"\n').encode())
        (tree / 'boot/grub/grub.cfg').symlink_to(self.secret)
        (tree / 'boot/vmlinuz-9').symlink_to('/dev/loop0')
        os.mknod(tree / 'boot/vmlinuz-8', 0o060666, os.stat(
            self.device).st_rdev)
        os.mkfifo(tree / 'boot/vmlinuz-7')
        put(tree, "boot/vmlinuz-6'}; reboot; #", b'absurd')
        put(tree, 'boot/loader/entries/a.conf', (
            "linux /boot/vmlinuz-6.1.0-9-amd64\nversion 6.1.0-99\n"
            f"options a=$(touch {self.pwned}) b'c }} reboot\n").encode())

    def deploy(self) -> None:
        """It succeeds, and no trap was sprung."""
        self.use(partition_images.debian, self.traps,
                 boot_mode=os.environ.get('BOOT_MODE', 'bios'))
        result = self.written()
        self.assertFalse(self.pwned.exists())
        self.assertEqual('root:secret', self.secret.read_text())
        self.assertEqual(
            ['/boot/vmlinuz-6.1.0-10-amd64', '/boot/vmlinuz-6.1.0-9-amd64'],
            result['imagedeploy']['bootloader']['kernels'])

    def test_nothing_runs(self):
        self.deploy()
        menu = self.menu()
        self.assertEqual(2, menu.count('menuentry'))
        for line in menu.splitlines()[5:]:
            # Outside of quotes is only what we write ourselves.
            self.assertRegex(re.sub(r"'[^']*'", '@', line), (
                r'^(menuentry @ \{|  initrd @|\}|'
                r'  linux @ root=UUID=[0-9a-f-]+'
                r'( root=PARTUUID=[0-9a-f-]+)? ro( @)*|)$'))
            self.assertNotRegex(line, r'[;&|<>()$`"\\]')
        path = self.directory / 'grub.cfg'
        path.write_text(menu)
        disks.run('grub-script-check', path)

    def test_no_file_of_the_image_is_executed_or_mapped_executable(self):
        for boot_mode in ('bios', 'uefi'):
            log = self.directory / f'{boot_mode}.strace'
            done = subprocess.run(
                ['strace', '-f', '-y', '-qq', '-o', log, '-e',
                 'trace=execve,execveat,mmap,mprotect,pkey_mprotect,'
                 'uselib,chroot,pivot_root', '--', sys.executable, '-m',
                 'unittest', f'{__name__}.HostileTest.test_nothing_runs'],
                env={**os.environ, 'BOOT_MODE': boot_mode,
                     'PYTHONWARNINGS': 'ignore'},
                capture_output=True, text=True, timeout=300, check=False)
            self.assertEqual(0, done.returncode, done.stderr[-2000:])
            self._assert_clean(log.read_text(errors='replace').splitlines())

    def _assert_clean(self, calls: list[str]) -> None:
        place = re.compile(r'/imagedeploy-\w+')
        started = [call for call in calls if 'execve' in call]
        # The trace does see what touches the mount.
        self.assertTrue([call for call in started if '"mount"' in call
                         and place.search(call)])
        self.assertTrue([call for call in started
                         if 'grub-mkimage"' in call.split(',')[0]])
        for call in calls:
            self.assertNotRegex(call, r'\b(chroot|pivot_root|uselib)\(')
            program = call.split('"')[1] if 'execve' in call else ''
            self.assertNotRegex(program, place, shlex.quote(call))
            if 'PROT_EXEC' in call:
                self.assertNotRegex(call, place)

    def test_boot_is_a_link_to_proc(self):
        def change(tree: pathlib.Path) -> None:
            put(tree, 'proc/vmlinuz-6.1', b'a kernel')
            (tree / 'boot').symlink_to('/proc')

        self.use(change)
        self.assertIn('/boot of the image leads to the outside',
                      self.failed())
        self.assert_root_is_wiped()

    def test_directory_of_the_menu_is_outside(self):
        outside = self.directory / 'outside'
        outside.mkdir()

        def change(tree: pathlib.Path) -> None:
            (tree / 'boot/grub').rmdir()
            (tree / 'boot/grub').symlink_to(outside)

        self.use(partition_images.debian, change)
        self.assertIn('/boot/grub of the image leads to the outside',
                      self.failed())
        self.assertEqual([], list(outside.iterdir()))
        self.assert_root_is_wiped()

    def test_kernel_for_another_processor(self):
        self.use(partition_images.debian, lambda tree: put(
            tree, 'boot/vmlinuz-6.1.0-10-amd64', boot_files.arm64()))
        self.assertIn('expected x86_64, found aarch64', self.failed())
        self.assert_root_is_wiped()

    def test_no_kernel(self):
        self.use(lambda tree: put(tree, 'etc/hostname', b'x'))
        self.assertIn('no-bootloader', self.failed())
        self.assertEqual(bytes(MIB), disks.first_bytes(self.device, MIB))

    def assert_root_is_wiped(self) -> None:
        partition, = (path for path in pathlib.Path('/dev').glob(
            f'{os.path.basename(self.device)}p*'))
        self.assertEqual(bytes(MIB), disks.first_bytes(partition, MIB))


class MountTest(partition_images.PartitionImageTestCase):

    def test_nothing_on_it_runs_or_is_a_device(self):
        def change(tree: pathlib.Path) -> None:
            put(tree, 'program', b'#!/bin/sh\n', mode=0o4755)
            os.mknod(tree / 'null', 0o020666, os.makedev(1, 3))

        path = partition_images.make_file_system(
            self.directory / 'root', 'ext4', change)
        device = disks.attach(path)
        self.addCleanup(disks.run, 'losetup', '-d', device)
        with mounts.mounted(device, 'ext4') as root:
            place = disks.run('findmnt', '-n', '-o', 'TARGET', device)
            options = disks.run('findmnt', '-n', '-o', 'OPTIONS', device)
            for option in ('ro', 'nosuid', 'nodev', 'noexec'):
                self.assertIn(option, options.split(','))
            with self.assertRaises(PermissionError):
                subprocess.run([f'{place}/program'], check=False)
            with self.assertRaises(PermissionError):
                pathlib.Path(place, 'null').read_bytes()
            with self.assertRaisesRegex(image_tree.UnsafePath, 'Read-only'):
                root.write('program', b'')
            with root.writable():
                options = disks.run('findmnt', '-n', '-o', 'OPTIONS', device)
                for option in ('rw', 'nosuid', 'nodev', 'noexec'):
                    self.assertIn(option, options.split(','))
        self.assertFalse(os.path.exists(place))

    def test_type_that_was_not_recognised(self):
        for kind in ('iso9660', 'vfat', 'auto', None):
            with self.assertRaisesRegex(Exception, 'is not one that'), \
                    mounts.mounted(self.device, kind):
                self.fail('mounted')
