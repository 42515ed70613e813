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

import bz2
import gzip
import hashlib
import lzma
import typing

from ironic_imagedeploy import engine
from ironic_imagedeploy.engine.contents import kernels
from tests.support import boot_files
from tests.unit.engine import base
from tests.unit.engine import memory
from tests.unit.engine import systems
from tests.unit.engine import volumes

MIB = base.MIB


class BesideTestCase(base.EngineTestCase):

    KIND = 'kernel'

    def inspect(self, content: bytes, **expectation: typing.Any
                ) -> engine.Inspection:
        """Inspect it as what it is to be."""
        return engine.inspect(
            memory.MemorySource(content),
            engine.Expectation(image_type=self.KIND, **expectation))

    def assert_accepted(self, content: bytes, **expectation: typing.Any
                        ) -> engine.Inspection:
        """Accepted without a word."""
        inspection = self.inspect(content, **expectation)
        self.assertEqual(((), 'accept', self.KIND), (
            inspection.findings, inspection.verdict, inspection.image_type))
        return inspection

    def assert_refused(self, code: str, content: bytes, *words: str,
                       **expectation: typing.Any) -> None:
        """Refused for one reason, which has these words in it."""
        finding, = self.inspect(content, **expectation).findings
        self.assertEqual((code, 'error'), (finding.code, finding.severity))
        self.assert_complete(finding)
        for word in words:
            self.assertIn(word, str(finding))


def _lzma_alone(content: bytes) -> bytes:
    return lzma.compress(content, lzma.FORMAT_ALONE)


class KernelTest(BesideTestCase):

    def test_x86(self) -> None:
        inspection = self.assert_accepted(boot_files.bzimage(),
                                          arch='x86_64')
        self.assertEqual(
            ('bzImage', None, boot_files.KERNEL_VERSION),
            (inspection.format, inspection.compression,
             inspection.kernel_version))

    def test_arm64_that_is_cut_off(self) -> None:
        content = bytearray(systems.unified(None, '6'))
        content[0x38:0x3c] = b'ARM\x64'
        self.assert_accepted(bytes(content), arch='aarch64')
        self.assert_refused('truncated', bytes(content[:-1]),
                            f'{len(content)} bytes or more')

    def test_nothing(self) -> None:
        self.assert_refused('not-a-kernel', b'', 'an empty file')

    def test_x86_without_a_version(self) -> None:
        content = bytearray(boot_files.bzimage())
        for at in (0, 0xffff):
            content[0x20e:0x210] = at.to_bytes(2, 'little')
            self.assertIsNone(
                self.assert_accepted(bytes(content)).kernel_version)

    def test_other_processors(self) -> None:
        for content, form in ((boot_files.arm64(), 'Image'),
                              (boot_files.zboot(), 'zboot'),
                              (gzip.compress(boot_files.arm64()), 'Image')):
            inspection = self.assert_accepted(content, arch='aarch64')
            self.assertEqual(form, inspection.format)
            self.assert_refused('arch-mismatch', content, 'aarch64',
                                'x86_64', arch='x86_64')
        self.assert_refused('arch-mismatch', boot_files.bzimage(),
                            arch='aarch64')
        self.assert_refused('arch-mismatch', boot_files.zboot(0x8664),
                            arch='aarch64')
        self.assert_accepted(boot_files.bzimage(), arch='i686')

    def test_what_is_no_kernel(self) -> None:
        for content, found in (
                (b'', 'an empty file'), (b'\0', 'zeroes'),
                (b'\x7fELF' + bytes(9999), 'an ELF program'),
                (b'<!DOCTYPE html><html>' + b'<p>No' * 999,
                 'a text document'),
                (b'QFI\xfb' + bytes(9999), 'a qcow2'),
                (volumes.ext4(self.directory / 'root', {}).read_bytes(),
                 'an ext4'),
                (boot_files.initramfs(), 'something else in gz'),
                (b'\x1f\x8b\x08' + bytes(9999), 'something else in gz'),
                (lzma.compress(bytes(9999)), 'a xz'),
                (b'MZ' + bytes(9999), 'no known kind'),
                (boot_files.bzimage()[:0x202], 'a boot sector')):
            self.assert_refused('not-a-kernel', content, found)

    def test_half_of_a_kernel(self) -> None:
        whole = boot_files.bzimage()
        self.assert_refused('truncated', whole[:-100],
                            f'found {len(whole) - 100} bytes')
        # A signature comes behind it.
        self.assert_accepted(whole + bytes(2000))

    def test_half_of_a_packed_one(self) -> None:
        noise = hashlib.shake_256(b'kernel').digest(20_000)
        whole = gzip.compress(boot_files.arm64() + noise)
        self.assert_accepted(whole, contents=True)
        self.assert_accepted(whole + bytes(2000), contents=True)
        self.assert_refused('truncated', whole[:-5000], 'cut off',
                            'The kernel is not complete', contents=True)
        self.assert_refused('not-a-kernel', whole[:-8] + bytes(8), 'damaged',
                            contents=True)
        self.assert_accepted(whole[:-5000])

    def test_headers_that_lie(self) -> None:
        content = bytearray(boot_files.bzimage())
        content[0x1f4:0x1f8] = b'\xff\xff\xff\xff'
        self.assert_refused('truncated', bytes(content))
        content[0x1f1] = content[0x1f4] = 0
        content[0x1f4:0x1f8] = bytes(4)
        self.assert_accepted(bytes(content))

    def test_absurd_size(self) -> None:
        source = memory.MemorySource(boot_files.bzimage(bytes(MIB)))
        source.size = kernels.LARGEST['kernel'] + 1
        finding, = engine.inspect(source, engine.Expectation(
            image_type='kernel')).findings
        self.assertEqual('boot-file-too-large', finding.code)
        self.assertIn('268435457 bytes', finding.found)

    def test_checksum_is_asked_for(self) -> None:
        self.assert_refused('checksum-missing', boot_files.bzimage(),
                            require_checksum=True)
        self.assert_refused(
            'checksum-weak', boot_files.bzimage(), permit_weak=False,
            checksum=engine.Checksum('md5', '0' * 32))


