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

"""A bound on the time that the head of an answer takes, and a small body.

The timeout of a socket counts silence: a server that sends a byte now and
then, or ``100 Continue`` for ever, is never silent. So the head of an answer,
with all that comes before it, has the same seconds as a whole; and so has
what comes between two pieces of its body, which may be a long line, too. A
head is bounded in bytes as well: those of a fast server would keep a processor
busy for all that time.

A body that a library reads on its own, as those of Glance and Keystone do
with documents, is bounded as a whole: in time, and in bytes.
"""

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import errno
import http.client
import io
import socket
import time
import typing

import requests
import urllib3
import urllib3.connection
import urllib3.poolmanager

#: Bytes of a body that is not received in pieces.
MOST_OF_A_DOCUMENT = 16 << 20
#: Bytes of the head of an answer, and of what comes before it.
MOST_OF_A_HEAD = 64 << 10
#: Answers such as ``100 Continue`` and ``103 Early Hints`` before the one that
#: counts (RFC 9110, 15.2). Nobody asks for any.
MOST_INTERIM = 16


class EndlessHeadError(http.client.HTTPException):
    """The head of an answer is long, or always about to come."""


class ChunkSizeError(http.client.HTTPException):
    """A chunk of a body has a size that is not a number of bytes."""


def limit_heads(session: requests.Session) -> None:
    """Bound the heads of all answers of a session by its read timeouts."""
    for adapter in session.adapters.values():
        if isinstance(adapter, requests.adapters.HTTPAdapter):
            _limit(adapter.poolmanager)
            if not isinstance(adapter.proxy_manager_for, _LimitedProxies):
                adapter.proxy_manager_for = (  # type: ignore[method-assign]
                    _LimitedProxies(adapter.proxy_manager_for))


def receive(raw: urllib3.BaseHTTPResponse, view: memoryview) -> int:
    """Fill the front of the view with what has come of a body, as stored.

    Where :func:`limit_heads` made the connection nothing is copied.

    :returns: how many bytes; 0 at the end of the body.
    """
    answer = getattr(raw, '_original_response', None)
    if isinstance(answer, _Response):
        return answer.receive(view)
    # decode_content off: the checksum is over the bytes as stored.
    part = raw.read1(len(view), decode_content=False) or b''
    view[:len(part)] = part
    return len(part)


