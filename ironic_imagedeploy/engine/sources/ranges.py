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

"""File under one URL, asked for in ranges.

The file is pinned by its size and its validators, ETag and Last-Modified
(RFC 9110, sections 8.8 and 13.1.5): every range is asked for with If-Range,
and every answer is held against them. An answer to If-Range need not repeat
them (section 15.3.7), and a tag may be weak in one answer and strong in
another. Where a checksum of the whole file is compared in the end, servers
behind one name may each have tags and dates of their own.

A redirector may send each request elsewhere: the file is asked for where it
was found first, and by its own address again when that fails.
"""

from collections.abc import Callable
import http
import re
import typing

import requests

from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.sources import answer
from ironic_imagedeploy.engine.sources import redirects

#: Sends a GET for that URL with those headers, body unread, not redirected,
#: with that timeout in seconds.
Request = Callable[[str, dict[str, str], float], requests.Response]

#: Bytes of a part of a range at least: each costs a request.
SMALLEST_PART = 64 << 10
_RETRIED_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
#: Numbers of 18 digits fit everywhere, also into the kernel's offsets.
_CONTENT_RANGE = re.compile(
    r'bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)', re.ASCII)
_CONTENT_LENGTH = re.compile(r'\d{1,18}', re.ASCII)


class _Pin(typing.NamedTuple):
    """Validators of the file, as one answer states them."""

    tag: str | None
    modified: str | None

    @classmethod
    def of(cls, response: requests.Response) -> '_Pin':
        return cls(response.headers.get('ETag'),
                   response.headers.get('Last-Modified'))

    @property
    def validator(self) -> str | None:
        """Value for If-Range: a strong tag, or a date."""
        strong = self.tag and not self.tag.startswith('W/')
        return self.tag if strong else self.modified

    def contradicts(self, other: '_Pin') -> bool:
        """Whether both state the same thing differently."""
        tags = [tag and tag.removeprefix('W/') for tag in (
            self.tag, other.tag)]
        return (None not in tags and tags[0] != tags[1]) or (
            None not in (self.modified, other.modified)
            and self.modified != other.modified)


