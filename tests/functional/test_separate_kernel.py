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

"""The agent puts a kernel on the disk that comes beside the image."""

import hashlib
import os
import pathlib
import typing

from tests.functional import base
from tests.functional import partition_images
from tests.functional.partition_images import put
from tests.support import boot_files
from tests.support import disks
from tests.support import web

MIB = base.MIB
KERNEL = '/boot/ironic-imagedeploy/kernel'
INITRAMFS = '/boot/ironic-imagedeploy/initramfs'
OPTIONS = 'nofb vga=normal console=ttyS1 dyndbg="file a.c +p"'


def without_kernel(tree: pathlib.Path) -> None:
    """A Debian system, all but its kernels."""
    partition_images.debian(tree)
    for path in (tree / 'boot').glob('*-6.1.0-*'):
        path.unlink()


class BesideTestCase(partition_images.PartitionImageTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.beside = {'kernel': boot_files.bzimage(os.urandom(3 * MIB)),
                       'ramdisk': boot_files.initramfs(
                           {'init': os.urandom(5 * MIB)})}
        self.order: dict[str, typing.Any] = {'options': OPTIONS}
        for role, content in self.beside.items():
            self.serve(role, content)
            self.order[role] = {
                'url': self.server.url(role), 'checksum':
                f'sha256:{hashlib.sha256(content).hexdigest()}'}
        self.node['driver_internal_info'] = {
            'imagedeploy': {'boot_files': self.order}}

    def serve(self, role: str, content: bytes) -> None:
        """Have that at its URL."""
        (self.directory / role).write_bytes(content)

    def assert_placed(self, result: dict[str, typing.Any],
                      kind: str = 'ext4') -> str:
        """Both are on the disk: the menu that says so."""
        self.assertEqual(
            ([KERNEL], 'beside'),
            (result['imagedeploy']['bootloader']['kernels'],
             result['imagedeploy']['bootloader']['kernel_origin']))
        with self.root(kind) as root:
            for path, role in ((KERNEL, 'kernel'), (INITRAMFS, 'ramdisk')):
                self.assertEqual(self.beside[role],
                                 root.read(path[1:], 64 * MIB))
        return self.menu(kind=kind)

    def assert_refused_before_the_disk(self, *words: str) -> None:
        """Nothing was written by then."""
        error = self.failed()
        for word in words:
            self.assertIn(word, error)
        self.assertEqual(bytes(MIB), disks.first_bytes(self.device, MIB))

    def assert_wiped(self) -> None:
        """There is nothing left in the root partition to boot."""
        partition, = (path for path in pathlib.Path('/dev').glob(
            f'{os.path.basename(self.device)}p*'))
        self.assertEqual(bytes(MIB), disks.first_bytes(partition, MIB))

    def assert_command_line(self, menu: str, prefix: str = '') -> None:
        """One entry, with the options of the image and of the node."""
        uuid = self.standby.partition_uuids['root uuid']
        self.assertEqual(1, menu.count('menuentry'))
        self.assertIn(f"menuentry 'Linux {boot_files.KERNEL_VERSION}'", menu)
        self.assertIn(f"linux '{prefix}{KERNEL}' root=UUID={uuid} ro ", menu)
        self.assertIn(" 'console=ttyS0,115200n8' 'quiet' 'nofb' 'vga=normal' "
                      "'console=ttyS1' 'dyndbg=file a.c +p'\n", menu)
        self.assertIn(f"initrd '{prefix}{INITRAMFS}'\n", menu)


class PlacedTest(BesideTestCase):

    def test_each_file_system(self):
        for kind in ('ext4', 'xfs', 'btrfs'):
            with self.subTest(kind=kind):
                self.use(without_kernel, kind=kind)
                menu = self.assert_placed(self.written(), kind)
                self.assert_command_line(menu)
        path = self.directory / 'grub.cfg'
        path.write_text(menu)
        disks.run('grub-script-check', path)

    def test_uefi(self):
        self.use(without_kernel, boot_mode='uefi')
        self.assert_command_line(self.assert_placed(self.written()))
        self.assertTrue(self.esp('EFI/BOOT/BOOTX64.EFI').startswith(b'MZ'))

    def test_subvolume(self):
        def change(tree: pathlib.Path) -> None:
            disks.run('btrfs', '-q', 'subvolume', 'create', tree / '@')
            without_kernel(tree / '@')

        self.use(change, kind='btrfs')
        self.assert_command_line(self.assert_placed(self.written(), 'btrfs'),
                                 '/@')

    def test_root_without_anything_of_a_boot_loader(self):
        self.use(lambda tree: put(tree, 'sbin/init', b'#!/bin/sh\n'))
        menu = self.assert_placed(self.written())
        self.assertIn(" ro 'nofb' 'vga=normal' ", menu)

    def test_kernel_whose_name_nobody_knew(self):
        """The image could have had one, and has none."""
        self.use(without_kernel,
                 lambda tree: put(tree, 'boot/vmlinuz.old', b'x'))
        self.assert_placed(self.written())

    def test_image_with_a_kernel_of_its_own(self):
        self.use(partition_images.debian)
        self.order['kernel']['url'] = self.server.url('gone')
        result = self.written()
        self.assertEqual(
            ('image', '/boot/vmlinuz-6.1.0-10-amd64'),
            (result['imagedeploy']['bootloader']['kernel_origin'],
             result['imagedeploy']['bootloader']['kernels'][0]))
        with self.root() as root:
            self.assertFalse(root.is_directory('boot/ironic-imagedeploy'))

    def test_image_of_a_node_that_was_deployed_like_this(self):
        self.use(without_kernel,
                 lambda tree: put(tree, KERNEL[1:], b'x' * 4 * MIB),
                 lambda tree: (tree / INITRAMFS[1:]).symlink_to('/dev/sda'))
        self.assert_placed(self.written())

    def test_connection_that_drops(self):
        faults = []

        def answer(exchange: web.Exchange) -> None:
            # The head was looked at twice, before and after the write.
            whole = (exchange.file.name == 'ramdisk'
                     and exchange.headers.get('Range') != 'bytes=0-1048575')
            if whole and not faults:
                faults.append(exchange.path)
                exchange.serve(stop_after=MIB)
            else:
                exchange.serve()

        self.server.answer = answer
        self.use(without_kernel)
        self.assert_placed(self.written())
        self.assertEqual(1, len(faults))

    def test_the_file_system_is_sound(self):
        self.use(without_kernel)
        self.assert_placed(self.written())
        disks.run('e2fsck', '-fn', self.partition())


class RefusedTest(BesideTestCase):

    def test_something_else_than_a_kernel(self):
        self.use(without_kernel)
        for role, content, code in (
                ('kernel', b'\x7fELF' + bytes(MIB), 'not-a-kernel'),
                ('kernel', boot_files.arm64(), 'arch-mismatch'),
                ('kernel', self.beside['kernel'][:MIB], 'truncated'),
                ('ramdisk', b'<html>' + b' ' * MIB, 'not-an-initramfs')):
            with self.subTest(code=code):
                self.serve(role, content)
                self.assert_refused_before_the_disk(
                    f'{role} http://', code)
                self.serve(role, self.beside[role])

    def test_nothing_there(self):
        self.use(without_kernel)
        self.order['ramdisk']['url'] = self.server.url('gone')
        self.assert_refused_before_the_disk('/gone', 'not found')

    def test_absurd_size(self):
        self.use(without_kernel)

        def answer(exchange: web.Exchange) -> None:
            if exchange.file.name == 'kernel':
                exchange.start(206, {
                    'Content-Range': f'bytes 0-1048575/{1 << 40}',
                    'Content-Length': str(MIB), 'ETag': exchange.etag})
                exchange.wfile.write(self.beside['kernel'][:MIB])
            else:
                exchange.serve()

        self.server.answer = answer
        self.assert_refused_before_the_disk('boot-file-too-large')

    def test_forgeable_checksum(self):
        self.use(without_kernel)
        self.order['kernel']['checksum'] = 'md5:' + hashlib.md5(
            self.beside['kernel']).hexdigest()
        self.assert_refused_before_the_disk('checksum-weak')

    def test_order_that_makes_no_sense(self):
        self.use(without_kernel)
        for wrong in ({'options': 'a=b;reboot'}, {'kernel': {}},
                      {'ramdisk': None}, {'kernel': {
                          'url': self.server.url('kernel'),
                          'checksum': None}}):
            self.node['driver_internal_info'] = {
                'imagedeploy': {'boot_files': {**self.order, **wrong}}}
            self.failed()
            self.assertEqual(bytes(MIB),
                             disks.first_bytes(self.device, MIB))

    def test_other_bytes_than_those_of_the_checksum(self):
        self.use(without_kernel)
        content = bytearray(self.beside['ramdisk'])
        content[-1] ^= 1
        self.serve('ramdisk', bytes(content))
        error = self.failed()
        self.assertIn('ramdisk http://', error)
        self.assertIn('the checksum does not match', error)
        self.assert_wiped()

    def test_no_room(self):
        self.use(without_kernel, lambda tree: put(
            tree, 'filler', os.urandom(48 * MIB)))
        self.serve('ramdisk', content := boot_files.initramfs(
            {'init': os.urandom(12 * MIB)}))
        self.order['ramdisk']['checksum'] = (
            f'sha256:{hashlib.sha256(content).hexdigest()}')
        error = self.failed()
        self.assertIn('The separate initramfs does not fit', error)
        self.assertIn('larger file system', error)
        self.assert_wiped()

    def test_boot_is_a_link_to_nowhere(self):
        """Outside of the image it does lead somewhere."""
        outside = self.directory / 'outside'
        outside.mkdir()
        for path in ('boot', 'boot/ironic-imagedeploy'):
            def change(tree: pathlib.Path, path: str = path) -> None:
                (tree / path).parent.mkdir(exist_ok=True)
                (tree / path).symlink_to(outside)

            with self.subTest(path):
                self.use(change)
                self.written()
                self.assertIn(KERNEL, self.menu())
        self.assertEqual([], list(outside.iterdir()))

    def test_something_else_in_its_place(self):
        def change(tree: pathlib.Path) -> None:
            path = tree / KERNEL[1:]
            path.parent.mkdir(parents=True)
            os.mknod(path, 0o060666, os.stat(self.device).st_rdev)

        self.use(without_kernel, change)
        self.assertIn('expected a file, found a block device', self.failed())
        self.assert_wiped()
