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
import dataclasses
import errno
import io
import os
import random
from unittest import mock

from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.targets import file
from tests.unit.engine import base
from tests.unit.engine import memory
from tests.unit.engine import qcow2_builder as qcow2
from tests.unit.engine import transfers

KIB = base.KIB
MIB = base.MIB


class FileTargetTestCase(base.EngineTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.content = random.Random(1).randbytes(3 * MIB)
        self.path = self.save('disk', self.content)
        self.new = str(self.directory / 'new')

    def assert_not_opened(self, path: str,
                          kind: type[exceptions.TargetError] =
                          exceptions.TargetError,
                          create_size: int | None = None) -> None:
        before = self.descriptors(path)
        with self.assertRaises(exceptions.TargetError) as caught:
            file.FileTarget(path, create_size)
        self.assertIs(kind, type(caught.exception))
        self.assert_complete(caught.exception)
        self.assertEqual(before, self.descriptors(path))

    def descriptors(self, path: str) -> set[str]:
        """Those of this process that are open at a path."""
        found = set()
        for descriptor in os.listdir('/proc/self/fd'):
            with contextlib.suppress(FileNotFoundError):
                found |= ({descriptor} if os.readlink(
                    f'/proc/self/fd/{descriptor}').startswith(path) else set())
        return found

    def read(self, path: str) -> bytes:
        with open(path, 'rb') as disk:
            return disk.read()


class OpenTest(FileTargetTestCase):

    def test_an_existing_file_keeps_its_size(self) -> None:
        for create_size in (None, 99 * MIB):
            with file.FileTarget(self.path, create_size) as target:
                self.assertEqual(
                    (self.path, 3 * MIB, 512, False),
                    (target.path, target.size, target.sector_size,
                     target.fixed_sectors))
        self.assert_same(self.content, self.read(self.path))

    def test_what_is_only_read(self) -> None:
        os.chmod(self.path, 0o400)
        with file.FileTarget(self.path, read_only=True) as target:
            self.assertEqual((True, False), (target.read_only,
                                             target.created))
            self.assertEqual(self.content[5:100], target.read(5, 95))
            with self.assertRaises(exceptions.TargetUnreadable):
                target.write(0, memoryview(b'x'))
        with self.assertRaises(exceptions.TargetUnreadable) as caught:
            file.FileTarget(self.new, read_only=True)
        self.assertEqual('a block device or a file',
                         caught.exception.expected)
        self.assertFalse(os.path.exists(self.new))

    def test_an_old_file_keeps_its_size(self) -> None:
        with file.FileTarget(self.path) as target:
            target.adapt(5)
            self.assertEqual((3 * MIB, False, False),
                             (target.size, target.created, target.read_only))
        self.assertEqual(3 * MIB, os.stat(self.path).st_size)

    def test_a_new_file_takes_the_size_of_the_image(self) -> None:
        with file.FileTarget(self.new, 9 * MIB) as target:
            self.assertIs(True, target.created)
            target.adapt(5 * MIB)
            self.assertEqual(5 * MIB, target.size)
        self.assertEqual(5 * MIB, os.stat(self.new).st_size)

    def test_who_may_read_a_new_file_is_said_by_the_umask(self) -> None:
        before = os.umask(0o026)
        try:
            with file.FileTarget(self.new, MIB):
                pass
        finally:
            os.umask(before)
        self.assertEqual(0o640, os.stat(self.new).st_mode & 0o777)

    def test_a_file_is_told_from_others(self) -> None:
        other = self.save('other', self.content)
        with (file.FileTarget(self.path) as one,
              file.FileTarget(other) as two):
            status = os.stat(self.path)
            self.assertEqual(
                f'{status.st_dev} {status.st_ino} {3 * MIB} 512',
                one.identity)
            self.assertNotEqual(one.identity, two.identity)

    def test_an_error_that_has_no_text_of_the_system(self) -> None:
        with (mock.patch.object(file.os, 'open', autospec=True,
                                side_effect=OSError('odd')),
              self.assertRaises(exceptions.TargetError) as caught):
            file.FileTarget(self.path)
        self.assertEqual(
            ('odd', 'a block device or a file to write to'),
            (caught.exception.found, caught.exception.expected))

    def test_a_new_file_is_sparse(self) -> None:
        with file.FileTarget(self.new, 1 << 30) as target:
            self.assertEqual(1 << 30, target.size)
        status = os.stat(self.new)
        self.assertEqual((1 << 30, 0), (status.st_size, status.st_blocks))

    def test_a_new_file_that_was_not_finished_is_removed(self) -> None:
        for error in (KeyError, KeyboardInterrupt):
            with self.assertRaises(error), file.FileTarget(self.new, MIB):
                raise error
            self.assertFalse(os.path.exists(self.new))

    def test_an_existing_file_is_never_removed(self) -> None:
        with self.assertRaises(KeyError), file.FileTarget(self.path, MIB):
            raise KeyError
        self.assert_same(self.content, self.read(self.path))

    def test_a_size_that_no_file_can_have(self) -> None:
        self.new = os.path.join(os.path.dirname(__file__), 'new')
        self.assert_not_opened(self.new, create_size=1 << 62)
        self.assertFalse(os.path.exists(self.new))

    def test_what_cannot_be_opened(self) -> None:
        os.mkfifo(self.directory / 'pipe')
        for path in (str(self.directory), str(self.directory / 'pipe'),
                     '/dev/null', self.new, f'{self.path}/x', 'x' * 5000):
            with self.subTest(path=path[:40]):
                self.assert_not_opened(path)
        self.assert_not_opened(str(self.directory / 'none' / 'new'),
                               create_size=MIB)

    def test_one_writer_at_a_time(self) -> None:
        with file.FileTarget(self.path):
            self.assert_not_opened(self.path, exceptions.TargetBusy)
        with file.FileTarget(self.path):
            pass
        with file.FileTarget(self.new, MIB):
            self.assert_not_opened(self.new, exceptions.TargetBusy)
            self.assertTrue(os.path.exists(self.new))

    def test_a_file_that_is_a_disk_already(self) -> None:
        real = os.path.realpath(self.path)
        places = [f'/sys/block/loop{number}/loop/backing_file'
                  for number in range(3)]
        for last, is_busy in ((f'{real}\n', True), ('/another\n', False)):
            texts = [FileNotFoundError(), io.StringIO('/other\n'),
                     io.StringIO(last)]
            with (self.subTest(last), mock.patch.object(
                    file.glob, 'glob', autospec=True, return_value=places),
                  mock.patch.object(file, 'open', mock.Mock(
                      side_effect=texts), create=True)):
                if not is_busy:
                    file.FileTarget(self.path).close()
                    continue
                with self.assertRaises(exceptions.TargetBusy) as caught:
                    file.FileTarget(self.path)
                self.assertIn('loop2', caught.exception.found)

    def test_a_size_that_cannot_be_had(self) -> None:
        with file.FileTarget(self.new, MIB) as target:
            with self.assertRaises(exceptions.TargetError) as caught:
                target.adapt(-1)
            self.assert_complete(caught.exception)
            self.assertEqual(MIB, target.size)


class ZeroTest(FileTargetTestCase):

    def without_holes(self, number: int) -> mock.Mock:
        """The call that makes holes, which fails from now on."""
        library = mock.Mock(spec=['fallocate'])
        library.fallocate.return_value = -1
        self.enterContext(mock.patch.object(file, '_LIBC', library))
        self.enterContext(mock.patch.object(
            file.ctypes, 'get_errno', spec=True, return_value=number))
        return library.fallocate

    def test_a_file_system_without_holes(self) -> None:
        fallocate = self.without_holes(errno.EOPNOTSUPP)
        with file.FileTarget(self.path) as target:
            target.zero(0, MIB)
            target.zero(2 * MIB, MIB)
            self.assertEqual(2 * MIB, target.zeroes_written)
        fallocate.assert_called_once()
        self.assert_same(bytes(MIB) + self.content[MIB:2 * MIB] + bytes(MIB),
                         self.read(self.path))

    def test_a_file_system_that_fails(self) -> None:
        self.without_holes(errno.EIO)
        with file.FileTarget(self.path) as target:
            with self.assertRaises(exceptions.TargetError) as caught:
                target.zero(MIB, MIB)
            self.assert_complete(caught.exception)
        self.assertIn(f'zeroing at byte {MIB}', caught.exception.expected)
        self.assert_same(self.content, self.read(self.path))

    def test_zeroes_make_holes(self) -> None:
        with file.FileTarget(self.path) as target:
            target.zero(MIB, MIB)
            self.assertEqual(0, target.zeroes_written)
        self.assert_same(self.content[:MIB] + bytes(MIB)
                         + self.content[2 * MIB:], self.read(self.path))
        self.assertLessEqual(os.stat(self.path).st_blocks * 512, 2 * MIB)

    def test_zeroes_of_any_range(self) -> None:
        disk = bytearray(self.content)
        dice = random.Random(2)
        with file.FileTarget(self.path) as target:
            for _ in range(100):
                start = dice.randrange(3 * MIB - 1)
                length = dice.randint(1, min(200 * KIB, 3 * MIB - start))
                target.zero(start, length)
                disk[start:start + length] = bytes(length)
        self.assert_same(disk, self.read(self.path))
        self.assertEqual(3 * MIB, os.stat(self.path).st_size)

    def test_a_new_file_is_zeroed_where_it_was_written(self) -> None:
        with file.FileTarget(self.new, 3 * MIB) as target:
            target.write(0, memoryview(self.content))
            target.zero(0, MIB)
            self.assert_holds(bytes(target.read(0, MIB)), 0)
            target.wipe_ends()
        self.assert_same(bytes(MIB) + self.content[MIB:2 * MIB] + bytes(MIB),
                         self.read(self.new))


class WriteTest(FileTargetTestCase):

    def image(self, seed: int = 1) -> engine.Inspection:
        builder = qcow2.fill(qcow2.Builder(3 * MIB, seed=seed), 'dcz..')
        file_content = builder.build()
        self.disk = builder.disk
        return engine.inspect(memory.MemorySource(file_content))

    def test_an_image_into_a_new_file(self) -> None:
        with file.FileTarget(self.new, 3 * MIB) as target:
            engine.transfer(self.image(), target, read_back='full')
        self.assert_same(self.disk, self.read(self.new))

    def test_an_image_into_an_old_file(self) -> None:
        with file.FileTarget(self.path) as target:
            engine.transfer(self.image(), target, read_back='full')
            engine.compare(self.image(), target)
        self.assert_same(self.disk, self.read(self.path))

    def test_what_fails_leaves_no_new_file(self) -> None:
        inspection = self.image()
        inspection = dataclasses.replace(
            inspection, expectation=engine.Expectation(
                checksum=engine.Checksum('sha256', '0' * 64)))
        with self.assertRaises(exceptions.ChecksumMismatch):
            with file.FileTarget(self.new, 3 * MIB) as target:
                engine.transfer(inspection, target)
        self.assertFalse(os.path.exists(self.new))

    def test_what_fails_leaves_an_old_file_that_boots_nothing(self) -> None:
        inspection = engine.inspect(
            memory.MemorySource(transfers.noise(3 * MIB)),
            engine.Expectation(disk_format='raw', checksum=engine.Checksum(
                'sha256', '0' * 64)))
        with self.assertRaises(exceptions.ChecksumMismatch):
            with file.FileTarget(self.path) as target:
                engine.transfer(inspection, target)
        left = self.read(self.path)
        self.assert_holds(left[:MIB], 0)
        self.assert_holds(left[-MIB:], 0)

    def test_small_images(self) -> None:
        for size in (512, 700, 4096, MIB):
            for read_back in ('none', 'full'):
                content = transfers.noise(size)
                inspection = engine.inspect(
                    memory.MemorySource(content),
                    engine.Expectation(disk_format='raw'))
                with self.subTest(size=size), file.FileTarget(
                        self.new, size) as target:
                    engine.transfer(inspection, target, read_back=read_back)
                self.assert_same(content, self.read(self.new))
                os.unlink(self.new)
