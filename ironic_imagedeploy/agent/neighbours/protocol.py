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

"""Messages between neighbours: a small part of HTTP/1.1 (RFC 9112).

::

    GET /v1/chunks/ROOT          which chunks are here, a bit each, the lowest
                                 first; with If-None-Match it waits for news
    GET /v1/chunks/ROOT/INDEX    a chunk, or a Range of it

Both need ``Authorization: Bearer TOKEN``. Nothing else is understood, and
no head is longer than :data:`MOST_HEAD` bytes.
"""

from collections.abc import Mapping
import dataclasses
import re
import typing

#: Bytes of the head of a request or an answer.
MOST_HEAD = 2048
#: Seconds that a request for news waits for some.
NEWS_SECONDS = 2.0
END_OF_HEAD = b'\r\n\r\n'

REASONS = {200: 'OK', 206: 'Partial Content', 304: 'Not Modified',
           400: 'Bad Request', 401: 'Unauthorized', 404: 'Not Found',
           405: 'Method Not Allowed', 416: 'Range Not Satisfiable',
           503: 'Service Unavailable'}
_REQUEST = re.compile(r'([A-Z]{1,16}) (/[!-~]{0,255}) HTTP/1\.1')
_ANSWER = re.compile(r'HTTP/1\.1 (\d{3}) [ -~]{0,64}', re.ASCII)
_FIELD = re.compile(r'([A-Za-z0-9-]{1,64}):[ \t]*([!-~ \t]{0,512})')
_PATH = re.compile(r'/v1/chunks/([0-9a-f]{64})(?:/(0|[1-9]\d{0,7}))?',
                   re.ASCII)
_RANGE = re.compile(r'bytes=(\d{1,9})-(\d{1,9})', re.ASCII)
_TAG = re.compile(r'"(\d{1,18})"', re.ASCII)
_LENGTH = re.compile(r'\d{1,9}', re.ASCII)


class BadMessage(Exception):
    """A head that is not understood.

    :ivar status: that answers it.
    """

    def __init__(self, status: int = 400) -> None:
        self.status = status
        super().__init__(REASONS[status])


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """A request for a chunk, or for news.

    :ivar token: that came with it; empty without one.
    :ivar root: of the manifest.
    :ivar index: of the chunk; None asks for news.
    :ivar span: first byte of the chunk, and the one after the last; None for
        all of it.
    :ivar version: of the news that are known already.
    """

    token: str = dataclasses.field(repr=False)
    root: str
    index: int | None = None
    span: tuple[int, int] | None = None
    version: int | None = None

    @classmethod
    def parse(cls, head: bytes) -> 'Request':
        """The request with this head.

        :param head: without the empty line at its end.
        :raises BadMessage: when it is anything else.
        """
        first, fields = _split(head)
        line = _REQUEST.fullmatch(first)
        if not line:
            raise BadMessage()
        if line[1] != 'GET':
            raise BadMessage(405)
        # A body would be taken for the next request.
        if 'content-length' in fields or 'transfer-encoding' in fields:
            raise BadMessage()
        kind, _, token = fields.get('authorization', '').partition(' ')
        path = _PATH.fullmatch(line[2])
        return cls(
            token=token if kind == 'Bearer' else '',
            root=path[1] if path else '',
            index=int(path[2]) if path and path[2] else None,
            span=_span(fields.get('range')),
            version=_version(fields.get('if-none-match')))

    def head(self, host: str) -> bytes:
        """The bytes that ask for it.

        :param host: and port of the server.
        """
        path = f'/v1/chunks/{self.root}'
        lines = [f'Host: {host}', f'Authorization: Bearer {self.token}']
        if self.index is not None:
            path += f'/{self.index}'
        if self.span:
            lines.append(f'Range: bytes={self.span[0]}-{self.span[1] - 1}')
        if self.version is not None:
            lines.append(f'If-None-Match: "{self.version}"')
        return _head(f'GET {path} HTTP/1.1', lines)


class Answer(typing.NamedTuple):
    """The head of an answer.

    :ivar length: bytes of the body.
    :ivar version: of the news.
    :ivar keeps: the connection stays open.
    """

    status: int
    length: int = 0
    version: int | None = None
    keeps: bool = True

    @classmethod
    def parse(cls, head: bytes) -> 'Answer':
        """The answer with this head.

        :param head: without the empty line at its end.
        :raises BadMessage: when it is anything else.
        """
        first, fields = _split(head)
        line = _ANSWER.fullmatch(first)
        length = _LENGTH.fullmatch(fields.get('content-length', '0'))
        if not line or not length or 'transfer-encoding' in fields:
            raise BadMessage()
        return cls(int(line[1]), int(length[0]),
                   _version(fields.get('etag')),
                   fields.get('connection', '').lower() != 'close')

    def head(self) -> bytes:
        """The bytes that come before the body."""
        lines = []
        if self.status != 304:
            lines.append(f'Content-Length: {self.length}')
        if self.length:
            lines.append('Content-Type: application/octet-stream')
        if self.version is not None:
            lines.append(f'ETag: "{self.version}"')
        if self.status == 401:
            lines.append('WWW-Authenticate: Bearer')
        if not self.keeps:
            lines.append('Connection: close')
        return _head(f'HTTP/1.1 {self.status} {REASONS[self.status]}', lines)


def _head(first: str, lines: list[str]) -> bytes:
    return '\r\n'.join([first, *lines, '', '']).encode('ascii')


def _split(head: bytes) -> tuple[str, Mapping[str, str]]:
    """First line and fields, their names in small letters."""
    try:
        first, *lines = head.decode('ascii').split('\r\n')
    except UnicodeDecodeError:
        raise BadMessage() from None
    fields: dict[str, str] = {}
    for line in lines:
        match = _FIELD.fullmatch(line)
        name = match[1].lower() if match else ''
        if not match or name in fields:
            raise BadMessage()
        fields[name] = match[2].rstrip()
    return first, fields


def _span(value: str | None) -> tuple[int, int] | None:
    if value is None:
        return None
    match = _RANGE.fullmatch(value)
    if not match or int(match[1]) > int(match[2]):
        raise BadMessage(416)
    return int(match[1]), int(match[2]) + 1


def _version(value: str | None) -> int | None:
    match = _TAG.fullmatch(value) if value else None
    return int(match[1]) if match else None
