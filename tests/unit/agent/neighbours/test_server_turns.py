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

from ironic_imagedeploy.agent.neighbours import server_turns

MIB = 1 << 20


class ServerTurnsTest(unittest.TestCase):

    def setUp(self):
        self.began = time.monotonic()

    def turns(self, *, first=True, fed=True):
        found = server_turns.ServerTurns(first=first)
        if fed:
            found.peer_gave(self.began, MIB, 0.1)
        return found

    def take(self, turns, later, speed=10 * MIB, growing=True):
        return turns.take(self.began + later, speed, growing=growing)

    def test_not_at_once(self):
        for first in (True, False):
            self.assertFalse(self.take(
                self.turns(first=first, fed=False), 0.5, growing=False))

    def test_who_gets_nothing_takes_a_chunk(self):
        turns = self.turns(first=False)
        self.assertTrue(self.take(turns, 5, growing=False))
        self.assertFalse(self.take(turns, 50, growing=False))
        turns.end(self.began + 6, MIB, 1.0)
        self.assertFalse(self.take(turns, 5.5, growing=False))
        self.assertTrue(self.take(turns, 9, growing=False))

    def test_and_one_after_the_other_when_that_lasts(self):
        turns, taken = self.turns(first=False), []
        for tenth in range(600):
            if self.take(turns, tenth / 10, growing=False):
                taken.append(tenth / 10)
                turns.end(self.began + tenth / 10, MIB, 1.0)
        self.assertGreater(taken[1] - taken[0], 0.9)
        self.assertLess(taken[-1] - taken[-2], 0.2)
        self.assertGreater(len(taken), 400)

    def test_not_as_long_as_peers_get_something(self):
        turns = self.turns(first=False)
        for later in range(1, 15):
            self.assertFalse(self.take(turns, later, speed=0))

    def test_the_first_ones_try_it_often_and_the_others_rarely(self):
        self.assertTrue(self.take(self.turns(first=True), 5))
        self.assertFalse(self.take(self.turns(first=False), 15))
        self.assertTrue(self.take(self.turns(first=False), 33))

    def test_it_is_not_tried_at_the_end(self):
        turns = self.turns()
        self.assertFalse(turns.take(self.began + 5, MIB, growing=True,
                                    ending=True))
        self.assertTrue(self.take(turns, 5))

    def taken(self, turns, seconds, *, each, **more):
        """Times of the turns, when a chunk of the server takes so long."""
        found, free = [], 0.0
        for tenth in range(30, 10 * seconds):
            later = tenth / 10
            if later >= free:
                if found and free:
                    turns.end(self.began + later, MIB, 0.1)
                    free = 0.0
                if self.take(turns, later, **more):
                    found.append(later)
                    free = later + each
        return found

    def test_a_faster_one_is_used_for_some_seconds(self):
        taken = self.taken(self.turns(), 60, each=0.1, speed=MIB)
        # Three trials, seconds apart, and then one chunk after the other.
        self.assertGreater(taken[2] - taken[0], 3.9)
        self.assertLess(taken[4] - taken[3], 0.3)
        spells = [[taken[2]]]
        for before, later in zip(taken[2:], taken[3:], strict=False):
            if later - before > 1.9:
                spells.append([])
            spells[-1].append(later)
        lengths = [each[-1] - each[0] for each in spells]
        # Longer and longer, with one trial in between.
        for length, expected in zip(lengths, (2, 4, 8, 8), strict=False):
            self.assertAlmostEqual(expected, length, delta=0.4)
        self.assertGreater(len(taken), 220)

    def test_one_that_makes_the_node_no_faster_is_left_alone(self):
        # A chunk comes fast, and then waits for the disk.
        taken = self.taken(self.turns(), 120, each=2.0, speed=MIB)
        self.assertLess(len(taken), 35)

    def lagging(self, *, link):
        """Turns in 60 seconds of a node that is behind its peer.

        The peer gives half a MiB per second, and the server as much as the
        link of the node has left, while that is shared by both.
        """
        turns, found = self.turns(first=False), []
        came, asked, each = 0.0, None, MIB / max(link - MIB / 2, link / 2)
        for tenth in range(600):
            now = self.began + 3 + tenth / 10
            came += (link / 2 if asked and link < MIB else MIB / 2) / 10
            if came >= MIB / 8:
                came -= MIB / 8
                turns.peer_gave(now, MIB // 8, 0.25)
            if asked and now >= asked + each:
                turns.end(now, MIB, each)
                asked = None
            if asked is None and turns.take(now, MIB / 2, growing=True,
                                            behind=True):
                asked = now
                found.append(now)
        return found

    def test_who_is_behind_takes_more_from_the_server_if_that_adds(self):
        self.assertGreater(len(self.lagging(link=MIB)), 15)

    def test_and_leaves_it_where_its_own_link_is_full(self):
        self.assertLess(len(self.lagging(link=MIB / 2)), 8)

    def test_failed_trials_of_better_times_are_forgotten(self):
        turns = self.turns()
        for tenth in range(30, 600):
            later = tenth / 10
            if self.take(turns, later, speed=10 * MIB):
                turns.end(self.began + later, MIB, 0.2)
        taken = [later for later in range(60, 80) if turns.take(
            self.began + later, 5 * MIB, growing=True, behind=True)]
        self.assertLess(taken[0], 65)

    def test_slow_peers_are_seen_soon_and_at_the_end_too(self):
        turns = self.turns(first=False)
        self.assertFalse(self.take(turns, 3, speed=10 * MIB))
        taken = []
        for tenth in range(30, 300):
            later = tenth / 10
            if turns.take(self.began + later, MIB / 2, growing=True,
                          ending=True):
                taken.append(later)
                turns.end(self.began + later, MIB, 0.1)
                if tenth % 20 == 0:
                    turns.peer_gave(self.began + later, MIB, 2.0)
        self.assertLess(taken[0], 6)
        self.assertLess(taken[2], 12)
        self.assertGreater(len(taken), 60)

    def test_one_that_is_not_faster_is_tried_less_and_less(self):
        turns, tried = self.turns(), []
        for tenth in range(30, 1000):
            if self.take(turns, tenth / 10):
                tried.append(tenth / 10)
                turns.end(self.began + tenth / 10, MIB, 0.1)
        self.assertTrue(4 <= len(tried) <= 8, tried)
