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

"""Partition images that mean harm to the ramdisk, or to other disks."""

from collections.abc import Iterator
import contextlib
import hashlib
import os
import pathlib
import shutil
import socket
import time

from ironic_imagedeploy.agent.boot import image_tree
from ironic_imagedeploy.agent.boot import mounts
from tests.functional import partition_images
from tests.functional.partition_images import put
from tests.support import boot_files
from tests.support import disks
from tests.support import images

efi_program = boot_files.efi_program
MIB = partition_images.MIB
#: Seconds in which a deployment of such an image ends, busy machines too.
BOUND = 300
GOOD = ['/boot/vmlinuz-6.1.0-10-amd64', '/boot/vmlinuz-6.1.0-9-amd64']


class HostileTestCase(partition_images.PartitionImageTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.started = time.monotonic()

    def tearDown(self) -> None:
        self.assertLess(time.monotonic() - self.started, BOUND)
        super().tearDown()

    def use_file_system(self, path: pathlib.Path, kind: str = 'ext4') -> None:
        """Deploy a file system that is in a file."""
        self.use(partition_images.debian, kind=kind)
        self.guest = path
        self.image = images.convert(path, self.directory / 'disk.qcow2')

    @contextlib.contextmanager
    def mounted(self, path: pathlib.Path, kind: str) -> Iterator[mounts.Root]:
        """A file system in a file, as the agent mounts it."""
        self.attached = device = disks.attach(path)
        try:
            with mounts.mounted(device, kind) as root:
                yield root
        finally:
            disks.run('losetup', '-d', device)

    def other_disk(self, size: int = 128 * MIB) -> tuple[str, pathlib.Path]:
        """Another disk of the machine, and the file behind it."""
        backing = self.directory / 'other'
        disks.fill(backing, size, 0)
        device = disks.attach(backing)
        self.addCleanup(disks.run, 'losetup', '-d', device)
        return device, backing

    def assert_fails(self, *words: str) -> None:
        """The deployment fails for that reason, and nothing boots."""
        said = self.failed()
        for word in words:
            self.assertIn(word, said)
        partition = disks.run('lsblk', '-nlpo', 'NAME', self.device
                             ).splitlines()[-1]
        self.assertEqual(bytes(MIB), disks.first_bytes(partition, MIB))

    def assert_deploys(self, **info: object) -> None:
        """It succeeds, with the kernels that are sound."""
        result = self.written(**info)['imagedeploy']['bootloader']
        self.assertEqual(GOOD, result['kernels'])


def digest(path: pathlib.Path) -> str:
    """Of the whole file."""
    os.sync()
    with path.open('rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()


class KernelsTest(HostileTestCase):

    def test_names(self):
        def change(tree: pathlib.Path) -> None:
            for name in ('9\nreboot', "9'", '9"', '9$(reboot)', '9`reboot`',
                         '9 {', '9\\', '9\N{RIGHT-TO-LEFT OVERRIDE}',
                         '9\x1b[2J', '9${prefix}', '9;halt', '9#',
                         os.fsdecode(b'9\xff'), '1' * 200):
                put(tree, f'boot/vmlinuz-{name}', b'absurd')
            os.link(tree / 'boot/vmlinuz-9#', tree / 'boot/vmlinuz-9 ')

        self.use(partition_images.debian, change)
        # Digits are no harm.
        result = self.written()['imagedeploy']['bootloader']
        self.assertEqual([*GOOD, '/boot/vmlinuz-' + '1' * 200],
                         result['kernels'])

    def test_what_is_no_file(self):
        def change(tree: pathlib.Path) -> None:
            boot = tree / 'boot'
            os.mkfifo(boot / 'vmlinuz-91')
            with socket.socket(socket.AF_UNIX) as at:
                at.bind(str(boot / 'vmlinuz-92'))
            os.mknod(boot / 'vmlinuz-93', 0o020666, os.makedev(1, 5))
            (boot / 'vmlinuz-94').symlink_to('vmlinuz-95')
            (boot / 'vmlinuz-95').symlink_to('vmlinuz-94')
            (boot / 'vmlinuz-96').symlink_to('/proc/kcore')
            (boot / 'vmlinuz-97').symlink_to('../../../../dev/zero')
            (boot / 'vmlinuz-98').mkdir()
            (boot / 'vmlinuz-99').touch()

        self.use(partition_images.debian, change)
        self.assert_deploys()

    def test_a_kernel_larger_than_the_disk(self):
        def change(tree: pathlib.Path) -> None:
            put(tree, 'boot/vmlinuz-9', b'')
            os.truncate(tree / 'boot/vmlinuz-9', 3 << 30)

        self.use(partition_images.debian, change)
        self.assertIn('/boot/vmlinuz-9',
                      self.written()['imagedeploy']['bootloader']['kernels'])

    def test_a_crowd(self):
        def change(tree: pathlib.Path) -> None:
            for number in range(60000):
                os.link(tree / 'boot/vmlinuz-6.1.0-9-amd64',
                        tree / f'boot/vmlinuz-{number}')

        self.use(partition_images.debian, change)
        self.assert_fails('/boot of the image has more than 4096 entries')


class TextsTest(HostileTestCase):

    def test_defaults_of_100_mib(self):
        def change(tree: pathlib.Path) -> None:
            os.truncate(tree / 'etc/default/grub', 100 * MIB)

        self.use(partition_images.debian, change)
        self.assert_fails('/etc/default/grub of the image has more than '
                          '65536 bytes')

    def test_texts_behind_absolute_links(self):
        def change(tree: pathlib.Path) -> None:
            put(tree, 'etc/fstab', b'UUID=0-0 /boot/efi vfat defaults 0 2\n')
            (tree / 'etc').rename(tree / 'usr/etc')
            (tree / 'etc').symlink_to('/usr/etc')

        self.use(partition_images.debian, change, boot_mode='uefi')
        self.written()
        with self.root() as root:
            self.assertIn(b"'console=ttyS0", root.read('boot/grub/grub.cfg'))
            self.assertNotIn(b'UUID=0-0', root.read('usr/etc/fstab'))

    def test_etc_is_outside(self):
        def change(tree: pathlib.Path) -> None:
            shutil.rmtree(tree / 'etc')
            (tree / 'etc').symlink_to('/proc/self/root/etc')

        self.use(partition_images.debian, change)
        self.assertEqual('image', self.written()['imagedeploy']['bootloader'][
            'kernel_origin'])

    def test_menu_that_is_no_file(self):
        def change(tree: pathlib.Path) -> None:
            (tree / 'folder').mkdir()
            os.mkfifo(tree / 'pipe')
            os.mknod(tree / 'disk', 0o060666, os.stat(self.device).st_rdev)
            (tree / 'fixed').touch()
            disks.run('chattr', '+i', tree / 'fixed')

        path = partition_images.make_file_system(
            self.directory / 'root', 'ext4', change)
        with self.mounted(path, 'ext4') as root, root.writable():
            for name, said in (('folder', 'found a directory'),
                               ('pipe', 'found a named pipe'),
                               ('disk', 'found a block device'),
                               ('fixed', 'Operation not permitted')):
                with self.assertRaisesRegex(
                        image_tree.UnsafePath,
                        f'/{name} of the image: .*{said}'):
                    root.write(name, b'menu')

    def test_menu_that_is_a_pipe(self):
        self.use(partition_images.debian, lambda tree: os.mkfifo(
            tree / 'boot/grub/grub.cfg'))
        self.assert_fails('/boot/grub/grub.cfg of the image', 'a named pipe')

    def test_no_space_for_the_menu(self):
        def change(tree: pathlib.Path) -> None:
            # What the file system puts off gives it room again.
            with (tree / 'fill').open('wb', buffering=0) as file:
                written = True
                while written:
                    written = False
                    with contextlib.suppress(OSError):
                        while file.write(bytes(4096)):
                            written = True
                    with contextlib.suppress(OSError):
                        os.fsync(file.fileno())

        self.use(partition_images.debian, change)
        self.assert_fails('/boot/grub/grub.cfg of the image: No space left')


class EfiTest(HostileTestCase):

    SHIM = 'usr/lib/shim/shimx64.efi.signed'
    GRUB = 'usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed'

    def use_programs(self, shim: int, grub: int) -> None:
        """Sizes of both, in bytes."""
        def change(tree: pathlib.Path) -> None:
            for path, size in ((self.SHIM, shim), (self.GRUB, grub)):
                put(tree, path, efi_program(path))
                os.truncate(tree / path, size)

        self.use(partition_images.debian, change, boot_mode='uefi')

    def test_a_shim_larger_than_the_esp(self):
        self.use_programs(3 << 30, 1 * MIB)
        result = self.written()['imagedeploy']['bootloader']
        self.assertEqual('ramdisk', result['origin'])
        self.assertIn(f'{self.SHIM} of the image has more than 16777216',
                      self.log.output)

    def test_programs_that_do_not_fit(self):
        self.conf.config(efi_system_partition_size=40, group='disk_utils')
        self.use_programs(15 * MIB, 15 * MIB)
        self.assertIn('Disk full', self.failed())


class Ext4Test(HostileTestCase):

    def test_a_panic_is_not_granted(self):
        self.use(partition_images.debian)
        disks.run('tune2fs', '-e', 'panic', '-E', 'mount_opts=errors=panic',
                  self.guest)
        with self.mounted(self.guest, 'ext4') as root:
            self._assert_no_panic()
            with root.writable():
                self._assert_no_panic()
            self._assert_no_panic()

    def _assert_no_panic(self) -> None:
        # The kernel does not show the option that is its default.
        options = pathlib.Path('/proc/fs/ext4', os.path.basename(
            self.attached), 'options').read_text()
        self.assertIn('errors=remount-ro', options.splitlines())

    def test_directory_that_is_broken(self):
        self.use(partition_images.debian)
        disks.run('tune2fs', '-e', 'continue', self.guest)
        block = disks.run('debugfs', '-R', 'bmap /boot 0', self.guest)
        with self.guest.open('r+b') as file:
            file.seek(int(block.split()[-1]) * 4096 + 64)
            file.write(b'\xff' * 512)
        with self.mounted(self.guest, 'ext4') as root, \
                self.assertRaisesRegex(image_tree.UnsafePath,
                                       '/boot of the image: Bad message'):
            root.names('boot')

    def test_journal_on_another_disk(self):
        other, backing = self.other_disk()
        disks.run('mke2fs', '-q', '-O', 'journal_dev', '-b', '4096', other)
        path = self.directory / 'root'
        disks.fill(path, 64 * MIB, 0)
        disks.run('mke2fs', '-q', '-t', 'ext4', '-b', '4096', '-J',
                  f'device={other}', '-F', path)
        place = self.directory / 'place'
        place.mkdir()
        disks.run('mount', '-o', 'loop', path, place)
        partition_images.debian(place)
        disks.run('umount', place)
        before = digest(backing)
        with self.assertRaisesRegex(Exception, 'on one device'), \
                self.mounted(path, 'ext4'):
            self.fail('mounted')
        self.assertEqual(before, digest(backing))

    def test_journal_that_waits(self):
        self.use_file_system(self._mounted_copy('ext4'))
        self.assert_deploys()

    def _mounted_copy(self, kind: str) -> pathlib.Path:
        """As after a power failure."""
        path = partition_images.make_file_system(
            self.directory / 'live', kind)
        place = self.directory / 'place'
        place.mkdir()
        disks.run('mount', '-o', 'loop', path, place)
        try:
            partition_images.debian(place)
            os.sync()
            return shutil.copy(path, self.directory / 'copy')
        finally:
            disks.run('umount', place)


class XfsTest(HostileTestCase):

    def test_twin_that_is_mounted(self):
        self.use(partition_images.debian, kind='xfs')
        place = self.directory / 'place'
        place.mkdir()
        disks.run('mount', '-o', 'loop', self.guest, place)
        self.addCleanup(disks.run, 'umount', place)
        self.assert_deploys()


class BtrfsTest(HostileTestCase):

    def test_several_devices(self):
        self.use(partition_images.debian, kind='btrfs')
        other, backing = self.other_disk()
        path = self.directory / 'root'
        disks.fill(path, 128 * MIB, 0)
        device = disks.attach(path)
        self.addCleanup(disks.run, 'losetup', '-d', device)
        disks.run('mkfs.btrfs', '-q', '-f', '-d', 'single', '-m', 'raid1',
                  device, other)
        before = digest(backing)
        with self.assertRaisesRegex(Exception, 'on one device'), \
                mounts.mounted(device, 'btrfs'):
            self.fail('mounted')
        self.image = images.convert(path, self.directory / 'disk.qcow2')
        self.failed()
        self.assertEqual(before, digest(backing))

    def _with_default(self, name: str, *, read_only: bool = False
                      ) -> partition_images.Change:
        """A system in that subvolume, which is the default one."""
        def change(tree: pathlib.Path) -> None:
            disks.run('btrfs', '-q', 'subvolume', 'create', tree / name)
            partition_images.debian(tree / name)
            disks.run('btrfs', 'property', 'set', '-ts', tree / name, 'ro',
                      str(read_only).lower())
            disks.run('btrfs', 'subvolume', 'set-default', tree / name)
        return change

    def test_names_of_the_default_subvolume(self):
        for name in ('a b', "a'", '$(reboot)', 'a;halt', 'a}', 'a\nb',
                     '\N{LATIN SMALL LETTER U WITH DIAERESIS}', '#a'):
            path = partition_images.make_file_system(
                self.directory / 'root', 'btrfs', self._with_default(name))
            with self.assertRaisesRegex(Exception, 'cannot be named in a'), \
                    self.mounted(path, 'btrfs'):
                self.fail('mounted')

    def test_name_that_is_a_command(self):
        self.use(self._with_default('a;reboot'), kind='btrfs')
        self.assert_fails('default subvolume of the image cannot be named')

    def test_read_only_subvolume(self):
        self.use(self._with_default('system', read_only=True), kind='btrfs')
        self.assert_fails('Read-only file system')

    def test_nested_subvolume(self):
        def change(tree: pathlib.Path) -> None:
            disks.run('btrfs', '-q', 'subvolume', 'create', tree / 'boot')
            partition_images.debian(tree)

        self.use(change, kind='btrfs')
        self.assert_deploys()
