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

"""Connection to another node, which is asked for chunks.

That one must show the very certificate that the order names, and is given no
more time and bytes than a chunk takes.
"""

from collections.abc import Callable
import socket
import ssl
import time

from ironic_imagedeploy.agent.neighbours import protocol

#: Seconds for a connection, of silence, and for the head of an answer.
PATIENCE = 2.0
#: Bytes that are slept for, and those that the TLS library may have taken of
#: them already: two records.
_WAKE = 128 << 10
_RECORDS = 32 << 10


class PeerFailed(Exception):
    """A peer did not answer as it should; another time it may."""


class PeerRefused(PeerFailed):
    """A peer is not the one that the order names, or no neighbour of ours."""


class Connection:
    """A connection that is kept alive; one thread at a time uses it.

    :param name: of the peer, without secrets.
    :param der: its certificate.
    :raises PeerFailed: when there is none.
    :raises PeerRefused: when somebody else answers.
    """

    def __init__(self, name: str, address: tuple[str, int], der: bytes
                 ) -> None:
        self._name = name
        self._rest = b''
        self._timeout = PATIENCE
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        # The order names one certificate, byte by byte. Names, issuers and
        # dates would add nothing, and clocks of ramdisks may be wrong.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        try:
            plain = socket.create_connection(address, PATIENCE)
        except OSError as error:
            raise _failed(error) from None
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            plain.settimeout(PATIENCE)
            self._socket = context.wrap_socket(plain)
        except (OSError, ValueError) as error:
            plain.close()
            raise _failed(error) from None
        if self._socket.getpeercert(binary_form=True) != der:
            self.close()
            raise PeerRefused('another certificate than the ordered one')

    @property
    def is_drained(self) -> bool:
        """Whether nothing was read that belongs to another answer."""
        return not self._rest

    def send(self, request: protocol.Request) -> None:
        """Send a request, of which the answer may come later.

        :raises PeerFailed: when the peer does not take it.
        """
        try:
            self._wait(time.monotonic() + PATIENCE)
            self._socket.sendall(request.head(self._name))
        except (OSError, ValueError) as error:
            raise _failed(error) from None

    def answer(self, seconds: float) -> protocol.Answer:
        """The head of the next answer.

        :param seconds: that it may take.
        :raises PeerFailed: when it does not come, or is not one.
        """
        end = time.monotonic() + seconds
        received = bytearray(self._rest)
        try:
            while protocol.END_OF_HEAD not in received:
                if len(received) >= protocol.MOST_HEAD:
                    raise PeerFailed('a head without an end')
                self._wait(end)
                part = self._socket.recv(protocol.MOST_HEAD)
                if not part:
                    raise PeerFailed('the end of the connection')
                received += part
            head, _, self._rest = bytes(received).partition(
                protocol.END_OF_HEAD)
            return protocol.Answer.parse(head)
        except protocol.BadMessage:
            raise PeerFailed('something else than HTTP') from None
        except (OSError, ValueError) as error:
            raise _failed(error) from None

    def receive(self, view: memoryview, end: float,
                between: Callable[[], None] = lambda: None) -> None:
        """Fill the view.

        :param end: time (monotonic) when that must be done.
        :param between: called now and then; it may send a request.
        :raises PeerFailed: when it is not.
        """
        known = self._rest[:len(view)]
        self._rest = self._rest[len(known):]
        view[:len(known)] = known
        view = view[len(known):]
        try:
            self._wake_at(len(view) - _RECORDS)
            while view:
                between()
                self._wait(end, PATIENCE)
                count = self._socket.recv_into(view)
                if not count:
                    raise PeerFailed('the end of the connection')
                view = view[count:]
                if len(view) < _WAKE + _RECORDS:
                    self._wake_at(len(view) - _RECORDS)
        except (OSError, ValueError) as error:
            raise _failed(error) from None

    def close(self) -> None:
        """Close it."""
        self._socket.close()

    def abort(self) -> None:
        """Let whoever waits for it fail; that one closes it."""
        try:
            # That of TLS would let others go on without it.
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
        except OSError:
            pass

    def _wake_at(self, count: int) -> None:
        """Sleep until so many bytes have come; they come in small pieces."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT,
                                max(min(count, _WAKE), 1))

    def _wait(self, end: float, most: float = float('inf')) -> None:
        """Bound what comes next by the end.

        :param most: seconds that it may take whenever the end is.
        """
        seconds = end - time.monotonic()
        if seconds <= 0:
            raise PeerFailed('too little in its time')
        seconds = min(seconds, most)
        # To set it is a system call, and there are 64 records in a chunk.
        if seconds != self._timeout:
            self._socket.settimeout(seconds)
            self._timeout = seconds


def _failed(error: Exception) -> PeerFailed:
    # Texts of libraries may name what is secret, those of system calls not.
    return PeerFailed(getattr(error, 'strerror', None)
                      or type(error).__name__)
