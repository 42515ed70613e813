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

"""Pipeline of a pass over the file: read, hash, decode and write.

::

     reader --+--> hasher                        checksum, replay check
              |
              `--> splitter --jobs--> workers    decode, sink.write
                                      zeroer     sink.zero

A buffer (a chunk) holds a MiB of the file and is counted by its holders. The
reader takes it from the pool, fills it and hands it to the hasher and the
splitter; each job that is cut from it is one more holder. The last one to
release it gives it back to the pool. So the number of chunks in flight rises
with each read and falls with the slowest of hasher, splitter and workers;
when the pool is empty the reader waits. That is the bound of the memory.

The number of jobs in flight rises when the splitter has a free place for one,
and falls when a worker has written it. No thread waits for one that stands
before it in the picture, so they cannot lock each other up. A splitter that
unpacks holds chunks of a second pool, for bytes of the disk, until a worker
has written them.

All work on bytes is in C, without the interpreter's lock. The first error
stops everything.
"""

from collections.abc import Callable
from collections.abc import Iterator
import hashlib
import mmap
import os
import queue
import threading
import time
import typing

from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine import memory
from ironic_imagedeploy.engine.sources import base
from ironic_imagedeploy.engine.sources import recorded
from ironic_imagedeploy.engine.transfer import buffers
from ironic_imagedeploy.engine.transfer import jobs
from ironic_imagedeploy.engine.transfer import meter as _meter

Stage = _meter.Stage

#: Bytes of the disk that a worker gathers for one write.
_GATHER = 1 << 20
#: From this size on bytes are written from where they are, or zeroed.
_LARGE = 256 << 10
#: Jobs that wait.
_JOBS = 16
#: Bytes zeroed by one call, so that a stop is not waited for too long.
_ZERO_STEP = 256 << 20
#: While one waits for the disk another decodes.
_WORKERS_PER_PROCESSOR = 2
_MOST_WORKERS = 16


class Sink(typing.Protocol):
    """Takes the bytes of the disk, from several threads, in any sequence."""

    def write(self, start: int, view: memoryview) -> None:
        """Take bytes for that offset of the disk."""

    def zero(self, start: int, length: int) -> None:
        """Take zeroes for that range of the disk."""


