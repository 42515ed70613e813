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

"""Images from web servers: patience, resumption, mirrors."""

from collections.abc import Callable
from collections.abc import Sequence
import time
import typing

import requests

from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.sources import base
from ironic_imagedeploy.engine.sources import ranges

MIB = 1 << 20
#: Bytes of the front that come with the first request.
HEAD = MIB
#: Bytes that are held for a server that gives the file in order only.
HOLD_LIMIT = 16 * MIB
#: Bytes after which earlier failures are forgotten.
PROGRESS = MIB
_PAUSE = 0.5
_PAUSE_LIMIT = 30.0

Credentials = tuple[str, str] | requests.auth.AuthBase | None
_T = typing.TypeVar('_T')


class Patience:
    """How many failures in a row are borne, with growing pauses.

    :param retries: failures without progress before giving up.
    """

    def __init__(self, retries: int) -> None:
        self._retries = retries
        self._failures = 0
        self._bytes = 0

    def progressed(self, count: int) -> None:
        """That many bytes came."""
        self._bytes += count
        if self._bytes >= PROGRESS:
            self.reset()

    def reset(self) -> None:
        """Forget the failures."""
        self._failures = 0

    def wait(self, problem: ranges.TransientError) -> bool:
        """Pause before the next attempt; False when there is none."""
        self._failures += 1
        self._bytes = 0
        if self._failures > self._retries:
            return False
        pause = max(_PAUSE * 2 ** (self._failures - 1), problem.retry_after)
        time.sleep(min(pause, _PAUSE_LIMIT))
        return True


