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
import lzma
import pathlib
import random
import struct

from ironic_imagedeploy import engine
from tests.unit.engine import base
from tests.unit.engine import disks
from tests.unit.engine.inspection import verdicts
from tests.unit.engine import memory
from tests.unit.engine import qcow2_builder as qcow2
from tests.unit.engine import volumes

MIB = base.MIB


def run_on_a_busy_machine(*command: str | pathlib.Path) -> None:
    """Run what measures how fast it derives a key, by a coarse clock."""
    for _ in range(4):
        try:
            base.run(*command)
        except AssertionError as error:
            if 'accurate CPU usage' not in str(error):
                raise
        else:
            return
    base.run(*command)


class FormatTest(verdicts.VerdictTestCase):

    def test_not_an_image(self) -> None:
        for content in (b'', b'x' * 511, bytes(MIB), b'\xff' * MIB,
                        b'<!DOCTYPE html>\n' * 1000,
                        b'{"error": "not found"}'.ljust(4096, b'\n'),
                        b'#!/bin/sh\n' + bytes(4096),
                        b'PK\3\4' + bytes(4096)):
            with self.subTest(content=content[:20]):
                self.assert_refused('not-an-image', content)

    def test_a_page_is_no_image_whatever_is_declared(self) -> None:
        page = b'<html><body>Sorry</body></html>'.ljust(4096, b' ')
        for declared in ('raw', 'qcow2', None):
            self.assert_refused('not-an-image', page, 'text document',
                                disk_format=declared)

    def test_format_ambiguous(self) -> None:
        file = self.qcow2(self.disk())
        file += bytes(max(0x8806 - len(file), 0))
        file[0x8001:0x8006] = b'CD001'
        self.assert_refused('format-ambiguous', file, 'qcow2', 'iso')
        tail = self.qcow2(self.disk()) + b'conectix'.ljust(512, b'\0')
        self.assert_refused('format-ambiguous', tail, 'qcow2', 'vhd')

    def test_a_compressed_file_that_is_something_else_as_well(self) -> None:
        packed = bytearray(gzip.compress(
            random.Random(1).randbytes(40000)).ljust(0x9000, b'\0'))
        packed[0x8001:0x8006] = b'CD001'
        self.assert_refused('format-ambiguous', packed, 'iso and gz')
        disk = disks.gpt(MIB, [disks.Entry(100, 200)])
        disk[:4] = gzip.compress(b'')[:4]
        self.assert_refused('format-ambiguous', disk, 'raw and gz')

    def test_the_smallest_disk(self) -> None:
        self.assert_refused('not-an-image', b'\xff' * 511, '511 bytes',
                            disk_format='raw')
        self.assert_accepted(b'\xff' * 512, 'no-partition-table',
                             disk_format='raw')
        # A container may be smaller.
        self.assert_refused('format-unsupported', b'QED\0', 'qed')

    def test_format_mismatch(self) -> None:
        for content, declared, found in (
                (self.qcow2(self.disk()), 'raw', 'qcow2'),
                (self.disk(), 'qcow2', 'raw'),
                (b'\xff' * MIB, 'qcow2', 'raw'),
                (b'KDMV' + bytes(MIB), 'qcow2', 'vmdk')):
            with self.subTest(declared=declared, found=found):
                finding = self.assert_refused(
                    'format-mismatch', content, disk_format=declared)
                self.assertIn(declared, finding.expected)
                self.assertEqual(found, finding.found)
                self.assertIn(found, finding.fix)

    def test_format_not_permitted(self) -> None:
        vmdk = self.directory / 'disk.vmdk'
        base.run('qemu-img', 'create', '-q', '-f', 'vmdk', vmdk, '2M')
        for content, permitted, found in (
                (self.qcow2(self.disk()), ('raw',), 'qcow2'),
                (self.disk(), ('qcow2',), 'raw'),
                (vmdk.read_bytes(), ('raw', 'qcow2'), 'vmdk'),
                (vmdk.read_bytes(), (), 'vmdk')):
            with self.subTest(found=found, permitted=permitted):
                finding = self.assert_refused(
                    'format-not-permitted', content, permitted=permitted)
                self.assertEqual(found, finding.found)

    def test_format_unsupported(self) -> None:
        iso = bytearray(MIB)
        iso[0x8001:0x8006] = b'CD001'
        for content, found in (
                (iso, 'iso'), (b'QED\0' + bytes(MIB), 'qed'),
                (b'conectix' + bytes(MIB), 'vhd'),
                (b'vhdxfile' + bytes(MIB), 'vhdx'),
                (b'LUKS\xba\xbe' + bytes(MIB), 'luks'),
                (b'LZIP' + bytes(MIB), 'lzip'),
                (b'\x04\x22\x4d\x18' + bytes(MIB), 'lz4'),
                (b'\x89LZO\0\r\n\x1a\n' + bytes(MIB), 'lzop'),
                *((lzma.compress(bytes(MIB), lzma.FORMAT_ALONE,
                                 preset=preset), 'lzma')
                  for preset in range(10))):
            for permitted in (('raw', 'qcow2'), ('raw', found)):
                with self.subTest(found=found):
                    finding = self.assert_refused(
                        'format-unsupported', content, permitted=permitted)
                    self.assertEqual(found, finding.found)

    def test_an_installation_medium_in_another_format(self) -> None:
        """As one that is not in any, also when it boots from a stick."""
        tree, plain, hybrid, esp = (self.directory / name for name in (
            'tree', 'plain', 'hybrid', 'esp'))
        tree.mkdir()
        (tree / 'file').write_bytes(b'content')
        esp.write_bytes(bytes(4 * MIB))
        base.run('mkfs.vfat', esp)
        for path, options in ((plain, ()), (hybrid, (
                '-append_partition', '2', '0xef', esp))):
            base.run('xorriso', '-as', 'mkisofs', '-quiet', '-o', path,
                     *options, tree)
            self.assert_refused('format-unsupported', path.read_bytes(),
                                'iso', 'installation medium')
            self.assert_refused(
                'format-unsupported', gzip.compress(path.read_bytes()),
                'iso in gz', 'installation medium')
            for form in ('qcow2', 'vmdk', 'vdi'):
                packed = self.directory / form
                base.run('qemu-img', 'convert', '-f', 'raw', '-O', form, path,
                         packed)
                self.assert_refused(
                    'format-unsupported', packed.read_bytes(),
                    f'iso in {form}', 'installation medium',
                    permitted=('qcow2', 'vmdk', 'vdi'))

    def test_the_remedies_for_encrypted_disks(self) -> None:
        """They are pasted into a shell."""
        path, new = self.directory / 'disk', self.directory / 'new'
        key = self.directory / 'key'
        key.write_text('words')
        for form, options in (
                ('luks', 'key-secret=key'),
                ('qcow2', 'encrypt.format=luks,encrypt.key-secret=key'),
                ('qcow2', 'encrypt.format=aes,encrypt.key-secret=key')):
            run_on_a_busy_machine(
                'qemu-img', 'create', '-q', '-f', form, '--object',
                f'secret,id=key,file={key}', '-o', options, path, '1M')
            inspection = engine.inspect(memory.MemorySource(
                path.read_bytes()))
            fix = inspection.findings[0].fix_for(str(path))
            words = fix.removeprefix('Decrypt it: ').replace(
                'PASSPHRASE', str(key)).replace('NEW', str(new)).split()
            base.run(*words)
            self.assertTrue(new.exists())
            new.unlink()

    def test_format_unsupported_for_an_unknown_version(self) -> None:
        self.assert_refused('format-unsupported', qcow2.patched(
            self.qcow2(self.disk()), version=4))

    def test_what_a_qcow2_must_not_have(self) -> None:
        file = self.qcow2(self.disk())
        for code, fields in (
                ('backing-file', {'backing_file_offset': 112}),
                ('data-file', {'incompatible_features': 4}),
                ('unknown-feature', {'incompatible_features': 1 << 20}),
                ('encrypted', {'crypt_method': 2}),
                ('corrupt', {'incompatible_features': 2}),
                ('truncated', {'l1_table_offset': 1 << 40})):
            with self.subTest(code=code):
                self.assert_refused(code, qcow2.patched(file, **fields))


