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
import random
import tarfile
import zipfile

from tests.functional import base
from tests.functional import refusals
from tests.support import disks
from tests.support import images

SIZE = refusals.SIZE
MIB = base.MIB


class DangerousTest(refusals.RefusalTestCase):
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


class FormatTest(refusals.RefusalTestCase):
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