class InitramfsTest(BesideTestCase):

    KIND = 'ramdisk'

    def test_as_distributions_make_them(self) -> None:
        archive = b'070701' + bytes(506)
        for content, compression in (
                (archive, None), (gzip.compress(archive), 'gz'),
                (lzma.compress(archive), 'xz'), (bz2.compress(archive),
                                                 'bz2'),
                (lzma.compress(archive, lzma.FORMAT_ALONE), 'lzma'),
                (b'\x28\xb5\x2f\xfd' + bytes(99), 'zstd'),
                (b'\x02\x21\x4c\x18' + bytes(99), 'lz4'),
                (b'\x89LZO\0\r\n\x1a\n' + bytes(99), 'lzo'),
                # microcode of the processor comes first
                (archive + gzip.compress(archive), None)):
            inspection = self.assert_accepted(content, arch='x86_64')
            self.assertEqual(('cpio', compression), (
                inspection.format, inspection.compression))

    def test_what_is_none(self) -> None:
        for content, found in (
                (b'', 'an empty file'),
                (boot_files.bzimage(), 'a Linux kernel'),
                (b'070707' + bytes(999), 'a cpio archive'),
                (b'hsqs' + bytes(999), 'a squashfs'),
                (bytes(999), 'zeroes')):
            self.assert_refused('not-an-initramfs', content, found)

    def test_read_to_its_end(self) -> None:
        archive = boot_files.archive(
            {'init': hashlib.shake_256(b'init').digest(9999)})
        for pack in (lambda content: content, gzip.compress, lzma.compress,
                     bz2.compress, _lzma_alone):
            content = pack(archive)
            self.assert_accepted(content, contents=True)
            self.assert_accepted(archive + bytes(512) + content + bytes(9),
                                 contents=True)
            self.assert_refused('truncated', archive + content[:-600],
                                'cut off', contents=True)
            self.assert_refused(
                'truncated', content[:len(content) // 2], 'cut off',
                'The initramfs is not complete', contents=True)
            # Who only writes it does not read it twice.
            self.assert_accepted(content[:len(content) // 2])

    def test_what_has_no_archive_in_it(self) -> None:
        archive = boot_files.archive({'init': b'#!/bin/sh\n'})
        for content, found in (
                (gzip.compress(bytes(9999)), 'no archive'),
                (lzma.compress(b'x' * 9999), 'damaged archive'),
                (archive + b'x' * 99, 'something else'),
                (gzip.compress(archive)[:-8] + bytes(8), 'damaged'),
                (b'070701' + b'z' * 999, 'damaged archive')):
            self.assert_refused('not-an-initramfs', content, found,
                                contents=True)

    def test_what_is_not_decoded_is_not_judged(self) -> None:
        archive = boot_files.archive({'init': b'#!/bin/sh\n'})
        large = lzma.compress(archive, filters=[
            {'id': lzma.FILTER_LZMA2, 'dict_size': 512 * MIB}])
        alone = bytearray(_lzma_alone(archive))
        alone[1:5] = (512 * MIB).to_bytes(4, 'little')
        bomb = gzip.compress(bytes(100 * MIB), 1)
        for content in (b'\x89LZO\0\r\n\x1a\n' + bytes(99), large,
                        bytes(alone), bomb):
            self.assert_accepted(content, contents=True)

    def test_no_file_at_all(self) -> None:
        """A kernel may have all that it needs in it."""
        self.assert_accepted(boot_files.archive({}), contents=True)

    def test_absurd_size(self) -> None:
        source = memory.MemorySource(b'070701' + bytes(MIB))
        source.size = 1 << 40
        finding, = engine.inspect(source, engine.Expectation(
            image_type='ramdisk')).findings
        self.assertEqual('boot-file-too-large', finding.code)
