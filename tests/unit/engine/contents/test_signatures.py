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
import lzma
import random

from ironic_imagedeploy.engine.contents import signatures
from tests.unit.engine import base
from tests.unit.engine import qcow2_builder as qcow2

HEAD = signatures.HEAD
MIB = base.MIB


def at(*parts: tuple[int, bytes]) -> bytes:
    """The front of a file that has these bytes at these offsets."""
    head = bytearray(HEAD)
    for offset, content in parts:
        head[offset:offset + len(content)] = content
    return bytes(head)


class SignatureTest(base.EngineTestCase):

    def test_found_at_its_offset_only(self) -> None:
        signature = signatures.Signature('x', 4, b'abc')
        self.assertTrue(signature.found_in(b'0123abc', b''))
        self.assertFalse(signature.found_in(b'123abc', b'0123abc'))
        self.assertFalse(signature.found_in(b'0123ab', b''))

    def test_found_at_the_end(self) -> None:
        signature = signatures.Signature('x', -4, b'abc')
        self.assertTrue(signature.found_in(b'', b'..abc.'))
        self.assertFalse(signature.found_in(b'abc.', b'.abc'))
        self.assertFalse(signature.found_in(b'abc', b'abc'))

    def test_all_lie_in_what_is_read(self) -> None:
        for signature in (*signatures.IMAGES, *signatures.OTHERS,
                          *signatures.FILE_SYSTEMS):
            with self.subTest(name=signature.name):
                self.assertLessEqual(
                    -signatures.TAIL, signature.offset)
                self.assertLessEqual(
                    signature.offset + len(signature.magic), HEAD)


class ImagesTest(base.EngineTestCase):

    def names(self, head: bytes, tail: bytes) -> list[str]:
        """The names of the signatures, each once."""
        return list(dict.fromkeys(
            signature.name for signature in signatures.images(head, tail)))

    def test_made_by_qemu_img(self) -> None:
        for form, options in (
                ('qcow2', ''), ('qcow2', 'compat=0.10'), ('vmdk', ''),
                ('vmdk', 'subformat=streamOptimized'),
                ('vmdk', 'subformat=monolithicFlat'), ('vdi', ''),
                ('vpc', ''), ('vpc', 'subformat=fixed'), ('vhdx', ''),
                ('qed', ''), ('parallels', '')):
            path = self.directory / 'image'
            base.run('qemu-img', 'create', '-q', '-f', form,
                     *(('-o', options) if options else ()), path, '4M')
            content = path.read_bytes()
            name = {'vpc': 'vhd'}.get(form, form)
            with self.subTest(form=form, options=options):
                self.assertEqual([name], self.names(
                    content[:HEAD], content[-signatures.TAIL:]))

    def test_by_their_magic(self) -> None:
        for head, tail, name in (
                (b'LUKS\xba\xbe', b'', 'luks'), (b'COWD', b'', 'cowd'),
                (at((0x8001, b'CD001')), b'', 'iso'),
                (at((0x8801, b'CD001')), b'', 'iso'),
                (at((0x8001, b'BEA01')), b'', 'udf'),
                (b'# Disk DescriptorFile\n', b'', 'vmdk'),
                (b'', b'koly'.ljust(512, b'\0'), 'dmg'),
                (b'encrcdsa', b'', 'encrypted dmg'),
                (b'\xbe\xba\xfe\xca' + bytes(4), b'', 'sesparse'),
                (b'MSWIM\0\0\0', b'', 'wim'),
                (b'EVF\t\r\n\xff\0', b'', 'ewf'),
                (b'partclone-image0002', b'', 'partclone'),
                (b'\x3a\xff\x26\xed\1\0', b'', 'android-sparse'),
                (b'', b'conectix'.ljust(512, b'\0'), 'vhd')):
            with self.subTest(name=name):
                self.assertEqual([name], self.names(head, tail))

    def test_several_at_once(self) -> None:
        head = at((0, b'QFI\xfb'), (0x8001, b'CD001'))
        self.assertEqual(['qcow2', 'iso'], self.names(head, b''))

    def test_one_that_shows_twice(self) -> None:
        head = at((0x8001, b'CD001'), (0x8801, b'CD001'))
        self.assertEqual(['iso'], self.names(head, b''))
        self.assertEqual(['vhd'], self.names(
            b'conectix', b'conectix' + bytes(504)))

    def test_none(self) -> None:
        for head in (b'', bytes(HEAD), b'QFI', b'KDM'):
            self.assertEqual([], self.names(head, head[:512]))


