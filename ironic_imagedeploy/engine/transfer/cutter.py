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

from ironic_imagedeploy.engine import extent as _extent
from ironic_imagedeploy.engine.formats import base
from ironic_imagedeploy.engine.formats import compressed_raw
from ironic_imagedeploy.engine.transfer import buffers
from ironic_imagedeploy.engine.transfer import held_ends
from ironic_imagedeploy.engine.transfer import meter as _meter

#: Bytes of the disk that one job decodes, but for its last cluster.
_DECODED = 1 << 20
#: Pieces of one job.
_PIECES = 256
#: Extents that may wait for the next chunk at once. Honest files have one or
#: two; millions on the same bytes would be an attack on the processor.
_OPEN_LIMIT = 4096


class Piece(typing.NamedTuple):
    """Bytes for one place on the disk.

    :ivar start: first byte on the disk.
    :ivar extent: what it is a part of; the whole when that is compressed.
    :ivar stored: its bytes in the file.
    """

    start: int
    extent: _extent.Extent
    stored: memoryview


class Job(typing.NamedTuple):
    """Pieces that are decoded and written together.

    :ivar chunk: holds stored bytes, until :meth:`release`.
    """

    pieces: list[Piece]
    chunk: buffers.Chunk

    def release(self) -> None:
        """The stored bytes are not needed any more."""
        self.chunk.release()


class Cutter:
    """Cuts the stream of the file into pieces for the disk.

    Uncompressed extents are cut where a chunk ends; compressed ones wait
    for their last byte, and what there is of them is copied.
    """

    def __init__(self, image: base.Image) -> None:
        self._image = image
        image.forget()
        self._ahead = image.by_source()
        self._next = next(self._ahead, None)
        self._open: list[_extent.Extent] = []
        # The last bytes of the file so far, from where the first of the open
        # extents begins.
        self._tail = b''

    def cut(self, chunk: buffers.Chunk) -> Iterator[Job]:
        """The pieces that are complete with this chunk."""
        pieces: list[Piece] = []
        decoded = 0
        for piece in self._pieces(chunk):
            pieces.append(piece)
            if piece.extent.kind is _extent.ExtentKind.COMPRESSED:
                decoded += piece.extent.length
            if decoded >= _DECODED or len(pieces) == _PIECES:
                yield self._job(pieces, chunk)
                pieces, decoded = [], 0
        if pieces:
            yield self._job(pieces, chunk)

    def finish(self) -> Iterator[Job]:
        """The pieces that are left at the end of the file: none."""
        return iter(())

    def _job(self, pieces: list[Piece], chunk: buffers.Chunk) -> Job:
        chunk.hold()
        return Job(pieces, chunk)

    def _pieces(self, chunk: buffers.Chunk) -> Iterator[Piece]:
        position, end = chunk.position, chunk.end
        waiting, self._open = self._open, []
        for begun in waiting:
            if begun.kind is _extent.ExtentKind.DATA:
                yield self._data(begun, chunk)
            elif begun.source_end <= end:
                start = begun.source_offset - position + len(self._tail)
                yield Piece(begun.start, begun, memoryview(
                    self._tail[start:]
                    + chunk.view(position, begun.source_end)))
            else:
                self._wait(begun, chunk)
        extent = self._next
        while extent and extent.source_offset < end:
            if extent.kind is _extent.ExtentKind.DATA:
                yield self._data(extent, chunk)
            elif extent.source_end <= end:
                yield Piece(extent.start, extent, chunk.view(
                    extent.source_offset, extent.source_end))
            else:
                self._wait(extent, chunk)
            extent = next(self._ahead, None)
        self._next = extent
        self._keep_tail(chunk)

    def _data(self, extent: _extent.Extent, chunk: buffers.Chunk) -> Piece:
        start = max(extent.source_offset, chunk.position)
        if extent.source_end > chunk.end:
            self._wait(extent, chunk)
        return Piece(extent.start + start - extent.source_offset, extent,
                     chunk.view(start, min(extent.source_end, chunk.end)))

    def _wait(self, extent: _extent.Extent, chunk: buffers.Chunk) -> None:
        if len(self._open) >= _OPEN_LIMIT:
            raise self._image.corrupt(
                f'more than {_OPEN_LIMIT} clusters around byte {chunk.end}',
                'clusters that do not overlap')
        self._open.append(extent)

    def _keep_tail(self, chunk: buffers.Chunk) -> None:
        low = min((extent.source_offset for extent in self._open
                   if extent.kind is _extent.ExtentKind.COMPRESSED),
                  default=chunk.end)
        if low >= chunk.position:
            self._tail = bytes(chunk.view(low, chunk.end))
        else:
            start = low - chunk.position + len(self._tail)
            self._tail = self._tail[start:] + chunk.view(chunk.position,
                                                         chunk.end)


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

    def __init__(self, image: compressed_raw.PackedImage,
                 pool: buffers.BufferPool, growth: Growth,
                 meter: _meter.Meter) -> None:
        self._image = image
        self._pool = pool
        self._growth = growth
        self._meter = meter
        self._decoder = image.decoder()
        self._full: collections.deque[buffers.Chunk] = collections.deque()
        self._filling: buffers.Chunk | None = None
        self._size = 0
        image.forget()

    def cut(self, chunk: buffers.Chunk) -> Iterator[Job]:
        """The pieces that are complete with this chunk of the file."""
        stored = self._decoder.decode(chunk.view(chunk.position, chunk.end))
        while unpacked := self._next(stored):
            view = memoryview(unpacked)
            while view:
                view = view[self._fill(view):]
            while self._full and (
                    self._size - self._full[0].end >= held_ends.FAR):
                yield _whole(self._full.popleft())

    def finish(self) -> Iterator[Job]:
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


def _whole(chunk: buffers.Chunk) -> Job:
    """All bytes of a chunk of the disk."""
    extent = _extent.Extent(chunk.position, chunk.length,
                            _extent.ExtentKind.DATA)
    piece = Piece(chunk.position, extent,
                  chunk.view(chunk.position, chunk.end))
    return Job([piece], chunk)
