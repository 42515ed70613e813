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


"""Pipeline of a file with a manifest: every chunk stands for itself.

::

     lane   fetch a run, verify, cut, write --jobs--+
     lane   fetch a run, verify, cut, write --jobs--+--> workers
     lane   fetch a run, verify, cut, write --jobs--+

Each lane takes the next run of the plan and fetches its chunks, one after the
other, into buffers of the pool. A chunk that was not verified never leaves
its lane. No order is kept between the lanes, since no chunk is needed to
know that another one is right. What has to be decoded becomes jobs for the
workers; all else the lane writes itself, while others fetch.
"""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import threading
import time

from ironic_imagedeploy.engine.formats import base
from ironic_imagedeploy.engine.sources import chunked
from ironic_imagedeploy.engine.transfer import buffers
from ironic_imagedeploy.engine.transfer import chunk_plan
from ironic_imagedeploy.engine.transfer import cutter
from ironic_imagedeploy.engine.transfer import gather as _gather
from ironic_imagedeploy.engine.transfer import meter as _meter
from ironic_imagedeploy.engine.transfer import pipeline

Stage = _meter.Stage

#: Lanes, each with a connection: what four of them verify fills a network of
#: 25 Gbit/s.
LANES = 4


class ChunkPipeline(pipeline.Pipeline):
    """The threads of one pass over the chunks that a plan needs.

    :param source: of the file.
    :param image: that is in it.
    :param plan: of the chunks.
    :param sink: takes the bytes of the disk.
    :param meter: counts; it also calls back now and then, from the thread
        that calls :meth:`run`.
    :param workers: threads that decode and write; None: three a processor.
    :param written: called with the index of a chunk when all that begins in
        it is on the disk, by the thread that wrote the last of it. Zeroes
        may be missing then. Not for chunks with bytes of the disk's ends.
    """

    def __init__(self, source: chunked.ChunkedSource,
                 image: base.MappedImage, plan: chunk_plan.ChunkPlan,
                 sink: _gather.Sink, *, meter: _meter.Meter,
                 workers: int | None = None,
                 written: Callable[[int], None] | None = None) -> None:
        super().__init__(plan, sink, meter=meter, workers=workers)
        self._source = source
        self._image = image
        self._plan = plan
        self._written = written
        self._lock = threading.Lock()
        self._runs = plan.runs()
        self._lanes = LANES
        self._writers: list[_Writer] = []

    def run(self) -> None:
        self._source.end_look()
        super().run()

    def _readers(self) -> Sequence[pipeline.Part]:
        return [self._lane] * self._lanes

    def _settle(self) -> None:
        for writer in self._writers:
            writer.settle()

    def _lane(self) -> None:
        writer = _Writer(self._stopped, self._sink)
        with self._lock:
            self._writers.append(writer)
        while run := self._next():
            self._fetch(run, writer)
        with self._lock:
            self._lanes -= 1
            last = not self._lanes
        if last:
            self._end_of_jobs()

    def _next(self) -> chunk_plan.Run | None:
        with self._lock:
            if self._stopped.is_set():
                raise buffers.Stopped()
            return next(self._runs, None)

    def _fetch(self, run: chunk_plan.Run, writer: '_Writer') -> None:
        """Fetch and cut the chunks of a run, one after the other."""
        cut = cutter.Cut(self._image, run.extents)
        receipts = _Receipts(self._source.manifest.chunk_size)
        for indexes, last in _spans(run, self._source.manifest.chunk_size):
            chunk = self._filled(indexes, last, run)
            for index in indexes:
                if self._written and index < run.next and (
                        index not in self._plan.have
                        and index not in self._plan.ends):
                    receipts.begin(index, self._written)
            receipts.hold(chunk)
            for job in cut.split(chunk):
                began = time.monotonic()
                if job.is_plain:
                    with writer.begun():
                        self._write(job.pieces, writer.gather)
                    job.release()
                else:
                    self._submit([job])
                self._meter.spent(Stage.WAIT, time.monotonic() - began)
            receipts.settle(cut.waiting(1 << 64))
            chunk.release()

    def _filled(self, indexes: range, last: int, run: chunk_plan.Run
                ) -> buffers.Chunk:
        """Verified chunks in a buffer, held once."""
        start = self._source.manifest.bounds(indexes[0])[0]
        length = self._source.manifest.bounds(indexes[-1])[1] - start
        with self._meter.spend(Stage.WAIT):
            chunk = self._plan.pool.take(start)
        began = time.monotonic()
        if run.is_shared(indexes[0]):
            filled = self._source.fill_chunk(
                indexes[0], chunk.memory[:length], last, shared=True)
        else:
            filled = self._source.fill_chunks(
                indexes, chunk.memory[:length], last)
        seconds = time.monotonic() - began
        self._meter.spent(Stage.SOURCE, seconds - filled.verifying)
        self._meter.spent(Stage.VERIFY, filled.verifying)
        self._meter.count(read=filled.fetched)
        if self._stopped.is_set():
            raise buffers.Stopped()
        chunk.length = length
        return chunk


