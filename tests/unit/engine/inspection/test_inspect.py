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

import ast
import gzip
import pathlib
import random
import struct
import typing
import unittest.mock

from ironic_imagedeploy import engine
from ironic_imagedeploy.engine.contents import boot_files
from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.formats import extent_map
from tests.unit.engine import base
from tests.unit.engine import disks
from tests.unit.engine import memory
from tests.unit.engine import qcow2_builder as qcow2
from tests.unit.engine import volumes

MIB = base.MIB
SHA512 = engine.Checksum('sha512', '0' * 128)
MD5 = engine.Checksum('md5', '0' * 32)
KEYS = {'verdict', 'format', 'declared_format', 'image_type', 'virtual_size',
        'stored_size', 'partition_table', 'boot_modes', 'sector_size',
        'findings'}
FINDING_KEYS = {'code', 'severity', 'expected', 'found', 'message', 'fix'}


class VerdictTestCase(base.EngineTestCase):

    def inspect(self, content: bytes | bytearray, **expectation: typing.Any
                ) -> engine.Inspection:
        """Inspect, and hold the result to what every result must be."""
        inspection = engine.inspect(memory.MemorySource(content),
                                    engine.Expectation(**expectation))
        result = inspection.to_dict()
        # More keys may come; these stay.
        self.assertLessEqual(KEYS, set(result))
        for finding in result['findings']:
            self.assertEqual(FINDING_KEYS, set(finding))
            self.assertIn(finding['severity'], ('error', 'warning'))
            for name, value in finding.items():
                self.assertTrue(value and isinstance(value, str), name)
        refused = any(finding.severity == 'error'
                      for finding in inspection.findings)
        self.assertEqual('refuse' if refused else 'accept',
                         inspection.verdict)
        if refused:
            self.assertRaises(exceptions.ImageRefused, inspection.accepted)
        else:
            self.assertEqual(inspection.virtual_size,
                             inspection.accepted().virtual_size)
        return inspection

    def assert_refused(self, code: str, content: bytes | bytearray,
                       *words: str, **expectation: typing.Any
                       ) -> engine.Finding:
        """Refused, and the first of the errors has that code."""
        inspection = self.inspect(content, **expectation)
        errors = [finding for finding in inspection.findings
                  if finding.severity == 'error']
        self.assertEqual(code, errors[0].code if errors else 'accepted')
        for word in words:
            self.assertIn(word, str(errors[0]))
        return errors[0]

    def assert_accepted(self, content: bytes | bytearray, *warnings: str,
                        **expectation: typing.Any) -> engine.Inspection:
        """Accepted, with warnings of these codes."""
        inspection = self.inspect(content, **expectation)
        self.assertEqual(list(warnings), [
            finding.code for finding in inspection.findings])
        return inspection

    def assert_packed_accepted(self, content: bytes | bytearray,
                               *warnings: str, **expectation: typing.Any
                               ) -> None:
        """Accepted when it is compressed, with these warnings."""
        inspection = engine.inspect(
            memory.MemorySource(gzip.compress(content, 1)),
            engine.Expectation(**expectation))
        self.assertEqual(list(warnings), [
            finding.code for finding in inspection.findings])
        inspection.raise_if_refused()

    def assert_json(self, expected: dict[str, object],
                    inspection: engine.Inspection) -> None:
        """The promised keys have these values."""
        self.assertEqual(KEYS, set(expected))
        result = inspection.to_dict()
        self.assertEqual(expected, {key: result[key] for key in KEYS})

    def disk(self, *, sector_size: int = 512, boot_code: bytes = b'',
             esp: dict[str, bytes] | None = None) -> bytearray:
        """A GPT disk of 20 MiB, with an ESP when that is given files."""
        per_mib = MIB // sector_size
        entries = [disks.Entry(18 * per_mib, 19 * per_mib - 1)]
        if esp is not None:
            entries.append(disks.Entry(per_mib, 17 * per_mib - 1, disks.ESP))
        disk = disks.gpt(20 * MIB, entries, sector_size=sector_size,
                         boot_code=boot_code)
        if esp is not None:
            disk[MIB:17 * MIB] = disks.fat(
                self.directory / 'esp', 16 * MIB, esp)
        return disk

    def qcow2(self, disk: bytes | bytearray, **options: typing.Any
              ) -> bytearray:
        """A qcow2 with that disk, half of it compressed."""
        builder = qcow2.Builder(len(disk), **options)
        size = builder.cluster_size
        for index in range(builder.clusters):
            cluster = bytes(disk[index * size:(index + 1) * size])
            cluster = cluster.ljust(size, b'\0')
            if not any(cluster):
                continue
            if index % 2 or not builder.compressed(index, cluster):
                builder.data(index, cluster)
        return builder.build()


