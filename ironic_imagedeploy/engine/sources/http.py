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

"""Images from web servers, also from those that know no ranges."""

from collections.abc import Sequence

import requests

from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.sources import answer
from ironic_imagedeploy.engine.sources import base
from ironic_imagedeploy.engine.sources import heads
from ironic_imagedeploy.engine.sources import mirrors as _mirrors
from ironic_imagedeploy.engine.sources import ranges

MIB = 1 << 20
#: Bytes of the front that come with the first request.
HEAD = MIB
#: Bytes that are held for a server that gives the file in order only.
HOLD_LIMIT = 16 * MIB
#: Seconds for the head and the tables, and one more for each of their MiB.
LOOK_TIMEOUT = 600.0

Credentials = tuple[str, str] | requests.auth.AuthBase | None


class HttpSource(base.Source):
    """File on one or several web servers.

    :param location: ``http://`` or ``https://`` URL.
    :param mirrors: URLs of the same file, used in turn when one fails.
    :param verify: check TLS certificates: True, False, or the path of a CA
        bundle.
    :param timeout: seconds for a connection, for the head of an answer, and
        of silence after it.
    :param look_timeout: seconds for the head and the tables of the image,
        and one more for each of their MiB; None for any time.
    :param minimum_speed: bytes per second that a server must give, on the
        average of ``timeout`` seconds of waiting.
    :param retries: failures in a row, without progress, before a server is
        given up.
    :param first_retries: the same of a server that cannot be reached at
        all, when it is asked for the first time; by default as many.
    :param notice: called with the failure and the seconds until the next
        attempt.
    :param auth: user and password, or an authentication of requests, for
        the server of ``location`` only.
    :param checksum_stated: a strong checksum of the whole file is compared
        in the end: ETag and Last-Modified may differ between answers.
    :param request: sends one GET and follows no redirect; by default
        requests does.
    """

    def __init__(self, location: str, *, mirrors: Sequence[str] = (),
                 verify: bool | str = True,
                 timeout: float = answer.TIMEOUT,
                 look_timeout: float | None = LOOK_TIMEOUT,
                 minimum_speed: int = 0, retries: int = _mirrors.RETRIES,
                 first_retries: int | None = None,
                 notice: _mirrors.Notice | None = None,
                 auth: Credentials = None, checksum_stated: bool = False,
                 request: ranges.Request | None = None) -> None:
        self._name = ''
        self._location = location
        self._verify = verify
        self._auth = auth or base.login_in(location)
        self._session = requests.Session()
        heads.limit_heads(self._session)
        self._look = answer.Deadline(look_timeout)
        self._held = b''
        self._rest: answer.Body | None = None
        try:
            self._mirrors = _mirrors.Mirrors(
                [location, *mirrors], request or self._send,
                limits=answer.Limits(timeout=timeout, floor=minimum_speed,
                                     deadline=self._look),
                retries=retries, first_retries=first_retries, notice=notice,
                head=HEAD, checksum_stated=checksum_stated)
            self._threads = _mirrors.ThreadDownloads(self._mirrors)
            self.size = self._mirrors.size
            self.random_access = self._mirrors.random_access
            if not self.random_access:
                self._rest = self._mirrors.front
            else:
                self._held = self._front()
        except BaseException:
            self._session.close()
            raise

    @property
    def name(self) -> str:
        return self._name or self._mirrors.name

    @name.setter
    def name(self, name: str) -> None:
        self._name = name

    @property
    def resumes(self) -> int:  # type: ignore[override]
        return self._mirrors.resumes

    def read_at(self, offset: int, length: int) -> bytes:
        end = offset + length
        if end > self.size:
            raise exceptions.SourceTruncated(
                self.name, expected=f'at least {end} bytes',
                found=f'a file of {self.size} bytes',
                fix='Upload the whole image file.')
        if end > len(self._held):
            if self.random_access:
                return self._mirrors.read(offset, end)
            self._hold(end)
        return self._held[offset:end]

    def fill(self, offset: int, view: memoryview, until: int) -> None:
        if not self.random_access:
            view[:] = self.read_at(offset, len(view))
            return
        count = min(max(len(self._held) - offset, 0), len(view))
        view[:count] = self._held[offset:offset + count]
        offset, view = offset + count, view[count:]
        until = max(until, offset + len(view))
        while view:
            count = self._threads.at(offset, until).readinto(view)
            offset, view = offset + count, view[count:]

    def distrust(self) -> None:
        self._threads.distrust()

    def end_look(self) -> None:
        self._look.lift()

    def open_stream(self) -> base.Stream:
        self.end_look()
        if self.random_access:
            return _Stream(self._held, _mirrors.Download(
                self._mirrors, len(self._held)))
        rest, self._rest = self._rest, None
        return _Stream(self._held, _Rest(
            self.name, self.size, len(self._held), rest))

    def close(self) -> None:
        if self._rest is not None:
            self._rest.close()
        self._threads.close()
        self._session.close()

    def _front(self) -> bytes:
        """The front of the file, or the first part of it."""
        try:
            return self._mirrors.front.read()
        except exceptions.SourceError as problem:
            self._mirrors.recover(self._mirrors.server, problem,
                                  self._mirrors.patience())
            return self._mirrors.read(0, min(HEAD, self.size))

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
        self._look.allow(end - done)
        while done < end:
            done += self._rest.readinto(view[done:])
        self._held = bytes(held)

    def _send(self, url: str, headers: dict[str, str], timeout: float
              ) -> requests.Response:
        # The session's own setting would yield to REQUESTS_CA_BUNDLE.
        return self._session.get(
            url, headers=headers, stream=True, timeout=timeout,
            verify=self._verify, allow_redirects=False,
            auth=self._auth if base.may_know_secrets(
                url, of=self._location) else None)


class _Stream:
    """A file in order: first what is held of it, then the rest."""

    def __init__(self, held: bytes, rest: base.Stream) -> None:
        self._held = memoryview(held)
        self._rest = rest

    def readinto(self, buffer: memoryview) -> int:
        if not self._held:
            return self._rest.readinto(buffer)
        count = min(len(self._held), len(buffer))
        buffer[:count] = self._held[:count]
        self._held = self._held[count:]
        return count

    def close(self) -> None:
        self._rest.close()


class _Rest:
    """The rest of a file that a server gives once, in order.

    :param position: offset of its first byte.
    :param body: None when it was given before.
    """

    def __init__(self, name: str, size: int, position: int,
                 body: answer.Body | None) -> None:
        self._name = name
        self._size = size
        self._position = position
        self._body = body

    def readinto(self, buffer: memoryview) -> int:
        if self._position == self._size:
            return 0
        if self._body is None:
            raise self._cannot_continue()
        try:
            count = self._body.readinto(buffer)
        except exceptions.SourceError as problem:
            if not isinstance(problem, exceptions.Retriable):
                raise
            raise self._cannot_continue() from problem
        self._position += count
        return count

    def close(self) -> None:
        if self._body is not None:
            self._body.close()

    def _cannot_continue(self) -> exceptions.SourceError:
        return exceptions.SourceError(
            self._name, expected='a connection that holds, since the '
            'server cannot continue a file',
            found=f'the end of the connection after {self._position} of '
            f'{self._size} bytes',
            fix='Use a server that answers range requests.')
