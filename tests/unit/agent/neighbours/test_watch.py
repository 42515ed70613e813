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

import threading
import types
import unittest

from ironic_imagedeploy.agent.neighbours import connection as connections
from ironic_imagedeploy.agent.neighbours import watch as watches

FAILED = connections.PeerFailed('x')


class Closed:
    """In place of the event: notes pauses, and is set when all is said."""

    def __init__(self, left):
        self.left = left
        self.pauses = []

    def is_set(self):
        return not self.left

    def wait(self, seconds):
        self.pauses.append(seconds)


class WatchTest(unittest.TestCase):

    def watched(self, *news):
        """A watch of a peer that says these things; it has ended."""
        self.left, self.known, self.seen = list(news), [], []

        def tell(version):
            self.known.append(version)
            found = self.left.pop(0)
            if isinstance(found, Exception):
                raise found
            return found

        watch = watches.Watch(
            types.SimpleNamespace(name='peer', news=tell),
            lambda: self.seen.append(watch.bits))
        self.closed = watch._closed = Closed(self.left)
        watch.start()
        watch._thread.join(10)
        self.assertFalse(watch._thread.is_alive())
        return watch

    def test_before_it_begins(self):
        watch = watches.Watch(types.SimpleNamespace(name='peer'), lambda: None)
        self.assertEqual((None, False, False),
                         (watch.bits, watch.refused, watch.answered))
        self.assertFalse(watch.has(0))

    def test_news(self):
        watch = self.watched((1, b'\1'), (2, b'\3'), (2, None), (5, b'\7'))
        self.assertEqual([None, 1, 2, 2], self.known)
        # Nothing new is no news.
        self.assertEqual([b'\1', b'\3', b'\7'], self.seen)
        self.assertEqual(4 * [0.02], self.closed.pauses)
        self.assertTrue(watch.answered)
        self.assertFalse(watch.refused)

    def test_a_peer_that_has_nothing_new_at_first(self):
        self.assertFalse(self.watched((1, None)).answered)

    def test_a_peer_that_does_not_answer(self):
        """It is asked later and later, and for all that it has."""
        watch = self.watched((1, b'\1'), *(6 * [FAILED]), (2, b'\3'), FAILED,
                             FAILED)
        self.assertEqual([None, 1, *(6 * [None]), 2, None], self.known)
        self.assertEqual(
            [0.02, 0.25, 0.5, 1.0, 2.0, 4.0, 4.0, 0.02, 0.25, 0.5],
            self.closed.pauses)
        self.assertEqual([b'\1', *(6 * [None]), b'\3', None, None],
                         self.seen)
        self.assertIsNone(watch.bits)
        self.assertTrue(watch.answered)

    def test_a_peer_that_refuses(self):
        watch = self.watched((1, b'\1'), connections.PeerRefused('x'),
                             (2, b'\3'))
        self.assertTrue(watch.refused)
        self.assertEqual([(2, b'\3')], self.left)
        self.assertEqual([b'\1', None], self.seen)

    def test_chunks(self):
        watch = self.watched((1, b'\x81\2'))
        self.assertEqual([0, 7, 9], [index for index in range(40)
                                     if watch.has(index)])

    def test_it_is_closed(self):
        asked = threading.Semaphore(0)

        def tell(version):
            asked.release()
            return 1, None

        watch = watches.Watch(types.SimpleNamespace(name='peer', news=tell),
                              lambda: None)
        watch.start()
        self.assertTrue(asked.acquire(timeout=10))
        watch.close()
        watch._thread.join(10)
        self.assertFalse(watch._thread.is_alive())
