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
import hashlib
import lzma
import random
import unittest.mock
import zlib

from ironic_imagedeploy import engine
from ironic_imagedeploy.engine.codecs import compressions
from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.formats import compressed_raw
from tests.unit.engine import base
from tests.unit.engine import disks
from tests.unit.engine.formats import compressed
from tests.unit.engine import qcow2_builder as qcow2
from tests.unit.engine import recording
from tests.unit.engine import transfers

PACK = compressed.PACK
KIB = base.KIB
MIB = base.MIB
Action = recording.Action
Target = recording.RecordingTarget


class InspectionTest(compressed.PackedTestCase):

    def test_what_is_told(self) -> None:
        disk = self.disk(20 * MIB)
        for name in PACK:
            stored = PACK[name](disk)
            for declared in (None, 'raw'):
                inspection = self.inspect(stored, disk_format=declared)
                found = inspection.to_dict()
                self.assertEqual(['not-bootable'], [
                    finding['code'] for finding in found.pop('findings')])
                self.assertEqual({
                    'verdict': 'accept', 'format': 'raw',
                    'declared_format': declared, 'compression': name,
                    'image_type': 'whole-disk',
                    'virtual_size': 20 * MIB, 'stored_size': len(stored),
                    'partition_table': 'gpt', 'file_system': None,
                    'boot_modes': [], 'sector_size': 512,
                    'unchecked': ['compression'], 'contents': None}, found)

    def test_the_same_findings_as_without_compression(self) -> None:
        bad = bytearray(self.disk(4 * MIB))
        bad[600] ^= 1
        bad[-512:] = bytes(512)
        for content in (bytes(4 * MIB), bytes(bad), self.disk(4 * MIB),
                        bytes(gzip.compress(b'1') * 200)[:100]):
            for boot_mode in ('bios', 'uefi'):
                plain = self.inspect(content, disk_format='raw',
                                     boot_mode=boot_mode)
                for name in PACK:
                    found = self.inspect(PACK[name](content),
                                         disk_format='raw',
                                         boot_mode=boot_mode)
                    if len(content) > 512:
                        self.assertEqual(plain.findings, found.findings)
                    else:
                        self.assertEqual('refuse', found.verdict)

    def test_only_the_front_is_read(self) -> None:
        stored = PACK['gz'](self.disk(64 * MIB))
        inspection = self.inspect(stored)
        reads = transfers.source_of(inspection).reads
        self.assertLessEqual(sum(length for _, length in reads), 4 * MIB)

    def test_what_lies_behind_the_front_is_unknown_and_not_missing(
            self) -> None:
        size = 64 * MIB
        disk = disks.gpt(size, [disks.Entry(
            40 * MIB // 512, 50 * MIB // 512, disks.ESP)])
        disk[MIB:] = random.Random(2).randbytes(size - MIB)
        inspection = self.inspect(PACK['zstd'](bytes(disk)),
                                  boot_mode='uefi', arch='aarch64')
        self.assertEqual('accept', inspection.verdict, inspection.findings)
        self.assertIsNone(inspection.efi_programs)
        self.assertEqual(('uefi',), inspection.boot_modes)
        image = inspection.accepted()
        self.assertRaises(exceptions.SourceNotSeekable, image.read,
                          40 * MIB, 512)

    def test_the_wrong_boot_programs_are_found(self) -> None:
        volume = disks.fat(self.directory / 'esp', 4 * MIB, {
            '/EFI/BOOT/BOOTX64.EFI': disks.program(0x8664)}, bits=12)
        disk = disks.gpt(40 * MIB, [disks.Entry(
            2048, 2048 + 4 * MIB // 512 - 1, disks.ESP)])
        disk[MIB:5 * MIB] = volume
        for name in PACK:
            self.assert_refused('arch-mismatch', PACK[name](bytes(disk)),
                                boot_mode='uefi', arch='aarch64')

    def test_too_large_is_known_from_the_table(self) -> None:
        for name in PACK:
            self.assert_refused('too-large', PACK[name](self.disk(20 * MIB)),
                                disk_size=19 * MIB)
        mbr = disks.mbr(20 * MIB, [(0, 0x83, 2048, 36000)])
        inspection = self.inspect(gzip.compress(bytes(mbr)))
        self.assertEqual('accept', inspection.verdict)
        self.assertIsNone(inspection.virtual_size)
        self.assert_refused('too-large', gzip.compress(bytes(mbr)),
                            disk_size=18 * MIB)

    def test_a_disk_that_fits_into_the_front_is_known_wholly(self) -> None:
        disk = bytearray(700 * KIB)
        disk[0x438:0x43a] = b'\x53\xef'
        disk[-1] = 1
        for name in PACK:
            inspection = self.inspect(PACK[name](bytes(disk)))
            self.assertEqual('partition', inspection.image_type)
            image = inspection.accepted()
            self.assertEqual(disk[-512:], image.read(699 * KIB + 512, MIB))
            self.assertEqual(700 * KIB, inspection.virtual_size)

    def test_containers_are_refused(self) -> None:
        for name in PACK:
            stored = PACK[name](bytes(qcow2.fill(
                qcow2.Builder(2 * MIB), 'dz').build()))
            for declared in (None, 'raw', 'qcow2'):
                finding = self.assert_refused('format-unsupported', stored,
                                              disk_format=declared)
                self.assertEqual(f'qcow2 in {name}', finding.found)
                self.assertIn('Decompress', finding.fix)
            self.assert_refused('format-unsupported', PACK[name](
                gzip.compress(self.disk(MIB))))

    def test_other_content_is_refused(self) -> None:
        for name in PACK:
            for content in (b'', b'a', b'<html>' * 1000):
                self.assert_refused('not-an-image', PACK[name](content))
            self.assert_refused('not-an-image', PACK[name](
                random.Random(9).randbytes(MIB)))
            self.assert_refused('format-mismatch',
                                PACK[name](self.disk(MIB)),
                                disk_format='qcow2')
            self.assert_refused('format-not-permitted',
                                PACK[name](self.disk(MIB)),
                                permitted=('qcow2',))

    def test_other_compressions_are_refused_by_name(self) -> None:
        for name, magic in (('lzip', b'LZIP'), ('lz4', b'\x04\x22\x4d\x18')):
            finding = self.assert_refused('format-unsupported',
                                          magic + bytes(MIB))
            self.assertEqual(name, finding.found)

    def test_zstd_without_its_module(self) -> None:
        others = {name: compression for name, compression
                  in compressions.COMPRESSIONS.items() if name != 'zstd'}
        with unittest.mock.patch.object(compressions, 'COMPRESSIONS', others):
            finding = self.assert_refused('format-unsupported',
                                          PACK['zstd'](self.disk(MIB)))
        self.assertEqual('zstd', finding.found)
        self.assertIn('pip install backports.zstd', finding.fix)

    def test_two_formats_at_once(self) -> None:
        stored = bytearray(gzip.compress(self.disk(MIB)))
        comment = bytearray(b'.' * 70000) + b'\0'
        comment[0x40 - 10:0x44 - 10] = b'\x7f\x10\xda\xbe'
        stored[3] = 16
        self.assert_refused('format-ambiguous',
                            bytes(stored[:10] + comment + stored[10:]))

    def test_damaged_or_short_in_the_front(self) -> None:
        for name in PACK:
            stored = PACK[name](self.disk(2 * MIB))
            self.assert_refused('truncated', stored[:3000])
            self.assert_refused('corrupt', stored[:14] + b'\xff' * 500
                                + stored[514:])

    def test_too_large_a_dictionary(self) -> None:
        stored = bytearray(lzma.compress(self.disk(MIB)))
        # The header of the first block, where 32 stands for 256 MiB.
        self.assertEqual(b'\x21\x01', stored[14:16])
        stored[16] = 32
        size = (stored[12] + 1) * 4
        stored[12 + size - 4:12 + size] = zlib.crc32(
            stored[12:12 + size - 4]).to_bytes(4, 'little')
        self.assert_refused('format-unsupported', bytes(stored))

    def test_a_partition_that_is_cut(self) -> None:
        for small in (True, False):
            disk = disks.gpt(8 * MIB, [disks.Entry(2048, 8191)])
            if not small:
                disk[MIB:] = random.Random(1).randbytes(7 * MIB)
            packed = gzip.compress(disk[:4 * MIB - 512], 1)
            if small:
                self.assertEqual(['truncated'], [
                    each.code for each in self.inspect(packed).findings])
            else:
                with unittest.mock.patch.object(compressed_raw, 'SMALL', 0):
                    self.assert_fails('truncated', packed, Target(9 * MIB))

    def test_a_disk_that_is_cut_after_its_partitions(self) -> None:
        """As the same disk without compression."""
        disk = disks.gpt(8 * MIB, [disks.Entry(2048, 8191)])
        disk[MIB:4 * MIB] = random.Random(1).randbytes(3 * MIB)
        for end in (8 * MIB - 512, 8 * MIB - 33 * 512, 4 * MIB):
            cut = disk[:end]
            plain = [each.code for each in self.inspect(cut).findings]
            self.assertIn('corrupt', plain)
            for name in PACK:
                packed = PACK[name](bytes(cut))
                inspection = self.inspect(packed)
                self.assertEqual(plain, [
                    each.code for each in inspection.findings])
                target = Target(8 * MIB)
                engine.transfer(inspection, target)
                self.assert_same(cut, target.disk[:end])
            with unittest.mock.patch.object(compressed_raw, 'SMALL', 0):
                target = Target(8 * MIB)
                engine.transfer(self.inspect(packed), target)
                self.assert_same(cut, target.disk[:end])


class TransferTest(compressed.PackedTestCase):

    def test_round_trip(self) -> None:
        disk = self.disk(10 * MIB)
        for name in PACK:
            stored = PACK[name](disk)
            for workers in (1, 4):
                target = Target(12 * MIB)
                checksum = engine.Checksum(
                    'sha256', hashlib.sha256(stored).hexdigest())
                report = engine.transfer(
                    self.inspect(stored, checksum=checksum, step=70001),
                    target, read_back='full', workers=workers)
                self.assert_same(disk, target.disk[:10 * MIB])
                self.assert_holds(target.disk[10 * MIB:11 * MIB],
                                  recording.OLD)
                self.assert_holds(target.disk[11 * MIB:], 0)
                self.assertTrue(report.checksum.verified)
                self.assertEqual(
                    ('raw', 10 * MIB, len(stored), 10 * MIB),
                    (report.format, report.virtual_size, report.bytes_read,
                     report.bytes_written + report.bytes_zeroed))
                self.assertGreaterEqual(report.bytes_zeroed, MIB)

    def test_every_small_size(self) -> None:
        for size in (512, 4 * KIB, MIB - 512, MIB, MIB + 512, 2 * MIB - 512,
                     2 * MIB, 2 * MIB + 4096, 2 * MIB + 4608, 3 * MIB,
                     3 * MIB + 777, 4 * MIB + 512):
            disk = transfers.noise(size)
            with self.subTest(size=size):
                target = Target(6 * MIB)
                report = engine.transfer(
                    self.inspect(PACK['zstd'](disk), disk_format='raw'),
                    target, read_back='full')
                self.assert_same(disk, target.disk[:size])
                self.assertEqual(size, report.virtual_size)

    def test_the_same_log_as_of_a_raw_image(self) -> None:
        for size in (4 * MIB, 4 * MIB + 512, 5 * MIB - 512, 7 * MIB):
            disk = transfers.noise(size)
            logs = []
            for stored in (disk, PACK['gz'](disk)):
                target = Target(8 * MIB)
                engine.transfer(self.inspect(stored, disk_format='raw'),
                                target, workers=1)
                logs.append(target.log)
            with self.subTest(size=size):
                self.assertEqual(*logs)

    def test_ends_first_and_last_and_never_in_between(self) -> None:
        for name in PACK:
            target = Target(10 * MIB)
            engine.transfer(self.inspect(PACK[name](self.disk(10 * MIB))),
                            target)
            changes = [action for action in target.log if action.changes]
            wiped = [action for action in transfers.wiped(10 * MIB)
                     if action.changes]
            self.assertEqual(wiped, changes[:len(wiped)])
            self.assertEqual(transfers.finished(10 * MIB)[::2], changes[-3:])
            for action in changes[len(wiped):-3]:
                self.assertGreaterEqual(action.start, MIB)
                self.assertLessEqual(action.end, 9 * MIB)

    def test_members_and_padding(self) -> None:
        disk = self.disk(10 * MIB)
        parts = [disk[start:start + 3 * MIB]
                 for start in range(0, len(disk), 3 * MIB)]
        for name in PACK:
            stored = b''.join(map(PACK[name], parts))
            if name in ('gz', 'xz'):
                stored += bytes(512)
            target = Target(10 * MIB)
            engine.transfer(self.inspect(stored), target)
            self.assert_same(disk, target.disk)

    def test_compare(self) -> None:
        disk = self.disk(10 * MIB)
        for name in PACK:
            inspection = self.inspect(PACK[name](disk))
            target = Target(11 * MIB)
            target.disk[:10 * MIB] = disk
            report = engine.compare(inspection, target)
            self.assertEqual(10 * MIB, report.virtual_size)
            self.assertEqual([], [action for action in target.log
                                  if action.changes])
            for place in (0, 5 * MIB, 10 * MIB - 1):
                target.disk[place] ^= 1
                self.assertRaises(
                    exceptions.ReadBackMismatch, engine.compare,
                    self.inspect(PACK[name](disk)), target)
                target.disk[place] ^= 1

    def test_the_progress_ends_at_the_end(self) -> None:
        seen: list[engine.Progress] = []
        file = PACK['gz'](self.disk(MIB))
        engine.compare(self.inspect(file), self.same(self.disk(MIB)),
                       progress=seen.append)
        self.assertEqual(2 * [len(file)], [seen[-1].done, seen[-1].total])

    def same(self, disk: bytes) -> Target:
        """A target that holds that disk."""
        target = Target(len(disk))
        target.disk[:] = disk
        return target

    def test_into_a_new_file(self) -> None:
        disk = self.disk(10 * MIB + 512)
        for name in PACK:
            path = self.directory / name
            inspection = self.inspect(PACK[name](disk))
            with engine.open_target(
                    str(path), create_size=inspection.largest) as target:
                engine.transfer(inspection, target, read_back='full')
            self.assert_same(disk, path.read_bytes())
            self.assertLess(path.stat().st_blocks * 512, 9.5 * MIB)
