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

"""Archives in an initramfs, read one after the other.

Linux unpacks a row of cpio archives, each as it is or compressed, with zeroes
between them; what comes later replaces what came before (Linux, "initramfs
buffer format"). Nothing is unpacked here: only names pass by.
"""

from collections.abc import Callable
import dataclasses
import re
import typing

from ironic_imagedeploy.engine.codecs import compressions
from ironic_imagedeploy.engine.codecs import errors
from ironic_imagedeploy.engine.contents import kernels
from ironic_imagedeploy.engine import exceptions

#: Bytes of a header of "newc": its magic, and 13 numbers of 8 digits.
HEADER = 110
MAGICS = (b'070701', b'070702')
TRAILER = 'TRAILER!!!'
#: Bytes of a name: PATH_MAX of Linux.
_LONGEST_NAME = 4096
#: Bytes of all archives, unpacked: more than machines have memory for.
_LARGEST = 64 << 30
_MOST_MEMBERS = 4 << 20
#: Parts that are unpacked by themselves; each is looked for anew.
_MOST_SEGMENTS = 1024
_PIECE = 256 << 10
_ALIGNMENT = 4
_NOT_ZERO = re.compile(rb'[^\0]')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Segment:
    """A part of the file that is unpacked by itself.

    :ivar start: offset of its first byte.
    :ivar end: offset after its last byte.
    :ivar compression: None for an archive as it is.
    """

    start: int
    end: int
    compression: str | None


class _Reader(typing.Protocol):
    """Bytes of archives, in order."""

    def read(self, count: int) -> bytes:
        """The next bytes; fewer at the end."""

    def skip(self, count: int) -> bool:
        """Leave out so many bytes; False when there are fewer."""


def read(file: typing.BinaryIO,
         member: Callable[[int, str], None]) -> list[Segment]:
    """Read through an initramfs.

    :param file: open for reading.
    :param member: called with the number of the segment, from 0, and the
        name of each file, folder or link.
    :raises BadContent: when it is not an initramfs, or a damaged one.
    """
    budget = _Budget()
    found: list[Segment] = []
    while (start := _after_zeroes(
            file, found[-1].end if found else 0)) is not None:
        compression = _compression(file, start)
        segment = len(found)
        if segment == _MOST_SEGMENTS:
            raise _bad(f'more than {_MOST_SEGMENTS} archives')

        def tell(name: str, segment: int = segment) -> None:
            member(segment, name)

        if compression is None:
            plain = _Plain(file, start)
            _read_archive(plain, tell, budget)
            end = plain.position
        else:
            packed = _Packed(file, start, compression, budget)
            packed.read_archives(tell)
            end = packed.end()
        found.append(Segment(start=start, end=end, compression=compression))
    if not found:
        raise _bad('an empty file')
    return found


class _Budget:
    """Work that one initramfs may make."""

    def __init__(self) -> None:
        self._members = 0
        self._bytes = 0

    def member(self) -> None:
        """Count a name, or the end of an archive."""
        self._members += 1
        if self._members > _MOST_MEMBERS:
            raise _bad(f'more than {_MOST_MEMBERS} files')

    def unpacked(self, count: int) -> None:
        """Count bytes that were unpacked."""
        self._bytes += count
        if self._bytes > _LARGEST:
            raise _bad(f'more than {_LARGEST} bytes, unpacked')


class _Plain:
    """An archive as it is.

    :ivar position: offset in the file.
    """

    def __init__(self, file: typing.BinaryIO, start: int) -> None:
        self.position = start
        self._file = file
        self._size = file.seek(0, 2)

    def read(self, count: int) -> bytes:
        self._file.seek(self.position)
        content = self._file.read(count)
        self.position += len(content)
        return content

    def skip(self, count: int) -> bool:
        self.position += count
        return self.position <= self._size


