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


import os
import pathlib
import re
import shlex
import subprocess
import sys

from ironic_python_agent import config  # noqa: F401 (before the others)

from ironic_imagedeploy.agent.boot import image_tree
from ironic_imagedeploy.agent.boot import mounts
from tests.functional import partition_images
from tests.functional.partition_images import put
from tests.support import boot_files
from tests.support import disks

MIB = partition_images.MIB


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
                ['strace', '-f', '--seccomp-bpf', '-y', '-qq', '-o', log, '-e',
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
        """That of the image."""
        def change(tree: pathlib.Path) -> None:
            put(tree, 'proc/vmlinuz-6.1', b'a kernel')
            put(tree, 'proc/initrd.img-6.1', b'its initramfs')
            (tree / 'boot').symlink_to('/proc')

        self.use(change)
        self.written()
        menu = self.menu('proc/grub/grub.cfg')
        self.assertIn("linux '/proc/vmlinuz-6.1'", menu)
        self.assertIn("initrd '/proc/initrd.img-6.1'", menu)

    def test_directory_of_the_menu_is_outside(self):
        outside = self.directory / 'outside'
        outside.mkdir()

        def change(tree: pathlib.Path) -> None:
            (tree / 'boot/grub').rmdir()
            (tree / 'boot/grub').symlink_to(outside)
            (tree / 'boot/efi').symlink_to(outside)

        for boot_mode in ('bios', 'uefi'):
            self.use(partition_images.debian, change, boot_mode=boot_mode)
            self.written()
            self.assertEqual([], list(outside.iterdir()))
            self.assertIn('vmlinuz', self.menu())

    def test_directories_by_absolute_links(self):
        def change(tree: pathlib.Path) -> None:
            for name in ('boot/grub', 'boot/efi', 'boot'):
                there = tree / 'opt' / name.replace('/', '-')
                there.parent.mkdir(exist_ok=True)
                if name == 'boot/efi':
                    there.mkdir()
                else:
                    (tree / name).rename(there)
                (tree / name).symlink_to(f'/{there.relative_to(tree)}')

        for boot_mode in ('bios', 'uefi'):
            self.use(partition_images.debian, change, boot_mode=boot_mode)
            self.written()
            menu = self.menu('opt/boot-grub/grub.cfg')
            self.assertIn("'/opt/boot/vmlinuz-6.1.0-10-amd64'", menu)
            self.assertIn("'/opt/boot/initrd.img-6.1.0-10-amd64'", menu)

    def test_the_menu_s_directory_has_a_hostile_name(self):
        def change(tree: pathlib.Path) -> None:
            (tree / "opt'; reboot; '").mkdir()
            (tree / 'boot/grub').rmdir()
            (tree / 'boot/grub').symlink_to("/opt'; reboot; '")

        self.use(partition_images.debian, change)
        self.assertIn('cannot be named in a boot menu', self.failed())
        self.assert_root_is_wiped()

    def test_kernel_for_another_processor(self):
        self.use(partition_images.debian, lambda tree: put(
            tree, 'boot/vmlinuz-6.1.0-10-amd64', boot_files.arm64()))
        self.assertIn('Expected x86_64, found aarch64', self.failed())
        self.assertEqual(bytes(MIB), disks.first_bytes(self.device, MIB))

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
