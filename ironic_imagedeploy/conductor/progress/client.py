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

"""A client of agents that nobody vouches for: bounded in time and bytes.

The timeout of requests is one of silence: an agent that sends a byte now and
then is waited for until its sockets are shut down.
"""

from collections.abc import Callable
import io
import socket
import threading
import time
import typing

import requests
import urllib3
import urllib3.connection

from ironic.drivers.modules import agent_client

from ironic_imagedeploy.conductor import agent_errors

#: Seconds that an agent may take to accept a connection, and be silent.
_TIMEOUT = 4.0
#: Bytes of an answer. It has the orders of all commands in it, a config drive
#: among them.
MOST_BYTES = 1 << 20
_CURRENT = threading.local()


class TooLong(Exception):
    """An answer of more than MOST_BYTES."""


class Call:
    """A call of a function in a thread of its own, which can be cut off.

    :ivar item: that it is about.
    :ivar result: of the function; None while there is none.
    """

    def __init__(self, item: typing.Any) -> None:
        self.item = item
        self.result: typing.Any = None
        self._began: float | None = None
        self._cut = False
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()

    def run(self, function: Callable[[typing.Any], typing.Any]) -> None:
        """Call the function; called in the thread."""
        self._began = time.monotonic()
        _CURRENT.call = self
        try:
            self.result = function(self.item)
        finally:
            del _CURRENT.call
            with self._lock:
                for duplicate in self._sockets:
                    duplicate.close()
                self._sockets.clear()

    @property
    def seconds(self) -> float:
        """Time since it began; 0 before."""
        return 0.0 if self._began is None else time.monotonic() - self._began

    @property
    def began(self) -> bool:
        """Whether a thread has it."""
        return self._began is not None

    def watch(self, connected: socket.socket) -> None:
        """Let :meth:`cut` shut down a connection of this call."""
        with self._lock:
            # What TLS wraps is detached from its object, a duplicate stays.
            self._sockets.append(connected.dup())
            if self._cut:
                self._shut_down()

    def cut(self) -> None:
        """End all connections, so that the function fails at once."""
        with self._lock:
            self._cut = True
            self._shut_down()

    def _shut_down(self) -> None:
        for duplicate in self._sockets:
            try:
                duplicate.shutdown(socket.SHUT_RDWR)
            except OSError:
                # It is closed by its other end.
                pass


def _watched(connected: socket.socket) -> socket.socket:
    if call := getattr(_CURRENT, 'call', None):
        call.watch(connected)
    return connected


class _HTTPConnection(urllib3.connection.HTTPConnection):

    def _new_conn(self) -> socket.socket:
        return _watched(super()._new_conn())


class _HTTPSConnection(urllib3.connection.HTTPSConnection):

    def _new_conn(self) -> socket.socket:
        return _watched(super()._new_conn())


class _HTTPPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _HTTPConnection


class _HTTPSPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _HTTPSConnection


_POOLS = {'http': _HTTPPool, 'https': _HTTPSPool}


class Client(agent_client.AgentClient):
    """Ironic's client, with bounds."""

    def __init__(self) -> None:
        super().__init__()
        session = _Session()
        session.headers.update(self.session.headers)
        # Compressed bytes would be more than they are.
        session.headers['Accept-Encoding'] = 'identity'
        session.adapters.update(self.session.adapters)
        for adapter in session.adapters.values():
            assert isinstance(adapter, requests.adapters.HTTPAdapter)
            adapter.poolmanager.pool_classes_by_scheme = _POOLS
        self.session: requests.Session = session
        agent_errors.redact(self)


class _Session(requests.Session):
    # No function put in the place of another: such a cycle keeps the memory
    # of TLS until Python's collector comes by, after hundreds of agents.

    def request(self, *args: typing.Any, **options: typing.Any
                ) -> requests.Response:
        answer = super().request(*args, **{
            **options, 'timeout': _TIMEOUT, 'stream': True,
            'allow_redirects': False})
        try:
            body = answer.raw.read(MOST_BYTES + 1, decode_content=False)
        finally:
            answer.raw.close()
        if len(body) > MOST_BYTES:
            raise TooLong
        answer.raw = io.BytesIO(body)
        return answer
