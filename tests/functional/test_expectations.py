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


import pathlib

from tests.functional import base
from tests.functional import refusals
from tests.support import disks
from tests.support import images

ESP = refusals.ESP
SIZE = refusals.SIZE
MIB = base.MIB


class ExpectationTest(refusals.RefusalTestCase):
    """Good images for another node."""

    def test_larger_than_the_disk(self) -> None:
        self.assert_refused('too-large', '--disk-size', SIZE - 512,
                            image=self.good)

    def test_other_sector_size(self) -> None:
        images.make_guest(self.image, SIZE, seed=1, label='gpt')
        self.assert_refused('sector-size', '--sector-size', 4096)

    def test_whole_disk_given_as_partition(self) -> None:
        self.assert_refused('image-type-mismatch', '--image-type',
                            'partition', image=self.good)

    def test_file_system_given_as_whole_disk(self) -> None:
        disks.run('mke2fs', '-q', '-t', 'ext4', self.image, '8M')
        self.assert_refused('image-type-mismatch', '--image-type',
                            'whole-disk')

    def test_file_system_that_boots_nothing(self) -> None:
        for command in ('mke2fs -q -F -t ext4', 'mke2fs -q -F -t ext2',
                        'mkfs.btrfs -q -f', 'mkfs.xfs -q -f'):
            with self.subTest(command):
                with self.image.open('wb') as file:
                    file.truncate(320 * MIB)
                disks.run(*command.split(), self.image)
                outcome = self.invoke('check', self.image, '--image-type',
                                      'partition', '--json')
                self.assert_status(4, outcome)
                finding, = outcome.json['findings']
                self.assertEqual('no-bootloader', finding['code'])
                self.assertIn('initramfs', finding['fix'])
                self.assert_status(0, self.invoke('check', self.image))

    def test_file_system_of_no_system(self) -> None:
        with self.image.open('wb') as file:
            file.truncate(8 * MIB)
        for command, name in (('mkfs.vfat', 'vfat'), ('mkswap', 'swap')):
            disks.run(command, self.image)
            outcome = self.invoke('check', self.image, '--image-type',
                                  'partition')
            self.assert_status(4, outcome)
            self.assertIn('file-system-unsupported', outcome.stdout)
            self.assertIn(name, outcome.stdout)

    def test_file_system_that_is_cut_off(self) -> None:
        disks.run('mke2fs', '-q', '-t', 'ext4', self.image, '8M')
        with self.image.open('r+b') as file:
            file.truncate(7 * MIB)
        self.assert_refused('truncated', '--image-type', 'partition')
        self.assert_refused('truncated')

    def test_damaged_partition_table_with_a_good_backup(self) -> None:
        images.make_guest(self.image, SIZE, seed=1, label='gpt')
        with self.image.open('r+b') as file:
            file.seek(512 + 60)
            file.write(b'????')
        self.assert_refused('corrupt')
        disks.run('sgdisk', '-e', self.image)
        self.assert_status(0, self.invoke('check', self.image))

    def test_nothing_to_boot(self) -> None:
        images.create(self.image, SIZE)
        self.assert_refused('no-partition-table', '--image-type',
                            'whole-disk')

    def test_no_esp(self) -> None:
        self.assert_refused('no-esp', '--boot-mode', 'uefi', image=self.good)

    def test_no_boot_code(self) -> None:
        with self.image.open('wb') as file:
            file.truncate(SIZE)
        images.partition(self.image, 'gpt', ESP)
        self.assert_refused('no-esp', '--boot-mode', 'uefi')
        images.fill_esp(self.image, start=64 * 512, size=4 * MIB)
        self.assert_refused('no-bios-boot', '--boot-mode', 'bios')
        self.assert_status(0, self.invoke('check', self.image, '--boot-mode',
                                          'uefi'))

    def test_truncated_raw_disk(self) -> None:
        images.make_guest(self.image, SIZE, seed=1, label='gpt')
        with self.image.open('r+b') as file:
            file.truncate(48 * 1024)
        self.assert_refused('truncated')

    def test_raw_disk_without_the_backup_of_its_gpt(self) -> None:
        images.make_guest(self.image, SIZE, seed=1, label='gpt')
        with self.image.open('r+b') as file:
            file.truncate(SIZE - 512)
        outcome = self.execute('check', self.image, '--json')
        self.assertIn('corrupt', [finding['code'] for finding
                                  in outcome.json['findings']])


class SourceTest(refusals.RefusalTestCase):
    """Sources that are none: status 3."""

    def assert_no_source(self, source: str | pathlib.Path, *words: str
                         ) -> None:
        disk = self.disk(SIZE)
        outcomes = [self.invoke('check', source), self.invoke('map', source),
                    self.invoke('write', source, disk.device),
                    self.invoke('verify', source, disk.device)]
        for outcome in outcomes:
            self.assert_status(3, outcome)
            self.assert_one_sentence(outcome, *words)
            self.assertEqual('', outcome.stdout)
        self.assert_untouched(disk)

    def test_missing(self) -> None:
        self.assert_no_source(self.image, 'not found', str(self.image))
        self.assert_no_source(f'file://{self.image}', 'not found')

    def test_directory(self) -> None:
        self.assert_no_source(self.directory, 'regular file')

    def test_device(self) -> None:
        self.assert_no_source('/dev/zero', 'regular file')

    def test_scheme_that_nobody_knows(self) -> None:
        for source in ('ftp://example.invalid/x', 'data:,hello',
                       'glance-on-the-rocks:1'):
            with self.subTest(source):
                self.assert_no_source(source, 'scheme')


class ChecksumTest(refusals.RefusalTestCase):
    """A wrong checksum is found when all is read: status 6."""

    def test_wrong(self) -> None:
        for image in (self.good, self.guest):
            for algorithm in ('md5', 'sha1', 'sha256', 'sha512'):
                with self.subTest(algorithm):
                    self.check_wrong(image, algorithm)

    def check_wrong(self, image: pathlib.Path, algorithm: str) -> None:
        right = disks.checksum(image, algorithm)
        wrong = right[:-1] + ('0' if right[-1] != '0' else '1')
        disk = self.disk(SIZE + 2 * MIB)
        outcome = self.invoke('write', image, disk.device, '--progress',
                              'none', '--checksum', wrong)
        self.assert_status(6, outcome)
        self.assert_one_sentence(outcome, 'checksum', wrong.split(':')[1],
                                 right.split(':')[1])
        self.assert_boots_nothing(disk)

    def test_right(self) -> None:
        disk = self.disk(SIZE + 2 * MIB)
        right = disks.checksum(self.good)
        outcome = self.invoke('write', self.good, disk.device, '--json',
                              '--progress', 'none', '--checksum', right)
        self.assert_status(0, outcome)
        self.assertEqual(
            {'algorithm': 'sha512', 'value': right.split(':')[1],
             'verified': True}, outcome.json['checksum'])
        self.assert_written(self.guest, disk)
