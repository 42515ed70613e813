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

"""Unpack a compressed file while it passes, in bounded memory.

Whatever the compression, the file is a row of complete parts: members of
gzip, streams of xz and bzip2, frames of zstd.
"""

from collections.abc import Callable
from collections.abc import Iterator
import typing

#: Bytes that are unpacked at once.
PIECE = 256 << 10
#: Stored bytes that are given to a part at once, which may copy them.
_STEP = 64 << 10
#: Parts in a row that hold nothing. Each costs time and no honest file has
#: more than a few.
_MOST_EMPTY = 1024

Stored = bytes | bytearray | memoryview


class Damaged(Exception):
    """The bytes are not what the compression writes."""


class Incomplete(Damaged):
    """The file ends before its compressed bytes do."""


class WindowTooLarge(Damaged):
    """It takes more memory than is allowed to unpack it."""


class Part(typing.Protocol):
    """Decodes one part, as the objects of :mod:`lzma` and :mod:`bz2` do."""

    @property
    def eof(self) -> bool:
        """The part is complete."""

    @property
    def needs_input(self) -> bool:
        """Nothing more comes without more of the file."""

    @property
    def unused_data(self) -> bytes:
        """What follows the part."""

    def decompress(self, data: Stored, max_length: int) -> bytes:
        """Up to that many bytes."""


class Compression(typing.NamedTuple):
    """How the parts of a kind of file are decoded.

    :ivar start: makes the decoder of a part.
    :ivar errors: what that raises for damaged bytes.
    :ivar padding: zeroes may follow a part, in multiples of so many bytes;
        0: they may not.
    :ivar resumes: another part may follow the padding.
    """

    start: Callable[[], Part]
    errors: tuple[type[Exception], ...]
    padding: int = 0
    resumes: bool = False


class Decoder:
    """Unpacks one file.

    :param compression: how it is packed.
    """

    def __init__(self, compression: Compression) -> None:
        self._compression = compression
        self._part: Part | None = None
        self._parts = 0
        self._empty = 0
        self._padding = 0

    def decode(self, stored: Stored) -> Iterator[bytes]:
        """Unpack the next bytes of the file.

        :returns: pieces of 1 to :data:`PIECE` bytes; all of them must be
            taken before the next call.
        :raises Damaged: when the file is damaged.
        """
        view = memoryview(stored)
        for start in range(0, len(view), _STEP):
            yield from self._decode(view[start:start + _STEP])

    def finish(self) -> None:
        """The file has no more bytes.

        :raises Incomplete: when some are missing.
        :raises Damaged: when it does not end as it should.
        """
        if self._part or not self._parts:
            raise Incomplete('the file ends inside of a compressed part')
        self._check_padding()

    def _decode(self, stored: Stored) -> Iterator[bytes]:
        while True:
            if self._part is None:
                stored = self._begin(stored)
            if self._part is None:
                return
            part = self._part
            piece = self._decompress(part, stored)
            if piece:
                self._empty = -1
                yield piece
            stored = b''
            if part.eof:
                stored = part.unused_data
                self._end()
            elif part.needs_input:
                return

    def _begin(self, stored: Stored) -> Stored:
        """Begin the next part, if any begins here; what is left to decode."""
        if self._parts and self._compression.padding:
            rest = bytes(stored).lstrip(b'\0')
            self._padding += len(stored) - len(rest)
            stored = rest
        if stored:
            if self._padding:
                self._check_padding()
                if not self._compression.resumes:
                    raise Damaged('bytes after the last part')
                self._padding = 0
            self._part = self._compression.start()
        return stored

    def _end(self) -> None:
        self._part = None
        self._parts += 1
        self._empty += 1
        if self._empty > _MOST_EMPTY:
            raise Damaged(
                f'more than {_MOST_EMPTY} empty parts in a row')

    def _check_padding(self) -> None:
        if self._padding % (self._compression.padding or 1):
            raise Damaged(f'{self._padding} bytes of padding')

    def _decompress(self, part: Part, stored: Stored) -> bytes:
        try:
            return part.decompress(stored, PIECE)
        except self._compression.errors as error:
            if 'memory' in str(error).lower():
                raise WindowTooLarge(str(error)) from error
            raise Damaged(str(error)) from error