class OpticalTest(verdicts.VerdictTestCase):
    """Five letters in a partition are no installation medium."""

    def disc(self) -> bytearray:
        """A real one."""
        tree = volumes.plant(self.directory / 'tree', volumes.BOOTABLE)
        base.run('xorriso', '-as', 'mkisofs', '-quiet', '-R', '-o',
                 self.directory / 'disc', tree)
        return bytearray((self.directory / 'disc').read_bytes())

    def test_letters_in_a_partition(self) -> None:
        for letters in (b'CD001', b'BEA01'):
            for content in (
                    disks.mbr(2 * MIB, [(0x80, 0x83, 63, 4000)],
                              boot_code=b'\xeb'),
                    disks.gpt(2 * MIB, [disks.Entry(40, 4000)],
                              boot_code=b'\xeb')):
                content[0x8001:0x8006] = content[0x8801:0x8806] = letters
                self.assert_accepted(content)
                self.assert_packed_accepted(content)

    def test_letters_in_a_file_system(self) -> None:
        for make in (volumes.ext4, volumes.btrfs):
            content = bytearray(make(self.directory / 'root',
                                     volumes.BOOTABLE).read_bytes())
            content[0x8001:0x8006] = b'CD001'
            inspection = self.inspect(content, image_type='partition')
            self.assertEqual(('accept', make.__name__),
                             (inspection.verdict, inspection.file_system))

    def test_letters_before_the_first_partition(self) -> None:
        for disk in (disks.gpt(2 * MIB, [disks.Entry(2048, 4000)]),
                     disks.mbr(2 * MIB, [(0x80, 0x83, 2048, 2000)])):
            disk[0x8001:0x8006] = b'CD001'
            self.assert_accepted(disk, 'not-bootable')

    def test_a_disc_before_the_first_partition(self) -> None:
        """What is left of one, or what systemd-repart writes there."""
        disc = self.disc()[:900 << 10]
        for disk in (disks.gpt(2 * MIB, [disks.Entry(2048, 4000)]),
                     disks.mbr(2 * MIB, [(0x80, 0x83, 2048, 2000)]),
                     disks.mbr(2 * MIB, [(0, 0xef, 2048, 100),
                                         (0x80, 7, 2148, 1000)])):
            disk[0x8000:len(disc)] = disc[0x8000:]
            self.assert_accepted(disk, 'not-bootable')
        # Media of some distributions begin their partitions later.
        hybrid = disks.mbr(2 * MIB, [(0, 0xef, 2048, 100),
                                     (0x80, 0x17, 2148, 1000)])
        hybrid[0x8000:len(disc)] = disc[0x8000:]
        self.assert_refused('format-unsupported', hybrid, 'iso')

    def test_a_disc_and_no_partition(self) -> None:
        disc = self.disc()[:900 << 10]
        disk = disks.gpt(2 * MIB)
        disk[0x8000:len(disc)] = disc[0x8000:]
        self.assert_refused('format-unsupported', disk, 'iso')

    def test_a_footer_in_a_partition(self) -> None:
        for magic in (b'conectix', b'koly'):
            content = disks.mbr(2 * MIB, [(0x80, 0x83, 63, 4096 - 63)],
                                boot_code=b'\xeb')
            content[-512:-512 + len(magic)] = magic
            self.assert_accepted(content)
            self.assert_refused('format-unsupported', disks.mbr(
                MIB, [(0x80, 0x83, 63, 2048 - 63)])
                + magic.ljust(512, b'\0'))

    def test_a_disc(self) -> None:
        content = self.disc()
        self.assert_refused('format-unsupported', content, 'iso',
                            'installed disk')
        self.assert_refused('format-mismatch', content, 'iso',
                            disk_format='raw')

    def test_a_disc_whose_volume_is_in_a_partition_too(self) -> None:
        """As some media are, to boot from a USB stick."""
        content = self.disc()
        sectors = len(content) // 512
        content[:512] = disks.mbr(512, [(0x80, 0x83, 64, sectors - 64)])
        self.assert_refused('format-unsupported', content, 'iso')

    def test_a_udf_volume_in_a_partition(self) -> None:
        content = disks.mbr(2 * MIB, [(0x80, 0x83, 64, 4000)])
        content[0x8001:0x8006] = b'BEA01'
        content[256 * 512:256 * 512 + 16] = struct.pack('<H10xI', 2, 256)
        self.assert_refused('format-unsupported', content, 'udf')
