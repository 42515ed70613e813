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

import queue
import subprocess
import sys
import threading
import time
import unittest
from unittest import mock

from ironic_imagedeploy.conductor.progress import client
from ironic_imagedeploy.conductor.progress import rounds


class RoundTest(unittest.TestCase):

    def setUp(self):
        super().setUp()
        for name, seconds in (('_ANSWER', 0.4), ('_ROUND', 3.0),
                              ('_LOOK', 0.05)):
            self.enterContext(mock.patch.object(rounds, name, seconds))

    def test_nobody_is_asked(self):
        self.assertEqual([], list(rounds.ask([], self.fail)))

    def test_all_are_asked_at_the_same_time(self):
        barrier = threading.Barrier(5, timeout=10)
        self.assertEqual(
            {each: 2 * each for each in range(5)}, dict(rounds.ask(
                range(5), lambda item: barrier.wait() and 0 or 2 * item)))

    def test_a_round_that_has_ended_waits_for_nobody(self):
        over = threading.Event()
        self.addCleanup(over.set)
        clock = mock.Mock(spec=time)
        clock.monotonic.side_effect = (5.0, 8.0)
        with mock.patch.object(rounds, 'time', clock):
            self.assertEqual({}, {item: result for item, result in rounds.ask(
                [0], lambda item: over.wait(10)) if result is not None})

    def test_not_more_than_so_many(self):
        running, most, lock = 0, 0, threading.Lock()

        def question(item):
            nonlocal running, most
            with lock:
                running += 1
                most = max(most, running)
            time.sleep(0.02)
            with lock:
                running -= 1

        with mock.patch.object(rounds, '_THREADS', 3):
            self.assertEqual(12, len(list(rounds.ask(range(12), question))))
        self.assertEqual(3, most)

    def test_who_is_asked_first_is_left_to_chance(self):
        seen = []
        with mock.patch.object(rounds, '_THREADS', 1):
            list(rounds.ask(range(40), seen.append))
        self.assertNotEqual(list(range(40)), seen)
        self.assertEqual(list(range(40)), sorted(seen))

    def test_one_that_is_late_is_cut_off(self):
        """After its time, and not before."""
        call = None
        began = time.monotonic()

        def question(item):
            nonlocal call
            call = client._CURRENT.call
            while not call.is_cut and time.monotonic() - began < 10:
                time.sleep(0.01)
            return time.monotonic() - began

        (_, seconds), = rounds.ask([0], question)
        self.assertTrue(0.35 < seconds < 5, seconds)

    def test_who_stops_listening(self):
        asked = []

        def question(item):
            asked.append(client._CURRENT.call)
            while len(asked) > 1 and not asked[-1].is_cut:
                time.sleep(0.01)

        with mock.patch.object(rounds, '_THREADS', 1):
            answers = rounds.ask(range(9), question)
            next(answers)
            answers.close()
        time.sleep(0.2)
        self.assertLessEqual(len(asked), 2)

    def test_who_is_still_asked_is_cut_off(self):
        begun, late = threading.Event(), []

        def question(item):
            if not item:
                self.assertTrue(begun.wait(10))
                return
            late.append(client._CURRENT.call)
            begun.set()
            while not late[0].is_cut and late[0].seconds < 5:
                time.sleep(0.01)

        with mock.patch.object(rounds, '_ANSWER', 60):
            answers = rounds.ask(range(2), question)
            self.assertEqual((0, None), next(answers))
            answers.close()
        self.assertTrue(late[0].is_cut)

    def test_what_waits_is_forgotten(self):
        waiting = queue.SimpleQueue()
        for each in range(3):
            waiting.put(each)
        rounds._forget(waiting)
        self.assertTrue(waiting.empty())

    def test_one_of_many_holds_up_nobody(self):
        late = threading.Event()
        self.addCleanup(late.set)
        with mock.patch.object(rounds, '_THREADS', 2):
            results = dict(rounds.ask(range(20), lambda item: (
                late.wait(10) and None) if item == 7 else item))
        self.assertEqual({**{item: item for item in range(20)}, 7: None},
                         results)

    def test_a_round_ends(self):
        late = threading.Event()
        self.addCleanup(late.set)
        began = time.monotonic()
        with mock.patch.object(rounds, '_THREADS', 2), mock.patch.object(
                rounds, '_ROUND', 0.3):
            results = list(rounds.ask(range(20), lambda item: late.wait(10)))
        self.assertLess(time.monotonic() - began, 2)
        self.assertEqual([None, None], [result for _, result in results])

    def test_a_process_ends_while_an_agent_is_asked(self):
        program = ('import time\n'
                   'from ironic_imagedeploy.conductor.progress import rounds\n'
                   'rounds._ROUND = 0.1\n'
                   'list(rounds.ask([1], lambda item: time.sleep(60)))\n')
        began = time.monotonic()
        subprocess.run([sys.executable, '-c', program], check=True,
                       timeout=50)
        self.assertLess(time.monotonic() - began, 40)