class Connection:
    """A file on a web server.

    :param url: where it is.
    :param request: sends one GET.
    :param limits: time that the server may take.
    :param checksum_stated: a strong checksum of the whole file is compared
        in the end, so that its size alone pins it here.
    """

    def __init__(self, url: str, request: Request,
                 limits: answer.Limits | None = None, *,
                 checksum_stated: bool = False) -> None:
        self._limits = limits or answer.Limits()
        self._route = redirects.Route(url, request, self._limits)
        self.name = self._route.name
        self.size = 0
        self.random_access = True
        self._checksum_stated = checksum_stated
        self._pin = _Pin(None, None)

    def open(self, head: int) -> answer.Body:
        """Ask for the front of the file and learn its size and validators.

        :param head: bytes wanted.
        :returns: the front or a part of it, or the whole file where the
            server does not give ranges (:attr:`random_access` is False
            then).
        """
        response = self._ask(0, head)
        self._pin = _Pin.of(response)
        status = response.status_code
        if status == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            response.close()
            return self._body(response, 0)
        if status == http.HTTPStatus.PARTIAL_CONTENT:
            start, end, size = self._content_range(response)
            self.size = self._ask_size() if size is None else size
            self._check_range(response, (start, end), (0, min(
                head, self.size)))
            return self._body(response, end)
        self.random_access = False
        self.size = self._content_length(response)
        return self._body(response, self.size)

    def get(self, start: int, end: int) -> answer.Body:
        """Ask for the bytes from ``start`` up to and without ``end``.

        :returns: those bytes, or the first of them where the server gives a
            range in parts.
        :raises SourceChanged: when the file is not the pinned one.
        """
        response = self._ask(start, end)
        if response.status_code != http.HTTPStatus.PARTIAL_CONTENT:
            response.close()
            raise self._not_a_range(response)
        first, last, size = self._content_range(response)
        if size not in (None, self.size):
            response.close()
            raise self._changed(f'a file of {size} bytes')
        self._check_range(response, (first, last), (start, end))
        if not self._checksum_stated and self._pin.contradicts(
                _Pin.of(response)):
            response.close()
            raise self._changed('another ETag or Last-Modified')
        return self._body(response, last - first)

    def read(self, start: int, end: int) -> bytes:
        """The bytes from ``start`` up to and without ``end``."""
        parts: list[bytes] = []
        while start < end:
            parts.append(self.get(start, end).read())
            start += len(parts[-1])
        return b''.join(parts)

    def start_over(self) -> None:
        """Ask the URL itself the next time, wherever it led before."""
        self._route.start_over()

    def _ask(self, start: int, end: int) -> requests.Response:
        headers = {'Range': f'bytes={start}-{end - 1}'}
        if self._pin.validator and not self._checksum_stated:
            headers['If-Range'] = self._pin.validator
        self._limits.deadline.allow(end - start)
        return self._route.ask(headers, self._check_status)

    def _ask_size(self) -> int:
        """The size of a file whose ranges do not state it."""
        response = self._route.ask({}, self._check_status)
        response.close()
        return self._content_length(response)

    def _check_status(self, response: requests.Response) -> None:
        status = response.status_code
        found = f'HTTP status {status}'
        if status in _RETRIED_STATUS:
            error = exceptions.SourceUnavailable(
                self.name, expected='the image', found=found,
                fix='The server is overloaded or out of order; try again '
                    'when it works.')
            error.retry_after = _retry_after(response)
            raise error
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
        framing = response.headers.get('Transfer-Encoding', 'identity')
        if framing.lower() not in ('identity', 'chunked'):
            # http.client takes it for bytes of the file.
            raise exceptions.SourceError(
                self.name, expected='the bytes as stored, or in chunks',
                found=f'Transfer-Encoding {framing[:40]!r}',
                fix='Use a server, or a proxy, that sends them so.')
        coding = response.headers.get('Content-Encoding', 'identity')
        if status != 416 and not self._is_stored(coding.lower()):
            raise exceptions.SourceError(
                self.name, expected='the bytes as stored',
                found=f'Content-Encoding {coding[:40]!r}',
                fix="Turn off the server's compression for images.")

    def _is_stored(self, coding: str) -> bool:
        """Whether the bytes are those of the file.

        Many servers take the suffix of a compressed file for a coding.
        """
        return coding == 'identity' or (
            coding in ('gzip', 'x-gzip') and self.name.endswith('.gz'))

    def _content_range(self, response: requests.Response
                       ) -> tuple[int, int, int | None]:
        """First byte and end of an answer; size of the file, if stated."""
        value = response.headers.get('Content-Range')
        match = _CONTENT_RANGE.fullmatch((value or '').strip())
        several = response.headers.get('Content-Type', '').lower().startswith(
            'multipart/byteranges')
        if match and not several:
            size = None if match[3] == '*' else int(match[3])
            return int(match[1]), int(match[2]) + 1, size
        response.close()
        # http.client takes the end of a connection for that of a header.
        kind = (exceptions.SourceUnavailable if value is None and not several
                else exceptions.SourceError)
        raise kind(
            self.name, expected='a Content-Range with first and last byte',
            found='several ranges in one answer' if several
            else f'Content-Range {(value or "")[:80]!r}',
            fix='Use a server that answers ranges correctly.')

    def _check_range(self, response: requests.Response,
                     found: tuple[int, int], wanted: tuple[int, int]) -> None:
        """Hold the bytes of an answer against the wanted ones."""
        (start, end), (first, last) = found, wanted
        if start == first and min(
                last - first, SMALLEST_PART) <= end - start <= last - first:
            return
        response.close()
        raise exceptions.SourceError(
            self.name, expected=f'bytes {first} to {last - 1}, or the first '
            'of them',
            found=f'Content-Range from byte {start} to {end - 1}',
            fix='Use a server that answers ranges correctly.')

    def _content_length(self, response: requests.Response) -> int:
        length = response.headers.get('Content-Length', '')
        if _CONTENT_LENGTH.fullmatch(length):
            return int(length)
        response.close()
        raise exceptions.SourceError(
            self.name, expected='an answer that states its length',
            found='no usable Content-Length',
            fix='Serve the image as a plain file.')

    def _not_a_range(self, response: requests.Response
                     ) -> exceptions.SourceError:
        if response.status_code != http.HTTPStatus.OK:
            return self._changed('a file without these bytes, by HTTP status '
                                 f'{response.status_code}')
        found = 'an answer with the whole file'
        length = response.headers.get('Content-Length')
        if self._checksum_stated and length == str(self.size):
            # Another server behind the name may know ranges.
            return exceptions.SourceUnavailable(
                self.name, expected='an answer with a range', found=found,
                fix='Use servers that all answer range requests.')
        return self._changed(found)

    def _body(self, response: requests.Response, length: int) -> answer.Body:
        return answer.Body(response, length, self.name, self._limits)

    def _changed(self, found: str) -> exceptions.SourceChanged:
        return exceptions.SourceChanged(
            self.name, expected=f'the same file of {self.size} bytes',
            found=found,
            fix='Deploy again once the image is no longer being replaced.')


def _retry_after(response: requests.Response) -> float:
    text = response.headers.get('Retry-After', '')
    return float(text) if text.isascii() and text.isdigit() else 0.0
