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

from unittest import mock

from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.sources import http
from tests.support import web
from tests.unit.engine import base
from tests.unit.engine import qcow2_builder as qcow2
from tests.unit.engine import recording
from tests.unit.engine.sources import served

MIB = base.MIB
Exchange = web.Exchange


class ReadTest(served.ServedTestCase):

    def test_what_it_is(self) -> None:
        source = self.opened()
        self.assertEqual(
            (self.url, len(self.content), True, 0),
            (source.name, source.size, source.random_access,
             source.resumes))

    def test_the_stream_is_the_file(self) -> None:
        source = self.opened()
        for step in (100000, MIB, 16 * MIB):
            self.assert_same(self.content, self.streamed(source, step))
        self.assertEqual(0, source.resumes)

    def test_the_front_comes_with_the_first_request(self) -> None:
        source = self.opened()
        self.assertEqual(self.content[:MIB], source.read_at(0, MIB))
        self.assertEqual(['bytes=0-1048575'], self.server.requests)

    def test_two_requests_for_a_whole_transfer(self) -> None:
        self.streamed(self.opened())
        self.assertEqual(
            ['bytes=0-1048575', f'bytes=1048576-{len(self.content) - 1}'],
            self.server.requests)

    def test_read_at_any_place(self) -> None:
        source = self.opened()
        for offset, length in ((MIB, 1), (MIB - 1, 2), (3 * MIB, 70000),
                               (len(self.content) - 1, 1), (5, 0)):
            self.assertEqual(self.content[offset:offset + length],
                             source.read_at(offset, length))
        self.assertEqual('bytes=3145728-3215727', self.server.requests[3])

    def test_read_at_beyond_the_end(self) -> None:
        source = self.opened()
        for offset in (len(self.content), 1 << 60):
            with self.assertRaises(exceptions.SourceTruncated) as caught:
                source.read_at(offset, 1)
            self.assert_complete(caught.exception)
        self.assertEqual(1, len(self.server.requests))

    def test_small_files(self) -> None:
        for size in (0, 1, 511, MIB - 1, MIB, MIB + 1):
            with self.subTest(size=size):
                self.save('image', self.content[:size])
                self.assertEqual(self.content[:size],
                                 self.streamed(self.opened()))

    def test_an_empty_file_and_a_server_that_says_416(self) -> None:
        self.server.answer = lambda exchange: exchange.refuse(
            416, {'Content-Range': 'bytes */0'})
        source = self.opened()
        self.assertEqual((0, b''), (source.size, self.streamed(source)))

    def test_a_redirect_is_followed(self) -> None:
        other = self.serve()
        self.server.answer = lambda exchange: exchange.refuse(
            302, {'Location': other.url('image')})
        self.assert_same(self.content, self.streamed(self.opened()))


class InOrderTest(served.ServedTestCase):
    """Servers that know no ranges."""

    def setUp(self) -> None:
        super().setUp()
        self.server.answer = lambda exchange: exchange.serve(ranges=False)

    def test_one_request_for_all(self) -> None:
        source = self.opened()
        self.assertFalse(source.random_access)
        self.assertEqual(self.content[5 * MIB:][:7],
                         source.read_at(5 * MIB, 7))
        self.assertEqual(self.content[:5], source.read_at(0, 5))
        self.assert_same(self.content, self.streamed(source))
        self.assertEqual(1, len(self.server.requests))

    def test_what_is_held_is_bounded(self) -> None:
        self.save('image', bytes(http.HOLD_LIMIT + 2))
        source = self.opened()
        source.read_at(0, http.HOLD_LIMIT)
        with self.assertRaises(exceptions.SourceNotSeekable) as caught:
            source.read_at(http.HOLD_LIMIT, 1)
        self.assert_complete(caught.exception)

    def test_a_connection_that_drops(self) -> None:
        for stop_after in (1000, 3 * MIB):
            self.server.answer = lambda exchange, at=stop_after: (
                exchange.serve(ranges=False, stop_after=at))
            self.assert_fails(exceptions.SourceError)

    def test_a_drop_while_the_tables_are_read(self) -> None:
        self.server.answer = lambda exchange: exchange.serve(
            ranges=False, stop_after=1000)
        self.assertRaises(exceptions.SourceError, self.opened().read_at,
                          2000, 10)

    def test_a_qcow2_with_its_tables_in_front(self) -> None:
        builder = qcow2.fill(qcow2.Builder(4 * MIB), 'dc.')
        builder.dice.shuffle = lambda items: None
        self.save('image', builder.build())
        inspection = engine.inspect(self.opened())
        target = recording.RecordingTarget(4 * MIB)
        engine.transfer(inspection, target)
        self.assert_same(builder.disk, target.disk)

    def test_a_qcow2_with_its_tables_behind(self) -> None:
        builder = qcow2.Builder(20 * MIB)
        for index in range(builder.clusters):
            builder.data(index, builder.dice.randbytes(65536))
        self.save('image', builder.build(last='l1'))
        self.assertRaises(exceptions.SourceNotSeekable, engine.inspect,
                          self.opened())


