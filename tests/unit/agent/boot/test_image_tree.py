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

import ctypes
import errno
import itertools
import os
import socket
from unittest import mock

from ironic_imagedeploy.agent.boot import image_tree
from tests.unit.agent import trees


class ReadingTest(trees.TreeTestCase):

    def test_files_and_directories(self):
        self.put('boot/b', 'two')
        self.put('boot/a', 'one')
        self.assertEqual(['a', 'b'], self.tree.names('boot'))
        self.assertEqual(b'one', self.tree.read('boot/a'))
        self.assertEqual(3, self.tree.size('boot/b'))
        self.assertTrue(self.tree.is_directory('boot'))

    def test_nothing_there(self):
        self.assertEqual([], self.tree.names('boot'))
        self.assertIsNone(self.tree.read('boot/a'))
        self.assertIsNone(self.tree.size('a'))
        self.assertFalse(self.tree.is_directory('boot'))

    def test_links_that_stay_inside(self):
        self.put('usr/lib/os-release', 'ID=debian')
        self.link('etc/os-release', '../usr/lib/os-release')
        self.link('lib', 'usr/lib')
        self.assertEqual(b'ID=debian', self.tree.read('etc/os-release'))
        self.assertEqual(['os-release'], self.tree.names('lib'))

    def test_absolute_links(self):
        """They count from the top, as for a system that runs there."""
        self.put('opt/boot/a', 'one')
        self.link('boot', '/opt/boot')
        self.link('efi', '/../../opt')
        self.assertEqual(['a'], self.tree.names('boot'))
        self.assertEqual(b'one', self.tree.read('boot/a'))
        self.assertEqual(3, self.tree.size('efi/boot/a'))
        self.assertTrue(self.tree.is_directory('boot'))
        self.assertEqual('opt/boot/a', self.tree.real_path('boot/a'))
        for path, beneath in (('opt/boot/a', True), ('boot/a', False),
                              ('efi/boot', False), ('gone', False)):
            self.assertEqual(beneath, self.tree.is_beneath(path))

    def test_links_that_lead_outside(self):
        """The same paths in the tree are meant."""
        for number, target in enumerate((
                str(self.secret), '../secret', '../../../../../etc/shadow',
                '/etc/passwd', '/proc/self/root/etc/passwd')):
            self.link(f'file{number}', target)
            self.assertIsNone(self.tree.read(f'file{number}'))
        self.put('etc/passwd', 'of the image')
        self.assertEqual(b'of the image', self.tree.read('file3'))
        self.link('boot', '/proc')
        self.assertFalse(self.tree.is_directory('boot'))
        self.assertEqual([], self.tree.names('boot'))
        self.assertIsNone(self.tree.read('boot/cmdline'))

    def test_a_path_with_dots(self):
        self.assertIsNone(self.tree.read('../secret'))
        self.put('secret', 'of the image')
        self.assertEqual(b'of the image', self.tree.read('../secret'))

    def test_a_mount_point_in_the_tree(self):
        """What is mounted there is not of the image; /proc always is one."""
        tree = image_tree.ImageTree('/')
        self.addCleanup(tree.close)
        for path in ('proc/version', 'proc'):
            with self.assertRaisesRegex(image_tree.UnsafePath, 'outside'):
                tree.read(path)
        with self.assertRaisesRegex(image_tree.UnsafePath, 'outside'):
            tree.names('proc')

    def test_links_in_a_circle(self):
        self.link('a', 'b')
        self.link('b', 'a')
        with self.assertRaisesRegex(image_tree.UnsafePath, 'Too many'):
            self.tree.read('a')

    def test_what_is_no_file(self):
        os.mkfifo(self.top / 'pipe')
        self.enterContext(socket.socket(socket.AF_UNIX)).bind(
            str(self.top / 'socket'))
        (self.top / 'folder').mkdir()
        for name, found in (('pipe', 'a named pipe'), ('socket', 'a socket'),
                            ('folder', 'a directory')):
            with self.assertRaisesRegex(
                    image_tree.UnsafePath, f'expected a file, found {found}'):
                self.tree.read(name)
        self.put('file')
        with self.assertRaisesRegex(image_tree.UnsafePath,
                                    'expected a directory, found a file'):
            self.tree.names('file')

    def test_devices(self):
        if os.geteuid() != 0:
            self.skipTest('device files are made by root only')
        for name, kind in (('block', 0o060000), ('character', 0o020000)):
            os.mknod(self.top / name, kind | 0o666, os.makedev(1, 3))
            with self.assertRaisesRegex(image_tree.UnsafePath,
                                        f'found a {name} device'):
                self.tree.read(name)

    def test_huge_files(self):
        with self.put('huge').open('r+b') as file:
            file.truncate(1 << 40)
        with self.assertRaisesRegex(image_tree.UnsafePath, 'more than 262144'):
            self.tree.read('huge')
        self.put('four', 'four')
        self.assertEqual(b'four', self.tree.read('four', 4))
        with self.assertRaises(image_tree.UnsafePath):
            self.tree.read('four', 3)

    def test_too_many_names(self):
        (self.top / 'boot').mkdir()
        for number in range(4097):
            (self.top / f'boot/{number}').touch()
        with self.assertRaisesRegex(image_tree.UnsafePath, '4096 entries'):
            self.tree.names('boot')

    def test_what_cannot_be_read(self):
        self.put('file')
        (self.top / 'folder').mkdir()
        failing = mock.Mock(side_effect=OSError(
            errno.EUCLEAN, 'Structure needs cleaning'))
        with mock.patch.object(image_tree, '_blocks', failing), \
                self.assertRaisesRegex(
                    image_tree.UnsafePath,
                    '/file of the image: Structure needs cleaning'):
            self.tree.read('file')
        with mock.patch.object(os, 'scandir', failing), \
                self.assertRaisesRegex(
                    image_tree.UnsafePath,
                    '/folder of the image: Structure needs cleaning'):
            self.tree.names('folder')

    def test_a_rename_elsewhere_on_the_machine(self):
        self.put('usr/lib/os-release', 'ID=debian')
        self.link('etc/os-release', '../usr/lib/os-release')
        libc = ctypes.CDLL(None, use_errno=True)
        disturbed = iter((True, True))

        def openat2(*arguments):
            if next(disturbed, False):
                ctypes.set_errno(errno.EAGAIN)
                return -1
            return libc.syscall(*arguments)

        with mock.patch.object(ctypes, 'CDLL', autospec=True) as found:
            found.return_value.syscall = openat2
            self.assertEqual(b'ID=debian', self.tree.read('etc/os-release'))
            disturbed = itertools.repeat(True)
            with self.assertRaisesRegex(image_tree.UnsafePath, 'temporarily'):
                self.tree.read('etc/os-release')

    def test_names_that_are_no_text(self):
        (self.top / 'boot').mkdir()
        for name in (b'good', b'\xff\xfe', b'new\nline', b'\x1b[31m'):
            with open(os.fsencode(self.top / 'boot') + b'/' + name, 'wb'):
                pass
        self.assertEqual(['good'], self.tree.names('boot'))


