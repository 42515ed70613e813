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


"""Disks of which only a little is not zero."""

from collections.abc import Iterable
from collections.abc import Iterator
import lzma
import pathlib
import struct
import typing

_MAGIC = b'sparse1\n'
_HEAD = struct.Struct('>8sQI')
_PART = struct.Struct('>QI')
BLOCK = 512


class Disk:
    """A disk, of which the parts that are not zero are kept.

    :param size: bytes of it.
    :param parts: first byte and content of each, in their sequence.
    :ivar read_ranges: what was read, when that is noted.
    """

    def __init__(self, size: int, parts: Iterable[tuple[int, bytes]]) -> None:
        self.size = size
        self._starts: list[int] = []
        self._places: list[int] = []
        content = bytearray()
        for start, part in parts:
            self._starts.append(start)
            self._places.append(len(content))
            content += part
        self._places.append(len(content))
        self.content = content
        self.read_ranges: list[tuple[int, int]] | None = None

    def copy(self) -> 'Disk':
        """The same disk, to be changed."""
        other = object.__new__(Disk)
        other.size, other._starts, other._places = (
            self.size, self._starts, self._places)
        other.content, other.read_ranges = bytearray(self.content), None
        return other

    def read(self, offset: int, length: int) -> bytes:
        """Bytes of the disk; fewer at its end."""
        length = max(min(length, self.size - offset), 0)
        if self.read_ranges is not None and length:
            self.read_ranges.append((offset, length))
        found = bytearray(length)
        for start, place, count in self._parts():
            low, high = max(start, offset), min(start + count,
                                                offset + length)
            if low < high:
                found[low - offset:high - offset] = self.content[
                    place + low - start:place + high - start]
        return bytes(found)

    def write(self, offset: int, content: bytes) -> None:
        """Change bytes of the disk, where something is."""
        for start, place, count in self._parts():
            low = max(start, offset)
            high = min(start + count, offset + len(content))
            if low < high:
                self.content[place + low - start:place + high - start] = (
                    content[low - offset:high - offset])

    def blocks(self, size: int = BLOCK) -> Iterator[int]:
        """Places of blocks of which something is kept."""
        for start, _, count in self._parts():
            yield from range(-(-start // size) * size, start + count, size)

    def places(self, ranges: Iterable[tuple[int, int]]) -> list[int]:
        """Offsets, in what is kept, of what lies in ranges of the disk."""
        found = set[int]()
        for offset, length in set(ranges):
            for start, place, count in self._parts():
                low = max(start, offset)
                high = min(start + count, offset + length)
                found.update(range(place + low - start,
                                   place + high - start))
        return sorted(found)

    def save_to(self, path: pathlib.Path) -> pathlib.Path:
        """The disk as a sparse file."""
        with path.open('wb') as file:
            file.truncate(self.size)
            for start, place, count in self._parts():
                file.seek(start)
                file.write(self.content[place:place + count])
        return path

    def pack(self) -> bytes:
        """The disk in a small file."""
        parts = list(self._parts())
        return lzma.compress(
            _HEAD.pack(_MAGIC, self.size, len(parts))
            + b''.join(_PART.pack(start, count) for start, _, count in parts)
            + self.content, preset=9)

    @classmethod
    def unpack(cls, packed: bytes) -> typing.Self:
        """The disk that :meth:`pack` gave."""
        stored = lzma.decompress(packed)
        _, size, count = _HEAD.unpack_from(stored)
        heads = [_PART.unpack_from(stored, _HEAD.size + index * _PART.size)
                 for index in range(count)]
        at = _HEAD.size + count * _PART.size
        parts = []
        for start, length in heads:
            parts.append((start, stored[at:at + length]))
            at += length
        return cls(size, parts)

    @classmethod
    def load(cls, path: pathlib.Path) -> typing.Self:
        """The disk in a file, without its blocks of zeroes."""
        parts: list[tuple[int, bytes]] = []
        zero = bytes(BLOCK)
        with path.open('rb') as file:
            at = 0
            while block := file.read(BLOCK):
                if block != zero[:len(block)]:
                    if parts and parts[-1][0] + len(parts[-1][1]) == at:
                        parts[-1] = (parts[-1][0], parts[-1][1] + block)
                    else:
                        parts.append((at, block))
                at += len(block)
        return cls(at, parts)

    def _parts(self) -> Iterable[tuple[int, int, int]]:
        """First byte on the disk, offset in what is kept, and length."""
        for index, start in enumerate(self._starts):
            place = self._places[index]
            yield start, place, self._places[index + 1] - place
