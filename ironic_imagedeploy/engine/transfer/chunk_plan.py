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


"""Plan of a write by a manifest: which chunks of the file it needs."""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Set
import operator
import typing

from ironic_imagedeploy.engine import extent as _extent
from ironic_imagedeploy.engine.formats import base
from ironic_imagedeploy.engine import manifest as manifests
from ironic_imagedeploy.engine.transfer import buffers
from ironic_imagedeploy.engine.transfer import cutter
from ironic_imagedeploy.engine.transfer import held_ends

Extent = _extent.Extent
#: Tells whether the disk has the bytes between two of its offsets already.
OnDisk = Callable[[int, int], bool]
COMPRESSED = _extent.ExtentKind.COMPRESSED
DATA = _extent.ExtentKind.DATA
ZERO = _extent.ExtentKind.ZERO

MIB = 1 << 20
#: Bytes of the file that one thread fetches in a run, at most and, towards
#: the end of the file, at least. Each costs a request, about a millisecond.
MOST = 64 * MIB
LEAST = 4 * MIB
#: Zeroes of the file that are zeroed on the disk; fewer are written.
ZEROED = 64 << 10
#: Bytes of a buffer, for one chunk or several neighbours: what Python does
#: for each counts, since only one thread at a time can do it.
BUFFER = 4 * MIB
#: Buffers in flight.
_BUFFERS = 8
#: Extents of a run, and of its first chunk. Honest files have one for each
#: 512 bytes at most; millions on the same bytes would be an attack.
_EXTENTS = 16384
_SOURCE_OFFSET = operator.attrgetter('source_offset')


class Run(typing.NamedTuple):
    """Neighbouring extents, which one thread fetches and cuts.

    :ivar extents: in the file's sequence; what is zero is left out.
    :ivar chunks: indexes of the chunks that they lie in.
    :ivar next: index of the first chunk of the next run, whose front may
        belong to a compressed extent of this one.
    :ivar shared: chunks that the run before needs, too, for their front.
    """

    extents: list[Extent]
    chunks: list[int]
    next: int
    shared: Set[int]

    def is_shared(self, index: int) -> bool:
        """Whether another run may need the chunk, too."""
        return index >= self.next or index in self.shared


