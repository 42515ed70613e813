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

"""Images that are refused: status 4, the reason, and an untouched disk."""

import gzip
import pathlib
import random
import shutil
import tarfile
import zipfile

from tests.functional import base
from tests.support import disks
from tests.support import images

MIB = base.MIB
SIZE = 16 * MIB
#: What programs rely on; there may be more.
KEYS = {'verdict', 'format', 'declared_format', 'image_type', 'virtual_size',
        'stored_size', 'partition_table', 'boot_modes', 'sector_size',
        'findings'}
ESP = 'start=64, size=8192, type=uefi\n'


class RefusalTestCase(base.FunctionalTestCase):
    """A guest of 16 MiB and an image of it."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.shared = disks.make_directory()
        cls.addClassCleanup(shutil.rmtree, cls.shared)
        cls.guest = images.make_guest(cls.shared / 'guest', SIZE, seed=9)
        cls.good = images.convert(cls.guest, cls.shared / 'good')

    def setUp(self) -> None:
        super().setUp()
        self.image = self.directory / 'image'

    def patch(self, offset: int, content: bytes) -> None:
        """Make the image a good one with other bytes at an offset."""
        shutil.copy(self.good, self.image)
        with self.image.open('r+b') as file:
            file.seek(offset)
            file.write(content)

    def assert_refused(self, code: str, *options: str | int,
                       image: pathlib.Path | None = None) -> None:
        """All commands refuse the image for that reason."""
        image = image or self.image
        outcome = self.invoke('check', image, '--json', *options)
        self.assert_status(4, outcome)
        self.assertEqual('', outcome.stderr)
        answer = outcome.json
        self.assertLessEqual(KEYS, set(answer))
        self.assertEqual('refuse', answer['verdict'])
        finding, = [finding for finding in answer['findings']
                    if finding['severity'] == 'error']
        self.assertEqual(code, finding['code'], finding)
        for key in ('expected', 'found', 'message', 'fix'):
            self.assertTrue(finding[key])
        self.assert_all_told(finding, *options, image=image)
        disk = self.disk(SIZE + 2 * MIB)
        outcome = self.invoke('write', image, disk.device, *options)
        self.assert_status(4, outcome)
        self.assert_one_sentence(outcome, code)
        self.assert_untouched(disk)
        target = self.directory / 'new'
        self.assert_status(4, self.invoke('write', image, target, *options))
        self.assertFalse(target.exists())

    def assert_all_told(self, finding: dict[str, str], *options: str | int,
                        image: pathlib.Path) -> None:
        """The text of ``check`` says what its JSON says."""
        outcome = self.invoke('check', image, *options)
        self.assert_status(4, outcome)
        self.assertIn('refused', outcome.stdout.splitlines()[0])
        for key in ('code', 'expected', 'found', 'fix'):
            self.assertIn(finding[key], outcome.stdout)


class DangerousTest(RefusalTestCase):
    """qcow2 files that would read or need what is outside of them."""

    def test_backing_file(self) -> None:
        disks.run('qemu-img', 'create', '-q', '-f', 'qcow2', '-F', 'raw',
                  '-b', '/etc/shadow', self.image, '16M')
        self.assert_refused('backing-file')

    def test_data_file(self) -> None:
        data = self.directory / 'data'
        images.create(self.image, SIZE, f'data_file={data}')
        self.assert_refused('data-file')

    def test_raw_data_file(self) -> None:
        data = self.directory / 'data'
        images.create(self.image, SIZE,
                      f'data_file={data},data_file_raw=on')
        self.assert_refused('data-file')

    def test_luks_in_qcow2(self) -> None:
        images.create_encrypted(
            self.image, 'qcow2', 'encrypt.format=luks,encrypt.key-secret=s,'
            'encrypt.iter-time=10')
        self.assert_refused('encrypted')

    def test_aes_in_qcow2(self) -> None:
        self.patch(32, (1).to_bytes(4, 'big'))
        self.assert_refused('encrypted')

    def test_unknown_incompatible_features(self) -> None:
        for bit in (5, 17, 63):
            with self.subTest(bit):
                self.patch(72, (1 << bit).to_bytes(8, 'big'))
                self.assert_refused('unknown-feature')

    def test_marked_corrupt(self) -> None:
        self.patch(72, (1 << 1).to_bytes(8, 'big'))
        self.assert_refused('corrupt')

    def test_unknown_version(self) -> None:
        self.patch(4, (4).to_bytes(4, 'big'))
        self.assert_refused('format-unsupported')

    def test_absurd_cluster_sizes(self) -> None:
        for bits in (0, 8, 22, 63, 0xffffffff):
            with self.subTest(bits):
                self.patch(20, bits.to_bytes(4, 'big'))
                self.assert_refused('corrupt')

    def test_absurd_disk_size(self) -> None:
        self.patch(24, (1 << 62).to_bytes(8, 'big'))
        self.assert_refused('corrupt')

    def test_tables_outside_of_the_file(self) -> None:
        self.patch(40, (1 << 40).to_bytes(8, 'big'))
        self.assert_refused('truncated')

    def test_truncated(self) -> None:
        self.image.write_bytes(self.good.read_bytes()[:5 * MIB])
        self.assert_refused('truncated')

    def test_two_formats_at_once(self) -> None:
        self.patch(0x8001, b'CD001')
        self.assert_refused('format-ambiguous')


class FormatTest(RefusalTestCase):
    """Files of other formats, or of none."""

    def test_formats_that_nobody_deploys(self) -> None:
        for form, options in (('vhdx', ''), ('vpc', ''), ('qed', ''),
                              ('vpc', 'subformat=fixed'), ('parallels', '')):
            with self.subTest(form + options):
                images.convert(self.guest, self.image, options, form=form)
                self.assert_refused('format-unsupported')

    def test_formats_that_need_a_permission(self) -> None:
        for form in ('vmdk', 'vdi'):
            with self.subTest(form):
                images.convert(self.guest, self.image, form=form)
                self.assert_refused('format-not-permitted')

    def test_vmdk_of_several_files(self) -> None:
        for how in ('monolithicFlat', 'twoGbMaxExtentSparse',
                    'twoGbMaxExtentFlat'):
            with self.subTest(how):
                self.image = self.directory / f'{how}.vmdk'
                images.convert(self.guest, self.image, f'subformat={how}',
                               form='vmdk')
                self.assert_refused('external-extent', '--permit', 'vmdk')

    def test_vmdk_with_a_backing_file(self) -> None:
        backing = images.convert(self.guest, self.directory / 'backing',
                                 form='vmdk')
        disks.run('qemu-img', 'create', '-q', '-f', 'vmdk', '-F', 'vmdk',
                  '-b', backing, self.image)
        self.assert_refused('external-extent', '--permit', 'vmdk')

    def test_luks(self) -> None:
        images.create_encrypted(self.image, 'luks',
                                'key-secret=s,iter-time=10')
        self.assert_refused('format-unsupported')

    def test_installation_medium(self) -> None:
        medium = bytearray(64 * 2048)
        medium[0x8001:0x8006] = b'CD001'
        self.image.write_bytes(medium)
        self.assert_refused('format-unsupported')

    def test_real_media(self) -> None:
        """Plain ones, and those that start from a USB stick too."""
        folder = self.directory / 'tree'
        folder.mkdir()
        (folder / 'file').write_bytes(bytes(3 * MIB))
        esp = self.directory / 'esp'
        esp.write_bytes(bytes(MIB))
        disks.run('mkfs.vfat', esp)
        for options in (
                ('-R',), ('-R', '-partition_offset', '16'),
                ('-R', '-append_partition', '2', '0xef', str(esp)),
                ('-R', '-append_partition', '2', '0xef', str(esp),
                 '-appended_part_as_gpt', '-partition_offset', '16')):
            with self.subTest(options):
                disks.run('xorriso', '-as', 'mkisofs', '-quiet', *options,
                          '-o', self.image, folder)
                self.assert_refused('format-unsupported')
                self.assert_refused('format-mismatch', '--disk-format',
                                    'raw')

    def test_letters_of_media_in_a_partition(self) -> None:
        """The first partition of old disks starts at byte 32256."""
        images.make_guest(self.image, SIZE, seed=1)
        images.partition(self.image, 'dos', 'start=63, bootable\n')
        with self.image.open('r+b') as file:
            file.seek(0x8001)
            file.write(b'CD001')
            file.seek(SIZE - 512)
            file.write(b'conectix')
        self.assert_status(0, self.invoke('check', self.image))

    def test_archives_and_programs(self) -> None:
        file = self.directory / 'file'
        file.write_bytes(self.guest.read_bytes()[:MIB])
        with tarfile.open(self.image, 'w') as tar:
            tar.add(file)
        self.assert_refused('not-an-image')
        with zipfile.ZipFile(self.image, 'w') as archive:
            archive.write(file)
        self.assert_refused('not-an-image')
        setup, program = bytearray(2 * MIB), bytearray(2 * MIB)
        setup[510:518] = b'\x55\xaa\xeb\x66HdrS'
        program[:2], program[0x3c] = b'MZ', 0x80
        program[0x80:0x84] = b'PE\0\0'
        for content in (setup, program, b"7z\xbc\xaf'\x1c" + bytes(MIB),
                        b'070701' + b'0' * MIB, b'\xed\xab\xee\xdb' * 999):
            self.image.write_bytes(content)
            self.assert_refused('not-an-image')
            self.assert_refused('not-an-image', '--disk-format', 'raw')

    def test_other_formats_by_their_magic(self) -> None:
        noise = random.Random(1).randbytes(MIB)
        for head, tail in (
                (b'', b'koly'.ljust(512, b'\0')),
                (b'encrcdsa', b''), (b'COWD', b''), (b'MSWIM\0\0\0', b''),
                (b'Bochs Virtual HD Image', b'')):
            with self.subTest(head or tail[:4]):
                self.image.write_bytes(head + noise + tail)
                self.assert_refused('format-unsupported')

    def test_compressed_file(self) -> None:
        self.image.write_bytes(gzip.compress(self.good.read_bytes(), 1))
        self.assert_refused('format-unsupported')

    def test_declared_as_another(self) -> None:
        self.assert_refused('format-mismatch', '--disk-format', 'raw',
                            image=self.good)
        self.assert_refused('format-mismatch', '--disk-format', 'qcow2',
                            image=self.guest)

    def test_no_image(self) -> None:
        noise = random.Random(1).randbytes(2 * MIB)
        for content in (b'', b'\0' * 100, bytes(2 * MIB), noise,
                        b'<!DOCTYPE html><html>404</html>' + bytes(MIB),
                        b'{"error": "no such image"}' + b' ' * MIB,
                        b'PK\x03\x04' + noise, b'\x7fELF' + noise,
                        b'just some text\n' * 9999):
            with self.subTest(content[:20]):
                self.image.write_bytes(content)
                self.assert_refused('not-an-image')

    def test_page_declared_raw(self) -> None:
        self.image.write_bytes(b'<html><body>Login</body></html>' * 999)
        self.assert_refused('not-an-image', '--disk-format', 'raw')


class ExpectationTest(RefusalTestCase):
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
                self.assertIn('ramdisk_id', finding['fix'])
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
        self.assert_refused('no-bios-boot', '--boot-mode', 'bios')
        self.assert_status(0, self.invoke('check', self.image, '--boot-mode',
                                          'uefi'))

    def test_truncated_raw_disk(self) -> None:
        images.make_guest(self.image, SIZE, seed=1, label='gpt')
        with self.image.open('r+b') as file:
            file.truncate(SIZE - 512)
        self.assert_refused('truncated')


class SourceTest(RefusalTestCase):
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


class ChecksumTest(RefusalTestCase):
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