class CompressedTest(base.EngineTestCase):

    def test_each_kind(self) -> None:
        for pack, name in ((gzip.compress, 'gz'), (lzma.compress, 'xz'),
                           (bz2.compress, 'bz2'),
                           (qcow2.zstd.compress, 'zstd')):
            with self.subTest(name=name):
                self.assertEqual(name, signatures.compressed(
                    pack(b'some content' * 100)))

    def test_none(self) -> None:
        self.assertIsNone(signatures.compressed(bytes(512)))

    def test_a_skippable_frame_that_hides_the_rest(self) -> None:
        skippable = b'\x50\x2a\x4d\x18'
        for length in (HEAD, 0xffffffff):
            self.assertEqual('zstd', signatures.compressed(
                skippable + length.to_bytes(4, 'little') + bytes(HEAD - 8)))


class OtherTest(base.EngineTestCase):

    def test_what_people_upload_by_mistake(self) -> None:
        program = (b'MZ' + bytes(0x3a) + b'\x80\0\0\0').ljust(0x80, b'\0')
        for head, name in (
                (b'PK\x03\x04...', 'zip archive'),
                (at((257, b'ustar')), 'tar archive'),
                (b'070701', 'cpio archive'), (b'070702', 'cpio archive'),
                (b'!<arch>\ndebian', 'ar archive'),
                (b'\xed\xab\xee\xdb', 'RPM package'),
                (at((0x38, b'ARM\x64')), 'Linux kernel'),
                (b'\x27\x05\x19\x56', 'U-Boot image'),
                (b'\xd0\x0d\xfe\xed', 'device tree'),
                (b'# a comment and more\n' * 99, 'text document'),
                (b'\x7fELF', 'ELF program'),
                (b'#!/bin/sh\nexit', 'script'),
                (at((0x202, b'HdrS')), 'Linux kernel'),
                (program + b'PE\0\0', 'EFI program'),
                (b'PK\x05\x06' + bytes(18), 'zip archive'),
                (at((0x24, b'\x18\x28\x6f\x01')), 'Linux kernel'),
                (at((0x28, b'_FVH')), 'firmware volume'),
                (b'UBI#\x01', 'UBI volume'),
                (b'\x89PNG\r\n\x1a\n', 'picture'),
                (b'\0\0\0\x18ftypmp42', 'video'),
                (b'%PDF-1.7', 'PDF document'),
                (b'<!DOCTYPE html><html>', 'text document'),
                (b'\n\n  <html lang="de">', 'text document'),
                (b'\xef\xbb\xbf<?xml version="1.0"?>', 'text document'),
                (b'{"error": {"code": 404}}', 'text document'),
                (b'[1, 2]', 'text document')):
            with self.subTest(name=name, head=head[:20]):
                self.assertEqual(name, signatures.other(head.ljust(
                    4096, b'\n') if name == 'text document' else head))

    def test_text_of_the_world(self) -> None:
        words = 'Grüße, \u4e2d\u6587 and \U0001f600.\n' * 400
        for encoding in ('utf-8', 'utf-16'):
            stored = words.encode(encoding)
            # Wherever what is looked at cuts a character.
            for start in range(4):
                text = words[start:].encode(encoding)
                self.assertEqual('text document', signatures.other(text))
            self.assertIsNone(signatures.other(
                stored[:2000] + b'\x01\0' + stored[2000:]))
            self.assertIsNone(signatures.other(
                stored[:2000] + random.Random(1).randbytes(4096)))

    def test_a_tar_from_before_posix(self) -> None:
        path = self.directory / 'archive'
        base.run('tar', '-c', '--format=v7', '-f', path, '-C', '/etc',
                 'passwd')
        head = path.read_bytes()
        self.assertEqual('tar archive', signatures.other(head))
        self.assertIsNone(signatures.other(b'x' + head[1:]))
        self.assertIsNone(signatures.other(at((148, b'000400 '))))

    def test_disks_are_none_of_them(self) -> None:
        for head in (bytes(HEAD), at((510, b'\x55\xaa')), b'MZ' + bytes(510),
                     at((0, b'\xeb\x63\x90'), (510, b'\x55\xaa'))):
            self.assertIsNone(signatures.other(head))

    def test_a_disk_that_starts_like_text_is_not_text(self) -> None:
        dice = random.Random(1)
        for first in (b'{', b'[', b'<html'):
            for rest in (bytes(4096), dice.randbytes(4096)):
                self.assertIsNone(signatures.other(first + rest))

    def test_a_program_that_points_anywhere(self) -> None:
        for start in (0, 0x40, HEAD, 0xffffffff):
            head = at((0, b'MZ'), (0x3c, start.to_bytes(4, 'little')))
            self.assertIsNone(signatures.other(head))


