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


"""A file with a manifest, from its first byte to its last."""

from collections.abc import Callable

from ironic_imagedeploy.engine import manifest as manifests


class ChunkedStream:
    """File in its sequence, each chunk verified before a byte of it is given.

    :param manifest: of the file.
    :param fill: fills a view with the chunk of an index, verified; its third
        argument is the index of the chunk that is read last.
    """

    def __init__(self, manifest: manifests.Manifest,
                 fill: Callable[[int, memoryview, int], object]) -> None:
        self._manifest = manifest
        self._fill_chunk = fill
        self._index = 0
        self._chunk = memoryview(b'')
        self._buffer: memoryview | None = None

    def readinto(self, buffer: memoryview) -> int:
        """Fill the front of the buffer; 0 at the end of the file.

        :raises SourceError: when a chunk cannot be had.
        :raises ChunkMismatch: when nobody gives the right one.
        """
        if not self._chunk:
            if self._index == self._manifest.count:
                return 0
            start, end = self._manifest.bounds(self._index)
            if len(buffer) >= end - start:
                self._fill(buffer[:end - start])
                return end - start
            if self._buffer is None:
                self._buffer = memoryview(bytearray(
                    self._manifest.chunk_size))
            self._fill(self._buffer[:end - start])
            self._chunk = self._buffer[:end - start]
        count = min(len(buffer), len(self._chunk))
        buffer[:count] = self._chunk[:count]
        self._chunk = self._chunk[count:]
        return count

    def close(self) -> None:
        """Give nothing any more of the chunk at hand."""
        self._chunk = memoryview(b'')

    def _fill(self, view: memoryview) -> None:
        self._fill_chunk(self._index, view, self._manifest.count - 1)
        self._index += 1
