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

"""Turns of the server: when it is asked though there are peers.

The server of an image is tried now and then with one chunk: often by the
first nodes of a chain, rarely by the others, and soon by a node whose peers
give a small part of what they gave, or have many chunks that it has not got.
While it is twice as fast as all peers were, or comes on top of what these
give, one thread goes on there for some seconds; where the node does not get
more by that, its link or its disk is what is slow, and the server is left
alone. Who gets nothing from any peer, while none of them gets anything either,
takes a chunk from the server, and one after the other when that lasts.
"""

import dataclasses
import math
import random
import time

from ironic_imagedeploy.agent.neighbours import candidates

#: How much faster than all peers the server must be, and how often in a row.
_BETTER, _TIMES = 2.0, 3
#: Seconds between two trials at first, and for those behind the first nodes.
_OFTEN, _RARELY = 1.0, 16.0
#: Seconds that a faster server is used until peers are measured again: the
#: first time, and at most.
_SPELL, _MOST_SPELL = 2.0, 8.0
#: How much more a node must get with the server than it got without.
_WORTH = 1.5
#: How many times as long slow peers are waited for, at most, after trials and
#: spells that were not worth it.
_MOST_DOUBT = 32
#: Part of the best speed of the peers below which they are too slow.
_LOW = 4
#: Seconds without a chunk from or at any peer after which something is wrong;
#: and before the first one, for the first nodes of a chain and for the others:
#: it has to fill, and nobody knows how long it is.
_PATIENCE = 1.0, 2.0
_FIRST_PATIENCE = (1.0, 3.0), (6.0, 18.0)
#: Turns in a row with that patience; later ones come sooner and sooner.
_PATIENT = 3


class ServerTurns:
    """Tells when the server is to be asked; one thread at a time.

    :param first: the node is one of the first in a chain.
    """

    def __init__(self, *, first: bool) -> None:
        self._trials = candidates.Trials(_OFTEN if first else _RARELY)
        self._fed = time.monotonic()
        self._first: float | None = None
        self._patience = random.uniform(  # nosec B311
            *_FIRST_PATIENCE[not first])
        self._hungry = 0
        self._asking = False
        self._trial: _Trial | None = None
        self._spell: _Spell | None = None
        self._spell_seconds = _SPELL
        self._wins = 0
        self._doubt = 1
        self._best = 0.0
        self._well = time.monotonic()
        self._quickest = self._slow_patience = math.inf

    def take(self, now: float, speed: float, *, growing: bool,
             behind: bool = False, ending: bool = False) -> bool:
        """Take a turn, when it is time for one.

        :param speed: bytes per second that come from all peers.
        :param growing: peers get chunks themselves.
        :param behind: the peer that is asked has many more than this node.
        :param ending: a trial is not worth it any more.
        """
        if growing:
            self._fed = now
        self._best = max(self._best, speed)
        if speed >= self._best / _LOW and not behind:
            self._well, self._doubt = now, 1
        if self._asking:
            return False
        if self._spell and now > self._spell.end:
            self._end_spell(self._spell, now, speed)
        self._trial = None
        if self._spell is None:
            if now - self._fed > self._patience:
                # A chain that fills or mends itself needs no more than that.
                self._hungry += 1
                self._fed = now
                if self._hungry > _PATIENT:
                    self._patience /= 2
            elif self._is_trial(now, ending=ending):
                self._trial = _Trial(speed, behind, self._is_slow(now))
                if self._trial.is_slow:
                    self._well = now
            else:
                return False
        self._asking = True
        return True

    def end(self, now: float, length: int, seconds: float) -> None:
        """Learn that a turn is over.

        :param length: bytes of its chunk.
        :param seconds: that it took.
        """
        self._asking = False
        if self._spell:
            self._spell.length += length
        trial = self._trial
        if trial is None:
            return
        better = (length / seconds > _BETTER * trial.baseline
                  or trial.is_behind and (length + trial.came) / seconds
                  > _WORTH * trial.baseline)
        if better:
            self._trials.repeat(now)
        else:
            self._trials.judge(False, now)
            if trial.is_slow:
                self._doubt = min(2 * self._doubt, _MOST_DOUBT)
        self._wins = self._wins + 1 if better else 0
        if self._wins >= _TIMES:
            self._spell = _Spell(now, now + self._spell_seconds,
                                 trial.baseline)

    def _is_trial(self, now: float, *, ending: bool) -> bool:
        """Whether a trial is due, by the clock or by slow peers."""
        if self._first is None or now - self._first <= candidates.WINDOW:
            return False
        return self._is_slow(now) or (not ending
                                      and self._trials.are_due(now))

    def _is_slow(self, now: float) -> bool:
        """Whether peers have been too slow for too long."""
        return now - self._well > self._slow_patience * self._doubt

    def _end_spell(self, spell: '_Spell', now: float, speed: float) -> None:
        """Judge by what the node got whether the server is of use."""
        self._spell = None
        got = spell.length / (now - spell.began) + speed
        worth = got > _WORTH * spell.baseline
        self._trials.judge(worth, now)
        self._wins = _TIMES - 1 if worth else 0
        self._doubt = 1 if worth else min(2 * self._doubt, _MOST_DOUBT)
        self._spell_seconds = (min(2 * self._spell_seconds, _MOST_SPELL)
                               if worth else _SPELL)
        self._well = now

    def peer_gave(self, now: float, length: int, seconds: float) -> None:
        """Learn that a chunk of a peer came.

        :param length: its bytes.
        :param seconds: that one takes on the average.
        """
        if self._first is None:
            self._first = now
            self._trials.delay(now)
        self._fed = now
        if self._trial:
            self._trial.came += length
        self._hungry = 0
        patience = random.uniform(*_PATIENCE)  # nosec B311
        self._patience = patience + 4 * seconds
        self._quickest = min(self._quickest, seconds)
        self._slow_patience = patience + 4 * self._quickest


@dataclasses.dataclass
class _Trial:
    """A chunk of the server, to see how fast it is.

    :ivar baseline: bytes per second of all peers before it.
    :ivar is_behind: the peer that was asked has many more than this node.
    :ivar is_slow: it is made since peers have been too slow.
    :ivar came: bytes of peers since it began.
    """

    baseline: float
    is_behind: bool
    is_slow: bool
    came: int = 0


@dataclasses.dataclass
class _Spell:
    """Some seconds in which the server is asked, as it is faster.

    :ivar began: time (monotonic).
    :ivar end: time (monotonic).
    :ivar baseline: bytes per second of all peers before it.
    :ivar length: bytes of the server since it began.
    """

    began: float
    end: float
    baseline: float
    length: int = 0
