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

"""Peer: another node, as this one asks it for chunks.

Nothing that it says is believed: the manifest tells whether a chunk is right.
"""

import threading
import time

from ironic_imagedeploy.agent.neighbours import connection as connections
from ironic_imagedeploy.agent.neighbours import pipeline as pipelines
from ironic_imagedeploy.agent.neighbours import protocol
from ironic_imagedeploy.contract import neighbours as contract

#: Requests on a connection: one that is answered, and the next.
DEPTH = 2


class Peer:
    """A neighbour to take chunks from; threads may share it.

    :param named: in the order.
    :param root: of the manifest of the image.
    :param most_news: bytes of an answer that tells which chunks are there.
    """

    def __init__(self, named: contract.Peer, *, root: str,
                 most_news: int) -> None:
        self.name = '{}:{}'.format(*named.address)
        self._named = named
        self._root = root
        self._most_news = most_news
        self._lock = threading.Lock()
        self._closed = False
        # Who waits for news would keep others waiting.
        self._news = self._pipeline()
        self._chunks = [self._pipeline()]

    def fetch(self, index: int, span: tuple[int, int], view: memoryview,
              seconds: float) -> float:
        """Fill the view with a part of a chunk.

        :param span: first byte of the chunk, and the one after the last.
        :param seconds: that it may take, when those before it have come.
        :returns: time (monotonic) when these had come.
        :raises NotHere: when the peer does not give it.
        :raises PeerFailed: when it does not answer properly.
        """
        with self._least_busy().turn(protocol.Request(
                token=self._named.ticket, root=self._root, index=index,
                span=span)) as turn:
            began = time.monotonic()
            answer = turn.answer(connections.PATIENCE)
            if answer.status in (404, 503) and not answer.length:
                raise pipelines.NotHere()
            _check(answer, 206, len(view))
            turn.receive(view, began + seconds)
        return began

    def news(self, version: int | None) -> tuple[int | None, bytes | None]:
        """Version and bits of the chunks that are there.

        :param version: that is known; then this waits for another one.
        :returns: None for the bits when there is no other one.
        :raises PeerFailed: when it does not answer properly.
        """
        with self._news.turn(protocol.Request(
                token=self._named.ticket, root=self._root, version=version)
                ) as turn:
            answer = turn.answer(
                protocol.NEWS_SECONDS + connections.PATIENCE)
            if answer.status == 304 and not answer.length:
                return version, None
            _check(answer, 200, self._most_news)
            bits = bytearray(answer.length)
            turn.receive(memoryview(bits),
                         time.monotonic() + connections.PATIENCE)
            return answer.version, bytes(bits)

    def close(self) -> None:
        """Close all connections; who waits for an answer fails."""
        with self._lock:
            self._closed = True
            found = [self._news, *self._chunks]
        for each in found:
            each.close()

    def _pipeline(self) -> pipelines.Pipeline:
        return pipelines.Pipeline(lambda: connections.Connection(
            self.name, self._named.address, self._named.der))

    def _least_busy(self) -> pipelines.Pipeline:
        """The pipeline for the next chunk; a new one when all are full."""
        with self._lock:
            if self._closed:
                raise connections.PeerFailed('the end')
            for each in self._chunks:
                if len(each) < DEPTH:
                    return each
            self._chunks.append(self._pipeline())
            return self._chunks[-1]


def _check(answer: protocol.Answer, status: int, length: int) -> None:
    """See that an answer is the expected one.

    :param length: bytes; for a chunk exactly, for news at most.
    """
    if answer.status == 401:
        raise connections.PeerRefused('the ticket is refused')
    if answer.status != status or answer.length > length or (
            status == 206 and answer.length != length):
        raise connections.PeerFailed(
            f'status {answer.status} with {answer.length} bytes')
