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
import secrets
import threading
import unittest
from unittest import mock

from ironic_imagedeploy.agent.neighbours import connection as connections
from ironic_imagedeploy.agent.neighbours import neighbourhood
from ironic_imagedeploy.agent.neighbours import pipeline as pipelines
from ironic_imagedeploy.agent.neighbours import sharing
from ironic_imagedeploy.contract import neighbours as contract
from ironic_imagedeploy import engine
from tests.support.simulation import certificate
from tests.unit.agent.neighbours import images

MIB = images.MIB
IMAGE = random.Random(7).randbytes(24 * MIB)
MANIFEST = images.manifest_of(IMAGE)


class Origin(engine.Source):
    """The image in memory, at a speed, which counts what it gives.

    :param pause: seconds that a chunk takes.
    """

    name = 'origin'
    size = len(IMAGE)

    def __init__(self, pause=0.05):
        self.given = 0
        self._pause = pause
        self._link = threading.Lock()

    def read_at(self, offset, length):
        with self._link:
            threading.Event().wait(self._pause)
            self.given += length
        return IMAGE[offset:offset + length]

    def open_stream(self):
        raise NotImplementedError

    def fill(self, offset, view, until):
        view[:] = self.read_at(offset, len(view))


class Node:
    """A node that gets the image, and gives it to others."""

    def __init__(self, origin, peers, lies=False):
        self.disk = bytearray(len(IMAGE))
        self.key = secrets.token_urlsafe(32)
        self.source = engine.ChunkedSource(MANIFEST, origin)
        made = certificate.make(images.ADDRESS)
        self.shared = sharing.NeighbourSharing(contract.Neighbours(
            ticket_key=self.key, seconds=60, port=images.free_port(),
            peers=peers), self.source, 64 * MIB)
        self.port = self.shared.start(images.ADDRESS, made.context)
        self.pem = made.pem
        if lies:
            get = self.shared.store.get
            self.shared.store.get = lambda index: bytes(len(get(index) or ''))
        self._next = iter(range(MANIFEST.count))
        self._lock = threading.Lock()
        self.threads = [threading.Thread(target=self._fill, daemon=True)
                        for _ in range(4)]
        self.stopped = threading.Event()

    @property
    def named(self):
        """The node as a peer, with a ticket of its own each time."""
        return contract.Peer(
            url=f'https://{images.ADDRESS}:{self.port}',
            certificate=self.pem, ticket=contract.ticket(self.key))

    def start(self):
        for thread in self.threads:
            thread.start()

    def _fill(self):
        while not self.stopped.is_set():
            with self._lock:
                index = next(self._next, None)
            if index is None:
                return
            start, end = MANIFEST.bounds(index)
            self.source.fill_chunk(
                index, memoryview(self.disk)[start:end])

    def kill(self):
        self.stopped.set()
        self.shared.stop()


class MissingTest(unittest.TestCase):

    def test_each_chunk_counts_once(self):
        content = IMAGE[:3 * MIB] + bytes(2 * MIB) + IMAGE[3 * MIB:6 * MIB]
        manifest = images.manifest_of(content)
        found = neighbourhood.Neighbourhood((), manifest=manifest)
        data = [index for index in range(manifest.count)
                if not manifest.is_zero(index)]
        self.assertEqual(len(data), found.missing)
        for index in (data[0], data[0], data[2]):
            start, end = manifest.bounds(index)
            # It is read for the inspection, and again to be written.
            found.verified(index, memoryview(content)[start:end])
        self.assertEqual(len(data) - 2, found.missing)
        for index in range(manifest.count):
            found.written(index)
        self.assertEqual(0, found.missing)


class NeighboursTestCase(unittest.TestCase):
    """Two neighbours that nobody has asked yet."""

    def setUp(self):
        named = [contract.Peer(url=f'https://192.0.2.{number}:9998',
                               certificate='') for number in (1, 2)]
        self.found = neighbourhood.Neighbourhood(named, manifest=MANIFEST)


class FailuresTest(NeighboursTestCase):

    def fetch(self, error, index=5):
        """What comes of a peer that fails, which was chosen for a chunk."""
        first, _ = self.found._candidates
        first.in_flight += 1
        self.found._local.choice = neighbourhood._Choice(
            index, first, 0.0, has_place=True)
        with mock.patch.object(first.peer, 'fetch', autospec=True,
                               side_effect=error):
            try:
                self.found.fetch(first, index * MIB,
                                 memoryview(bytearray(MIB)))
            except engine.exceptions.SourceError as found:
                self.assertEqual(0, first.in_flight)
                self.assertEqual(first.name, found.subject)
                return type(found)
        return None

    def test_three_failures_in_a_row(self):
        error = connections.PeerFailed('x')
        absent, over = engine.ChunkAbsent, engine.exceptions.SourceError
        for expected in (absent, absent, over, over):
            self.assertIs(expected, self.fetch(error))
        self.found._candidates[0].gave(MIB)
        self.assertIs(absent, self.fetch(error))

    def test_who_refuses_is_not_asked_again(self):
        self.assertIs(engine.exceptions.SourceError,
                      self.fetch(connections.PeerRefused('x')))

    def test_a_chunk_that_is_not_there_is_no_failure(self):
        for _ in range(7):
            self.assertIs(engine.ChunkAbsent, self.fetch(pipelines.NotHere()))
        self.assertEqual(0, self.found._candidates[0].failures)

    def test_the_server_is_next(self):
        self.fetch(connections.PeerFailed('x'))
        choice = self.found._chosen()
        self.assertEqual((5, None, False), (choice.chunk, choice.candidate,
                                            choice.is_turn))
        # Another one is not asked for it instead.
        with self.assertRaises(engine.ChunkAbsent):
            self.found.fetch(self.found._candidates[1], 5 * MIB,
                             memoryview(bytearray(MIB)))

    def test_parts_of_a_chunk(self):
        """The turn began with the first of them."""
        first, _ = self.found._candidates
        choice = self.found._local.choice = neighbourhood._Choice(
            5, first, 0.0, has_place=True)
        with mock.patch.object(first.peer, 'fetch', autospec=True,
                               side_effect=(7.0, 8.0)) as fetch:
            for start, span in ((0, (0, 4096)), (4096, (4096, 8192))):
                self.found.fetch(first, 5 * MIB + start,
                                 memoryview(bytearray(4096)))
                self.assertEqual((5, span), fetch.call_args.args[:2])
        self.assertEqual((7.0, True), (choice.began, choice.has_part))


