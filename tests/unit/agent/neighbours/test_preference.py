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
import types
import unittest

from ironic_imagedeploy.agent.neighbours import candidates
from ironic_imagedeploy.agent.neighbours import preference

MIB = 1 << 20
#: Seconds after which a peer had its chance.
SETTLED = candidates.WINDOW + 0.1


class PreferenceTest(unittest.TestCase):

    def setUp(self):
        self.began = time.monotonic()
        self.named = [candidates.Candidate(
            types.SimpleNamespace(name=name), lambda: None, MIB)
            for name in ('first', 'second', 'third')]
        self.found = preference.Preference(self.named)

    def has(self, number, *indexes, grows=0.0, later=0.0):
        """Let a peer have chunks, and get more of them."""
        peer, bits = self.named[number], 0
        for index in indexes:
            bits |= 1 << index
        peer.watch.bits = bits.to_bytes(16, 'little')
        peer.watch.answered = True
        now = self.began + later
        peer._counts.clear()
        peer._counts.extend([
            (now - candidates.GROWTH, len(indexes)
             - int(grows * candidates.GROWTH)), (now, len(indexes))])

    def gives(self, number, speed):
        """Let a chunk of a peer come."""
        self.named[number].gave(speed * MIB)

    def chosen(self, index, later=0.0, growth=0.0, ending=False):
        """Number of the peer that is asked for a chunk."""
        peer = self.found.choose(index, self.began + later, growth,
                                 ending=ending)
        return None if peer is None else self.named.index(peer)

    def test_the_first_one_is_waited_for(self):
        self.has(1, 5)
        self.assertIsNone(self.chosen(5))
        self.assertEqual(1, self.chosen(5, later=2))

    def test_the_first_one(self):
        for number in range(3):
            self.has(number, 5)
        self.assertEqual(0, self.chosen(5))

    def test_a_chunk_that_is_on_its_way_is_waited_for(self):
        self.has(0, *range(20), grows=4)
        self.has(1, *range(24), grows=4)
        self.assertIsNone(self.chosen(22))
        self.has(0, *range(20), grows=4, later=SETTLED)
        self.assertIsNone(self.chosen(22, later=SETTLED))

    def test_one_that_falls_behind_is_left(self):
        self.gives(0, 8)
        self.has(0, *range(20), grows=8)
        self.assertIsNone(self.chosen(30))
        self.has(0, *range(20), grows=1, later=SETTLED)
        self.has(1, *range(40), grows=8, later=SETTLED)
        self.assertEqual(1, self.chosen(30, later=SETTLED))

    def test_how_far_behind_is_left(self):
        for more, grows, when, chosen in (
                (15, 1, SETTLED, None), (16, 1, SETTLED, 1),
                (16, 2.5, SETTLED, 1), (16, 2.75, SETTLED, None),
                (16, 1, candidates.WINDOW, None)):
            self.setUp()
            self.gives(0, 8)
            self.has(0, *range(20), grows=8)
            self.assertIsNone(self.chosen(30))
            self.has(0, *range(20), grows=grows, later=when)
            self.has(1, *range(20 + more), grows=8, later=when)
            self.assertEqual(chosen, self.chosen(30, later=when),
                             (more, grows, when))

    def test_how_much_faster_is_faster(self):
        for speed, better in ((2.0, False), (2.01, True)):
            self.setUp()
            self.tried(speed)
            self.assertEqual(1 if better else 0,
                             self.chosen(3, later=SETTLED))

    def tried(self, speed):
        """Let another one give a chunk at so many MiB per second."""
        for number in (0, 1):
            self.has(number, *range(40))
        self.assertEqual(0, self.chosen(1))
        self.gives(0, 1)
        self.assertEqual(1, self.chosen(2, later=SETTLED))
        self.gives(1, speed)
        self.found.gave(self.named[1], self.began + SETTLED)

    def test_whether_it_is_far_ahead(self):
        self.assertFalse(self.found.is_ahead(-99))
        self.has(0, *range(20))
        self.assertEqual(0, self.chosen(1))
        for count, is_ahead in ((0, True), (4, True), (5, False)):
            self.assertEqual(is_ahead, self.found.is_ahead(count))

    def test_one_that_gives_slowly_is_left(self):
        for number in (0, 1):
            self.has(number, *range(40))
        self.assertEqual(0, self.chosen(1))
        self.gives(0, 1)
        self.assertEqual(1, self.chosen(2, later=SETTLED))
        self.gives(1, 5)
        self.found.gave(self.named[1], self.began + SETTLED)
        self.assertEqual(1, self.chosen(3, later=SETTLED))

    def test_nothing_is_tried_at_the_end(self):
        for number in (0, 1):
            self.has(number, *range(40))
        self.assertEqual(0, self.chosen(1))
        self.gives(0, 1)
        self.assertEqual(0, self.chosen(2, later=SETTLED, ending=True))
        self.assertEqual(1, self.chosen(2, later=SETTLED))

    def test_one_that_is_not_faster_is_tried_only(self):
        for number in (0, 1):
            self.has(number, *range(40))
        self.assertEqual(0, self.chosen(1))
        self.gives(0, 4)
        self.assertEqual(1, self.chosen(2, later=SETTLED))
        self.gives(1, 5)
        self.found.gave(self.named[1], self.began + SETTLED)
        self.assertEqual(0, self.chosen(3, later=SETTLED))

    def test_one_that_is_well_again_is_preferred_again(self):
        self.test_one_that_falls_behind_is_left()
        later = SETTLED + 10
        self.has(0, *range(60), grows=6, later=later)
        self.has(1, *range(60), grows=6, later=later)
        self.gives(1, 8)
        self.assertEqual(0, self.chosen(55, later=later, growth=6))

    def test_a_fork_heals(self):
        self.test_one_that_falls_behind_is_left()
        # Both get half of the link that they share, again and again.
        for turn in range(6):
            later = SETTLED + 10 * (turn + 1)
            first = range(40 + 6 * turn)
            self.has(0, *first, grows=1.4, later=later)
            self.has(1, *range(60 + 6 * turn), grows=2.8, later=later)
            self.gives(1, 1.4)
            self.assertEqual(0, self.chosen(first[-1], later=later,
                                            growth=1.4))
            # It was left before it came to the chunk that is wanted.
            later += SETTLED
            self.has(0, *first, grows=0, later=later)
            self.has(1, *range(66 + 6 * turn), grows=2.8, later=later)
            self.assertEqual(1, self.chosen(len(first) + 2, later=later,
                                            growth=0))

    def test_what_comes_late_is_no_trial(self):
        self.test_one_that_is_well_again_is_preferred_again()
        later = SETTLED + 10
        # It was asked for before.
        self.found.gave(self.named[1], self.began + later)
        self.assertEqual(0, self.chosen(56, later=later, growth=6))

    def test_a_chunk_that_had_come_before_is_not_taken_for_fast(self):
        for _ in range(4):
            self.gives(0, 2.8)
        self.gives(0, 20)
        self.gives(0, 2.5)
        self.has(0, *range(20), grows=2.5, later=SETTLED)
        self.has(1, *range(40), grows=2.8, later=SETTLED)
        self.assertIsNone(self.chosen(30))
        self.assertIsNone(self.chosen(30, later=SETTLED))

    def test_one_that_rests_is_not_asked(self):
        for number in (0, 1):
            self.has(number, *range(40))
        self.named[0].failed(self.began, promise=False)
        self.assertEqual(1, self.chosen(1))

    def test_chunks_at_a_time(self):
        self.has(0, *range(40))
        self.assertEqual(0, self.chosen(1))
        self.named[0].in_flight = 1
        self.assertIsNone(self.chosen(2))
        # One that gives a chunk in less than two seconds.
        self.gives(0, 1)
        self.assertEqual(0, self.chosen(2))
        self.named[0].in_flight = 2
        self.assertIsNone(self.chosen(3))
        # In less than a twentieth of one.
        for _ in range(16):
            self.gives(0, 100)
        self.named[0].in_flight = 3
        self.assertEqual(0, self.chosen(2))
        self.named[0].in_flight = 4
        self.assertIsNone(self.chosen(2))

    def test_promises_that_are_broken(self):
        self.has(0, *range(40))
        for _ in range(8):
            self.assertEqual(0, self.chosen(1))
            self.named[0].failed(self.began, promise=True)
        self.assertIsNone(self.chosen(1))
