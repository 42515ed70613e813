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

"""The map of an image: millions of extents in little memory."""

from array import array
import bisect
from collections.abc import Iterable
from collections.abc import Iterator
import itertools
import operator
import typing
import zlib

from ironic_imagedeploy.engine import extent as _extent

Extent = _extent.Extent
ExtentKind = _extent.ExtentKind

#: Bytes that the sealed blocks of a map take at most. A cluster takes two
#: or three when it is compressed, less than one when it is plain or zero.
MOST_BYTES = 48 << 20
#: Extents that are sealed together.
_BLOCK = 4096
#: Extents that are put into the order of the file at once.
_SORTED = 128 << 10
_KINDS = tuple(ExtentKind)
_DATA, _COMPRESSED, _ZERO = _KINDS
_LEVEL = 1


class TooManyExtents(Exception):
    """The image is in more pieces than the memory is bounded for."""


class ExtentMap:
    """A compact list of extents in the order of the disk.

    Neighbours that continue each other are one extent. The last ones are
    columns of machine integers; those before are sealed in compressed
    blocks, and unpacked a block at a time when they are walked.

    :ivar end: first byte of the disk that no extent names yet.
    :ivar zeroes: bytes of the disk that nothing is stored for.
    :ivar packed_bytes: memory of the sealed blocks.
    """

    def __init__(self) -> None:
        self._sealed: list[_Block] = []
        self._starts = array('Q')
        self.packed_bytes = 0
        self._count = 0
        self._open = _Columns()
        self._unpacked: tuple[int, _Columns] = (-1, self._open)
        self._kind: ExtentKind | None = None
        self._source_end = 0
        self.end = 0
        self.zeroes = 0

    def __len__(self) -> int:
        return self._count + len(self._open)

    def __iter__(self) -> Iterator[Extent]:
        for index in range(len(self._sealed)):
            yield from self._sealed[index].unpack()
        yield from self._open

    def append(self, length: int, kind: ExtentKind, source_offset: int = 0,
               source_length: int = 0) -> None:
        """Add what follows on the disk. All in bytes.

        :raises TooManyExtents: when the map is full.
        """
        if kind is self._kind and (kind is _ZERO or kind is _DATA
                                   and source_offset == self._source_end):
            self._open.length[-1] += length
            self._open.stored[-1] += source_length
        else:
            self._make_room()
            self._open.append(self.end, length, kind, source_offset,
                              source_length)
            self._kind = kind
        self._source_end = source_offset + source_length
        self.end += length
        if kind is _ZERO:
            self.zeroes += length

    def extend(self, length: int, source_offsets: 'array[int]',
               source_lengths: 'array[int]') -> None:
        """Add compressed extents that follow on the disk. All in bytes.

        :param length: of each on the disk.
        :raises TooManyExtents: when the map is full.
        """
        self._make_room()
        count = len(source_offsets)
        end = self.end + count * length
        self._open.start.extend(range(self.end, end, length))
        self._open.length.extend(itertools.repeat(length, count))
        self._open.kind.extend(itertools.repeat(_COMPRESSED, count))
        self._open.offset.extend(source_offsets)
        self._open.stored.extend(source_lengths)
        self._kind = _COMPRESSED
        self.end = end

    def overlapping(self, start: int, end: int) -> Iterator[Extent]:
        """The extents that have bytes in ``[start, end)`` of the disk."""
        index = max(bisect.bisect_right(self._starts, start) - 1, 0)
        while index <= len(self._sealed):
            columns = self._columns(index)
            at = max(bisect.bisect_right(columns.start, start) - 1, 0)
            for extent in columns.pick(range(at, len(columns))):
                if extent.start >= end:
                    return
                if extent.end > start:
                    yield extent
            index += 1

    def by_source(self) -> Iterator[Extent]:
        """The extents that the file stores, in the order of the file.

        Those at the same place are in the order of the disk.
        """
        blocks = [*self._sealed, _Block.seal(self._open)]
        order = sorted((index for index, block in enumerate(blocks)
                        if block.high), key=lambda index: blocks[index].low)
        first = 0
        while first < len(order):
            last, high = first + 1, blocks[order[first]].high
            while last < len(order) and blocks[order[last]].low < high:
                high = max(high, blocks[order[last]].high)
                last += 1
            yield from _merged([blocks[index]
                                for index in sorted(order[first:last])])
            first = last

    def _columns(self, index: int) -> '_Columns':
        """A block, the open one after the sealed ones."""
        if index == len(self._sealed):
            return self._open
        if self._unpacked[0] != index:
            self._unpacked = index, self._sealed[index].unpack()
        return self._unpacked[1]

    def _make_room(self) -> None:
        """Seal what is a block's worth."""
        if len(self._open.start) < _BLOCK:
            return
        block = _Block.seal(self._open)
        self.packed_bytes += len(block.packed)
        if self.packed_bytes > MOST_BYTES:
            raise TooManyExtents()
        self._sealed.append(block)
        self._starts.append(block.start)
        self._count += len(self._open)
        self._open = _Columns()


