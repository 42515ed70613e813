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
import functools
import itertools
import operator
import typing
import zlib

from ironic_imagedeploy.engine import extent as _extent
from ironic_imagedeploy.engine.formats import words

Extent = _extent.Extent
ExtentKind = _extent.ExtentKind

_KINDS = tuple(ExtentKind)
#: As ``Extent._make``, in a third of the time: there are millions of them.
_MADE_OF = functools.partial(tuple.__new__, Extent)
_ZERO = ExtentKind.ZERO
_IS_ZERO = bytes(kind == _ZERO for kind in range(256))
_IS_STORED = bytes(kind != _ZERO for kind in range(256))
_COMPRESSED = ExtentKind.COMPRESSED
_IS_UNCOMPRESSED = bytes(kind != _COMPRESSED for kind in range(256))
_LEVEL = 1
_TOP = 1 << words.LANE - 1
#: What keeps gaps above 0, and those of compressed clusters, which share a
#: sector, on one side of a higher bit.
_BIAS = _TOP + (1 << 20)
#: Bytes of a plane that tell whether compression is worth its time, and what
#: is left at least of those where it is not.
_SAMPLE = 256
_NOISE = 0.8


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

    @classmethod
    def of_lanes(cls, starts: int, lengths: int, kinds: bytes, offsets: int,
                 stored: int) -> 'Columns':
        """Columns of what is in lanes, one for each kind."""
        columns, count = cls(), len(kinds)
        columns.kind.frombytes(kinds)
        columns.start, columns.length, columns.offset, columns.stored = (
            words.column(lanes, count)
            for lanes in (starts, lengths, offsets, stored))
        return columns

    @property
    def all(self) -> 'tuple[array[int], ...]':
        """The columns in the sequence of the fields of an extent."""
        return self.start, self.length, self.kind, self.offset, self.stored

    def __len__(self) -> int:
        return len(self.start)

    def __iter__(self) -> Iterator[Extent]:
        return map(_MADE_OF, zip(
            self.start, self.length, map(_KINDS.__getitem__, self.kind),
            self.offset, self.stored, strict=True))

    def since(self, index: int) -> Iterator[Extent]:
        """Extents from an index on."""
        for at in range(index, len(self)):
            yield Extent(self.start[at], self.length[at],
                         _KINDS[self.kind[at]], self.offset[at],
                         self.stored[at])

    def uncompressed(self) -> 'Columns':
        """Extents of data and of zeroes."""
        kinds = self.kind.tobytes()
        if _COMPRESSED not in kinds:
            return self
        return self.pick(itertools.compress(
            range(len(self)), kinds.translate(_IS_UNCOMPRESSED)))

    @property
    def zeroes(self) -> int:
        """Bytes of the disk that nothing is stored for."""
        kinds = self.kind.tobytes()
        return sum(itertools.compress(self.length, kinds.translate(_IS_ZERO))
                   ) if _ZERO in kinds else 0

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

    def cut(self, count: int) -> 'Columns':
        """Take the first extents away.

        :returns: these.
        """
        first = Columns()
        for column, whole in zip(first.all, self.all, strict=True):
            column.extend(whole[:count])
            del whole[:count]
        return first

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
        count = len(self)
        offsets = words.lanes(self.offset)
        tops = words.repeated(_TOP, count)
        after_place = (offsets | tops) - words.repeated(place, count)
        before_end = words.repeated(min(before, _TOP) - 1 | _TOP, count
                                    ) - offsets
        flags = words.nonzero(after_place & before_end & tops, count)
        if _ZERO in self.kind:
            flags = words.all_of(
                flags, self.kind.tobytes().translate(_IS_STORED))
        if place in self.offset:
            flags = bytes(
                flag and (offset > place or begin > start)
                for flag, offset, begin in zip(
                    flags, self.offset, self.start, strict=True))
        if 0 not in flags:
            return self
        return self.pick(itertools.compress(range(count), flags))

    def stored_places(self) -> 'array[int]':
        """Places in the file of the extents that it stores."""
        if _ZERO not in self.kind:
            return self.offset
        return array('Q', itertools.compress(
            self.offset, self.kind.tobytes().translate(_IS_STORED)))

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
    :ivar size: number of the extents.
    :ivar base: place of the first one, when places are packed as gaps; else
        None.
    :ivar packed: byte planes of four columns, by zlib: lengths, kinds, bytes
        stored, and places in the file, or gaps, plus :data:`_BIAS`, from the
        end of what the extent before stores to what this one does.
    """

    start: int
    low: int
    high: int
    size: int
    base: int | None
    packed: bytes

    @classmethod
    def seal(cls, columns: Columns) -> 'SealedBlock':
        """Pack extents that follow each other on the disk."""
        places = columns.offset.tolist()
        if _ZERO in columns.kind:
            places = list(itertools.compress(
                places, columns.kind.tobytes().translate(_IS_STORED)))
        others = (columns.length, columns.kind, columns.stored)
        absolute, gaps = _planes(columns.offset), _planes(_gaps(columns))
        # Clusters that lie anywhere have places of fewer bytes than gaps.
        by_gap = sum(map(len, gaps)) < sum(map(len, absolute))
        return cls(
            columns.start[0] if columns else 0,
            min(places, default=0), max(places, default=-1) + 1,
            len(columns), columns.offset[0] if by_gap else None,
            _pack([plane for column in others for plane in _planes(column)]
                  + (gaps if by_gap else absolute), len(columns)))

    def unpack(self) -> Columns:
        """The extents as columns."""
        columns = Columns()
        _unpack(self.packed, self.size, (
            columns.length, columns.kind, columns.stored, columns.offset))
        columns.start.extend(itertools.accumulate(
            columns.length[:-1], initial=self.start) if self.size else ())
        if self.base is not None:
            stored = words.lanes(columns.stored)
            steps = array('q', words.column(
                words.lanes(columns.offset) + stored - words.repeated(
                    _BIAS - _TOP, self.size) ^ words.repeated(
                        _TOP, self.size), self.size).tobytes())
            steps[0] += self.base
            ends = array('Q', itertools.accumulate(steps))
            columns.offset = words.column(words.lanes(ends) - stored,
                                          self.size)
        return columns


def _gaps(columns: Columns) -> 'array[int]':
    count = len(columns)
    offsets = words.lanes(columns.offset)
    ends = offsets + words.lanes(columns.stored)
    before = (ends << words.LANE) & (1 << words.LANE * count) - 1
    before |= offsets & (1 << words.LANE) - 1
    return words.column(offsets + words.repeated(_BIAS, count) - before, count)


def _planes(column: 'array[int]') -> list[bytes]:
    """First bytes of all items, then second ones; one where all are equal."""
    stored, size = column.tobytes(), column.itemsize
    planes = [stored[index::size] for index in range(size)]
    return [plane[:1] if plane == plane[:1] * len(plane) else plane
            for plane in planes]


def _pack(planes: list[bytes], count: int) -> bytes:
    """Planes in few bytes, after a byte for each: whether it is complete."""
    sizes = bytes(len(plane) == count for plane in planes)
    sample = b''.join(plane[:_SAMPLE] for plane in planes)
    is_noise = len(zlib.compress(sample, _LEVEL)) > len(sample) * _NOISE
    return zlib.compress(sizes + b''.join(planes), 0 if is_noise else _LEVEL)


def _unpack(packed: bytes, count: int, columns: 'tuple[array[int], ...]'
            ) -> None:
    """Fill the columns that were packed, of so many items."""
    planes = memoryview(zlib.decompress(packed))
    numbers = iter(planes)
    at = sum(column.itemsize for column in columns)
    for column in columns:
        size = column.itemsize
        stored = bytearray(size * count)
        for index in range(size):
            is_whole = next(numbers)
            length = count if is_whole else min(count, 1)
            plane = bytes(planes[at:at + length])
            stored[index::size] = plane if is_whole else plane * count
            at += length
        column.frombytes(stored)
