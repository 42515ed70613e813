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

"""Preference: which of several peers is asked for chunks.

It is the first that the order names, as long as that one is well. A peer that
falls behind the others, and one that has chunks but gives them slowly, is
left for the next one; when it is well again it is preferred again. Nodes
stand in a chain so, and each link carries the image once in each direction.

Who leaves its peer for that one's own peer makes a fork: both share a link,
and get half of it. So a peer is well again as soon as it gets chunks about
as fast as this node.
"""

from collections.abc import Sequence
import time

from ironic_imagedeploy.agent.neighbours import candidates

Candidate = candidates.Candidate

#: Chunks that a peer may have less than others, whatever its speed.
_LAG = 16
#: How much faster another peer must be.
_BETTER = 2.0
#: How much slower than the fastest one a peer gets chunks that falls behind.
_STUCK = 3.0
#: Seconds between two trials of other peers, and between two returns to a
#: preferred one, at first.
_TRIALS, _RETURNS = 1.0, 3.0


class Preference:
    """The peer that is asked now.

    :param ranked: peers, the best one first.
    """

    def __init__(self, ranked: Sequence[Candidate]) -> None:
        self._ranked = ranked
        self._current: Candidate | None = None
        self._tried: Candidate | None = None
        self._since = time.monotonic()
        self._trials = candidates.Trials(_TRIALS)
        self._returns = candidates.Trials(_RETURNS)

    def choose(self, index: int, now: float, growth: float, *,
               ending: bool = False) -> Candidate | None:
        """Peer that is asked for a chunk now; None to wait for one.

        :param growth: chunks per second that come from peers of late.
        :param ending: a trial is not worth it any more.
        """
        live = [each for each in self._ranked if each.is_live(now)]
        current = self._kept(live, now, growth)
        if current is None:
            return None
        found: Candidate | None = current
        if not current.watch.has(index):
            found = next((each for each in live if each is not current
                          and self._is_ahead(each, current, now)), None)
            if found:
                # Who is left for getting little may give it fast.
                current.speed = 0.0
                self._turn_to(found, now)
                self._returns.delay(now)
        elif (not ending and current.speed and self._is_settled(now)
                and self._trials.are_due(now)):
            other = next((each for each in live if each is not current
                          and each.has_time_for(index)), None)
            if other:
                self._trials.delay(now)
                found = self._tried = other
        return found if found and found.has_time_for(index) else None

    def gave(self, candidate: Candidate, now: float) -> None:
        """Learn that a chunk of a peer came, which may have been tried."""
        if self._current is None or candidate is not self._tried:
            return
        self._tried = None
        better = candidate.speed > _BETTER * self._current.speed
        self._trials.judge(better, now)
        if better:
            self._returns.judge(False, now)
            self._turn_to(candidate, now)

    def is_ahead(self, count: int) -> bool:
        """Whether the current peer has many chunks more than this node.

        :param count: chunks that this node has.
        """
        return (self._current is not None
                and self._current.count >= count + _LAG)

    def _kept(self, live: list[Candidate], now: float, growth: float
              ) -> Candidate | None:
        """Current peer, or one that comes before it and is well again."""
        current = self._current
        if current not in live:
            best = next((each for each in self._ranked if each in live
                         or each.is_awaited(now, others=bool(live))), None)
            if best is not current:
                self._turn_to(best if best in live else None, now)
        elif self._is_settled(now) and self._returns.are_due(now):
            for each in live[:live.index(current)]:
                if (each.growth(now) > growth / _BETTER
                        and (not each.speed
                             or each.speed > current.speed / _BETTER)):
                    self._turn_to(each, now)
                    self._returns.delay(now)
                    break
        return self._current

    def _is_ahead(self, other: Candidate, current: Candidate, now: float
                  ) -> bool:
        """Whether another peer has more, and the current one is slow."""
        fastest = max(each.fastest for each in self._ranked)
        return (self._is_settled(now)
                and other.count >= current.count + _LAG
                and current.growth(now) <= fastest / _STUCK)

    def _is_settled(self, now: float) -> bool:
        """Whether the current peer had time to show how fast it is."""
        return now - self._since > candidates.WINDOW

    def _turn_to(self, candidate: Candidate | None, now: float) -> None:
        self._current, self._since, self._tried = candidate, now, None
