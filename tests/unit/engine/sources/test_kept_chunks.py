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

import threading
import typing

from ironic_imagedeploy.engine.sources import kept_chunks
from tests.unit.engine import base

MIB = base.MIB


class KeptChunksTest(base.EngineTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.kept = kept_chunks.KeptChunks(4 * MIB)
        self.fetched: list[int] = []

    def chunk(self, index: int) -> memoryview:
        return memoryview(bytes([index]) * MIB)

    def fill(self, index: int, before: typing.Callable[[], object] = bool
             ) -> int | None:
        """Fill a view with a chunk that two want."""
        view = memoryview(bytearray(MIB))

        def fetch() -> int:
            before()
            self.fetched.append(index)
            view[:] = self.chunk(index)
            return index
        outcome = self.kept.fill_shared(index, view, fetch)
        self.assertEqual(self.chunk(index), view)
        return outcome

    def test_the_latest_within_the_bound(self) -> None:
        for index in range(4):
            self.kept.put(index, self.chunk(index))
        self.assertEqual(self.chunk(0), self.kept.get(0))
        self.kept.put(4, self.chunk(4))
        self.assertIsNone(self.kept.get(1))
        self.assertEqual(self.chunk(0), self.kept.take(0))
        self.assertIsNone(self.kept.take(0))

    def test_the_last_before_one_that_is_kept(self) -> None:
        for index in (1, 3, 6):
            self.kept.put(index, self.chunk(index))
        for first, last, expected in ((0, 9, 0), (1, 9, 2), (2, 9, 2),
                                      (3, 9, 5), (3, 6, 5), (3, 5, 5),
                                      (6, 9, 9), (7, 7, 7)):
            with self.subTest((first, last)):
                self.assertEqual(expected,
                                 self.kept.last_before(first, last))

    def test_two_that_want_a_chunk(self) -> None:
        self.assertEqual((7, None), (self.fill(7), self.fill(7)))
        self.assertEqual([7], self.fetched)
        self.assertIsNone(self.kept.get(7))

    def test_two_at_the_same_time(self) -> None:
        begun, other_began = threading.Event(), threading.Event()

        def wait() -> None:
            begun.set()
            self.assertTrue(other_began.wait(10))
        first = threading.Thread(target=self.fill, args=(3, wait))
        first.start()
        self.assertTrue(begun.wait(10))
        second = threading.Thread(target=self.fill, args=(3,))
        second.start()
        second.join(0.1)
        self.assertTrue(second.is_alive())
        other_began.set()
        for thread in (first, second):
            thread.join(10)
        self.assertEqual([3], self.fetched)

    def test_one_that_was_looked_at(self) -> None:
        self.kept.put(5, self.chunk(5))
        self.assertEqual((None, None), (self.fill(5), self.fill(5)))
        self.assertEqual(([], None), (self.fetched, self.kept.get(5)))

    def test_the_one_that_fetches_fails(self) -> None:
        def fail() -> None:
            raise OSError('gone')
        self.assertRaises(OSError, self.fill, 2, fail)
        self.assertEqual(2, self.fill(2))

    def test_one_that_had_to_go(self) -> None:
        self.fill(1)
        for index in range(2, 6):
            self.kept.put(index, self.chunk(index))
        self.assertEqual(1, self.fill(1))
        self.assertEqual([1, 1], self.fetched)

    def test_a_range_without_one_that_is_kept(self) -> None:
        self.kept.put(5, self.chunk(5))
        self.assertEqual(4, self.kept.last_before(2, 9))
        self.assertEqual(9, self.kept.last_before(5, 9))
        self.assertEqual(4, self.kept.last_before(2, 4))