class AcceptTest(VerdictTestCase):

    def test_a_raw_disk(self) -> None:
        inspection = self.assert_accepted(
            self.disk(esp={}, boot_code=b'\xeb\x63'), disk_format='raw')
        self.assert_json(
            {'verdict': 'accept', 'format': 'raw', 'declared_format': 'raw',
             'image_type': 'whole-disk', 'virtual_size': 20 * MIB,
             'stored_size': 20 * MIB, 'partition_table': 'gpt',
             'boot_modes': ['bios'], 'sector_size': 512, 'findings': []},
            inspection)

    def test_a_raw_disk_that_nobody_declared(self) -> None:
        inspection = self.assert_accepted(self.disk())
        self.assertEqual(('raw', None), (inspection.format,
                                         inspection.declared_format))

    def test_a_qcow2(self) -> None:
        disk = self.disk(sector_size=4096, esp={
            '/EFI/BOOT/BOOTX64.EFI': disks.program(0x8664)})
        file = self.qcow2(disk)
        inspection = self.assert_accepted(file)
        self.assert_json(
            {'verdict': 'accept', 'format': 'qcow2', 'declared_format': None,
             'image_type': 'whole-disk', 'virtual_size': 20 * MIB,
             'stored_size': len(file), 'partition_table': 'gpt',
             'boot_modes': ['uefi'], 'sector_size': 4096, 'findings': []},
            inspection)
        self.assertEqual([18 * MIB, MIB], [
            partition.start for partition in inspection.partitions])
        self.assertEqual({'x86_64'}, inspection.efi_programs)

    def test_an_mbr_disk(self) -> None:
        inspection = self.assert_accepted(disks.mbr(
            2 * MIB, [(0x80, 0x83, 2048, 2048)], boot_code=b'\xfa'))
        self.assertEqual(('mbr', ('bios',), None), (
            inspection.partition_table, inspection.boot_modes,
            inspection.sector_size))

    def test_a_partition_image(self) -> None:
        for make in (volumes.ext4, volumes.xfs, volumes.btrfs):
            content = make(self.directory / 'root',
                           volumes.BOOTABLE).read_bytes()
            for declared in ('partition', None):
                inspection = self.assert_accepted(content,
                                                  image_type=declared)
                self.assertEqual(
                    ('partition', None, (), make.__name__),
                    (inspection.image_type, inspection.partition_table,
                     inspection.boot_modes, inspection.file_system))
                self.assertEqual(
                    boot_files.BootFiles(grub=True, kernel=True, in_boot=True),
                    inspection.boot_files)
                self.assertIs(True, inspection.has_kernel)
                self.assertEqual(make.__name__,
                                 inspection.to_dict()['file_system'])

    def test_a_partition_image_in_other_formats(self) -> None:
        content = volumes.ext4(self.directory / 'root',
                               volumes.BOOTABLE).read_bytes()
        self.assert_accepted(self.qcow2(content), image_type='partition')
        self.assert_packed_accepted(content, image_type='partition')

    def test_a_kernel_beside_a_partition_image(self) -> None:
        """Whether it is needed can be told from kernels in /boot only."""
        for tree, has_kernel in (
                (volumes.BOOTABLE, True), ({}, False),
                ({'usr/sbin/grub-install': b'#!'}, False),
                ({'boot/vmlinuz': b'MZ'}, True),
                ({'vmlinuz': b'MZ'}, False),
                ({'boot/vmlinuz.old': b'MZ'}, False),
                ({'boot/loader/entries/a.conf': b'linux /nowhere'}, None),
                ({'usr/lib/modules/6.1.0/vmlinuz': b'MZ'}, False)):
            content = volumes.ext4(self.directory / 'root',
                                   tree).read_bytes()
            inspection = self.assert_accepted(content, has_kernel=True,
                                              image_type='partition')
            self.assertIs(has_kernel, inspection.has_kernel, tree)

    def test_a_boot_sector_of_a_gpt_disk_may_start_with_anything(self
                                                                 ) -> None:
        for code in (b'{', b'[', b'<html', b'#!', b'\x7fELF', b'PK\3\4'):
            self.assert_accepted(self.disk(boot_code=code))

    def test_raw_noise_that_is_declared(self) -> None:
        for first in range(0, 256, 5):
            self.assert_accepted(bytes([first]) + b'\x01\xfe' * MIB,
                                 'no-partition-table', disk_format='raw')

    def test_all_that_a_node_can_ask_for(self) -> None:
        disk = self.disk(boot_code=b'\xeb', esp={
            '/EFI/BOOT/BOOTX64.EFI': disks.program(0x8664)})
        for boot_mode in ('bios', 'uefi', None):
            self.assert_accepted(
                self.qcow2(disk), disk_format='qcow2', checksum=SHA512,
                image_type='whole-disk', disk_size=20 * MIB, sector_size=512,
                boot_mode=boot_mode, arch='x86_64', require_checksum=True,
                permit_weak=False)

    def test_the_metadata_of_the_source_is_what_is_expected(self) -> None:
        source = memory.MemorySource(self.disk())
        source.declared_format = 'qcow2'
        source.declared_checksum = SHA512
        inspection = engine.inspect(source)
        self.assertEqual('format-mismatch', inspection.findings[0].code)
        self.assertEqual(SHA512, inspection.expectation.checksum)

    def test_what_the_caller_states_comes_first(self) -> None:
        source = memory.MemorySource(self.disk())
        source.declared_format = 'qcow2'
        source.declared_checksum = SHA512
        inspection = engine.inspect(source, engine.Expectation(
            disk_format='raw', checksum=MD5))
        self.assertEqual('accept', inspection.verdict)
        self.assertEqual(MD5, inspection.expectation.checksum)