class _Packed:
    """Archives that are compressed together."""

    def __init__(self, file: typing.BinaryIO, start: int, compression: str,
                 budget: _Budget) -> None:
        known = compressions.COMPRESSIONS.get(compression)
        if known is None:
            raise _bad(f'compression by {compression}, which is not unpacked '
                       'here')
        self._file = file
        self._next = start
        self._part = known.start(compressions.MEMORY)
        self._errors: tuple[type[Exception], ...] = (
            errors.DecodeError, *known.errors)
        self._budget = budget
        self._pending = memoryview(b'')

    def read(self, count: int) -> bytes:
        content = b''
        while len(content) < count and (self._pending or self._fill()):
            piece = self._pending[:count - len(content)]
            self._pending = self._pending[len(piece):]
            content += piece
        return content

    def skip(self, count: int) -> bool:
        while count and (self._pending or self._fill()):
            piece = min(count, len(self._pending))
            self._pending = self._pending[piece:]
            count -= piece
        return not count

    def read_archives(self, tell: Callable[[str], None]) -> None:
        """Read all of them, and zeroes between and after them."""
        while self._pending or self._fill():
            found = _NOT_ZERO.search(self._pending)
            self._pending = self._pending[
                found.start() if found else len(self._pending):]
            if found:
                _read_archive(self, tell, self._budget)

    def end(self) -> int:
        """Offset after the last compressed byte."""
        return self._next - len(self._part.unused_data)

    def _fill(self) -> bool:
        """Have more bytes, unless there are no more."""
        while not self._part.eof:
            stored = b''
            if self._part.needs_input:
                self._file.seek(self._next)
                stored = self._file.read(_PIECE)
                if not stored:
                    raise _bad('the end of the file inside of a compressed '
                               'part')
                self._next += len(stored)
            try:
                piece = self._part.decompress(stored, _PIECE)
            except self._errors:
                raise _bad('compressed bytes that are damaged, or take too '
                           'much memory') from None
            if piece:
                self._budget.unpacked(len(piece))
                self._pending = memoryview(piece)
                return True
        return False


def _after_zeroes(file: typing.BinaryIO, position: int) -> int | None:
    """Offset of the next byte that is not zero; None at the end."""
    file.seek(position)
    while content := file.read(_PIECE):
        rest = content.lstrip(b'\0')
        if rest:
            return position + len(content) - len(rest)
        position += len(content)
    return None


def _compression(file: typing.BinaryIO, start: int) -> str | None:
    file.seek(start)
    front = file.read(8)
    if front.startswith(MAGICS):
        return None
    for name, magic in kernels.INITRAMFS_COMPRESSIONS.items():
        if front.startswith(magic):
            return name
    raise _bad(f'something else than an archive at byte {start}')


def _read_archive(reader: _Reader, tell: Callable[[str], None],
                  budget: _Budget) -> None:
    """Read the members of one archive, and its trailer."""
    while True:
        budget.member()
        head = reader.read(HEADER)
        if len(head) < HEADER or not head.startswith(MAGICS):
            raise _bad('an archive without an end')
        size, name_size = _number(head, 6), _number(head, 11)
        if not 0 < name_size <= _LONGEST_NAME:
            raise _bad(f'a name of {name_size} bytes')
        name = reader.read(name_size + -(HEADER + name_size) % _ALIGNMENT)
        words = name[:name_size - 1].decode('utf-8', 'replace')
        if len(name) < name_size or not reader.skip(
                size + -size % _ALIGNMENT):
            raise _bad('an archive without an end')
        if words == TRAILER:
            return
        tell(words.removeprefix('./').lstrip('/'))


def number(digits: bytes) -> int:
    """A number in a header.

    :raises ValueError: when it has a sign, or anything else in it.
    """
    if not digits.isalnum():
        raise ValueError(digits)
    return int(digits, 16)


def _number(head: bytes, index: int) -> int:
    try:
        return number(head[6 + 8 * index:14 + 8 * index])
    except ValueError:
        raise _bad('a header without numbers') from None


def _bad(found: str) -> exceptions.BadContent:
    return exceptions.BadContent('corrupt', 'an initramfs', found)
