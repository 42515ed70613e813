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

"""Candidates to be asked for a chunk: how each did so far."""

import collections
from collections.abc import Callable
import random
import time

from ironic_imagedeploy.agent.neighbours import peer as peers
from ironic_imagedeploy.agent.neighbours import watch as watches

#: Seconds over which speeds are taken.
WINDOW = 2.0
#: And those over which it is seen how fast a peer gets chunks itself: it has
#: pauses, too, when several came together.
GROWTH = 4.0
#: Seconds that a peer has to answer for the first time, and those of them for
#: which a less preferred one waits.
_FIRST_ANSWER, _PRECEDENCE = 3.0, 1.5
#: Seconds that a peer is not asked after its first failure.
_REST = 2.0
#: Chunks in a row that a peer does not have though it said so.
_BROKEN_PROMISES = 8
#: Seconds that a chunk takes at most, so that another one is asked for before
#: it is there; and three more, on two connections.
_BRIEF, _VERY_BRIEF = 2.0, 0.05
#: Seconds between two trials at last.
_MOST_RARELY = 64.0


class Candidate:
    """A peer, and how it did so far.

    :param peer: asked for chunks.
    :param changed: called when there are news.
    :param chunk_size: bytes of a chunk.
    :ivar in_flight: chunks that it is asked for now.
    :ivar speed: bytes per second of its last chunks, while they came; 0
        before the first.
    :ivar fastest: chunks per second, of the fastest ones.
    :ivar failures: in a row.
    """

    def __init__(self, peer: peers.Peer, changed: Callable[[], None],
                 chunk_size: int) -> None:
        self.peer = peer
        self.name = f'neighbour {peer.name}'
        self.watch = watches.Watch(peer, self._news)
        self.dropped = False
        self._made = time.monotonic()
        self.in_flight = 0
        self.speed = 0.0
        self.failures = 0
        self._changed = changed
        self._chunk_size = chunk_size
        self._counts: collections.deque[tuple[float, int]] = (
            collections.deque())
        self.fastest = 0.0
        self._broken = 0
        self._rests_until = 0.0

    @property
    def count(self) -> int:
        """Chunks that it has."""
        return self._counts[-1][1] if self._counts else 0

    def growth(self, now: float) -> float:
        """Chunks per second that it got of late."""
        counts = list(self._counts)
        before = [count for when, count in counts if when <= now - GROWTH]
        if not counts:
            return 0.0
        first = before[-1] if before else counts[0][1]
        return (counts[-1][1] - first) / GROWTH

    def has_time_for(self, index: int) -> bool:
        """Whether it has a chunk, and is to be asked for it now.

        Chunks that come one after the other are there earlier than those
        that come together, and go on to the next node then.
        """
        fastest = 0 if self.failures else self.fastest
        most = 4 if fastest > 1 / _VERY_BRIEF else (
            2 if fastest > 1 / _BRIEF else 1)
        return self.in_flight < most and self.watch.has(index)

    def is_live(self, now: float) -> bool:
        """Whether it may be asked."""
        return (self.watch.bits is not None and not self.dropped
                and now >= self._rests_until)

    def is_awaited(self, now: float, *, others: bool = False) -> bool:
        """Whether it may still answer for the first time.

        :param others: there are other ones that do.
        """
        return not (self.dropped or self.watch.refused or self.watch.answered
                    or now > self._made + (_PRECEDENCE if others
                                           else _FIRST_ANSWER))

    def gave(self, speed: float) -> None:
        """A right chunk of it came."""
        # Of the seconds, not of the speeds: what waited in this machine while
        # the chunk before was taken seems to come in no time.
        self.speed = (1 / (0.75 / self.speed + 0.25 / speed) if self.speed
                      else speed)
        self.fastest = max(self.fastest, self.speed / self._chunk_size)
        self.failures = self._broken = 0

    def failed(self, now: float, *, promise: bool) -> None:
        """A chunk of it did not come.

        :param promise: it has not got it, though it said so.
        """
        if promise:
            self._broken += 1
            if self._broken < _BROKEN_PROMISES:
                return
            self._broken = 0
        else:
            self.failures += 1
        self._rests_until = now + _REST * 2 ** self.failures

    def _news(self) -> None:
        """Note how many chunks it has now."""
        now, bits = time.monotonic(), self.watch.bits
        if bits is not None:
            self._counts.append(
                (now, int.from_bytes(bits, 'little').bit_count()))
            while len(self._counts) > 1 and (
                    self._counts[1][0] <= now - GROWTH):
                self._counts.popleft()
        self._changed()


class Trials:
    """Times at which another one is tried, further and further apart.

    :param seconds: until the second one.
    """

    def __init__(self, seconds: float) -> None:
        self._first = self._seconds = seconds
        self._next = 0.0
        self.delay(time.monotonic())

    def are_due(self, now: float) -> bool:
        """Whether it is time for one."""
        return now >= self._next

    def delay(self, now: float) -> None:
        """Let the next one come later."""
        self._next = now + self._seconds * random.uniform(1, 2)  # nosec B311

    def judge(self, better: bool, now: float) -> None:
        """Take the result of one."""
        if better:
            self._seconds = self._first
            self.repeat(now)
        else:
            self._seconds = min(2 * self._seconds, _MOST_RARELY)
            self.delay(now)

    def repeat(self, now: float) -> None:
        """Let the next one come soon."""
        # What was slow for a moment is not taken for slow.
        self._next = now + WINDOW * random.uniform(1, 2)  # nosec B311
