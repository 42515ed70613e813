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

"""Chunks of an image that this node can give to others."""

import collections
from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import threading

from ironic_imagedeploy.engine import manifest as manifests

#: Gives bytes of the disk: offset, length.
Read = Callable[[int, int], memoryview]


class ChunkStore:
    """Verified chunks: the last ones in memory, those of a raw image on disk.

    What the ends of a disk hold is not written before all is proven, so
    those chunks stay in memory.

    :param manifest: of the image.
    :param memory: bytes of chunks that are kept in memory.
    """

    def __init__(self, manifest: manifests.Manifest, *, memory: int) -> None:
        self.manifest = manifest
        self._memory = memory
        self._read: Read | None = None
        self._held: frozenset[int] = frozenset()
        self._recent: collections.OrderedDict[int, bytes] = (
            collections.OrderedDict())
        self._pinned: dict[int, bytes] = {}
        self._size = 0
        self._bits = bytearray(-(-manifest.count // 8))
        self._on_disk = bytearray(len(self._bits))
        self._version = 0
        self._readers = 0
        self._closed = False
        self._changed = threading.Condition()

    def verified(self, index: int, view: memoryview) -> None:
        """Keep a chunk, as long as there is room for it."""
        if self.manifest.is_zero(index):
            return
        content = bytes(view)
        with self._changed:
            if self._closed or index in self._recent:
                return
            if index in self._held:
                self._pinned[index] = content
            else:
                self._recent[index] = content
                self._size += len(content)
            self._mark(index)
            self._shrink()

    @contextlib.contextmanager
    def disk(self, read: Read, *, memory: int, held: frozenset[int]
             ) -> Iterator[None]:
        """Have the chunks of a raw image on the disk, too, inside.

        :param read: reads the disk, which holds the file as it is.
        :param memory: bytes of chunks that are still kept in memory.
        :param held: indexes of chunks that are not on the disk until the end.
        """
        with self._changed:
            self._read, self._held = read, held
            self._memory = min(self._memory, memory)
            for index in held & self._recent.keys():
                self._pinned[index] = self._recent.pop(index)
                self._size -= len(self._pinned[index])
            self._shrink()
        try:
            yield
        finally:
            with self._changed:
                self._read = None
                self._on_disk = bytearray(len(self._bits))
                self._bits = bytearray(len(self._bits))
                for index in (*self._pinned, *self._recent):
                    self._mark(index)
                self._version += 1
                self._changed.notify_all()
                self._changed.wait_for(lambda: not self._readers)

    def written(self, index: int) -> None:
        """Learn that all of a chunk is on the disk."""
        with self._changed:
            if self._read is not None and not self.manifest.is_zero(index):
                self._on_disk[index >> 3] |= 1 << (index & 7)
                self._mark(index)

    def has(self, index: int) -> bool:
        """Whether a chunk is here."""
        return _is_set(self._bits, index)

    def get(self, index: int) -> bytes | memoryview | None:
        """The bytes of a chunk; None when it is not here.

        :raises TargetError: when the disk does not give them.
        """
        with self._changed:
            content = self._pinned.get(index) or self._recent.get(index)
            read = self._read
            if content is not None or read is None or self._closed or not (
                    _is_set(self._on_disk, index)):
                return content
            self._readers += 1
        try:
            return self._stored(index, read)
        finally:
            with self._changed:
                self._readers -= 1
                self._changed.notify_all()

    def news(self, known: int | None, seconds: float
             ) -> tuple[int, bytes | None]:
        """Version and bits of what is here.

        :param known: version that the caller has.
        :param seconds: to wait for another one.
        :returns: None for the bits when there is no other one.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: self._closed or self._version != known, seconds)
            if self._version == known:
                return self._version, None
            return self._version, bytes(self._bits)

    def close(self) -> None:
        """Forget everything; afterwards nobody reads the disk."""
        with self._changed:
            self._closed = True
            self._pinned.clear()
            self._recent.clear()
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._readers)

    def _stored(self, index: int, read: Read) -> memoryview:
        """A chunk as the disk has it, once its zeroes are written."""
        start, end = self.manifest.bounds(index)
        content = read(start, end - start)
        position = start
        for first, after in (*self.manifest.data_ranges(start, end),
                             (end, end)):
            content[position - start:first - start] = bytes(first - position)
            position = after
        return content

    def _shrink(self) -> None:
        """Forget the oldest chunks that there is no room for."""
        while self._size > self._memory:
            index, content = self._recent.popitem(last=False)
            self._size -= len(content)
            if not _is_set(self._on_disk, index):
                self._bits[index >> 3] &= ~(1 << (index & 7))
                self._version += 1

    def _mark(self, index: int) -> None:
        if not _is_set(self._bits, index):
            self._bits[index >> 3] |= 1 << (index & 7)
            self._version += 1
            self._changed.notify_all()


def _is_set(bits: bytes | bytearray, index: int) -> bool:
    return bool(0 <= index >> 3 < len(bits)
                and bits[index >> 3] >> (index & 7) & 1)
