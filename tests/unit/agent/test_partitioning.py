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

from unittest import mock

from oslo_concurrency import processutils

from ironic_python_agent import config  # noqa: F401 (before errors)
from ironic_python_agent import disk_utils
from ironic_python_agent import errors
from ironic_python_agent import partition_utils
from ironic_python_agent import utils

from ironic_imagedeploy.agent.boot import previous_system
from ironic_imagedeploy.agent import commands
from ironic_imagedeploy.agent import order as orders
from ironic_imagedeploy.agent import partitioning
from tests.support import ramdisk

MADE = {'partitions': {'root': '/dev/sda1'}}
WITH_DRIVE = {'partitions': {'root': '/dev/sda1', 'configdrive': '/dev/sda2'}}


class MakeTest(ramdisk.AgentTestCase):
    """What is asked of the agent, in which sequence."""

    def setUp(self):
        super().setUp()
        self.device = str(self.disk)
        self.steps = []
        self.work = self.noted(partition_utils, 'work_on_disk', MADE)
        self.disable = self.noted(previous_system, 'disable')
        self.array = self.noted(previous_system, 'disable_array')
        self.wipe = self.noted(utils, 'try_execute')
        self.noted(commands, 'run', f'{self.disk}\n/dev/one\n/dev/two\n')
        self.sync = self.noted(partitioning.os, 'sync')
        self.fsync = self.noted(partitioning.os, 'fsync')
        self.sector_size = self.patched(disk_utils, 'get_dev_sector_size')
        self.sector_size.return_value = 512
        self.get_drive = self.patched(partition_utils, 'get_configdrive')
        self.get_drive.return_value = 1, str(self.directory / 'drive')
        self.build = self.patched(partition_utils,
                                  '_try_build_fat32_config_drive')

    def noted(self, owner, name, answer=None):
        """Replace a function, which is noted among the steps."""
        new = self.patched(owner, name)

        def call(*arguments, **named):
            self.steps.append(name)
            return answer

        new.side_effect = call
        return new

    def make(self, configdrive=None, **info):
        return partitioning.make(orders.WriteOrder.read(
            self.node, self.image_info(image_type='partition', **{
                'root_mb': 100, **info}), configdrive), self.device)

    def test_sizes(self):
        self.node['properties'] = {
            'capabilities': 'boot_mode:uefi,disk_label:gpt'}
        partitions = self.make('the drive', swap_mb=5, ephemeral_mb=7,
                               ephemeral_format='ext4')
        self.assertEqual(('/dev/sda1', MADE),
                         (partitions.root, partitions.of_agent))
        self.work.assert_called_once_with(
            self.device, 100, 5, 7, 'ext4', None, ramdisk.NODE_ID,
            preserve_ephemeral=False, configdrive='the drive',
            boot_mode='uefi', disk_label='gpt', cpu_arch='x86_64')

    def test_nothing_starts_before_it_is_partitioned(self):
        self.make()
        self.assertEqual(
            ['disable_array', 'disable', 'run', 'try_execute', 'try_execute',
             'work_on_disk', 'sync', 'fsync'], self.steps)
        self.array.assert_called_once_with(self.device, verify=False)
        disk, = self.disable.call_args.args
        self.assertEqual(
            (self.device, {'keep_partitions': False, 'verify': False}),
            (disk.path, self.disable.call_args.kwargs))

    def test_what_is_wiped_is_read_back(self):
        for read_back, verify in (('sample', True), ('full', True),
                                  ('none', False)):
            self.conf.config(group='imagedeploy', read_back=read_back)
            self.make()
            for wiped in (self.array, self.disable):
                self.assertIs(verify, wiped.call_args.kwargs['verify'])

    def test_file_systems_that_were_there_are_forgotten(self):
        """Those of the partitions, and not the table of the disk."""
        self.make()
        self.assertEqual(
            [mock.call('wipefs', '--force', '--all', name)
             for name in ('/dev/one', '/dev/two')], self.wipe.mock_calls)

    def test_what_is_preserved(self):
        self.make(preserve_ephemeral=True)
        self.assertEqual(['disable_array', 'disable', 'work_on_disk', 'sync',
                          'fsync'], self.steps)
        self.assertEqual({'keep_partitions': True, 'verify': False},
                         self.disable.call_args.kwargs)
        self.assertIs(True, self.work.call_args.kwargs['preserve_ephemeral'])

    def test_it_is_on_the_medium(self):
        names = []
        self.fsync.side_effect = lambda file: names.append(file.name)
        self.make()
        self.assertEqual([self.device], names)

    def test_a_config_drive_on_large_sectors(self):
        """ISO 9660 is mounted from sectors of 2048 bytes at most."""
        for size, made, drive, is_built in (
                (4096, WITH_DRIVE, 'the drive', True),
                (2049, WITH_DRIVE, 'the drive', True),
                (2048, WITH_DRIVE, 'the drive', False),
                (512, WITH_DRIVE, 'the drive', False),
                (4096, MADE, 'the drive', False),
                (4096, WITH_DRIVE, None, False)):
            self.sector_size.return_value = size
            self.work.side_effect = lambda *_, made=made, **__: made
            self.build.reset_mock()
            (self.directory / 'drive').touch()
            with self.subTest(size, made=made, drive=drive):
                self.make(drive)
                self.assertEqual(is_built, self.build.called)
                self.assertNotEqual(is_built,
                                    (self.directory / 'drive').exists())
        self.sector_size.assert_called_with(self.device)

    def test_the_files_of_the_config_drive(self):
        self.sector_size.return_value = 4096
        self.work.side_effect = lambda *_, **__: WITH_DRIVE
        self.make('the drive')
        self.get_drive.assert_called_once_with('the drive', ramdisk.NODE_ID)
        self.build.assert_called_once_with('/dev/sda2',
                                           str(self.directory / 'drive'))

    def test_a_config_drive_that_cannot_be_built(self):
        (self.directory / 'drive').touch()
        self.sector_size.return_value = 4096
        self.work.side_effect = lambda *_, **__: WITH_DRIVE
        self.build.side_effect = processutils.ProcessExecutionError(
            stderr='no room\n')
        with self.assertRaisesRegex(
                errors.DeploymentError,
                f'{self.device} cannot be partitioned: no room$'):
            self.make('the drive')
        self.assertFalse((self.directory / 'drive').exists())

    def test_what_the_agent_cannot_do(self):
        for error, words in (
                (processutils.ProcessExecutionError(stderr=' no room \n'),
                 'no room$'),
                (errors.FileSystemNotSupported('zfs'), 'zfs')):
            self.work.side_effect = error
            with self.assertRaisesRegex(
                    errors.DeploymentError,
                    f'{self.device} cannot be partitioned: .*{words}'):
                self.make()
