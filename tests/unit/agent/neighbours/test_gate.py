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
import unittest

from ironic_imagedeploy.agent.neighbours import gate


def made(most=None, most_of_one=1 << 40, **limits):
    return gate.Gate(gate.Limits(**limits), most=most,
                     most_of_one=most_of_one)


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
