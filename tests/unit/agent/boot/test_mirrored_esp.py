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
from unittest import mock

from oslo_concurrency import processutils

from ironic_python_agent import config  # noqa: F401 (before utils)
from ironic_python_agent import errors
from ironic_python_agent import utils

from ironic_imagedeploy.agent.boot import mirrored_esp
from ironic_imagedeploy.agent.boot import nvram
from ironic_imagedeploy.agent.boot import previous_system
from ironic_imagedeploy.agent.boot import software_raid
from ironic_imagedeploy.agent import sysfs
from ironic_imagedeploy.engine import budget
from ironic_imagedeploy.engine.contents import fat
from ironic_imagedeploy.engine import exceptions
from tests.unit.agent import block_devices
from tests.unit.engine import disks

ARRAY = '/dev/md127'
PROGRAM = 'EFI/BOOT/BOOTX64.EFI'
MIB = 1 << 20


class MoveTest(block_devices.SysfsTestCase):
    """Files stand for the partition and the mirror."""

    def setUp(self):
        super().setUp()
        folder = pathlib.Path(self.enterContext(
            tempfile.TemporaryDirectory()))
        self.partition, self.esp = folder / 'partition', folder / 'mirror'
        self.folder = folder
        self.fill({'/' + PROGRAM: b'a program', '/loader.conf': b'x'})
        self.seen = []
        self.mounted = self.patch(utils, 'mounted')
        self.mounted.return_value.__enter__.return_value = '/the/mirror'
        self.patch(os, 'sync', lambda: self.see('sync'))
        self.patch(os, 'fsync', lambda _: self.see('fsync'))
        self.rescan = self.patch(utils, 'rescan_device')
        mirror = self.patch(software_raid.Array, 'mirror_esp')
        mirror.side_effect = self.mirror
        self.found = self.patch(previous_system, 'esp_devices')
        self.found.return_value = [str(self.partition)]
        self.entries = self.patch(nvram, 'add_entries_of_image')
        self.patch(mirrored_esp, '_FIRMWARE', '/')
        self.patch(sysfs, 'members', lambda _: ['/dev/vda1',
                                                '/dev/nvme0n1p2'])
        self.array = software_raid.Array(device=ARRAY, uuid='', disks=())

    def patch(self, owner, name, *new):
        return self.enterContext(mock.patch.object(
            owner, name, *new, **({} if new else {'autospec': True})))

    def fill(self, files):
        self.partition.write_bytes(disks.fat(
            self.folder / 'made', 4 * MIB, files, bits=12))

    def see(self, what):
        if self.esp.exists():
            self.seen.append((what, self.names()))

    def names(self):
        content = self.esp.read_bytes()
        volume = fat.FatVolume(
            lambda offset, length: content[offset:offset + length],
            budget.Budget())
        return [entry.name for entry in volume.root()]

    def mirror(self, array, partition):
        self.assertEqual(str(self.partition), partition)
        self.esp.write_bytes(self.partition.read_bytes())
        return str(self.esp)

    def assert_refused(self, words):
        with self.assertRaisesRegex(errors.DeploymentError, words):
            mirrored_esp.move(self.array)

    def test_it_gets_its_name_when_it_is_on_the_medium(self):
        before = self.partition.read_bytes()
        mirrored_esp.move(self.array)
        files = ['LOADER.CONF']
        self.assertEqual(
            [('sync', ['EFI.NEW', *files]), ('fsync', ['EFI.NEW', *files]),
             ('fsync', ['EFI', *files])],
            [(what, sorted(names)) for what, names in self.seen])
        self.assertEqual(before, self.esp.read_bytes())

    def test_each_half_has_entries(self):
        mirrored_esp.move(self.array)
        self.entries.assert_called_once_with(
            [sysfs.Partition('/dev/vda', 1),
             sysfs.Partition('/dev/nvme0n1', 2)], '/the/mirror')
        self.mounted.assert_called_once_with(
            str(self.esp), fs_type='vfat', opts=['ro', 'nosuid', 'nodev'])

    def test_a_ramdisk_that_was_started_by_a_bios(self):
        self.patch(mirrored_esp, '_FIRMWARE', '/no/such/directory')
        mirrored_esp.move(self.array)
        self.assertIn('EFI', self.names())
        self.entries.assert_not_called()

    def test_a_partition_that_the_kernel_does_not_know_yet(self):
        found = self.found.return_value
        self.found.return_value = []

        def rescan(device):
            self.assertEqual(ARRAY, device)
            self.found.return_value = found

        self.rescan.side_effect = rescan
        mirrored_esp.move(self.array)
        self.assertIn('EFI', self.names())

    def test_no_partition(self):
        self.found.return_value = []
        self.assert_refused('expected an EFI system partition in it, found '
                            'none')

    def test_no_directory(self):
        self.fill({'/loader.conf': b'x'})
        self.assert_refused('found no EFI. Use an image')

    def test_a_name_that_is_taken(self):
        self.fill({'/' + PROGRAM: b'x', '/EFI.NEW': b'x'})
        self.assert_refused('found both. Use an image')

    def test_what_is_not_a_fat(self):
        self.partition.write_bytes(bytes(MIB))
        self.assertRaises(exceptions.BadContent, mirrored_esp.move,
                          self.array)
        self.assertFalse(self.esp.exists())

    def test_what_cannot_be_written(self):
        self.patch(os, 'pwrite').side_effect = OSError(5, 'EIO')
        self.assert_refused(f'{self.partition} cannot be changed: EIO')

    def test_what_cannot_be_mounted(self):
        self.mounted.side_effect = (
            processutils.ProcessExecutionError(stderr='wrong fs type\n'))
        self.assert_refused(f'{self.esp} cannot be mounted: wrong fs type')

    def test_a_disk_that_falls_out(self):
        complete = self.patch(software_raid, 'complete')
        complete.return_value.__exit__.side_effect = errors.DeploymentError(
            'fell out')
        self.assert_refused('fell out')
        complete.assert_called_once_with(str(self.esp))
        self.entries.assert_not_called()
