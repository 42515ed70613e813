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

"""Image files of this machine."""

import os
import stat
import urllib.parse

from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.sources import base


class FileSource(base.Source):
    """A regular file, by path or ``file://`` URL."""

    local = True

    def __init__(self, location: str) -> None:
        self.name = _path(location)
        try:
            # A FIFO would block without O_NONBLOCK.
            self._descriptor = os.open(self.name,
                                       os.O_RDONLY | os.O_NONBLOCK)
        except FileNotFoundError:
            raise exceptions.SourceNotFound(
                self.name, expected='an image file', found='no such file',
                fix='Check the path.') from None
        except (OSError, ValueError) as error:
            raise _unreadable(self.name, error) from error
        self._status = os.fstat(self._descriptor)
        self.size = self._status.st_size
        if not stat.S_ISREG(self._status.st_mode):
            os.close(self._descriptor)
            raise exceptions.SourceError(
                self.name, expected='a regular file',
                found='a directory, device or pipe',
                fix='Give the path of an image file.')

    def read_at(self, offset: int, length: int) -> bytes:
        buffer = bytearray(length)
        self.fill(offset, memoryview(buffer))
        return bytes(buffer)

    def fill(self, offset: int, view: memoryview, until: int | None = None
             ) -> None:
        while view:
            count = self.readinto_at(view, offset)
            if not count:
                raise self._truncated(offset)
            offset, view = offset + count, view[count:]

    def readinto_at(self, buffer: memoryview, offset: int) -> int:
        """Fill the front of the buffer from an offset, once."""
        try:
            return os.preadv(self._descriptor, [buffer], offset)
        except OSError as error:
            raise _unreadable(self.name, error) from error

    def open_stream(self) -> base.Stream:
        os.posix_fadvise(self._descriptor, 0, 0, os.POSIX_FADV_SEQUENTIAL)
        return _FileStream(self)

    def check_unchanged(self, position: int) -> None:
        """Check that the file is still the one that was opened.

        :param position: bytes that a stream read, to its end.
        :raises SourceChanged: when it was written to.
        :raises SourceTruncated: when it ended before its size.
        """
        status = os.fstat(self._descriptor)
        if (status.st_size, status.st_mtime_ns) != (
                self.size, self._status.st_mtime_ns):
            raise exceptions.SourceChanged(
                self.name, expected=f'an unchanged file of {self.size} bytes',
                found=f'a file of {status.st_size} bytes that was written '
                      'meanwhile',
                fix='Write to a copy and move it into place.')
        if position != self.size:
            raise self._truncated(position)

    def close(self) -> None:
        os.close(self._descriptor)

    def _truncated(self, position: int) -> exceptions.SourceTruncated:
        return exceptions.SourceTruncated(
            self.name, expected=f'{self.size} bytes',
            found=f'the end after {position} bytes',
            fix='Fetch the image file again.')


class _FileStream:
    """A file from its first byte to its last."""

    def __init__(self, source: FileSource) -> None:
        self._source = source
        self._position = 0

    def readinto(self, buffer: memoryview) -> int:
        count = self._source.readinto_at(buffer, self._position)
        self._position += count
        if not count:
            self._source.check_unchanged(self._position)
        return count

    def close(self) -> None:
        return


def _path(location: str) -> str:
    if not location.lower().startswith('file:'):
        return location
    try:
        parts = urllib.parse.urlsplit(location)
    except ValueError as error:
        raise _unreadable(location, error) from None
    if parts.netloc not in ('', 'localhost'):
        raise exceptions.SourceError(
            location, expected='file:///path', found=f'host {parts.netloc!r}',
            fix='Give a path of this machine with three slashes.')
    return urllib.parse.unquote(parts.path)


def _unreadable(name: str, error: Exception) -> exceptions.SourceError:
    found = getattr(error, 'strerror', None) or str(error)
    fix = 'Check the path, its permissions and its disk.'
    if isinstance(error, PermissionError):
        fix = 'Run this as root, or let this user read the file.'
    return exceptions.SourceError(
        name, expected='a readable file', found=found, fix=fix)
