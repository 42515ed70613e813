#!/usr/bin/env python3
#
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
import shutil
import struct
import tempfile
from unittest import mock

from ironic_python_agent import config  # noqa: F401 (before errors)
from ironic_python_agent import errors

from ironic_imagedeploy.agent.boot import image_tree
from ironic_imagedeploy.agent.boot import mounts
from ironic_imagedeploy.agent import commands
from tests.support import disks
from tests.unit.agent.boot import mounting
from tests.unit.agent import trees

MIB = 1 << 20


class MountedTestCase(trees.TreeTestCase):

    def setUp(self):
        super().setUp()
        mounting.require(self, '/dev/loop-control')
        self.device = self.directory / 'device'
        self.put('etc/hostname', 'one')

    def make(self, *options, kind='ext4'):
        mounting.make(self.device, self.top, *options, kind=kind)
        device = disks.attach(self.device)
        self.addCleanup(disks.run, 'losetup', '-d', device)
        return device

    def flags(self, place):
        """How something is mounted; nothing when it is not."""
        for line in pathlib.Path('/proc/mounts').read_text().splitlines():
            _, path, kind, options, *_ = line.split()
            if path == place:
                return {kind, *options.split(',')}
        return set()


class MountedTest(MountedTestCase):

    def test_what_is_there_is_read(self):
        with mounts.mounted(self.make(), 'ext4') as root:
            self.assertEqual(b'one', root.read('etc/hostname'))
            self.assertEqual(('ext4', '', ()),
                             (root.kind, root.prefix, root.options))

    def test_nothing_on_it_runs_or_opens_a_device(self):
        for kind, more in (('ext4', {'errors=remount-ro'}),
                           ('btrfs', {'skip_balance'})):
            with self.subTest(kind), mounts.mounted(
                    self.make(kind=kind), kind) as root:
                self.assertLessEqual(
                    {kind, 'ro', 'nosuid', 'nodev', 'noexec', 'noatime',
                     *more}, self.flags(root._path))

    def test_it_is_written_only_when_that_is_permitted(self):
        device = self.make()
        with mounts.mounted(device, 'ext4') as root:
            with self.assertRaisesRegex(image_tree.UnsafePath, 'Read-only'):
                root.write('etc/hostname', b'two')
            with root.writable():
                root.write('etc/hostname', b'two')
                self.assertLessEqual({'rw', 'nosuid', 'nodev', 'noexec'},
                                     self.flags(root._path))
            with self.assertRaisesRegex(image_tree.UnsafePath, 'Read-only'):
                root.write('etc/hostname', b'three')
        with mounts.mounted(device, 'ext4') as root:
            self.assertEqual(b'two', root.read('etc/hostname'))

    def test_an_error_while_it_is_written(self):
        with mounts.mounted(self.make(), 'ext4') as root:
            with self.assertRaises(ZeroDivisionError), root.writable():
                raise ZeroDivisionError
            self.assertIn('ro', self.flags(root._path))

    def test_nothing_is_left(self):
        before = os.listdir('/proc/self/fd')
        for error in (None, ZeroDivisionError):
            try:
                with mounts.mounted(self.make(), 'ext4') as root:
                    path = root._path
                    if error:
                        raise error
            except ZeroDivisionError:
                self.assertIsNotNone(error)
            self.assertEqual(set(), self.flags(path))
            self.assertFalse(os.path.exists(path))
        self.assertEqual(before, os.listdir('/proc/self/fd'))

    def test_what_cannot_be_mounted(self):
        self.device.write_bytes(bytes(MIB))
        place = self.enterContext(tempfile.TemporaryDirectory())
        with (mock.patch.object(tempfile, 'tempdir', place),
              self.assertRaisesRegex(errors.DeploymentError, 'mount .* ended'),
              mounts.mounted(str(self.device), 'ext4')):
            pass
        self.assertEqual([], os.listdir(place))

    def test_a_subvolume(self):
        shutil.move(self.top / 'etc', self.top / '@rootfs' / 'etc')
        device = self.make(kind='btrfs')
        with mounts.mounted(device, 'btrfs') as root:
            self.assertEqual(b'one', root.read('etc/hostname'))
            self.assertEqual(('/@rootfs', ('rootflags=subvol=@rootfs',)),
                             (root.prefix, root.options))


class PermittedTest(trees.TreeTestCase):

    def test_kinds(self):
        for kind in ('ext4', 'xfs', 'btrfs'):
            self.assertEqual(kind, mounts.permitted(kind))
        for kind, found in (('vfat', 'found vfat'),
                            (None, 'found none of them')):
            with self.assertRaisesRegex(
                    errors.DeploymentError,
                    f'expected ext4, xfs, btrfs, {found}'):
                mounts.permitted(kind)
            with self.assertRaises(errors.DeploymentError), mounts.mounted(
                    '/dev/gone', kind):
                pass