class ChunkPlan(cutter.MappedLayout):
    """Chunks of the file that have bytes for the disk, in runs.

    :param image: an accepted image.
    :param manifest: of its file.
    :param lanes: threads that fetch runs at the same time.
    :ivar stored_size: bytes of the file to fetch, about.
    :ivar reused: bytes of the file that were not needed, so far, since what
        they hold is on the disk.
    """

    def __init__(self, image: base.MappedImage,
                 manifest: manifests.Manifest, *, lanes: int = 1) -> None:
        self.pool = buffers.BufferPool(_BUFFERS, BUFFER)
        self.reused = 0
        self._image = image
        self._manifest = manifest
        self._lanes = lanes
        image.forget()
        #: Chunks with bytes of the ends of the disk.
        self.ends = frozenset(self._end_chunks())
        #: Chunks of which everything that begins in them is on the disk.
        self.have: Set[int] = frozenset()
        self._on_disk: OnDisk | None = None
        self.stored_size = sum(end - start for start, end in
                               manifest.data_ranges(0, manifest.size))
        self.zero_size = image.map.zeroes
        if self.stored_size < manifest.size:
            self.zero_size = sum(extent.length for extent in self.zeroes())
        self.data_size: int = image.map.end - self.zero_size

    def skip(self, have: Set[int], on_disk: OnDisk | None = None) -> None:
        """Leave out chunks, but for those with bytes of the disk's ends.

        :param have: chunks of which everything that begins in them is on the
            disk.
        :param on_disk: tells what else is; what spans into a chunk that is
            not needed otherwise does not need it then.
        """
        self.have = have - self.ends
        self._on_disk = on_disk
        kept = len(self.have) * self._manifest.chunk_size
        self.data_size = max(self.data_size - kept, 0)
        self.stored_size = max(self.stored_size - kept, 0)

    def zeroes(self) -> Iterator[Extent]:
        for extent in self._image.map.uncompressed():
            if extent.kind is ZERO:
                yield extent
            else:
                yield from self._zero_parts(extent)

    def runs(self) -> Iterator[Run]:
        """Runs in the file's sequence.

        :raises ImageRefused: when too many extents are in one place.
        """
        size = self._manifest.chunk_size
        ahead = self._image.by_source()
        extent = next(ahead, None)
        begun: list[Extent] = []
        before: Set[int] = frozenset()
        while begun or extent:
            start = begun[0].source_offset if begun else (
                extent.source_offset if extent else 0)
            first = start // size
            after = first + self._length(start)
            found, end = begun, after * size
            while extent and extent.source_offset < end:
                if len(found) >= _EXTENTS:
                    after = extent.source_offset // size
                    if after == first:
                        raise self._image.corrupt(
                            f'more than {_EXTENTS} clusters around byte '
                            f'{start}', 'clusters that do not overlap')
                    break
                found.append(extent)
                extent = next(ahead, None)
            taken, begun = self._divided(found, after * size)
            if taken:
                chunks = self._chunks(taken)
                yield Run(taken, chunks, after, before & set(chunks))
                before = frozenset(index for index in chunks
                                   if index >= after)

    def _length(self, start: int) -> int:
        """Chunks in a run that begins there: fewer towards the end."""
        left = (self._manifest.size - start) // (2 * self._lanes)
        return max(min(left, MOST), LEAST) // self._manifest.chunk_size

    def _divided(self, found: Iterable[Extent], end: int
                 ) -> tuple[list[Extent], list[Extent]]:
        """Extents that are needed of these, and those after the end."""
        taken, begun = [], []
        has_some = self._has_some
        for extent in found:
            if extent.source_offset >= end:
                begun.append(extent)
            elif extent.kind is COMPRESSED:
                if has_some and self._has(
                        extent.source_offset, extent.start, extent.end):
                    self.reused += extent.source_length
                else:
                    taken.append(extent)
            else:
                taken += self._data_parts(extent, end)
                if extent.source_end > end:
                    begun.append(_part(extent, end, extent.source_end))
        taken.sort(key=_SOURCE_OFFSET)
        return taken, begun

    def _data_parts(self, extent: Extent, end: int) -> Iterator[Extent]:
        """Parts of an extent of data that have to be fetched."""
        for low, high in written_ranges(
                self._manifest, extent.source_offset,
                min(extent.source_end, end)):
            if not self._has_some:
                yield _part(extent, low, high)
                continue
            to_disk = extent.start - extent.source_offset
            while low < high:
                middle = min(high, (low // self._manifest.chunk_size + 1)
                             * self._manifest.chunk_size)
                if self._has(low, low + to_disk, middle + to_disk):
                    self.reused += middle - low
                else:
                    yield _part(extent, low, middle)
                low = middle

    def _zero_parts(self, extent: Extent) -> Iterator[Extent]:
        """Parts of an extent of data that are zeroed on the disk."""
        position = extent.source_offset
        for low, high in written_ranges(self._manifest, position,
                                        extent.source_end):
            if position < low:
                yield _zero(extent, position, low)
            position = high
        if position < extent.source_end:
            yield _zero(extent, position, extent.source_end)

    @property
    def _has_some(self) -> bool:
        """Whether any part of the file need not be written."""
        return bool(self.have or self._on_disk)

    def _has(self, offset: int, start: int, end: int) -> bool:
        """Whether a part of the file need not be written.

        :param offset: of its first byte.
        :param start: offset of its first byte on the disk.
        :param end: offset on the disk after its last byte.
        """
        return (offset // self._manifest.chunk_size in self.have
                or bool(self._on_disk and self._on_disk(start, end)))

    def _chunks(self, extents: Iterable[Extent]) -> list[int]:
        size = self._manifest.chunk_size
        chunks: list[int] = []
        after = 0
        for extent in extents:
            # Of many extents in one chunk this is about the first.
            if extent.source_offset + extent.source_length > after * size:
                first = max(after, extent.source_offset // size)
                after = -(-extent.source_end // size)
                chunks += range(first, after)
        return chunks

    def _end_chunks(self) -> Iterator[int]:
        """Indexes of the chunks with bytes that are held back."""
        size, chunk_size = self._image.map.end, self._manifest.chunk_size
        for start, end in ((0, held_ends.END),
                           (max(size - held_ends.KEPT_BACK, 0), size)):
            for extent in _extent.clamp(
                    self._image.map.overlapping(start, end), start, end):
                if extent.kind is COMPRESSED:
                    yield extent.source_offset // chunk_size
                elif extent.kind is DATA:
                    yield from range(extent.source_offset // chunk_size,
                                     -(-extent.source_end // chunk_size))


def written_ranges(manifest: manifests.Manifest, start: int, end: int
                   ) -> Iterator[tuple[int, int]]:
    """Ranges of an extent of data to write; all between them is zeroed.

    Nothing shorter than :data:`ZEROED` is left out, at no edge either: so
    what is left out of a part of an extent is left out of the whole. Nor is
    what only the zero map vouches for: a chunk that is left out is zero by
    its digest as well, or another part of it is fetched.

    :param start: offset of the extent in the file.
    :param end: offset after it.
    """
    size, position = manifest.chunk_size, start
    front = min(end, (start // size + 1) * size)
    back = max(start, (end - 1) // size * size)
    for low, high in manifest.data_ranges(start, end, gap=ZEROED - 1):
        if position == start:
            if low - start < ZEROED:
                low = start
            elif low >= front and not manifest.is_zero(start // size):
                yield start, front
        if end - high < ZEROED:
            high = end
        yield low, high
        position = high
    if position == start and end - start < ZEROED:
        yield start, end
        return
    if position == start and not manifest.is_zero(start // size):
        yield start, front
        position = front
    if position < end and position <= back and (
            not manifest.is_zero((end - 1) // size)):
        yield back, end


def _part(extent: Extent, low: int, high: int) -> Extent:
    """The part of an extent of data between two offsets of the file."""
    return Extent(extent.start + low - extent.source_offset, high - low,
                  extent.kind, low, high - low)


def _zero(extent: Extent, low: int, high: int) -> Extent:
    return Extent(extent.start + low - extent.source_offset, high - low,
                  ZERO)
