#!/usr/bin/env python3
#
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


import itertools
import threading
import typing
from unittest import mock

from ironic_imagedeploy.engine import extent as _extent
from ironic_imagedeploy.engine.transfer import buffers
from ironic_imagedeploy.engine.transfer import gather
from ironic_imagedeploy.engine.transfer import jobs
from ironic_imagedeploy.engine.transfer import meter
from ironic_imagedeploy.engine.transfer import pipeline
from ironic_imagedeploy.engine.transfer import threads
from tests.unit.engine import base
from tests.unit.engine import recording
from tests.unit.engine import transfers

KIB = base.KIB
PIECE = 4 * KIB
DATA = _extent.ExtentKind.DATA
ZERO = _extent.ExtentKind.ZERO


class Layout(jobs.Layout):
    """A disk that is stored in one chunk, in its sequence."""

    def __init__(self, content: bytes, zeroes: list[tuple[int, int]]) -> None:
        self.pool = buffers.BufferPool(1, max(len(content), 1))
        self.data_size = len(content)
        self.zero_size = sum(length for _, length in zeroes)
        self._zeroes = zeroes

    def zeroes(self) -> typing.Iterator[_extent.Extent]:
        for start, length in self._zeroes:
            yield _extent.Extent(start, length, ZERO)


class Sink:
    """A disk in memory that keeps the zeroes that it is asked for."""

    zero_step = 10

    def __init__(self, size: int) -> None:
        self.disk = bytearray([recording.OLD]) * size
        self.zeroes: list[tuple[int, int]] = []

    def write(self, start: int, view: memoryview) -> None:
        self.disk[start:start + len(view)] = view

    def zero(self, start: int, length: int) -> None:
        self.zeroes.append((start, length))