class Pipeline:
    """The threads of one pass over one file.

    :param source: the file.
    :param splitter: splits it into jobs for the disk.
    :param replay_check: compares the file with what was read before.
    :param sink: takes the bytes of the disk.
    :param algorithm: of the checksum of the file.
    :param meter: counts; it also calls back now and then, from the thread
        that calls :meth:`run`.
    :param workers: threads that decode and write; None: two a processor.
    """

    def __init__(self, source: base.Source, splitter: jobs.Splitter,
                 replay_check: recorded.ReplayCheck, sink: Sink, *,
                 algorithm: str, meter: _meter.Meter,
                 workers: int | None = None) -> None:
        self._source = source
        self._splitter = splitter
        self._replay_check = replay_check
        self._sink = sink
        self._meter = meter
        self._workers = workers or min(
            _WORKERS_PER_PROCESSOR * (os.cpu_count() or 1), _MOST_WORKERS)
        self._hash = hashlib.new(algorithm, usedforsecurity=False)
        self._to_split: queue.SimpleQueue[buffers.Chunk | None] = (
            queue.SimpleQueue())
        self._to_hash: queue.SimpleQueue[buffers.Chunk | None] = (
            queue.SimpleQueue())
        self._jobs: queue.SimpleQueue[jobs.Job | None] = queue.SimpleQueue()
        self._room = threading.Semaphore(_JOBS)
        self._stopped = threading.Event()
        self._error: BaseException | None = None
        self._error_lock = threading.Lock()

    def run(self) -> str:
        """Send all of the file through.

        :returns: the checksum of the file in hexadecimal digits.
        :raises ImageDeployError: the first one of all threads.
        """
        reader = self._thread(self._read)
        others = [self._thread(part) for part in (
            self._hash_chunks, self._split, self._zero,
            *[self._work] * self._workers)]
        try:
            for thread in (reader, *others):
                while thread.is_alive() and not self._stopped.is_set():
                    thread.join(_meter.TICK)
                    self._meter.tick()
        except BaseException as error:
            self._stop(error)
        # Nothing may be written after this method has returned. The reader
        # writes nothing, and may be waiting for a silent server.
        for thread in others:
            thread.join()
        if self._error:
            reader.join(_meter.TICK)
            raise self._error
        self._meter.tick()
        return self._hash.hexdigest()

    def _thread(self, part: Callable[[], None]) -> threading.Thread:
        def guarded() -> None:
            try:
                part()
            except buffers.Stopped:
                pass
            except BaseException as error:
                self._stop(error)
        thread = threading.Thread(target=guarded, name=part.__name__,
                                  daemon=True)
        thread.start()
        return thread

    def _stop(self, error: BaseException) -> None:
        with self._error_lock:
            self._error = self._error or error
        self._stopped.set()
        self._splitter.stop()
        self._room.release()
        self._end_of_file()
        self._end_of_jobs()

    def _end_of_file(self) -> None:
        self._to_hash.put(None)
        self._to_split.put(None)

    def _end_of_jobs(self) -> None:
        for _ in range(self._workers):
            self._jobs.put(None)

    def _read(self) -> None:
        source = self._source
        incoming = source.open_stream()
        position = 0
        try:
            while True:
                chunk = self._fill(incoming.readinto, position)
                position = chunk.end
                if not chunk.length:
                    break
                chunk.hold()
                self._to_hash.put(chunk)
                self._to_split.put(chunk)
        finally:
            incoming.close()
        if position != source.size:
            raise exceptions.SourceTruncated(
                source.name, expected=f'{source.size} bytes',
                found=f'the end after {position} bytes',
                fix='Fetch the image file again.')
        self._end_of_file()

    def _fill(self, readinto: Callable[[memoryview], int], position: int
              ) -> buffers.Chunk:
        """Chunk of the bytes that follow; an empty one at the end."""
        with self._meter.spend(Stage.WAIT):
            chunk = self._splitter.pool.take(position)
        with self._meter.spend(Stage.SOURCE):
            while chunk.length < buffers.CHUNK_SIZE:
                if self._stopped.is_set():
                    raise buffers.Stopped()
                count = readinto(chunk.memory[chunk.length:])
                if not count:
                    break
                chunk.length += count
                self._meter.count(read=count)
        return chunk

    def _split(self) -> None:
        while chunk := self._to_split.get():
            self._submit(self._splitter.split(chunk))
            chunk.release()
        if not self._stopped.is_set():
            self._submit(self._splitter.finish())
            self._end_of_jobs()

    def _submit(self, ready: Iterator[jobs.Job]) -> None:
        for job in ready:
            self._room.acquire()
            if self._stopped.is_set():
                raise buffers.Stopped()
            self._jobs.put(job)

    def _hash_chunks(self) -> None:
        while chunk := self._to_hash.get():
            if self._stopped.is_set():
                return
            passing = chunk.view(chunk.position, chunk.end)
            with self._meter.spend(Stage.DECODE):
                self._hash.update(passing)
            self._replay_check.update(chunk.position, passing)
            chunk.release()

    def _zero(self) -> None:
        for extent in self._splitter.zeroes():
            for start in range(extent.start, extent.end, _ZERO_STEP):
                if self._stopped.is_set():
                    return
                step = min(_ZERO_STEP, extent.end - start)
                self._sink.zero(start, step)
                self._meter.advance(zeroes=step)

    def _work(self) -> None:
        gather = _Gather(self._sink)
        while job := self._jobs.get():
            if self._stopped.is_set():
                return
            self._write(job.pieces, gather)
            job.release()
            self._room.release()

    def _write(self, pieces: list[jobs.Piece], gather: '_Gather') -> None:
        seconds, length = 0.0, 0
        for piece in pieces:
            began = time.monotonic()
            view = self._splitter.decode(piece)
            seconds += time.monotonic() - began
            length += len(view)
            gather.put(piece.start, view)
        gather.flush()
        self._meter.spent(Stage.DECODE, seconds)
        if self._splitter.data_size is not None:
            self._meter.advance(data=length)


class _Gather:
    """Small neighbours, joined into one write from aligned memory."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._memory = memoryview(mmap.mmap(-1, _GATHER))
        self._start = 0
        self._length = 0

    def put(self, start: int, view: memoryview) -> None:
        """Add bytes for that offset; many at once go on their own."""
        if (start != self._start + self._length
                or self._length + len(view) > _GATHER):
            self.flush()
            self._start = start
        if len(view) >= _LARGE:
            self.flush()
            # Zeroing is as sure as writing zeroes, and often faster.
            if memory.is_zero(view):
                self._sink.zero(start, len(view))
            else:
                self._sink.write(start, view)
            self._start = start + len(view)
            return
        self._memory[self._length:self._length + len(view)] = view
        self._length += len(view)

    def flush(self) -> None:
        """Write the bytes that were gathered."""
        if self._length:
            self._sink.write(self._start, self._memory[:self._length])
            self._start += self._length
            self._length = 0
