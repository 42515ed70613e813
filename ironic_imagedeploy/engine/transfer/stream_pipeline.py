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


"""Pipeline of a file that is read from its first byte to its last.

::

     reader --+--> hasher                        checksum, replay check
              |
              `--> splitter --jobs--> workers

The reader fills a chunk of a MiB and hands it to the hasher and the splitter;
each of them, and each job, holds it. So the number of chunks in flight rises
with each read and falls with the slowest of hasher, splitter and workers. A
splitter that unpacks holds chunks of a second pool, for bytes of the disk,
until a worker has written them.
"""

from collections.abc import Callable
from collections.abc import Sequence
import hashlib
import queue

from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.sources import base
from ironic_imagedeploy.engine.sources import recorded
from ironic_imagedeploy.engine.transfer import buffers
from ironic_imagedeploy.engine.transfer import gather as _gather
from ironic_imagedeploy.engine.transfer import jobs
from ironic_imagedeploy.engine.transfer import meter as _meter
from ironic_imagedeploy.engine.transfer import pipeline

Stage = _meter.Stage


class StreamPipeline(pipeline.Pipeline):
    """The threads of one pass over one file, in its sequence.

    :param source: the file.
    :param splitter: splits it into jobs for the disk.
    :param replay_check: compares the file with what was read before.
    :param sink: takes the bytes of the disk.
    :param algorithm: of the checksum of the file; None to compute none.
    :param meter: counts; it also calls back now and then, from the thread
        that calls :meth:`run`.
    :param workers: threads that decode and write; None: three a processor.
    """

    def __init__(self, source: base.Source, splitter: jobs.Splitter,
                 replay_check: recorded.ReplayCheck, sink: _gather.Sink, *,
                 algorithm: str | None, meter: _meter.Meter,
                 workers: int | None = None) -> None:
        super().__init__(splitter, sink, meter=meter, workers=workers)
        self._source = source
        self._splitter = splitter
        self._replay_check = replay_check
        self._hash = hashlib.new(
            algorithm, usedforsecurity=False) if algorithm else None
        self._to_split: queue.SimpleQueue[buffers.Chunk | None] = (
            queue.SimpleQueue())
        self._to_hash: queue.SimpleQueue[buffers.Chunk | None] = (
            queue.SimpleQueue())

    @property
    def digest(self) -> str | None:
        """Checksum of the file in hexadecimal digits, after it has run."""
        return self._hash.hexdigest() if self._hash else None

    def _readers(self) -> Sequence[pipeline.Part]:
        return (self._read,)

    def _parts(self) -> Sequence[pipeline.Part]:
        return self._hash_chunks, self._split

    def _stop(self, error: BaseException) -> None:
        super()._stop(error)
        self._end_of_file()

    def _end_of_file(self) -> None:
        self._to_hash.put(None)
        self._to_split.put(None)

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
                if self._hash:
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

    def _hash_chunks(self) -> None:
        while self._hash and (chunk := self._to_hash.get()):
            if self._stopped.is_set():
                return
            passing = chunk.view(chunk.position, chunk.end)
            with self._meter.spend(Stage.DECODE):
                self._hash.update(passing)
            self._replay_check.update(chunk.position, passing)
            chunk.release()
