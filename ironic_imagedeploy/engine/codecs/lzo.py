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

"""Decoder of LZO1X, with bounded output.

Source: "LZO stream format as understood by Linux's LZO decompressor" of the
kernel's documentation, without its version 1, which no file system writes.
"""

from ironic_imagedeploy.engine.codecs import errors

#: Bytes in front of which a match of three lies that follows four literals.
_FAR = 0x800
_FARTHEST = 0x4000


class _Stream:
    """The bytes of a stream, and what they have become so far."""

    def __init__(self, stored: bytes, limit: int) -> None:
        self._stored = stored
        self._limit = limit
        self._at = 0
        self.decoded = bytearray()

    def peek(self) -> int:
        """The next byte."""
        if self._at >= len(self._stored):
            raise errors.DecodeError('the stream has no end')
        return self._stored[self._at]

    def byte(self) -> int:
        """The next byte, which is left behind."""
        value = self.peek()
        self._at += 1
        return value

    def length(self, bits: int, mask: int, least: int) -> int:
        """A length: in the bits of an instruction, or after them."""
        if bits & mask:
            return (bits & mask) + least
        length = mask
        while not self.peek():
            self._at += 1
            length += 255
        return length + self.byte() + least

    def literals(self, count: int) -> None:
        """Copy bytes of the stream."""
        end = self._at + count
        if end > len(self._stored):
            raise errors.DecodeError('the stream has no end')
        self._reserve(count)
        self.decoded += self._stored[self._at:end]
        self._at = end

    def match(self, distance: int, count: int) -> None:
        """Copy bytes that were decoded, which may overlap the copy."""
        self._reserve(count)
        start = len(self.decoded) - distance
        if start < 0:
            raise errors.DecodeError('a match before the first byte')
        part = self.decoded[start:start + count]
        if distance < count:
            part = (part * (count // distance + 1))[:count]
        self.decoded += part

    def _reserve(self, count: int) -> None:
        if len(self.decoded) + count > self._limit:
            raise errors.DecodeError(
                f'the stream goes on after {self._limit} bytes')


def decompress(stored: bytes, limit: int) -> bytes:
    """Decode a stream up to its end.

    :param stored: the whole stream; bytes after its end are ignored.
    :param limit: bytes that it may decode to.
    :raises DecodeError: when it is damaged, or decodes to more.
    """
    stream = _Stream(bytes(stored), limit)
    # How many literals came last; 4 stands for more.
    state = 0
    if stream.peek() > 17:
        count = stream.byte() - 17
        stream.literals(count)
        state = min(count, 4)
    while True:
        code = stream.byte()
        if code < 16 and not state:
            stream.literals(stream.length(code, 15, 3))
            state = 4
            continue
        if code < 16:
            distance = (code >> 2) + (stream.byte() << 2) + 1
            if state == 4:
                stream.match(distance + _FAR, 3)
            else:
                stream.match(distance, 2)
            state = code & 3
        elif code >= 64:
            distance = (code >> 2 & 7) + (stream.byte() << 3) + 1
            stream.match(distance, (code >> 5) + 1)
            state = code & 3
        else:
            count = (stream.length(code, 31, 2) if code >= 32
                     else stream.length(code, 7, 2))
            last = stream.byte() | stream.byte() << 8
            distance = (last >> 2) + 1
            if code < 32:
                distance += (code & 8) << 11
                if distance == 1:
                    return bytes(stream.decoded)
                distance += _FARTHEST - 1
            stream.match(distance, count)
            state = last & 3
        stream.literals(state)