class _TimedReader(io.RawIOBase):
    """The socket of an answer, with a bound on several reads together.

    :param raw: a file of the socket.
    :param seconds: the timeout of the socket, and for a few reads together.
    """

    def __init__(self, raw: io.RawIOBase, sock: socket.socket,
                 seconds: float) -> None:
        self._raw = raw
        self._socket = sock
        self._seconds = seconds
        self._end: float | None = None
        self._reads = 0
        self._remaining: int | None = None
        self._document_end: float | None = None
        self._document_bytes = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: typing.Any) -> int | None:
        if self._end is None:
            return self._read_document(buffer)
        # The first of them has the timeout of the socket.
        if self._reads:
            self._wait_until(self._end)
        self._reads += 1
        count = self._raw.readinto(buffer)
        if self._remaining is not None:
            self._remaining -= count or 0
            if self._remaining < 0:
                raise EndlessHeadError(f'more than {MOST_OF_A_HEAD} bytes')
        return count

    def _read_document(self, buffer: typing.Any) -> int | None:
        if self._document_end is None:
            self._document_end = time.monotonic() + self._seconds
        self._wait_until(self._document_end)
        count = self._raw.readinto(buffer)
        self._document_bytes += count or 0
        if self._document_bytes > MOST_OF_A_DOCUMENT:
            raise OSError(errno.EFBIG, 'more than '
                          f'{MOST_OF_A_DOCUMENT} bytes in one answer')
        return count

    def _wait_until(self, end: float) -> None:
        remaining = end - time.monotonic()
        if remaining <= 0:
            raise TimeoutError(
                f'nothing of use in {self._seconds:g} seconds')
        self._socket.settimeout(remaining)

    @contextlib.contextmanager
    def together(self, most: int | None = None) -> Iterator[None]:
        """Let all reads inside take the timeout together.

        :param most: bytes that they may bring; None for any number.
        """
        self._end, self._reads = time.monotonic() + self._seconds, 0
        self._remaining = most
        try:
            yield
        finally:
            self._end = self._remaining = None
            if self._reads > 1:
                self._socket.settimeout(self._seconds)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    """An answer that comes within the timeout of its socket."""

    def __init__(self, sock: socket.socket, *arguments: typing.Any,
                 **options: typing.Any) -> None:
        super().__init__(sock, *arguments, **options)
        self._reader: _TimedReader | None = None
        self._interim = 0
        if seconds := sock.gettimeout():
            self._reader = _TimedReader(self.fp.detach(), sock, seconds)
            self.fp = io.BufferedReader(self._reader)

    def begin(self) -> None:
        with self._together(MOST_OF_A_HEAD):
            super().begin()

    def _read_status(self) -> tuple[str, int, str]:
        # begin() skips any number of 100, and takes others for the last one.
        while True:
            found: tuple[str, int, str] = (
                super()._read_status())  # type: ignore[misc]
            if found[1] >= 200 or (
                    found[1] == http.client.SWITCHING_PROTOCOLS):
                return found
            self._interim += 1
            if self._interim > MOST_INTERIM:
                raise EndlessHeadError(
                    f'more than {MOST_INTERIM} answers of 1xx')
            if found[1] == http.client.CONTINUE:
                return found
            http.client.parse_headers(self.fp)

    def read1(self, n: int = -1) -> bytes:
        with self._together():
            return super().read1(n)

    def receive(self, view: memoryview) -> int:
        """Fill the front of the view with what one read gives; 0 at the end.

        http.client has this for whole views only, which may take any time.
        """
        with self._together():
            if self.fp is None or self.chunked:
                part = super().read1(len(view))
                view[:len(part)] = part
                return len(part)
            if self.length is not None:
                view = view[:self.length]
            count = self.fp.readinto1(view)
            if self.length is not None:
                self.length -= count
            if not count or self.length == 0:
                self.close()
            return count

    def _read_next_chunk_size(self) -> int:
        try:
            size: int = super()._read_next_chunk_size()  # type: ignore[misc]
        except ValueError as error:
            raise ChunkSizeError from error
        # A sign is a number to http.client, which reads any number of bytes
        # then, whatever there is room for.
        if size < 0:
            raise ChunkSizeError
        return size

    def _together(self, most: int | None = None
                  ) -> contextlib.AbstractContextManager[None]:
        return (self._reader.together(most) if self._reader
                else contextlib.nullcontext())


class _HTTPConnection(urllib3.connection.HTTPConnection):
    response_class = _Response


class _HTTPSConnection(urllib3.connection.HTTPSConnection):
    response_class = _Response


class _HTTPPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _HTTPConnection


class _HTTPSPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _HTTPSConnection


def _limit(manager: urllib3.PoolManager) -> None:
    # Pools of other kinds, such as those of SOCKS, connect in their own way.
    if manager.pool_classes_by_scheme is (
            urllib3.poolmanager.pool_classes_by_scheme):
        manager.pool_classes_by_scheme = {'http': _HTTPPool,
                                          'https': _HTTPSPool}
        # Its connections so far have no bound.
        manager.clear()


class _LimitedProxies:
    """Makes managers of proxies, with a bound on the answers through them.

    :param make: the function of an adapter that makes them.
    """

    def __init__(self, make: Callable[..., urllib3.PoolManager]) -> None:
        self._make = make

    def __call__(self, proxy: str, **options: typing.Any
                 ) -> urllib3.PoolManager:
        manager = self._make(proxy, **options)
        _limit(manager)
        return manager
