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

"""Memory that a part of a compressed file asks for, by its header."""

from collections.abc import Callable
import typing

from ironic_imagedeploy.engine.codecs import errors
from ironic_imagedeploy.engine.codecs import libraries
from ironic_imagedeploy.engine.codecs import magic

#: Bytes of the longest header: the .xz File Format, section 3.1.1.
_LONGEST_HEADER = 2048
_XZ_STREAM_HEADER = 12
_LZMA2 = 0x21
#: Sizes of fields by the descriptor of a frame: RFC 8878, 3.1.1.1.
_DICTIONARY_ID_SIZE = (0, 1, 2, 4)
_CONTENT_SIZE_SIZE = (0, 2, 4, 8)


class BoundedPart:
    """A decoder of one part that is started when its window is known.

    :param start: makes the decoder, with the methods of lzma's.
    :param window: bytes that a header asks for, None for too short a one.
    :param limit: bytes that it may ask for.
    """

    def __init__(self, start: Callable[[], typing.Any],
                 window: Callable[[bytes], int | None], limit: int) -> None:
        self._start = start
        self._window = window
        self._limit = limit
        self._header = b''
        self._inner: typing.Any = None

    @property
    def eof(self) -> bool:
        """Whether the part is complete."""
        return self._inner is not None and bool(self._inner.eof)

    @property
    def needs_input(self) -> bool:
        """Whether nothing more comes without more of the file."""
        return self._inner is None or bool(self._inner.needs_input)

    @property
    def unused_data(self) -> bytes:
        """Bytes that follow the part."""
        return bytes(self._inner.unused_data)

    def decompress(self, data: libraries.Stored, max_length: int) -> bytes:
        """Decode the next bytes of the part.

        :raises WindowTooLarge: when its header asks for too much.
        """
        if self._inner is None:
            self._header += data
            window = self._window(self._header)
            if window is None:
                if len(self._header) < _LONGEST_HEADER:
                    return b''
                raise errors.DecodeError('a header without an end')
            if window > self._limit:
                raise errors.WindowTooLarge(
                    f'{window} bytes', expected=f'{self._limit} bytes at most')
            data, self._header = self._header, b''
            self._inner = self._start()
        return bytes(self._inner.decompress(data, max_length))


def zstd_window(header: bytes) -> int | None:
    """Bytes of the window of a frame (RFC 8878, section 3.1.1.1).

    :returns: None when the header is not complete; 0 for what is not a
        frame that holds data.
    """
    if not magic.ZSTD.startswith(header[:len(magic.ZSTD)]):
        return 0
    if len(header) < 6:
        return None
    descriptor, window = header[4], header[5]
    if not descriptor & 0x20:
        base = 1 << (10 + (window >> 3))
        return base + base // 8 * (window & 7)
    # A single segment: its window is its content.
    start = 5 + _DICTIONARY_ID_SIZE[descriptor & 3]
    size = _CONTENT_SIZE_SIZE[descriptor >> 6] or 1
    if len(header) < start + size:
        return None
    content = int.from_bytes(header[start:start + size], 'little')
    return content + 256 if size == 2 else content


def xz_dictionary(header: bytes) -> int | None:
    """Bytes of the dictionary of a stream, by its first block.

    :param header: a stream's first bytes (The .xz File Format, sections
        3.1 and 5.3.1).
    :returns: None when the header is not complete; 0 for what is not a
        block with LZMA2.
    """
    if not magic.XZ.startswith(header[:len(magic.XZ)]):
        return 0
    if len(header) <= _XZ_STREAM_HEADER:
        return None
    length = (header[_XZ_STREAM_HEADER] + 1) * 4
    block = header[_XZ_STREAM_HEADER:_XZ_STREAM_HEADER + length]
    if length == 4:
        return 0
    if len(block) < length:
        return None
    flags, position = block[1], 2
    for _ in range((flags >> 6).bit_count()):
        _, position = _integer(block, position)
    for _ in range((flags & 3) + 1):
        kind, position = _integer(block, position)
        size, position = _integer(block, position)
        if kind == _LZMA2 and size == 1 and position < length:
            bits = block[position] & 0x3f
            return (2 | bits & 1) << (bits // 2 + 11)
        position += size
    return 0


def _integer(block: bytes, position: int) -> tuple[int, int]:
    """An integer of 7 bits a byte, and the position after it."""
    value = shift = 0
    while position < len(block):
        byte = block[position]
        position += 1
        value |= (byte & 0x7f) << shift
        shift += 7
        if not byte & 0x80:
            break
    return value, position
