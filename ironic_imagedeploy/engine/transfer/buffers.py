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

"""Memory for bytes in flight: a fixed number of aligned buffers."""

from collections.abc import Callable
import mmap
import queue
import threading

#: Bytes of the file that are read, hashed and handed out together.
CHUNK_SIZE = 1 << 20
#: Chunks in flight: the bound of the memory for stored bytes.
CHUNKS = 24


class Stopped(Exception):
    """Another part of the transfer failed."""


class Chunk:
    """Bytes of the file in an aligned buffer, shared until all are done.

    :ivar position: offset of the first byte in the file.
    :ivar length: bytes that are filled.
    """

    def __init__(self, pool: 'BufferPool', size: int = CHUNK_SIZE) -> None:
        self.position = 0
        self.length = 0
        self._pool = pool
        self._memory = memoryview(mmap.mmap(-1, size))
        self._when_free: list[Callable[[], None]] = []
        self._holders = 0
        self._lock = threading.Lock()

    @property
    def end(self) -> int:
        """Offset in the file after the last byte."""
        return self.position + self.length

    @property
    def memory(self) -> memoryview:
        """The whole buffer."""
        return self._memory

    def view(self, start: int, end: int) -> memoryview:
        """The bytes between two offsets of the file."""
        return self._memory[start - self.position:end - self.position]

    def hold(self) -> None:
        """Add a reader of the buffer."""
        with self._lock:
            self._holders += 1

    def when_free(self, call: Callable[[], None]) -> None:
        """Let that be called once, after the last reader."""
        self._when_free.append(call)

    def release(self) -> None:
        """Remove a reader; after the last, the buffer is used again."""
        with self._lock:
            self._holders -= 1
            free = not self._holders
        if free:
            calls, self._when_free = self._when_free, []
            self._pool.give_back(self)
            for call in calls:
                call()


class BufferPool:
    """The chunks of one transfer.

    :param count: of its chunks.
    :param size: bytes of each.
    """

    def __init__(self, count: int = CHUNKS, size: int = CHUNK_SIZE) -> None:
        self._free = [Chunk(self, size) for _ in range(count)]
        # One for each free chunk. The one that was used last is taken first:
        # it may still be in the processor's cache.
        self._tickets: queue.SimpleQueue[bool] = queue.SimpleQueue()
        for _ in range(count):
            self._tickets.put(True)

    def take(self, position: int) -> Chunk:
        """A free chunk for that offset, held once; waits for one.

        :raises Stopped: after :meth:`stop`.
        """
        if not self._tickets.get():
            # For the next one who waits.
            self.stop()
            raise Stopped()
        chunk = self._free.pop()
        chunk.position = position
        chunk.length = 0
        chunk.hold()
        return chunk

    def give_back(self, chunk: Chunk) -> None:
        """The chunk is free."""
        self._free.append(chunk)
        self._tickets.put(True)

    def stop(self) -> None:
        """Wake all who wait for a chunk."""
        self._tickets.put(False)
