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
from collections.abc import Iterator

from ironic_imagedeploy.engine import budget as _budget
from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine import extent as _extent
from ironic_imagedeploy.engine.formats import sealed_block

Extent = _extent.Extent
ExtentKind = _extent.ExtentKind

#: Bytes that the sealed blocks of a map take at most. A cluster takes two
#: or three when it is compressed, less than one when it is plain or zero.
MOST_BYTES = 48 << 20
#: Extents that are sealed together.
_BLOCK = 4096
#: Extents that are sorted by their place in the file at once.
_SORTED = 256 << 10
#: Extents of which one tells where they lie.
_SAMPLED = 32
_KINDS = _DATA, _COMPRESSED, _ZERO = tuple(ExtentKind)


class ExtentMap:
    """A compact list of extents in the sequence of the disk.

    Invariants: the first extent starts at byte 0, each other where the one
    before ends, and the last ends at :attr:`end`. Neighbours that continue
    each other, zeroes or data, are one extent. What is sealed never changes:
    only the last extent grows, and it is in the open columns, which follow
    the sealed blocks. ``_starts`` has the first byte of each sealed block.

    Walked in the sequence of the disk, a block at a time is unpacked. To
    walk in the sequence of the file see :func:`_merged`.

    :param budget: for the work of :meth:`overlapping`.
    :ivar end: first byte of the disk that no extent names yet.
    :ivar zeroes: bytes of the disk that nothing is stored for.
    :ivar has_compressed: any extent is compressed.
    :ivar packed_bytes: memory of the sealed blocks.
    """

    def __init__(self, budget: _budget.Budget | None = None) -> None:
        self._budget = budget or _budget.Budget()
        self._sealed: list[sealed_block.SealedBlock] = []
        self._starts = array('Q')
        self.has_compressed = False
        self.packed_bytes = 0
        self._count = 0
        self._open = sealed_block.Columns()
        self._unpacked: tuple[int, sealed_block.Columns] = (-1, self._open)
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

    def uncompressed(self) -> Iterator[Extent]:
        """Extents of data and of zeroes, in the sequence of the disk."""
        for index in range(len(self._sealed)):
            yield from self._sealed[index].unpack().uncompressed()
        yield from self._open.uncompressed()

    def append(self, length: int, kind: ExtentKind, source_offset: int = 0,
               source_length: int = 0) -> None:
        """Add an extent that follows on the disk. All in bytes.

        :raises TooFragmented: when the map is full.
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
        elif kind is _COMPRESSED:
            self.has_compressed = True

    def extend(self, columns: sealed_block.Columns) -> None:
        """Add extents that follow on the disk; only the first may join.

        :param columns: the extents, at least one. They are used up.
        :raises TooFragmented: when the map is full.
        """
        first = next(iter(columns))
        self.append(first.length, *first[2:])
        if len(columns) == 1:
            return
        columns.cut(1)
        self._open.extend(columns)
        while len(self._open) > _BLOCK:
            self._seal(self._open.cut(_BLOCK))
        last = self._open
        self._kind = _KINDS[last.kind[-1]]
        self._source_end = last.offset[-1] + last.stored[-1]
        self.end = last.start[-1] + last.length[-1]
        self.zeroes += columns.zeroes
        self.has_compressed |= _COMPRESSED in columns.kind.tobytes()

    def overlapping(self, start: int, end: int) -> Iterator[Extent]:
        """Extents that have bytes in ``[start, end)`` of the disk."""
        index = max(bisect.bisect_right(self._starts, start) - 1, 0)
        while index <= len(self._sealed):
            columns = self._columns(index)
            at = max(bisect.bisect_right(columns.start, start) - 1, 0)
            for extent in columns.since(at):
                if extent.start >= end:
                    return
                if extent.end > start:
                    self._budget.draw(1)
                    yield extent
            index += 1

    def by_source(self) -> Iterator[Extent]:
        """Extents that the file stores, in the sequence of the file.

        Equal places are in the sequence of the disk.
        """
        blocks = [*self._sealed, sealed_block.SealedBlock.seal(self._open)]
        by_place = sorted((index for index, block in enumerate(blocks)
                           if block.high),
                          key=lambda index: blocks[index].low)
        first = 0
        while first < len(by_place):
            # Blocks whose places overlap are sorted together.
            last, high = first + 1, blocks[by_place[first]].high
            while last < len(by_place) and blocks[by_place[last]].low < high:
                high = max(high, blocks[by_place[last]].high)
                last += 1
            yield from _merged([blocks[index]
                                for index in sorted(by_place[first:last])])
            first = last

    def _columns(self, index: int) -> sealed_block.Columns:
        """A block, the open one after the sealed ones."""
        if index == len(self._sealed):
            return self._open
        if self._unpacked[0] != index:
            block = self._sealed[index].unpack()
            self._budget.draw(len(block))
            self._unpacked = index, block
        return self._unpacked[1]

    def _make_room(self) -> None:
        """Seal the open columns when they are a block's worth."""
        if len(self._open.start) >= _BLOCK:
            self._seal(self._open)
            self._open = sealed_block.Columns()

    def _seal(self, columns: sealed_block.Columns) -> None:
        block = sealed_block.SealedBlock.seal(columns)
        self.packed_bytes += len(block.packed)
        if self.packed_bytes > MOST_BYTES:
            raise exceptions.TooFragmented(
                expected=f'a map of {MOST_BYTES} bytes at most',
                found='a larger one')
        self._sealed.append(block)
        self._starts.append(block.start)
        self._count += len(columns)


def _merged(blocks: list[sealed_block.SealedBlock]) -> Iterator[Extent]:
    """Stored extents of some blocks, in the sequence of the file.

    A round finds the next :data:`_SORTED` of them, or about as many up to the
    next of the bounds, which spare it most of the sorting. It unpacks every
    block that has a place in that part of the file, some milliseconds each,
    and keeps a quarter more extents than it yields, some 12 MiB. So memory is
    bounded, and the work of N extents that lie in the file at random is N /
    _SORTED rounds over N / _BLOCK blocks. Files that are written in sequence
    have groups of one block, and take one round each.

    :param blocks: in the sequence of the disk.
    """
    bounds = _bounds(blocks)
    after, is_last = (0, -1), False
    while not is_last:
        index = bisect.bisect_right(bounds, after[0] + 1)
        is_last = index == len(bounds)
        before = end = 1 << 64 if is_last else bounds[index]
        chosen = sealed_block.Columns()
        for block in blocks:
            if block.high <= after[0] or block.low >= before:
                continue
            chosen.extend(block.unpack().stored_between(after, before))
            if len(chosen) >= _SORTED + _SORTED // 4:
                chosen = chosen.by_source(_SORTED)
                before = chosen.offset[-1] + 1
        is_cut = before != end
        chosen = chosen.by_source(_SORTED if is_cut else None)
        yield from chosen
        after = ((chosen.offset[-1], chosen.start[-1]) if is_cut
                 else (end - 1, 1 << 64))
        is_last = is_last and not is_cut


def _bounds(blocks: list[sealed_block.SealedBlock]) -> list[int]:
    """Places that have about :data:`_SORTED` extents between them."""
    if sum(block.size for block in blocks) <= _SORTED:
        return []
    sample = array('Q')
    for block in blocks:
        sample.extend(block.unpack().stored_places()[::_SAMPLED])
    step = max(_SORTED // _SAMPLED, 1)
    return sorted(set(sorted(sample)[step::step]))
