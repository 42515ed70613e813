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

"""Neighbourhood: from whom each chunk of an image is taken.

From the preferred peer (:mod:`preference`), which is waited for when it does
not have a chunk yet; from the server of the image when it is the turn of that
(:mod:`server_turns`), or when no peer answers.
"""

import collections
from collections.abc import Sequence
import dataclasses
import threading
import time

from ironic_imagedeploy.agent.neighbours import candidates
from ironic_imagedeploy.agent.neighbours import connection as connections
from ironic_imagedeploy.agent.neighbours import peer as peers
from ironic_imagedeploy.agent.neighbours import pipeline as pipelines
from ironic_imagedeploy.agent.neighbours import preference
from ironic_imagedeploy.agent.neighbours import server_turns
from ironic_imagedeploy.contract import neighbours as contract
from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine import manifest as manifests

Candidate = candidates.Candidate

#: Seconds, and bytes per second, that the first chunk of a peer may take.
_GRACE = 3.0
_FLOOR = 64 << 10
#: Part of the speed of the fastest peer that another one must have.
_SLOWEST = 16
#: Seconds between two looks at whether it is time for something.
_PAUSE = 0.25
#: Part of the image at its end during which nothing is tried: a trial may take
#: many times as long as a chunk, and the write waits for it.
_ENDING = 8
#: Failures in a row after which a peer is not asked any more.
_FAILURES = 3


