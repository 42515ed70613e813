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

from ironic_imagedeploy.agent import sysfs
from tests.unit.agent import block_devices


class DevicesTest(block_devices.SysfsTestCase):

    def test_partitions(self):
        for device, expected in (
                ('/dev/vda1', ('/dev/vda', 1)),
                ('/dev/nvme0n1p2', ('/dev/nvme0n1', 2)),
                ('/dev/md127p3', ('/dev/md127', 3))):
            self.assertEqual(expected, sysfs.partition(device))
        for device in ('/dev/vda', '/dev/nvme0n1', '/dev/md127', '/dev/x'):
            self.assertIsNone(sysfs.partition(device))

    def test_arrays(self):
        self.assertTrue(sysfs.is_array('/dev/md127'))
        self.assertFalse(sysfs.is_array('/dev/vda'))
        self.assertEqual(['/dev/nvme0n1p2', '/dev/vda1'],
                         sysfs.members('/dev/md127'))

    def test_members_that_failed(self):
        for name, state in (('vda1', 'in_sync\n'),
                            ('nvme0n1p2', 'faulty,blocked\n')):
            folder = self.links / 'md127/md' / f'dev-{name}'
            folder.mkdir()
            (folder / 'state').write_text(state)
            (folder / 'bad_blocks').write_text(
                '' if name == 'vda1' else '2048 8\n')
        (self.links / 'md127/md/array_state').write_text('active\n')
        self.assertEqual(['/dev/vda1'],
                         sysfs.written_members('/dev/md127'))
        self.assertEqual(['/dev/nvme0n1p2'],
                         sysfs.incomplete_members('/dev/md127'))

    def test_the_disk_of_a_device(self):
        self.assertEqual('/dev/nvme0n1', sysfs.disk_of('/dev/nvme0n1p2'))
        self.assertEqual('/dev/vda', sysfs.disk_of('/dev/vda'))

    def test_partitions_of_a_disk(self):
        self.assertEqual({1: '/dev/vda1'}, sysfs.partitions('/dev/vda'))
        self.assertEqual({3: '/dev/md127p3'}, sysfs.partitions('/dev/md127'))

    def test_holders(self):
        holders = self.links / 'vda1/holders'
        holders.mkdir()
        self.assertEqual([], sysfs.holders('/dev/vda1'))
        (holders / 'md127').symlink_to(os.path.realpath(self.links / 'md127'))
        self.assertEqual(['/dev/md127'], sysfs.holders('/dev/vda1'))

    def test_another_name(self):
        name = pathlib.Path(self.enterContext(
            tempfile.TemporaryDirectory()), 'root')
        name.symlink_to('/dev/md127')
        self.assertTrue(sysfs.is_array(str(name)))
