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

import time
import unittest
from unittest import mock

from ironic_imagedeploy.engine import budget
from ironic_imagedeploy.engine import exceptions


class BudgetTest(unittest.TestCase):

    def assert_spent(self, drawn: budget.Budget, *counts: int,
                     words: str) -> None:
        with self.assertRaises(exceptions.TooComplex) as caught:
            drawn.draw(*counts)
        self.assertEqual('too-complex', caught.exception.code)
        self.assertIn(words, caught.exception.expected)
        self.assertTrue(caught.exception.found)

    def test_all_of_it_can_be_drawn(self) -> None:
        drawn = budget.Budget(bytes=100, entries=10)
        drawn.draw(9, 60)
        drawn.draw(1, 40)

    def test_entries(self) -> None:
        drawn = budget.Budget(bytes=100, entries=10)
        drawn.draw(10)
        self.assert_spent(drawn, 1, words='10 steps')

    def test_bytes(self) -> None:
        drawn = budget.Budget(bytes=100, entries=10)
        drawn.draw(1, 100)
        self.assert_spent(drawn, 1, 1, words='100 bytes')

    def test_reads_from_elsewhere_are_dearer(self) -> None:
        reads = []
        for local in (True, False):
            drawn, count = budget.Budget(), 0
            with self.assertRaises(exceptions.TooComplex):
                while True:
                    drawn.draw_read(512, local=local)
                    count += 1
            reads.append(count)
        # A request takes up to a millisecond, a read some microseconds.
        self.assertLess(reads[1], 4000)
        self.assertGreater(reads[0], 100_000)

    def test_who_writes_the_image_may_look_longer(self) -> None:
        drawn = budget.Budget.before_write()
        drawn.draw(7 * budget.ENTRIES, 7 * budget.BYTES)
        self.assert_spent(drawn, 2 * budget.ENTRIES, words='steps')

    def test_the_clock_is_a_backstop(self) -> None:
        drawn = budget.Budget(seconds=5)
        begin = time.thread_time()
        with mock.patch.object(time, 'thread_time', autospec=True,
                               return_value=begin + 6):
            drawn.draw(4000)
            self.assert_spent(drawn, 4000, words='5 seconds')

    def test_what_others_would_not_do(self) -> None:
        drawn = budget.Budget.before_write()
        drawn.draw(budget.ENTRIES, budget.BYTES)
        self.assertFalse(drawn.is_unusual)
        drawn.draw(1)
        self.assertTrue(drawn.is_unusual)
        drawn = budget.Budget.before_write()
        drawn.draw(0, budget.BYTES + 1)
        self.assertTrue(drawn.is_unusual)

    def test_a_file_that_is_here_counts_as_one_elsewhere(self) -> None:
        drawn = budget.Budget.before_write()
        for _ in range(budget.ENTRIES // budget.REMOTE_READ):
            drawn.draw_read(512, local=True)
        self.assertFalse(drawn.is_unusual)
        drawn.draw_read(512, local=True)
        self.assertTrue(drawn.is_unusual)
