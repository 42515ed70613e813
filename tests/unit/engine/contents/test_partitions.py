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
import uuid
import zlib

from ironic_imagedeploy.engine.contents import partitions
from ironic_imagedeploy.engine import exceptions
from tests.unit.engine import base
from tests.unit.engine.contents import partition_tables
from tests.unit.engine import disks

read_table = partition_tables.read_table
KIB = base.KIB
MIB = base.MIB
Entry = disks.Entry
Partition = partitions.Partition
#: Of partitions that sgdisk makes.
UUIDS = [str(uuid.UUID(int=0x1234 << 100 | number)) for number in range(3)]


class GptTest(partition_tables.PartitionsTestCase):

    def test_made_by_sgdisk(self) -> None:
        front = self.made_by(
            'sgdisk', '-o', '-n', '1:2048:+1M', '-t', '1:ef02', '-c',
            '1:BIOS', '-n', '2:4096:+10M', '-t', '2:ef00', '-c', '2:EFI',
            '-n', '15:40960:0', '-t', '15:8300', '-c',
            '15:Wurzel „ä€😀"', '-A', '15:set:2', *(
                f'--partition-guid={number}:{uuid}'
                for number, uuid in zip((1, 2, 15), UUIDS, strict=True)))
        table = read_table(front, 64 * MIB)
        assert table is not None
        self.assertEqual(('gpt', 512, False, table.partitions[1]), (
            table.kind, table.sector_size, table.boot_code, table.esp))
        self.assertEqual((
            Partition(number=1, start=MIB, length=MIB, name='BIOS',
                      type=partitions.BIOS_BOOT, uuid=UUIDS[0]),
            Partition(number=2, start=2 * MIB, length=10 * MIB, name='EFI',
                      type=partitions.ESP, uuid=UUIDS[1]),
            # sgdisk ends the last one at a whole MiB.
            Partition(number=15, start=20 * MIB,
                      length=table.partitions[2].length,
                      name='Wurzel „ä€😀"', type=disks.LINUX,
                      bootable=True, uuid=UUIDS[2])), table.partitions)
        self.assertGreater(table.partitions[2].length, 42 * MIB)

    def test_made_by_sfdisk(self) -> None:
        front = self.made_by('sfdisk', '-q', script='label: gpt\n'
                             'start=2048, size=2048, type=U\n'
                             'start=8192, type=L, bootable\n')
        table = read_table(front, 64 * MIB)
        assert table is not None
        self.assertEqual(
            [(1, MIB, MIB, disks.ESP), (2, 4 * MIB, disks.LINUX)],
            [(1, MIB, MIB, table.partitions[0].type),
             (2, table.partitions[1].start, table.partitions[1].type)])

    def test_sectors_of_4096_bytes(self) -> None:
        disk = disks.gpt(8 * MIB, [
            Entry(256, 511, disks.ESP, 'ESP'.encode('utf-16-le')),
            Entry(512, 2046)], sector_size=4096)
        table = self.table(disk)
        self.assertEqual(('gpt', 4096, table.partitions[0]), (
            table.kind, table.sector_size, table.esp))
        self.assertEqual((
            Partition(number=1, start=MIB, length=MIB, type=disks.ESP,
                      name='ESP', uuid=str(uuid.UUID(int=1))),
            Partition(number=2, start=2 * MIB, length=1535 * 4096,
                      type=disks.LINUX, uuid=str(uuid.UUID(int=2)))),
            table.partitions)

    def test_boot_code(self) -> None:
        for code, found in ((b'', False), (b'\xeb\x63', True),
                            (bytes(439) + b'\1', True),
                            (bytes(440) + b'\1\2\3\4', False)):
            table = self.table(disks.gpt(MIB, boot_code=code))
            self.assertEqual(found, table.boot_code)

    def test_the_first_of_several_esps(self) -> None:
        table = self.table(disks.gpt(MIB, [
            Entry(100, 200), Entry(300, 400, disks.ESP),
            Entry(50, 60, disks.ESP)]))
        self.assertEqual(table.partitions[1], table.esp)
        self.assertIsNone(self.table(disks.gpt(MIB, [Entry(1, 2)])).esp)

    def test_no_partitions(self) -> None:
        self.assertEqual((), self.table(disks.gpt(MIB)).partitions)

    def test_entries_that_linux_does_not_read(self) -> None:
        """UEFI lets them be longer; Linux finds no partition then."""
        for size in (0, 1, 127, 129, 256, 1024, 4096):
            entries = [Entry(900, 910)] if size > 128 else []
            self.assert_bad('corrupt', disks.gpt(
                MIB, entries, entry_size=size, count=4),
                '128 bytes', f'{size} bytes')
        self.assert_bad('corrupt', disks.gpt(MIB, count=0), '0 entries')

    def test_no_sector_that_can_be_used(self) -> None:
        """Linux takes such a table for none, whatever is in it."""
        for first, last in ((34, 33), (2000, 100), ((1 << 64) - 1, 2000)):
            self.assert_bad('corrupt', disks.gpt(
                MIB, [Entry(100, 200)], first_usable=first,
                last_usable=last), f'{first} is the first', f'{last} the last')
        self.table(disks.gpt(MIB, first_usable=34, last_usable=34))

    def test_a_header_that_is_larger_than_usual(self) -> None:
        for size in (92, 100, 512):
            self.table(disks.gpt(MIB, header_size=size))
        for size in (0, 91, 513, 0xffffffff):
            with self.subTest(size=size):
                self.assert_bad('corrupt', disks.gpt(MIB, header_size=size))
        for size in (513, 600, 4096):
            self.table(disks.gpt(MIB, header_size=size, sector_size=4096))
        self.assert_bad('corrupt', disks.gpt(
            MIB, header_size=4097, sector_size=4096))

    def test_a_disk_that_was_enlarged(self) -> None:
        """Its backup is not at the end any more, as after a resize."""
        disk = disks.gpt(MIB, [Entry(100, 200)]) + bytes(MIB)
        self.assertEqual(1, len(self.table(disk).partitions))

    def test_a_wrong_checksum_of_the_header(self) -> None:
        self.assert_bad('corrupt', disks.gpt(MIB, header_crc=1))
        disk = disks.gpt(MIB)
        disk[512 + 60] ^= 1
        self.assert_bad('corrupt', disk)

    def test_a_wrong_checksum_of_the_entries(self) -> None:
        self.assert_bad('corrupt', disks.gpt(MIB, entries_crc=1))
        disk = disks.gpt(MIB, [Entry(100, 200)])
        disk[1024 + 127 * 128] ^= 1
        self.assert_bad('corrupt', disk)

    def test_a_disk_that_was_cut_off(self) -> None:
        disk = disks.gpt(8 * MIB, [Entry(2048, 4095)])
        self.assert_bad('truncated', disk[:2 * MIB - 512], 'partition 1',
                        str(2 * MIB), str(2 * MIB - 512))
        for size in (8 * MIB - 512, 8 * MIB - 33 * 512, 2 * MIB):
            table = self.table(disk[:size])
            self.assertEqual(1, len(table.partitions))
            self.assertEqual(8 * MIB - 512, table.least_disk)

    def test_a_disk_that_ends_in_the_header(self) -> None:
        for sector_size in (512, 4096):
            disk = disks.gpt(MIB, sector_size=sector_size)
            for length in (1, 8, 16, 91, 92, 511):
                with self.subTest(sector_size=sector_size, length=length):
                    with self.assertRaises(exceptions.BadContent):
                        read_table(disk[:sector_size + length])

    def test_last_sectors_outside_of_the_disk(self) -> None:
        """Of use on a disk that is as large as the table says."""
        for sector in (2048, 1 << 40, (1 << 64) - 1):
            table = self.table(disks.gpt(MIB, [Entry(100, 200)],
                                         last_usable=sector))
            self.assertEqual((sector + 1) * 512, table.least_disk)
            table = self.table(disks.gpt(MIB, [Entry(100, 200)],
                                         backup=sector))
            self.assertEqual(2047 * 512, table.least_disk)

    def test_partitions_outside_of_the_disk(self) -> None:
        for first, last in ((100, 2048), (2048, 2049), (1 << 40, 1 << 41),
                            (0, (1 << 64) - 1), ((1 << 64) - 1,) * 2):
            with self.subTest(first=first, last=last):
                self.assert_bad('corrupt', disks.gpt(
                    MIB, [Entry(50, 60), Entry(first, last)]),
                    'partition 2')

    def test_a_partition_that_ends_before_it_starts(self) -> None:
        self.assert_bad('corrupt', disks.gpt(MIB, [Entry(200, 199)]),
                        'partition 1')
        self.assertEqual(512, self.table(disks.gpt(
            MIB, [Entry(200, 200)])).partitions[0].length)

    def test_a_table_of_entries_that_is_too_large(self) -> None:
        for count, entry_size in ((1025, 128), (0xffffffff, 128),
                                  (1, 0xffffffff), (2, 1 << 17)):
            with self.subTest(count=count, entry_size=entry_size):
                self.assert_bad('corrupt', disks.gpt(
                    MIB, count=count, entry_size=entry_size), str(count))
        self.table(disks.gpt(MIB, count=1024))

    def test_entries_outside_of_the_disk(self) -> None:
        for sector in (2000, 2048, 1 << 40, (1 << 64) - 1):
            with self.subTest(sector=sector):
                self.assert_bad('corrupt', disks.gpt(
                    MIB, [Entry(100, 200)], entries_at=sector))

    def test_entries_that_end_with_the_disk(self) -> None:
        # The checksum is right for as much as there is of them.
        size = MIB
        for at in (size // 512 - 2, size // 512, 1 << 62):
            rest = bytes(max(size - at * 512, 0))
            with self.subTest(at=at):
                self.assert_bad('corrupt', disks.gpt(
                    size, entries_at=at, backup=1,
                    entries_crc=zlib.crc32(rest)))

    def test_hostile_names(self) -> None:
        for name, seen in (
                ('\x1b[2J\x07\r\nroot'.encode('utf-16-le'),
                 '\x1b[2J\x07\r\nroot'),
                (b'\x00\xd8' * 36, '\ufffd' * 36),
                (b'A\0\0\0B\0', 'A'), (b'\xff' * 72, '\uffff' * 36),
                (b'x\0' * 36, 'x' * 36), (b'', '')):
            disk = disks.gpt(MIB, [Entry(100, 200, name=name)])
            self.assertEqual(seen, self.table(disk).partitions[0].name)

    def test_without_a_boot_signature_there_is_no_table(self) -> None:
        disk = disks.gpt(MIB, [Entry(100, 200)])
        disk[510] = 0
        self.assertIsNone(read_table(disk))
        self.assertFalse(partitions.has_gpt(bytes(disk)))

    def test_has_gpt(self) -> None:
        for sector_size in (512, 4096):
            self.assertTrue(partitions.has_gpt(bytes(disks.gpt(
                MIB, sector_size=sector_size))))
        for disk in (b'', bytes(8192), bytes(disks.mbr(
                MIB, [(0, 0x83, 1, 1)]))):
            self.assertFalse(partitions.has_gpt(disk))


class MbrTest(partition_tables.PartitionsTestCase):

    def test_made_by_sfdisk(self) -> None:
        front = self.made_by('sfdisk', '-q', script='label: dos\n'
                             'label-id: 0x0123abcd\n'
                             'start=2048, size=2048, type=ef\n'
                             'start=4096, size=8192, type=83, bootable\n'
                             'start=16384, size=4096, type=5\n'
                             'start=18432, size=1024, type=82\n')
        table = read_table(front, 64 * MIB)
        assert table is not None
        self.assertEqual(('mbr', None, False, table.partitions[0]), (
            table.kind, table.sector_size, table.boot_code, table.esp))
        self.assertEqual((
            Partition(number=1, start=MIB, length=MIB, type='0xef',
                      uuid='0123abcd-01'),
            Partition(number=2, start=2 * MIB, length=4 * MIB, type='0x83',
                      bootable=True, uuid='0123abcd-02'),
            Partition(number=3, start=8 * MIB, length=2 * MIB,
                      type='0x05', uuid='0123abcd-03')), table.partitions)

    def test_boot_code(self) -> None:
        disk = disks.mbr(MIB, [(0x80, 0x83, 1, 10)], boot_code=b'\xfa')
        self.assertTrue(self.table(disk).boot_code)

    def test_a_table_without_partitions_is_none(self) -> None:
        self.assertIsNone(read_table(disks.mbr(MIB, [])))
        self.assertIsNone(read_table(disks.mbr(MIB, [(0, 0x83, 5, 0)])))
        self.assertIsNone(read_table(bytes(MIB)))

    def test_a_short_disk_has_none(self) -> None:
        disk = disks.mbr(MIB, [(0, 0x83, 1, 10)])
        for length in (0, 1, 511):
            self.assertIsNone(read_table(disk[:length]))

    def test_partitions_outside_of_the_disk(self) -> None:
        for start, length in ((1, 2048), (2048, 1), (1, 0xffffffff),
                              (0xffffffff, 0xffffffff)):
            with self.subTest(start=start, length=length):
                self.assert_bad('truncated', disks.mbr(
                    MIB, [(0, 0x83, 1, 1), (0, 0x83, start, length)]),
                    str(MIB))
        self.table(disks.mbr(MIB, [(0, 0x83, 1, 2047)]))

    def test_a_protective_table_without_its_gpt(self) -> None:
        self.assert_bad('corrupt', disks.mbr(
            MIB, [(0, 0xee, 1, 2047)]), 'GPT')

    def test_a_hybrid_table(self) -> None:
        """The GPT counts, whatever else the MBR has."""
        disk = disks.gpt(MIB, [Entry(100, 200)])
        hybrid = disks.mbr(512, [(0, 0x83, 100, 101), (0, 0xee, 1, 99)])
        disk[:512] = hybrid
        self.assertEqual('gpt', self.table(disk).kind)

    def test_the_content_tells_the_sectors(self) -> None:
        """A partition begins with its file system, in one unit or another."""
        for unit in (512, 4096):
            disk = disks.mbr(64 * MIB, [
                (0, 0x0f, 1, 4096), (0x80, 0x83, 2048, 512)])
            start = 2048 * unit
            disk[start:start + 4] = b'XFSB'
            table = self.table(disk)
            self.assertEqual((unit, start, 512 * unit), (
                table.sector_size, table.partitions[1].start,
                table.partitions[1].length))

    def test_without_content_nothing_tells_them(self) -> None:
        table = self.table(disks.mbr(MIB, [(0, 0x83, 1, 10)]))
        self.assertEqual((None, 512), (
            table.sector_size, table.partitions[0].start))

    def test_what_only_looks_like_a_table(self) -> None:
        for entry in ((0x41, 0x83, 1, 10), (1, 0x83, 1, 10),
                      (0, 0x83, 0, 10)):
            with self.subTest(entry=entry):
                self.assertIsNone(read_table(disks.mbr(MIB, [entry])))

    def test_boot_sectors_of_file_systems_are_no_tables(self) -> None:
        for bits in ('12', '16', '32'):
            front = self.made_by('mkfs.vfat', '-F', bits)
            self.assertEqual(b'\x55\xaa', front[510:512])
            self.assertIsNone(read_table(front, 64 * MIB))


class DamageTest(partition_tables.PartitionsTestCase):

    def test_damaged_tables_are_read_or_refused(self) -> None:
        dice = random.Random(11)
        good = [disks.gpt(64 * KIB, [Entry(70, 80), Entry(81, 90)], count=8),
                disks.gpt(64 * KIB, [Entry(8, 9)], count=8,
                          sector_size=4096),
                disks.mbr(64 * KIB, [(0, 0x83, 1, 10), (0x80, 7, 20, 3)])]
        outcomes = set()
        for _ in range(4000):
            disk = bytearray(dice.choice(good))
            at = dice.choice((dice.randrange(440, 512),
                              dice.randrange(512, 1400),
                              dice.randrange(4096, 4200),
                              dice.randrange(8192, 8400)))
            if dice.random() < 0.5:
                disk[at] = dice.randrange(256)
            else:
                struct.pack_into('<Q', disk, at, dice.getrandbits(64))
            try:
                table = read_table(disk[:dice.choice((65536, 65536, at))])
                outcomes.add(table.kind if table else None)
            except exceptions.BadContent as bad:
                outcomes.add(bad.code)
        self.assertEqual({'gpt', 'mbr', None, 'corrupt', 'truncated'},
                         outcomes)

    def test_fields_of_a_gpt_with_right_checksums(self) -> None:
        dice = random.Random(12)
        for _ in range(2000):
            value = dice.choice((0, 1, 2, 33, 127, 128, 1 << 31,
                                 (1 << 32) - 1, 1 << 63, (1 << 64) - 1))
            name = dice.choice(('header_size', 'backup', 'last_usable',
                                'entries_at', 'entry_size', 'count'))
            if name in ('header_size', 'entry_size', 'count'):
                value &= 0xffffffff
            options = {name: value}
            try:
                disk = disks.gpt(64 * KIB, **options)
                read_table(disk)
            except exceptions.BadContent:
                pass
