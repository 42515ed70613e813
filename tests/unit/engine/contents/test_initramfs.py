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

import itertools
import random

from ironic_imagedeploy.engine import budget
from ironic_imagedeploy.engine.contents import initramfs
from ironic_imagedeploy.engine import exceptions
from tests.support import boot_files
from tests.support import initramfs as archives
from tests.unit.engine import base


FILES = {'usr/sbin/mdadm': b'\x7fELF', 'init': b'#!/bin/sh\n',
         'usr/lib/modules/6.1/kernel/drivers/ata/ahci.ko': b'\2' * 70_000,
         'usr/lib/modules/6.1/kernel/drivers/scsi/megaraid/'
         'megaraid-sas.ko.xz': b'\3' * 40_001}
ARCHIVE = boot_files.archive(FILES)
AHCI, MEGARAID = frozenset({'ahci'}), frozenset({'megaraid_sas'})
MDADM, NVME = frozenset({'mdadm'}), frozenset({'nvme'})
DAMAGED = (exceptions.UnreadableContent, exceptions.TooComplex)


class InitramfsTest(base.EngineTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.one = archives.archive(archives.tree(
            self.directory / 'one', 'a', 'lib/b'))
        self.two = archives.archive(archives.tree(
            self.directory / 'two', 'usr/c'))

    def read(self, content: bytes, piece: int = 4096
             ) -> tuple[list[tuple[str | None, int, int]], list[str]]:
        whole = initramfs.Initramfs(
            (content[at:at + piece]
             for at in range(0, len(content), piece)), budget.Budget())
        names = [f'{len(whole.segments)} {name}' for name in whole.names()]
        return [(segment.compression, segment.start, segment.end)
                for segment in whole.segments], names

    def test_one(self) -> None:
        for kind, pack in archives.PACKERS.items():
            content = pack(self.one)
            for piece in (100, 4096, 1 << 20):
                with self.subTest(kind, piece=piece):
                    segments, names = self.read(content, piece)
                self.assertEqual(['0 a', '0 lib', '0 lib/b'], names)
                self.assertEqual(kind, segments[0][0])
                # cpio pads what it makes with zeroes.
                self.assertEqual(b'', content[segments[0][2]:].strip(b'\0'))

    def test_several(self) -> None:
        """As early microcode comes before the rest."""
        for kinds in itertools.permutations(archives.PACKERS, 2):
            first = archives.PACKERS[kinds[0]](self.one)
            first += bytes(-len(first) % 4)
            second = archives.PACKERS[kinds[1]](self.two)
            with self.subTest(kinds):
                segments, names = self.read(first + bytes(512) + second)
                self.assertEqual(list(kinds), [each[0] for each in segments])
                self.assertEqual(len(first) + 512, segments[1][1])
                self.assertEqual(['1 usr', '1 usr/c'], names[3:])

    def test_several_that_are_compressed_together(self) -> None:
        _, names = self.read(archives.PACKERS['gz'](
            self.one + bytes(1000) + self.two))
        self.assertEqual(5, len(names))

    def test_what_is_none(self) -> None:
        for content in (b'x', b'070701', b'<html>',
                        self.one[:200],
                        archives.PACKERS['gz'](self.one)[:-20],
                        archives.PACKERS['gz'](b'no archive'),
                        b'\x1f\x8b\x08\xff' + bytes(99),
                        self.one + b'garbage', b'LZIP' * 99,
                        self.one.replace(b'00000002', b'0000000g', 1)):
            with self.subTest(content[:20]):
                with self.assertRaises(
                        exceptions.UnreadableContent) as caught:
                    self.read(content)
                self.assertIn('an initramfs', caught.exception.found)

    def test_nothing(self) -> None:
        for content in (b'', bytes(4096)):
            self.assertEqual(([], []), self.read(content))

    def test_an_archive_ends_with_its_part(self) -> None:
        """Linux takes what goes on in another part for damage."""
        for kind in ('gz', 'xz', 'bz2', 'zstd'):
            pack = archives.PACKERS[kind]
            with self.subTest(kind), self.assertRaises(
                    exceptions.UnreadableContent):
                self.read(pack(self.one[:200]) + pack(self.one[200:]))

    def test_any_damage_is_told_or_harmless(self) -> None:
        chance = random.Random(3)
        for pack in archives.PACKERS.values():
            content = pack(self.one)
            for _ in range(100):
                damaged = bytearray(content)
                damaged[chance.randrange(len(damaged))] ^= 1 << (
                    chance.randrange(8))
                try:
                    self.read(bytes(damaged))
                except DAMAGED:
                    pass

    def test_sizes_are_bounded(self) -> None:
        head = self.one[:initramfs.HEADER]
        for field in (6, 11):
            at = 6 + 8 * field
            for value in (b'FFFFFFFF', b'00000000'):
                damaged = head[:at] + value + head[at + 8:]
                if field == 11 or value != b'00000000':
                    with self.assertRaises(DAMAGED):
                        self.read(damaged + self.one[initramfs.HEADER:])

    def test_sizes_have_no_sign(self) -> None:
        """Or the end of an archive would lie before its start."""
        end = self.one.index(b'070701', self.one.index(b'lib/b'))
        trailer = self.one[end:].rstrip(b'\0') + bytes(4)
        for size in (b'-000007C', b'+0000000', b'0000_0_0'):
            with self.subTest(size), self.assertRaises(
                    exceptions.UnreadableContent) as caught:
                self.read(trailer[:54] + size + trailer[62:])
            self.assertIn('a damaged archive', caught.exception.found)

    def test_archives_are_bounded(self) -> None:
        """Each is looked for anew, so many small ones cost much."""
        for kind, pack in archives.PACKERS.items():
            with self.subTest(kind), self.assertRaises(
                    exceptions.TooComplex) as caught:
                self.read(pack(self.one) * 2000, 1 << 20)
            self.assertEqual('1024 archives at most',
                             caught.exception.expected)

    def test_archives_without_files_cost_work(self) -> None:
        """However they lie in the pieces, and whatever is between them."""
        for between in (b'', bytes(4)):
            content = archives.PACKERS['gz'](
                (boot_files.archive({}, 4) + between) * 250_000)
            for piece in (4096, 1 << 20):
                with (self.subTest(between=between, piece=piece),
                      self.assertRaises(exceptions.TooComplex)):
                    self.read(content, piece)


class LackingTest(base.EngineTestCase):

    def lacking(self, stored: bytes, *groups: frozenset[str]
                ) -> list[frozenset[str]]:
        return initramfs.lacking([stored], groups, budget.Budget())

    def test_what_is_not_in_it(self) -> None:
        self.assertEqual([], self.lacking(
            ARCHIVE, AHCI, MEGARAID, MDADM, NVME | AHCI))
        self.assertEqual([NVME], self.lacking(ARCHIVE, NVME, MDADM))
        self.assertEqual([], self.lacking(b'nonsense'))

    def test_other_files_of_that_name(self) -> None:
        self.assertEqual([MDADM, AHCI], self.lacking(boot_files.archive({
            'etc/mdadm/mdadm.conf': b'', 'scripts/local-block/mdadm': b'',
            'etc/ahci': b'', 'mdadm': b''}), MDADM, AHCI))

    def test_it_is_read_up_to_the_last_of_them(self) -> None:
        self.assertEqual([], self.lacking(ARCHIVE + b'nonsense',
                                          MEGARAID))
        with self.assertRaises(exceptions.UnreadableContent):
            self.lacking(ARCHIVE + b'nonsense', NVME)
