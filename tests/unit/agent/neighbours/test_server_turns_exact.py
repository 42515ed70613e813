#!/usr/bin/env python3
#
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
from unittest import mock

from ironic_imagedeploy.agent.neighbours import server_turns

MIB = 1 << 20
SOON = 0.001


class ExactTestCase(unittest.TestCase):
    """What is left to chance is as early as it can be."""

    def setUp(self):
        self.enterContext(mock.patch.object(
            random, 'uniform', lambda least, most: least))
        self.now = 1000.0
        self.enterContext(mock.patch.object(
            server_turns.time, 'monotonic', lambda: self.now))

    def turns(self, *, first=True, seconds=None):
        """Turns of a node, which got a chunk that takes so long."""
        self.found = server_turns.ServerTurns(first=first)
        if seconds is not None:
            self.found.peer_gave(self.now, MIB, seconds)
        return self.found

    def take(self, later, speed=10 * MIB, growing=True, **more):
        return self.found.take(1000.0 + later, speed, growing=growing, **more)

    def end(self, later, length=MIB, seconds=1.0):
        self.found.end(1000.0 + later, length, seconds)


class HungerTest(ExactTestCase):

    def assert_waits(self, begin, seconds):
        """A turn comes after so many seconds, and not before."""
        self.assertFalse(self.take(begin + seconds, 0, growing=False))
        self.assertTrue(self.take(begin + seconds + SOON, 0, growing=False))
        self.end(begin + seconds + SOON)
        return begin + seconds + SOON

    def test_before_the_first_chunk(self):
        for first, seconds in ((True, 1.0), (False, 6.0)):
            self.turns(first=first)
            self.assert_waits(0.0, seconds)

    def test_later_ones_come_sooner_and_sooner(self):
        self.turns(first=False)
        now = 0.0
        for seconds in (6.0, 6.0, 6.0, 6.0, 3.0, 1.5, 0.75):
            now = self.assert_waits(now, seconds)
        self.found.peer_gave(1000.0 + now, MIB, 0.25)
        for seconds in (2.0, 2.0, 2.0, 2.0, 1.0):
            now = self.assert_waits(now, seconds)

    def test_four_chunks_are_waited_for(self):
        for seconds, patience in ((0.0, 1.0), (0.5, 3.0), (2.0, 9.0)):
            self.turns(first=False, seconds=seconds)
            self.assert_waits(0.0, patience)

    def test_peers_that_get_something(self):
        self.turns(first=False)
        self.assertFalse(self.take(5.0, 0))
        self.assert_waits(5.0, 6.0)

    def test_one_turn_at_a_time(self):
        self.turns()
        self.assertTrue(self.take(2.0, 0, growing=False))
        self.assertFalse(self.take(60.0, 0, growing=False))
        self.end(60.0)
        self.assertTrue(self.take(60.0, 0, growing=False))


class TrialTest(ExactTestCase):

    def test_not_before_peers_are_measured(self):
        self.turns(seconds=0.1)
        self.assertFalse(self.take(2.0))
        self.assertTrue(self.take(2.0 + SOON))
        self.turns()
        self.assertFalse(self.take(60.0))

    def test_how_often(self):
        self.turns(first=False, seconds=0.1)
        self.assertFalse(self.take(16.0 - SOON))
        self.assertFalse(self.take(16.0, ending=True))
        self.assertTrue(self.take(16.0))

    def trial(self, length, seconds=1.0, came=0, behind=False):
        """Whether a trial beside peers with a MiB per second is good."""
        self.turns(seconds=0.1)
        self.assertTrue(self.take(10.0, MIB, behind=behind))
        if came:
            self.found.peer_gave(1010.0, came, 0.1)
        self.end(11.0, length, seconds)
        return self.found._wins == 1

    def test_twice_as_fast_as_all_peers(self):
        for length, seconds, is_good in (
                (2 * MIB, 1.0, False), (2 * MIB + 1, 1.0, True),
                (MIB, 0.5, False), (MIB, 0.49, True), (MIB, 1.0, False)):
            self.assertEqual(is_good, self.trial(length, seconds))

    def test_on_top_of_what_the_peers_give(self):
        half = MIB // 2
        for came, behind, is_good in (
                (half, True, False), (half + 1, True, True),
                (half + 1, False, False), (9 * MIB, False, False)):
            self.assertEqual(is_good, self.trial(
                MIB, came=came, behind=behind))

    def test_a_good_one_is_repeated_soon_and_a_bad_one_late(self):
        for length, again in ((3 * MIB, 2.0), (MIB, 2.0)):
            self.trial(length)
            self.assertFalse(self.take(11.0 + again - SOON, MIB))
            self.assertTrue(self.take(11.0 + again, MIB))
            self.end(13.0, length)
            later = 2.0 if length > MIB else 4.0
            self.assertFalse(self.take(13.0 + later - SOON, MIB))
            self.assertTrue(self.take(13.0 + later, MIB))

    def test_good_ones_in_a_row(self):
        self.trial(3 * MIB)
        self.assertTrue(self.take(20.0, MIB))
        self.end(20.0)
        self.assertEqual(0, self.found._wins)