class Neighbourhood:
    """Peers of a node, and which of them is asked for which chunk.

    :param named: peers, the best one first.
    :param manifest: of the image.
    """

    def __init__(self, named: Sequence[contract.Peer], *,
                 manifest: manifests.Manifest) -> None:
        self._manifest = manifest
        self._changed = threading.Condition()
        self._local = threading.local()
        most_news = -(-manifest.count // 8)
        self._candidates = [
            Candidate(
                peers.Peer(each, root=manifest.root, most_news=most_news),
                self._notify, manifest.chunk_size)
            for each in named]
        self._preference = preference.Preference(self._candidates)
        self._turns = server_turns.ServerTurns(
            first=len(named) < contract.MOST_PEERS)
        self._missing = {index for index in range(manifest.count)
                         if not manifest.is_zero(index)}
        self._total = len(self._missing)
        self._closed = False
        self._arrivals: collections.deque[tuple[float, int]] = (
            collections.deque())

    @property
    def suppliers(self) -> list[engine.Supplier]:
        """Suppliers, to be asked in this order; then the server is next."""
        return [_Supplier(self, each) for each in self._candidates]

    @property
    def missing(self) -> int:
        """Number of chunks that did not come yet, and were not there."""
        return len(self._missing)

    def start(self) -> None:
        """Begin to ask the peers what they have."""
        for each in self._candidates:
            each.watch.start()

    def close(self) -> None:
        """Ask nobody any more; who waits goes to the server."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for each in self._candidates:
            each.watch.close()
            each.peer.close()

    def fetch(self, candidate: Candidate, start: int, view: memoryview
              ) -> None:
        """Fill the view from a peer, when it is the one to be asked.

        :raises ChunkAbsent: when it is another one, or has no time.
        :raises SourceError: when it is not to be asked again.
        """
        index = start // self._manifest.chunk_size
        choice = self._chosen()
        if choice is None or choice.chunk != index:
            choice = self._choose(index)
            self._local.choice = choice
        if choice.candidate is not candidate:
            raise _absent(candidate)
        first = start - self._manifest.bounds(index)[0]
        try:
            began = candidate.peer.fetch(
                index, (first, first + len(view)), view,
                self._allowed(len(view)))
            choice.began = choice.began if choice.has_part else began
            choice.has_part = True
        except pipelines.NotHere:
            self._lost(choice, candidate, promise=True)
            raise _absent(candidate) from None
        except connections.PeerFailed as problem:
            self._lost(choice, candidate, promise=False)
            if candidate.failures < _FAILURES and not isinstance(
                    problem, connections.PeerRefused):
                raise _absent(candidate) from None
            raise exceptions.SourceError(
                candidate.name, expected='the chunks that it says it has',
                found=str(problem), fix='') from None

    def verified(self, index: int, view: memoryview) -> None:
        """Learn that a chunk came, by the thread that asked for it."""
        choice = self._chosen()
        self._local.choice = None
        with self._changed:
            self._missing.discard(index)
            if choice is None or choice.chunk != index:
                return
            now = time.monotonic()
            seconds = max(now - choice.began, 1e-6)
            self._free(choice)
            if choice.candidate is not None:
                choice.candidate.gave(len(view) / seconds)
                self._preference.gave(choice.candidate, now)
                self._arrivals.append((now, len(view)))
                self._turns.peer_gave(
                    now, len(view), len(view) / max(self._speed(now), 1))
            elif choice.is_turn:
                self._turns.end(now, len(view), seconds)
            self._changed.notify_all()

    def written(self, index: int) -> None:
        """Learn of a chunk that is on the disk, maybe since before."""
        with self._changed:
            self._missing.discard(index)

    def drop(self, candidate: Candidate) -> None:
        """Ask a peer no more."""
        choice = self._chosen()
        if choice and choice.candidate is candidate:
            self._leave_to_server(choice)
        with self._changed:
            if choice:
                self._free(choice)
            candidate.dropped = True
            self._changed.notify_all()
        candidate.watch.close()
        candidate.peer.close()

    def _chosen(self) -> '_Choice | None':
        """The choice that this thread made last."""
        choice: _Choice | None = getattr(self._local, 'choice', None)
        return choice

    def _choose(self, index: int) -> '_Choice':
        """Candidate that is asked for a chunk; None for the server.

        It waits until there is one.
        """
        with self._changed:
            while True:
                now = time.monotonic()
                speed = self._speed(now)
                if self._closed or not any(
                        each.is_live(now) or each.is_awaited(now)
                        for each in self._candidates):
                    return _Choice(index, None, now)
                ending = self.missing < self._manifest.count // _ENDING
                growing = any(each.growth(now) > 0
                              for each in self._candidates)
                behind = self._preference.is_ahead(self._total - self.missing)
                if self._turns.take(now, speed, growing=growing,
                                    behind=behind, ending=ending):
                    return _Choice(index, None, now, is_turn=True)
                peer = self._preference.choose(
                    index, now, speed / self._manifest.chunk_size,
                    ending=ending)
                if peer:
                    peer.in_flight += 1
                    return _Choice(index, peer, now, has_place=True)
                self._changed.wait(_PAUSE)

    def _speed(self, now: float) -> float:
        """Bytes per second that came from all peers of late."""
        while self._arrivals and (
                self._arrivals[0][0] < now - candidates.WINDOW):
            self._arrivals.popleft()
        return sum(length for _, length in self._arrivals) / candidates.WINDOW

    def _allowed(self, length: int) -> float:
        """Seconds that bytes of a peer may take."""
        fastest = max(each.speed for each in self._candidates)
        return _GRACE + length / max(_FLOOR, fastest / _SLOWEST)

    def _lost(self, choice: '_Choice', candidate: Candidate, *,
              promise: bool) -> None:
        """A peer did not give what it said that it has."""
        self._leave_to_server(choice)
        with self._changed:
            self._free(choice)
            candidate.failed(time.monotonic(), promise=promise)
            self._changed.notify_all()

    def _leave_to_server(self, choice: '_Choice') -> None:
        """Let this thread get its chunk from the server."""
        self._local.choice = _Choice(choice.chunk, None, time.monotonic())

    def _free(self, choice: '_Choice') -> None:
        if choice.candidate is not None and choice.has_place:
            choice.candidate.in_flight -= 1
        choice.has_place = False

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify_all()


@dataclasses.dataclass
class _Choice:
    """The one who is asked for a chunk; None for the server.

    :ivar chunk: its index.
    :ivar began: time (monotonic).
    :ivar has_part: some of the chunk came; it was that one's turn since then.
    :ivar is_turn: the server is asked though there are peers.
    :ivar has_place: it counts among what the candidate is asked for.
    """

    chunk: int
    candidate: Candidate | None
    began: float
    has_part: bool = False
    is_turn: bool = False
    has_place: bool = False


class _Supplier:
    """A peer as the source of chunks asks it."""

    def __init__(self, neighbourhood: Neighbourhood, candidate: Candidate
                 ) -> None:
        self._neighbourhood = neighbourhood
        self._candidate = candidate
        self.name = candidate.name

    def fetch(self, start: int, view: memoryview) -> None:
        """Fill the view with bytes of a chunk.

        :raises ChunkAbsent: when another one is asked for it.
        :raises SourceError: when this one is not to be asked again.
        """
        self._neighbourhood.fetch(self._candidate, start, view)

    def close(self) -> None:
        """Ask it no more."""
        self._neighbourhood.drop(self._candidate)


def _absent(candidate: Candidate) -> engine.ChunkAbsent:
    return engine.ChunkAbsent(
        candidate.name, expected='a chunk', found='none, or not yet', fix='')
