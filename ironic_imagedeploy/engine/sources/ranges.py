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

"""One file under one URL, asked for in ranges.

The file is pinned by its size and its validator, a strong ETag or else
Last-Modified (RFC 9110, sections 8.8 and 13.1.5): every range is asked for
with If-Range, and every answer is held against them.
"""

from collections.abc import Callable
import http.client
import re
import time
import typing

import requests
import urllib3

from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.sources import base

#: Sends a GET for that URL with those headers, body unread.
Request = Callable[[str, dict[str, str]], requests.Response]

#: Bytes per second below which a connection counts as stalled.
STALL_RATE = 1024
_RETRIED_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
#: Numbers of 18 digits fit everywhere, also into the kernel's offsets.
_CONTENT_RANGE = re.compile(r'bytes (\d{1,18})-(\d{1,18})/(\d{1,18})',
                            re.ASCII)
_CONTENT_LENGTH = re.compile(r'\d{1,18}', re.ASCII)
_NETWORK_ERRORS = (requests.RequestException, urllib3.exceptions.HTTPError,
                   OSError)
_TIMEOUTS = (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError)


class TransientError(Exception):
    """A failure that may pass.

    :ivar error: what to raise when it does not.
    :ivar retry_after: seconds that the server asked to wait.
    """

    def __init__(self, error: exceptions.SourceError,
                 retry_after: float = 0.0) -> None:
        super().__init__(str(error))
        self.error = error
        self.retry_after = retry_after


class Body:
    """The bytes of one answer, as many as were announced."""

    def __init__(self, response: requests.Response, length: int,
                 name: str, timeout: float) -> None:
        self.remaining = length
        self._response = response
        self._name = name
        self._timeout = timeout
        self._window = time.monotonic()
        self._window_bytes = 0

    def readinto(self, buffer: memoryview) -> int:
        """Fill the front of the buffer with what has come.

        :raises TransientError: when the connection ends early or stalls.
        """
        wanted = min(len(buffer), self.remaining)
        try:
            # decode_content off: the checksum is over the bytes as stored.
            received = self._response.raw.read1(wanted, decode_content=False)
        except _NETWORK_ERRORS as error:
            if not _is_early_end(error):
                raise _network_failure(self._name, error,
                                       self._timeout) from error
            received = b''
        if not received:
            raise TransientError(exceptions.SourceTruncated(
                self._name, expected=f'{self.remaining} more bytes',
                found='the end of the connection',
                fix='Check the server and what lies between.'))
        count = len(received)
        buffer[:count] = received
        self.remaining -= count
        self._watch_rate(count)
        return count

    def read(self) -> bytes:
        """All of it."""
        whole = bytearray(self.remaining)
        view = memoryview(whole)
        done = 0
        while self.remaining:
            done += self.readinto(view[done:])
        return bytes(whole)

    def close(self) -> None:
        """Drop the connection, or keep it alive when all was read."""
        if self.remaining:
            self._response.close()
        else:
            self._response.raw.release_conn()

    def _watch_rate(self, count: int) -> None:
        self._window_bytes += count
        elapsed = time.monotonic() - self._window
        if elapsed < self._timeout:
            return
        if self._window_bytes < STALL_RATE * elapsed:
            raise TransientError(exceptions.SourceTimeout(
                self._name, expected=f'at least {STALL_RATE} bytes/s',
                found=f'{self._window_bytes} bytes in {elapsed:.0f} seconds',
                fix='Check the server and the network.'))
        self._window, self._window_bytes = time.monotonic(), 0


