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

from ironic_imagedeploy import engine
from tests.unit.engine import base
from tests.unit.engine import disks
from tests.unit.engine.inspection import verdicts
from tests.unit.engine import memory
from tests.unit.engine import qcow2_builder as qcow2
from tests.unit.engine import volumes

MIB = base.MIB


class TableTest(verdicts.VerdictTestCase):

    def test_a_gpt_without_a_boot_sector_before_it(self) -> None:
        disk = self.disk()
        disk[510:512] = b'\0\0'
        self.assert_refused('not-an-image', disk)
        self.assert_refused('no-partition-table', disk, disk_format='raw',
                            image_type='whole-disk')

    def test_a_partition_table_that_cannot_be_right(self) -> None:
        self.assert_refused('truncated', self.disk()[:10 * MIB],
                            str(10 * MIB))
        disk = self.disk()
        disk[600] ^= 1
        for content in (disk, self.qcow2(disk)):
            self.assert_refused('corrupt', content)

    def test_the_disk_in_a_compressed_file(self) -> None:
        """As large as its table says that it is."""
        for sector_size in (512, 4096):
            for disk in (self.disk(sector_size=sector_size), disks.gpt(
                    4 * MIB, sector_size=sector_size, boot_code=b'\xeb')):
                inspection = engine.inspect(memory.MemorySource(
                    gzip.compress(disk, 1)))
                self.assertEqual(('accept', len(disk)), (
                    inspection.verdict, inspection.virtual_size))

    def test_a_gpt_behind_the_boot_sector_of_a_file_system(self) -> None:
        """Linux and firmware look for the GPT first."""
        disk = self.disk()
        for at, magic in ((54, b'FAT16   '), (3, b'NTFS    ')):
            disk[at:at + 8] = magic
            self.assertEqual('whole-disk', self.inspect(disk).image_type)
            disk[at:at + 8] = bytes(8)
        disk = disks.fat(self.directory / 'fat', 16 * MIB, {})
        self.assertEqual('partition', self.inspect(disk).image_type)

    def test_a_disk_that_ends_in_its_table(self) -> None:
        disk = self.disk()
        for length in (512, 520, 560, 603, 604, 700, 1024):
            with self.subTest(length=length):
                self.assertEqual('refuse', self.inspect(
                    disk[:length], disk_format='raw').verdict)

    def test_a_front_that_cannot_be_decoded(self) -> None:
        builder = qcow2.Builder(MIB)
        builder.compressed(0, bytes(disks.mbr(
            65536, [(0, 0x83, 1, 5)])))
        file = builder.build()
        at = builder.places['compressed-0']
        file[at:at + 10] = b'\xff' * 10
        self.assert_refused('corrupt', file, str(at))

    def test_image_type_mismatch(self) -> None:
        volume = volumes.ext4(self.directory / 'root', {}).read_bytes()
        for content, expectation, found in (
                (self.disk(), {'image_type': 'partition'}, 'whole-disk'),
                (volume, {'image_type': 'whole-disk'}, 'partition'),
                (self.disk(), {'has_kernel': True}, 'kernel'),
                (self.disk(), {'has_kernel': True,
                               'image_type': 'partition'}, 'kernel')):
            self.assert_refused('image-type-mismatch', content, found,
                                **expectation)

    def test_no_partition_table(self) -> None:
        for wanted, word in (('whole-disk', 'partition table'),
                             ('partition', 'file system')):
            for content, found in (
                    (bytes(MIB), 'found zeroes'),
                    (bytes(510) + b'\x55\xaa' + bytes(MIB),
                     'a boot sector without partitions'),
                    (b'\xff\x03' * MIB, 'data of no known kind')):
                self.assert_refused(
                    'no-partition-table', content, word, found,
                    disk_format='raw', image_type=wanted)
        self.assert_accepted(bytes(MIB), 'no-partition-table',
                             disk_format='raw')
        self.assert_accepted(self.qcow2(bytes(MIB)), 'no-partition-table')
        for boot_mode in ('bios', 'uefi'):
            self.assert_refused('no-partition-table',
                                self.qcow2(bytes(MIB)), boot_mode=boot_mode)


class FlawTest(verdicts.VerdictTestCase):
    """What Linux and firmware tolerate is a warning."""

    def test_a_damaged_backup(self) -> None:
        for at in (-500, -512, -1000 - 15 * 1024):
            disk = self.disk()
            disk[at] ^= 1
            for content in (disk, self.qcow2(disk)):
                inspection = self.assert_accepted(content, 'corrupt')
                self.assertIn('repair-gpt', inspection.findings[0].fix)

    def test_a_good_backup_of_a_damaged_table(self) -> None:
        disk = self.disk()
        disk[600] ^= 1
        self.assert_refused('corrupt', disk, 'good backup', 'repair-gpt')

    def test_a_source_without_random_access_is_not_read_to_its_end(
            self) -> None:
        disk = self.disk()
        disk[-500] ^= 1
        source = memory.MemorySource(disk)
        source.random_access = False
        self.assertEqual((), engine.inspect(source).findings)
