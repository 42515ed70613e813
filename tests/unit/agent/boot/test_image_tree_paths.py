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

import contextlib
import ctypes
import errno
import os
import stat
from unittest import mock

from ironic_python_agent import config  # noqa: F401 (before errors)
from ironic_python_agent import errors

from ironic_imagedeploy.agent.boot import image_tree
from tests.unit.agent import trees


class PathsTest(trees.TreeTestCase):

    def test_real_paths(self):
        self.put('usr/lib/a')
        self.link('lib', '/usr/lib')
        self.link('gone', '/nowhere')
        for path, real in (('usr/lib/a', 'usr/lib/a'), ('lib/a', 'usr/lib/a'),
                           ('lib', 'usr/lib'), ('gone', None), ('.', None),
                           ('lib/a/b', None), ('../lib/a', 'usr/lib/a')):
            self.assertEqual(real, self.tree.real_path(path), path)

    def test_of_a_kind(self):
        self.put('folder/file')
        for path, kind, found in (
                ('folder', stat.S_IFDIR, 'folder'),
                ('folder', stat.S_IFREG, None),
                ('folder/file', stat.S_IFREG, 'folder/file'),
                ('folder/file', stat.S_IFDIR, None)):
            self.assertEqual(found, self.tree.real_path(path, kind))
        self.assertIn('/folder/file of the image: expected a directory, '
                      'found a file: it is not used', self.log.output)

    def test_what_a_system_can_do_without(self):
        self.put('etc/file', 'four')
        self.link('etc/link', '/etc/file')
        self.link('other', '/etc')
        self.assertEqual(b'four', self.tree.optional('etc/link'))
        self.assertEqual(b'four', self.tree.optional('etc/file', 4))
        self.assertEqual(['file', 'link'], self.tree.optional_names('other'))
        self.assertEqual(2, len(self.tree.optional_names('other', 2)))
        for path in ('etc', 'gone'):
            self.assertIsNone(self.tree.optional(path))
        for path in ('etc/file', 'gone'):
            self.assertEqual([], self.tree.optional_names(path))
        with self.assertRaisesRegex(image_tree.UnsafePath,
                                    'more than 3 bytes'):
            self.tree.optional('etc/file', 3)
        with self.assertRaisesRegex(image_tree.UnsafePath,
                                    'more than 1 entries'):
            self.tree.optional_names('etc', 1)

    def test_fronts(self):
        content = os.urandom((1 << 20) + 5)
        self.put('file', content)
        for length in (0, 1, 5, 1 << 20, (1 << 20) + 1, (1 << 20) + 5,
                       2 << 20):
            self.assertEqual(content[:length],
                             self.tree.front('file', length))
        self.assertIsNone(self.tree.front('gone', 5))

    def test_a_part_that_becomes_all_of_it(self):
        self.put('@/etc/file', 'one')
        self.link('@/link', '/etc/file')
        before = len(os.listdir('/proc/self/fd'))
        self.tree.enter('@')
        self.assertEqual(b'one', self.tree.read('link'))
        self.assertEqual('etc/file', self.tree.real_path('link'))
        self.assertEqual(before, len(os.listdir('/proc/self/fd')))
        with self.assertRaisesRegex(image_tree.UnsafePath,
                                    'no directory /gone'):
            self.tree.enter('gone')
        self.assertEqual(b'one', self.tree.read('link'))

    def test_room(self):
        status = os.statvfs(self.top)
        self.assertAlmostEqual(status.f_frsize * status.f_bfree,
                               self.tree.free, delta=1 << 28)

    def test_nothing_stays_open(self):
        self.put('folder/file')
        self.link('link', '/folder')
        before = os.listdir('/proc/self/fd')
        self.tree.names('folder')
        self.tree.read('folder/file')
        self.tree.real_path('link')
        self.tree.real_path('link', stat.S_IFREG)
        self.tree.is_beneath('link')
        self.tree.is_beneath('folder')
        self.tree.write('folder/file', b'x')
        self.tree.make_directory('folder/more')
        for path in ('folder', 'gone'):
            with contextlib.suppress(image_tree.UnsafePath):
                self.tree.read(path)
        self.assertEqual(before, os.listdir('/proc/self/fd'))
        image_tree.ImageTree(str(self.top)).close()
        self.assertEqual(before, os.listdir('/proc/self/fd'))


class KernelTest(trees.TreeTestCase):
    """Errors of the system call."""

    def fails(self, number):
        libc = mock.Mock(spec=('syscall',))

        def syscall(*arguments):
            ctypes.set_errno(number)
            return -1

        libc.syscall.side_effect = syscall
        with mock.patch.object(ctypes, 'CDLL', autospec=True,
                               return_value=libc):
            error = self.assertRaises(errors.DeploymentError, self.tree.read,
                                      'file')
        self.calls = libc.syscall.call_count
        return error

    def test_a_kernel_that_is_too_old(self):
        error = self.fails(errno.ENOSYS)
        self.assertNotIsInstance(error, image_tree.UnsafePath)
        self.assertIn('expected Linux 5.6 or later', str(error))
        self.assertEqual(1, self.calls)

    def test_others(self):
        for number, words in (
                (errno.EXDEV, 'leads to the outside of the image'),
                (errno.ELOOP, 'cannot be opened: Too many levels'),
                (errno.EPERM, 'cannot be opened: Operation not permitted'),
                (errno.EACCES, 'cannot be opened: Permission denied')):
            error = self.fails(number)
            self.assertIsInstance(error, image_tree.UnsafePath)
            self.assertIn(words, str(error))

    def test_a_directory_that_is_renamed_all_the_time(self):
        self.assertIn('cannot be opened', str(self.fails(errno.EAGAIN)))
        self.assertEqual(64, self.calls)
