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

"""Jobs: stored bytes, and where on the disk they belong."""

import abc
from collections.abc import Iterator
from collections.abc import Sequence
import typing

from ironic_imagedeploy.engine import extent as _extent
from ironic_imagedeploy.engine.transfer import buffers


class Piece(typing.NamedTuple):
    """Stored bytes for one place on the disk.

    :ivar start: first byte on the disk.
    :ivar extent: the extent that it is a part of; the whole of it when that
        is compressed.
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

    @classmethod
    def hold(cls, pieces: list[Piece], chunk: buffers.Chunk) -> typing.Self:
        """Job that is one more holder of the chunk."""
        chunk.hold()
        return cls(pieces, chunk)

    @property
    def is_plain(self) -> bool:
        """Whether nothing in it has to be decoded."""
        return not any(piece.extent.kind is _extent.ExtentKind.COMPRESSED
                       for piece in self.pieces)

    def release(self) -> None:
        """Give the stored bytes back."""
        self.chunk.release()


class Layout(abc.ABC):
    """Places of the bytes of the disk in the file.

    :ivar pool: chunks for the bytes of the file.
    :ivar data_size: bytes of the disk that the file stores; None when they
        show only at its end.
    :ivar zero_size: bytes of the disk that the file stores nothing for.
    """

    pool: buffers.BufferPool
    data_size: int | None = None
    zero_size: int = 0

    def zeroes(self) -> Iterator[_extent.Extent]:
        """Extents that the file stores nothing for."""
        return iter(())

    def decode(self, pieces: Sequence[Piece]) -> Iterator[memoryview]:
        """Bytes of the disk that each of the pieces holds.

        :raises ImageRefused: when they cannot be decoded.
        """
        return (piece.stored for piece in pieces)

    def stop(self) -> None:
        """Wake every thread that waits for a chunk."""
        self.pool.stop()


class Splitter(Layout):
    """Splits the file, chunk by chunk, into jobs for the disk."""

    @abc.abstractmethod
    def split(self, chunk: buffers.Chunk) -> Iterator[Job]:
        """Jobs that are complete with this chunk of the file."""

    def finish(self) -> Iterator[Job]:
        """Jobs that are left at the end of the file."""
        return iter(())
