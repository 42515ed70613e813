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

import errno
import hashlib
import os
import pathlib
import socket
import stat
import struct
import unittest
from unittest import mock

from ironic_python_agent import config  # noqa: F401 (before errors)
from ironic_python_agent import errors

from ironic_imagedeploy.agent.boot import disk_file
from ironic_imagedeploy import engine
from tests.unit.agent.boot import mounting

MIB = 1 << 20
SIZE = 1000
#: linux/fuse.h, enum fuse_opcode
LOOKUP, FORGET, GETATTR, OPEN, READ = 1, 2, 3, 14, 15
RELEASE, INIT, INTERRUPT, BATCH_FORGET = 18, 26, 36, 42


def unreadable(offset, length):
    raise engine.exceptions.SourceTimeout(
        'image', expected='an answer', found='silence', fix='Wait.')


class MountedTest(unittest.TestCase):
    """A disk that is nowhere but in an image, as a file."""

    def setUp(self):
        super().setUp()
        mounting.require(self, '/dev/fuse')
        self.reads = []

    def zeroes(self, offset, length):
        self.reads.append((offset, length))
        return bytes(length)

    def test_programs_read_it(self):
        content = os.urandom(3 * MIB + 999)
        with disk_file.mounted(lambda offset, length: content[
                offset:offset + length], len(content)) as file:
            self.assertEqual(str(len(content)), file.run(
                'stat', '-c', '%s', file.path).strip())
            self.assertEqual(
                hashlib.sha256(content).hexdigest(),
                file.run('sha256sum', file.path).split()[0])
            path = file.path
        self.assertFalse(os.path.exists(os.path.dirname(path)))
        self.assertNotIn(path, pathlib.Path('/proc/mounts').read_text())

    def test_everybody_reads_it_and_nobody_lists_its_folder(self):
        with disk_file.mounted(self.zeroes, 4096) as file:
            self.assertEqual(0o711, stat.S_IMODE(
                os.stat(os.path.dirname(file.path)).st_mode))
            self.assertEqual('4096', file.run(
                'setpriv', '--reuid=65534', '--regid=65534',
                '--clear-groups', 'wc', '-c', file.path).split()[0])

    def test_only_what_is_read_is_fetched(self):
        with disk_file.mounted(self.zeroes, 1 << 40) as file:
            file.run('dd', f'if={file.path}', 'of=/dev/null', 'bs=4096',
                     'count=1', 'skip=1234567', 'status=none')
        self.assertIn(1234567 * 4096, [offset for offset, _ in self.reads])
        self.assertLess(sum(length for _, length in self.reads), MIB)

    def test_what_cannot_be_read(self):
        with disk_file.mounted(unreadable, 4096) as file:
            with self.assertRaisesRegex(errors.DeploymentError,
                                        'Input/output error'):
                file.run('cat', file.path)
            self.assertIsInstance(file.error,
                                  engine.exceptions.SourceTimeout)
            # Another program can be asked all the same.
            self.assertEqual('4096', file.run('stat', '-c', '%s', file.path
                                              ).strip())

    def test_a_reader_that_is_left_behind(self):
        def read(offset, length):
            raise ZeroDivisionError

        with self.assertRaises(ZeroDivisionError), \
                disk_file.mounted(read, 4096) as file:
            file.run('cat', file.path)
        self.assertNotIn(file.path, pathlib.Path('/proc/mounts').read_text())

    def test_nobody_writes_it(self):
        with disk_file.mounted(self.zeroes, 4096) as file:
            with self.assertRaisesRegex(errors.DeploymentError, 'Read-only'):
                file.run('dd', 'if=/dev/zero', f'of={file.path}', 'count=1')

    def test_how_it_is_mounted(self):
        with disk_file.mounted(self.zeroes, 4096) as file:
            line = next(line.split() for line in pathlib.Path(
                '/proc/mounts').read_text().splitlines()
                if line.split()[1] == file.path)
        self.assertEqual(('imagedeploy', 'fuse'), (line[0], line[2]))
        self.assertLessEqual(
            {'ro', 'nosuid', 'nodev', 'noexec', 'user_id=0', 'group_id=0',
             'allow_other', 'max_read=131072'}, set(line[3].split(',')))

    def test_a_kernel_that_refuses(self):
        before = os.listdir('/run'), os.listdir('/proc/self/fd')
        with (mock.patch.object(disk_file, '_MODE', 0),
              self.assertRaises(OSError) as caught,
              disk_file.mounted(self.zeroes, 4096)):
            pass
        self.assertEqual((errno.EINVAL, os.strerror(errno.EINVAL)),
                         (caught.exception.errno, caught.exception.strerror))
        self.assertEqual(before, (os.listdir('/run'),
                                  os.listdir('/proc/self/fd')))