class OtherDevicesTest(trees.TreeTestCase):
    """File systems that would let the kernel open other disks."""

    def setUp(self):
        super().setUp()
        self.run = self.enterContext(mock.patch.object(
            commands, 'run', autospec=True))
        self.device = self.directory / 'device'

    def is_mounted(self, kind, **fields):
        """Whether a file system with these fields is mounted."""
        content = bytearray(MIB)
        for place, value in fields.values():
            content[place:place + len(value)] = value
        self.device.write_bytes(content)
        self.run.reset_mock()
        try:
            with mounts.mounted(str(self.device), kind):
                pass
        except errors.DeploymentError as error:
            self.assertIn(f'The {kind} of the image is not mounted',
                          str(error))
        return self.run.called

    def test_ext4_with_a_journal_elsewhere(self):
        """Features with that of a journal, and the inode of one inside."""
        for features, inode, mounted in (
                (0x3c, 8, True), (0x38, 0, True), (0x3c, 0, False),
                (0x4, 0, False), (0x38, 8, True), (0x4, 1 << 24, True)):
            with self.subTest(features=features, inode=inode):
                self.assertEqual(mounted, self.is_mounted(
                    'ext4', features=(0x45c, struct.pack('<I', features)),
                    inode=(0x4e0, struct.pack('<I', inode))))

    def test_btrfs_on_several_devices(self):
        for devices in (0, 1, 2, 1 << 32):
            with self.subTest(devices):
                self.assertEqual(devices == 1, self.is_mounted(
                    'btrfs', devices=(0x10088, struct.pack('<Q', devices))))

    def test_xfs(self):
        self.assertTrue(self.is_mounted('xfs'))
        self.assertEqual(
            ('mount', '-i', '-t', 'xfs', '-o',
             'ro,nosuid,nodev,noexec,noatime,nouuid', str(self.device)),
            self.run.call_args_list[0].args[:-1])
        path = self.run.call_args_list[0].args[-1]
        self.assertEqual([mock.call('umount', '-i', path)],
                         self.run.call_args_list[1:])


class RootTest(trees.TreeTestCase):

    def opened(self, kind='btrfs', mountinfo=''):
        with mock.patch.object(mounts, 'open', mock.mock_open(
                read_data=mountinfo), create=True):
            root = mounts.Root(str(self.top), kind)
        self.addCleanup(root.close)
        return root

    def line(self, subvolume, path=None):
        """A mount as of proc(5), mountinfo."""
        return (f'36 35 98:0 {subvolume} {path or self.top} rw,noatime '
                'master:1 - btrfs /dev/sda rw\n')

    def test_subvolumes(self):
        for folder, prefix in (('@', '/@'), ('root', '/root')):
            self.put(f'{folder}/etc/hostname', folder)
            root = self.opened()
            self.assertEqual((prefix, (f'rootflags=subvol={folder}',)),
                             (root.prefix, root.options))
            self.assertEqual(folder.encode(), root.read('etc/hostname'))
            shutil.rmtree(self.top / folder)

    def test_the_top_is_one(self):
        self.put('@/etc/hostname')
        (self.top / 'etc').mkdir()
        root = self.opened()
        self.assertEqual(('', ()), (root.prefix, root.options))

    def test_another_file_system(self):
        self.put('@/etc/hostname')
        root = self.opened('ext4')
        self.assertEqual(('', ()), (root.prefix, root.options))
        self.assertFalse(root.is_directory('etc'))

    def test_none(self):
        self.put('@other/etc/hostname')
        root = self.opened()
        self.assertEqual(('', ()), (root.prefix, root.options))

    def test_the_default_subvolume(self):
        self.put('@/etc/hostname')
        for lines, prefix in (
                (self.line('/default'), '/default/@'),
                (self.line('/'), '/@'),
                (self.line('/x', '/aaa') + self.line('/y', '/zzz'), '/@'),
                # What is mounted there last is seen.
                (self.line('/x') + self.line('/y'), '/y/@')):
            root = self.opened(mountinfo=lines)
            self.assertEqual(prefix, root.prefix)
            self.assertEqual((f'rootflags=subvol={prefix[1:]}',),
                             root.options)

    def test_a_default_subvolume_that_no_menu_can_name(self):
        for name in ('/a b', "/a'", '/\udcff'):
            with self.assertRaisesRegex(
                    errors.DeploymentError, 'default subvolume of the image '
                    r'cannot be named .* Rename the subvolume'):
                self.opened(mountinfo=self.line(name.replace(' ', r'\040')))

    def test_nothing_is_left_open(self):
        self.put('etc')
        before = os.listdir('/proc/self/fd')
        with self.assertRaisesRegex(image_tree.UnsafePath,
                                    'expected a directory'):
            self.opened()
        self.assertEqual(before, os.listdir('/proc/self/fd'))

    def test_all_is_on_the_disk_before_it_is_read_only(self):
        steps = []
        root = self.opened('ext4')
        with (mock.patch.object(commands, 'run', lambda *command: (
                steps.append(command))),
              mock.patch.object(os, 'sync', lambda: steps.append('sync')),
              root.writable()):
            steps.append('written')
        options = 'nosuid,nodev,noexec,noatime'
        self.assertEqual(
            [('mount', '-i', '-o', f'remount,rw,{options}', str(self.top)),
             'written', 'sync',
             ('mount', '-i', '-o', f'remount,ro,{options}', str(self.top))],
            steps)
