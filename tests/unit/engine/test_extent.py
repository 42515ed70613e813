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

from ironic_imagedeploy.engine import extent as _extent

Extent = _extent.Extent
DATA = _extent.ExtentKind.DATA
COMPRESSED = _extent.ExtentKind.COMPRESSED
ZERO = _extent.ExtentKind.ZERO


class ExtentTestCase(unittest.TestCase):

    def test_ends(self) -> None:
        extent = Extent(100, 20, COMPRESSED, 5000, 7)
        self.assertEqual((120, 5007), (extent.end, extent.source_end))


class ClampTestCase(unittest.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.extents = [Extent(0, 100, DATA, 1000, 100),
                        Extent(100, 100, ZERO),
                        Extent(200, 100, COMPRESSED, 5000, 30),
                        Extent(300, 100, DATA, 2000, 100)]

    def clamp(self, start: int, end: int) -> list[Extent]:
        return list(_extent.clamp(self.extents, start, end))

    def test_the_whole(self) -> None:
        self.assertEqual(self.extents, self.clamp(0, 400))

    def test_data_moves_in_the_file_as_on_the_disk(self) -> None:
        self.assertEqual([Extent(30, 40, DATA, 1030, 40)],
                         self.clamp(30, 70))

    def test_zeroes_are_nowhere_in_the_file(self) -> None:
        self.assertEqual([Extent(150, 10, ZERO)], self.clamp(150, 160))

    def test_a_compressed_extent_stays_whole(self) -> None:
        self.assertEqual([self.extents[2]], self.clamp(299, 300))

    def test_across(self) -> None:
        self.assertEqual(
            [Extent(90, 10, DATA, 1090, 10), self.extents[1],
             self.extents[2], Extent(300, 1, DATA, 2000, 1)],
            self.clamp(90, 301))

    def test_nothing(self) -> None:
        self.assertEqual([], self.clamp(400, 500))
        self.assertEqual([], self.clamp(50, 50))
        self.assertEqual([], self.clamp(60, 50))


class ExtentMapTestCase(unittest.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.map = _extent.ExtentMap()

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
                         self.map[1])

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
