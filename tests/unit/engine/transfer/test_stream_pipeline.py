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

import ctypes
import hashlib
import threading
import time
import typing
from unittest import mock

from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine import extent as _extent
from ironic_imagedeploy.engine.formats import base as formats
from ironic_imagedeploy.engine.sources import recorded
from ironic_imagedeploy.engine.transfer import buffers
from ironic_imagedeploy.engine.transfer import cutter
from ironic_imagedeploy.engine.transfer import meter
from ironic_imagedeploy.engine.transfer import sinks
from ironic_imagedeploy.engine.transfer import stream_pipeline
from tests.unit.engine import base
from tests.unit.engine import memory
from tests.unit.engine import recording
from tests.unit.engine import transfers

KIB = base.KIB
MIB = base.MIB
DATA = _extent.ExtentKind.DATA
COMPRESSED = _extent.ExtentKind.COMPRESSED
ZERO = _extent.ExtentKind.ZERO


class DoublingImage(formats.MappedImage):
    """Compressed extents are the stored bytes twice."""

    format_name = 'doubling'

    def decode(self, extent: formats.Extent, stored: typing.Any) -> bytes:
        return bytes(stored) * 2


class ListSink:
    """A disk in memory and the writes that it took."""

    zero_step = 256 << 20

    def __init__(self, size: int) -> None:
        self.disk = bytearray(b'\xa5') * size
        self.writes: list[tuple[int, int]] = []
        self.zeroes: list[tuple[int, int]] = []
        self.misaligned = 0

    def write(self, start: int, view: memoryview) -> None:
        self.writes.append((start, len(view)))
        if ctypes.addressof(ctypes.c_char.from_buffer(view)) % 512:
            self.misaligned += 1
        self.disk[start:start + len(view)] = view

    def zero(self, start: int, length: int) -> None:
        self.zeroes.append((start, length))
        if length <= len(self.disk):
            self.disk[start:start + length] = bytes(length)


