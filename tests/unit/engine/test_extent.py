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

import unittest

from ironic_imagedeploy.engine import extent as _extent

Extent = _extent.Extent
DATA = _extent.ExtentKind.DATA
COMPRESSED = _extent.ExtentKind.COMPRESSED
ZERO = _extent.ExtentKind.ZERO


class ExtentTest(unittest.TestCase):

    def test_ends(self) -> None:
        extent = Extent(100, 20, COMPRESSED, 5000, 7)
        self.assertEqual((120, 5007), (extent.end, extent.source_end))


class ClampTest(unittest.TestCase):

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
