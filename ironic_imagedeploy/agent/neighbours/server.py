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

"""Server of the chunks that this node has, for its neighbours.

It reads, and nothing else. Whoever does not show a ticket learns nothing.
All that a peer may take, in connections, memory, bytes and time, is bounded
by :mod:`gate`.
"""

import math
import socket
import ssl
import threading
import time

from oslo_log import log

from ironic_imagedeploy.agent.neighbours import gate as gates
from ironic_imagedeploy.agent.neighbours import protocol
from ironic_imagedeploy.agent.neighbours import store as stores
from ironic_imagedeploy.contract import neighbours as contract
from ironic_imagedeploy.engine import exceptions

LOG = log.getLogger(__name__)

#: Bytes given to the kernel at once, so that a stop is noticed.
_PIECE = 256 << 10
_BACKLOG = 16
#: Seconds between two looks at who has had his time, and those that the
#: connection itself has to notice it: the TLS library goes on, whatever its
#: time, while there are messages of its own to read.
_LOOK = 0.5


class ChunkServer:
    """Gives chunks to whoever has a ticket, until it is stopped.

    :param store: of the chunks.
    :param context: with the certificate and the key of this node.
    :param ticket_key: by which tickets are known.
    :param seconds: that tickets are good for.
    :param gate: what peers may take.
    """

    def __init__(self, store: stores.ChunkStore, context: ssl.SSLContext, *,
                 ticket_key: str, seconds: float, gate: gates.Gate) -> None:
        self._store = store
        self._context = context
        self._ticket_key = ticket_key
        self._end = time.monotonic() + seconds
        self.gate = gate
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._open: dict[socket.socket,
                         tuple[threading.Thread, _Conversation]] = {}
        self._listener: socket.socket | None = None
        self._acceptor: threading.Thread | None = None

    @property
    def store(self) -> stores.ChunkStore:
        """The chunks that are given."""
        return self._store

    def start(self, host: str, port: int) -> int:
        """Listen for peers.

        :param host: address of this machine to listen on.
        :param port: 0 for any.
        :returns: the port.
        :raises OSError: when that cannot be had.
        """
        is_six = ':' in host
        self._listener = socket.create_server(
            (host, port), backlog=_BACKLOG,
            family=socket.AF_INET6 if is_six else socket.AF_INET,
            dualstack_ipv6=host == '::' and socket.has_dualstack_ipv6())
        self._listener.settimeout(_LOOK)
        _fill_link(self._listener)
        self._acceptor = threading.Thread(
            target=self._accept, args=(self._listener,), daemon=True,
            name='neighbours')
        self._acceptor.start()
        found: int = self._listener.getsockname()[1]
        return found

    def stop(self) -> None:
        """Close all connections; afterwards nothing of the disk is read."""
        self._stopping.set()
        if self._listener is not None and self._acceptor is not None:
            _shut_down(self._listener)
            self._acceptor.join()
            # Earlier, what is opened next would have the number of the
            # descriptor that is still waited for.
            self._listener.close()
        self._store.close()
        with self._lock:
            connections = list(self._open.items())
        for connection, _ in connections:
            _shut_down(connection)
        for _, (thread, _) in connections:
            thread.join()

    def holder(self, ticket: str) -> str | None:
        """Holder of a ticket; None when it is not one, or has expired."""
        found = contract.holder(ticket, self._ticket_key)
        return found if time.monotonic() < self._end else None

    def _accept(self, listener: socket.socket) -> None:
        looked = time.monotonic()
        while not self._stopping.is_set():
            if time.monotonic() - looked >= _LOOK:
                self._end_overdue()
                looked = time.monotonic()
            try:
                connection, where = listener.accept()
            except TimeoutError:
                continue
            except OSError:
                # Out of descriptors, or the end.
                self._stopping.wait(0.1)
                continue
            address: str = where[0]
            if not self.gate.enter(address):
                connection.close()
                continue
            conversation = _Conversation(self, address)
            thread = threading.Thread(
                target=self._serve, args=(connection, address, conversation),
                daemon=True, name='neighbour')
            with self._lock:
                self._open[connection] = thread, conversation
            try:
                thread.start()
            except RuntimeError:
                self._end_of(connection, address, None)

    def _end_overdue(self) -> None:
        """End the connections that do not notice that their time is over."""
        now = time.monotonic()
        with self._lock:
            for connection, (_, conversation) in self._open.items():
                if conversation.deadline + _LOOK < now:
                    _shut_down(connection)

    def _serve(self, connection: socket.socket, address: str,
               conversation: '_Conversation') -> None:
        try:
            conversation.hold(connection, self._context)
        except (OSError, ValueError) as error:
            # A peer that goes away, or never was one.
            LOG.debug('The neighbour %s is gone: %s', address,
                      type(error).__name__)
        except Exception:
            LOG.exception('A request of the neighbour %s failed', address)
        finally:
            self._end_of(connection, address, conversation.holder)

    def _end_of(self, connection: socket.socket, address: str,
                holder: str | None) -> None:
        connection.close()
        self.gate.leave(address, holder)
        with self._lock:
            self._open.pop(connection, None)