class PipelineTestCase(base.EngineTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.source = memory.MemorySource(transfers.noise(4 * MIB))
        self.image = DoublingImage(self.source)
        self.meter = meter.Meter()
        self.addCleanup(self.assert_no_threads)

    def add(self, length: int, kind: _extent.ExtentKind, offset: int = 0
            ) -> None:
        """The next extent; a compressed one stores half of its bytes."""
        stored = {DATA: length, COMPRESSED: length // 2, ZERO: 0}[kind]
        self.image.map.append(length, kind, offset, stored)

    def expected(self) -> bytes:
        """The disk, one extent after the other."""
        disk = bytearray()
        for extent in self.image.extents():
            stored = self.source.content[extent.source_offset:
                                         extent.source_end]
            disk += {DATA: stored, COMPRESSED: stored * 2,
                     ZERO: bytes(extent.length)}[extent.kind]
        return bytes(disk)

    def run_pipeline(self, sink: typing.Any, workers: int | None = 1) -> str:
        running = stream_pipeline.StreamPipeline(
            self.source, cutter.Cutter(self.image),
            recorded.ReplayCheck('memory', {}), sink, algorithm='sha256',
            meter=self.meter, workers=workers)
        running.run()
        return str(running.digest)

    def assert_written(self, workers: int | None = 1) -> ListSink:
        sink = ListSink(self.image.map.end)
        value = self.run_pipeline(sink, workers)
        self.assertEqual(
            hashlib.sha256(self.source.content).hexdigest(), value)
        self.assertEqual(self.source.size, self.meter.read)
        self.assert_same(self.expected(), sink.disk)
        return sink


class WriteTest(PipelineTestCase):

    def test_data_goes_from_where_it_was_read(self) -> None:
        self.add(4 * MIB, DATA)
        sink = self.assert_written()
        self.assertEqual([(start * MIB, MIB) for start in range(4)],
                         sink.writes)
        self.assertEqual(0, sink.misaligned)

    def test_small_neighbours_become_one_write(self) -> None:
        for index in range(96):
            self.add(8 * KIB, COMPRESSED, index * 4 * KIB)
        sink = self.assert_written()
        self.assertEqual([(0, 768 * KIB)], sink.writes)
        self.assertEqual(0, sink.misaligned)

    def test_no_write_is_larger_than_a_mib(self) -> None:
        for index in range(64):
            self.add(192 * KIB, COMPRESSED, index * 8 * KIB)
        sink = self.assert_written()
        self.assertLessEqual(max(length for _, length in sink.writes), MIB)

    def test_only_neighbours_on_the_disk_are_joined(self) -> None:
        for index in (5, 3, 4, 0):
            self.add(8 * KIB, DATA, index * 16 * KIB)
        sink = self.assert_written()
        self.assertEqual(
            [(24 * KIB, 8 * KIB), (8 * KIB, 16 * KIB), (0, 8 * KIB)],
            sink.writes)

    def test_small_and_large_ones_in_turn(self) -> None:
        for index in range(6):
            self.add(8 * KIB, COMPRESSED, index * 300 * KIB)
            self.add(260 * KIB, DATA, index * 300 * KIB + 4 * KIB)
        self.assert_written()

    def test_any_number_of_workers(self) -> None:
        for index in reversed(range(400)):
            self.add(8 * KIB, COMPRESSED, index * 4 * KIB)
            self.add(4 * KIB, DATA, 2 * MIB + index * 4 * KIB)
            self.add(4 * KIB, ZERO)
        for workers in (1, 2, 7, None):
            with self.subTest(workers=workers):
                self.meter = meter.Meter()
                self.assert_written(workers)

    def test_a_source_that_gives_little_at_once(self) -> None:
        self.source = memory.MemorySource(transfers.noise(300 * KIB + 7),
                                          step=1009)
        self.image = DoublingImage(self.source)
        self.add(300 * KIB, DATA, 7)
        self.assert_written()

    def test_a_stream_of_another_length(self) -> None:
        size = self.source.size
        for length in (0, size - 1, size + 1, size + 2 * MIB):
            self.source.streamed = transfers.noise(5 * MIB + length)[:length]
            self.image = DoublingImage(self.source)
            self.add(size, DATA)
            with (self.subTest(length=length),
                  self.assertRaises(exceptions.SourceTruncated) as caught):
                self.run_pipeline(ListSink(size))
            self.assertEqual(
                (f'{size} bytes', f'the end after {length} bytes'),
                (caught.exception.expected, caught.exception.found))
            self.assertEqual(1, self.source.streams[-1].closed)

    def test_a_file_whose_checksum_nobody_needs(self) -> None:
        self.add(4 * MIB, DATA)
        sink = ListSink(4 * MIB)
        running = stream_pipeline.StreamPipeline(
            self.source, cutter.Cutter(self.image),
            recorded.ReplayCheck('memory', {}), sink, algorithm=None,
            meter=self.meter)
        running.run()
        self.assertIsNone(running.digest)
        self.assert_same(self.expected(), sink.disk)

    def test_an_empty_file(self) -> None:
        self.source = memory.MemorySource(b'')
        self.image = DoublingImage(self.source)
        self.add(MIB, ZERO)
        self.assert_written()

    def test_zeroes_that_are_compared_are_told_as_they_are_read(self
                                                                ) -> None:
        self.add(64 * MIB, ZERO)
        target = recording.RecordingTarget(64 * MIB)
        target.disk[:] = bytes(64 * MIB)
        with mock.patch.object(self.meter, 'advance', autospec=True) as told:
            self.run_pipeline(sinks.ComparingSink(target, self.meter))
        steps = [call.kwargs.get('zeroes', 0)
                 for call in told.call_args_list]
        self.assertEqual(64 * MIB, sum(steps))
        self.assertLessEqual(max(steps), 16 * MIB)

    def test_a_stop_need_not_wait_for_all_zeroes(self) -> None:
        self.add(1 << 40, ZERO)
        sink = ListSink(0)

        def fail_later(start: int, length: int) -> None:
            sink.zeroes.append((start, length))
            if len(sink.zeroes) == 5:
                raise KeyError('enough')

        sink.zero = fail_later  # type: ignore[method-assign]
        self.assertRaises(KeyError, self.run_pipeline, sink)
        self.assertEqual(5, len(sink.zeroes))
        self.assertLessEqual(max(length for _, length in sink.zeroes),
                             256 * MIB)
        self.assertEqual([256 * MIB * index for index in range(5)],
                         [start for start, _ in sink.zeroes])


class BoundTest(PipelineTestCase):

    def test_a_slow_disk_stops_the_reader(self) -> None:
        """What is in flight is bounded, however large the file is."""
        size = 64 * MIB
        self.source = memory.MemorySource(b'1' * size)
        self.image = DoublingImage(self.source)
        self.add(size, DATA)
        resumed = threading.Event()

        class SlowSink(ListSink):
            def write(self, start: int, view: memoryview) -> None:
                resumed.wait(30)
                super().write(start, view)

        sink = SlowSink(size)
        running = threading.Thread(target=self.run_pipeline, args=(sink,))
        running.start()
        end, held = time.monotonic() + 20, -1
        while (held <= 2 * MIB or held != self.meter.read
               ) and time.monotonic() < end:
            held = self.meter.read
            running.join(0.3)
        self.assertLessEqual(held, buffers.CHUNKS * buffers.CHUNK_SIZE)
        self.assertGreater(held, 2 * MIB)
        resumed.set()
        running.join(30)
        self.assertEqual(size, self.meter.read)

    def test_too_many_clusters_on_the_same_bytes(self) -> None:
        for _ in range(5000):
            self.add(64, COMPRESSED, MIB - 16)
        with self.assertRaises(exceptions.ImageRefused) as caught:
            self.run_pipeline(ListSink(self.image.map.end))
        self.assertEqual('corrupt', caught.exception.findings[0].code)


class ErrorTest(PipelineTestCase):

    def test_the_error_of_a_worker_is_raised_as_it_is(self) -> None:
        self.add(4 * MIB, DATA)
        sink = ListSink(4 * MIB)
        error = MemoryError('no more')

        def fail(start: int, view: memoryview) -> None:
            raise error

        sink.write = fail  # type: ignore[method-assign]
        for workers in (1, 4):
            with self.assertRaises(MemoryError) as caught:
                self.run_pipeline(sink, workers)
            self.assertIs(error, caught.exception)

    def test_a_thread_that_dies_without_a_word(self) -> None:
        """As one into which another program's trace function fails."""
        self.add(4 * MIB, DATA)
        run = threading.Thread.run
        for name in ('_read', '_hash_chunks', '_split', '_zero', '_work'):
            def die(thread: threading.Thread, name: str = name) -> None:
                if thread.name != name:
                    run(thread)

            with (self.subTest(name), mock.patch.object(
                    threading.Thread, 'run', die),
                  self.assertRaisesRegex(RuntimeError, name)):
                self.run_pipeline(ListSink(4 * MIB), 2)

    def test_no_memory_for_a_thread(self) -> None:
        """What was started before has ended, and writes nothing later."""
        self.add(4 * MIB, DATA)
        for left in range(5):
            with (self.subTest(left), self.few_threads(left),
                  self.assertRaises(exceptions.OutOfMemory)):
                self.run_pipeline(ListSink(4 * MIB), 2)
            self.assert_no_threads()

    def test_the_error_of_the_decoder_is_raised_as_it_is(self) -> None:
        error = KeyError('what is this')

        class Undecodable(DoublingImage):
            def decode(self, extent: formats.Extent, stored: typing.Any
                       ) -> typing.NoReturn:
                raise error

        self.image = Undecodable(self.source)
        for index in range(1000):
            self.add(64, COMPRESSED, index * 4 * KIB)
        with self.assertRaises(KeyError) as caught:
            self.run_pipeline(ListSink(64 * 1000), 2)
        self.assertIs(error, caught.exception)

    def test_what_was_read_before_stops_it(self) -> None:
        self.add(4 * MIB, DATA)
        seen = {(100, 50): hashlib.sha256(b'other').digest()}
        running = stream_pipeline.StreamPipeline(
            self.source, cutter.Cutter(self.image),
            recorded.ReplayCheck('memory', seen), ListSink(4 * MIB),
            algorithm='sha256', meter=self.meter)
        self.assertRaises(exceptions.SourceChanged, running.run)

    def test_the_listener_is_called_while_it_runs_and_may_stop_it(
            self) -> None:
        self.add(4 * MIB, DATA)

        def stop(progress: meter.Progress) -> None:
            raise KeyboardInterrupt

        self.meter = meter.Meter(stop)
        self.assertRaises(KeyboardInterrupt, self.run_pipeline,
                          ListSink(4 * MIB))
