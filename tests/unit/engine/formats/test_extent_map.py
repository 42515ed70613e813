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
import unittest
import unittest.mock

from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine import extent as _extent
from ironic_imagedeploy.engine.formats import extent_map
from ironic_imagedeploy.engine.formats import sealed_block

Extent = _extent.Extent
DATA = _extent.ExtentKind.DATA
COMPRESSED = _extent.ExtentKind.COMPRESSED
ZERO = _extent.ExtentKind.ZERO


def compressed(start: int, length: int, offsets: list[int],
               stored: list[int]) -> sealed_block.Columns:
    """Columns of compressed extents of one length."""
    columns = sealed_block.Columns()
    for place, size in zip(offsets, stored, strict=True):
        columns.append(start, length, COMPRESSED, place, size)
        start += length
    return columns


class ExtentMapTest(unittest.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.map = extent_map.ExtentMap()

    def test_empty(self) -> None:
        self.assertEqual((0, 0, [], []), (
            len(self.map), self.map.end, list(self.map),
            list(self.map.by_source())))
        self.assertEqual([], list(self.map.overlapping(0, 100)))

    def test_each_starts_where_the_one_before_ends(self) -> None:
        self.map.append(10, ZERO)
        self.map.append(20, DATA, 500, 20)
        self.map.append(30, COMPRESSED, 600, 7)
        self.assertEqual(
            [Extent(0, 10, ZERO), Extent(10, 20, DATA, 500, 20),
             Extent(30, 30, COMPRESSED, 600, 7)], list(self.map))
        self.assertEqual(60, self.map.end)

    def test_zeroes_join(self) -> None:
        self.map.append(10, ZERO)
        self.map.append(20, ZERO)
        self.assertEqual([Extent(0, 30, ZERO)], list(self.map))

    def test_data_joins_only_what_it_continues_in_the_file(self) -> None:
        self.map.append(10, DATA, 500, 10)
        self.map.append(20, DATA, 510, 20)
        self.map.append(20, DATA, 510, 20)
        self.map.append(20, DATA, 490, 20)
        self.assertEqual(
            [Extent(0, 30, DATA, 500, 30), Extent(30, 20, DATA, 510, 20),
             Extent(50, 20, DATA, 490, 20)], list(self.map))

    def test_compressed_extents_never_join(self) -> None:
        self.map.append(64, COMPRESSED, 500, 10)
        self.map.append(64, COMPRESSED, 510, 10)
        self.assertEqual(2, len(self.map))

    def test_offsets_beyond_32_bits(self) -> None:
        self.map.append(1 << 61, ZERO)
        self.map.append(1 << 40, DATA, 1 << 55, 1 << 40)
        self.assertEqual(Extent(1 << 61, 1 << 40, DATA, 1 << 55, 1 << 40),
                         list(self.map)[1])

    def test_overlapping_finds_what_a_walk_finds(self) -> None:
        dice = random.Random(1)
        for _ in range(200):
            self.map.append(dice.randint(1, 50), dice.choice(list(
                _extent.ExtentKind)), dice.randrange(1 << 20), 7)
        for _ in range(500):
            start = dice.randrange(self.map.end)
            end = start + dice.randint(1, 200)
            self.assertEqual(
                [extent for extent in self.map
                 if extent.start < end and extent.end > start],
                list(self.map.overlapping(start, end)))

    def test_overlapping_starts_inside_of_an_extent(self) -> None:
        self.map.append(100, ZERO)
        self.assertEqual([Extent(0, 100, ZERO)],
                         list(self.map.overlapping(99, 100)))

    def test_by_source_is_in_the_order_of_the_file(self) -> None:
        self.map.append(10, DATA, 900, 10)
        self.map.append(10, ZERO)
        self.map.append(10, COMPRESSED, 100, 3)
        self.map.append(10, DATA, 500, 10)
        self.assertEqual([100, 500, 900], [
            extent.source_offset for extent in self.map.by_source()])

    def test_by_source_keeps_the_order_of_the_disk_among_equals(self) -> None:
        for _ in range(3):
            self.map.append(10, COMPRESSED, 700, 3)
        self.map.append(10, COMPRESSED, 600, 3)
        self.assertEqual([30, 0, 10, 20], [
            extent.start for extent in self.map.by_source()])

    def test_extend_adds_compressed_extents(self) -> None:
        self.map.append(10, ZERO)
        self.map.extend(compressed(10, 64, [900, 500], [30, 40]))
        self.map.append(5, COMPRESSED, 700, 3)
        self.map.append(5, DATA, 703, 5)
        self.assertEqual(
            [Extent(0, 10, ZERO), Extent(10, 64, COMPRESSED, 900, 30),
             Extent(74, 64, COMPRESSED, 500, 40),
             Extent(138, 5, COMPRESSED, 700, 3), Extent(143, 5, DATA, 703, 5)],
            list(self.map))
        self.assertEqual(148, self.map.end)

    def test_data_after_compressed_ones_does_not_join_them(self) -> None:
        self.map.extend(compressed(0, 64, [0], [64]))
        self.map.append(64, DATA, 64, 64)
        self.map.append(64, ZERO)
        self.assertEqual(3, len(self.map))

    def test_columns_give_what_single_extents_give(self) -> None:
        dice = random.Random(5)
        one = extent_map.ExtentMap()
        with unittest.mock.patch.object(extent_map, '_BLOCK', 16):
            for _ in range(100):
                columns = sealed_block.Columns()
                kind, place = ZERO, 0
                for _ in range(dice.randint(1, 40)):
                    kind = dice.choice([each for each in (
                        DATA, ZERO, COMPRESSED) if each is not kind])
                    length = dice.randint(1, 9)
                    place = dice.choice((place, dice.randrange(1 << 40)))
                    extent = ((length, kind) if kind is ZERO else
                              (length, kind, place, length))
                    columns.append(one.end, *(*extent, 0, 0)[:4])
                    one.append(*extent)
                    place += length
                self.map.extend(columns)
        self.assertEqual((list(one), one.zeroes, one.end), (
            list(self.map), self.map.zeroes, self.map.end))
        self.assertEqual(list(one.by_source()), list(self.map.by_source()))


@unittest.mock.patch.object(extent_map, '_BLOCK', 64)
@unittest.mock.patch.object(extent_map, '_SORTED', 100)
class SealedTest(unittest.TestCase):
    """Maps of many blocks, held against a list of extents."""

    def setUp(self) -> None:
        super().setUp()
        self.map = extent_map.ExtentMap()
        self.dice = random.Random(7)

    def check(self) -> None:
        """The map gives what a plain list would."""
        extents = list(self.map)
        self.assertEqual(len(extents), len(self.map))
        end = 0
        for extent in extents:
            self.assertEqual(end, extent.start)
            end = extent.end
        self.assertEqual(end, self.map.end)
        self.assertEqual(
            sorted((extent for extent in extents if extent.kind is not ZERO),
                   key=lambda extent: extent.source_offset),
            list(self.map.by_source()))
        self.assertEqual(
            [extent for extent in extents if extent.kind is not COMPRESSED],
            list(self.map.uncompressed()))
        for _ in range(50):
            start = self.dice.randrange(end)
            stop = start + self.dice.randint(1, end // 4)
            self.assertEqual(
                [extent for extent in extents
                 if extent.start < stop and extent.end > start],
                list(self.map.overlapping(start, stop)))

    def test_in_the_order_of_the_file(self) -> None:
        offset = 1000
        for _ in range(1000):
            size = self.dice.randint(1, 300)
            self.map.append(64, COMPRESSED, offset, size + 512)
            offset += size
        self.assertEqual(1000, len(self.map))
        self.check()

    def test_in_no_order(self) -> None:
        for _ in range(2000):
            self.map.append(
                self.dice.randint(1, 1 << 33), self.dice.choice((
                    DATA, COMPRESSED, ZERO)),
                self.dice.randrange(1 << 50), self.dice.randint(1, 1 << 33))
        self.check()

    def test_in_the_opposite_order(self) -> None:
        for index in range(1000):
            self.map.append(8, DATA, (1000 - index) * 8, 8)
        self.check()

    def test_all_at_few_places(self) -> None:
        for _ in range(1000):
            self.map.append(8, COMPRESSED, self.dice.choice((0, 512)), 8)
        self.check()

    def test_nothing_is_stored_in_some_blocks(self) -> None:
        for index in range(500):
            self.map.append(8, ZERO)
            self.map.append(8, COMPRESSED, 5000 - index, 9)
            if index % 100 == 0:
                for _ in range(200):
                    self.map.append(8, DATA, 77, 8)
        self.check()

    def test_blocks_of_extended_tables(self) -> None:
        for index in range(20):
            offsets = list(range(
                index * 10000, index * 10000 + 150 * 32, 32))
            self.map.extend(compressed(self.map.end, 64, offsets,
                                       [40] * 150))
        self.assertEqual(3000, len(self.map))
        self.check()

    def test_extents_join_where_a_block_ends(self) -> None:
        for index in range(64):
            self.map.append(8, COMPRESSED, index * 10, 10)
        self.map.append(8, DATA, 1000, 8)
        self.map.append(8, DATA, 1008, 8)
        self.assertEqual(65, len(self.map))
        self.check()

    def test_the_memory_is_bounded(self) -> None:
        with unittest.mock.patch.object(extent_map, 'MOST_BYTES', 10000):
            with self.assertRaises(exceptions.TooFragmented):
                for _ in range(100000):
                    self.map.append(8, DATA, self.dice.getrandbits(60), 8)
        self.assertGreater(len(self.map), 1000)

    def test_clusters_take_few_bytes(self) -> None:
        """What bounds the memory for a disk of a TiB."""
        plain, packed = extent_map.ExtentMap(), extent_map.ExtentMap()
        at = 1 << 40
        with unittest.mock.patch.object(extent_map, '_BLOCK', 4096):
            for index in range(20000):
                plain.append(1 << 16, DATA, (1 << 40) + (index << 17),
                             1 << 16)
                plain.append(1 << 16, ZERO)
                size = self.dice.randint(8000, 60000)
                end = (at + size + 511) // 512 * 512
                packed.append(1 << 16, COMPRESSED, at, end - at)
                at += size
        self.assertLess(plain.packed_bytes / 20000, 1)
        self.assertLess(packed.packed_bytes / 20000, 3)