class _Conversation:
    """The requests of one connection, one after the other.

    :ivar holder: of the ticket that the peer has shown; None before.
    :ivar deadline: time (monotonic) until which the peer may take; infinite
        while it is not waited for.
    """

    def __init__(self, server: ChunkServer, address: str) -> None:
        self.holder: str | None = None
        self.deadline = math.inf
        self._server = server
        self._address = address
        self._gate = server.gate
        self._limits = server.gate.limits
        self._received = bytearray()

    def hold(self, connection: socket.socket, context: ssl.SSLContext
             ) -> None:
        """Answer until one of both sides has enough."""
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(self._limits.handshake_seconds)
        self.deadline = time.monotonic() + self._limits.handshake_seconds
        # The descriptor stays with the connection, which the server closes.
        with context.wrap_socket(
                connection.dup(), server_side=True,
                do_handshake_on_connect=False) as secured:
            secured.settimeout(self._limits.handshake_seconds)
            secured.do_handshake()
            while self._answer_one(secured):
                pass

    def _answer_one(self, secured: ssl.SSLSocket) -> bool:
        """Answer a request.

        :returns: whether there may be another one.
        """
        try:
            head = self._head(secured)
            if head is None:
                return False
            request = protocol.Request.parse(head)
            holder = self._server.holder(request.token)
            if holder is None or self.holder not in (None, holder):
                raise protocol.BadMessage(401)
        except protocol.BadMessage as problem:
            self._send(secured, protocol.Answer(problem.status, keeps=False))
            return False
        if self.holder is None:
            if not self._gate.prove(self._address, holder):
                self._send(secured, protocol.Answer(503, keeps=False))
                return False
            self.holder = holder
        return self._answer(secured, request, holder)

    def _answer(self, secured: ssl.SSLSocket, request: protocol.Request,
                holder: str) -> bool:
        """Answer a request of a peer that has shown its ticket."""
        store = self._server.store
        if request.root != store.manifest.root:
            self._send(secured, protocol.Answer(404))
        elif request.index is None:
            version, bits = store.news(request.version,
                                       protocol.NEWS_SECONDS)
            self._send(secured, protocol.Answer(
                200 if bits is not None else 304, len(bits or b''), version),
                bits or b'')
        else:
            return self._chunk(secured, request.index, request.span, holder)
        return True

    def _chunk(self, secured: ssl.SSLSocket, index: int,
               span: tuple[int, int] | None, holder: str) -> bool:
        store = self._server.store
        if not store.has(index):
            self._send(secured, protocol.Answer(404))
            return True
        start, end = store.manifest.bounds(index)
        first, after = span or (0, end - start)
        if after > end - start:
            self._send(secured, protocol.Answer(416))
            return True
        with self._gate.body(holder, after - first) as admitted:
            if not admitted:
                self._send(secured, protocol.Answer(503, keeps=False))
                return False
            try:
                content = store.get(index)
            except exceptions.TargetError as error:
                LOG.warning('A neighbour gets no chunk: %s', error)
                content = None
            if content is None:
                self._send(secured, protocol.Answer(404))
                return True
            self._send(secured, protocol.Answer(
                206 if span else 200, after - first),
                memoryview(content)[first:after])
        return True

    def _head(self, secured: ssl.SSLSocket) -> bytes | None:
        """Head of the next request; None when there is none.

        :raises BadMessage: when it is too long.
        """
        # A peer that is not proven has no time to be idle, nor has one that
        # has begun.
        seconds = (self._limits.idle_seconds
                   if self.holder and not self._received
                   else self._limits.head_seconds)
        end = time.monotonic() + seconds
        while protocol.END_OF_HEAD not in self._received:
            if len(self._received) >= protocol.MOST_HEAD:
                raise protocol.BadMessage()
            self.deadline = end
            secured.settimeout(max(end - time.monotonic(), 0.001))
            part = secured.recv(protocol.MOST_HEAD)
            if not part:
                return None
            if not self._received:
                end = min(end, time.monotonic() + self._limits.head_seconds)
            self._received += part
        self.deadline = math.inf
        head, _, rest = bytes(self._received).partition(protocol.END_OF_HEAD)
        self._received = bytearray(rest)
        return head

    def _send(self, secured: ssl.SSLSocket, answer: protocol.Answer,
              body: bytes | memoryview = b'') -> None:
        """Send an answer, which the peer must take in time."""
        if self.holder and len(body) < gates.SHORT:
            time.sleep(self._gate.pause(self.holder))
        end = self.deadline = (
            time.monotonic() + self._limits.head_seconds
            + len(body) / self._limits.floor)
        for part in (answer.head(), body):
            view = memoryview(part)
            while view:
                secured.settimeout(max(end - time.monotonic(), 0.001))
                sent = secured.send(view[:_PIECE])
                view = view[sent:]
        self.deadline = math.inf


def _fill_link(listener: socket.socket) -> None:
    """Have a congestion control that a chain does not mislead.

    BBR sends as fast as it has seen bytes arrive, and takes the pauses of a
    chain that fills, and answers that queue behind what this node sends, for
    a slow link: a third of one was used for many seconds.
    """
    used = listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16)
    if not used.startswith(b'bbr'):
        return
    for name in (b'cubic', b'reno'):
        try:
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION,
                                name)
            return
        except OSError:
            # Not in this kernel, or not for this user.
            continue


def _shut_down(connection: socket.socket) -> None:
    """Wake whoever waits for the other side."""
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