class MirrorTest(served.ServedTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.mirror = self.serve()
        self.options = {'mirrors': [self.mirror.url('image')]}

    def test_a_good_server_needs_no_mirror(self) -> None:
        self.streamed(self.opened(**self.options))
        self.assertEqual([], self.mirror.requests)

    def test_a_server_that_has_not_the_file(self) -> None:
        for fault in (lambda exchange: exchange.refuse(404),
                      lambda exchange: exchange.refuse(500),
                      lambda exchange: exchange.hang_up('reset')):
            self.server.answer = fault
            source = self.opened(**self.options)
            self.assert_same(self.content, self.streamed(source))

    def test_a_server_that_is_not_there(self) -> None:
        source = self.opened('http://127.0.0.1:9/image', **self.options)
        self.assert_same(self.content, self.streamed(source))

    def test_a_server_that_dies_on_the_way(self) -> None:
        self.server.answer = web.in_turn(
            Exchange.serve,
            lambda exchange: exchange.serve(stop_after=2 * MIB),
            last=lambda exchange: exchange.refuse(500))
        source = self.opened(**self.options)
        self.assert_same(self.content, self.streamed(source))
        self.assertEqual((self.mirror.url('image'), 1),
                         (source.name, source.resumes))
        self.assertIn(f'bytes={3 * MIB}-{len(self.content) - 1}',
                      self.mirror.requests)

    def test_the_mirror_gets_as_much_patience(self) -> None:
        self.server.answer = web.since(
            1, lambda exchange: exchange.refuse(500))
        busy = [lambda exchange: exchange.refuse(503)] * 2
        self.mirror.answer = web.in_turn(Exchange.serve, *busy)
        source = self.opened(**self.options)
        self.assert_same(self.content, self.streamed(source))

    def test_a_read_at_an_offset_goes_to_the_mirror_too(self) -> None:
        source = self.opened(**self.options)
        self.server.answer = lambda exchange: exchange.refuse(500)
        self.assertEqual(self.content[2 * MIB:][:9],
                         source.read_at(2 * MIB, 9))

    def test_a_mirror_with_another_file(self) -> None:
        self.server.answer = web.since(
            1, lambda exchange: exchange.refuse(500))
        self.mirror.answer = lambda exchange: exchange.serve(
            content=self.content + b'more')
        self.assert_fails(exceptions.SourceChanged, **self.options)

    def test_a_mirror_without_ranges(self) -> None:
        self.server.answer = web.since(
            1, lambda exchange: exchange.refuse(500))
        self.mirror.answer = lambda exchange: exchange.serve(ranges=False)
        error = self.assert_fails(exceptions.SourceChanged, **self.options)
        self.assertIn('whole file only', error.found)

    def test_all_are_dead(self) -> None:
        for server in (self.server, self.mirror):
            server.answer = lambda exchange: exchange.refuse(500)
        self.assert_fails(exceptions.SourceError, '500', **self.options)
        self.server.answer = web.in_turn(
            Exchange.serve, last=lambda exchange: exchange.refuse(500))
        self.assert_fails(exceptions.SourceError, '500', **self.options)

    def test_a_mirror_that_lies_is_found_out(self) -> None:
        """Of the same size and type, but with another table."""
        builder = qcow2.fill(qcow2.Builder(4 * MIB), 'd')
        while builder.places.get('l2-0', 0) < MIB:
            file = builder.build()
        self.save('image', file)
        inspection = engine.inspect(self.opened(**self.options))
        self.server.answer = lambda exchange: exchange.refuse(500)
        file[builder.places['l2-0'] + 5] ^= 1
        self.mirror.answer = lambda exchange: exchange.serve(
            content=bytes(file))
        target = recording.RecordingTarget(4 * MIB)
        self.assertRaises(exceptions.SourceChanged, engine.transfer,
                          inspection, target)
        self.assert_holds(target.disk[:MIB], 0)


class PatienceTest(served.ServedTestCase):

    def test_pauses_grow_up_to_a_limit(self) -> None:
        problem = http.ranges.TransientError(exceptions.SourceError(
            'x', expected='x', found='x', fix='x'))
        with mock.patch.object(http, '_PAUSE', 0.5), mock.patch.object(
                http.time, 'sleep', autospec=True) as sleep:
            patience = http.Patience(10)
            for _ in range(10):
                self.assertTrue(patience.wait(problem))
            self.assertFalse(patience.wait(problem))
        self.assertEqual([0.5, 1, 2, 4, 8, 16, 30, 30, 30, 30],
                         [call.args[0] for call in sleep.call_args_list])

    def test_only_enough_progress_counts(self) -> None:
        problem = http.ranges.TransientError(exceptions.SourceError(
            'x', expected='x', found='x', fix='x'))
        patience = http.Patience(1)
        self.assertTrue(patience.wait(problem))
        patience.progressed(http.PROGRESS - 1)
        self.assertFalse(patience.wait(problem))
        patience.progressed(http.PROGRESS - 1)
        patience.progressed(1)
        self.assertTrue(patience.wait(problem))