class WritingTest(trees.TreeTestCase):

    def test_new_file(self):
        self.tree.make_directory('boot/grub')
        self.tree.write('boot/grub/grub.cfg', b'menu')
        self.assertEqual(b'menu', self.tree.read('boot/grub/grub.cfg'))
        mode = (self.top / 'boot/grub/grub.cfg').stat().st_mode
        self.assertEqual(0o644, mode & 0o777)
        for path in ('boot', 'boot/grub'):
            self.assertEqual(0o755, (self.top / path).stat().st_mode & 0o777)

    def test_blocks(self):
        blocks = [os.urandom(size) for size in (5, 0, 3 << 20, 1)]
        self.tree.copy('file', iter(blocks))
        self.assertEqual(b''.join(blocks), (self.top / 'file').read_bytes())

    def test_it_is_on_the_medium(self):
        written = []

        def fsync(descriptor):
            written.append(os.readlink(f'/proc/self/fd/{descriptor}'))
            self.assertEqual('x', (self.top / 'file').read_text())

        with mock.patch.object(os, 'fsync', fsync):
            self.tree.write('file', b'x')
        self.assertEqual([str(self.top / 'file')], written)

    def test_no_room(self):
        failing = mock.Mock(side_effect=OSError(errno.ENOSPC, 'No space'))
        with mock.patch.object(os, 'fsync', failing), \
                self.assertRaisesRegex(image_tree.UnsafePath,
                                       '/file of the image: No space'):
            self.tree.write('file', b'x')

    def test_file_that_is_there(self):
        old = self.put('fstab', 'old and longer')
        old.chmod(0o600)
        inode = old.stat().st_ino
        self.tree.write('fstab', b'new')
        self.assertEqual(b'new', old.read_bytes())
        self.assertEqual((inode, 0o600), (old.stat().st_ino,
                                          old.stat().st_mode & 0o777))

    def test_in_place_of_a_link(self):
        self.link('boot/grub/grub.cfg', str(self.secret))
        self.tree.write('boot/grub/grub.cfg', b'menu')
        self.assertEqual('root:secret', self.secret.read_text())
        self.assertFalse((self.top / 'boot/grub/grub.cfg').is_symlink())
        self.assertEqual(b'menu', self.tree.read('boot/grub/grub.cfg'))

    def test_directory_that_is_outside(self):
        outside = self.directory / 'outside'
        outside.mkdir()
        self.link('boot', str(outside))
        with self.assertRaisesRegex(image_tree.UnsafePath,
                                    'no directory /boot'):
            self.tree.write('boot/grub.cfg', b'menu')
        self.tree.make_directory('boot/grub')
        self.tree.write('boot/grub/grub.cfg', b'menu')
        self.assertEqual([], list(outside.iterdir()))
        self.assertEqual(b'menu', (
            self.top / 'boot/grub/grub.cfg').read_bytes())

    def test_directory_by_an_absolute_link(self):
        (self.top / 'opt').mkdir()
        self.link('boot/grub', '/opt')
        self.tree.make_directory('boot/grub/x')
        self.tree.write('boot/grub/grub.cfg', b'menu')
        self.assertEqual(b'menu', (self.top / 'opt/grub.cfg').read_bytes())
        self.assertTrue((self.top / 'opt/x').is_dir())

    def test_dangling_link_for_a_directory(self):
        for name in ('grub', 'grub2'):
            self.link(f'boot/{name}', str(self.directory / 'nowhere')
                      if name == 'grub' else 'nowhere')
            self.tree.make_directory(f'boot/{name}')
            self.assertFalse((self.top / 'boot' / name).is_symlink())
            self.assertTrue((self.top / 'boot' / name).is_dir())
        self.assertFalse((self.directory / 'nowhere').exists())

    def test_what_is_no_file_stays(self):
        os.mkfifo(self.top / 'grub.cfg')
        with self.assertRaisesRegex(image_tree.UnsafePath, 'a named pipe'):
            self.tree.write('grub.cfg', b'menu')
        with self.assertRaisesRegex(image_tree.UnsafePath, 'found a named'):
            self.tree.make_directory('grub.cfg')
        with self.assertRaisesRegex(image_tree.UnsafePath,
                                    'no directory /boot'):
            self.tree.write('boot/grub.cfg', b'menu')
