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

"""From the order of the file to the places on the disk."""

import collections
from collections.abc import Iterator
import typing

from ironic_imagedeploy.engine import buffers
from ironic_imagedeploy.engine import ends
from ironic_imagedeploy.engine import extent as _extent
from ironic_imagedeploy.engine.formats import base
from ironic_imagedeploy.engine.formats import packed
from ironic_imagedeploy.engine import meter as _meter

#: Extents that may wait for the next chunk at once. Honest files have one or
#: two; millions on the same bytes would be an attack on the memory.
_OPEN_LIMIT = 4096


class Piece(typing.NamedTuple):
    """Bytes for one place on the disk.

    :ivar start: first byte on the disk.
    :ivar extent: what it is a part of; the whole when that is compressed.
    :ivar parts: the stored bytes: chunks, each with start and end in the
        file. Every chunk is held until :meth:`release`.
    """

    start: int
    extent: _extent.Extent
    parts: list[tuple[buffers.Chunk, int, int]]

    def stored(self) -> memoryview:
        """The stored bytes in one view."""
        if len(self.parts) == 1:
            chunk, start, end = self.parts[0]
            return chunk.view(start, end)
        return memoryview(b''.join(chunk.view(start, end)
                                   for chunk, start, end in self.parts))

    def release(self) -> None:
        """Its bytes are not needed any more."""
        for chunk, _, _ in self.parts:
            chunk.release()


class Cutter:
    """Cuts the stream of the file into pieces for the disk.

    Uncompressed extents are cut where a chunk ends; compressed ones wait
    for their last byte.

    :cvar batch: pieces that may wait for each other.
    """

    batch: typing.ClassVar[int] = 32

    def __init__(self, image: base.Image) -> None:
        self._image = image
        self._ahead = image.by_source()
        self._next = next(self._ahead, None)
        self._open: list[Piece] = []

    def cut(self, chunk: buffers.Chunk) -> Iterator[Piece]:
        """The pieces that are complete with this chunk."""
        waiting, self._open = self._open, []
        for piece in waiting:
            yield from self._advance(piece, chunk)
        while self._next and self._next.source_offset < chunk.end:
            piece = Piece(self._next.start, self._next, [])
            self._next = next(self._ahead, None)
            yield from self._advance(piece, chunk)

    def finish(self) -> Iterator[Piece]:
        """The pieces that are left at the end of the file: none."""
        return iter(())

    def _advance(self, piece: Piece, chunk: buffers.Chunk
                 ) -> Iterator[Piece]:
        extent = piece.extent
        start = max(extent.source_offset, chunk.position)
        end = min(extent.source_end, chunk.end)
        chunk.hold()
        part = (chunk, start, end)
        if extent.kind is _extent.ExtentKind.DATA:
            yield Piece(extent.start + start - extent.source_offset, extent,
                        [part])
            if extent.source_end > chunk.end:
                self._wait(piece, chunk)
            return
        piece.parts.append(part)
        if extent.source_end > chunk.end:
            self._wait(piece, chunk)
        else:
            yield piece

    def _wait(self, piece: Piece, chunk: buffers.Chunk) -> None:
        if len(self._open) >= _OPEN_LIMIT:
            raise self._image.corrupt(
                f'more than {_OPEN_LIMIT} clusters around byte {chunk.end}',
                'clusters that do not overlap')
        self._open.append(piece)


class Growth(typing.Protocol):
    """Learns the size of a disk that shows while it is unpacked."""

    def grow(self, size: int) -> None:
        """The disk has more than so many bytes.

        :raises ImageDeployError: when that is too much.
        """

    def settle(self, size: int) -> None:
        """That is all: told before the last pieces are given."""


class Unpacker:
    """Unpacks the stream of a compressed file into pieces for the disk.

    The last ones are kept until it is known that they are the last, so that
    nobody writes the end of a disk without knowing that it is its end.

    :param pool: chunks for what is unpacked.
    :param growth: told of the size.
    """

    #: Its pool is small.
    batch: typing.ClassVar[int] = 1

    def __init__(self, image: packed.PackedImage, pool: buffers.BufferPool,
                 growth: Growth, meter: _meter.Meter) -> None:
        self._image = image
        self._pool = pool
        self._growth = growth
        self._meter = meter
        self._decoder = image.decoder()
        self._full: collections.deque[buffers.Chunk] = collections.deque()
        self._filling: buffers.Chunk | None = None
        self._size = 0
        image.forget_front()

    def cut(self, chunk: buffers.Chunk) -> Iterator[Piece]:
        """The pieces that are complete with this chunk of the file."""
        stored = self._decoder.decode(chunk.view(chunk.position, chunk.end))
        while unpacked := self._next(stored):
            view = memoryview(unpacked)
            while view:
                view = view[self._fill(view):]
            while self._full and (
                    self._size - self._full[0].end >= ends.FAR):
                yield _whole(self._full.popleft())

    def finish(self) -> Iterator[Piece]:
        """The pieces that are left at the end of the file."""
        with self._image.explained():
            self._decoder.finish()
        self._image.check_size(self._size)
        self._growth.settle(self._size)
        if self._filling:
            self._full.append(self._filling)
        for chunk in self._full:
            yield _whole(chunk)

    def _next(self, stored: Iterator[bytes]) -> bytes | None:
        with self._meter.spend(_meter.Stage.DECODE), self._image.explained():
            return next(stored, None)

    def _fill(self, view: memoryview) -> int:
        """Copy what there is room for; how many bytes that was."""
        if self._filling is None:
            self._filling = self._pool.take(self._size)
        chunk = self._filling
        count = min(len(view), buffers.CHUNK_SIZE - chunk.length)
        chunk.memory[chunk.length:chunk.length + count] = view[:count]
        chunk.length += count
        self._size += count
        if chunk.length == buffers.CHUNK_SIZE:
            self._full.append(chunk)
            self._filling = None
            self._growth.grow(self._size)
        return count


def _whole(chunk: buffers.Chunk) -> Piece:
    """All bytes of a chunk of the disk."""
    extent = _extent.Extent(chunk.position, chunk.length,
                            _extent.ExtentKind.DATA)
    return Piece(chunk.position, extent, [(chunk, chunk.position, chunk.end)])