class RefusalTest(VerdictTestCase):
    """Every code, with what makes it."""

    def test_checksum_missing(self) -> None:
        self.assert_refused('checksum-missing', self.disk(),
                            require_checksum=True)
        self.assert_accepted(self.disk(), require_checksum=True,
                             checksum=MD5)

    def test_checksum_weak(self) -> None:
        for value in (MD5, engine.Checksum('sha1', '0' * 40)):
            self.assert_refused('checksum-weak', self.disk(),
                                value.algorithm, checksum=value,
                                permit_weak=False)
        self.assert_accepted(self.disk(), checksum=SHA512, permit_weak=False)

    def test_not_an_image(self) -> None:
        for content in (b'', b'x' * 511, bytes(MIB), b'\xff' * MIB,
                        b'<!DOCTYPE html>\n' * 1000,
                        b'{"error": "not found"}'.ljust(4096, b'\n'),
                        b'#!/bin/sh\n' + bytes(4096),
                        b'PK\3\4' + bytes(4096)):
            with self.subTest(content=content[:20]):
                self.assert_refused('not-an-image', content)

    def test_a_gpt_without_a_boot_sector_before_it(self) -> None:
        disk = self.disk()
        disk[510:512] = b'\0\0'
        self.assert_refused('not-an-image', disk)
        self.assert_refused('no-partition-table', disk, disk_format='raw',
                            image_type='whole-disk')

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
                (b'\x04\x22\x4d\x18' + bytes(MIB), 'lz4')):
            for permitted in (('raw', 'qcow2'), ('raw', found)):
                with self.subTest(found=found):
                    finding = self.assert_refused(
                        'format-unsupported', content, permitted=permitted)
                    self.assertEqual(found, finding.found)

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

    def test_a_partition_table_that_cannot_be_right(self) -> None:
        self.assert_refused('truncated', self.disk()[:10 * MIB],
                            str(10 * MIB))
        disk = self.disk()
        disk[600] ^= 1
        for content in (disk, self.qcow2(disk)):
            self.assert_refused('corrupt', content)

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

    def test_no_bootloader(self) -> None:
        for make in (volumes.ext4, volumes.xfs, volumes.btrfs):
            content = make(self.directory / 'root', {
                'etc/fstab': b'', 'boot/grub': None}).read_bytes()
            self.assert_refused('no-bootloader', content, 'grub2', 'none',
                                'kernel_id', image_type='partition')
            self.assert_accepted(content, 'no-bootloader')

    def test_a_kernel_is_enough_and_needed(self) -> None:
        """The ramdisk has grub2, and makes a menu of what it finds."""
        content = volumes.ext4(self.directory / 'root', {
            'boot/vmlinuz-6.1': b'MZ'}).read_bytes()
        self.assert_accepted(content, image_type='partition')
        for more in ({}, {'boot/bzImage': b'MZ'}, {'vmlinuz-6.1': b'MZ'},
                     {'usr/lib/modules/6.1/vmlinuz': b'MZ'}):
            content = volumes.ext4(self.directory / 'root', {
                'usr/sbin/grub2-install': b'#!', **more}).read_bytes()
            self.assert_refused(
                'no-bootloader', content, 'grub2, but no such kernel',
                '/boot/vmlinuz-VERSION', image_type='partition')

    def test_features_that_grub_does_not_read(self) -> None:
        for name in ('inline_data', 'ea_inode', 'casefold'):
            content = volumes.ext4(self.directory / 'root', volumes.BOOTABLE,
                                   '-O', name).read_bytes()
            self.assert_refused('file-system-unsupported', content,
                                f'ext4 without {name}', f'-O ^{name}',
                                image_type='partition')
            self.assert_accepted(content, 'file-system-unsupported')

    def test_bootloader_unknown(self) -> None:
        content = bytearray(volumes.ext4(
            self.directory / 'root', {}, '-O', '^metadata_csum',
            size=64 * MIB).read_bytes())
        for feature, words in ((4, 'journal'), (1 << 20, '0x100000')):
            odd = content.copy()
            odd[1024 + 0x60:1024 + 0x64] = (
                int.from_bytes(odd[1024 + 0x60:1024 + 0x64], 'little')
                | feature).to_bytes(4, 'little')
            inspection = self.assert_accepted(
                odd, 'bootloader-unknown', image_type='partition')
            self.assertIn(words, str(inspection.findings[0]))

    def test_bootloader_unknown_behind_the_front_of_a_packed_file(
            self) -> None:
        noise = random.Random(1).randbytes(17 * MIB)
        content = volumes.ext4(
            self.directory / 'root', {'0': noise, **volumes.BOOTABLE},
            size=64 * MIB).read_bytes()
        self.assert_accepted(content, image_type='partition')
        self.assert_packed_accepted(content, 'bootloader-unknown',
                                    image_type='partition')

    def test_file_system_that_larger_sectors_do_not_take(self) -> None:
        for make, small, large, fix in (
                (volumes.ext4, ('-b', '2048'), ('-b', '4096'), '-b 4096'),
                (volumes.xfs, ('-s', 'size=512'), ('-s', 'size=4096'),
                 '-s size=4096')):
            content = make(self.directory / 'root', volumes.BOOTABLE, *small
                           ).read_bytes()
            self.assert_refused('sector-size', content, '4096', fix,
                                image_type='partition', sector_size=4096)
            self.assert_accepted(content, image_type='partition',
                                 sector_size=512)
            self.assert_accepted(
                make(self.directory / 'root', volumes.BOOTABLE, *large
                     ).read_bytes(), image_type='partition',
                sector_size=4096)
        self.assert_accepted(
            volumes.btrfs(self.directory / 'root', volumes.BOOTABLE
                          ).read_bytes(), image_type='partition',
            sector_size=4096)

    def test_file_system_unsupported(self) -> None:
        path = self.directory / 'root'
        path.touch()
        ntfs, exfat, physical, swap = (bytearray(MIB) for _ in range(4))
        # Their boot sectors look like partition tables that are damaged.
        for volume, name in ((ntfs, b'NTFS    '), (exfat, b'EXFAT   ')):
            volume[:11] = b'\xeb\x52\x90' + name
            volume[440:512] = b'\xff' * 70 + b'\x55\xaa'
        physical[0x218:0x220] = b'LVM2 001'
        swap[0xff6:0x1000] = b'SWAPSPACE2'
        with path.open('r+b') as file:
            file.truncate(8 * MIB)
        base.run('mkfs.vfat', path)
        for content, found in (
                (path.read_bytes(), 'vfat'), (ntfs, 'ntfs'),
                (exfat, 'exfat'),
                (physical, 'LVM'), (swap, 'swap')):
            with self.subTest(found=found):
                self.assert_refused('file-system-unsupported', content,
                                    'ext4', found, image_type='partition')
                inspection = self.assert_accepted(content,
                                                  'file-system-unsupported')
                self.assertEqual('partition', inspection.image_type)

    def test_file_systems_of_archives(self) -> None:
        erofs = bytearray(MIB)
        erofs[0x400:0x404] = b'\xe2\xe1\xf5\xe0'
        for content, found in (
                (b'hsqs' + bytes(MIB), 'squashfs'), (erofs, 'erofs'),
                (b'\x45\x3d\xcd\x28' + bytes(MIB), 'cramfs'),
                (b'-rom1fs-' + bytes(MIB), 'romfs')):
            for declared in (None, 'partition'):
                with self.subTest(found=found, declared=declared):
                    self.assert_refused('file-system-unsupported', content,
                                        found, image_type=declared)

    def test_a_file_system_that_cannot_be_mounted(self) -> None:
        content = bytearray(volumes.ext4(
            self.directory / 'root', volumes.BOOTABLE, '-t', 'ext4'
            ).read_bytes())
        for cut in (MIB, len(content) - 512):
            self.assert_refused('truncated', content[:cut],
                                str(len(content)), image_type='partition')
        content[1024 + 0x78] ^= 1
        self.assert_refused('corrupt', content, 'superblock',
                            image_type='partition')
        self.assert_accepted(content, 'corrupt')

    def test_no_partition_table(self) -> None:
        for wanted, word in (('whole-disk', 'partition table'),
                             ('partition', 'file system')):
            self.assert_refused('no-partition-table', bytes(MIB), word,
                                disk_format='raw', image_type=wanted)
        self.assert_accepted(bytes(MIB), 'no-partition-table',
                             disk_format='raw')
        self.assert_accepted(self.qcow2(bytes(MIB)), 'no-partition-table')

    def test_too_large(self) -> None:
        for content in (self.disk(), self.qcow2(self.disk())):
            self.assert_refused('too-large', content, str(20 * MIB),
                                str(20 * MIB - 512),
                                disk_size=20 * MIB - 512)
            self.assert_accepted(content, disk_size=20 * MIB)
        root = volumes.ext4(self.directory / 'root',
                            volumes.BOOTABLE).read_bytes()
        self.assert_refused('too-large', root, 'root partition', 'root_gb',
                            image_type='partition', disk_size=10 * MIB)

    def test_sector_size(self) -> None:
        for ours, theirs in ((512, 4096), (4096, 512)):
            disk = self.disk(sector_size=ours)
            self.assert_refused('sector-size', disk, str(ours), str(theirs),
                                sector_size=theirs)
            self.assert_accepted(disk, sector_size=ours)
        self.assert_accepted(disks.mbr(MIB, [(0, 0x83, 1, 5)]),
                             sector_size=4096)

    def test_no_esp(self) -> None:
        program = {'/EFI/BOOT/BOOTX64.EFI': disks.program(0x8664)}
        for content in (self.disk(), self.disk(esp={}),
                        disks.mbr(MIB, [(0, 0x83, 1, 5)])):
            self.assert_refused('no-esp', content, boot_mode='uefi')
        self.assert_accepted(self.disk(esp=program), boot_mode='uefi')

    def test_no_bios_boot(self) -> None:
        for content in (self.disk(), disks.mbr(MIB, [(0, 0x83, 1, 5)])):
            self.assert_refused('no-bios-boot', content, boot_mode='bios')
        self.assert_accepted(self.disk(boot_code=b'\xeb\x63'),
                             boot_mode='bios')

    def test_arch_mismatch(self) -> None:
        disk = self.disk(esp={
            '/EFI/BOOT/BOOTAA64.EFI': disks.program(0xaa64)})
        self.assert_refused('arch-mismatch', disk, 'aarch64', 'x86_64',
                            boot_mode='uefi', arch='amd64')
        self.assert_accepted(disk, boot_mode='uefi', arch='arm64')
        self.assert_accepted(disk, arch='x86_64')

    def test_several_at_once(self) -> None:
        inspection = self.inspect(
            self.disk(sector_size=4096), disk_size=MIB, sector_size=512,
            boot_mode='uefi', require_checksum=True, image_type='partition')
        self.assertEqual(
            ['checksum-missing', 'image-type-mismatch', 'too-large',
             'sector-size', 'no-esp'],
            [finding.code for finding in inspection.findings])


