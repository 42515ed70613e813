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

from ironic_imagedeploy.engine.formats import words

MOST = (1 << 63) - 1


class LanesTest(unittest.TestCase):
    """What is done with all lanes at once is done with each."""

    def setUp(self) -> None:
        super().setUp()
        dice = random.Random(1)
        self.numbers = array('Q', [0, 0, MOST, MOST, 0, 1] + [
            dice.getrandbits(dice.randrange(64)) for _ in range(200)])
        self.count = len(self.numbers)
        self.lanes = words.lanes(self.numbers)

    def test_the_first_is_the_lowest(self) -> None:
        self.assertEqual(3 + (5 << 64), words.lanes(array('Q', [3, 5])))
        self.assertEqual(self.numbers, words.column(self.lanes, self.count))

    def test_constants(self) -> None:
        self.assertEqual(array('Q', [7] * 5),
                         words.column(words.repeated(7, 5), 5))
        self.assertEqual(array('Q', [0, 3, 6]),
                         words.column(words.multiples(3, 3), 3))

    def test_words_of_32_bits(self) -> None:
        narrow = array('I', [0, 1, 0xffffffff, 0x12345678])
        self.assertEqual(list(narrow), list(words.column(
            words.widened(narrow.tobytes()), 4)))

    def test_flags(self) -> None:
        for flags in (b'\0\1\1\0', b'\1\1', b'\0\0', b'\1', b'\0'):
            self.assertEqual(
                [(1 << 64) - 1 if flag else 0 for flag in flags],
                list(words.column(words.spread(flags), len(flags))))
        self.assertEqual(bytes(number != 0 for number in self.numbers),
                         words.nonzero(self.lanes, self.count))
        tops = array('Q', [1 << 63, 0, (1 << 64) - 1])
        self.assertEqual(b'\1\0\1', words.nonzero(words.lanes(tops), 3))

    def test_steps(self) -> None:
        self.assertEqual(
            [after - before + (1 << 63) for before, after in zip(
                self.numbers[:-1], self.numbers[1:], strict=True)],
            list(words.column(words.steps(self.lanes, self.count),
                              self.count - 1)))

    def test_a_limit(self) -> None:
        for limit in (-1, 0, 1, 1000, MOST - 1, MOST, 1 << 70):
            numbers = array('Q', [5, 0, 1000])
            self.assertEqual(
                max(numbers) > limit,
                words.exceed(words.lanes(numbers), limit, 3))
            self.assertEqual(MOST > limit, words.exceed(
                self.lanes, limit, self.count))

    def test_planes(self) -> None:
        self.assertEqual(b'\0\1\1\1', words.any_of(
            b'\0\0\7\x80', b'\0\1\0\1'))
        self.assertEqual(b'\0\1\0', words.all_of(b'\0\1\1', b'\1\1\0'))
        self.assertEqual(b'\1\0', words.inverted(b'\0\1'))
