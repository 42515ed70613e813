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

from ironic_imagedeploy.engine.transfer import gather

KIB = 1 << 10


class Log:
    """What reaches the disk."""

    zero_step = 256 << 20

    def __init__(self) -> None:
        self.steps: list[tuple[object, ...]] = []

    def write(self, start: int, view: memoryview) -> None:
        self.steps.append((start, bytes(view)))

    def zero(self, start: int, length: int) -> None:
        self.steps.append((start, length))


class GatherTest(unittest.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.log = Log()
        self.gather = gather.Gather(self.log)

    def put(self, start: int, content: bytes) -> None:
        self.gather.put(start, memoryview(content))

    def test_neighbours_are_one_write(self) -> None:
        for start in (10000, 10100, 10200):
            self.put(start, b'%5d' % start * 20)
        self.assertEqual([], self.log.steps)
        self.gather.flush()
        self.assertEqual([(10000, b'10000' * 20 + b'10100' * 20
                           + b'10200' * 20)], self.log.steps)

    def test_others_are_writes_of_their_own(self) -> None:
        self.put(0, b'ab')
        self.put(3, b'cd')
        self.put(1, b'e')
        self.gather.flush()
        self.gather.flush()
        self.assertEqual([(0, b'ab'), (3, b'cd'), (1, b'e')], self.log.steps)

    def test_what_begins_before_the_end_of_the_last_one(self) -> None:
        self.put(40, b'a' * 24)
        self.put(56, b'b' * 8)
        self.gather.flush()
        self.assertEqual([(40, b'a' * 24), (56, b'b' * 8)], self.log.steps)

    def test_what_comes_after_a_flush(self) -> None:
        for start in (8, 9, 8, 5):
            self.put(start, b'a')
            self.gather.flush()
        self.assertEqual([(start, b'a') for start in (8, 9, 8, 5)],
                         self.log.steps)

    def test_a_whole_mib_is_one_write(self) -> None:
        for start in range(0, 1024 * KIB + 128 * KIB, 128 * KIB):
            self.put(7 + start, b'a' * 128 * KIB)
        self.gather.flush()
        self.assertEqual(
            [(7, 1024 * KIB), (7 + 1024 * KIB, 128 * KIB)],
            [(start, len(content)) for start, content in self.log.steps])

    def test_a_write_is_bounded(self) -> None:
        for number in range(6):
            self.put(number * 204 * KIB, bytes([number]) * 204 * KIB)
        self.gather.flush()
        self.assertEqual(
            [(0, 5 * 204 * KIB), (5 * 204 * KIB, 204 * KIB)],
            [(start, len(content)) for start, content in self.log.steps])

    def test_many_bytes_go_on_their_own(self) -> None:
        for large in (256 * KIB, 256 * KIB + 1, 2048 * KIB):
            self.log.steps.clear()
            self.put(0, b'a')
            self.put(1, b'b' * large)
            self.put(1 + large, b'c')
            self.assertEqual([(0, b'a'), (1, b'b' * large)], self.log.steps)
            self.gather.flush()
            self.assertEqual((1 + large, b'c'), self.log.steps[-1])

    def test_many_zeroes_are_zeroed(self) -> None:
        self.put(7, bytes(256 * KIB))
        self.put(7 + 256 * KIB, bytes(5))
        self.gather.flush()
        self.assertEqual([(7, 256 * KIB), (7 + 256 * KIB, bytes(5))],
                         self.log.steps)
