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

import types
import unittest
from unittest import mock

from ironic_imagedeploy.agent.neighbours import candidates

MIB = 1 << 20


class CandidateTestCase(unittest.TestCase):

    def setUp(self):
        self.now = 1000.0
        self.enterContext(mock.patch.object(
            candidates.time, 'monotonic', lambda: self.now))
        self.news = 0
        self.found = candidates.Candidate(
            types.SimpleNamespace(name='192.0.2.1:9998'), self.changed, MIB)

    def changed(self):
        self.news += 1

    def has(self, count, later=0.0):
        """Let it say, at that time, that it has so many chunks."""
        self.now = 1000.0 + later
        self.found.watch.bits = ((1 << count) - 1).to_bytes(32, 'little')
        self.found._news()


class ChunksTest(CandidateTestCase):

    def test_at_first(self):
        self.assertEqual(
            ('neighbour 192.0.2.1:9998', 0, 0, 0.0, 0.0, 0, False),
            (self.found.name, self.found.count, self.found.in_flight,
             self.found.speed, self.found.fastest, self.found.failures,
             self.found.dropped))
        self.assertEqual(0.0, self.found.growth(self.now))

    def test_how_many_it_has(self):
        for count in (5, 9):
            self.has(count)
            self.assertEqual(count, self.found.count)
        self.found.watch.bits = None
        self.found._news()
        self.assertEqual((9, 3), (self.found.count, self.news))

    def test_how_fast_it_gets_them(self):
        """Of those of the last four seconds, by what it had before."""
        for later, count in ((0.0, 10), (1.0, 18), (4.0, 30), (5.0, 46)):
            self.has(count, later)
        for later, growth in ((3.9, 7.0), (5.0, 7.0), (7.9, 7.0), (8.0, 4.0),
                              (8.9, 4.0), (9.0, 0.0)):
            self.assertEqual(growth, self.found.growth(1000.0 + later), later)

    def test_what_is_older_is_forgotten(self):
        for later in (0.0, 0.5, 1.0, 4.9):
            self.has(1, later)
        self.assertEqual(3, len(self.found._counts))
        self.has(1, 5.0)
        self.assertEqual(3, len(self.found._counts))
        self.has(1, 500.0)
        self.assertEqual(2, len(self.found._counts))
        self.has(1, 900.0)
        self.assertEqual([1500.0, 1900.0],
                         [when for when, _ in self.found._counts])

    def test_chunks_at_a_time(self):
        """More for those that take less than 2 s, and than 0.05 s."""
        self.has(3)
        for fastest, most in ((0.0, 1), (0.5, 1), (0.51, 2), (1.0, 2),
                              (20.0, 2), (20.1, 4)):
            self.found.fastest = fastest
            for in_flight in range(6):
                self.found.in_flight = in_flight
                self.assertEqual(in_flight < most,
                                 self.found.has_time_for(2), fastest)
            self.assertFalse(self.found.has_time_for(3))
        self.found.in_flight = 0
        self.assertFalse(self.found.has_time_for(3))
        self.found.failures, self.found.in_flight = 1, 1
        self.assertFalse(self.found.has_time_for(2))


class AnswersTest(CandidateTestCase):

    def awaited(self, later, **options):
        return self.found.is_awaited(1000.0 + later, **options)

    def test_the_first_one_is_waited_for(self):
        for later, alone, with_others in (
                (0.0, True, True), (1.5, True, True), (1.6, True, False),
                (3.0, True, False), (3.1, False, False)):
            self.assertEqual(alone, self.awaited(later), later)
            self.assertEqual(with_others, self.awaited(later, others=True))

    def test_who_is_not_waited_for(self):
        for owner, name in ((self.found, 'dropped'),
                            (self.found.watch, 'refused'),
                            (self.found.watch, 'answered')):
            setattr(owner, name, True)
            self.assertFalse(self.awaited(0.0), name)
            setattr(owner, name, False)
        self.assertTrue(self.awaited(0.0))

    def test_who_may_be_asked(self):
        self.assertFalse(self.found.is_live(self.now))
        self.found.watch.bits = b''
        self.assertTrue(self.found.is_live(self.now))
        self.found.dropped = True
        self.assertFalse(self.found.is_live(self.now))

    def assert_rests(self, seconds):
        self.found.watch.bits = b''
        self.assertFalse(self.found.is_live(self.now + seconds - 0.01))
        self.assertTrue(self.found.is_live(self.now + seconds))

    def test_failures_in_a_row(self):
        for seconds in (4.0, 8.0, 16.0):
            self.found.failed(self.now, promise=False)
            self.assert_rests(seconds)
        self.found.gave(MIB)
        self.found.failed(self.now, promise=False)
        self.assert_rests(4.0)

    def test_promises_that_are_broken(self):
        self.found.watch.bits = b''
        for _ in range(2):
            for _ in range(7):
                self.found.failed(self.now, promise=True)
                self.assertTrue(self.found.is_live(self.now))
            self.found.failed(self.now, promise=True)
            self.assert_rests(2.0)
            self.now += 100.0
        self.assertEqual(0, self.found.failures)
        for _ in range(7):
            self.found.failed(self.now, promise=True)
        self.found.gave(MIB)
        for _ in range(7):
            self.found.failed(self.now, promise=True)
        self.assertTrue(self.found.is_live(self.now))

    def test_its_speed(self):
        """A quarter of it is that of the last chunk, in seconds."""
        self.found.gave(4.0 * MIB)
        self.assertEqual((4.0 * MIB, 4.0), (self.found.speed,
                                            self.found.fastest))
        self.found.gave(1.0 * MIB)
        # (3 * 1/4 + 1 * 1) / 4 seconds for a MiB
        self.assertAlmostEqual(MIB / 0.4375, self.found.speed)
        self.assertEqual(4.0, self.found.fastest)
        self.found.gave(1000.0 * MIB)
        self.assertAlmostEqual(MIB / (0.75 * 0.4375 + 0.00025),
                               self.found.speed)
        self.assertLess(self.found.fastest, 4.0 + 1e-9)


class TrialsTest(unittest.TestCase):

    def setUp(self):
        self.enterContext(mock.patch.object(
            candidates.time, 'monotonic', lambda: 1000.0))
        self.uniform = self.enterContext(mock.patch.object(
            candidates.random, 'uniform', autospec=True, return_value=1.5))
        self.found = candidates.Trials(2.0)

    def assert_due(self, seconds, now=1000.0):
        """The next one comes after so many seconds and not before."""
        self.assertFalse(self.found.are_due(now + seconds - 0.01))
        self.assertTrue(self.found.are_due(now + seconds))
        for call in self.uniform.mock_calls:
            self.assertEqual(mock.call(1, 2), call)

    def test_the_first_one(self):
        self.assert_due(3.0)

    def test_further_and_further_apart(self):
        for seconds in (6, 12, 24, 48, 96, 96, 96):
            self.found.judge(False, 2000.0)
            self.assert_due(seconds, 2000.0)
        # What was good is tried soon, and then as at first.
        self.found.judge(True, 3000.0)
        self.assert_due(3.0, 3000.0)
        self.found.delay(4000.0)
        self.assert_due(3.0, 4000.0)

    def test_again_soon(self):
        self.found.judge(False, 1000.0)
        self.found.repeat(2000.0)
        self.assert_due(1.5 * candidates.WINDOW, 2000.0)
        self.found.delay(3000.0)
        self.assert_due(6.0, 3000.0)
