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


from collections.abc import Callable
import threading
import typing

from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.sources import chunked
from tests.support import web
from tests.unit.engine import base
from tests.unit.engine import manifests
from tests.unit.engine import memory
from tests.unit.engine.sources import served
from tests.unit.engine import transfers

KIB = base.KIB
MIB = base.MIB


class FakePlace:
    """A place with some bytes, or with an error for each chunk."""

    def __init__(self, name: str, content: bytes,
                 problem: Exception | None = None) -> None:
        self.name = name
        self.asked: list[tuple[int, int]] = []
        self.closed = 0
        self._content = content
        self._problem = problem

    def fetch(self, start: int, view: memoryview) -> None:
        self.asked.append((start, len(view)))
        if self._problem:
            raise self._problem
        view[:] = self._content[start:start + len(view)]

    def close(self) -> None:
        self.closed += 1


def flipped(content: bytes, at: int) -> bytes:
    """The same bytes, but for one bit."""
    return content[:at] + bytes([content[at] ^ 8]) + content[at + 1:]


class ChunkedTestCase(base.EngineTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.content = manifests.CONTENT
        self.manifest = manifests.built(self.content)
        self.origin = memory.MemorySource(self.content)
        self.seen: dict[int, bytes] = {}

    def made(self, *places: FakePlace) -> chunked.ChunkedSource:
        return chunked.ChunkedSource(
            self.manifest, self.origin, places,
            verified=lambda index, view: self.seen.update(
                {index: bytes(view)}))

    def filled(self, source: chunked.ChunkedSource) -> bytes:
        """All chunks, each in a buffer with old bytes in it."""
        whole = bytearray()
        for index in range(self.manifest.count):
            start, end = self.manifest.bounds(index)
            buffer = bytearray(b'\xa5' * (end - start))
            source.fill_chunk(index, memoryview(buffer))
            whole += buffer
        return bytes(whole)


class ChunkedSourceTest(ChunkedTestCase):

    def test_right_file(self) -> None:
        source = self.made()
        self.assert_same(self.content, self.filled(source))
        self.assertEqual(
            {index: self.content[slice(*self.manifest.bounds(index))]
             for index in range(self.manifest.count)}, self.seen)

    def test_zeroes_are_not_fetched(self) -> None:
        source = self.made()
        self.filled(source)
        for offset, length in self.origin.reads:
            self.assertTrue(any(self.content[offset:offset + length]))
        fetched = sum(length for _, length in self.origin.reads)
        self.assertEqual(
            (chunked.SourceReport(name='memory', bytes=fetched),),
            source.reports)
        self.assertLess(fetched, len(self.content))

    def test_neighbours_come_by_one_read(self) -> None:
        """But for one that is here already."""
        content = transfers.noise(6 * MIB)
        for kept in (None, 1, 3, 4):
            reads = [(index * MIB, MIB) for index in range(1, 5)
                     if index != kept] if kept else [(MIB, 4 * MIB)]
            origin = memory.MemorySource(content)
            source = chunked.ChunkedSource(manifests.built(content), origin)
            if kept:
                source.read_at(kept * MIB, 10)
                origin.reads.clear()
            view = memoryview(bytearray(4 * MIB))
            source.fill_chunks(range(1, 5), view)
            self.assert_same(content[MIB:5 * MIB], bytes(view))
            self.assertEqual(reads, origin.reads)

    def test_who_is_told_need_not_wait_for_the_next_chunk(self) -> None:
        read: dict[int, int] = {}
        source = self.made()
        source.ask_first([], lambda index, view: read.update(
            {index: max(offset + length for offset, length
                        in self.origin.reads)}))
        start, end = 0, 3
        first = self.manifest.bounds(start)[0]
        view = memoryview(bytearray(self.manifest.bounds(end - 1)[1] - first))
        source.fill_chunks(range(start, end), view)
        self.assertEqual({*range(start, end)}, {*read})
        for index, position in read.items():
            self.assertLessEqual(position, self.manifest.bounds(index)[1])

    def test_reads_at_any_offset_are_verified_and_kept(self) -> None:
        source = self.made()
        for offset, length in ((5, 10), (MIB - 3, 6), (0, 2 * MIB + 3),
                               (len(self.content) - 7, 7), (9, 0)):
            with self.subTest(offset=offset, length=length):
                self.assertEqual(self.content[offset:offset + length],
                                 source.read_at(offset, length))
        reads = len(self.origin.reads)
        source.read_at(MIB, 100)
        self.filled(source)
        self.assertEqual([], [read for read in self.origin.reads[reads:]
                              if read[0] < 3 * MIB])

    def test_reads_after_the_end(self) -> None:
        self.assertRaises(exceptions.SourceTruncated, self.made().read_at,
                          len(self.content) - 3, 4)

    def test_stream_with_buffers_of_any_size(self) -> None:
        for size in (1000, 64 * KIB, MIB, 3 * MIB):
            stream = self.made().open_stream()
            whole = bytearray()
            buffer = memoryview(bytearray(size))
            while count := stream.readinto(buffer):
                whole += buffer[:count]
            stream.close()
            self.assert_same(self.content, whole)

    def test_origin_of_another_size(self) -> None:
        self.origin = memory.MemorySource(self.content[:-1])
        with self.assertRaises(exceptions.SourceChanged) as caught:
            self.made()
        self.assert_complete(caught.exception)

    def test_origin_with_other_bytes(self) -> None:
        self.origin = memory.MemorySource(flipped(self.content, 2 * MIB))
        for read in (lambda source: source.read_at(2 * MIB + 5, 1),
                     self.filled):
            source = self.made()
            with self.assertRaises(exceptions.ChunkMismatch) as caught:
                read(source)
            self.assert_complete(caught.exception)
            self.assertIn('memory', str(caught.exception))
            self.assertIn(f'bytes {2 * MIB} to', str(caught.exception))
            self.assertNotIn(2, self.seen)
            self.assertEqual([3], [report.bad_chunks
                                   for report in source.reports])


class SupplierTest(ChunkedTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.good = FakePlace('good', self.content)

    def test_they_are_asked_before_the_origin(self) -> None:
        source = self.made(self.good)
        self.assert_same(self.content, self.filled(source))
        self.assertEqual([], self.origin.reads)
        self.assertEqual(['good'], [each.name for each in source.reports])

    def test_one_that_has_it_not_is_asked_for_others(self) -> None:
        absent = FakePlace('absent', b'', chunked.ChunkAbsent(
            'absent', expected='a chunk', found='none', fix=''))
        source = self.made(absent, self.good)
        self.assert_same(self.content, self.filled(source))
        self.assertEqual(len(self.good.asked), len(absent.asked))

    def test_one_that_fails_is_not_asked_again(self) -> None:
        for kind in (exceptions.SourceTooSlow, exceptions.SourceTimeout,
                     exceptions.SourceUnavailable):
            dead = FakePlace('dead', b'', kind(
                'dead', expected='a chunk', found='none', fix=''))
            with self.assertLogs(level='WARNING'):
                self.assert_same(self.content, self.filled(
                    self.made(dead, self.good)))
            self.assertEqual((1, 1), (len(dead.asked), dead.closed))

    def test_they_may_come_later(self) -> None:
        source = self.made()
        self.assert_same(self.content[:9], source.read_at(0, 9))
        reads = len(self.origin.reads)
        told: list[int] = []
        source.ask_first([self.good],
                         lambda index, view: told.append(index))
        self.filled(source)
        self.assertEqual(reads, len(self.origin.reads))
        self.assertEqual([*range(1, self.manifest.count)], sorted(told))

    def test_one_that_lies_is_named_and_not_asked_again(self) -> None:
        liar = FakePlace('liar', flipped(self.content, MIB * 2 - 1))
        source = self.made(liar, self.good)
        with self.assertLogs(level='WARNING') as logs:
            self.assert_same(self.content, self.filled(source))
        self.assertIn('liar', logs.output[0])
        reports = {each.name: each for each in source.reports}
        self.assertEqual(1, reports['liar'].bad_chunks)
        self.assertEqual(0, reports['good'].bad_chunks)
        self.assertEqual({*range(self.manifest.count)}, {*self.seen})
        self.assertEqual([], [start for start, _ in liar.asked
                              if start >= 2 * MIB])

    def test_without_any_the_origin_has_it_all(self) -> None:
        liar = FakePlace('liar', bytes(len(self.content)))
        with self.assertLogs(level='WARNING'):
            self.assert_same(self.content, self.filled(self.made(liar)))


class ServedChunksTest(served.ServedTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.manifest = manifests.built(self.content)

    def filled(self, source: chunked.ChunkedSource,
               indexes: typing.Iterable[int]) -> None:
        """Fill those chunks in one thread, and compare them."""
        chosen = list(indexes)
        for index in chosen:
            start, end = self.manifest.bounds(index)
            buffer = bytearray(end - start)
            source.fill_chunk(index, memoryview(buffer), chosen[-1])
            self.assert_same(self.content[start:end], buffer)

    def flip(self, wrong: Callable[[web.Exchange], bool]) -> web.Answer:
        """An answer with a wrong bit in chunk 2, where that is so."""
        changed = flipped(self.content, 2 * MIB + 77)

        def answer(exchange: web.Exchange) -> None:
            exchange.serve(content=changed if wrong(exchange) else None)

        return answer

    def test_neighbouring_chunks_come_by_one_request(self) -> None:
        source = chunked.ChunkedSource(self.manifest, self.opened())
        del self.server.requests[:]
        self.filled(source, range(1, 5))
        self.assertEqual([f'bytes={MIB}-{5 * MIB - 1}'],
                         self.server.requests)

    def test_single_chunks_where_others_may_have_the_next(self) -> None:
        absent = FakePlace('absent', b'', chunked.ChunkAbsent(
            'absent', expected='a chunk', found='none', fix=''))
        source = chunked.ChunkedSource(self.manifest, self.opened(), [absent])
        del self.server.requests[:]
        self.filled(source, range(1, 3))
        self.assertEqual([f'bytes={MIB}-{2 * MIB - 1}',
                          f'bytes={2 * MIB}-{3 * MIB - 1}'],
                         self.server.requests)

    def test_threads_have_a_connection_each(self) -> None:
        source = chunked.ChunkedSource(self.manifest, self.opened())
        both = threading.Barrier(2)

        def answer(exchange: web.Exchange) -> None:
            both.wait(10)
            exchange.serve()

        self.server.answer = answer
        threads = [threading.Thread(target=self.filled, args=(
            source, indexes)) for indexes in ((1, 2), (3, 4))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        self.assertFalse(both.broken)
        self.assertEqual(
            4 * MIB, sum(each.bytes for each in source.reports))

    def test_a_connection_that_flips_a_bit(self) -> None:
        source = chunked.ChunkedSource(self.manifest, self.opened())
        bad: list[typing.Any] = []

        def wrong(exchange: web.Exchange) -> bool:
            bad[:] = bad or [exchange.connection]
            return exchange.connection is bad[0]

        self.server.answer = self.flip(wrong)
        with self.assertLogs(level='WARNING') as logs:
            self.filled(source, range(6))
        self.assertIn(self.server.url('image'), logs.output[0])
        self.assertEqual([1], [each.bad_chunks for each in source.reports])

    def test_a_mirror_that_is_wrong(self) -> None:
        other = self.serve()
        source = chunked.ChunkedSource(self.manifest, self.opened(
            mirrors=[other.url('image')]))
        self.server.answer = self.flip(lambda exchange: True)
        with self.assertLogs(level='WARNING'):
            self.filled(source, range(6))
        self.assertEqual(
            {self.url: 1, other.url('image'): 0},
            {each.name: each.bad_chunks for each in source.reports})

    def test_a_wrong_file_everywhere(self) -> None:
        source = chunked.ChunkedSource(self.manifest, self.opened())
        self.server.answer = self.flip(lambda exchange: True)
        with (self.assertLogs(level='WARNING'),
              self.assertRaises(exceptions.ChunkMismatch)):
            self.filled(source, range(6))

    def test_a_bit_among_neighbouring_chunks(self) -> None:
        """They are fetched one by one then, and none is taken unverified."""
        for last, mends in ((3, True), (5, False)):
            source = chunked.ChunkedSource(self.manifest, self.opened())
            bad: list[typing.Any] = []

            def wrong(exchange: web.Exchange, bad: list[typing.Any] = bad,
                      mends: bool = mends) -> bool:
                bad[:] = bad or [exchange.connection]
                return not mends or exchange.connection is bad[0]

            self.server.answer = self.flip(wrong)
            start, end = MIB, 4 * MIB
            buffer = bytearray(end - start)
            with self.subTest(last), self.assertLogs(level='WARNING'):
                if mends:
                    filled = source.fill_chunks(
                        range(1, 4), memoryview(buffer), last)
                    self.assert_same(self.content[start:end], buffer)
                    self.assertEqual(end - start, filled.fetched)
                else:
                    with self.assertRaises(exceptions.ChunkMismatch):
                        source.fill_chunks(range(1, 4), memoryview(buffer),
                                           last)

    def test_a_connection_that_drops(self) -> None:
        source = chunked.ChunkedSource(self.manifest, self.opened())
        for how in ('close', 'reset'):
            self.server.answer = web.in_turn(
                lambda exchange, how=how: exchange.serve(
                    stop_after=700 * KIB, how=how))
            self.filled(source, range(1, 6))
        self.assertEqual(2, source.resumes)
