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

"""Cuts the file into jobs by the map of the image."""

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence

from ironic_imagedeploy.engine import extent as _extent
from ironic_imagedeploy.engine.formats import base
from ironic_imagedeploy.engine.transfer import buffers
from ironic_imagedeploy.engine.transfer import jobs

COMPRESSED = _extent.ExtentKind.COMPRESSED
DATA = _extent.ExtentKind.DATA
ZERO = _extent.ExtentKind.ZERO

#: Bytes of the disk that one job decodes, but for its last cluster.
_DECODED = 1 << 20
#: Pieces of one job.
_PIECES = 256
#: Extents that may wait for the next chunk at once. Honest files have one or
#: two; millions on the same bytes would be an attack on the processor.
_OPEN_LIMIT = 4096


class Cut:
    """Cuts chunks, in the file's sequence, where some extents lie in them.

    Uncompressed extents are cut where a chunk ends; compressed ones wait
    for their last byte, and what there is of them is copied.

    :param image: that the extents are of.
    :param extents: in the file's sequence.
    """

    def __init__(self, image: base.MappedImage,
                 extents: Iterable[_extent.Extent]) -> None:
        self._image = image
        self._ahead = iter(extents)
        self._next = next(self._ahead, None)
        self._open: list[_extent.Extent] = []
        # The last bytes of the file so far, from where the first of the open
        # extents begins.
        self._tail = b''

    def split(self, chunk: buffers.Chunk) -> Iterator[jobs.Job]:
        """Jobs that are complete with this chunk."""
        pieces: list[jobs.Piece] = []
        decoded = 0
        for piece in self._pieces(chunk):
            pieces.append(piece)
            if piece.extent.kind is COMPRESSED:
                decoded += piece.extent.length
            if decoded >= _DECODED or len(pieces) == _PIECES:
                yield jobs.Job.hold(pieces, chunk)
                pieces, decoded = [], 0
        if pieces:
            yield jobs.Job.hold(pieces, chunk)

    def waiting(self, default: int) -> int:
        """Offset in the file of the first byte that waits for the next chunk.

        :param default: when none does.
        """
        return min((extent.source_offset for extent in self._open
                    if extent.kind is COMPRESSED), default=default)

    def _pieces(self, chunk: buffers.Chunk) -> Iterator[jobs.Piece]:
        position, end = chunk.position, chunk.end
        waiting, self._open = self._open, []
        for begun in waiting:
            if begun.kind is DATA:
                yield self._data(begun, chunk)
            elif begun.source_end <= end:
                start = begun.source_offset - position + len(self._tail)
                yield jobs.Piece(begun.start, begun, memoryview(
                    self._tail[start:]
                    + chunk.view(position, begun.source_end)))
            else:
                self._wait(begun, chunk)
        extent = self._next
        while extent and extent.source_offset < end:
            if extent.kind is DATA:
                yield self._data(extent, chunk)
            elif extent.source_end <= end:
                yield jobs.Piece(extent.start, extent, chunk.view(
                    extent.source_offset, extent.source_end))
            else:
                self._wait(extent, chunk)
            extent = next(self._ahead, None)
        self._next = extent
        self._keep_tail(chunk)

    def _data(self, extent: _extent.Extent, chunk: buffers.Chunk
              ) -> jobs.Piece:
        start = max(extent.source_offset, chunk.position)
        if extent.source_end > chunk.end:
            self._wait(extent, chunk)
        return jobs.Piece(
            extent.start + start - extent.source_offset, extent,
            chunk.view(start, min(extent.source_end, chunk.end)))

    def _wait(self, extent: _extent.Extent, chunk: buffers.Chunk) -> None:
        if len(self._open) >= _OPEN_LIMIT:
            raise self._image.corrupt(
                f'more than {_OPEN_LIMIT} clusters around byte {chunk.end}',
                'clusters that do not overlap')
        self._open.append(extent)

    def _keep_tail(self, chunk: buffers.Chunk) -> None:
        low = self.waiting(chunk.end)
        start = max(low, chunk.position)
        self._tail = (self._tail[len(self._tail) + low - start:]
                      + chunk.view(start, chunk.end))


class MappedLayout(jobs.Layout):
    """Layout of a file whose image has a map."""

    _image: base.MappedImage

    def decode(self, pieces: Sequence[jobs.Piece]) -> Iterator[memoryview]:
        decoded = (memoryview(cluster) for cluster in
                   self._image.decode_together([
                       (extent, stored) for _, extent, stored in pieces
                       if extent.kind is COMPRESSED]))
        for _, extent, stored in pieces:
            yield next(decoded) if extent.kind is COMPRESSED else stored


class Cutter(MappedLayout, jobs.Splitter):
    """Cuts the file where the extents of an image begin and end."""

    def __init__(self, image: base.MappedImage) -> None:
        self.pool = buffers.BufferPool()
        self._image = image
        self.zero_size = image.map.zeroes
        self.data_size = image.map.end - image.map.zeroes
        image.forget()
        self._cut = Cut(image, image.by_source())

    def split(self, chunk: buffers.Chunk) -> Iterator[jobs.Job]:
        return self._cut.split(chunk)

    def zeroes(self) -> Iterator[_extent.Extent]:
        return (extent for extent in self._image.map.uncompressed()
                if extent.kind is ZERO)
