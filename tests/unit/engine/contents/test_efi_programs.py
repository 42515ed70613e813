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

import random
import struct
import time

from ironic_imagedeploy.engine import budget
from ironic_imagedeploy.engine.contents import efi_programs
from ironic_imagedeploy.engine.contents import partitions
from ironic_imagedeploy.engine import exceptions
from tests.unit.engine import base
from tests.unit.engine import disks
from tests.unit.engine import systems

MIB = base.MIB
X86_64 = 0x8664
AARCH64 = 0xaa64


class BootProgramsTest(base.EngineTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.esp = partitions.Partition(number=1, start=MIB,
                                        length=16 * MIB, type=partitions.ESP)
        self.reads: list[tuple[int, int]] = []

    def found(self, files: dict[str, bytes], *, bits: int = 16
              ) -> set[str] | None:
        """The processors that an ESP with these files is for."""
        return self.look(disks.fat(self.directory / 'esp', 16 * MIB, files,
                                   bits=bits))

    def look(self, volume: bytes | bytearray) -> set[str] | None:
        def read(offset: int, length: int) -> bytes:
            self.reads.append((offset, length))
            offset -= MIB
            return bytes(volume[offset:offset + length])

        programs = efi_programs.find(read, [self.esp], budget.Budget())
        self.others, self.unsigned = programs.others, programs.unsigned
        return set(programs.architectures)

    def test_the_removable_media_path(self) -> None:
        for bits in (12, 16):
            self.assertEqual({'x86_64'}, self.found(
                {'/EFI/BOOT/BOOTX64.EFI': disks.program(X86_64)},
                bits=bits))

    def test_the_directory_of_a_vendor_does_not_count(self) -> None:
        """Its entry was in the NVRAM of the machine that it comes from."""
        for files in ({'/EFI/debian/shimaa64.efi'},
                      {'/EFI/Microsoft/Boot/bootmgfw.efi'},
                      {'/EFI/Linux/system.efi'},
                      {'/EFI/BOOT/grubx64.efi'}):
            with self.subTest(files=files):
                self.assertEqual(set(), self.found(dict.fromkeys(
                    files, disks.program(X86_64))))

    def test_a_program_that_is_cut_off(self) -> None:
        program = systems.unified('root=x', '6')
        path = '/EFI/BOOT/BOOTX64.EFI'
        self.assertEqual({'x86_64'}, self.found({path: program}))
        self.assertEqual(set(), self.found({path: program[:-1]}))
        self.assertEqual(
            ('EFI/BOOT/BOOTX64.EFI (an EFI program that is cut off)',),
            self.others)
        listed = 'shimx64.efi,debian,,The entry\n'.encode('utf-16')
        for size, found in ((None, {'x86_64'}), (-1, set())):
            self.assertEqual(found, self.found({
                '/EFI/debian/shimx64.efi': program[:size],
                '/EFI/debian/BOOTX64.CSV': listed}))

    def test_a_list_of_boot_entries(self) -> None:
        listed = 'shimaa64.efi,debian,,The entry\n'.encode('utf-16')
        for name in ('BOOTAA64.CSV', 'BOOT.CSV', 'bootaa64.csv'):
            self.assertEqual({'aarch64'}, self.found(
                {'/EFI/debian/shimaa64.efi': disks.program(AARCH64),
                 '/EFI/debian/other.efi': disks.program(X86_64),
                 f'/EFI/debian/{name}': listed}))

    def test_a_list_of_programs_that_are_not_there(self) -> None:
        self.assertEqual(set(), self.found(
            {'/EFI/debian/shimx64.efi': disks.program(X86_64),
             '/EFI/debian/BOOTX64.CSV':
                 'grubx64.efi,debian,,\n'.encode('utf-16')}))

    def test_a_list_that_is_not_text(self) -> None:
        self.assertEqual({'x86_64'}, self.found(
            {'/EFI/debian/shimx64.efi': disks.program(X86_64),
             '/EFI/debian/BOOTX64.CSV': disks.program(X86_64)}))

    def test_signatures(self) -> None:
        signed, unsigned = (disks.program(X86_64, signed=signed)
                            for signed in (True, False))
        listed = 'shimx64.efi,debian,,\n'.encode('utf-16')
        for files, found in (
                ({'/EFI/BOOT/BOOTX64.EFI': signed}, set()),
                ({'/EFI/BOOT/BOOTX64.EFI': unsigned}, {'x86_64'}),
                ({'/EFI/BOOT/BOOTX64.EFI': unsigned,
                  '/EFI/debian/shimx64.efi': signed,
                  '/EFI/debian/BOOTX64.CSV': listed}, set()),
                ({'/EFI/BOOT/BOOTX64.EFI': signed,
                  '/EFI/BOOT/BOOTAA64.EFI': disks.program(AARCH64)},
                 {'aarch64'})):
            self.found(files)
            self.assertEqual(found, self.unsigned)

    def test_a_signature_behind_the_end_of_the_file_is_none(self) -> None:
        signed = disks.program(X86_64, signed=True)
        for size, found in ((4000, set()), (3999, {'x86_64'})):
            self.found({'/EFI/BOOT/BOOTX64.EFI': signed[:size]})
            self.assertEqual(found, self.unsigned)

    def test_a_program_that_nothing_starts_does_not_count(self) -> None:
        whole = disks.program(X86_64)
        for content, flaw in (
                (disks.program(AARCH64), 'an EFI program for aarch64'),
                (disks.program(0x1234),
                 'an EFI program for an unknown processor'),
                (b'no program' * 100, 'not an EFI program'),
                (whole[:0x84], 'not an EFI program'),
                (whole[:0x85], 'not an EFI program')):
            with self.subTest(flaw=flaw, length=len(content)):
                self.assertEqual(set(), self.found({
                    '/EFI/BOOT/BOOTX64.EFI': content,
                    **{f'/tool{number}.efi': whole for number in range(9)}}))
                self.assertEqual(f'EFI/BOOT/BOOTX64.EFI ({flaw})',
                                 self.others[0])
                self.assertEqual({'i686'}, self.found({
                    '/EFI/BOOT/BOOTX64.EFI': content,
                    '/EFI/BOOT/BOOTIA32.EFI': disks.program(0x14c)}))

    def test_long_names(self) -> None:
        for arch, machine in (('RISCV64', 0x5064), ('LOONGARCH64', 0x6264)):
            self.assertEqual(1, len(self.found(
                {f'/EFI/BOOT/BOOT{arch}.EFI': disks.program(machine)}) or ()))

    def test_any_partition_counts(self) -> None:
        volume = disks.fat(self.directory / 'esp', 16 * MIB, {
            '/EFI/BOOT/BOOTX64.EFI': disks.program(X86_64)})
        disk = bytes(16 * MIB) + volume
        empty, good = (partitions.Partition(
            number=number, start=start, length=16 * MIB, type=partitions.ESP)
            for number, start in ((1, 0), (2, 16 * MIB)))

        def look(*esps: partitions.Partition) -> set[str] | None:
            return set(efi_programs.find(
                lambda offset, length: disk[offset:offset + length], esps,
                budget.Budget()).architectures)

        self.assertEqual({'x86_64'}, look(empty, good))
        self.assertEqual({'x86_64'}, look(good, empty))
        # As many as a GPT has, and the good one last.
        self.assertEqual({'x86_64'}, look(*[empty] * 127, good))
        self.assertEqual(set(), look(empty))
        self.assertEqual(set(), look())

    def test_several_processors(self) -> None:
        self.assertEqual({'x86_64', 'aarch64', 'i686', 'riscv64'}, self.found(
            {'/EFI/BOOT/BOOTX64.EFI': disks.program(X86_64),
             '/EFI/BOOT/BOOTAA64.EFI': disks.program(AARCH64),
             '/EFI/BOOT/BOOTIA32.EFI': disks.program(0x14c),
             '/EFI/BOOT/BOOTRISCV64.EFI': disks.program(0x5064)}))

    def test_an_unknown_processor(self) -> None:
        self.assertEqual({'unknown'}, self.found(
            {'/EFI/vendor/x.efi': disks.program(0x1234),
             '/EFI/vendor/BOOT.CSV': 'x.efi,vendor,,\n'.encode('utf-16')}))

    def test_no_programs(self) -> None:
        for files in ({}, {'/EFI/BOOT/grub.cfg': b'x'},
                      {'/BOOTX64.EFI': disks.program(X86_64)},
                      {'/boot/BOOT/BOOTX64.EFI': disks.program(X86_64)},
                      {'/EFI/BOOT/BOOTX64.EFI': b''},
                      {'/EFI/BOOT/BOOTX64.EFI': b'MZ'},
                      {'/EFI/BOOT/BOOTX64.EFI': b'no program' * 100}):
            with self.subTest(files=list(files)):
                self.assertEqual(set(), self.found(files))

    def test_firmware_finds_nothing_in_what_is_not_a_fat(self) -> None:
        for content in (bytes(16 * MIB), random.Random(1).randbytes(16 * MIB)):
            self.assertEqual(set(), self.look(content))
            self.assertEqual(('no FAT volume (no boot sector)',), self.others)

    def test_programs_that_no_firmware_starts_are_named(self) -> None:
        self.found({'/EFI/debian/shimx64.efi': disks.program(X86_64),
                    '/tool.efi': disks.program(X86_64)})
        self.assertEqual(('TOOL.EFI', 'EFI/DEBIAN/SHIMX64.EFI'), self.others)
        self.found({f'/EFI/boot{number}/x.efi': disks.program(X86_64)
                    for number in range(9)})
        self.assertEqual(4, len(self.others))

    def test_the_path_that_firmware_takes(self) -> None:
        for arch, name in ((None, 'X64'), ('amd64', 'X64'), ('arm64', 'AA64'),
                           ('riscv64', 'RISCV64'), ('ppc64le', 'X64')):
            self.assertEqual(f'EFI/BOOT/BOOT{name}.EFI',
                             efi_programs.default(arch))

    def test_nothing_outside_of_the_partition_is_read(self) -> None:
        self.found({'/EFI/BOOT/BOOTX64.EFI': disks.program(X86_64)})
        for offset, length in self.reads:
            self.assertGreaterEqual(offset, MIB)
            self.assertLessEqual(offset + length, 17 * MIB)

    def test_few_and_small_reads(self) -> None:
        """Each may be a request to a web server."""
        self.found({f'/EFI/vendor{number}/grub.efi': disks.program(X86_64)
                    for number in range(20)})
        self.assertLessEqual(len(self.reads), 10)
        self.assertLessEqual(sum(length for _, length in self.reads), MIB)

    def test_a_cluster_that_is_its_own_child(self) -> None:
        """Its own continuation as well: every directory is every other."""
        volume = bytearray(disks.fat(self.directory / 'esp', 3 * MIB, {
            '/EFI/EFI/EFI': b'x'}, bits=12))
        reserved, fats = struct.unpack_from('<HB', volume, 14)
        fat_sectors, = struct.unpack_from('<H', volume, 22)
        root_at = (reserved + fats * fat_sectors) * 512
        data_at = root_at + struct.unpack_from('<H', volume, 17)[0] * 32
        entry = b'EFI        ' + struct.pack(
            '<B8xH4xHI', 0x10, 0, 2, 0)
        volume[root_at:root_at + 32] = entry
        cluster = volume[13] * 512
        volume[data_at:data_at + cluster] = entry * (cluster // 32)
        # FAT12: the cluster 2 is followed by the cluster 2.
        at = reserved * 512 + 3
        volume[at:at + 2] = struct.pack('<H', 2 | volume[at + 1] << 8 & 0xf000)
        self.reads.clear()
        began = time.thread_time()
        self.assertEqual(set(), self.look(volume))
        self.assertIn('follows itself', self.others[0])
        self.assertLess(time.thread_time() - began, 2)
        self.assertLess(len(self.reads), 10)

    def test_the_look_draws_from_a_budget(self) -> None:
        volume = disks.fat(self.directory / 'esp', 16 * MIB, {
            '/EFI/BOOT/BOOTX64.EFI': disks.program(X86_64)})
        esp = partitions.Partition(number=1, start=0, length=16 * MIB,
                                   type=partitions.ESP)
        for entries in (1, 5, 10):
            with self.assertRaises(exceptions.TooComplex):
                efi_programs.find(
                    lambda offset, length: volume[offset:offset + length],
                    [esp], budget.Budget(entries=entries))

    def test_a_damaged_volume_costs_no_more(self) -> None:
        dice = random.Random(3)
        volume = bytearray(disks.fat(self.directory / 'esp', 16 * MIB, {
            '/EFI/BOOT/BOOTX64.EFI': disks.program(X86_64)}))
        for _ in range(300):
            at = dice.randrange(11, 90 * 1024)
            good = volume[at:at + 8]
            volume[at:at + 8] = dice.randbytes(8)
            self.reads.clear()
            self.look(volume)
            volume[at:at + 8] = good
            self.assertLessEqual(sum(length for _, length in self.reads),
                                 8 * MIB)


class CanonicalTest(base.EngineTestCase):

    def test_other_names(self) -> None:
        for name, canonical in (
                ('x86_64', 'x86_64'), ('AMD64', 'x86_64'),
                ('arm64', 'aarch64'), ('aarch64', 'aarch64'),
                ('i386', 'i686'), ('ppc64le', 'ppc64le')):
            self.assertEqual(canonical, efi_programs.canonical(name))
