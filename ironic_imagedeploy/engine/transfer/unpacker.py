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

"""Unpacks a raw disk that is compressed as a whole."""

import collections
from collections.abc import Iterator
import logging
import typing

from ironic_imagedeploy.engine import extent as _extent
from ironic_imagedeploy.engine.formats import compressed_raw
from ironic_imagedeploy.engine.transfer import buffers
from ironic_imagedeploy.engine.transfer import jobs
from ironic_imagedeploy.engine.transfer import meter as _meter

LOG = logging.getLogger(__name__)
#: Chunks of the file, and of the disk beside those that are kept back: few,
#: since the decoder needs memory too.
_STORED_CHUNKS = 4
_DISK_CHUNKS = 7


class SizeListener(typing.Protocol):
    """Learns the size of a disk, in bytes, while it shows."""

    def at_least(self, size: int) -> None:
        """Learn that the disk has so many bytes or more.

        :raises ImageDeployError: when that is too much.
        """

    def final(self, size: int) -> None:
        """Learn the size, before the last bytes are given.

        :raises ImageDeployError: when that is too much.
        """


class Unpacker(jobs.Splitter):
    """Unpacks a compressed file into jobs for the disk.

    The last bytes are kept until it is known that they are the last, so that
    nobody writes the end of a disk without knowing that it is its end.

    :param listener: learns the size of the disk.
    :param kept_back: bytes from the end of the disk that are not given
        before its size is known.
    """

    def __init__(self, image: compressed_raw.CompressedRawImage,
                 listener: SizeListener, meter: _meter.Meter, *,
                 kept_back: int) -> None:
        self.pool = buffers.BufferPool(_STORED_CHUNKS)
        self._disk_pool = buffers.BufferPool(
            _DISK_CHUNKS + kept_back // buffers.CHUNK_SIZE)
        self._image = image
        self._listener = listener
        self._meter = meter
        self._kept_back = kept_back
        self._decoder = image.decoder()
        self._full: collections.deque[buffers.Chunk] = collections.deque()
        self._filling: buffers.Chunk | None = None
        self._size = 0
        image.forget()

    def split(self, chunk: buffers.Chunk) -> Iterator[jobs.Job]:
        stored = self._decoder.decode(chunk.view(chunk.position, chunk.end))
        while unpacked := self._next(stored):
            view = memoryview(unpacked)
            while view:
                view = view[self._fill(view):]
            while self._full and (
                    self._size - self._full[0].end >= self._kept_back):
                yield _job(self._full.popleft())

    def finish(self) -> Iterator[jobs.Job]:
        with self._image.explained():
            self._decoder.finish()
        if self._decoder.left_out and self._image.known_size is None:
            # The inspection did not come that far.
            LOG.warning('%s: %s', self._image.source.name,
                        self._image.left_out(self._decoder.left_out))
        self._image.check_size(self._size)
        self._listener.final(self._size)
        if self._filling:
            self._full.append(self._filling)
        for chunk in self._full:
            yield _job(chunk)

    def stop(self) -> None:
        super().stop()
        self._disk_pool.stop()

    def _next(self, stored: Iterator[bytes]) -> bytes | None:
        with self._meter.spend(_meter.Stage.DECODE), self._image.explained():
            return next(stored, None)

    def _fill(self, view: memoryview) -> int:
        """Bytes of these that the chunk in hand had room for."""
        if self._filling is None:
            self._filling = self._disk_pool.take(self._size)
        chunk = self._filling
        count = min(len(view), buffers.CHUNK_SIZE - chunk.length)
        chunk.memory[chunk.length:chunk.length + count] = view[:count]
        chunk.length += count
        self._size += count
        if chunk.length == buffers.CHUNK_SIZE:
            self._full.append(chunk)
            self._filling = None
            self._listener.at_least(self._size)
        return count


def _job(chunk: buffers.Chunk) -> jobs.Job:
    """Job for a whole chunk of the disk, held by its taker until then."""
    extent = _extent.Extent(chunk.position, chunk.length,
                            _extent.ExtentKind.DATA)
    piece = jobs.Piece(chunk.position, extent,
                       chunk.view(chunk.position, chunk.end))
    return jobs.Job([piece], chunk)
