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
import os
import pathlib
import stat
import struct
import unittest
from unittest import mock

from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.targets import block
from tests.unit.engine import base


class PartitionTest(base.EngineTestCase):
    """What a device is, by its directory in sysfs."""

    def device(self, name: str, *files: str) -> pathlib.Path:
        """The link by number to a device with these attributes."""
        device = self.directory / 'devices' / name
        device.mkdir(parents=True)
        for file in files:
            (device / file).write_text('1\n')
        link = self.directory / f'number-{name}'
        link.symlink_to(device)
        return link

    def test_devices(self) -> None:
        for name, files, is_partition in (
                ('sda', (), False), ('sda1', ('partition',), True),
                ('nvme0n1', (), False), ('loop0', (), False),
                ('loop0p1', ('partition',), True), ('vda', (), False),
                ('md0', (), None), ('md0p1', ('partition',), True),
                ('dm-3', (), None), ('bcache0', (), None),
                ('drbd1', (), None), ('zd16', (), None),
                ('zram0', (), None), ('ram1', (), None),
                ('mmcblk0', (), False), ('mmcblk0p1', ('partition',), True)):
            with self.subTest(name=name):
                self.assertIs(is_partition, block._is_partition(
                    self.device(name, *files)))

    def test_no_sysfs(self) -> None:
        self.assertIsNone(block._is_partition(self.directory / 'none'))


class DeviceTest(unittest.TestCase):

    def test_what_is_a_block_device(self) -> None:
        for mode, is_one in ((stat.S_IFBLK | 0o660, True),
                             (stat.S_IFCHR | 0o660, False),
                             (stat.S_IFREG | 0o660, False)):
            with mock.patch.object(block.os, 'stat', autospec=True,
                                   return_value=mock.Mock(st_mode=mode)):
                self.assertIs(is_one, block.is_block_device('/dev/sdx'))

    def test_nothing_is_none(self) -> None:
        self.assertIs(False, block.is_block_device('/dev/sdx/none'))


class OpenTest(base.EngineTestCase):

    def opened(self, *, protected: int = 0, read_only: bool = False
               ) -> block.BlockTarget:
        """A disk of 7 sectors of 4 KiB.

        :param protected: what the kernel says of its write protection.
        """
        answers = {block._BLKROGET: struct.pack('i', protected),
                   block._BLKSSZGET: struct.pack('i', 4096),
                   block._BLKGETSIZE64: struct.pack('Q', 7 * 4096)}

        def ioctl(descriptor: int, request: int, room: bytes) -> bytes:
            self.assertEqual(77, descriptor)
            self.assertEqual(bytes(len(answers[request])), room)
            return answers[request]

        self.open = self.enterContext(mock.patch.object(
            block.os, 'open', autospec=True, return_value=77))
        self.close = self.enterContext(mock.patch.object(
            block.os, 'close', autospec=True))
        self.enterContext(mock.patch.object(block.fcntl, 'ioctl', ioctl))
        return block.BlockTarget('/dev/sdx', read_only=read_only)

    def test_a_disk(self) -> None:
        target = self.opened()
        self.assertEqual(
            ('/dev/sdx', 7 * 4096, 4096, 4096, False, True),
            (target.path, target.size, target.sector_size, target.alignment,
             target.read_only, target.fixed_sectors))
        self.open.assert_called_once_with(
            '/dev/sdx', os.O_RDWR | os.O_EXCL | os.O_DIRECT)
        self.close.assert_not_called()
        target.close()
        self.close.assert_called_once_with(77)

    def test_a_disk_that_is_only_read(self) -> None:
        target = self.opened(protected=1, read_only=True)
        self.assertEqual((True, 7 * 4096), (target.read_only, target.size))
        self.assertEqual(os.O_RDONLY,
                         self.open.call_args.args[1] & os.O_ACCMODE)

    def test_a_disk_that_is_protected(self) -> None:
        with self.assertRaises(exceptions.TargetReadOnly) as caught:
            self.opened(protected=1)
        self.assert_complete(caught.exception)
        self.assertIn('/dev/sdx', str(caught.exception))
        self.close.assert_called_once_with(77)

    def test_an_open_that_fails_closes_nothing(self) -> None:
        with (mock.patch.object(block.os, 'open', autospec=True,
                                side_effect=OSError(errno.EIO, 'why')),
              mock.patch.object(block.os, 'close', autospec=True) as close,
              self.assertRaises(exceptions.TargetError) as caught):
            block.BlockTarget('/dev/sdx')
        close.assert_not_called()
        self.assertEqual(('why', '/dev/sdx'), (caught.exception.found,
                                               caught.exception.subject))

    def test_an_error_that_has_no_text_of_the_system(self) -> None:
        with (mock.patch.object(block.os, 'open', autospec=True,
                                side_effect=OSError('odd')),
              self.assertRaises(exceptions.TargetError) as caught):
            block.BlockTarget('/dev/sdx')
        self.assertEqual('odd', caught.exception.found)

    def test_its_directory_in_sysfs(self) -> None:
        target = object.__new__(block.BlockTarget)
        target._descriptor = 5
        with mock.patch.object(
                block.os, 'fstat', autospec=True, return_value=mock.Mock(
                    st_rdev=os.makedev(259, 17))) as fstat:
            self.assertEqual('/sys/dev/block/259:17', str(target._sysfs))
        fstat.assert_called_once_with(5)

    def assert_error(self, kind: type[exceptions.TargetError], number: int,
                     **options: bool) -> None:
        with (mock.patch.object(block.os, 'open', autospec=True,
                                side_effect=OSError(number, 'why')),
              self.assertRaises(exceptions.TargetError) as caught):
            block.BlockTarget('/dev/sdx', **options)
        self.assertIs(kind, type(caught.exception))
        self.assert_complete(caught.exception)

    def test_why_it_cannot_be_opened(self) -> None:
        for number, kind in ((errno.EBUSY, exceptions.TargetBusy),
                             (errno.EROFS, exceptions.TargetReadOnly),
                             (errno.EACCES, exceptions.TargetReadOnly),
                             (errno.EPERM, exceptions.TargetReadOnly),
                             (errno.EIO, exceptions.TargetError)):
            with self.subTest(number):
                self.assert_error(kind, number)

    def test_why_it_cannot_be_read(self) -> None:
        for number, kind in ((errno.EBUSY, exceptions.TargetBusy),
                             (errno.EACCES, exceptions.TargetUnreadable),
                             (errno.EIO, exceptions.TargetUnreadable)):
            with self.subTest(number):
                self.assert_error(kind, number, read_only=True)