class Clock:
    """Seconds that pass only when a test lets them."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now


class Intake(pipeline.Pipeline):
    """Hands out the whole disk, a piece in each job.

    :ivar settled: how often it was asked to settle.
    """

    def __init__(self, content: bytes, layout: Layout, sink: Sink,
                 **options: typing.Any) -> None:
        super().__init__(layout, sink, **options)
        self.content = content
        self.settled = 0

    def _readers(self) -> typing.Sequence[pipeline.Part]:
        return self.read,

    def _settle(self) -> None:
        self.settled += 1

    def read(self) -> None:
        chunk = self._layout.pool.take(0)
        chunk.memory[:len(self.content)] = self.content
        chunk.length = len(self.content)
        self._submit(self.jobs(chunk))
        chunk.release()
        self._end_of_jobs()

    def jobs(self, chunk: buffers.Chunk) -> typing.Iterator[jobs.Job]:
        for start in range(0, chunk.length, PIECE):
            stored = chunk.view(start, min(start + PIECE, chunk.end))
            yield jobs.Job.hold([jobs.Piece(start, _extent.Extent(
                start, len(stored), DATA, start, len(stored)), stored)],
                chunk)


class PipelineTest(base.EngineTestCase):

    size = 40 * PIECE + 5

    def setUp(self) -> None:
        super().setUp()
        self.content = transfers.noise(self.size)
        self.sink = Sink(self.size)
        self.told: list[meter.Progress] = []
        self.meter = meter.Meter(self.told.append)
        self.clock = Clock()
        self.enterContext(mock.patch.object(pipeline, 'time', self.clock))
        self.enterContext(mock.patch.object(meter, 'TICK', 0.05))
        self.addCleanup(self.assert_no_threads)

    def intake(self, zeroes: list[tuple[int, int]] | None = None,
               **options: typing.Any) -> Intake:
        self.layout = Layout(self.content, zeroes or [])
        self.meter.enter_pass('write', file=0, data=self.layout.data_size,
                              zeroes=self.layout.zero_size)
        return Intake(self.content, self.layout, self.sink,
                      meter=self.meter, **{'workers': 2, **options})

    def test_each_piece_is_written_where_it_belongs(self) -> None:
        running = self.intake()
        running.run()
        self.assert_same(self.content, self.sink.disk)
        self.assertEqual(1, running.settled)
        # Its chunk is free again.
        self.layout.pool.take(0)

    def test_what_is_done_is_told(self) -> None:
        running = self.intake([(5, 25)])
        with mock.patch.object(self.meter, 'advance',
                               autospec=True) as told:
            running.run()
        counts = [call.kwargs for call in told.mock_calls]
        self.assertEqual(self.size, sum(
            each.get('data', 0) for each in counts))
        self.assertEqual(25, sum(each.get('zeroes', 0) for each in counts))

    def test_what_grows_by_itself_is_not_told(self) -> None:
        running = self.intake()
        self.layout.data_size = None
        with mock.patch.object(self.meter, 'advance',
                               autospec=True) as told:
            running.run()
        told.assert_not_called()

    def test_the_end_is_told(self) -> None:
        self.intake([(5, 25)]).run()
        self.assertEqual(('write', self.size, self.size),
                         self.told[-1][:3])
        self.assertEqual(0, self.told[-1].seconds_left)

    def test_zeroes_are_made_in_steps(self) -> None:
        self.content = b''
        self.intake([(5, 25), (100, 10), (200, 3)]).run()
        self.assertEqual([(5, 10), (15, 10), (25, 5), (100, 10), (200, 3)],
                         self.sink.zeroes)

    def test_workers(self) -> None:
        for workers, expected in ((1, 1), (5, 5), (None, threads.count(3))):
            with mock.patch.object(threads, 'start', autospec=True,
                                   side_effect=threads.start) as started:
                self.intake(workers=workers).run()
            names = [call.args[0].name for call in started.mock_calls]
            self.assertEqual(['read', '_zero', *['_work'] * expected], names)
            self.assertTrue(all(call.args[0].daemon
                                for call in started.mock_calls))

    def test_a_full_pipeline_waits(self) -> None:
        """For a worker, with as many jobs in flight as there is room for."""
        resumed = threading.Event()
        taken = itertools.count()
        running = self.intake(workers=1)
        write, cut = self.sink.write, running.jobs

        def slow(start: int, view: memoryview) -> None:
            resumed.wait(30)
            write(start, view)

        def counted(chunk: buffers.Chunk) -> typing.Iterator[jobs.Job]:
            for job in cut(chunk):
                next(taken)
                yield job

        self.sink.write = slow  # type: ignore[method-assign]
        running.jobs = counted  # type: ignore[method-assign]
        thread = threading.Thread(target=running.run)
        thread.start()
        thread.join(0.1)
        # One more waits for room.
        self.assertEqual(17, next(taken))
        resumed.set()
        thread.join(30)
        self.assert_same(self.content, self.sink.disk)

    def test_the_first_error_is_raised(self) -> None:
        """When all that writes has ended, and what it began is settled."""
        first, later = KeyError('first'), KeyError('later')
        running = self.intake()

        def fail(start: int, view: memoryview) -> None:
            raise first

        def fail_later() -> None:
            running._stopped.wait(30)
            raise later

        self.sink.write = fail  # type: ignore[method-assign]
        running._parts = lambda: [fail_later]  # type: ignore
        with self.assertRaises(KeyError) as caught:
            running.run()
        self.assertIs(first, caught.exception)
        self.assertEqual(1, running.settled)

    def test_a_reader_that_waits_is_left_behind(self) -> None:
        resumed = threading.Event()
        running = self.intake()

        def wait() -> None:
            resumed.wait(30)

        def fail() -> None:
            raise KeyError('broken')

        running._readers = lambda: [wait, wait]  # type: ignore
        running._parts = lambda: [fail]  # type: ignore
        self.assertRaises(KeyError, running.run)
        left = set(threading.enumerate()) - self._threads
        self.assertEqual(['wait', 'wait'], [each.name for each in left])
        resumed.set()
        for thread in left:
            thread.join()

    def test_who_waits_for_room_is_woken(self) -> None:
        """One after the other, and nothing of theirs is written."""
        running = self.intake()
        begun, ended = threading.Event(), list[str]()

        def wait() -> None:
            begun.set()
            chunk = buffers.BufferPool(1, self.size).take(0)
            chunk.length = self.size
            try:
                running._submit(running.jobs(chunk))
            except buffers.Stopped:
                ended.append('stopped')
                raise

        def fail() -> None:
            begun.wait(30)
            raise KeyError('broken')

        running._readers = lambda: [wait] * 3  # type: ignore
        running._parts = lambda: [fail]  # type: ignore

        def write(start: int, view: memoryview) -> None:
            running._stopped.wait(30)

        self.sink.write = write  # type: ignore[method-assign]
        self.assertRaises(KeyError, running.run)
        self.assertEqual(['stopped'] * 3, ended)

    def test_no_zeroes_after_a_stop(self) -> None:
        running = self.intake([(0, 20), (100, 20)])

        def fail(start: int, length: int) -> None:
            self.sink.zeroes.append((start, length))
            raise KeyError('broken')

        self.sink.zero = fail  # type: ignore[method-assign]
        self.assertRaises(KeyError, running.run)
        self.assertEqual([(0, 10)], self.sink.zeroes)

    def test_seconds_of_decoding(self) -> None:
        """Those of the layout, without those of the disk."""
        def decode(pieces: typing.Any) -> typing.Iterator[memoryview]:
            for piece in pieces:
                self.clock.now += 2
                yield piece.stored

        def write(start: int, view: memoryview) -> None:
            self.clock.now += 100

        self.enterContext(mock.patch.object(gather, '_LARGE', 1))
        running = self.intake()
        running.jobs = lambda chunk: [  # type: ignore
            jobs.Job.hold([piece for job in Intake.jobs(running, chunk)
                           for piece in job.pieces][:3], chunk)]
        self.layout.decode = decode  # type: ignore[method-assign]
        self.sink.write = write  # type: ignore[method-assign]
        with mock.patch.object(self.meter, 'spent', autospec=True) as spent:
            running.run()
        spent.assert_called_once_with(meter.Stage.DECODE, 6)
