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
import os
import pathlib
import subprocess
import tempfile
import unittest
from unittest import mock

from oslo_concurrency import processutils

from ironic_python_agent import config  # noqa: F401 (before utils)
from ironic_python_agent import errors

from ironic_imagedeploy.agent.boot import previous_system
from ironic_imagedeploy.agent import sysfs
from ironic_imagedeploy import engine
from ironic_imagedeploy.engine.targets import base
from tests.support import images

MIB = 1 << 20


class DisableTest(unittest.TestCase):

    def setUp(self):
        super().setUp()
        folder = self.enterContext(tempfile.TemporaryDirectory())
        self.path = pathlib.Path(folder, 'disk')
        self.path.write_bytes(os.urandom(8 * MIB))

    def partition(self, label, kind):
        images.partition(
            self.path, label, f'start=2048, size=2048, type={kind}\n'
            'start=4096, size=4096, type=L\n')
        with self.path.open('r+b') as file:
            file.write(images.BOOT_CODE)
        return bytearray(self.path.read_bytes())

    def disable(self, *, keep=True, verify=False):
        with engine.open_target(str(self.path)) as disk:
            previous_system.disable(disk, keep_partitions=keep,
                                    verify=verify)
        return self.path.read_bytes()

    def test_boot_code_and_the_front_of_the_esp(self):
        for label, kind in (('gpt', 'U'), ('dos', 'ef')):
            with self.subTest(label):
                expected = self.partition(label, kind)
                expected[:440] = bytes(440)
                expected[MIB:2 * MIB] = bytes(MIB)
                self.assertEqual(expected, self.disable())

    def test_an_esp_up_to_the_end_of_the_disk(self):
        images.partition(self.path, 'dos', 'start=2048, type=ef\n')
        expected = bytearray(self.path.read_bytes())
        expected[:440] = bytes(440)
        expected[MIB:5 * MIB] = bytes(4 * MIB)
        self.assertEqual(expected, self.disable())

    def test_an_esp_that_lies_over_the_table(self):
        expected = self.partition('dos', 'ef')
        expected[454:458] = bytes(4)
        self.path.write_bytes(expected)
        expected[:440] = bytes(440)
        self.assertEqual(expected, self.disable())

    def test_boot_code_alone_where_there_is_no_esp(self):
        expected = self.partition('dos', 'L')
        expected[:440] = bytes(440)
        self.assertEqual(expected, self.disable())

    def test_all_partitions(self):
        expected = self.partition('gpt', 'L')
        expected[:4 * MIB] = bytes(4 * MIB)
        expected[-MIB:] = bytes(MIB)
        self.assertEqual(expected, self.disable(keep=False))

    def test_what_is_lost_is_read_back(self):
        """A disk that loses a zero, and says that it has not."""
        for keep, lost in ((True, 0), (True, 439), (True, MIB),
                           (True, 2 * MIB - 1), (False, 511), (False, MIB - 1),
                           (False, 3 * MIB), (False, 7 * MIB),
                           (False, 8 * MIB - 1)):
            with self.subTest(keep=keep, lost=lost):
                self.partition('gpt', 'U')
                with (self.losing(lost),
                      self.assertRaisesRegex(
                          engine.exceptions.TargetMayBoot,
                          f'found other bytes on {self.path}')):
                    self.disable(keep=keep, verify=True)
        for keep, lost in ((True, 440), (True, 2 * MIB), (False, 6 * MIB)):
            with self.subTest(keep=keep, lost=lost), self.losing(lost):
                self.partition('gpt', 'U')
                self.disable(keep=keep, verify=True)

    @contextlib.contextmanager
    def losing(self, at):
        """Have one byte of the disk stay as it is."""
        flush = base.Target.flush

        def lose(disk):
            flush(disk)
            with self.path.open('r+b') as file:
                file.seek(at)
                file.write(b'x')
        with mock.patch.object(base.Target, 'flush', lose):
            yield

    def test_a_table_that_cannot_be_used(self):
        expected = self.partition('gpt', 'U')
        expected[512:1024] = expected[-512:] = bytes(512)
        self.path.write_bytes(expected)
        expected[:440] = bytes(440)
        self.assertEqual(expected, self.disable())

    def test_what_firmware_begins_with_comes_first(self):
        self.partition('gpt', 'U')
        steps = []
        with engine.open_target(str(self.path)) as disk:
            for name in ('zero', 'write', 'flush'):
                self.enterContext(mock.patch.object(
                    disk, name, self.noted(steps, name)))
            previous_system.disable(disk, keep_partitions=True)
        self.assertEqual(
            [('zero', MIB, 512), ('write', 0), ('flush',),
             ('zero', MIB, MIB), ('flush',)], steps)

    def noted(self, steps, name):
        return lambda *arguments: steps.append((name, *(
            each for each in arguments if isinstance(each, int))))


