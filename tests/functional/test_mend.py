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

"""``mend``: a partition table, and metadata in a real Glance."""

from tests.functional import glance
from tests.support import disks
from tests.support import images

RIGHT = {'disk_format': 'qcow2', 'min_disk': 1, 'img_type': 'whole-disk',
         'hw_architecture': 'x86_64'}


class MetadataTest(glance.GlanceTestCase):

    def test_right_metadata_stays(self) -> None:
        result = self.upload(self.image, '--property', 'color=blue')
        before = self.record(result['image'])
        outcome = self.invoke('mend', '--image', result['image'], '--yes',
                              '--json')
        self.assert_status(0, outcome)
        self.assertEqual({'image': result['image'], 'differences': [],
                          'applied': False}, outcome.json)
        self.assertEqual(before, self.record(result['image']))

    def test_wrong_metadata_is_shown_and_not_changed(self) -> None:
        wrong = self.put(self.image, disk_format='qcow2', os_distro='sles',
                         kernel_id='3f1c', img_type='partition')
        before = self.record(wrong)
        outcome = self.invoke('mend', '--image', wrong)
        self.assert_status(4, outcome)
        self.assertIn('img_type           partition -> whole-disk',
                      outcome.stdout)
        self.assertIn('kernel_id          3f1c -> none', outcome.stdout)
        self.assertIn('--yes', outcome.stderr)
        self.assertEqual(before, self.record(wrong))

    def test_wrong_metadata_is_changed(self) -> None:
        wrong = self.put(self.image, disk_format='qcow2', min_disk=0,
                         kernel_id='3f1c', ramdisk_id='4a2d',
                         img_type='partition', color='blue')
        outcome = self.invoke('mend', '--image', f'glance:{wrong}', '--yes',
                              '--json')
        self.assert_status(0, outcome)
        self.assertTrue(outcome.json['applied'])
        record = self.record(wrong)
        self.assertEqual(RIGHT, {name: record.get(name) for name in RIGHT})
        self.assertEqual('blue', record['color'])
        for name in ('kernel_id', 'ramdisk_id'):
            self.assertNotIn(name, record)

    def test_a_wrong_format_takes_another_image(self) -> None:
        wrong = self.put(self.image, disk_format='raw', **{
            name: value for name, value in RIGHT.items()
            if name != 'disk_format'})
        outcome = self.invoke('mend', '--image', wrong, '--yes')
        self.assert_status(4, outcome)
        self.assertIn('disk_format', outcome.stdout)
        advice = outcome.stderr.split('ironic-imagedeploy ')[-1].split()
        self.assertEqual('upload', advice[0])
        outcome = self.invoke(*advice[:-1], 'mended', '--json')
        self.assert_status(0, outcome)
        self.assertEqual('qcow2', self.records()['mended']['disk_format'])
        self.assertEqual(self.image.read_bytes(),
                         self.content(outcome.json['image']))

    def test_no_such_image(self) -> None:
        outcome = self.invoke(
            'mend', '--image', '00000000-0000-0000-0000-000000000000')
        self.assert_status(3, outcome)
        self.assert_status(2, self.invoke('mend', '--image', 'debian'))


class PartitionTableTest(glance.base.FunctionalTestCase):

    def test_the_backup_moves_to_the_end(self) -> None:
        target = self.directory / 'larger.raw'
        images.make_guest(target, glance.SIZE, seed=3, label='gpt')
        with target.open('ab') as file:
            file.truncate(glance.SIZE + 4 * glance.MIB)
        self.assertNotIn('No problems', disks.run('sgdisk', '-v', target))
        outcome = self.invoke('mend', target)
        self.assert_status(0, outcome)
        self.assertIn('No problems', disks.run('sgdisk', '-v', target))

    def test_nothing_to_mend(self) -> None:
        target = images.make_guest(self.directory / 'mbr', glance.MIB, seed=2)
        before = target.read_bytes()
        self.assert_status(0, self.invoke('mend', target))
        self.assertEqual(before, target.read_bytes())