class IdentityTest(base.EngineTestCase):

    def test_a_partition_is_told_by_its_place(self) -> None:
        disk = self.directory / 'sda'
        target = object.__new__(block.BlockTarget)
        target.size, target.sector_size = 1 << 20, 512
        disk.mkdir()
        (disk / 'dev').write_text('8:0\n')
        (disk / 'diskseq').write_text('7\n')
        # One that is made anew may have another number.
        for part, number in (('sda2', '8:2'), ('sda3', '259:4')):
            (disk / part).mkdir()
            (disk / part / 'partition').write_text('2\n')
            (disk / part / 'start').write_text('2048\n')
            (disk / part / 'dev').write_text(f'{number}\n')
        ours = '1048576 512 ../dev 8:0 ../diskseq 7 start 2048'
        for sysfs, words in ((disk, '1048576 512 dev 8:0 diskseq 7'),
                             (disk / 'sda2', ours), (disk / 'sda3', ours)):
            with mock.patch.object(block.BlockTarget, '_sysfs', sysfs):
                self.assertEqual(words, target.identity)

    def test_a_kernel_that_does_not_count_the_uses(self) -> None:
        part = self.directory / 'sdb' / 'sdb1'
        part.mkdir(parents=True)
        (part.parent / 'dev').write_text('8:16\n')
        (part / 'partition').write_text('1\n')
        (part / 'start').write_text('34\n')
        target = object.__new__(block.BlockTarget)
        target.size, target.sector_size = 4096, 4096
        with mock.patch.object(block.BlockTarget, '_sysfs', part):
            self.assertIs(True, target.is_partition)
            self.assertEqual('4096 4096 ../dev 8:16 start 34',
                             target.identity)


