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

"""Decoder of the legacy frames of LZ4, which Linux unpacks an initramfs of.

Source: "LZ4 Frame Format Description", section "Legacy frame", and "LZ4 Block
Format Description". A frame has no end of its own: what cannot be the size of
another block follows it.
"""

from collections.abc import Callable

from ironic_imagedeploy.engine.codecs import errors
from ironic_imagedeploy.engine.codecs import libraries
from ironic_imagedeploy.engine.codecs import magic

#: Bytes that a block decodes to at most, and that it is stored in.
BLOCK = 8 << 20
_LARGEST = BLOCK + BLOCK // 255 + 16
_SIZE = 4
_LEAST_MATCH = 4
#: Bytes of a sequence, but for the last one.
_SHORTEST = 3
#: Sequences between two tellings: some milliseconds.
_TOLD = 4096

#: Told of sequences that are decoded next, each in about a microsecond; what
#: it raises ends the work.
Draw = Callable[[int], None]


class LegacyFrame:
    """A decoder of one frame, with the methods of lzma's decompressor.

    :param draw: told of the sequences of its blocks.
    """

    def __init__(self, draw: Draw) -> None:
        self._draw = draw
        self.eof = False
        self.unused_data = b''
        self._stored = bytearray()
        self._decoded = memoryview(b'')
        self._begun = False

    @property
    def needs_input(self) -> bool:
        """Whether nothing more comes without more of the file."""
        return not self._decoded and not self._has_block()

    @property
    def may_end(self) -> bool:
        """Whether the file may end here: no part of a block is left."""
        return self._begun and not self._stored

    def decompress(self, data: libraries.Stored, max_length: int) -> bytes:
        """Decode the next bytes of the frame.

        :param max_length: bytes to return at most.
        :raises DecodeError: when they are damaged.
        """
        self._stored += data
        if not self._decoded:
            self._next_block()
        piece = bytes(self._decoded[:max_length])
        self._decoded = self._decoded[len(piece):]
        return piece

    def _next_block(self) -> None:
        stored = self._stored
        if not self._begun and len(stored) >= len(magic.LZ4_LEGACY):
            del stored[:len(magic.LZ4_LEGACY)]
            self._begun = True
        if not self._has_block():
            return
        size = self._size()
        if not 0 < size <= _LARGEST:
            self.unused_data, self.eof = bytes(stored), True
            return
        self._decoded = memoryview(block(
            bytes(stored[_SIZE:_SIZE + size]), self._draw))
        del stored[:_SIZE + size]

    def _has_block(self) -> bool:
        """Whether a whole block is there, or what is not one."""
        if self.eof or not self._begun or len(self._stored) < _SIZE:
            return False
        size = self._size()
        return (not 0 < size <= _LARGEST
                or len(self._stored) >= _SIZE + size)

    def _size(self) -> int:
        return int.from_bytes(self._stored[:_SIZE], 'little')


def block(stored: bytes, draw: Draw, limit: int = BLOCK) -> bytes:
    """Decode a block.

    :param draw: told of its sequences, as they come.
    :param limit: bytes that it may decode to.
    :raises DecodeError: when it is damaged, or decodes to more.
    """
    decoded = bytearray()
    at, end, told = 0, len(stored), 0
    while at < end:
        if not told:
            draw(told := min(_TOLD, (end - at) // _SHORTEST + 1))
        told -= 1
        token = stored[at]
        at += 1
        count = token >> 4
        if count == 15:
            count, at = _longer(stored, at, count)
        if at + count > end or len(decoded) + count > limit:
            raise errors.DecodeError('literals after the end of a block')
        decoded += stored[at:at + count]
        at += count
        if at == end:
            return bytes(decoded)
        distance = int.from_bytes(stored[at:at + 2], 'little')
        at += 2
        count = token & 15
        if count == 15:
            count, at = _longer(stored, at, count)
        count += _LEAST_MATCH
        start = len(decoded) - distance
        if at > end or not distance or start < 0 or (
                len(decoded) + count > limit):
            raise errors.DecodeError('a match outside of a block')
        part = decoded[start:start + count]
        if distance < count:
            part = (part * (count // distance + 1))[:count]
        decoded += part
    raise errors.DecodeError('a block without an end')


def _longer(stored: bytes, at: int, count: int) -> tuple[int, int]:
    """A length that goes on after its token, and the place after it."""
    while at < len(stored):
        more = stored[at]
        at += 1
        count += more
        if more < 255:
            return count, at
    raise errors.DecodeError('a length without an end')