class ArrayTest(unittest.TestCase):
    """Two disks with a mirror of their EFI system partitions."""

    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(
            self.enterContext(tempfile.TemporaryDirectory()))
        self.mirror = self.file('mirror', 8 * MIB)
        self.disks = [self.file(name, 4 * MIB) for name in ('one', 'two')]
        for disk in self.disks:
            images.partition(disk, 'gpt', 'start=2048, size=2048, type=U\n'
                             'start=4096, size=2048, type=R\n')
            with open(disk, 'r+b') as file:
                file.write(images.BOOT_CODE)
        self.arrays = ['array', self.mirror]
        self.holders = [self.mirror]
        self.enterContext(mock.patch.multiple(
            sysfs, is_array=lambda device: device in self.arrays,
            members=lambda _: [f'{disk}p2' for disk in self.disks],
            partition=lambda member: sysfs.Partition(member[:-2], 2),
            partitions=lambda disk: {1: f'{disk}p1', 2: f'{disk}p2'},
            holders=lambda _: self.holders))

    def file(self, name, size):
        path = self.folder / name
        path.write_bytes(os.urandom(size))
        return str(path)

    def content(self, path):
        return pathlib.Path(path).read_bytes()

    def test_boot_code_and_an_empty_mirror(self):
        expected = [bytes(440) + self.content(disk)[440:]
                    for disk in self.disks]
        previous_system.disable_array('array')
        self.assertEqual(expected, list(map(self.content, self.disks)))
        listed = subprocess.run(['mdir', '-b', '-i', self.mirror, '::'],
                                capture_output=True, text=True, check=True)
        self.assertEqual('', listed.stdout)

    def test_partitions_without_a_mirror(self):
        self.holders = []
        halves = [self.file(f'{name}p1', 5 * MIB) for name in ('one', 'two')]
        expected = [bytes(4 * MIB) + self.content(half)[4 * MIB:]
                    for half in halves]
        previous_system.disable_array('array')
        self.assertEqual(expected, list(map(self.content, halves)))

    def test_what_firmware_begins_with_comes_first(self):
        seen = []

        def look(*_, **how):
            seen.append(self.content(self.mirror)[:1024])
            return mock.DEFAULT

        with mock.patch.object(previous_system, 'clear', look):
            previous_system.disable_array('array')
        self.assertEqual(2, len(seen))
        for content in seen:
            self.assertFalse(any(content[:512]))
            self.assertTrue(any(content[512:]))

    def test_a_table_that_cannot_be_used(self):
        for disk in self.disks:
            with open(disk, 'r+b') as file:
                for place in (512, 4 * MIB - 512):
                    file.seek(place)
                    file.write(bytes(512))
        before = self.content(self.mirror)
        previous_system.disable_array('array')
        self.assertEqual(before, self.content(self.mirror))
        self.assertFalse(any(self.content(self.disks[1])[:440]))

    def test_a_disk_is_left_alone(self):
        self.arrays = []
        before = [*map(self.content, self.disks)]
        previous_system.disable_array('array')
        self.assertEqual(before, [*map(self.content, self.disks)])

    def test_what_cannot_be_written(self):
        os.unlink(self.disks[0])
        os.mkdir(self.disks[0])
        with (mock.patch.object(previous_system, 'esp_devices',
                                return_value=[], autospec=True),
              self.assertRaisesRegex(engine.exceptions.TargetError,
                                     'zeroes in place of the boot code')):
            previous_system.disable_array('array')
        # The other disk is wiped all the same.
        self.assertFalse(any(self.content(self.disks[1])[:440]))

    def test_what_is_lost_is_read_back(self):
        fsync = os.fsync
        for lost in (*self.disks, self.mirror):
            def lose(descriptor, lost=lost):
                fsync(descriptor)
                if os.path.realpath(f'/proc/self/fd/{descriptor}') == lost:
                    os.pwrite(descriptor, b'x', 100)
            with (self.subTest(lost), mock.patch.object(os, 'fsync', lose),
                  self.assertRaisesRegex(engine.exceptions.TargetMayBoot,
                                         f'found other bytes on {lost}')):
                previous_system.disable_array('array', verify=True)
        with mock.patch.object(os, 'posix_fadvise', autospec=True) as advise:
            previous_system.disable_array('array', verify=True)
        for call in advise.mock_calls:
            self.assertEqual(
                mock.call(mock.ANY, 0, 0, os.POSIX_FADV_DONTNEED), call)
        self.assertLessEqual(3, len(advise.mock_calls))

    def test_what_cannot_be_read(self):
        os.unlink(self.disks[0])
        os.mkdir(self.disks[0])
        with self.assertRaisesRegex(
                errors.DeploymentError,
                f'partition table of {self.disks[0]} cannot be read'):
            previous_system.disable_array('array')
        self.assertFalse(any(self.content(self.disks[1])[:440]))
        self.assertFalse(any(self.content(self.mirror)[:4 * MIB]))

    def test_a_mirror_that_cannot_be_made_anew(self):
        with (mock.patch.object(
                previous_system.utils, 'mkfs', autospec=True,
                side_effect=processutils.ProcessExecutionError(
                    stderr='no room')),
              self.assertRaisesRegex(errors.DeploymentError,
                                     'cannot be made anew: no room')):
            previous_system.disable_array('array')
