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

from array import array
import random
import unittest

from ironic_imagedeploy.engine import extent as _extent
from ironic_imagedeploy.engine.formats import extent_map
from ironic_imagedeploy.engine.formats import runs
from ironic_imagedeploy.engine.formats import words

DATA, COMPRESSED, ZERO = _extent.ExtentKind
UNIT = 512


class FindTest(unittest.TestCase):
    """All at once are found those that one after the other would give."""

    def check(self, entries: list[tuple[_extent.ExtentKind, int, int]],
              start: int = 0) -> int:
        one = extent_map.ExtentMap()
        if start:
            one.append(start, COMPRESSED, 1, 1)
        for kind, offset, stored in entries:
            one.append(UNIT, kind, offset, stored or (
                UNIT if kind is DATA else 0))
        kinds, offsets, stored_ = zip(*entries, strict=True)
        found = runs.find(start, UNIT, bytes(kinds), *(
            words.lanes(array('Q', column)) for column in (offsets, stored_)))
        self.assertEqual(list(one)[bool(start):], list(found))
        return len(found)

    def test_one(self) -> None:
        self.assertEqual(1, self.check([(DATA, 1 << 55, 0)], start=1 << 60))
        self.check([(ZERO, 0, 0)])
        self.check([(COMPRESSED, 77, 13)])

    def test_what_goes_on_in_the_file(self) -> None:
        self.assertEqual(1, self.check([
            (DATA, 4096 + index * UNIT, 0) for index in range(50)], 99))
        self.assertEqual(50, self.check([
            (DATA, (50 - index) * UNIT, 0) for index in range(50)], 99))

    def test_zeroes_are_one_and_compressed_ones_never(self) -> None:
        self.assertEqual(4, self.check(
            [(ZERO, 0, 0)] * 3 + [(COMPRESSED, UNIT, UNIT),
                                  (COMPRESSED, 2 * UNIT, UNIT)]
            + [(ZERO, 0, 0)]))

    def test_data_after_a_compressed_one_that_ends_there(self) -> None:
        self.assertEqual(2, self.check(
            [(COMPRESSED, UNIT, UNIT), (DATA, 2 * UNIT, 0)]))

    def test_at_random(self) -> None:
        dice = random.Random(3)
        for count in (1, 2, 3, 50, 500):
            for _ in range(50):
                entries, place = [], 0
                for _ in range(count):
                    kind = dice.choice((DATA, DATA, COMPRESSED, ZERO))
                    if dice.random() < .4:
                        place = dice.getrandbits(50) * UNIT
                    if kind is ZERO:
                        entries.append((kind, 0, 0))
                        continue
                    stored = dice.randint(1, UNIT) if kind else 0
                    entries.append((kind, place, stored))
                    place += stored or UNIT
                self.check(entries, dice.randrange(1 << 20))


class JoinedTest(unittest.TestCase):

    def test_tables_come_together_up_to_a_bound(self) -> None:
        taken: list[bytes] = []
        tables = runs.Joined(4, taken.append)
        for table in (b'ab', b'cd', b'ef'):
            tables.add(table)
        self.assertEqual([b'abcd'], taken)
        tables.flush()
        tables.flush()
        self.assertEqual([b'abcd', b'ef'], taken)
