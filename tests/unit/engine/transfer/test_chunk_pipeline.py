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


import threading
import time
import typing
from unittest import mock

from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine import extent as _extent
from ironic_imagedeploy.engine.formats import base as formats
from ironic_imagedeploy.engine import manifest
from ironic_imagedeploy.engine.sources import chunked
from ironic_imagedeploy.engine.transfer import chunk_pipeline
from ironic_imagedeploy.engine.transfer import chunk_plan
from ironic_imagedeploy.engine.transfer import meter
from tests.unit.engine import base
from tests.unit.engine import manifests
from tests.unit.engine import memory
from tests.unit.engine import transfers

MIB = base.MIB
COMPRESSED = _extent.ExtentKind.COMPRESSED
DATA = _extent.ExtentKind.DATA


class StoredImage(formats.MappedImage):
    """An image whose compressed clusters are stored as they are."""

    format_name = 'stored'

    def decode(self, extent: formats.Extent, stored: typing.Any) -> bytes:
        return bytes(stored)


class ListSink:
    """A disk in memory."""

    zero_step = 256 << 20

    def __init__(self, size: int) -> None:
        self.disk = bytearray(size)
        self.writes = 0

    def write(self, start: int, view: memoryview) -> None:
        self.disk[start:start + len(view)] = view
        self.writes += 1

    def zero(self, start: int, length: int) -> None:
        self.disk[start:start + length] = bytes(length)


