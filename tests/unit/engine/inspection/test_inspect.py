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
import struct
import typing
import unittest.mock

from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import budget
from ironic_imagedeploy.engine.contents import boot_files
from ironic_imagedeploy.engine.contents.system import contents as _contents
from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.formats import extent_map
from tests.unit.engine import base
from tests.unit.engine import disks
from tests.unit.engine.inspection import verdicts
from tests.unit.engine import memory
from tests.unit.engine import qcow2_builder as qcow2
from tests.unit.engine import system_disks
from tests.unit.engine import systems
from tests.unit.engine import volumes

MIB = base.MIB
SHA512 = engine.Checksum('sha512', '0' * 128)
MD5 = engine.Checksum('md5', '0' * 32)


class AcceptTest(verdicts.VerdictTestCase):

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
                ({'boot/loader/entries/a.conf': b'linux /nowhere'}, False),
                ({'boot/loader/entries/a.conf': b'linux /linux',
                  'boot/linux': b''}, None),
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


class WarningTest(verdicts.VerdictTestCase):

    def test_internal_snapshot(self) -> None:
        self.assert_accepted(qcow2.patched(
            self.qcow2(self.disk()), nb_snapshots=2), 'internal-snapshot')

    def test_dirty(self) -> None:
        self.assert_accepted(qcow2.patched(
            self.qcow2(self.disk()), incompatible_features=1), 'dirty')


class ReadTest(verdicts.VerdictTestCase):
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


class UncheckedTest(verdicts.VerdictTestCase):
    """What only the whole file can tell is said, not left out."""

    def unchecked(self, content: bytes | bytearray,
                  **expectation: typing.Any) -> list[str]:
        """The facts that a look at this file cannot tell."""
        inspection = engine.inspect(memory.MemorySource(content),
                                    engine.Expectation(**expectation))
        self.assertEqual('accept', inspection.verdict)
        found = inspection.to_dict()['unchecked']
        assert isinstance(found, list)
        return found

    def test_a_file_whose_tables_tell_all(self) -> None:
        plain = qcow2.Builder(MIB)
        plain.data(0, bytes(disks.gpt(MIB)[:65536]))
        for content in (self.disk(), plain.build()):
            self.assertEqual([], self.unchecked(content))
            self.assertEqual(['checksum'],
                             self.unchecked(content, checksum=SHA512))

    def test_clusters_that_are_compressed(self) -> None:
        facts = ['compression']
        self.assertEqual(facts, self.unchecked(self.qcow2(self.disk())))
        path = self.save('disk', self.disk())
        for form, options in (('qcow2', ('-c',)), ('vmdk', (
                '-o', 'subformat=streamOptimized'))):
            packed = self.directory / form
            base.run('qemu-img', 'convert', '-f', 'raw', '-O', form, *options,
                     path, packed)
            self.assertEqual(facts, self.unchecked(
                packed.read_bytes(), permitted=('qcow2', 'vmdk')))

    def test_a_compressed_file(self) -> None:
        noise = random.Random(1).randbytes(33 * MIB)
        for disk, facts in (
                (self.disk(), ['compression']),
                (disks.mbr(MIB, [(0x80, 0x83, 1, 9)], boot_code=b'\xeb'),
                 ['compression', 'disk-size'])):
            packed = gzip.compress(disk + noise, 1)
            self.assertEqual(facts, self.unchecked(packed))
            # What follows the disk is seen once the file is read.
            self.assertEqual(facts, self.unchecked(packed + b'more'))


class FragmentsTest(verdicts.VerdictTestCase):

    def test_more_pieces_than_the_memory_is_bounded_for(self) -> None:
        builder = qcow2.Builder(MIB)
        for index in range(0, 16, 2):
            builder.data(index, bytes(range(256)) * 256)
        content = builder.build()
        with unittest.mock.patch.object(extent_map, '_BLOCK', 4):
            self.assertEqual('accept', self.inspect(content).verdict)
            with unittest.mock.patch.object(extent_map, 'MOST_BYTES', 99):
                self.assert_refused('too-fragmented', content)


class DamageTest(verdicts.VerdictTestCase):

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


class WorkTest(verdicts.VerdictTestCase):

    def test_the_system_may_take_half_of_it(self) -> None:
        path = system_disks.disk(self.directory, systems.debian())
        with engine.open_source(str(path)) as source:
            found = engine.inspect(source)
            image, work = found.accepted(), engine.Budget()
            _contents.read(image.read, image.known_size, found.table, work,
                           _contents.Wanted())
            used = budget.ENTRIES - work._entries
            for entries, is_cut in ((2 * used, False), (2 * used - 2, True)):
                with unittest.mock.patch.object(budget, 'ENTRIES', entries):
                    found = engine.inspect(source, engine.Expectation(
                        contents=True))
                assert found.contents
                self.assertIs(is_cut, found.contents.is_cut)

    def test_more_than_others_would_do(self) -> None:
        """Whoever looks for many machines would refuse it."""
        source = memory.MemorySource(self.disk())
        for entries, codes in ((budget.ENTRIES, []), (10, ['too-complex'])):
            with unittest.mock.patch.object(budget, 'ENTRIES', entries):
                for contents in (True, False):
                    inspection = engine.inspect(
                        source, engine.Expectation(contents=contents),
                        engine.Budget(entries=1 << 20))
                    self.assertEqual('accept', inspection.verdict)
                    self.assertEqual(codes if contents else [], [
                        finding.code for finding in inspection.findings
                        if finding.code == 'too-complex'])
