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

"""The command that repairs a GPT, on disks and on raw images."""

import pathlib

from tests.functional import base
from tests.support import disks
from tests.support import images

MIB = base.MIB
SIZE = 16 * MIB


class RepairTest(base.FunctionalTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.raw = images.make_guest(self.directory / 'guest', SIZE, seed=4,
                                     label='gpt')

    def test_after_an_image_was_written_to_a_larger_disk(self) -> None:
        disk = self.disk(SIZE + 5 * MIB)
        outcome = self.invoke('write', self.raw, disk.device)
        self.assert_status(0, outcome)
        self.assertIn(f'ironic-imagedeploy repair-gpt {disk.device}',
                      outcome.stdout)
        report = self.invoke('write', self.raw, disk.device, '--json').json
        self.assertEqual((SIZE, SIZE + 5 * MIB, True), (
            report['virtual_size'], report['target_size'],
            report['backup_gpt_misplaced']))
        outcome = self.invoke('repair-gpt', disk.device)
        self.assert_status(0, outcome)
        self.assertIn('both halves', outcome.stdout)
        self.assertIn('No problems found',
                      disks.run('sgdisk', '-v', disk.device))
        self.assertIn('nothing to repair',
                      self.invoke('repair-gpt', disk.device).stdout)

    def test_a_disk_of_the_size_of_the_image(self) -> None:
        disk = self.disk(SIZE)
        report = self.invoke('write', self.raw, disk.device, '--json').json
        self.assertFalse(report['backup_gpt_misplaced'])
        self.assertIn('nothing to repair',
                      self.invoke('repair-gpt', disk.device).stdout)

    def test_the_remedy_of_a_refusal_is_one(self) -> None:
        with self.raw.open('r+b') as file:
            file.seek(512 + 16)
            file.write(b'????')
        outcome = self.invoke('check', self.raw, '--json')
        self.assert_status(4, outcome)
        fix = outcome.json['findings'][0]['fix']
        self.assertIn(f'ironic-imagedeploy repair-gpt {self.raw}', fix)
        self.assert_status(0, self.invoke('repair-gpt', self.raw))
        self.assert_status(0, self.invoke('check', self.raw))

    def test_no_half_is_good(self) -> None:
        with self.raw.open('r+b') as file:
            for offset in (512 + 16, SIZE - 512 + 16):
                file.seek(offset)
                file.write(b'????')
        before = self.raw.read_bytes()
        outcome = self.invoke('repair-gpt', self.raw)
        self.assert_status(5, outcome)
        self.assertEqual(before, self.raw.read_bytes())

    def test_no_gpt(self) -> None:
        path = pathlib.Path(self.directory, 'plain')
        path.write_bytes(bytes(MIB))
        self.assertIn('nothing to repair',
                      self.invoke('repair-gpt', path).stdout)
