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

"""Pipeline: requests on one connection that do not wait for each other.

The next request is sent while the answer to the one before is still coming
(RFC 9112, section 9.3.2), so that neither the peer nor the link is idle in
between, and TCP keeps its window. The answers come in the same order.
"""

import collections
from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import threading

from ironic_imagedeploy.agent.neighbours import connection as connections
from ironic_imagedeploy.agent.neighbours import protocol


class NotHere(Exception):
    """A peer does not have the chunk, or has no time for it."""


class Lost(NotHere):
    """The answer before failed, and the connection with it."""


class Pipeline:
    """A connection to a peer, and the requests on it; threads share it.

    The thread whose answer comes has the turn: it alone uses the connection,
    and sends the requests of those who wait as well.

    :param connect: makes the connection.
    """

    def __init__(self, connect: Callable[[], connections.Connection]
                 ) -> None:
        self._connect = connect
        self._connection: connections.Connection | None = None
        self._turns: collections.deque[Turn] = collections.deque()
        self._changed = threading.Condition()
        self._closed = False

    def __len__(self) -> int:
        """Requests that have no whole answer yet."""
        return len(self._turns)

    @contextlib.contextmanager
    def turn(self, request: protocol.Request) -> Iterator['Turn']:
        """Send a request; inside, it is the turn of its answer.

        :raises Lost: when an answer before it failed.
        :raises PeerFailed: when the pipeline is closed.
        """
        turn = Turn(self, request)
        with self._changed:
            self._turns.append(turn)
            self._changed.wait_for(lambda: self._turns[0] is turn)
        is_whole = False
        try:
            if turn.is_lost:
                raise Lost()
            yield turn
            is_whole = True
        except NotHere:
            is_whole = True
            raise
        finally:
            self._end(turn, is_whole)

    def close(self) -> None:
        """Close the connection; who waits for an answer fails."""
        with self._changed:
            self._closed = True
            if self._connection and self._turns:
                self._connection.abort()
            elif self._connection:
                self._connection.close()

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection, which may have been closed."""
        return self._connection is not None

    def connected(self) -> connections.Connection:
        """The connection, by the one who has the turn."""
        if self._connection is None and not self._closed:
            made = self._connect()
            with self._changed:
                self._connection = made
        if self._connection is None or self._closed:
            raise connections.PeerFailed('the end')
        return self._connection

    def disconnect(self) -> None:
        """Close the connection, by the one who has the turn."""
        with self._changed:
            made, self._connection = self._connection, None
        if made:
            made.close()

    def send_ahead(self) -> None:
        """Send what waits, by the one who has the turn."""
        with self._changed:
            waiting = [each for each in self._turns if not each.is_sent]
        for each in waiting:
            self.connected().send(each.request)
            each.is_sent = True

    def _end(self, turn: 'Turn', is_whole: bool) -> None:
        """Pass the turn on, and the connection unless it is broken."""
        with self._changed:
            sent = [each for each in self._turns
                    if each is not turn and each.is_sent]
            made = self._connection
            is_kept = (is_whole and turn.keeps and not self._closed and (
                made is None or made.is_drained or bool(sent)))
        if not is_kept:
            self.disconnect()
            for each in sent:
                each.is_sent, each.is_lost = False, not is_whole
        with self._changed:
            self._turns.popleft()
            self._changed.notify_all()


class Turn:
    """A request, and then its answer.

    :ivar is_sent: on the connection that there is.
    :ivar is_lost: there will be no answer.
    :ivar keeps: the connection is good for another answer.
    """

    def __init__(self, pipeline: Pipeline, request: protocol.Request
                 ) -> None:
        self.request = request
        self.is_sent = self.is_lost = False
        self.keeps = True
        self._pipeline = pipeline

    def answer(self, seconds: float) -> protocol.Answer:
        """The head of the answer.

        :param seconds: that it may take.
        :raises PeerFailed: when it does not come, or is not one.
        """
        was_idle = self._pipeline.is_connected and not self.is_sent
        try:
            answer = self._asked(seconds)
        except connections.PeerFailed:
            if not was_idle:
                raise
            # It may have been closed for being idle.
            self._pipeline.disconnect()
            self.is_sent = False
            answer = self._asked(seconds)
        self.keeps = answer.keeps
        return answer

    def receive(self, view: memoryview, end: float) -> None:
        """Fill the view with the body.

        :param end: time (monotonic) when that must be done.
        :raises PeerFailed: when it is not.
        """
        self._pipeline.connected().receive(view, end,
                                           self._pipeline.send_ahead)

    def _asked(self, seconds: float) -> protocol.Answer:
        connection = self._pipeline.connected()
        if not self.is_sent:
            connection.send(self.request)
            self.is_sent = True
        return connection.answer(seconds)
