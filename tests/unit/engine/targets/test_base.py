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
import mmap
import os
import random
import tempfile
import threading
from unittest import mock

from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine import targets
from ironic_imagedeploy.engine.targets import base as _base
from ironic_imagedeploy.engine.targets import file
from tests.unit.engine import base

KIB = base.KIB
MIB = base.MIB


class DirectTarget(_base.Target):
    """A file behind direct I/O, as a disk is; it cannot zero by itself."""

    def __init__(self, path: str, sector_size: int) -> None:
        super().__init__()
        self.path = path
        self.sector_size = sector_size
        self._descriptor = os.open(path, os.O_RDWR | os.O_DIRECT)
        self.size = os.fstat(self._descriptor).st_size

    @property
    def alignment(self) -> int:
        return self.sector_size

    def _zero_fast(self, offset: int, length: int) -> bool:
        return False


def aligned(content: bytes) -> memoryview:
    """The content in memory that direct I/O takes as it is."""
    view = memoryview(mmap.mmap(-1, max(len(content), 1)))[:len(content)]
    view[:] = content
    return view


class TargetTests:
    """With and without direct I/O."""

    sector_size: int

    def setUp(self) -> None:
        super().setUp()
        self.dice = random.Random(1)
        self.disk = bytearray(self.dice.randbytes(4 * MIB))
        # Where file systems in memory have no direct I/O, others may.
        file = self.enterContext(tempfile.NamedTemporaryFile(dir='/var/tmp'))
        file.write(self.disk)
        file.flush()
        try:
            self.target = self.enterContext(
                DirectTarget(file.name, self.sector_size))
            os.preadv(self.target._descriptor, [mmap.mmap(
                -1, self.sector_size)], self.sector_size)
        except OSError:
            self.skipTest('no direct I/O in sectors of this size')

    def assert_holds_disk(self) -> None:
        self.target.flush()
        with open(self.target.path, 'rb') as disk:
            self.assert_same(self.disk, disk.read())

    def write(self, offset: int, view: memoryview) -> None:
        self.target.write(offset, view)
        self.disk[offset:offset + len(view)] = view

    def test_write_in_sectors(self) -> None:
        for offset, length in ((0, 4096), (8192, MIB), (4 * MIB - 4096,
                                                        4096)):
            self.write(offset, aligned(self.dice.randbytes(length)))
        self.assert_holds_disk()

    def test_write_from_any_memory(self) -> None:
        content = self.dice.randbytes(64 * KIB)
        for kind in (bytes, bytearray):
            view = memoryview(kind(content))
            for start in (0, 1, 7, 512):
                self.write(start * 8192, view[start:start + 8192])
        self.assert_holds_disk()

    def test_write_less_than_a_sector(self) -> None:
        for offset, length in ((0, 1), (511, 2), (5000, 700), (4096, 100),
                               (4 * MIB - 1, 1)):
            self.write(offset, memoryview(self.dice.randbytes(length)))
        self.assert_holds_disk()

    def test_small_and_large_writes_next_to_each_other(self) -> None:
        for start in range(0, MIB, 16 * KIB):
            self.write(start, aligned(self.dice.randbytes(4096)))
            self.write(start + 4096, memoryview(self.dice.randbytes(300)))
            self.write(start + 8192, aligned(self.dice.randbytes(4096)))
        self.assert_holds_disk()

    def test_write_nothing(self) -> None:
        for view in (memoryview(b''), memoryview(bytearray())):
            for offset in (0, 512, 513):
                self.target.write(offset, view)
        self.assert_holds_disk()

    def test_zero(self) -> None:
        for offset, length in ((0, 4096), (4097, 2 * MIB), (3 * MIB, 511)):
            self.target.zero(offset, length)
            self.disk[offset:offset + length] = bytes(length)
        self.assert_holds_disk()
        self.assertEqual(4096 + 2 * MIB + 511, self.target.zeroes_written)

    def test_read_any_range(self) -> None:
        for offset, length in ((0, 1), (0, 4 * MIB), (511, 2), (5000, MIB),
                               (4 * MIB - 1, 1), (77, 0), (0, 0),
                               (4 * MIB, 0)):
            with self.subTest(offset=offset, length=length):
                self.assertEqual(self.disk[offset:offset + length],
                                 self.target.read(offset, length))

    def test_read_into_memory(self) -> None:
        memory = aligned(bytes(MIB))
        for offset, length, is_taken in (
                (0, MIB, True), (8192, 4096, True), (4 * MIB - 4096, 4096,
                                                     True),
                (511, 2, self.target.alignment == 1), (0, 2 * MIB, False)):
            with self.subTest(offset=offset, length=length):
                found = self.target.read(offset, length, memory)
                self.assertEqual(self.disk[offset:offset + length], found)
                self.assertIs(is_taken, found.obj is memory.obj)

    def test_read_into_memory_that_direct_reads_do_not_take(self) -> None:
        memory = aligned(bytes(8192))[1:]
        self.assertEqual(self.disk[4096:8192],
                         self.target.read(4096, 4096, memory))

    def test_read_what_was_written_both_ways(self) -> None:
        self.write(0, aligned(self.dice.randbytes(4096)))
        self.write(4096, memoryview(self.dice.randbytes(100)))
        self.target.drop_cache()
        self.assertEqual(self.disk[:8192], self.target.read(0, 8192))

    def test_read_beyond_the_end(self) -> None:
        for offset, length in ((4 * MIB, 1), (4 * MIB - 1, 2),
                               (1 << 40, 512)):
            with self.assertRaises(exceptions.TargetError) as caught:
                self.target.read(offset, length)
            self.assert_complete(caught.exception)

    def test_what_was_read_can_be_written_to(self) -> None:
        ctypes.c_char.from_buffer(self.target.read(0, 4096))

    def test_wipe_ends(self) -> None:
        self.target.wipe_ends()
        self.disk[:MIB] = self.disk[-MIB:] = bytes(MIB)
        self.assert_holds_disk()

    def test_wipe_ends_around_bad_sectors_and_no_others(self) -> None:
        written = os.pwrite
        bad = self.sector_size * 100, 4 * MIB - self.sector_size * 3

        def pwrite(descriptor: int, view: memoryview, offset: int) -> int:
            if any(offset <= place < offset + len(view) for place in bad):
                raise OSError(errno.EIO, 'bad')
            return written(descriptor, view, offset)

        with mock.patch.object(os, 'pwrite', pwrite):
            self.assertRaises(exceptions.TargetMayBoot,
                              self.target.wipe_ends)
        for start in (*range(0, MIB, self.sector_size),
                      *range(3 * MIB, 4 * MIB, self.sector_size)):
            if start not in bad:
                self.disk[start:start + self.sector_size] = bytes(
                    self.sector_size)
        self.assert_holds_disk()

    def test_several_threads_write_parts_of_the_same_sectors(self) -> None:
        """None of them writes back what another one has just changed."""
        parts = [(start, self.dice.randbytes(100))
                 for start in range(0, 64 * KIB, 100)]

        def write(first: int) -> None:
            for start, content in parts[first::4]:
                self.target.write(start, memoryview(content))

        threads = [threading.Thread(target=write, args=(index,))
                   for index in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for start, content in parts:
            self.disk[start:start + 100] = content
        self.assert_holds_disk()

    def test_no_single_write_has_a_part_of_a_sector(self) -> None:
        """However large the pages are, none is cached and written directly.

        A cached write is what sectors in part would need; direct writes of
        other sectors, which one page of 64 KiB has many of, would be lost
        when it is written back.
        """
        single = []

        def pwrite(descriptor: int, view: memoryview, offset: int) -> int:
            single.append((offset, len(view)))
            return written(descriptor, view, offset)

        written = os.pwrite
        with mock.patch.object(os, 'pwrite', pwrite):
            for offset, length in ((0, 1), (511, 2), (5000, 70000),
                                   (4096, 100), (512, 512), (1000, 24),
                                   (65535, 65537), (4 * MIB - 1, 1)):
                self.write(offset, memoryview(self.dice.randbytes(length)))
        self.assert_holds_disk()
        self.assertGreater(len(single), 8)
        for offset, length in single:
            self.assertEqual((0, 0), (offset % self.sector_size,
                                      length % self.sector_size))

    def test_a_disk_that_takes_and_gives_little_at_once(self) -> None:
        """A system call may do a part of what it was asked for."""
        written, read = os.pwrite, os.preadv
        step = self.sector_size

        def pwrite(descriptor: int, view: memoryview, offset: int) -> int:
            return written(descriptor, view[:step], offset)

        def preadv(descriptor: int, views: list[memoryview], offset: int
                   ) -> int:
            return read(descriptor, [views[0][:step]], offset)

        with (mock.patch.object(os, 'pwrite', pwrite),
              mock.patch.object(os, 'preadv', preadv)):
            self.write(8192, memoryview(self.dice.randbytes(20000)))
            self.assertEqual(self.disk[8000:29000],
                             self.target.read(8000, 21000))
        self.assert_holds_disk()

    def test_where_it_failed(self) -> None:
        done = iter([self.sector_size, OSError(errno.EIO, 'bad')] * 2)

        def fail(*arguments: object) -> int:
            if isinstance(answer := next(done), OSError):
                raise answer
            return answer

        for name, call in (
                ('preadv', lambda: self.target.read(8192, 16384)),
                ('pwrite', lambda: self.target.write(
                    8192, aligned(bytes(16384))))):
            with (mock.patch.object(os, name, fail),
                  self.assertRaises(exceptions.TargetError) as caught):
                call()
            self.assertIn(f' at byte {8192 + self.sector_size}',
                          caught.exception.expected)

    def test_the_end_of_what_can_be_read(self) -> None:
        start = 4 * MIB - 4096
        with mock.patch.object(os, 'preadv', autospec=True,
                               side_effect=[3996, 0] * 2):
            self.assertEqual(3896, len(self.target.read(start + 100, 3896)))
            with self.assertRaises(exceptions.TargetError) as caught:
                self.target.read(start + 100, 3897)
        self.assertIn(f'read at byte {4 * MIB - 100}',
                      caught.exception.expected)
        self.assertIn('end of the target', caught.exception.found)

    def test_close_twice(self) -> None:
        with mock.patch.object(os, 'close', autospec=True) as close:
            descriptor = self.target._descriptor
            self.target.close()
            self.target.close()
        close.assert_called_once_with(descriptor)
        os.close(descriptor)


class SmallSectorTest(TargetTests, base.EngineTestCase):

    sector_size = 512


class LargeSectorTest(TargetTests, base.EngineTestCase):

    sector_size = 4096


class ErrorTest(base.EngineTestCase):

    def test_errors_of_the_system(self) -> None:
        target = self.enterContext(file.FileTarget(
            self.save('disk', bytes(MIB))))
        for number, kind in ((errno.ENOSPC, exceptions.TargetTooSmall),
                             (errno.EIO, exceptions.TargetError),
                             (errno.EREMOTEIO, exceptions.TargetError)):
            error = target.failed('write', 12345, OSError(
                number, os.strerror(number)))
            self.assertIs(kind, type(error))
            self.assert_complete(error)
            self.assertIn('12345', error.expected)
            self.assertIn(os.strerror(number), error.found)

    def test_a_mismatch_tells_where(self) -> None:
        target = self.enterContext(file.FileTarget(
            self.save('disk', bytes(MIB))))
        error = target.mismatch(4096, 512)
        self.assertIs(exceptions.ReadBackMismatch, type(error))
        self.assertIn('4096 to 4607', error.expected)
        self.assert_complete(error)
        target.read_only = True
        error = target.mismatch(4096, 512)
        self.assertIs(exceptions.TargetDiffers, type(error))
        self.assertIn('4096 to 4607', error.expected)
        self.assert_complete(error)

    def test_a_disk_that_fails(self) -> None:
        target = self.enterContext(file.FileTarget(
            self.save('disk', bytes(MIB))))
        for name, call, where in (
                ('preadv', lambda: target.read(8192, 512),
                 'read at byte 8192'),
                ('pwrite', lambda: target.write(512, memoryview(b'x')),
                 'write at byte 512'),
                ('fsync', target.flush, 'flush at byte 0')):
            with (self.subTest(name), mock.patch.object(
                    _base.os, name, autospec=True,
                    side_effect=OSError(errno.EIO, os.strerror(errno.EIO))),
                  self.assertRaises(exceptions.TargetError) as caught):
                call()
            self.assertIn(where, caught.exception.expected)
            self.assert_complete(caught.exception)


class OpenTest(base.EngineTestCase):

    def test_a_file(self) -> None:
        path = self.save('disk', bytes(MIB))
        with targets.open_target(path) as target:
            self.assertIsInstance(target, file.FileTarget)
            self.assertEqual((path, MIB), (target.path, target.size))
        new = str(self.directory / 'new')
        with targets.open_target(new, create_size=2 * MIB) as target:
            self.assertEqual(2 * MIB, target.size)

    def test_nothing_there(self) -> None:
        with self.assertRaises(exceptions.TargetError) as caught:
            targets.open_target(str(self.directory / 'none'))
        self.assert_complete(caught.exception)
