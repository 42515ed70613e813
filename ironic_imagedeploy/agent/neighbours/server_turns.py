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
first nodes of a chain, rarely by the others. While it is twice as fast as all
peers were, one thread goes on there for some seconds. Who gets nothing from
any peer, while none of them gets anything either, takes a chunk from the
server, and one after the other when that lasts.
"""

import random
import time
import typing

from ironic_imagedeploy.agent.neighbours import candidates

#: How much faster than all peers the server must be, and how often in a row.
_BETTER, _TIMES = 2.0, 3
#: Seconds between two trials at first, and for those behind the first nodes.
_OFTEN, _RARELY = 1.0, 16.0
#: Seconds that a faster server is used until peers are measured again.
_SPELL = 8.0
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
        self._baseline: float | None = None
        self._spell: _Spell | None = None
        self._wins = 0

    def take(self, now: float, speed: float, *, growing: bool,
             ending: bool = False) -> bool:
        """Take a turn, when it is time for one.

        :param speed: bytes per second that come from all peers.
        :param growing: peers get chunks themselves.
        :param ending: a trial is not worth it any more.
        """
        if growing:
            self._fed = now
        if self._asking:
            return False
        if self._spell and now > self._spell.end:
            self._spell = None
            self._trials.delay(now)
        self._baseline = None
        if self._spell is None:
            if now - self._fed > self._patience:
                # A chain that fills or mends itself needs no more than that.
                self._hungry += 1
                self._fed = now
                if self._hungry > _PATIENT:
                    self._patience /= 2
            elif (not ending and self._first is not None
                    and self._trials.are_due(now)
                    and now - self._first > candidates.WINDOW):
                self._baseline = speed
            else:
                return False
        self._asking = True
        return True

    def end(self, now: float, speed: float) -> None:
        """Learn that a turn is over.

        :param speed: bytes per second of its chunk.
        """
        self._asking = False
        if self._baseline is None:
            return
        better = speed > _BETTER * self._baseline
        self._trials.judge(better, now)
        self._wins = self._wins + 1 if better else 0
        if self._wins >= _TIMES:
            self._wins = 0
            self._spell = _Spell(now + _SPELL)

    def peer_gave(self, now: float, seconds: float) -> None:
        """Learn that a chunk of a peer came.

        :param seconds: that one takes on the average.
        """
        if self._first is None:
            self._first = now
            self._trials.delay(now)
        self._fed = now
        self._hungry = 0
        self._patience = random.uniform(  # nosec B311
            *_PATIENCE) + 4 * seconds


class _Spell(typing.NamedTuple):
    """Some seconds in which the server is asked, as it is faster.

    :ivar end: time (monotonic).
    """

    end: float
