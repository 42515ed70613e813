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

import io
import itertools
import random

from ironic_imagedeploy.engine.contents import initramfs
from ironic_imagedeploy.engine import exceptions
from tests.support import initramfs as archives
from tests.unit.engine import base


class ReadTest(base.EngineTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.one = archives.archive(archives.tree(
            self.directory / 'one', 'a', 'lib/b'))
        self.two = archives.archive(archives.tree(
            self.directory / 'two', 'usr/c'))

    def read(self, content: bytes
             ) -> tuple[list[tuple[str | None, int, int]], list[str]]:
        names: list[str] = []
        segments = initramfs.read(
            io.BytesIO(content),
            lambda number, name: names.append(f'{number} {name}'))
        return [(segment.compression, segment.start, segment.end)
                for segment in segments], names

    def test_one(self) -> None:
        for kind, pack in archives.PACKERS.items():
            content = pack(self.one)
            with self.subTest(kind):
                segments, names = self.read(content)
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
        for content in (b'', bytes(4096), b'x', b'070701', b'<html>',
                        self.one[:-1024].rstrip(b'\0')[:200],
                        archives.PACKERS['gz'](self.one)[:-20],
                        archives.PACKERS['gz'](b'no archive'),
                        b'\x1f\x8b\x08\xff' + bytes(99),
                        self.one + b'garbage', b'LZIP' * 99,
                        self.one.replace(b'00000002', b'0000000g', 1)):
            with self.subTest(content[:20]):
                with self.assertRaises(exceptions.BadContent) as caught:
                    self.read(content)
                self.assertTrue(caught.exception.found)

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
                except exceptions.BadContent:
                    pass

    def test_sizes_are_bounded(self) -> None:
        head = self.one[:initramfs.HEADER]
        for field in (6, 11):
            at = 6 + 8 * field
            for value in (b'FFFFFFFF', b'00000000'):
                damaged = head[:at] + value + head[at + 8:]
                if field == 11 or value != b'00000000':
                    with self.assertRaises(exceptions.BadContent):
                        self.read(damaged + self.one[initramfs.HEADER:])

    def test_sizes_have_no_sign(self) -> None:
        """Or the end of an archive would lie before its start."""
        end = self.one.index(b'070701', self.one.index(b'lib/b'))
        trailer = self.one[end:].rstrip(b'\0') + bytes(4)
        for size in (b'-000007C', b'+0000000', b'0000_0_0'):
            with self.subTest(size), self.assertRaises(
                    exceptions.BadContent) as caught:
                self.read(trailer[:54] + size + trailer[62:])
            self.assertEqual('a header without numbers',
                             caught.exception.found)

    def test_archives_are_bounded(self) -> None:
        """Each is looked for anew, so many small ones cost much."""
        for kind, pack in archives.PACKERS.items():
            with self.subTest(kind), self.assertRaises(
                    exceptions.BadContent) as caught:
                self.read(pack(self.one) * 2000)
            self.assertEqual('more than 1024 archives',
                             caught.exception.found)