class FlushTest(base.EngineTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.target = object.__new__(block.BlockTarget)
        self.target.path, self.target.size = '/dev/md0', 4096
        self.target.sector_size, self.target._members = 512, []
        self.target._descriptor = self.opened('array')
        self.members = [(str(self.directory / name), 0)
                        for name in ('one', 'other')]
        for path, _ in self.members:
            os.close(self.opened(path))
        self.enterContext(mock.patch.object(
            block.mirror, 'places', lambda _: iter(self.members)))
        self.addCleanup(self.target.close)
        self.flushed: list[str] = []
        self.enterContext(mock.patch.object(os, 'fsync', self.fsync))

    def opened(self, name: str) -> int:
        return os.open(self.directory / name, os.O_RDWR | os.O_CREAT)

    def fsync(self, descriptor: int) -> None:
        path = os.readlink(f'/proc/self/fd/{descriptor}')
        self.flushed.append(os.path.basename(path))
        if self.flushed[-1] == 'other':
            raise OSError(errno.EIO, 'Input/output error')

    def test_members_of_an_array(self) -> None:
        with self.assertRaises(exceptions.TargetError) as caught:
            self.target.flush()
        self.assertEqual(self.members[1][0], caught.exception.subject)
        self.assertEqual(['array', 'one', 'other'], self.flushed)

    def test_a_disk(self) -> None:
        self.members = []
        self.target.flush()
        self.assertEqual(['array'], self.flushed)


class ZeroTest(unittest.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.target = object.__new__(block.BlockTarget)
        self.target.path, self.target.sector_size = '/dev/sdx', 512
        self.target._descriptor, self.target._zeroout = -1, True
        self.ioctl = self.enterContext(mock.patch.object(
            block.fcntl, 'ioctl', autospec=True))

    def test_whole_sectors(self) -> None:
        self.assertTrue(self.target._zero_fast(512, 1024))
        self.ioctl.assert_called_once_with(
            -1, block._BLKZEROOUT, struct.pack('QQ', 512, 1024))

    def test_parts_of_sectors(self) -> None:
        for offset, length in ((100, 512), (512, 100), (511, 513),
                               (100, 612)):
            self.assertFalse(self.target._zero_fast(offset, length))
        self.ioctl.assert_not_called()

    def test_a_disk_that_cannot_is_not_asked_again(self) -> None:
        for number in (errno.EOPNOTSUPP, errno.ENOTTY, errno.EINVAL):
            self.target._zeroout = True
            self.ioctl.reset_mock()
            self.ioctl.side_effect = OSError(number, 'cannot')
            with self.subTest(number):
                for _ in range(2):
                    self.assertFalse(self.target._zero_fast(0, 512))
                self.ioctl.assert_called_once()

    def test_a_disk_that_fails(self) -> None:
        self.ioctl.side_effect = OSError(errno.EIO, os.strerror(errno.EIO))
        with self.assertRaises(exceptions.TargetError) as caught:
            self.target._zero_fast(4096, 512)
        self.assertIn('zeroing at byte 4096', caught.exception.expected)
        self.assertTrue(self.target._zeroout)


class RereadTest(unittest.TestCase):

    def reread(self, *answers: int | OSError) -> list[float]:
        """Seconds of the pauses between the attempts.

        :param answers: of the kernel, one for each attempt.
        """
        target = object.__new__(block.BlockTarget)
        target.path = '/dev/sdx'
        target._descriptor = 5
        with (mock.patch.object(block.fcntl, 'ioctl', autospec=True,
                                side_effect=answers) as ioctl,
              mock.patch.object(block.time, 'sleep', autospec=True) as sleep,
              mock.patch.object(block.LOG, 'warning', autospec=True) as warn):
            target.reread_partitions()
        self.assertEqual([mock.call(5, block._BLKRRPART)] * len(answers),
                         ioctl.call_args_list)
        self.warned = warn.call_args_list
        return [call.args[0] for call in sleep.call_args_list]

    def test_once_where_it_works(self) -> None:
        self.assertEqual([], self.reread(0))
        self.assertEqual([], self.warned)

    def test_old_partitions_that_are_in_use_are_a_warning(self) -> None:
        pauses = self.reread(*[OSError(errno.EBUSY, 'busy')] * 5)
        # Some seconds in all, each one longer than that before.
        self.assertEqual(sorted(set(pauses)), pauses)
        self.assertAlmostEqual(3, sum(pauses))
        self.assertAlmostEqual(0.2, pauses[0])
        warned, = self.warned
        self.assertIn('/dev/sdx', warned.args)

    def test_a_partition_that_is_free_again(self) -> None:
        self.reread(*[OSError(errno.EBUSY, 'busy')] * 4, 0)
        self.assertEqual([], self.warned)

    def test_a_device_without_partitions_is_none(self) -> None:
        self.assertEqual([], self.reread(OSError(errno.EINVAL, 'no')))
        self.assertEqual([], self.warned)