class FileSystemTest(base.EngineTestCase):

    def made(self, *command: str, size: int = 64 * MIB) -> bytes:
        """The front of a file system that a tool made."""
        path = self.directory / 'volume'
        with path.open('wb') as volume:
            volume.truncate(size)
        base.run(*command, path)
        with path.open('rb') as volume:
            return volume.read(HEAD)

    def test_made_by_the_tools(self) -> None:
        for command, name in (
                (['mkfs.ext2', '-q'], 'ext4'), (['mkfs.ext3', '-q'], 'ext4'),
                (['mkfs.ext4', '-q'], 'ext4'),
                (['mkfs.ext4', '-q', '-b', '1024'], 'ext4'),
                (['mkfs.ext4', '-q', '-b', '65536', '-F'], 'ext4'),
                (['mkfs.vfat', '-F', '12'], 'vfat'),
                (['mkfs.vfat', '-F', '16'], 'vfat'),
                (['mkfs.vfat', '-F', '32'], 'vfat'),
                (['mkswap'], 'swap')):
            with self.subTest(command=command):
                self.assertEqual(name, signatures.file_system(
                    self.made(*command)))

    def test_by_their_magic(self) -> None:
        for head, name in (
                (at((0, b'XFSB')), 'xfs'),
                (at((0x10040, b'_BHRfS_M')), 'btrfs'),
                (at((0, b'\xeb\x52\x90NTFS    '), (510, b'\x55\xaa')),
                 'ntfs'),
                (at((0, b'\xeb\x76\x90EXFAT   '), (510, b'\x55\xaa')),
                 'exfat'),
                (at((0x218, b'LVM2 001')), 'lvm'),
                (at((0x1000, b'\xfc\x4e\x2b\xa9')), 'md'),
                (at((0x400, b'\xe2\xe1\xf5\xe0')), 'erofs'),
                (at((0x400, b'\x10\x20\xf5\xf2')), 'f2fs'),
                (at((0x8000, b'JFS1')), 'jfs'),
                (at((0x10034, b'ReIsEr2Fs')), 'reiserfs'),
                (at((0, b'hsqs')), 'squashfs')):
            with self.subTest(name=name):
                self.assertEqual(name, signatures.file_system(head))

    def test_two_bytes_are_no_file_system(self) -> None:
        """ext has a magic of two bytes: 1 of 65536 random disks has it."""
        dice = random.Random(3)
        for _ in range(100):
            head = bytearray(dice.randbytes(4096))
            head[0x438:0x43a] = b'\x53\xef'
            self.assertIsNone(signatures.file_system(bytes(head)))

    def test_none(self) -> None:
        for head in (b'', bytes(512), bytes(HEAD)):
            self.assertIsNone(signatures.file_system(head))