class WarningTest(VerdictTestCase):

    def test_internal_snapshot(self) -> None:
        self.assert_accepted(qcow2.patched(
            self.qcow2(self.disk()), nb_snapshots=2), 'internal-snapshot')

    def test_dirty(self) -> None:
        self.assert_accepted(qcow2.patched(
            self.qcow2(self.disk()), incompatible_features=1), 'dirty')


class ReadTest(VerdictTestCase):
    """Little of the file is read, and all that is read is witnessed."""

    def test_the_head_and_the_tables_only(self) -> None:
        source = memory.MemorySource(self.disk() + bytes(100 * MIB))
        engine.inspect(source)
        self.assertLess(sum(length for _, length in source.reads), MIB)

    def test_what_was_read_is_remembered(self) -> None:
        source = memory.MemorySource(self.qcow2(self.disk()))
        inspection = engine.inspect(source)
        for offset, length in source.reads:
            changed = bytearray(source.content)
            changed[offset + length - 1] ^= 1
            with self.subTest(offset=offset, length=length):
                self.assertRaises(
                    exceptions.SourceChanged,
                    inspection.source.replay_check().update, 0,
                    memoryview(changed))

    def test_an_error_of_the_source_is_not_a_finding(self) -> None:
        source = memory.MemorySource(self.disk())
        source.size += 4096
        self.assertRaises(exceptions.SourceError, engine.inspect, source)

    def test_a_source_without_random_access(self) -> None:
        source = memory.MemorySource(self.disk())
        source.random_access = False
        self.assertEqual('accept', engine.inspect(source).verdict)
        self.assertNotIn((source.size - 512, 512), source.reads)