class RequestsTest(unittest.TestCase):
    """What the kernel asks for, and how it is answered."""

    def setUp(self):
        super().setUp()
        self.kernel, ours = socket.socketpair(socket.AF_UNIX,
                                              socket.SOCK_SEQPACKET)
        self.addCleanup(self.kernel.close)
        self.reads = []
        self.file = disk_file.DiskFile('disk', ours.detach(), self.read, SIZE)
        self.addCleanup(self.file.close)

    def read(self, offset, length):
        self.reads.append((offset, length))
        return b'x' * length

    def answers(self, *requests):
        """Errors and bodies by the numbers of requests."""
        for number, (code, body) in enumerate(requests, 1 << 40):
            self.kernel.send(struct.pack(
                '=IIQQIIIHH', 40 + len(body), code, number, 1, 0, 0, 0, 0, 0)
                + body)
        self.assertEqual('done\n', self.file.run(
            'sh', '-c', 'sleep 0.3; echo done'))
        found = {}
        self.kernel.setblocking(False)
        while True:
            try:
                answer = self.kernel.recv(MIB)
            except BlockingIOError:
                return found
            size, failure, number = struct.unpack_from('=IiQ', answer)
            self.assertEqual(size, len(answer))
            found[number - (1 << 40)] = -failure, answer[16:]

    def answer(self, code, body=b''):
        return self.answers((code, body))[0]

    def test_init(self):
        """Version 7.19; no request in the background, and no flag."""
        self.assertEqual(
            (0, struct.pack('=IIIIHHI', 7, 19, 0, 0, 1, 1, 4096)),
            self.answer(INIT, bytes(16)))

    def test_attributes(self):
        failure, answer = self.answer(GETATTR, bytes(16))
        self.assertEqual(0, failure)
        valid, valid_ns, unused, inode, size, blocks = struct.unpack_from(
            '=QII3Q', answer)
        self.assertEqual((3600, 0, 0, 1, SIZE, 2), (
            valid, valid_ns, unused, inode, size, blocks))
        times = struct.unpack_from('=3Q3I', answer, 40)
        self.assertEqual((0,) * 6, times)
        self.assertEqual((0o100444, 1, 0, 0, 0, 4096, 0),
                         struct.unpack_from('=7I', answer, 76))
        self.assertEqual(104, len(answer))

    def test_open_and_release(self):
        self.assertEqual({0: (0, bytes(16)), 1: (0, b'')},
                         self.answers((OPEN, bytes(8)), (RELEASE, bytes(24))))

    def test_nobody_waits_for_an_answer(self):
        self.assertEqual([3], [*self.answers(
            (FORGET, bytes(8)), (INTERRUPT, bytes(8)),
            (BATCH_FORGET, bytes(8)), (OPEN, bytes(8)))])

    def test_what_is_not_known(self):
        self.assertEqual((errno.ENOSYS, b''), self.answer(LOOKUP, b'name\0'))

    def test_bytes(self):
        """Not beyond the end, and not more than the kernel may ask for."""
        self.file._size = 1 << 20
        found = self.answers(*(
            (READ, struct.pack('=QQIIQII', 9, offset, length, 0, 0, 0, 0))
            for offset, length in (
                (0, 100), ((1 << 20) - 10, 100), (1 << 20, 100),
                ((1 << 20) + 1, 100), (1, 1 << 19))))
        self.assertEqual(
            {0: 100, 1: 10, 2: 0, 3: 0, 4: 128 << 10},
            {number: len(body) for number, (_, body) in found.items()})
        self.assertEqual({0}, {failure for failure, _ in found.values()})
        self.assertEqual([(0, 100), ((1 << 20) - 10, 10), (1, 128 << 10)],
                         self.reads)

    def test_the_first_reason_is_kept(self):
        reasons = [engine.exceptions.SourceTimeout(
            'image', expected='an answer', found=word, fix='Wait.')
            for word in ('silence', 'noise')]
        failing = iter(reasons)

        def read(offset, length):
            raise next(failing)

        self.file._read = read
        request = READ, struct.pack('=QQIIQII', 9, 0, 1, 0, 0, 0, 0)
        self.assertEqual({0: (errno.EIO, b''), 1: (errno.EIO, b'')},
                         self.answers(request, request))
        self.assertIs(reasons[0], self.file.error)

    def test_it_is_closed_once(self):
        descriptor = self.file._fuse
        self.file.close()
        with self.assertRaises(OSError):
            os.fstat(descriptor)
        self.file.close()

    def test_requests_that_were_interrupted(self):
        """The kernel takes one back while it is fetched."""
        real, failures = os.read, [errno.ENOENT, errno.EAGAIN, errno.EINTR]

        def read(descriptor, length):
            if descriptor == self.file._fuse and failures:
                raise OSError(failures.pop(), 'interrupted')
            return real(descriptor, length)

        with mock.patch.object(os, 'read', read):
            self.assertEqual((0, b''), self.answer(RELEASE, bytes(24)))
        self.assertEqual([], failures)

    def test_a_connection_that_is_gone(self):
        real = os.read

        def read(descriptor, length):
            if descriptor == self.file._fuse:
                raise OSError(errno.ENODEV, 'gone')
            return real(descriptor, length)

        self.kernel.send(b'x')
        with (mock.patch.object(os, 'read', read),
              self.assertRaisesRegex(OSError, 'gone')):
            self.file.run('sleep', '0.3')
        self.assertIsNone(self.file._fuse)
