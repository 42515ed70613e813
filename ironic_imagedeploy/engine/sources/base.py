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

"""Interface of the sources of image files."""

import abc
import re
import types
import typing
import urllib.parse

from ironic_imagedeploy.engine import checksum
from ironic_imagedeploy.engine import exceptions


_LOGIN = re.compile(r'://[^/]*@')
_HOST = re.compile(r'(?:\[[^]]*\]|[^:]*)(?::[0-9]*)?')
_DEFAULT_PORTS = {'http': 80, 'https': 443}


class Stream(typing.Protocol):
    """Bytes of a file, from the first to the last."""

    def readinto(self, buffer: memoryview) -> int:
        """Fill the front of the buffer; 0 at the end of the file.

        :raises SourceError: also when the file ends before its size.
        """

    def close(self) -> None:
        """Stop reading."""


class Source(abc.ABC):
    """An image file that can be read in order and, mostly, at an offset.

    :ivar name: where the file is, without secrets: fit for logs.
    :ivar size: bytes in the file.
    :ivar random_access: whether :meth:`read_at` takes any offset.
    :ivar local: the file is on a disk of this machine.
    :ivar resumes: how often a dropped connection was continued.
    :ivar declared_format: the format that the source's metadata states.
    :ivar declared_checksum: the checksum that the source's metadata states.
    """

    name: str
    size: int
    random_access: bool = True
    local: bool = False
    resumes: int = 0
    declared_format: str | None = None
    declared_checksum: checksum.Checksum | None = None

    @abc.abstractmethod
    def read_at(self, offset: int, length: int) -> bytes:
        """Read exactly ``length`` bytes of the file.

        :raises SourceTruncated: when the file ends before.
        :raises SourceNotSeekable: when the source cannot go there.
        """

    def fill(self, offset: int, view: memoryview, until: int) -> None:
        """Fill the view with bytes of the file; several threads may at once.

        :param offset: of the first of them.
        :param until: where this thread will have read on to by its next
            calls, so that a web server is asked once.
        :raises SourceError: when it cannot be filled.
        """
        view[:] = self.read_at(offset, len(view))

    def distrust(self) -> None:
        """Learn that the bytes that this thread was given are wrong.

        The next ones come by another connection, from another server where
        there is one.
        """
        return

    def end_look(self) -> None:
        """Learn that what is read from now on is not a look at the file."""
        return

    @abc.abstractmethod
    def open_stream(self) -> Stream:
        """Read the file from its first byte; one stream at a time.

        What was read at offsets before was a look at the file.
        """

    def close(self) -> None:
        """Release files and connections."""
        return

    def __enter__(self) -> typing.Self:
        return self

    def __exit__(self, kind: type[BaseException] | None,
                 error: BaseException | None,
                 trace: types.TracebackType | None) -> None:
        self.close()


def redact(url: str) -> str:
    """A URL without user, password, query and fragment.

    Temporary URLs carry their signature in the query.

    :raises SourceError: when it is not a URL.
    """
    parts = _split(url)
    host, path = parts.netloc.rpartition('@')[2], parts.path
    if not _HOST.fullmatch(host):
        # The login may have a slash in it, and go on in the path.
        host, path = '***', ''
    # Not by urlunsplit, which leaves out what is empty.
    scheme = f'{parts.scheme}:' if parts.scheme else ''
    slashes = '//' if parts.netloc or (
        scheme and url.partition(':')[2].startswith('//')) else ''
    shown = f'{scheme}{slashes}{host}{path}'
    # Where the scheme is not one, as in my_http://, all of it is a path.
    return _LOGIN.sub('://', shown)


def is_web(url: str) -> bool:
    """Whether a URL is one of a web server."""
    return url.lower().startswith(('http:', 'https:'))


def origin(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port of a URL (RFC 6454).

    :raises SourceError: when it is not a URL.
    """
    parts = _split(url)
    try:
        port = parts.port
    except ValueError:
        raise _no_url('a port that is not a number below 65536') from None
    return (parts.scheme, parts.hostname or '',
            port or _DEFAULT_PORTS.get(parts.scheme))


def may_know_secrets(url: str, *, of: str) -> bool:
    """Whether the server of a URL may be told the secrets of another one.

    The same server may, also by https where it was http.

    :raises SourceError: when one of them is not a URL.
    """
    found, known = origin(url), origin(of)
    return found == known or (
        (known[0], known[2]), (found[0], found[2])) == (
        ('http', 80), ('https', 443)) and found[1] == known[1]


def login_in(url: str) -> tuple[str, str] | None:
    """User and password in a URL.

    :raises SourceError: when it is not a URL.
    """
    parts = _split(url)
    if parts.username is None:
        return None
    return (urllib.parse.unquote(parts.username),
            urllib.parse.unquote(parts.password or ''))


def _split(url: str) -> urllib.parse.SplitResult:
    try:
        return urllib.parse.urlsplit(url)
    except ValueError:
        # Its words may have the login in them.
        raise _no_url('brackets or characters that no host has') from None


def _no_url(found: str) -> exceptions.SourceError:
    return exceptions.SourceError(
        'the location of the image', expected='a URL', found=found,
        fix='Check the address; in a login, write / as %2F and @ as %40.')