class OpticalTest(VerdictTestCase):
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
                    disks.mbr(2 * MIB, [(0x80, 0x83, 63, 4000)]),
                    disks.gpt(2 * MIB, [disks.Entry(40, 4000)])):
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

    def test_letters_between_partitions(self) -> None:
        disk = disks.gpt(2 * MIB, [disks.Entry(2048, 4000)])
        disk[0x8001:0x8006] = b'CD001'
        self.assert_refused('format-unsupported', disk, 'iso')

    def test_a_footer_in_a_partition(self) -> None:
        for magic in (b'conectix', b'koly'):
            content = disks.mbr(2 * MIB, [(0x80, 0x83, 63, 4096 - 63)])
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


class FlawTest(VerdictTestCase):
    """What Linux and firmware tolerate is a warning."""

    def test_a_damaged_backup(self) -> None:
        for at in (-500, -512, -1000 - 15 * 1024):
            disk = self.disk()
            disk[at] ^= 1
            for content in (disk, self.qcow2(disk)):
                inspection = self.assert_accepted(content, 'corrupt')
                self.assertIn('sgdisk -e', inspection.findings[0].fix)

    def test_a_good_backup_of_a_damaged_table(self) -> None:
        disk = self.disk()
        disk[600] ^= 1
        self.assert_refused('corrupt', disk, 'good backup', 'sgdisk -e')

    def test_a_source_without_random_access_is_not_read_to_its_end(
            self) -> None:
        disk = self.disk()
        disk[-500] ^= 1
        source = memory.MemorySource(disk)
        source.random_access = False
        self.assertEqual((), engine.inspect(source).findings)


