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
import pathlib
import random
import subprocess

from ironic_imagedeploy.engine.contents import gpt_repair
from ironic_imagedeploy.engine.contents import partitions
from ironic_imagedeploy.engine import exceptions
from tests.unit.engine import base
from tests.unit.engine import disks

MIB = base.MIB
SECTOR = 512
Entry = disks.Entry


class RepairTestCase(base.EngineTestCase):

    def made(self, *commands: str, size: int = 8 * MIB) -> bytearray:
        """A disk that sgdisk has partitioned."""
        path = self.directory / 'disk'
        path.touch()
        os.truncate(path, 0)
        os.truncate(path, size)
        base.run('sgdisk', *commands, path)
        return bytearray(path.read_bytes())

    def writes(self, disk: bytes | bytearray) -> list[gpt_repair.Write]:
        return gpt_repair.writes(
            lambda offset, length: bytes(disk[offset:offset + length]),
            len(disk))

    def repaired(self, disk: bytes | bytearray) -> bytearray:
        """The disk, which has nothing to be repaired any more."""
        repaired = bytearray(disk)
        for write in self.writes(disk):
            repaired[write.start:write.start + len(write.content)] = (
                write.content)
        self.assertEqual([], self.writes(repaired))
        return repaired

    def assert_good(self, disk: bytes | bytearray) -> None:
        """The judgement of sgdisk, of sfdisk, and ours."""
        path = pathlib.Path(self.save('good', bytes(disk)))
        self.assertIn('No problems found', base.run('sgdisk', '-v', path))
        done = subprocess.run(['sfdisk', '--verify', path], check=True,
                              capture_output=True, text=True)
        self.assertNotRegex(done.stdout + done.stderr, 'corrupt|not on the')

        def read(offset: int, length: int) -> bytes:
            return bytes(disk[offset:offset + length])

        table = partitions.read_table(read, len(disk))
        assert table is not None
        self.assertEqual([], list(partitions.flaws(read, len(disk), table)))


class RepairTest(RepairTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.disk = self.made('-n', '1:2048:4095', '-c', '1:root', '-n',
                              '2:4096:8191', '-t', '2:ef00', '-A', '1:set:2')

    def test_a_whole_one_stays(self) -> None:
        self.assertEqual([], self.writes(self.disk))

    def test_no_gpt_stays(self) -> None:
        for disk in (bytes(8 * MIB), disks.mbr(MIB, [(0, 0x83, 1, 10)]),
                     random.Random(1).randbytes(MIB)):
            self.assertEqual([], self.writes(disk))

    def test_a_disk_that_grew_is_as_sgdisk_makes_it(self) -> None:
        for more in (SECTOR, MIB, 56 * MIB):
            with self.subTest(more=more):
                grown = self.disk + bytes(more)
                ours = self.repaired(grown)
                path = pathlib.Path(self.save('theirs', bytes(grown)))
                base.run('sgdisk', '-e', path)
                theirs = path.read_bytes()
                # It changes the end in cylinders too, which nobody reads.
                self.assert_same(theirs[454:], ours[454:])
                self.assert_good(ours)

    def test_a_disk_that_grew_is_as_sfdisk_makes_it(self) -> None:
        grown = self.disk + bytes(8 * MIB)
        path = pathlib.Path(self.save('theirs', bytes(grown)))
        base.run('sfdisk', '-q', '--relocate', 'gpt-bak-std', path)
        self.assert_same(path.read_bytes()[SECTOR:],
                         self.repaired(grown)[SECTOR:])

    def test_either_half_alone(self) -> None:
        for at in (SECTOR, SECTOR + 16, 2 * SECTOR + 5, 3 * SECTOR,
                   len(self.disk) - SECTOR, len(self.disk) - SECTOR + 50,
                   len(self.disk) - 33 * SECTOR + 7):
            with self.subTest(at=at):
                damaged = bytearray(self.disk)
                damaged[at] ^= 0xff
                self.assertTrue(self.writes(damaged))
                self.assert_same(self.disk, self.repaired(damaged))

    def test_large_sectors(self) -> None:
        disk = self.repaired(disks.gpt(8 * MIB, [Entry(256, 300)],
                                       sector_size=4096))
        for damaged in (disk[:4096] + bytes(4096) + disk[8192:],
                        disk[:-4096] + bytes(4096)):
            self.assert_same(disk, self.repaired(damaged))
        grown = self.repaired(disk + bytes(MIB))
        table = partitions.read_table(
            lambda offset, length: bytes(grown[offset:offset + length]),
            len(grown))
        assert table is not None
        self.assertEqual(4096, table.sector_size)

    def test_no_half_is_good(self) -> None:
        self.disk[SECTOR + 20] ^= 1
        self.disk[-SECTOR + 20] ^= 1
        with self.assertRaises(exceptions.BadContent):
            self.writes(self.disk)

    def test_one_half_is_good_at_every_moment(self) -> None:
        """Whatever of the writes before a flush is on the medium."""
        for damaged in (self.disk + bytes(MIB),
                        self.disk[:SECTOR] + bytes(40 * SECTOR)
                        + self.disk[41 * SECTOR:],
                        self.disk[:-40 * SECTOR] + bytes(40 * SECTOR)):
            settled = bytearray(damaged)
            pending: list[gpt_repair.Write] = []
            for write in self.writes(damaged):
                pending.append(write)
                for number in range(1 << len(pending)):
                    seen = bytearray(settled)
                    for index, each in enumerate(pending):
                        if number >> index & 1:
                            seen[each.start:each.start
                                 + len(each.content)] = each.content
                    self.assertTrue(self.is_known(seen))
                if write.flush:
                    for each in pending:
                        settled[each.start:each.start
                                + len(each.content)] = each.content
                    pending = []
            self.assertEqual([], pending)

    def is_known(self, disk: bytearray) -> bool:
        """Whether the next repair would find a good half."""
        try:
            self.writes(disk)
        except exceptions.BadContent:
            return False
        return True

    def test_a_partition_where_the_backup_belongs(self) -> None:
        end = len(self.disk) // SECTOR
        disk = self.made('-n', f'1:2048:{end - 34}')
        with self.assertRaisesRegex(exceptions.BadContent, 'room'):
            self.writes(disk[:-SECTOR])

    def test_no_sector_could_be_used_any_more(self) -> None:
        disk = disks.gpt(8 * MIB, [Entry(100, 200)], first_usable=8000,
                         last_usable=9000)
        with self.assertRaisesRegex(exceptions.BadContent, 'sector 8000'):
            self.writes(disk[:2 * MIB])

    def test_a_hybrid_keeps_its_first_sector(self) -> None:
        disk = self.made('-n', '1:2048:4095', '-h', '1:EE')
        grown = self.repaired(disk + bytes(MIB))
        self.assert_same(disk[:SECTOR], grown[:SECTOR])

    def test_a_larger_header_keeps_what_nobody_knows(self) -> None:
        disk = bytearray(self.disk)
        for start in (SECTOR, len(disk) - SECTOR):
            disk[start + 12] = 128
            disk[start + 100] = 7
            disk[start + 16:start + 20] = bytes(4)
            disk[start + 16:start + 20] = disks.zlib.crc32(
                disk[start:start + 128]).to_bytes(4, 'little')
        self.assertEqual([], self.writes(disk))
        grown = self.repaired(disk + bytes(MIB))
        self.assertEqual((128, 7), (grown[-SECTOR + 12], grown[-SECTOR + 100]))
