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

"""Gate: who may take how much from this node, counted by ticket."""

import collections
from collections.abc import Iterator
import contextlib
import dataclasses
import threading
import time

#: Bytes of a body that costs more than the request for it.
SHORT = 64 << 10
#: Seconds of short answers that are given at once.
_BURST = 0.1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds of what is given to neighbours.

    :ivar connections: at a time, each of which has a thread.
    :ivar connections_of_one: of one holder of a ticket, from wherever; and of
        one address, before it has shown any.
    :ivar unproven: connections that have not shown a ticket yet.
    :ivar handshakes: new connections a second; each takes a millisecond or
        two of a processor.
    :ivar bodies: chunks that are sent at a time, each of them in memory.
    :ivar bodies_of_one: to one holder.
    :ivar holders: that are told apart.
    :ivar answers: a second to one holder that are shorter than
        :data:`SHORT`; they cost time, and hardly count as bytes.
    :ivar handshake_seconds: for a connection to be secured.
    :ivar head_seconds: for the head of a request to come.
    :ivar idle_seconds: between two requests of a proven connection.
    :ivar body_seconds: to wait for a place among the bodies.
    :ivar floor: bytes per second that a peer must take.
    """

    connections: int = 32
    connections_of_one: int = 8
    unproven: int = 12
    handshakes: int = 50
    bodies: int = 12
    bodies_of_one: int = 4
    holders: int = 256
    answers: int = 500
    handshake_seconds: float = 5.0
    head_seconds: float = 5.0
    idle_seconds: float = 30.0
    body_seconds: float = 2.0
    floor: int = 128 << 10


class Gate:
    """Counts of connections and bytes, of all and of each holder of a ticket.

    A node has one ticket, and as many addresses as it likes.

    :param most: bytes that are given to all; None for no bound.
    :param most_of_one: bytes that are given to one holder.
    """

    def __init__(self, limits: Limits, *, most: int | None,
                 most_of_one: int) -> None:
        self.limits = limits
        self.given: collections.Counter[str] = collections.Counter()
        self._most = most
        self._most_of_one = most_of_one
        self._connections: collections.Counter[str] = collections.Counter()
        self._bodies: collections.Counter[str] = collections.Counter()
        self._unproven: collections.Counter[str] = collections.Counter()
        self._paced: dict[str, float] = {}
        self._handshakes = float(limits.handshakes)
        self._counted = time.monotonic()
        self._free = threading.Condition()

    @property
    def total(self) -> int:
        """Bytes that were given."""
        return self.given.total()

    def enter(self, address: str) -> bool:
        """Let a connection in, or not."""
        limits = self.limits
        with self._free:
            now = time.monotonic()
            self._handshakes = min(
                self._handshakes + (now - self._counted) * limits.handshakes,
                limits.handshakes)
            self._counted = now
            unproven = self._unproven.total()
            if (self._handshakes < 1 or unproven >= limits.unproven
                    or unproven + self._connections.total()
                    >= limits.connections
                    or self._unproven[address] >= limits.connections_of_one):
                self._forget(self._unproven, address)
                return False
            self._handshakes -= 1
            self._unproven[address] += 1
            return True

    def prove(self, address: str, holder: str) -> bool:
        """A connection has shown a ticket.

        :returns: False when its holder has enough of them.
        """
        with self._free:
            if self._connections[holder] >= self.limits.connections_of_one:
                return False
            self._connections[holder] += 1
            self._count_out(self._unproven, address)
            return True

    def leave(self, address: str, holder: str | None) -> None:
        """A connection is over.

        :param holder: None when it was not proven.
        """
        with self._free:
            if holder is None:
                self._count_out(self._unproven, address)
            else:
                self._count_out(self._connections, holder)

    def pause(self, holder: str) -> float:
        """Seconds to wait before the next short answer to a holder."""
        with self._free:
            now = time.monotonic()
            if holder not in self._paced:
                self._paced = {each: end for each, end in self._paced.items()
                               if end > now}
            end = (max(self._paced.get(holder, now), now)
                   + 1 / self.limits.answers)
            self._paced[holder] = end
        return max(end - now - _BURST, 0.0)

    @contextlib.contextmanager
    def body(self, holder: str, length: int) -> Iterator[bool]:
        """Room for so many bytes for a holder, while they are sent.

        :returns: False when there is none.
        """
        with self._free:
            admitted = self._may_have(holder, length) and (
                self._free.wait_for(lambda: self._has_room(holder),
                                    self.limits.body_seconds))
            if admitted:
                self._bodies[holder] += 1
                self.given[holder] += length
        try:
            yield admitted
        finally:
            if admitted:
                with self._free:
                    self._count_out(self._bodies, holder)
                    self._free.notify_all()

    def _may_have(self, holder: str, length: int) -> bool:
        return ((holder in self.given
                 or len(self.given) < self.limits.holders)
                and self.given[holder] + length <= self._most_of_one
                and (self._most is None
                     or self.total + length <= self._most))

    def _has_room(self, holder: str) -> bool:
        return (self._bodies.total() < self.limits.bodies
                and self._bodies[holder] < self.limits.bodies_of_one)

    def _count_out(self, counter: collections.Counter[str], name: str
                   ) -> None:
        counter[name] -= 1
        self._forget(counter, name)

    def _forget(self, counter: collections.Counter[str], name: str) -> None:
        if not counter[name]:
            counter.pop(name, None)
