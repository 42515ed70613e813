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

"""What every source of image files can do."""

import abc
import types
import typing
import urllib.parse

from ironic_imagedeploy.engine import checksum
from ironic_imagedeploy.engine import exceptions


class Stream(typing.Protocol):
    """The bytes of a file from the first to the last."""

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
        """Exactly ``length`` bytes of the file.

        :raises SourceTruncated: when the file ends before.
        :raises SourceNotSeekable: when the source cannot go there.
        """

    @abc.abstractmethod
    def open_stream(self) -> Stream:
        """The file from its first byte. One stream at a time."""

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

    :raises SourceError: when it is none.
    """
    parts = _split(url)
    host = parts.netloc.rpartition('@')[2]
    return urllib.parse.urlunsplit((parts.scheme, host, parts.path, '', ''))


def origin(url: str) -> tuple[str, str]:
    """Scheme, and host with port: who may be told the same secrets.

    :raises SourceError: when it is no URL.
    """
    parts = _split(url)
    return parts.scheme.lower(), parts.netloc.rpartition('@')[2].lower()


def _split(url: str) -> urllib.parse.SplitResult:
    try:
        return urllib.parse.urlsplit(url)
    except ValueError as error:
        raise exceptions.SourceError(
            'the location of the image', expected='a URL', found=str(error),
            fix='Check the address.') from None