class _Writer:
    """Writes of a lane, of which none begins when all was stopped.

    :param stopped: set before :meth:`settle`.
    """

    def __init__(self, stopped: threading.Event, sink: _gather.Sink) -> None:
        self.gather = _gather.Gather(sink)
        self._stopped = stopped
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def begun(self) -> Iterator[None]:
        """Write inside.

        :raises Stopped: when that is too late.
        """
        with self._lock:
            if self._stopped.is_set():
                raise buffers.Stopped()
            yield

    def settle(self) -> None:
        """Wait for the write that was begun."""
        with self._lock:
            return


class _Receipt:
    """Count of those who have to write what begins in a chunk."""

    def __init__(self, index: int, written: Callable[[int], None]) -> None:
        self.index = index
        self._written = written
        self._count = 1
        self._lock = threading.Lock()

    def hold(self) -> None:
        """Add one of them."""
        with self._lock:
            self._count += 1

    def release(self) -> None:
        """Remove one of them; the last one has written all."""
        with self._lock:
            self._count -= 1
            done = not self._count
        if done:
            self._written(self.index)


class _Receipts:
    """Receipts of chunks that may be waiting for the next one."""

    def __init__(self, chunk_size: int) -> None:
        self._chunk_size = chunk_size
        self._waiting: list[_Receipt] = []

    def begin(self, index: int, written: Callable[[int], None]) -> None:
        """Add a chunk, of which nothing is written."""
        self._waiting.append(_Receipt(index, written))

    def hold(self, chunk: buffers.Chunk) -> None:
        """Let all of them wait for the jobs of a chunk."""
        for receipt in self._waiting:
            receipt.hold()
            chunk.when_free(receipt.release)

    def settle(self, waiting: int) -> None:
        """Release those before the first byte that waits for a chunk."""
        ready = [receipt for receipt in self._waiting
                 if (receipt.index + 1) * self._chunk_size <= waiting]
        self._waiting = [receipt for receipt in self._waiting
                         if receipt not in ready]
        for receipt in ready:
            receipt.release()


def _spans(run: chunk_plan.Run, chunk_size: int
           ) -> Iterator[tuple[range, int]]:
    """Neighbouring chunks for one buffer each, shared ones for themselves.

    :returns: their indexes, and that of the last chunk after them that is to
        be had by the same request.
    """
    most = chunk_plan.BUFFER // chunk_size
    chunks = run.chunks
    first = 0
    while first < len(chunks):
        end = first + 1
        # What the next run has fetched is not asked for with the others.
        while end < len(chunks) and (
                chunks[end] == chunks[end - 1] + 1 < run.next):
            end += 1
        index, last = chunks[first], chunks[end - 1]
        while index <= last:
            after = index + 1 if run.is_shared(index) else min(
                index + most, last + 1)
            yield range(index, after), last
            index = after
        first = end
