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
                ('dm-3', (), None)):
            with self.subTest(name=name):
                self.assertIs(is_partition, block._is_partition(
                    self.device(name, *files)))

    def test_no_sysfs(self) -> None:
        self.assertIsNone(block._is_partition(self.directory / 'none'))


class OpenTest(base.EngineTestCase):

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
        for offset, length in ((100, 512), (512, 100), (511, 513)):
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

    def test_old_partitions_that_are_in_use_are_a_warning(self) -> None:
        target = object.__new__(block.BlockTarget)
        target.path = '/dev/sdx'
        target._descriptor = -1
        with (mock.patch.object(block.fcntl, 'ioctl', autospec=True,
                                side_effect=OSError(errno.EBUSY, 'busy')),
              mock.patch.object(block.time, 'sleep', autospec=True),
              mock.patch.object(block.LOG, 'warning', autospec=True) as warn):
            target.reread_partitions()
        self.assertIn('/dev/sdx', warn.call_args.args)

    def test_a_device_without_partitions_is_none(self) -> None:
        target = object.__new__(block.BlockTarget)
        target._descriptor = -1
        with (mock.patch.object(block.fcntl, 'ioctl', autospec=True,
                                side_effect=OSError(errno.EINVAL, 'no')),
              mock.patch.object(block.LOG, 'warning', autospec=True) as warn):
            target.reread_partitions()
        warn.assert_not_called()
