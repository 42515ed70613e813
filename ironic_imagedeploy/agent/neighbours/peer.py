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

It must show the very certificate that the order names, and is given no more
time and bytes than a chunk takes. Nothing that it says is believed: the
manifest tells whether a chunk is right.
"""

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import socket
import ssl
import threading
import time

from ironic_imagedeploy.agent.neighbours import protocol
from ironic_imagedeploy.contract import neighbours as contract

#: Seconds for a connection, of silence, and for the head of an answer.
PATIENCE = 2.0
#: Bytes that are slept for, and those that the TLS library may have taken of
#: them already: two records.
_WAKE = 128 << 10
_RECORDS = 32 << 10
#: Bytes that are still to come when the next chunk may be asked for.
_LEAD = 128 << 10


class PeerFailed(Exception):
    """A peer did not answer as it should; another time it may."""


class PeerRefused(PeerFailed):
    """A peer is not the one that the order names, or no neighbour of ours."""


class NotHere(Exception):
    """A peer does not have the chunk, or has no time for it."""


class Peer:
    """A neighbour to take chunks from; threads may share it.

    :param named: in the order.
    :param root: of the manifest of the image.
    :param most_news: bytes of an answer that tells which chunks are there.
    """

    def __init__(self, named: contract.Peer, *, root: str,
                 most_news: int) -> None:
        self.name = '{}:{}'.format(*named.address)
        self._address = named.address
        self._der = named.der
        self._ticket = named.ticket
        self._root = root
        self._most_news = most_news
        self._idle: list[_Connection] = []
        self._used: set[_Connection] = set()
        self._lock = threading.Lock()
        self._closed = False

    def fetch(self, index: int, span: tuple[int, int], view: memoryview,
              seconds: float, *,
              nearly_done: Callable[[], None] | None = None) -> None:
        """Fill the view with a part of a chunk.

        :param span: first byte of the chunk, and the one after the last.
        :param seconds: that it may take.
        :param nearly_done: called once, when little of it is to come.
        :raises NotHere: when the peer does not give it.
        :raises PeerFailed: when it does not answer properly.
        """
        end = time.monotonic() + seconds
        connection, answer = self._ask(protocol.Request(
            token=self._ticket, root=self._root, index=index, span=span),
            PATIENCE)
        with self._lent(connection, answer):
            if answer.status in (404, 503) and not answer.length:
                raise NotHere()
            _check(answer, 206, len(view))
            connection.receive(view, end, nearly_done)

    def news(self, version: int | None) -> tuple[int | None, bytes | None]:
        """Version and bits of the chunks that are there.

        :param version: that is known; then this waits for another one.
        :returns: None for the bits when there is no other one.
        :raises PeerFailed: when it does not answer properly.
        """
        connection, answer = self._ask(protocol.Request(
            token=self._ticket, root=self._root, version=version),
            protocol.NEWS_SECONDS + PATIENCE)
        with self._lent(connection, answer):
            if answer.status == 304 and not answer.length:
                return version, None
            _check(answer, 200, self._most_news)
            bits = bytearray(answer.length)
            connection.receive(memoryview(bits), time.monotonic() + PATIENCE)
            return answer.version, bytes(bits)

    def close(self) -> None:
        """Close all connections; who waits for an answer fails."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
            used = list(self._used)
        for connection in idle:
            connection.close()
        for connection in used:
            connection.abort()

    def _ask(self, request: protocol.Request, seconds: float
             ) -> tuple['_Connection', protocol.Answer]:
        """Connection and head of the answer to a request."""
        with self._lock:
            kept = self._idle.pop() if self._idle else None
        if kept is not None:
            try:
                return self._use(kept), kept.ask(request, seconds)
            except PeerFailed:
                # It may have been closed for being idle.
                self._discard(kept)
        connection = self._use(
            _Connection(self.name, self._address, self._der))
        try:
            return connection, connection.ask(request, seconds)
        except BaseException:
            self._discard(connection)
            raise

    def _use(self, connection: '_Connection') -> '_Connection':
        with self._lock:
            if not self._closed:
                self._used.add(connection)
                return connection
        connection.close()
        raise PeerFailed('the end')

    def _discard(self, connection: '_Connection') -> None:
        with self._lock:
            self._used.discard(connection)
        connection.close()

    @contextlib.contextmanager
    def _lent(self, connection: '_Connection', answer: protocol.Answer
              ) -> Iterator[None]:
        """Keep a connection for the next request, unless it is broken."""
        whole = False
        try:
            yield
            whole = True
        except NotHere:
            whole = True
            raise
        finally:
            with self._lock:
                is_kept = whole and answer.keeps and not self._closed
                if is_kept:
                    self._used.discard(connection)
                    self._idle.append(connection)
            if not is_kept:
                self._discard(connection)


class _Connection:
    """A connection that is kept alive.

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

    def ask(self, request: protocol.Request, seconds: float
            ) -> protocol.Answer:
        """Send a request, and read the head of its answer.

        :param seconds: that the head may take.
        :raises PeerFailed: when it does not come, or is not one.
        """
        end = time.monotonic() + seconds
        self._rest = b''
        received = bytearray()
        try:
            self._wait(end)
            self._socket.sendall(request.head(self._name))
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
                nearly_done: Callable[[], None] | None = None) -> None:
        """Fill the view.

        :param end: time (monotonic) when that must be done.
        :param nearly_done: called once, when little is to come.
        :raises PeerFailed: when it is not.
        """
        if len(self._rest) > len(view):
            raise PeerFailed('more than was announced')
        view[:len(self._rest)] = self._rest
        view = view[len(self._rest):]
        self._rest = b''
        try:
            spared = _RECORDS + (_LEAD if nearly_done else 0)
            self._wake_at(len(view) - spared)
            while view:
                self._wait(end, PATIENCE)
                count = self._socket.recv_into(view)
                if not count:
                    raise PeerFailed('the end of the connection')
                view = view[count:]
                if nearly_done and len(view) <= spared:
                    nearly_done()
                    nearly_done, spared = None, _RECORDS
                if len(view) < _WAKE + spared:
                    self._wake_at(len(view) - spared)
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


def _check(answer: protocol.Answer, status: int, length: int) -> None:
    """See that an answer is the expected one.

    :param length: bytes; for a chunk exactly, for news at most.
    """
    if answer.status == 401:
        raise PeerRefused('the ticket is refused')
    if answer.status != status or answer.length > length or (
            status == 206 and answer.length != length):
        raise PeerFailed(f'status {answer.status} with {answer.length} bytes')


def _failed(error: Exception) -> PeerFailed:
    # Texts of libraries may name what is secret, those of system calls not.
    return PeerFailed(getattr(error, 'strerror', None)
                      or type(error).__name__)
