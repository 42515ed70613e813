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


import pathlib
import threading
import unittest
from unittest import mock

from ironic_imagedeploy.agent.neighbours import gate

PAGE = (pathlib.Path(__file__).parents[4]
        / 'doc/source/admin/neighbours.rst')


def made(most=None, most_of_one=1 << 40, **limits):
    return gate.Gate(gate.Limits(**limits), most=most,
                     most_of_one=most_of_one)


class LimitsTest(unittest.TestCase):

    def test_the_page_tells_what_can_be_exhausted(self):
        limits = gate.Limits()
        seconds = limits.handshake_seconds + limits.head_seconds
        self.assertEqual(limits.handshake_seconds, limits.head_seconds)
        page = ' '.join(PAGE.read_text().split())
        for words in (
                f'{limits.unproven} connections that have not shown a ticket, '
                f'for {seconds:.0f} seconds each, '
                f'{limits.connections_of_one} of one address; '
                f'{limits.handshakes} new ones a second',
                f'in up to {limits.unproven} threads',
                f'{limits.connections_of_one} of {limits.connections} '
                f'connections, {limits.bodies_of_one} chunks at a time',
                f'and {limits.answers} answers a second that are shorter than '
                f'{gate.SHORT >> 10} KiB',
                f'all {limits.connections} connections of that node'):
            self.assertIn(words, page)

    def test_what_the_page_does_not_tell(self):
        """Memory and patience, in round numbers."""
        limits = gate.Limits()
        self.assertEqual(3 * limits.bodies_of_one, limits.bodies)
        self.assertEqual(256, limits.holders)
        self.assertEqual((30.0, 2.0, 128 << 10), (
            limits.idle_seconds, limits.body_seconds, limits.floor))


class ConnectionsTest(unittest.TestCase):

    def test_of_one_address(self):
        found = made(connections_of_one=2)
        self.assertEqual([True, True, False],
                         [found.enter('a') for _ in range(3)])
        self.assertTrue(found.enter('b'))
        found.leave('a', None)
        self.assertTrue(found.enter('a'))

    def test_of_one_holder(self):
        found = made(connections_of_one=2)
        proven = []
        for each in range(6):
            address = f'192.0.2.{each}'
            self.assertTrue(found.enter(address))
            proven.append(found.prove(address, 'one'))
            if not proven[-1]:
                found.leave(address, None)
        self.assertEqual([True, True] + 4 * [False], proven)
        self.assertTrue(found.enter('a'))
        self.assertTrue(found.prove('a', 'another'))
        found.leave('192.0.2.0', 'one')
        self.assertTrue(found.enter('192.0.2.9'))
        self.assertTrue(found.prove('192.0.2.9', 'one'))

    def test_of_strangers(self):
        found = made(unproven=3)
        entered = [found.enter(f'192.0.2.{each}') for each in range(9)]
        self.assertEqual(3, sum(entered))
        self.assertTrue(found.prove('192.0.2.0', 'one'))
        self.assertTrue(found.enter('192.0.2.99'))
        found.leave('192.0.2.0', 'one')
        self.assertFalse(found.enter('192.0.2.98'))

    def test_of_all(self):
        found = made(connections=5, unproven=99)
        self.assertEqual(5, sum(found.enter(str(each)) for each in range(9)))

    def test_handshakes(self):
        found = made(handshakes=10, unproven=99, connections=99,
                     connections_of_one=99)
        entered = 0
        for _ in range(50):
            if found.enter('a'):
                entered += 1
                found.leave('a', None)
        self.assertTrue(10 <= entered <= 12, entered)

    def test_nothing_is_kept_of_those_who_are_gone(self):
        found = made(connections=1, handshakes=1 << 30)
        for each in range(1000):
            if found.enter(str(each)):
                found.leave(str(each), None)
            found.enter('x' * each)
        self.assertLess(len(found._unproven) + len(found._connections), 3)


class PauseTest(unittest.TestCase):

    def test_of_one_holder(self):
        found = made(answers=100)
        pauses = [found.pause('a') for _ in range(60)]
        self.assertEqual(10 * [0.0], pauses[:10])
        self.assertTrue(0.3 < pauses[-1] <= 0.5, pauses[-1])
        self.assertEqual(0.0, found.pause('b'))

    def test_nothing_is_kept_of_those_who_are_gone(self):
        found = made(answers=1 << 30)
        for each in range(1000):
            found.pause(str(each))
        self.assertLess(len(found._paced), 3)


class ClockTest(unittest.TestCase):

    def setUp(self):
        self.now = 1000.0
        self.enterContext(mock.patch.object(
            gate.time, 'monotonic', lambda: self.now))

    def entered(self, found):
        """How many of some new connections are let in at once."""
        count = 0
        for _ in range(40):
            if found.enter('a'):
                count += 1
                found.leave('a', None)
        return count

    def test_handshakes_of_a_second(self):
        found = made(handshakes=8)
        for seconds, count in ((0, 8), (0.0625, 0), (0.0625, 1), (0.5, 4),
                               (1, 8), (60, 8), (0.3125, 2), (0.1875, 2)):
            self.now += seconds
            self.assertEqual(count, self.entered(found), seconds)

    def test_pauses(self):
        found = made(answers=100)
        for count in range(1, 31):
            self.assertAlmostEqual(max(count / 100 - 0.1, 0.0),
                                   found.pause('a'))
        self.now += 0.1
        self.assertAlmostEqual(0.11, found.pause('a'))
        self.now += 60
        self.assertEqual(0.0, found.pause('a'))
        # One that is over has no debt, and is forgotten.
        self.now += 60
        found.pause('b')
        self.assertEqual(['b'], [*found._paced])


class BodiesTest(unittest.TestCase):

    def test_bytes_of_one(self):
        found = made(most_of_one=10)
        for length, expected in ((6, True), (5, False), (4, True),
                                 (1, False)):
            with found.body('a', length) as admitted:
                self.assertEqual(expected, admitted)
        with found.body('b', 10) as admitted:
            self.assertTrue(admitted)
        self.assertEqual({'a': 10, 'b': 10}, dict(found.given))

    def test_bytes_of_all(self):
        found = made(most=10)
        with found.body('a', 6) as one, found.body('b', 5) as other:
            self.assertEqual((True, False), (one, other))
        self.assertEqual(6, found.total)

    def test_holders(self):
        found = made(holders=2)
        admitted = []
        for holder in 'abcab':
            with found.body(holder, 1) as each:
                admitted.append(each)
        self.assertEqual([True, True, False, True, True], admitted)

    def test_at_a_time(self):
        found = made(bodies=3, bodies_of_one=2, body_seconds=0.01)
        with found.body('a', 1) as first, found.body('a', 1) as second:
            with found.body('a', 1) as third:
                self.assertEqual((True, True, False), (first, second, third))
            with found.body('b', 1) as one, found.body('c', 1) as other:
                self.assertEqual((True, False), (one, other))
        with found.body('a', 1) as again:
            self.assertTrue(again)
        self.assertEqual({}, dict(found._bodies))

    def test_are_waited_for(self):
        found = made(bodies=1, body_seconds=10)
        ready = threading.Event()

        def wait():
            with found.body('b', 1) as admitted:
                if admitted:
                    ready.set()
        with found.body('a', 1):
            waiting = threading.Thread(target=wait)
            waiting.start()
            self.assertFalse(ready.wait(0.05))
        waiting.join(10)
        self.assertTrue(ready.is_set())