class Connection:
    """A file on a web server.

    :param url: where it is.
    :param request: sends one GET.
    :param timeout: seconds of silence after which a connection is dropped.
    """

    def __init__(self, url: str, request: Request, timeout: float) -> None:
        self.name = base.redact(url)
        self.size = 0
        self.random_access = True
        self._url = url
        self._request = request
        self._timeout = timeout
        self._validator: str | None = None
        self._pin: tuple[str | None, str | None] = (None, None)

    def open(self, head: int) -> Body:
        """Ask for the front of the file and learn its size and validator.

        :param head: bytes wanted.
        :returns: the front, or the whole file where the server does not
            give ranges (:attr:`random_access` is False then).
        """
        response = self._get(0, head - 1)
        self._pin = _pin(response)
        tag, modified = self._pin
        self._validator = (tag if tag and not tag.startswith('W/')
                           else modified)
        if response.status_code == 416:
            response.close()
            return Body(response, 0, self.name, self._timeout)
        if response.status_code == 206:
            start, end, self.size = self._content_range(response)
            if start != 0 or end != min(head, self.size) - 1:
                raise self._wrong_range(response, f'bytes 0-{head - 1}')
            return self._body(response, end + 1)
        self.random_access = False
        length = response.headers.get('Content-Length', '')
        if not _CONTENT_LENGTH.fullmatch(length):
            response.close()
            raise exceptions.SourceError(
                self.name, expected='an answer that states its length',
                found='no usable Content-Length',
                fix='Serve the image as a plain file.')
        self.size = int(length)
        return self._body(response, self.size)

    def get(self, start: int, end: int) -> Body:
        """The bytes from ``start`` up to and without ``end``.

        :raises SourceChanged: when the file is not the pinned one.
        """
        response = self._get(start, end - 1)
        if response.status_code != 206:
            response.close()
            raise self._changed('an answer with the whole file')
        if self._content_range(response) != (start, end - 1, self.size):
            raise self._wrong_range(response, f'bytes {start}-{end - 1}')
        self._check_pin(response)
        return self._body(response, end - start)

    def _check_pin(self, response: requests.Response) -> None:
        pin = _pin(response)
        if pin == self._pin:
            return
        response.close()
        changed = self._changed('another ETag or Last-Modified')
        # A header that is missing may have been cut off with the connection.
        if all(found in (None, expected) for found, expected
               in zip(pin, self._pin, strict=True)):
            raise TransientError(changed)
        raise changed

    def _get(self, first: int, last: int) -> requests.Response:
        headers = {'Accept-Encoding': 'identity',
                   'Range': f'bytes={first}-{last}'}
        if self._validator:
            headers['If-Range'] = self._validator
        try:
            response = self._request(self._url, headers)
        except (requests.exceptions.InvalidSchema,
                requests.exceptions.InvalidURL,
                requests.exceptions.MissingSchema,
                requests.exceptions.TooManyRedirects) as error:
            raise self._bad_address(error) from error
        except _NETWORK_ERRORS as error:
            raise _network_failure(self.name, error, self._timeout) from error
        except ValueError as error:
            # Redirects may be to anything; not all of it is parsed with care.
            raise self._bad_address(error) from error
        try:
            self._check_status(response)
        except BaseException:
            response.close()
            raise
        return response

    def _bad_address(self, error: Exception) -> exceptions.SourceError:
        return exceptions.SourceError(
            self.name, expected='an http(s) address, directly or after a few '
            'redirects', found=type(error).__name__,
            fix='Check the address and where it redirects to.')

    def _check_status(self, response: requests.Response) -> None:
        status = response.status_code
        found = f'HTTP status {status}'
        if status in _RETRIED_STATUS:
            raise TransientError(
                exceptions.SourceError(
                    self.name, expected='the image', found=found,
                    fix='The server is overloaded or out of order; try again '
                        'when it works.'),
                _retry_after(response))
        if status in (404, 410):
            raise exceptions.SourceNotFound(
                self.name, expected='the image', found=found,
                fix='Check the address.')
        if status in (401, 403, 407):
            raise exceptions.SourceError(
                self.name, expected='permission to read', found=found,
                fix='Check the credentials, or how long the temporary URL is '
                    'valid.')
        if status not in (200, 206, 416):
            raise exceptions.SourceError(
                self.name, expected='the image', found=found,
                fix='Check the address and the server.')
        coding = response.headers.get('Content-Encoding', 'identity')
        if status != 416 and coding.lower() != 'identity':
            raise exceptions.SourceError(
                self.name, expected='the bytes as stored',
                found=f'Content-Encoding {coding[:40]!r}',
                fix="Turn off the server's compression for images.")

    def _content_range(self, response: requests.Response
                       ) -> tuple[int, int, int]:
        match = _CONTENT_RANGE.fullmatch(
            response.headers.get('Content-Range', '').strip())
        if not match:
            wrong = self._wrong_range(response, 'a range and its place')
            # http.client takes the end of a connection for that of a header.
            if 'Content-Range' in response.headers:
                raise wrong
            raise TransientError(wrong)
        first, last, size = map(int, match.groups())
        return first, last, size

    def _body(self, response: requests.Response, length: int) -> Body:
        return Body(response, length, self.name, self._timeout)

    def _wrong_range(self, response: requests.Response, expected: str
                     ) -> exceptions.SourceError:
        found = response.headers.get('Content-Range', 'no Content-Range')
        response.close()
        if self.size and not found.endswith(f'/{self.size}'):
            return self._changed(f'Content-Range {found[:80]!r}')
        return exceptions.SourceError(
            self.name, expected=expected,
            found=f'Content-Range {found[:80]!r}',
            fix='Use a server that answers ranges correctly.')

    def _changed(self, found: str) -> exceptions.SourceChanged:
        return exceptions.SourceChanged(
            self.name, expected=f'the same file of {self.size} bytes',
            found=found,
            fix='Deploy again once the image is no longer being replaced.')


def _pin(response: requests.Response) -> tuple[str | None, str | None]:
    headers = response.headers
    return headers.get('ETag'), headers.get('Last-Modified')


def _retry_after(response: requests.Response) -> float:
    text = response.headers.get('Retry-After', '')
    return float(text) if text.isascii() and text.isdigit() else 0.0


def _is_early_end(error: Exception) -> bool:
    return any(isinstance(part, (urllib3.exceptions.IncompleteRead,
                                 http.client.IncompleteRead))
               for part in (error, *error.args))


def _network_failure(name: str, error: Exception, timeout: float
                     ) -> TransientError:
    if isinstance(error, _TIMEOUTS) or 'timed out' in str(error):
        return TransientError(exceptions.SourceTimeout(
            name, expected=f'an answer within {timeout:g} seconds',
            found='silence',
            fix='Check the server and the network, or allow more time.'))
    return TransientError(exceptions.SourceError(
        name, expected='a connection that holds', found=_root_cause(error),
        fix='Check the address, the server, the network and, for https, the '
            'certificates.'))


def _root_cause(error: BaseException) -> str:
    """The innermost reason, which names no URL and so no secret."""
    seen: typing.Any = error
    while inner := getattr(seen, 'reason', None) or seen.__cause__ \
            or seen.__context__:
        if not isinstance(inner, BaseException):
            return str(inner)
        seen = inner
    return getattr(seen, 'strerror', None) or type(seen).__name__
