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

import base64
import gzip
import os

import fixtures

from ironic_python_agent import config  # noqa: F401 (before errors)
from ironic_python_agent import errors

from ironic_imagedeploy.agent import order as orders
from ironic_imagedeploy.agent import partition_checks
from tests.support import ramdisk

MIB = 1 << 20


class CheckTestCase(ramdisk.AgentTestCase):

    def setUp(self):
        super().setUp()
        self.conf.config(group='disk_utils', efi_system_partition_size=64,
                         bios_boot_partition_size=1)

    def order(self, boot_mode='bios', configdrive=None, **info):
        """An order for a partition image."""
        self.node['properties'] = {'capabilities': f'boot_mode:{boot_mode}'}
        return orders.WriteOrder.read(self.node, self.image_info(
            image_type='partition', root_mb=100, **info), configdrive)


class FitTest(CheckTestCase):

    def assert_takes(self, mib, parts, **options):
        """All partitions take so many MiB, and a disk has to have them."""
        order = self.order(**options)
        partition_checks.check_fit(order, mib * MIB)
        partition_checks.check_fit(order, mib * MIB + MIB - 1)
        partition_checks.check_fit(order, (mib + 1) * MIB)
        with self.assertRaises(errors.DeploymentError) as caught:
            partition_checks.check_fit(order, mib * MIB - 1)
        self.assertIn(f'expected at most {mib - 1} MiB, found {mib} MiB '
                      f'({parts})', str(caught.exception))

    def test_parts(self):
        self.assert_takes(103, 'root 100, swap 0, ephemeral 0, boot 1, '
                          'config drive 0, tables 2')
        self.assert_takes(
            178, 'root 100, swap 5, ephemeral 7, boot 64, config drive 0, '
            'tables 2', boot_mode='uefi', swap_mb=5, ephemeral_mb=7)

    def test_a_config_drive(self):
        drive = base64.b64encode(gzip.compress(os.urandom(3 * MIB))).decode()
        self.assert_takes(
            106, 'root 100, swap 0, ephemeral 0, boot 1, config drive 3, '
            'tables 2', configdrive=drive)

    def test_a_config_drive_that_is_none(self):
        packed = gzip.compress(os.urandom(9999))
        for content in (packed[:-10], packed[:10] + b'\xff' * 99):
            order = self.order(configdrive=base64.b64encode(content).decode())
            with self.assertRaisesRegex(
                    errors.DeploymentError,
                    'The config drive cannot be unpacked: .* Make it again'):
                partition_checks.check_fit(order, 1 << 40)


class FormatsTest(CheckTestCase):

    def setUp(self):
        super().setUp()
        self.programs = self.directory / 'programs'
        self.programs.mkdir()
        self.useFixture(fixtures.EnvironmentVariable(
            'PATH', str(self.programs)))

    def add(self, name):
        (self.programs / name).touch(mode=0o755)

    def assert_lacks(self, name, order):
        with self.assertRaisesRegex(
                errors.DeploymentError,
                f'cannot make a file system {name}: expected a program '
                f'mkfs.{name}, found none'):
            partition_checks.check_formats(order)
        self.add(f'mkfs.{name}')
        partition_checks.check_formats(order)

    def test_nothing_is_made(self):
        partition_checks.check_formats(self.order())
        partition_checks.check_formats(self.order(ephemeral_format='zfs'))

    def test_an_esp(self):
        self.assert_lacks('vfat', self.order(boot_mode='uefi'))

    def test_an_ephemeral_partition(self):
        self.assert_lacks('ext4', self.order(ephemeral_mb=1,
                                             ephemeral_format='ext4'))

    def test_an_ephemeral_partition_that_is_preserved(self):
        partition_checks.check_formats(self.order(
            ephemeral_mb=1, ephemeral_format='zfs', preserve_ephemeral=True))