class _Columns:
    """Extents by their fields."""

    def __init__(self) -> None:
        self.start = array('Q')
        self.length = array('Q')
        self.kind = array('B')
        self.offset = array('Q')
        self.stored = array('Q')

    @property
    def all(self) -> 'tuple[array[int], ...]':
        """The columns in the order of the fields of an extent."""
        return self.start, self.length, self.kind, self.offset, self.stored

    def __len__(self) -> int:
        return len(self.start)

    def __iter__(self) -> Iterator[Extent]:
        return map(Extent, self.start, self.length,
                   map(_KINDS.__getitem__, self.kind), self.offset,
                   self.stored)

    def append(self, start: int, length: int, kind: int, offset: int,
               stored: int) -> None:
        """Add one extent."""
        self.start.append(start)
        self.length.append(length)
        self.kind.append(kind)
        self.offset.append(offset)
        self.stored.append(stored)

    def extend(self, other: '_Columns') -> None:
        """Add the extents of others."""
        for column, more in zip(self.all, other.all, strict=True):
            column.extend(more)

    def pick(self, indices: Iterable[int]) -> '_Columns':
        """Extents at these indices."""
        indices = array('Q', indices)
        picked = _Columns()
        for column, source in zip(picked.all, self.all, strict=True):
            column.extend(map(source.__getitem__, indices))
        return picked

    def stored_after(self, after: tuple[int, int], before: int
                     ) -> '_Columns':
        """Extents that the file stores after a place and before another.

        :param after: place in the file, and on the disk among equals.
        """
        place, start = after
        if place < min(self.offset) and max(self.offset) < before and (
                _ZERO not in self.kind):
            return self
        return self.pick(
            index for index, (offset, kind) in enumerate(
                zip(self.offset, self.kind, strict=True))
            if place <= offset < before and kind != _ZERO
            and (offset > place or self.start[index] > start))

    def by_source(self, limit: int | None = None) -> '_Columns':
        """The first ones in the order of the file."""
        if limit is None and all(map(operator.le, self.offset,
                                     self.offset[1:])):
            return self
        return self.pick(sorted(range(len(self)),
                                key=self.offset.__getitem__)[:limit])


class _Block(typing.NamedTuple):
    """Extents in few bytes.

    :ivar start: first byte on the disk.
    :ivar low: the first place in the file; 0 when it stores none of them.
    :ivar high: a place after the last; 0 for an empty block.
    """

    start: int
    low: int
    high: int
    packed: bytes

    @classmethod
    def seal(cls, columns: _Columns) -> '_Block':
        """Pack extents that follow each other on the disk.

        Numbers become small: the gap to the end of what is stored before,
        and the step to the end of what is stored now.
        """
        stored = [offset for offset, kind in zip(
            columns.offset, columns.kind, strict=True) if kind != _ZERO]
        ends = array('q', map(operator.add, columns.offset, columns.stored))
        before = array('q', (0, *ends[:-1]))[:len(ends)]
        gaps = array('q', map(operator.sub, columns.offset, before))
        steps = array('q', map(operator.sub, ends, before))
        return cls(
            columns.start[0] if columns else 0,
            min(stored, default=0), max(stored, default=-1) + 1,
            zlib.compress(b''.join(map(_planes, (
                columns.length, columns.kind, gaps, steps))), _LEVEL))

    def unpack(self) -> _Columns:
        """The extents."""
        packed = zlib.decompress(self.packed)
        columns = _Columns()
        gaps, steps = array('q'), array('q')
        restored = (columns.length, columns.kind, gaps, steps)
        count = len(packed) // sum(column.itemsize for column in restored)
        at = 0
        for column in restored:
            end = at + count * column.itemsize
            column.frombytes(_interleaved(packed[at:end], column.itemsize))
            at = end
        columns.start.extend(itertools.accumulate(
            columns.length[:-1], initial=self.start) if count else ())
        ends = array('q', itertools.accumulate(steps))
        columns.offset.extend(map(operator.add, itertools.chain((0,), ends),
                                  gaps))
        columns.stored.extend(map(operator.sub, ends, columns.offset))
        return columns


def _planes(column: 'array[int]') -> bytes:
    """The first bytes of all items, then the second: most are equal."""
    stored, size = column.tobytes(), column.itemsize
    return b''.join(stored[index::size] for index in range(size))


def _interleaved(planes: bytes, size: int) -> bytearray:
    """The items of that many bytes whose planes these are."""
    stored, count = bytearray(len(planes)), len(planes) // size
    for index in range(size):
        stored[index::size] = planes[index * count:(index + 1) * count]
    return stored


def _merged(blocks: list[_Block]) -> Iterator[Extent]:
    """Extents of blocks sorted by the disk, sorted by the file."""
    after = (0, -1)
    while True:
        chosen, before = _Columns(), 1 << 64
        for block in blocks:
            if block.high <= after[0] or block.low >= before:
                continue
            chosen.extend(block.unpack().stored_after(after, before))
            if len(chosen) >= _SORTED + _SORTED // 4:
                chosen = chosen.by_source(_SORTED)
                before = chosen.offset[-1] + 1
        if not chosen:
            return
        chosen = chosen.by_source(_SORTED if len(chosen) > _SORTED else None)
        yield from chosen
        if before == 1 << 64 and len(chosen) < _SORTED:
            return
        after = chosen.offset[-1], chosen.start[-1]
