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

import gzip

from tests.unit.cmd import program
from tests.unit.engine import disks

MIB = 1 << 20


class SummaryTest(program.CommandTestCase):
    """What commands say of the same image agrees."""

    def test_a_compressed_image_has_one_name(self) -> None:
        packed = self.directory / 'image.gz'
        packed.write_bytes(gzip.compress(self.image.read_bytes()))
        for command in ('check', 'write', 'verify'):
            self.assertEqual(0, self.run_main(
                command, packed, *([] if command == 'check'
                                   else [self.target])), self.err)
            self.assertIn('raw in gz', self.out)
            self.assertNotIn('(raw)', self.out)

    def test_a_disk_that_is_smaller_than_the_table_is_for(self) -> None:
        """check and write have one rule, and a new file suits."""
        disk = disks.gpt(16 * MIB, [disks.Entry(2048, 4095)],
                         first_usable=34)[:2 * MIB]
        self.image.write_bytes(disk)
        least = 16 * MIB - 512
        self.target.write_bytes(bytes(least - 512))
        self.assertEqual(4, self.run_main(
            'check', self.image, '--disk-size', least - 512))
        self.assertEqual(5, self.run_main(
            'write', self.image, self.target, '--progress', 'none'))
        self.assertFalse(any(self.target.read_bytes()))
        self.target.unlink()
        self.assertEqual(0, self.run_main('check', self.image, '--disk-size',
                                          least))
        self.assertIn('Nothing: on a disk of', self.out)
        self.assertEqual(0, self.run_main('write', self.image, self.target))
        self.assertEqual(least, self.target.stat().st_size)
        self.assertEqual(disk, self.target.read_bytes()[:2 * MIB])
        self.assertIn('has no backup of the partition table', self.out)
        self.assertEqual(0, self.run_main('repair-gpt', self.target))
        self.assertIn('both halves', self.out)
