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


"""Threads that decode and write, whoever reads the file for them.

::

     intake --jobs--> workers    decode, sink.write
                      zeroer     sink.zero

A buffer (a chunk) holds bytes of the file and is counted by its holders. The
intake takes it from the pool and fills it; each job that is cut from it is
one more holder. The last one to release it gives it back to the pool, and
when that is empty the intake waits. That is the bound of the memory.

The number of jobs in flight rises when the intake has a free place for one,
and falls when a worker has written it. No thread waits for one that stands
before it in the picture, so they cannot lock each other up.

All work on bytes is in C, without the interpreter's lock. The first error
stops everything.
"""

import abc
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence
import queue
import threading
import time

from ironic_imagedeploy.engine.transfer import buffers
from ironic_imagedeploy.engine.transfer import gather as _gather
from ironic_imagedeploy.engine.transfer import jobs
from ironic_imagedeploy.engine.transfer import meter as _meter
from ironic_imagedeploy.engine.transfer import threads

Stage = _meter.Stage
Part = Callable[[], None]

#: Jobs that wait.
_JOBS = 16
#: Workers for each processor: of three, one mostly waits for the disk, and
#: another one for the interpreter's lock.
_EACH = 3


class Pipeline(abc.ABC):
    """The threads of one pass over one file.

    :param layout: where the bytes of the disk are in the file.
    :param sink: takes the bytes of the disk.
    :param meter: counts; it also calls back now and then, from the thread
        that calls :meth:`run`.
    :param workers: threads that decode and write; None: three a processor.
    """

    def __init__(self, layout: jobs.Layout, sink: _gather.Sink, *,
                 meter: _meter.Meter, workers: int | None = None) -> None:
        self._layout = layout
        self._sink = sink
        self._meter = meter
        self._workers = workers or threads.count(_EACH)
        self._jobs: queue.SimpleQueue[jobs.Job | None] = queue.SimpleQueue()
        self._room = threading.Semaphore(_JOBS)
        self._stopped = threading.Event()
        self._ended = set[threading.Thread]()
        self._error: BaseException | None = None
        self._error_lock = threading.Lock()

    def run(self) -> None:
        """Send all of the file through.

        :raises ImageDeployError: the first one of all threads.
        """
        readers, others = list[threading.Thread](), list[threading.Thread]()
        try:
            for part in self._readers():
                readers.append(self._thread(part))
            for part in (*self._parts(), self._zero,
                         *[self._work] * self._workers):
                others.append(self._thread(part))
            self._watch([*readers, *others])
        except BaseException as error:
            self._stop(error)
        # Nothing may be written after this method has returned. A reader is
        # not waited for: it may be waiting for a silent server.
        for thread in others:
            thread.join()
        self._settle()
        if self._error:
            for thread in readers:
                thread.join(_meter.TICK / len(readers))
            raise self._error
        self._meter.tick()

    def _watch(self, running: list[threading.Thread]) -> None:
        """Wait for all threads, or until all is stopped.

        :raises RuntimeError: when one ended without a word: others would wait
            for it, or something would not be written.
        """
        while running and not self._stopped.is_set():
            running[0].join(_meter.TICK)
            self._meter.tick()
            over = [each for each in running if not each.is_alive()]
            for thread in over:
                if thread not in self._ended:
                    raise RuntimeError(f'{thread.name} did not run to its end')
            running = [each for each in running if each not in over]

    @abc.abstractmethod
    def _readers(self) -> Sequence[Part]:
        """Parts of the intake that read the file."""

    def _parts(self) -> Sequence[Part]:
        """Parts of the intake that do not."""
        return ()

    def _settle(self) -> None:
        """Wait for writes of the intake, of which none is begun any more."""
        return

    def _thread(self, part: Part) -> threading.Thread:
        def guarded() -> None:
            try:
                part()
            except buffers.Stopped:
                pass
            except BaseException as error:
                self._stop(error)
            self._ended.add(threading.current_thread())
        thread = threading.Thread(target=guarded, name=part.__name__,
                                  daemon=True)
        threads.start(thread)
        return thread

    def _stop(self, error: BaseException) -> None:
        with self._error_lock:
            self._error = self._error or error
        self._stopped.set()
        self._layout.stop()
        self._room.release()
        self._end_of_jobs()

    def _end_of_jobs(self) -> None:
        for _ in range(self._workers):
            self._jobs.put(None)

    def _submit(self, ready: Iterable[jobs.Job]) -> None:
        """Hand jobs out, each when there is room for it."""
        for job in ready:
            self._room.acquire()
            if self._stopped.is_set():
                # For the next one who waits.
                self._room.release()
                raise buffers.Stopped()
            self._jobs.put(job)

    def _zero(self) -> None:
        for extent in self._layout.zeroes():
            for start in range(extent.start, extent.end,
                               self._sink.zero_step):
                if self._stopped.is_set():
                    return
                step = min(self._sink.zero_step, extent.end - start)
                self._sink.zero(start, step)
                self._meter.advance(zeroes=step)

    def _work(self) -> None:
        gather = _gather.Gather(self._sink)
        while job := self._jobs.get():
            if self._stopped.is_set():
                return
            self._write(job.pieces, gather)
            job.release()
            self._room.release()

    def _write(self, pieces: list[jobs.Piece], gather: _gather.Gather
               ) -> None:
        # For each of a million clusters, with the interpreter's lock held.
        put, now = gather.put, time.monotonic
        seconds, length = 0.0, 0
        began = now()
        for piece, view in zip(pieces, self._layout.decode(pieces),
                               strict=True):
            seconds += now() - began
            length += len(view)
            put(piece.start, view)
            began = now()
        gather.flush()
        self._meter.spent(Stage.DECODE, seconds)
        if self._layout.data_size is not None:
            self._meter.advance(data=length)
