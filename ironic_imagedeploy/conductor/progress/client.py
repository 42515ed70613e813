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

"""Clients of agents that nobody vouches for: bounded in time and bytes.

The timeout of requests is one of silence: an agent that sends a byte now and
then is waited for until its sockets are shut down.
"""

from collections.abc import Callable
import io
import json
import socket
import threading
import time
import typing

import requests
import urllib3
import urllib3.connection

from ironic.common import exception
from ironic.conductor import task_manager
from ironic.conf import CONF
from ironic.drivers.modules import agent_client
from ironic import objects

from ironic_imagedeploy.conductor import agent_errors
from ironic_imagedeploy.conductor.progress import commands

#: Seconds that an agent may take to accept a connection, and be silent.
_TIMEOUT = 4.0
#: Bytes of an answer that shows commands, beside the config drive.
MOST_BYTES = 1 << 20
#: Bytes of an answer for each byte of a config drive. A write that has ended
#: shows it twice, in base64; as JSON it grows once more.
_COPIES = 4
#: Bytes of the answer to a command. The logs of a ramdisk are one.
_MOST_OF_A_COMMAND = 64 << 20
_CURRENT = threading.local()


class Unbounded(exception.IronicException):
    """An answer that is not one of an agent, or does not come to its end."""


class TooLong(Unbounded):
    """An answer of more bytes than an agent has to tell."""

    _msg_fmt = ('The agent answers with too much: expected at most %(most)d '
                'bytes, found more. Look at the console of the node; deploy '
                'it again with a ramdisk that you trust.')


class TooSlow(Unbounded):
    """An answer that has not ended when its time was over."""

    _msg_fmt = ('The agent does not come to the end of its answer: expected '
                'it within %(seconds)d seconds, found none. Look at the '
                'network and at the console of the node; then deploy it '
                'again. Where the network is that slow, set '
                '[agent]command_timeout higher.')


class NotAnAnswer(Unbounded):
    """An answer that Ironic would fail at, or show beside its own order."""

    _msg_fmt = ('The agent does not answer as an agent: expected %(expected)s '
                'in JSON, found something else with HTTP status %(status)d. '
                'Look at the console of the node, and at what is between it '
                'and the conductor; then deploy it again.')


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

    @property
    def is_cut(self) -> bool:
        """Whether it was cut off."""
        return self._cut

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
    """Ironic's client, for a short look at what an agent does."""

    def __init__(self) -> None:
        super().__init__()
        _bound(self, _Session(timeout=_TIMEOUT))


def bounded(task: task_manager.TaskManager) -> agent_client.AgentClient:
    """Ironic's own client for a node, bounded from now on.

    Its errors do not have the token of the agent.
    """
    client = agent_client.get_client(task)
    if not isinstance(client.session, _Session):
        _bound(client, _OwnSession(task.node))
    return client


def _bound(client: agent_client.AgentClient, session: '_Session') -> None:
    session.headers.update(client.session.headers)
    # Compressed bytes would be more than they are.
    session.headers['Accept-Encoding'] = 'identity'
    session.adapters.update(client.session.adapters)
    for adapter in session.adapters.values():
        assert isinstance(adapter, requests.adapters.HTTPAdapter)
        adapter.poolmanager.pool_classes_by_scheme = _POOLS
    client.session = session
    agent_errors.redact(client)


class _Session(requests.Session):
    # No function put in the place of another: such a cycle keeps the memory
    # of TLS until Python's collector comes by, after hundreds of agents.

    def __init__(self, *, timeout: float) -> None:
        super().__init__()
        self._timeout = timeout

    def _most(self, method: str) -> int:
        return MOST_BYTES

    def request(self, method: typing.Any, url: typing.Any,
                *args: typing.Any, **options: typing.Any
                ) -> requests.Response:
        most = self._most(method)
        answer = super().request(method, url, *args, **{
            **options, 'timeout': self._timeout, 'stream': True,
            'allow_redirects': False})
        try:
            body = answer.raw.read(most + 1, decode_content=False)
            # Only a read at its end tells whether it is whole.
            if len(body) <= most:
                body += answer.raw.read(1, decode_content=False)
        except urllib3.exceptions.HTTPError as error:
            raise requests.ConnectionError(str(error)) from None
        finally:
            answer.raw.close()
            # A kept connection is one until Python's collector has the task.
            self.close()
        if len(body) > most:
            raise TooLong(most=most)
        answer.raw = io.BytesIO(body)
        return answer


class _OwnSession(_Session):
    """Session for what Ironic itself asks of an agent."""

    def __init__(self, node: objects.Node) -> None:
        super().__init__(timeout=CONF.agent.command_timeout)
        self._most_shown = MOST_BYTES + _COPIES * len(
            json.dumps(node.instance_info.get('configdrive')))

    def _most(self, method: str) -> int:
        return (self._most_shown if method.upper() == 'GET'
                else _MOST_OF_A_COMMAND)

    def request(self, *args: typing.Any, **options: typing.Any
                ) -> requests.Response:
        # Silence before the answer is one timeout, the answer another one.
        seconds = 2 * self._timeout
        call = Call(None)
        timer = threading.Timer(seconds, call.cut)
        timer.daemon = True
        timer.start()
        try:
            call.run(lambda _: super(_OwnSession, self).request(
                *args, **options))
        except (OSError, urllib3.exceptions.HTTPError):
            if not call.is_cut:
                raise
        finally:
            timer.cancel()
        # What was cut off may look like a short answer.
        if call.is_cut:
            # Not what Ironic would try again.
            raise TooSlow(seconds=seconds)
        answer = typing.cast(requests.Response, call.result)
        expected, is_such = (
            (commands.COMMAND, commands.is_one)
            if answer.request.method == 'POST'
            else (commands.COMMANDS, commands.are_listed))
        if not is_such(answer):
            raise NotAnAnswer(expected=expected, status=answer.status_code)
        return answer
