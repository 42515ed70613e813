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

"""The same file on several web servers, read with patience."""

from collections.abc import Callable
from collections.abc import Sequence
import contextlib
import threading
import time
import typing

from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.sources import answer
from ironic_imagedeploy.engine.sources import ranges

MIB = 1 << 20
#: Bytes after which earlier failures are forgotten.
PROGRESS = MIB
#: Failures in a row that are borne.
RETRIES = 5
_PAUSE = 0.5
_PAUSE_LIMIT = 30.0


#: Called with a failure and the seconds until the next attempt.
Notice = Callable[[exceptions.SourceError, float], None]


class Patience:
    """A number of failures in a row that are borne, with growing pauses.

    :param retries: failures without progress before giving up.
    :param deadline: that no pause reaches.
    :param unreachable: the same of a server that cannot be reached, when
        it is smaller.
    :param notice: called before each pause.
    :ivar failures: failures in a row so far.
    """

    def __init__(self, retries: int, deadline: answer.Deadline, *,
                 unreachable: int | None = None,
                 notice: Notice | None = None) -> None:
        self.failures = 0
        self._deadline = deadline
        self._retries = retries
        self._unreachable = (retries if unreachable is None
                             else min(retries, unreachable))
        self._notice = notice
        self._bytes = 0

    def progressed(self, count: int) -> None:
        """Count bytes that came."""
        self._bytes += count
        if self._bytes >= PROGRESS:
            self.reset()

    def reset(self) -> None:
        """Forget the failures."""
        self.failures = 0

    def wait(self, problem: exceptions.SourceError) -> bool:
        """Pause before the next attempt; False when there is none."""
        if not isinstance(problem, exceptions.Retriable):
            return False
        self.failures += 1
        self._bytes = 0
        if self.failures > (
                self._unreachable if isinstance(
                    problem, exceptions.SourceUnreachable)
                else self._retries):
            return False
        pause = max(_PAUSE * 2 ** (self.failures - 1), problem.retry_after)
        pause = min(pause, _PAUSE_LIMIT)
        if pause >= self._deadline.seconds_left:
            # The problem says more than that time was over.
            return False
        if self._notice:
            self._notice(problem, pause)
        time.sleep(pause)
        return True


class Mirrors:
    """The servers of a file, of which one is asked until it is given up.

    Several threads may read at once.

    :param urls: where the file is, in the order of preference.
    :param request: sends one GET.
    :param limits: time that a server may take.
    :param retries: failures in a row, without progress, before a server is
        given up.
    :param first_retries: the same of a server that cannot be reached at
        all, when it is asked for the first time; by default as many.
    :param notice: called before another attempt.
    :param head: bytes of the front to ask for.
    :param checksum_stated: as for :class:`.ranges.Connection`.
    :ivar name: where the file is read from, without secrets.
    :ivar size: bytes in the file.
    :ivar random_access: whether the servers give ranges.
    :ivar front: the answer that the file was found by.
    :ivar server: the one that is asked.
    :ivar resumes: how often a dropped connection was continued.
    :raises SourceError: when no server has the file.
    """

    def __init__(self, urls: Sequence[str], request: ranges.Request, *,
                 limits: answer.Limits, retries: int, head: int,
                 checksum_stated: bool = False,
                 first_retries: int | None = None,
                 notice: Notice | None = None) -> None:
        self.resumes = 0
        self._lock = threading.Lock()
        self._waiting = list(urls)
        self._request = request
        self._limits = limits
        self._retries = retries
        self._first_retries = first_retries
        self._notice = notice
        self._head = head
        self._checksum_stated = checksum_stated
        self.server, self.front = self._next()
        self.size = self.server.size
        self.random_access = self.server.random_access

    @property
    def name(self) -> str:
        return self.server.name

    def read(self, start: int, end: int) -> bytes:
        """The bytes from ``start`` up to and without ``end``."""
        patience = self.patience()
        while True:
            server = self.server
            try:
                return server.read(start, end)
            except exceptions.SourceError as problem:
                self.recover(server, problem, patience)

    def patience(self) -> Patience:
        """A fresh count of failures."""
        return Patience(self._retries, self._limits.deadline,
                        notice=self._notice)

    def resumed(self) -> None:
        """Count a dropped connection that is continued."""
        with self._lock:
            self.resumes += 1

    def recover(self, server: ranges.Connection,
                problem: exceptions.SourceError, patience: Patience) -> None:
        """Wait, or go to the next server.

        :param server: that has the problem.
        :raises SourceError: the problem, when neither helps.
        """
        if not isinstance(problem, (exceptions.Retriable,
                                    exceptions.SourceTooSlow)):
            raise problem
        self._limits.deadline.remaining(server.name)
        if patience.wait(problem):
            if patience.failures > 1:
                server.start_over()
            return
        if not self._go_on(server, problem):
            raise problem
        patience.reset()

    def distrust(self, server: ranges.Connection) -> None:
        """Ask the next server from now on, if there is one that works."""
        problem = exceptions.SourceError(
            server.name, expected='the bytes of the image', found='others',
            fix='')
        with contextlib.suppress(exceptions.SourceError):
            self._go_on(server, problem)

    def _go_on(self, server: ranges.Connection,
               problem: exceptions.SourceError) -> bool:
        """Whether another server than this one is asked from now on."""
        with self._lock:
            if server is not self.server:
                # Another thread went on already.
                return True
            if not self._waiting or not self.random_access:
                return False
            server, front = self._next()
            front.close()
            if server.size != self.size or not server.random_access:
                raise exceptions.SourceChanged(
                    server.name, expected=f'the file of {self.size} bytes',
                    found=f'{server.size} bytes' if server.random_access
                    else 'a server that gives the whole file only',
                    fix='List only mirrors of the same image, which answer '
                        'range requests.') from problem
            self.server = server
            return True

    def _next(self) -> tuple[ranges.Connection, answer.Body]:
        """The first of the waiting servers that has the file."""
        while True:
            server = ranges.Connection(
                self._waiting.pop(0), self._request, self._limits,
                checksum_stated=self._checksum_stated)
            try:
                return server, self._open(server)
            except exceptions.SourceError:
                if not self._waiting:
                    raise
                self._limits.deadline.remaining(server.name)

    def _open(self, server: ranges.Connection) -> answer.Body:
        patience = Patience(self._retries, self._limits.deadline,
                            unreachable=self._first_retries,
                            notice=self._notice)
        while True:
            try:
                return server.open(self._head)
            except exceptions.SourceError as problem:
                self._limits.deadline.remaining(server.name)
                if not patience.wait(problem):
                    raise


