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
import tempfile
import unittest
from unittest import mock

from ironic_python_agent import config  # noqa: F401 (before errors)
from ironic_python_agent import errors

from ironic_imagedeploy.agent import commands
from ironic_imagedeploy.agent import partition_devices
from tests.support import disks

ROOT_UUID = '11111111-2222-4333-8444-555555555555'
SWAP_UUID = 'aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee'
MADE = {'partitions': {
    'root': '/dev/sda2', 'efi system partition': '/dev/sda1',
    'swap': '/dev/sda3', 'configdrive': '/dev/sda4'},
    'efi system partition uuid': None}


class FileTestCase(unittest.TestCase):
    """Files that stand for partitions."""

    def setUp(self):
        super().setUp()
        self.directory = pathlib.Path(self.enterContext(
            tempfile.TemporaryDirectory()))

    def file(self, name, *maker):
        """A file that a program has formatted."""
        path = self.directory / name
        disks.fill(path, 16 << 20, 0)
        if maker:
            disks.run(*maker, path)
        return str(path)

    def root(self, *options):
        return self.file('root', 'mke2fs', '-q', '-F', '-t', 'ext4', '-U',
                         ROOT_UUID, *options)


class PartitionsTest(FileTestCase):

    def test_all_that_the_agent_made(self):
        self.assertEqual(
            partition_devices.Partitions(
                root='/dev/sda2', esp='/dev/sda1', swap='/dev/sda3',
                configdrive='/dev/sda4', of_agent=MADE),
            partition_devices.Partitions.of(MADE))

    def test_the_root_alone(self):
        made = {'partitions': {'root': '/dev/sda1'}}
        self.assertEqual(
            partition_devices.Partitions(root='/dev/sda1', of_agent=made),
            partition_devices.Partitions.of(made))

    def test_uuids_of_the_file_systems(self):
        made = {'partitions': {
            'root': self.root('-L', 'the-root'),
            'efi system partition': self.file(
                'esp', 'mkfs.vfat', '-i', '12abcdef'),
            'swap': self.file('swap', 'mkswap', '-q', '-U', SWAP_UUID)},
            'root uuid': None}
        found = partition_devices.Partitions.of(made).with_uuids()
        self.assertEqual(
            (ROOT_UUID, '12AB-CDEF', SWAP_UUID, 'the-root'),
            (found.root_uuid, found.esp_uuid, found.swap_uuid,
             found.root_label))
        self.assertEqual({**made, 'root uuid': ROOT_UUID,
                          'efi system partition uuid': '12AB-CDEF'},
                         found.of_agent)

    def test_what_is_not_there(self):
        made = {'partitions': {'root': self.root('-L', 'x')}}
        found = partition_devices.Partitions.of(made).with_uuids()
        self.assertEqual((None, None), (found.esp_uuid, found.swap_uuid))
        self.assertEqual({**made, 'root uuid': ROOT_UUID}, found.of_agent)

    def test_no_file_system(self):
        made = {'partitions': {'root': self.file('root')}}
        with self.assertRaisesRegex(errors.DeploymentError, 'blkid .* ended'):
            partition_devices.Partitions.of(made).with_uuids()

    def test_the_uuid_in_the_partition_table(self):
        with mock.patch.object(commands, 'run', autospec=True,
                               return_value=f'{SWAP_UUID}\n') as run:
            self.assertEqual(SWAP_UUID,
                             partition_devices.partition_uuid('/dev/sda2'))
        run.assert_called_once_with('blkid', '-p', '-s', 'PART_ENTRY_UUID',
                                    '-o', 'value', '/dev/sda2')


class HeldOpenTest(FileTestCase):

    def is_open(self, path):
        """Whether this process has it open."""
        for name in os.listdir('/proc/self/fd'):
            try:
                if os.readlink(f'/proc/self/fd/{name}') == path:
                    return True
            except FileNotFoundError:
                # The one that listed them.
                continue
        return False

    def test_it_is_open_meanwhile(self):
        path = self.file('root')
        with partition_devices.held_open(path):
            self.assertTrue(self.is_open(path))
        self.assertFalse(self.is_open(path))
        with self.assertRaises(ZeroDivisionError), \
                partition_devices.held_open(path):
            raise ZeroDivisionError
        self.assertFalse(self.is_open(path))

    def sleeping(self, then):
        """Replace the clock, by which each look is ten seconds later."""
        now = [7.0]

        def sleep(_):
            now[0] += 10
            then()

        clock = self.enterContext(mock.patch.object(
            partition_devices, 'time', autospec=True))
        clock.monotonic.side_effect = lambda: now[0]
        clock.sleep.side_effect = sleep
        return clock.sleep

    def test_a_device_that_appears_later(self):
        path = self.directory / 'root'
        slept = self.sleeping(path.touch)
        with partition_devices.held_open(str(path)):
            self.assertTrue(self.is_open(str(path)))
        slept.assert_called_once_with(0.1)

    def test_a_device_that_does_not_appear(self):
        """It is looked for again and again, but not all the time."""
        slept = self.sleeping(lambda: None)
        with self.assertRaisesRegex(
                errors.DeploymentError,
                '/dev/gone cannot be opened: No such file'):
            with partition_devices.held_open('/dev/gone'):
                pass
        self.assertEqual([mock.call(0.1)] * 4, slept.mock_calls)
