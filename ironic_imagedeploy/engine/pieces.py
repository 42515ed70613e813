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

from collections.abc import Iterator
import typing

from ironic_imagedeploy.engine import buffers
from ironic_imagedeploy.engine import extent as _extent
from ironic_imagedeploy.engine.formats import base

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
    """

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
