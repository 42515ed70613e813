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

"""A manifest that is made while its file passes by."""

import collections
from concurrent import futures
import hashlib
import types
import typing

from ironic_imagedeploy.engine import checksum as checksums
from ironic_imagedeploy.engine import manifest
from ironic_imagedeploy.engine import memory

#: SHA-256 keeps up with a SHA-512 beside it with one thread where the
#: processor has instructions for it, and with two where it has not.
_THREADS = 2


class Builder:
    """A manifest of a file that passes by once, from its first byte.

    Chunks are hashed by threads, while the caller goes on. Bytes are copied
    into it, or put straight into its room.

    :param size: bytes of the file.
    :param finer: smaller chunks, for a file that is fetched here and there.
    :raises InvalidManifest: when the file is too large for a manifest.
    """

    def __init__(self, size: int, *, finer: bool = False) -> None:
        manifest.require_possible(size)
        self._size = size
        self._chunk_size = manifest.chunk_size_for(size, finer=finer)
        self._zero_block = manifest.zero_block_for(size)
        self._position = 0
        self._filled = 0
        self._buffers: list[bytearray] = []
        self._buffer = bytearray(min(self._chunk_size, size))
        self._running: collections.deque[futures.Future[_Chunk]] = (
            collections.deque())
        self._digests = bytearray()
        self._zero_map = bytearray()
        self._threads = futures.ThreadPoolExecutor(
            _THREADS, thread_name_prefix='manifest')

    def __enter__(self) -> typing.Self:
        return self

    def __exit__(self, kind: type[BaseException] | None,
                 error: BaseException | None,
                 trace: types.TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(cancel_futures=True)

    def update(self, view: memoryview) -> None:
        """Take the next bytes of the file.

        :raises ValueError: when they are more than the file has.
        """
        if self._position + len(view) > self._size:
            raise ValueError(f'more than the {self._size} bytes of the file')
        while view:
            with self.room as room:
                count = min(len(view), len(room))
                room[:count] = view[:count]
            self.advance(count)
            view = view[count:]

    @property
    def room(self) -> memoryview:
        """Place for the next bytes, up to the end of their chunk.

        It is good until :meth:`advance` is called, and empty when the file
        is complete.
        """
        left = self._size - self._position
        return memoryview(self._buffer)[self._filled:self._filled + left]

    def advance(self, count: int) -> None:
        """Take the bytes that were put into the front of the room.

        :param count: bytes.
        """
        self._filled += count
        self._position += count
        if self._filled == len(self._buffer):
            self._hash()

    def finish(self, checksum: checksums.Checksum) -> manifest.Manifest:
        """The manifest of the file, now that all of it is known.

        :param checksum: of the whole file.
        :raises ValueError: when the file is not complete.
        """
        if self._position != self._size:
            raise ValueError(f'{self._position} of {self._size} bytes')
        if self._filled:
            self._hash()
        while self._running:
            self._collect()
        self.close()
        return manifest.Manifest(
            size=self._size, chunk_size=self._chunk_size, checksum=checksum,
            zero_block=self._zero_block, zero_map=bytes(self._zero_map),
            digests=bytes(self._digests))

    def _hash(self) -> None:
        """Hand the buffer to a thread, and take another one."""
        self._running.append(self._threads.submit(
            _hashed, self._buffer, self._filled, self._zero_block))
        self._filled = 0
        if len(self._running) > _THREADS:
            self._collect()
        self._buffer = (self._buffers.pop() if self._buffers
                        else bytearray(self._chunk_size))

    def _collect(self) -> None:
        chunk = self._running.popleft().result()
        self._digests += chunk.digest
        self._zero_map += chunk.zero_map
        self._buffers.append(chunk.buffer)


class _Chunk(typing.NamedTuple):
    """Chunk as a thread found it.

    :ivar buffer: with the chunk in it, for another one.
    """

    buffer: bytearray
    digest: bytes
    zero_map: bytes


def _hashed(buffer: bytearray, length: int, zero_block: int) -> _Chunk:
    view = memoryview(buffer)[:length]
    zero_map = memory.zero_map(view, zero_block)
    digest = (manifest.zero_digest(length)
              if zero_map == manifest.all_zero(length, zero_block)
              else hashlib.sha256(view).digest())
    return _Chunk(buffer, digest, zero_map)
