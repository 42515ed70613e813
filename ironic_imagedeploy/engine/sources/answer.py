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

"""Answer of a web server, and the failures of the network below it."""

import dataclasses
import http.client
import math
import time
import weakref

import requests
import urllib3

from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.sources import heads
from ironic_imagedeploy.engine.sources import reasons

MIB = 1 << 20
#: Seconds of silence that are borne.
TIMEOUT = 60.0
#: Bytes per second below which a connection counts as stalled.
STALL_RATE = 1024
NETWORK_ERRORS = (requests.RequestException, urllib3.exceptions.HTTPError,
                  http.client.HTTPException, OSError)
_TIMEOUTS = (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError)
_EARLY_ENDS = (urllib3.exceptions.IncompleteRead, http.client.IncompleteRead)


class Deadline:
    """The end of a look at a file, until it is lifted.

    :param seconds: that a look may take; None for any time.
    """

    def __init__(self, seconds: float | None = None) -> None:
        self._seconds = math.inf if seconds is None else seconds
        self._end = time.monotonic() + self._seconds

    def allow(self, count: int) -> None:
        """Give a second more for each MiB that is asked for."""
        self._seconds += count / MIB
        self._end += count / MIB

    def lift(self) -> None:
        """End the look: what follows may take any time."""
        self._seconds = self._end = math.inf

    @property
    def seconds_left(self) -> float:
        """Seconds that are left; less than 0 when there are none."""
        return self._end - time.monotonic()

    def remaining(self, name: str) -> float:
        """Seconds that are left.

        :param name: of the file that is looked at.
        :raises SourceTooSlow: when there are none.
        """
        remaining = self.seconds_left
        if remaining <= 0:
            raise exceptions.SourceTooSlow(
                name, expected='the head and the tables of the image within '
                f'{self._seconds:.0f} seconds', found='a part of them',
                fix='Check the server and the network, or allow more time.')
        return remaining


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limits:
    """Time that a server may take.

    :ivar timeout: seconds for a connection, for the head of an answer, and
        of silence after it.
    :ivar floor: bytes per second that must come, on the average of
        ``timeout`` seconds of waiting.
    :ivar deadline: of the look at the file.
    :ivar bodies: that are read at the same time, and share the speed.
    """

    timeout: float = TIMEOUT
    floor: int = 0
    deadline: Deadline = dataclasses.field(default_factory=Deadline)
    bodies: 'weakref.WeakSet[Body]' = dataclasses.field(
        default_factory=weakref.WeakSet, compare=False, repr=False)


class Body:
    """The bytes of one answer, as many as were announced."""

    def __init__(self, response: requests.Response, length: int,
                 name: str, limits: Limits) -> None:
        self.remaining = length
        self._response = response
        self._name = name
        self._limits = limits
        self._waited = 0.0
        self._window_bytes = 0
        limits.bodies.add(self)

    def readinto(self, buffer: memoryview) -> int:
        """Fill the front of the buffer with what has come.

        :raises SourceError: a retriable one when the connection ends early
            or stalls.
        """
        wanted = min(len(buffer), self.remaining)
        began = time.monotonic()
        try:
            count = heads.receive(self._response.raw, buffer[:wanted])
        except NETWORK_ERRORS as error:
            if not any(isinstance(part, _EARLY_ENDS)
                       for part in reasons.parts(error)):
                raise network_failure(self._name, error,
                                      self._limits.timeout) from error
            count = 0
        if not count:
            raise exceptions.ConnectionDropped(
                self._name, expected=f'{self.remaining} more bytes',
                found='the end of the connection',
                fix='Check the server and what lies between.')
        self.remaining -= count
        self._watch_speed(count, time.monotonic() - began)
        return count

    def read(self) -> bytes:
        """Bytes of the whole answer; the connection is free afterwards."""
        whole = bytearray(self.remaining)
        view = memoryview(whole)
        done = 0
        try:
            while self.remaining:
                done += self.readinto(view[done:])
        finally:
            self.close()
        return bytes(whole)

    def close(self) -> None:
        """Drop the connection, or keep it alive when all was read."""
        if self.remaining:
            self.drop()
        else:
            self._limits.bodies.discard(self)
            self._response.raw.release_conn()

    def drop(self) -> None:
        """Drop the connection, whatever was read."""
        self._limits.bodies.discard(self)
        self._response.close()

    def _watch_speed(self, count: int, waited: float) -> None:
        """Only waiting counts: a slow disk is not the server's fault."""
        self._limits.deadline.remaining(self._name)
        self._window_bytes += count
        self._waited += waited
        if self._waited < self._limits.timeout:
            return
        found = f'{self._window_bytes} bytes in {self._waited:.0f} seconds'
        # Others get the rest of what the server gives; and another thread
        # may have dropped this one while it waited.
        speed = (self._window_bytes / self._waited
                 * max(len(self._limits.bodies), 1))
        if speed < STALL_RATE:
            raise exceptions.SourceTimeout(
                self._name, expected=f'at least {STALL_RATE} bytes/s',
                found=found, fix='Check the server and the network.')
        if speed < self._limits.floor:
            raise exceptions.SourceTooSlow(
                self._name, expected=f'at least {self._limits.floor} bytes/s',
                found=found, fix='Check the server and the network, or '
                'permit a lower speed.')
        self._waited, self._window_bytes = 0.0, 0


def network_failure(name: str, error: Exception, timeout: float
                    ) -> exceptions.SourceError:
    """An error of this project for one of the libraries underneath.

    :param name: of the file, without secrets.
    :param timeout: seconds that were waited when it is a timeout.
    """
    parts = list(reasons.parts(error))
    # urllib3 derives the refusal of a connection from its timeouts.
    if any(isinstance(part, _TIMEOUTS) and not isinstance(
            part, urllib3.exceptions.NewConnectionError) for part in parts):
        return exceptions.SourceTimeout(
            name, expected=f'an answer within {timeout:g} seconds',
            found='silence',
            fix='Check the server and the network, or allow more time.')
    if reasons.is_tls_too_old(error):
        return exceptions.TlsTooOld(
            name, expected='a version of TLS that is accepted here',
            found=reasons.reason(error),
            fix='Update the server, or accept an older version from it.')
    kind = (exceptions.SourceUnreachable if reasons.is_unreachable(error)
            else exceptions.SourceUnavailable)
    return kind(
        name, expected='a connection that holds',
        found=reasons.reason(error),
        fix='Check the address, the server, the network and, for https, the '
            'certificates.')