class BoundsTest(NeighboursTestCase):

    def test_seconds_that_a_chunk_may_take(self):
        """By a sixteenth of the fastest peer's speed, and a least one."""
        for speeds, seconds in (
                ((0, 0), 19.0), ((MIB, 0), 19.0), ((0, 4 * MIB), 7.0),
                ((16 * MIB, MIB), 4.0), ((2 * MIB, 2 * MIB), 11.0)):
            for each, speed in zip(self.found._candidates, speeds,
                                   strict=True):
                each.speed = speed
            self.assertEqual(seconds, self.found._allowed(MIB))
        self.assertEqual(3.0, self.found._allowed(0))

    def test_what_came_of_late(self):
        for when, length in ((1.0, 100), (1.5, 10), (3.0, 1)):
            self.found._arrivals.append((when, length))
        for now, speed in ((3.0, 55.5), (3.1, 5.5), (3.5, 5.5), (3.6, 0.5),
                           (5.0, 0.5), (5.1, 0.0)):
            self.assertEqual(speed, self.found._speed(now), now)

    def test_what_a_chunk_tells_of_speeds(self):
        first, _ = self.found._candidates
        with (mock.patch.object(neighbourhood.time, 'monotonic',
                                autospec=True, return_value=12.5),
              mock.patch.object(self.found, '_turns', autospec=True) as turns):
            for candidate in (first, None):
                self.found._local.choice = neighbourhood._Choice(
                    5, candidate, 10.0, is_turn=candidate is None)
                self.found.verified(5, memoryview(bytearray(MIB)))
        self.assertEqual(MIB / 2.5, first.speed)
        turns.end.assert_called_once_with(12.5, MIB, 2.5)
        # Of all that came in two seconds.
        turns.peer_gave.assert_called_once_with(12.5, MIB, 2.0)

    def test_the_last_eighth(self):
        # Of 24 chunks.
        with mock.patch.object(self.found._turns, 'take', autospec=True,
                               return_value=True) as take:
            for index, missing, ending in (
                    (0, 24, False), (20, 3, False), (21, 2, True)):
                for written in range(index + 1 if index else 0):
                    self.found.written(written)
                self.assertEqual(missing, self.found.missing)
                self.assertTrue(self.found._choose(23).is_turn)
                self.assertEqual(ending, take.call_args.kwargs['ending'])

    def test_who_is_named_has_bits_for_all_chunks(self):
        for each in self.found._candidates:
            self.assertEqual(3, each.peer._most_news)
        self.assertEqual(['neighbour 192.0.2.1:9998',
                          'neighbour 192.0.2.2:9998'],
                         [each.name for each in self.found.suppliers])

    def test_the_first_ones_know_few(self):
        for count, first in ((0, True), (2, True), (3, False)):
            named = [contract.Peer(url=f'https://192.0.2.{number}:9998',
                                   certificate='') for number in range(count)]
            with mock.patch.object(neighbourhood.server_turns, 'ServerTurns',
                                   autospec=True) as turns:
                neighbourhood.Neighbourhood(named, manifest=MANIFEST)
            turns.assert_called_once_with(first=first)


class ChainTest(unittest.TestCase):
    """Nodes of which each knows the three before it."""

    def chain(self, count, origin, liar=None):
        nodes = []
        for number in range(count):
            nodes.append(Node(origin, tuple(
                node.named for node in nodes[:-4:-1]), number == liar))
            self.addCleanup(nodes[-1].kill)
        for node in nodes:
            node.start()
        return nodes

    def finish(self, nodes):
        for node in nodes:
            for thread in node.threads:
                thread.join(60)
                self.assertFalse(thread.is_alive())
            self.assertEqual(IMAGE, node.disk)

    def test_the_origin_gives_it_a_few_times(self):
        origin = Origin()
        self.finish(self.chain(8, origin))
        self.assertLess(origin.given, 4 * len(IMAGE))

    def test_one_that_dies(self):
        origin = Origin()
        nodes = self.chain(6, origin)
        timer = threading.Timer(0.6, nodes[2].kill)
        timer.start()
        self.addCleanup(timer.join)
        self.finish(nodes[:2] + nodes[3:])
        self.assertLess(origin.given, 4 * len(IMAGE))

    def test_one_that_lies(self):
        origin = Origin()
        nodes = self.chain(5, origin, liar=1)
        self.finish(nodes)
        bad = {each.name: each.bad_chunks for node in nodes
               for each in node.source.reports if each.bad_chunks}
        liar = nodes[1].named.url.removeprefix('https://')
        self.assertEqual({f'neighbour {liar}'}, set(bad))

    def test_no_thread_is_left(self):
        before = threading.active_count()
        nodes = self.chain(3, Origin(0))
        self.finish(nodes)
        for node in nodes:
            node.kill()
        for thread in threading.enumerate():
            if thread.name == 'watch of a neighbour':
                thread.join(10)
        self.assertLessEqual(threading.active_count(), before)