class FragmentsTest(VerdictTestCase):

    def test_more_pieces_than_the_memory_is_bounded_for(self) -> None:
        builder = qcow2.Builder(MIB)
        for index in range(0, 16, 2):
            builder.data(index, bytes(range(256)) * 256)
        content = builder.build()
        with unittest.mock.patch.object(extent_map, '_BLOCK', 4):
            self.assertEqual('accept', self.inspect(content).verdict)
            with unittest.mock.patch.object(extent_map, 'MOST_BYTES', 99):
                self.assert_refused('too-fragmented', content)


class CodesTest(base.EngineTestCase):
    """No code without a test here."""

    def test_every_code_of_the_engine_is_tested(self) -> None:
        tested = {
            node.value for path in pathlib.Path(__file__).parents[1].rglob(
                'test_*.py')
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Constant)}
        codes = codes_of_the_engine()
        self.assertGreater(len(codes), 20)
        self.assertEqual(set(), codes - tested)

    def test_the_codes_are_these(self) -> None:
        """A code never changes its meaning, and none goes away."""
        self.assertLessEqual(
            {'not-an-image', 'format-mismatch', 'format-not-permitted',
             'format-unsupported', 'format-ambiguous', 'backing-file',
             'data-file', 'external-extent', 'encrypted', 'unknown-feature',
             'corrupt', 'truncated', 'internal-snapshot', 'too-large',
             'sector-size', 'image-type-mismatch', 'no-partition-table',
             'no-esp', 'no-bios-boot', 'arch-mismatch', 'checksum-missing',
             'checksum-weak', 'dirty', 'no-bootloader',
             'bootloader-unknown', 'file-system-unsupported'},
            codes_of_the_engine())