class Download:
    """A range of the file, continued where a connection dropped.

    :param mirrors: the servers of the file, which give ranges.
    :param position: offset of the first byte.
    :param end: offset after the last byte; that of the file by default.
    :ivar position: offset of the next byte.
    :ivar end: offset after the last byte.
    """

    def __init__(self, mirrors: Mirrors, position: int,
                 end: int | None = None) -> None:
        self.position = position
        self._mirrors = mirrors
        self.end = mirrors.size if end is None else end
        self._start = position
        self._server = mirrors.server
        self._body: answer.Body | None = None
        self._dropped = False
        self._patience = mirrors.patience()

    def readinto(self, buffer: memoryview) -> int:
        """Fill the front of the buffer; 0 at the end of the range."""
        if self.position == self.end:
            return 0
        while True:
            try:
                count = self._receive(buffer)
            except exceptions.SourceError as problem:
                self.close()
                self._dropped = self.position > self._start
                self._mirrors.recover(self._server, problem, self._patience)
            else:
                self.position += count
                self._patience.progressed(count)
                return count

    def close(self) -> None:
        """Drop the connection, or keep it alive when all was read."""
        if self._body is not None:
            self._body.close()
            self._body = None

    def distrust(self) -> None:
        """Drop the connection and its server: what came is wrong."""
        if self._body is not None:
            self._body.drop()
            self._body = None
        self._mirrors.distrust(self._server)

    def _receive(self, buffer: memoryview) -> int:
        if self._body is not None and not self._body.remaining:
            # The server gives a range in parts.
            self.close()
        if self._body is None:
            self._server = self._mirrors.server
            self._body = self._server.get(self.position, self.end)
            if self._dropped:
                self._mirrors.resumed()
            self._dropped = False
        return self._body.readinto(buffer)


class ThreadDownloads:
    """The downloads of several threads, each with a connection of its own.

    That of a thread which has ended is dropped with it.
    """

    def __init__(self, mirrors: Mirrors) -> None:
        self._mirrors = mirrors
        self._local = threading.local()

    def at(self, position: int, end: int) -> Download:
        """The download of this thread, when it is there, or a new one.

        :param position: offset of the next byte.
        :param end: where a new one ends.
        """
        current = self._current
        if (current is not None
                and current.position == position != current.end):
            return current
        self.close()
        self._local.download = Download(self._mirrors, position, end)
        return typing.cast(Download, self._local.download)

    def distrust(self) -> None:
        """Drop the connection of this thread, and its server."""
        if self._current is not None:
            self._current.distrust()
            self._local.download = None

    def close(self) -> None:
        """End the download of this thread."""
        if self._current is not None:
            self._current.close()
            self._local.download = None

    @property
    def _current(self) -> Download | None:
        return getattr(self._local, 'download', None)
