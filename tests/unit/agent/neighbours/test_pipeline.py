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
import time
import unittest
from unittest import mock

from ironic_imagedeploy.agent.neighbours import connection as connections
from ironic_imagedeploy.agent.neighbours import peer as peers
from ironic_imagedeploy.agent.neighbours import pipeline as pipelines
from ironic_imagedeploy.contract import neighbours as contract
from tests.unit.agent.neighbours import fakes
from tests.unit.agent.neighbours import images

MIB = images.MIB


def head(*fields, status=206, length=MIB):
    return '\r\n'.join((f'HTTP/1.1 {status} .', f'Content-Length: {length}',
                        *fields, '', '')).encode()


def read_request(secured, received=b''):
    """The index of the chunk that a request asks for, and what follows."""
    while b'\r\n\r\n' not in received:
        part = secured.recv(4096)
        if not part:
            raise OSError('the end')
        received += part
    request, _, rest = received.partition(b'\r\n\r\n')
    return int(request.split(b' ')[1].rpartition(b'/')[2]), rest


def send_most(secured, head, index):
    """Send a chunk but for 1024 bytes, with a pause in the middle."""
    secured.sendall(head + images.chunk(index)[:MIB // 2])
    time.sleep(0.3)
    secured.sendall(images.chunk(index)[MIB // 2:-1024])


class PipelineTestCase(unittest.TestCase):
    """Two chunks that are asked for at the same time."""

    def start(self, *answers):
        """A peer that holds one conversation after the other."""
        waiting = iter(answers)
        self.liar = fakes.Liar(
            lambda secured, stopped: next(waiting)(secured, stopped))
        self.addCleanup(self.liar.close)
        self.peer = peers.Peer(
            contract.Peer(url=f'https://{images.ADDRESS}:{self.liar.port}',
                          certificate=images.CERTIFICATE.pem),
            root=images.MANIFEST.root, most_news=64)
        self.addCleanup(self.peer.close)

    def fetch(self, index, seconds=10):
        """Index of the chunk that came, or what was raised."""
        content = bytearray(MIB)
        try:
            self.peer.fetch(index, (0, MIB), memoryview(content), seconds)
        except (connections.PeerFailed, pipelines.NotHere) as problem:
            return problem
        return [images.chunk(0), images.chunk(1), bytes(MIB),
                images.chunk(3)].index(content)

    def fetch_both(self, **options):
        """What comes of chunk 0, and of 1, asked for a moment later."""
        found = {}

        def second():
            time.sleep(0.1)
            found[1] = self.fetch(1, **options)
        thread = threading.Thread(target=second)
        thread.start()
        found[0] = self.fetch(0, **options)
        thread.join(20)
        return found[0], found[1]


class PipelineTest(PipelineTestCase):

    def test_the_next_is_asked_for_while_an_answer_comes(self):
        asked = []

        def answer(secured, stopped):
            index, rest = read_request(secured)
            send_most(secured, head(), index)
            # The rest comes only when the next is asked for, too.
            following, _ = read_request(secured, rest)
            asked.append((index, following))
            secured.sendall(images.chunk(index)[-1024:])
            secured.sendall(head() + images.chunk(following))
            stopped.wait(10)
        self.start(answer)
        self.assertEqual((0, 1), self.fetch_both())
        self.assertEqual([(0, 1)], asked)

    def test_heads_that_come_together(self):
        def answer(secured, stopped):
            _, rest = read_request(secured)
            secured.sendall(head()[:5])
            send_most(secured, head()[5:], 0)
            read_request(secured, rest)
            secured.sendall(images.chunk(0)[-1024:]
                            + head(status=404, length=0))
            stopped.wait(10)
        self.start(answer)
        first, second = self.fetch_both()
        self.assertEqual(0, first)
        self.assertIsInstance(second, pipelines.NotHere)
        self.assertNotIsInstance(second, pipelines.Lost)

    def test_a_chunk_that_is_not_there_does_not_end_it(self):
        def answer(secured, stopped):
            rest = b''
            for _ in range(3):
                index, rest = read_request(secured, rest)
                secured.sendall(head(status=404, length=0) if index == 2
                                else head() + images.chunk(index))
            stopped.wait(10)
        self.start(answer)
        self.assertIsInstance(self.fetch(2), pipelines.NotHere)
        self.assertEqual((0, 1), self.fetch_both())
        self.assertEqual(1, len(self.liar._connections))

    def test_the_time_counts_from_its_turn(self):
        def answer(secured, stopped):
            index, rest = read_request(secured)
            for first in range(0, MIB, MIB // 8):
                time.sleep(0.15)
                secured.sendall((b'' if first else head())
                                + images.chunk(index)[first:][:MIB // 8])
            index, _ = read_request(secured, rest)
            time.sleep(0.5)
            secured.sendall(head() + images.chunk(index))
            stopped.wait(10)
        self.start(answer)
        self.assertEqual((0, 1), self.fetch_both(seconds=1.5))


class KeptTest(unittest.TestCase):
    """A connection whose first answer has ended."""

    def is_kept(self, *, drained=True, keeps=True, sent=()):
        """Whether it is good for another one.

        :param sent: whether they are sent, of the requests that wait.
        """
        made = mock.create_autospec(connections.Connection, instance=True)
        made.is_drained = drained
        made.answer.return_value.keeps = keeps
        found = pipelines.Pipeline(lambda: made)
        with found.turn(mock.sentinel.request) as turn:
            turn.answer(1.0)
            for is_sent in sent:
                found._turns.append(pipelines.Turn(found, mock.sentinel.next))
                found._turns[-1].is_sent = is_sent
        self.assertEqual(not found.is_connected, made.close.called)
        return found.is_connected

    def test_as_the_peer_says(self):
        for keeps in (True, False):
            self.assertEqual(keeps, self.is_kept(keeps=keeps))

    def test_what_nobody_asked_for(self):
        for sent, kept in (((), False), ((False,), False),
                           ((False, True), True)):
            self.assertEqual(kept, self.is_kept(drained=False, sent=sent))
            self.assertTrue(self.is_kept(sent=sent))

    def test_who_comes_after_the_end(self):
        connect = mock.Mock(spec=())
        found = pipelines.Pipeline(connect)
        found.close()
        with (self.assertRaisesRegex(connections.PeerFailed, 'the end'),
              found.turn(mock.sentinel.request) as turn):
            turn.answer(1.0)
        connect.assert_not_called()


class BrokenPipelineTest(PipelineTestCase):

    def breaks(self, end):
        """An answer that never ends."""
        def answer(secured, stopped):
            _, rest = read_request(secured)
            send_most(secured, head(), 0)
            read_request(secured, rest)
            end(secured, stopped)
        return answer

    def gives(self, secured, stopped):
        index, _ = read_request(secured)
        secured.sendall(head() + images.chunk(index))
        stopped.wait(10)

    def test_the_one_behind_is_given_back(self):
        self.start(self.breaks(lambda secured, stopped: None), self.gives)
        first, second = self.fetch_both()
        self.assertIsInstance(first, connections.PeerFailed)
        self.assertIsInstance(second, pipelines.Lost)
        self.assertEqual(3, self.fetch(3))

    def test_silence_costs_its_time_once(self):
        with mock.patch.object(connections, 'PATIENCE', 1.0):
            self.start(self.breaks(
                lambda secured, stopped: stopped.wait(10)), self.gives)
            began = time.monotonic()
            first, second = self.fetch_both()
        self.assertLess(time.monotonic() - began, 2.5)
        self.assertIsInstance(first, connections.PeerFailed)
        self.assertIsInstance(second, pipelines.Lost)

    def test_the_last_answer_of_a_connection(self):
        def last(secured, stopped):
            _, rest = read_request(secured)
            send_most(secured, head('Connection: close'), 0)
            read_request(secured, rest)
            secured.sendall(images.chunk(0)[-1024:])
        self.start(last, self.gives)
        self.assertEqual((0, 1), self.fetch_both())

    def test_an_answer_that_nobody_asked_for(self):
        def more(secured, stopped):
            read_request(secured)
            secured.sendall(head() + images.chunk(0)[:-1])
            time.sleep(0.2)
            secured.sendall(images.chunk(0)[-1:])
            secured.sendall(head(status=404, length=0))
            stopped.wait(10)

        def too_much(secured, stopped):
            read_request(secured)
            secured.sendall(head(length=5, status=404) + b'12345')
            stopped.wait(10)
        self.start(more, too_much, self.gives)
        self.assertEqual(0, self.fetch(0))
        # It is taken for an answer at most, never for a chunk.
        self.assertIsInstance(self.fetch(1), pipelines.NotHere)
        self.assertIsInstance(self.fetch(1), connections.PeerFailed)
        self.assertEqual(1, self.fetch(1))

    def test_the_end(self):
        self.start(self.breaks(lambda secured, stopped: stopped.wait(10)))
        timer = threading.Timer(0.5, lambda: self.peer.close())
        timer.start()
        self.addCleanup(timer.join)
        began = time.monotonic()
        for found in self.fetch_both():
            self.assertIsInstance(found, (connections.PeerFailed,
                                          pipelines.Lost))
        self.assertLess(time.monotonic() - began, 1.5)
        self.assertIsInstance(self.fetch(0), connections.PeerFailed)
