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

import os
import zlib

from ironic_imagedeploy.engine.contents import gpt_repair
from ironic_imagedeploy.engine.contents import partitions
from ironic_imagedeploy.engine import exceptions
from tests.unit.engine import base
from tests.unit.engine.contents import partition_tables
from tests.unit.engine import disks

read_table = partition_tables.read_table
MIB = base.MIB
Entry = disks.Entry


class BackupTest(partition_tables.PartitionsTestCase):
    """Both halves of a GPT are checked; one of them decides."""

    def flaws(self, disk: bytes | bytearray) -> list[partitions.Flaw]:
        """What is wrong in a table that can be read."""
        self.reads: list[tuple[int, int]] = []

        def read(offset: int, length: int) -> bytes:
            self.reads.append((offset, length))
            return bytes(disk[offset:offset + length])

        table = self.table(disk)
        found = list(partitions.flaws(read, len(disk), table))
        for flaw in found:
            self.assertTrue(flaw.expected and flaw.found)
        return found

    def made(self, *commands: str, size: int = 8 * MIB) -> bytearray:
        path = self.directory / 'disk'
        path.touch()
        os.truncate(path, 0)
        os.truncate(path, size)
        base.run('sgdisk', *commands, path)
        return bytearray(path.read_bytes())

    def test_good_ones(self) -> None:
        for disk in (self.made('-n', '1:2048:4095', '-n', '2:4096:8191'),
                     disks.gpt(MIB, [Entry(100, 200)]),
                     disks.gpt(8 * MIB, [Entry(256, 300)], sector_size=4096),
                     disks.mbr(MIB, [(0, 0x83, 1, 10)])):
            self.assertEqual([], self.flaws(disk))

    def test_a_small_read_is_enough(self) -> None:
        self.flaws(self.made('-n', '1:2048:4095'))
        self.assertLessEqual(len(self.reads), 2)
        self.assertLessEqual(sum(length for _, length in self.reads),
                             17 << 10)

    def test_a_disk_that_grew(self) -> None:
        """Its backup is where the disk ended, or was moved."""
        disk = self.made('-n', '1:2048:4095')
        self.assertEqual([], self.flaws(disk + bytes(8 * MIB)))
        path = self.directory / 'disk'
        os.truncate(path, 16 * MIB)
        base.run('sgdisk', '-e', path)
        self.assertEqual([], self.flaws(bytearray(path.read_bytes())))

    def test_a_backup_that_is_only_at_the_end(self) -> None:
        disk = disks.gpt(MIB, [Entry(100, 200)], backup=1000)
        good = disks.gpt(MIB, [Entry(100, 200)])
        disk[-20 << 10:] = good[-20 << 10:]
        self.assertEqual([], self.flaws(disk))

    def test_no_backup(self) -> None:
        disk = self.made('-n', '1:2048:4095')
        disk[-512:] = bytes(512)
        flaw, = self.flaws(disk)
        self.assertIn('16383', flaw.expected)
        self.assertEqual('none', flaw.found)

    def test_a_disk_without_its_end(self) -> None:
        """All partitions are there: the end is made again on the disk."""
        disk = self.made('-n', '1:2048:4095')
        short = 'an image of {} bytes'.format
        for size, found in (
                (8 * MIB - 512, [('none', 'tolerated')]),
                (8 * MIB - 33 * 512, [('none', 'tolerated')]),
                (3 * MIB, [(short(3 * MIB), 'tolerated'),
                           ('none', 'tolerated')]),
                # The backup has no room there: no tool can make it.
                (2 * MIB, [(short(2 * MIB), 'cut')])):
            self.assertEqual(found, [
                (flaw.found, flaw.mend)
                for flaw in self.flaws(disk[:size])])
            self.assertEqual(found[-1][1] == 'tolerated',
                             self.can_be_repaired(disk[:size]))
        full = self.made('-n', '1:2048:16350')
        self.assertEqual([('no room for it', 'cut')], [
            (flaw.found, flaw.mend)
            for flaw in self.flaws(full[:16351 * 512])])

    def can_be_repaired(self, disk: bytearray) -> bool:
        """Whether both halves can be made in a disk of this size."""
        try:
            return bool(gpt_repair.writes(
                lambda offset, length: bytes(disk[offset:offset + length]),
                len(disk)))
        except exceptions.BadContent:
            return False

    def test_a_partition_where_none_may_be(self) -> None:
        disk = self.made('-n', '1:2048:4095')
        disk[512 + 40:512 + 48] = (2049).to_bytes(8, 'little')
        disk[512 + 16:512 + 20] = bytes(4)
        disk[512 + 16:512 + 20] = zlib.crc32(
            disk[512:512 + 92]).to_bytes(4, 'little')
        for _ in range(2):
            self.assertEqual([(
                f'partitions from byte {2049 * 512} to {16351 * 512 - 1}, as '
                'the GPT says', 'outside')], [
                (flaw.expected, flaw.mend) for flaw in self.flaws(disk)])
            # It does not come of a repair.
            for write in gpt_repair.writes(
                    lambda offset, length: bytes(
                        disk[offset:offset + length]), len(disk)):
                end = write.start + len(write.content)
                disk[write.start:end] = write.content

    def test_a_damaged_backup(self) -> None:
        good = self.made('-n', '1:2048:4095')
        for at in (-512 + 60, -512 + 20, -33 * 512, -33 * 512 + 127 * 128):
            disk = good.copy()
            disk[at] ^= 1
            self.assertEqual(1, len(self.flaws(disk)))

    def test_a_backup_of_other_partitions(self) -> None:
        disk = self.made('-n', '1:2048:4095')
        for other in (self.made('-n', '1:2048:4097'),
                      self.made('-n', '1:2048:4095')):
            mixed = disk[:MIB] + other[MIB:]
            self.assertEqual(['others'], [
                flaw.found for flaw in self.flaws(mixed)])

    def test_a_damaged_table_with_a_good_backup(self) -> None:
        """Linux and BIOS do not look at the backup by themselves."""
        good = self.made('-n', '1:2048:4095')
        for at in (512, 512 + 60, 1024 + 5):
            disk = good.copy()
            disk[at] ^= 1
            with self.assertRaises(exceptions.BadContent) as caught:
                read_table(disk)
            self.assertEqual('corrupt', caught.exception.code)
            self.assertIn('good backup', caught.exception.found)
            # What it says to do is what helps.
            path = self.directory / 'damaged'
            path.write_bytes(disk)
            self.assertIn('repair-gpt', caught.exception.fix)
            base.run('sgdisk', '-e', path)
            self.assertEqual([], self.flaws(bytearray(path.read_bytes())))

    def test_both_are_damaged(self) -> None:
        disk = self.made('-n', '1:2048:4095')
        disk[600] ^= 1
        disk[-500] ^= 1
        with self.assertRaises(exceptions.BadContent) as caught:
            read_table(disk)
        self.assertEqual('', caught.exception.fix)

    def test_a_header_for_another_place(self) -> None:
        self.assert_bad('corrupt', disks.gpt(MIB, own=2), 'sector 1')

    def test_entries_where_the_header_is(self) -> None:
        """Written anew, they would damage each other."""
        for sector in (0, 1):
            self.assert_bad('corrupt', disks.gpt(MIB, entries_at=sector),
                            f'entries from sector {sector}')

    def test_partitions_that_overlap(self) -> None:
        for entries in ((Entry(100, 200), Entry(200, 300)),
                        (Entry(100, 300), Entry(150, 160)),
                        (Entry(300, 400), Entry(100, 300))):
            disk = disks.gpt(MIB, entries)
            self.assert_bad('corrupt', disk, 'overlap')
            # Both halves agree: a repair would change nothing.
            with self.assertRaises(exceptions.BadContent) as caught:
                read_table(disk)
            self.assertEqual('', caught.exception.fix)
        self.table(disks.gpt(MIB, [Entry(201, 300), Entry(100, 200)]))

    def test_partitions_outside_of_what_the_table_says(self) -> None:
        for first, last in ((3, 20), (2020, 2047)):
            flaw, = self.flaws(disks.gpt(
                MIB, [Entry(first, last)], first_usable=10,
                last_usable=2030))
            self.assertIn('partition 1', flaw.found)

    def test_a_gpt_that_was_left_behind(self) -> None:
        """Who partitions a disk anew by MBR may not wipe its GPT."""
        disk = self.made('-n', '1:2048:4095')
        disk[:512] = disks.mbr(512, [(0x80, 0x83, 2048, 8192)])
        for damage in (600, 513):
            self.assertEqual('mbr', self.table(disk).kind)
            disk[damage] ^= 1

    def test_a_gpt_for_other_sectors_that_was_left_behind(self) -> None:
        disk = disks.gpt(8 * MIB, [Entry(256, 511)], sector_size=4096)
        stale = disks.gpt(MIB, header_crc=1)
        disk[512:1024] = stale[512:1024]
        self.assertEqual(4096, self.table(disk).sector_size)