def codes_of_the_engine() -> set[str]:
    """The codes that the engine's source names where it makes findings."""
    codes = set()
    for path in pathlib.Path(engine.__file__).parent.rglob('*.py'):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func).rpartition('.')[2]
            named = [keyword.value for keyword in node.keywords
                     if keyword.arg == 'code' and called == 'Finding']
            if called in ('refused', 'warn', 'BadTable') and node.args:
                named.append(node.args[0])
            codes |= {value.value for value in named
                      if isinstance(value, ast.Constant)}
    return codes


class DamageTest(VerdictTestCase):

    def test_damaged_disks_are_judged(self) -> None:
        """A changed byte is a verdict, never an error of ours."""
        good = self.disk(esp={
            '/EFI/BOOT/BOOTX64.EFI': disks.program(0x8664)})[:2 * MIB]
        small = disks.gpt(2 * MIB, [disks.Entry(100, 200)])
        dice = qcow2.Builder(512, seed=9).dice
        expectation = engine.Expectation(
            disk_format='raw', boot_mode='uefi', arch='x86_64',
            disk_size=4 * MIB)
        for _ in range(500):
            disk = bytearray(dice.choice((good, small)))
            at = dice.choice((dice.randrange(512), dice.randrange(512, 2048),
                              dice.randrange(MIB, MIB + 512)))
            struct.pack_into('<I', disk, at, dice.getrandbits(32))
            inspection = engine.inspect(memory.MemorySource(disk),
                                        expectation)
            for finding in inspection.findings:
                self.assert_complete(finding)
