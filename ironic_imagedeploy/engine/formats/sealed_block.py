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

"""A few thousand extents of a map, open as columns or sealed in few bytes.

Columns hold an extent in 33 bytes, where a tuple with its numbers takes some
250. A block is sealed when it is full: its numbers become small, since each
extent mostly lies soon after the one before, and their bytes compress well.
"""

from array import array
from collections.abc import Iterable
from collections.abc import Iterator
import itertools
import operator
import typing
import zlib

from ironic_imagedeploy.engine import extent as _extent

Extent = _extent.Extent
ExtentKind = _extent.ExtentKind

_KINDS = tuple(ExtentKind)
_ZERO = ExtentKind.ZERO
_LEVEL = 1


class Columns:
    """Extents by their fields, in machine integers.

    All columns have the same length.
    """

    def __init__(self) -> None:
        self.start = array('Q')
        self.length = array('Q')
        self.kind = array('B')
        self.offset = array('Q')
        self.stored = array('Q')

    @property
    def all(self) -> 'tuple[array[int], ...]':
        """The columns in the sequence of the fields of an extent."""
        return self.start, self.length, self.kind, self.offset, self.stored

    def __len__(self) -> int:
        return len(self.start)

    def __iter__(self) -> Iterator[Extent]:
        return map(Extent, self.start, self.length,
                   map(_KINDS.__getitem__, self.kind), self.offset,
                   self.stored)

    def since(self, index: int) -> Iterator[Extent]:
        """Extents from an index on."""
        for at in range(index, len(self)):
            yield Extent(self.start[at], self.length[at],
                         _KINDS[self.kind[at]], self.offset[at],
                         self.stored[at])

    def append(self, start: int, length: int, kind: int, offset: int,
               stored: int) -> None:
        """Add an extent."""
        self.start.append(start)
        self.length.append(length)
        self.kind.append(kind)
        self.offset.append(offset)
        self.stored.append(stored)

    def extend(self, other: 'Columns') -> None:
        """Add the extents of other columns."""
        for column, more in zip(self.all, other.all, strict=True):
            column.extend(more)

    def pick(self, indices: Iterable[int]) -> 'Columns':
        """Extents at these indices."""
        indices = array('Q', indices)
        picked = Columns()
        for column, source in zip(picked.all, self.all, strict=True):
            column.extend(map(source.__getitem__, indices))
        return picked

    def stored_between(self, after: tuple[int, int], before: int
                       ) -> 'Columns':
        """Stored extents that follow a place in the file, before another.

        :param after: offset in the file, and on the disk among equals.
        :param before: offset in the file.
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

    def by_source(self, limit: int | None = None) -> 'Columns':
        """Extents sorted by their place in the file, up to a number of them.

        The sort is stable: equal places keep the sequence of the disk.
        """
        if limit is None and all(map(operator.le, self.offset,
                                     self.offset[1:])):
            return self
        return self.pick(sorted(range(len(self)),
                                key=self.offset.__getitem__)[:limit])


class SealedBlock(typing.NamedTuple):
    """Extents that follow each other on the disk, in few bytes.

    :ivar start: first byte on the disk.
    :ivar low: first place in the file; 0 when none of them is stored.
    :ivar high: a place after the last one's; 0 when none of them is stored.
    :ivar packed: byte planes of four columns, by zlib: lengths and kinds;
        gaps from the end of what the extent before stores to what this one
        does; steps from that end to this one's. The other columns are sums
        of these.
    """

    start: int
    low: int
    high: int
    packed: bytes

    @classmethod
    def seal(cls, columns: Columns) -> 'SealedBlock':
        """Pack extents that follow each other on the disk."""
        stored: array[int] | list[int] = columns.offset
        if _ZERO in columns.kind:
            stored = list(itertools.compress(
                columns.offset, map(_ZERO.__ne__, columns.kind)))
        ends = array('q', map(operator.add, columns.offset, columns.stored))
        before = (array('q', [0]) + ends[:-1])[:len(ends)]
        gaps = array('q', map(operator.sub, columns.offset, before))
        steps = array('q', map(operator.sub, ends, before))
        return cls(
            columns.start[0] if columns else 0,
            min(stored, default=0), max(stored, default=-1) + 1,
            zlib.compress(b''.join(map(_planes, (
                columns.length, columns.kind, gaps, steps))), _LEVEL))

    def unpack(self) -> Columns:
        """The extents as columns."""
        packed = zlib.decompress(self.packed)
        columns = Columns()
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
    """First bytes of all items, then second ones: most are equal."""
    stored, size = column.tobytes(), column.itemsize
    return b''.join(stored[index::size] for index in range(size))


def _interleaved(planes: bytes, size: int) -> bytearray:
    """Items of that many bytes, from their planes."""
    stored, count = bytearray(len(planes)), len(planes) // size
    for index in range(size):
        stored[index::size] = planes[index * count:(index + 1) * count]
    return stored
