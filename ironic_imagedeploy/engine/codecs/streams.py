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

"""Decode a compressed file while it passes, in bounded memory."""

from collections.abc import Iterator

from ironic_imagedeploy.engine.codecs import compressions
from ironic_imagedeploy.engine.codecs import errors
from ironic_imagedeploy.engine.codecs import libraries

#: Bytes that are decoded at once.
PIECE = 256 << 10
#: Stored bytes that are given to a part at once, which may copy them.
_STEP = 64 << 10
#: Parts in a row that hold nothing. Each costs time and no honest file has
#: more than a few.
_MOST_EMPTY = 1024
#: Bytes after the last part that may be left out: more are rather parts
#: with a damaged header.
MOST_LEFT_OUT = 1 << 20
#: Zeroes after a part, as tapes and disks fill up a file.
_MOST_PADDING = 1 << 30


class Decoder:
    """A decoder of one compressed file.

    :param compression: how it was compressed.
    :param memory: bytes that a window may have.
    :ivar left_out: bytes after the last part that are not one.
    """

    def __init__(self, compression: compressions.Compression,
                 memory: int = compressions.MEMORY) -> None:
        self.left_out = 0
        self._compression = compression
        self._memory = memory
        self._undecided = b''
        self._part: compressions.Part | None = None
        self._parts = 0
        self._empty = 0
        self._padding = 0

    def decode(self, stored: libraries.Stored) -> Iterator[bytes]:
        """Decode the next bytes of the file.

        :returns: pieces of 1 to :data:`PIECE` bytes; all of them must be
            taken before the next call.
        :raises DecodeError: when the file is damaged.
        """
        view = memoryview(stored)
        for start in range(0, len(view), _STEP):
            yield from self._decode(view[start:start + _STEP])

    def finish(self) -> None:
        """Check that the file may end here.

        :raises IncompleteError: when bytes are missing.
        :raises DecodeError: when it does not end as it should.
        """
        if self._part or self._undecided or not self._parts:
            raise errors.IncompleteError(
                'the end of the file inside of a compressed part')
        if not self.left_out:
            self._check_padding()

    def _decode(self, stored: libraries.Stored) -> Iterator[bytes]:
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

    def _begin(self, stored: libraries.Stored) -> libraries.Stored:
        """Begin the next part, if one begins here.

        :returns: the bytes that are left to decode.
        """
        if self.left_out:
            return self._leave_out(stored)
        if self._undecided:
            stored, self._undecided = self._undecided + stored, b''
        if self._parts and self._compression.padding:
            rest = bytes(stored).lstrip(b'\0')
            self._padding += len(stored) - len(rest)
            stored = rest
            if self._padding > _MOST_PADDING:
                raise errors.DecodeError(
                    f'more than {_MOST_PADDING} bytes of padding')
        if stored:
            magic = self._compression.magic[:len(stored)]
            if self._parts and bytes(stored[:len(magic)]) != magic:
                return self._leave_out(stored)
            if self._parts and len(magic) < len(self._compression.magic):
                self._undecided = bytes(stored)
                return b''
            if self._padding:
                self._check_padding()
                if not self._compression.resumes:
                    raise errors.DecodeError('bytes after the last part')
                self._padding = 0
            self._part = self._compression.start(self._memory)
        return stored

    def _leave_out(self, stored: libraries.Stored) -> bytes:
        self.left_out += len(stored)
        if self.left_out > MOST_LEFT_OUT:
            raise errors.DecodeError(
                f'more than {MOST_LEFT_OUT} bytes after the last part')
        return b''

    def _end(self) -> None:
        self._part = None
        self._parts += 1
        self._empty += 1
        if self._empty > _MOST_EMPTY:
            raise errors.DecodeError(
                f'more than {_MOST_EMPTY} empty parts in a row')

    def _check_padding(self) -> None:
        if self._padding % (self._compression.padding or 1):
            raise errors.DecodeError(f'{self._padding} bytes of padding')

    def _decompress(self, part: compressions.Part, stored: libraries.Stored
                    ) -> bytes:
        try:
            return part.decompress(stored, PIECE)
        except self._compression.errors as error:
            raise errors.DecodeError(str(error)) from error
