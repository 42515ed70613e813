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

"""Watch of a peer: which chunks it says that it has."""

from collections.abc import Callable
import threading

from oslo_log import log

from ironic_imagedeploy.agent.neighbours import connection as connections
from ironic_imagedeploy.agent.neighbours import peer as peers

LOG = log.getLogger(__name__)

#: Seconds between two questions, so that news come together.
_PAUSE = 0.02
#: Seconds until a peer that does not answer is asked again.
_FIRST_RETRY = 0.25
_LAST_RETRY = 4.0


class Watch:
    """A thread that asks a peer for news, until it is closed.

    :param peer: is asked.
    :param changed: called by the thread after each change.
    :ivar bits: of the chunks that the peer has; None while it does not
        answer.
    :ivar refused: the peer is not the one that was named, or no neighbour of
        ours: it is not asked again.
    :ivar answered: it did at least once.
    """

    def __init__(self, peer: peers.Peer, changed: Callable[[], None]
                 ) -> None:
        self.bits: bytes | None = None
        self.refused = False
        self.answered = False
        self._peer = peer
        self._changed = changed
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True,
                                        name='watch of a neighbour')

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def has(self, index: int) -> bool:
        """Whether the peer says that it has a chunk."""
        bits = self.bits
        return bool(bits is not None and index >> 3 < len(bits)
                    and bits[index >> 3] >> (index & 7) & 1)

    def close(self) -> None:
        """Ask no more; an answer that is waited for is not read."""
        self._closed.set()

    def _run(self) -> None:
        version: int | None = None
        retry = _FIRST_RETRY
        while not self._closed.is_set():
            pause = _PAUSE
            try:
                version, bits = self._peer.news(version)
                retry = _FIRST_RETRY
                if bits is not None:
                    self.bits, self.answered = bits, True
                    self._changed()
            except connections.PeerFailed as problem:
                LOG.debug('The neighbour %(name)s does not answer: '
                          '%(problem)s', {'name': self._peer.name,
                                          'problem': problem})
                version, self.bits = None, None
                self.refused = isinstance(problem, connections.PeerRefused)
                self._changed()
                pause, retry = retry, min(2 * retry, _LAST_RETRY)
            if self.refused:
                return
            self._closed.wait(pause)