class HttpSource(base.Source):
    """One file on one or several web servers.

    :param location: ``http://`` or ``https://`` URL.
    :param mirrors: URLs of the same file, used in turn when one fails.
    :param verify: check TLS certificates: True, False, or the path of a CA
        bundle.
    :param timeout: seconds for a connection, and of silence on it.
    :param retries: failures in a row, without progress, before a server is
        given up.
    :param auth: user and password, or an authentication of requests, for
        the server of ``location`` only.
    :param request: sends one GET; by default requests does.
    """

    def __init__(self, location: str, *, mirrors: Sequence[str] = (),
                 verify: bool | str = True, timeout: float = 60.0,
                 retries: int = 5, auth: Credentials = None,
                 request: ranges.Request | None = None) -> None:
        self.name = base.redact(location)
        self._urls = [location, *mirrors]
        self._timeout = timeout
        self._retries = retries
        self._verify = verify
        self._auth = auth
        self._origin = base.origin(location)
        self._session = requests.Session()
        self._request = request or self._send
        self._held = b''
        self._rest: ranges.Body | None = None
        try:
            self._connection = self._next_connection()
        except BaseException:
            self._session.close()
            raise
        self.size = self._connection.size
        self.random_access = self._connection.random_access

    def read_at(self, offset: int, length: int) -> bytes:
        end = offset + length
        if end > self.size:
            raise exceptions.SourceTruncated(
                self.name, expected=f'at least {end} bytes',
                found=f'a file of {self.size} bytes',
                fix='Upload the whole image file.')
        if end > len(self._held):
            if self.random_access:
                return self.persist(
                    lambda server: _read_all(server.get(offset, end)))
            self._hold(end)
        return self._held[offset:end]

    def open_stream(self) -> base.Stream:
        return _HttpStream(self)

    def close(self) -> None:
        if self._rest is not None:
            self._rest.close()
        self._session.close()

    def body_from(self, position: int) -> ranges.Body:
        """The rest of the file.

        :raises TransientError: when the server does not answer.
        """
        if self.random_access:
            return self._connection.get(position, self.size)
        if self._rest is None or position != len(self._held):
            raise exceptions.SourceError(
                self.name, expected='a connection that holds, since the '
                'server cannot continue a file',
                found=f'the end of the connection after {position} of '
                f'{self.size} bytes',
                fix='Use a server that answers range requests.')
        rest, self._rest = self._rest, None
        return rest

    def held(self, position: int) -> memoryview:
        """What is in memory from that byte on."""
        return memoryview(self._held)[position:]

    def persist(self, action: Callable[[ranges.Connection], _T],
                patience: Patience | None = None) -> _T:
        """Do it until it succeeds, here or on a mirror, within reason."""
        patience = patience or Patience(self._retries)
        while True:
            try:
                return action(self._connection)
            except ranges.TransientError as problem:
                self.recover(problem, patience)

    def recover(self, problem: ranges.TransientError,
                patience: Patience) -> None:
        """Wait, or go to the next mirror; raises when neither helps."""
        if patience.wait(problem):
            return
        if not self._urls or not self.random_access:
            raise problem.error
        mirror = self._next_connection()
        if mirror.size != self.size or not mirror.random_access:
            raise exceptions.SourceChanged(
                mirror.name, expected=f'the file of {self.size} bytes',
                found=f'{mirror.size} bytes' if mirror.random_access
                else 'a server that gives the whole file only',
                fix='List only mirrors of the same image, which answer range '
                    'requests.') from problem.error
        self._connection = mirror
        self.name = mirror.name
        patience.reset()

    def patience(self) -> Patience:
        """A fresh count of failures."""
        return Patience(self._retries)

    def _next_connection(self) -> ranges.Connection:
        """The first of the remaining servers that has the file."""
        while True:
            server = ranges.Connection(
                self._urls.pop(0), self._request, self._timeout)
            try:
                self._open(server)
            except exceptions.SourceError:
                if not self._urls:
                    raise
            else:
                return server

    def _open(self, server: ranges.Connection) -> None:
        patience = self.patience()
        while True:
            try:
                body = server.open(HEAD)
                if not server.random_access:
                    self._rest = body
                elif not self._held:
                    self._held = _read_all(body)
                else:
                    body.close()
                return
            except ranges.TransientError as problem:
                if not patience.wait(problem):
                    raise problem.error from problem

    def _hold(self, end: int) -> None:
        """Read on, in order, and keep what comes."""
        if end > HOLD_LIMIT or self._rest is None:
            raise exceptions.SourceNotSeekable(
                self.name,
                expected=f'the tables in the first {HOLD_LIMIT} bytes, since '
                'the server does not answer range requests',
                found=f'a table that ends at byte {end}',
                fix='Use a server that answers range requests.')
        held = bytearray(end)
        held[:len(self._held)] = self._held
        view, done = memoryview(held), len(self._held)
        try:
            while done < end:
                done += self._rest.readinto(view[done:])
        except ranges.TransientError as problem:
            raise problem.error from problem
        self._held = bytes(held)

    def _send(self, url: str, headers: dict[str, str]) -> requests.Response:
        # The session's own setting would yield to REQUESTS_CA_BUNDLE.
        return self._session.get(
            url, headers=headers, stream=True, timeout=self._timeout,
            verify=self._verify,
            auth=self._auth if base.origin(url) == self._origin else None)


class _HttpStream:
    """The file in order, continued where a connection dropped."""

    def __init__(self, source: HttpSource) -> None:
        self._source = source
        self._position = 0
        self._body: ranges.Body | None = None
        self._patience = source.patience()

    def readinto(self, buffer: memoryview) -> int:
        source = self._source
        if self._position == source.size:
            return 0
        if self._body is None and (held := source.held(self._position)):
            count = min(len(held), len(buffer))
            buffer[:count] = held[:count]
        else:
            count = source.persist(lambda _: self._receive(buffer),
                                   self._patience)
            self._patience.progressed(count)
        self._position += count
        return count

    def close(self) -> None:
        if self._body is not None:
            self._body.close()
            self._body = None

    def _receive(self, buffer: memoryview) -> int:
        if self._body is None:
            self._body = self._source.body_from(self._position)
            if self._position > len(self._source.held(0)):
                self._source.resumes += 1
        try:
            return self._body.readinto(buffer)
        except ranges.TransientError:
            self.close()
            raise


def _read_all(body: ranges.Body) -> bytes:
    try:
        return body.read()
    finally:
        body.close()