class ChunkPipelineTest(base.EngineTestCase):

    size = 48 * MIB

    def setUp(self) -> None:
        super().setUp()
        self.content = transfers.noise(self.size)
        self.origin = memory.MemorySource(self.content)
        self.sink = ListSink(self.size)
        self.meter = meter.Meter()
        self.addCleanup(self.assert_no_threads)

    def pipeline(self, kind: _extent.ExtentKind = DATA,
                 length: int = 48 * MIB, **options: typing.Any
                 ) -> chunk_pipeline.ChunkPipeline:
        image = StoredImage(self.origin)
        for start in range(0, self.size, length):
            count = min(length, self.size - start)
            image.map.append(count, kind, start, count)
        known = manifests.built(self.content)
        return chunk_pipeline.ChunkPipeline(
            chunked.ChunkedSource(known, self.origin), image,
            chunk_plan.ChunkPlan(image, known, lanes=2), self.sink,
            meter=self.meter, **options)

    def test_data_and_clusters(self) -> None:
        for kind, length in ((DATA, self.size), (COMPRESSED, 70_001)):
            self.sink = ListSink(self.size)
            self.meter = meter.Meter()
            with self.subTest(kind=kind):
                self.pipeline(kind, length).run()
                self.assert_same(self.content, self.sink.disk)
                # Once each, also what two lanes need.
                self.assertEqual(self.size, self.meter.read)

    def test_chunks_are_told_once_when_they_are_written(self) -> None:
        """All that begins in them is there, and their ends are held."""
        for kind, length in ((DATA, self.size), (COMPRESSED, 70_001),
                             (COMPRESSED, 2 * MIB + 3)):
            self.sink = ListSink(self.size)
            told: list[int] = []

            def written(index: int, kind: _extent.ExtentKind = kind,
                        length: int = length,
                        told: list[int] = told) -> None:
                start, end = index * MIB, (index + 1) * MIB
                if kind is COMPRESSED:
                    start = -(-start // length) * length
                    end = -(-end // length) * length
                if self.sink.disk[start:end] != self.content[start:end]:
                    raise AssertionError(f'chunk {index} is not there')
                told.append(index)

            with self.subTest(kind=kind, length=length):
                self.pipeline(kind, length, written=written).run()
                self.assertEqual(len(told), len(set(told)))
                if length < 2 * MIB or kind is DATA:
                    self.assertEqual([*range(1, 46)], sorted(told))

    def test_chunks_that_failed_are_not_told(self) -> None:
        told: list[int] = []

        def fail(start: int, view: memoryview) -> None:
            raise KeyError('broken')

        self.sink.write = fail  # type: ignore[method-assign]
        for kind in (DATA, COMPRESSED):
            with self.assertRaises(KeyError):
                self.pipeline(kind, MIB, written=told.append).run()
        self.assertEqual([], told)

    def test_the_first_error_stops_all(self) -> None:
        error = exceptions.SourceNotFound('origin', expected='a file',
                                          found='none', fix='')

        def fill(offset: int, view: memoryview, until: int) -> None:
            if offset >= 5 * MIB:
                raise error
            view[:] = self.content[offset:offset + len(view)]

        self.origin.fill = fill  # type: ignore[method-assign]
        for kind in (DATA, COMPRESSED):
            with self.assertRaises(exceptions.SourceNotFound) as caught:
                self.pipeline(kind, MIB).run()
            self.assertIs(error, caught.exception)

    def test_nothing_is_written_after_the_error(self) -> None:
        """A lane that waits for a silent server is not waited for."""
        silent, resumed = threading.Event(), threading.Event()

        def fill(offset: int, view: memoryview, until: int) -> None:
            if offset >= 24 * MIB:
                silent.set()
                resumed.wait(30)
            view[:] = self.content[offset:offset + len(view)]

        def stop(progress: meter.Progress) -> None:
            if silent.is_set():
                raise KeyboardInterrupt

        self.origin.fill = fill  # type: ignore[method-assign]
        self.meter = meter.Meter(stop)
        began = time.monotonic()
        self.assertRaises(KeyboardInterrupt, self.pipeline().run)
        self.assertLess(time.monotonic() - began, 20)
        writes = self.sink.writes
        resumed.set()
        deadline = time.monotonic() + 20
        while (threading.active_count() > len(self._threads)
               and time.monotonic() < deadline):
            time.sleep(0.01)
        self.assertEqual(writes, self.sink.writes)

    def test_a_slow_disk_stops_the_lanes(self) -> None:
        """What is in flight is bounded, however large the file is."""
        resumed = threading.Event()
        write = self.sink.write

        def slow(start: int, view: memoryview) -> None:
            resumed.wait(30)
            write(start, view)

        self.sink.write = slow  # type: ignore[method-assign]
        for kind, most in ((DATA, 16), (COMPRESSED, 32)):
            resumed.clear()
            self.meter = meter.Meter()
            running = threading.Thread(
                target=self.pipeline(kind, MIB // 4).run)
            running.start()
            held = -1
            while held != self.meter.read:
                held = self.meter.read
                running.join(0.5)
            self.assertLessEqual(held, most * MIB)
            resumed.set()
            running.join(30)
            self.assert_same(self.content, self.sink.disk)

    def test_bottleneck(self) -> None:
        def slow(call: typing.Any) -> typing.Any:
            def called(*arguments: typing.Any) -> typing.Any:
                time.sleep(0.02)
                return call(*arguments)
            return called

        for owner, name, expected in (
                (self.origin, 'fill', 'network'),
                (manifest.Manifest, 'matches', 'decode')):
            self.meter = meter.Meter()
            with (self.subTest(expected), mock.patch.object(
                    owner, name, slow(getattr(owner, name)))):
                self.pipeline(length=MIB).run()
                self.assertEqual(expected, self.meter.bottleneck)

    def test_neighbours_come_by_one_request(self) -> None:
        """Some of them at once, and all that follow in the run."""
        for gap in (None, 17):
            if gap:
                self.content = bytearray(self.content)
                self.content[gap * MIB:(gap + 1) * MIB] = bytes(MIB)
                self.origin = memory.MemorySource(bytes(self.content))
            asked: list[tuple[range, int]] = []
            running = self.pipeline()
            fill = running._source.fill_chunks

            def fill_chunks(indexes: range, view: memoryview, last: int,
                            fill: typing.Any = fill,
                            asked: typing.Any = asked) -> chunked.Filled:
                asked.append((indexes, last))
                self.assertEqual(len(indexes) * MIB, len(view))
                return fill(indexes, view, last)  # type: ignore[no-any-return]

            running._source.fill_chunks = fill_chunks  # type: ignore
            running.run()
            chunks = [index for indexes, _ in asked for index in indexes]
            self.assertEqual([index for index in range(48) if index != gap],
                             sorted(chunks))
            runs: dict[int, list[int]] = {}
            for indexes, last in asked:
                self.assertLessEqual(len(indexes), 4)
                runs.setdefault(last, []).extend(indexes)
                # Not less than there is room for.
                self.assertTrue(len(indexes) == 4 or indexes[-1] == last)
            for last, indexes in runs.items():
                self.assertEqual([*range(min(indexes), last + 1)],
                                 sorted(indexes))
            # The first run has twelve chunks, a quarter of the file.
            self.assertEqual([*range(12)], sorted(runs[11]))
            if gap:
                self.assertIn(gap - 1, runs)