class SpellTest(ExactTestCase):

    def spell(self):
        """Three good trials; the time of the last one."""
        self.turns(seconds=0.1)
        for later in (10.0, 20.0, 30.0):
            self.assertTrue(self.take(later, MIB))
            self.assertIsNone(self.found._spell)
            self.end(later, 3 * MIB)
        self.assertIsNotNone(self.found._spell)

    def test_turns_follow_each_other(self):
        self.spell()
        for later in (30.0, 31.0, 32.0):
            self.assertTrue(self.take(later, MIB))
            self.assertFalse(self.take(later, MIB))
            self.end(later)
        # Peers are measured again.
        self.assertFalse(self.take(32.0 + SOON, MIB))

    def worth(self, got, speed=MIB):
        """Whether a spell in which the server gave that was of use."""
        self.spell()
        self.assertTrue(self.take(32.0, MIB))
        self.end(32.0, got)
        self.take(34.0, speed)
        return self.found._spell_seconds > 2.0

    def test_what_is_worth_it(self):
        """Half as much again, by both, in the four seconds that it took."""
        for got, speed, is_worth in (
                (2 * MIB, MIB, False), (2 * MIB + 1, MIB, True),
                (6 * MIB, 0, False), (6 * MIB + 1, 0, True)):
            self.assertEqual(is_worth, self.worth(got, speed))

    def test_one_more_good_trial_is_enough_then(self):
        self.worth(9 * MIB)
        self.assertEqual((2, 4.0), (self.found._wins,
                                    self.found._spell_seconds))
        self.worth(0)
        self.assertEqual((0, 2.0), (self.found._wins,
                                    self.found._spell_seconds))

    def test_longer_and_longer(self):
        self.worth(99 * MIB)
        later, lengths = 40.0, []
        for _ in range(4):
            self.assertTrue(self.take(later, MIB))
            self.end(later, 99 * MIB)
            spell = self.found._spell
            lengths.append(spell.end - spell.began)
            later += lengths[-1] + 1.0
            self.assertTrue(self.take(later - 1.0, MIB))
            self.end(later - 1.0, 99 * MIB)
            self.take(later, MIB)
            later += 10.0
        self.assertEqual([4.0, 8.0, 8.0, 8.0], lengths)


class SlowPeersTest(ExactTestCase):

    def slow(self, seconds=0.25, speed=MIB):
        """Peers that gave ten MiB per second until 2.0."""
        self.turns(first=False, seconds=seconds)
        self.assertFalse(self.take(2.0))
        self.speed = speed

    def assert_waits(self, begin, seconds, **more):
        for later, is_taken in ((seconds, False), (seconds + SOON, True)):
            self.assertEqual(is_taken, self.take(
                begin + later, self.speed, ending=True, **more), later)

    def test_what_is_slow(self):
        """Less than a quarter of the best."""
        for speed, is_slow in ((2.5 * MIB, False), (2.5 * MIB - 1, True)):
            self.slow(speed=speed)
            self.assertEqual(is_slow, self.take(14.0, speed, ending=True))

    def test_how_long_they_are_waited_for(self):
        """A second and four chunks of the quickest peer."""
        for seconds, patience in ((0.25, 2.0), (0.5, 3.0)):
            self.slow(seconds)
            self.found.peer_gave(1002.0, MIB, 9.0)
            self.assert_waits(2.0, patience)

    def test_longer_after_trials_that_were_not_worth_it(self):
        self.slow()
        now = 2.0
        for doubt in (1, 2, 4, 8, 16, 32, 32):
            self.assert_waits(now, 2.0 * doubt)
            now += 2.0 * doubt + SOON
            self.end(now, MIB, 1.0)
        # They are well again.
        self.assertFalse(self.take(now, ending=True))
        self.assert_waits(now, 2.0)

    def test_a_peer_that_is_far_ahead(self):
        self.slow(speed=10 * MIB)
        self.assert_waits(2.0, 2.0, behind=True)
