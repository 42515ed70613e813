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

from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.sources import http
from ironic_imagedeploy.engine.sources import mirrors
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
                               (len(self.content) - 1, 1), (5, 0),
                               (2 * MIB, 0), (len(self.content), 0)):
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

    def test_the_front_again_when_it_is_cut_off(self) -> None:
        for size in (1000, len(self.content)):
            self.server.requests.clear()
            self.save('image', self.content[:size])
            self.server.answer = web.nth(
                0, lambda exchange: exchange.serve(stop_after=500))
            with self.subTest(size=size):
                source = self.opened()
                self.assertEqual(self.content[:500], source.read_at(0, 500))
                self.assertEqual(
                    ['bytes=0-1048575', f'bytes=0-{min(size, MIB) - 1}'],
                    self.server.requests)
                self.assertEqual(self.content[:size], self.streamed(source))

    def test_so_many_failures_are_borne(self) -> None:
        """Unless somebody says how many."""
        self.server.answer = lambda exchange: exchange.refuse(503)
        self.assertRaises(exceptions.SourceUnavailable, http.HttpSource,
                          self.url)
        self.assertEqual(1 + mirrors.RETRIES, len(self.server.requests))

    def test_certificates(self) -> None:
        """They are looked at, unless somebody says otherwise."""
        server = web.Server(self.directory, context=web.self_signed(
            self.directory))
        self.addCleanup(server.stop)
        self.assert_fails(exceptions.SourceUnreachable, 'certificate',
                          location=server.url('image'), retries=0)
        for verify in (False, str(self.directory / 'certificate.pem')):
            self.opened(server.url('image'), verify=verify)


class FillTest(served.ServedTestCase):

    def fill(self, source: http.HttpSource, offset: int, length: int,
             until: int) -> None:
        view = memoryview(bytearray(length))
        source.fill(offset, view, until)
        self.assert_same(self.content[offset:offset + length], bytes(view))

    def test_neighbours_share_a_request(self) -> None:
        source = self.opened()
        for offset, length in ((0, 1000), (MIB - 10, 10), (MIB - 10, 20),
                               (MIB + 10, 90), (MIB + 100, 2 * MIB)):
            self.fill(source, offset, length, 4 * MIB)
        self.assertEqual(['bytes=0-1048575', 'bytes=1048576-4194303'],
                         self.server.requests)
        # As far as it goes, and behind it.
        self.fill(source, 3 * MIB + 100, MIB - 100, 0)
        self.assertEqual(2, len(self.server.requests))
        self.fill(source, 4 * MIB, 10, 0)
        self.assertEqual('bytes=4194304-4194313',
                         self.server.requests.pop())
        # Another place, and one that is needed beyond the end.
        self.fill(source, 2 * MIB, 100, 0)
        self.fill(source, 2 * MIB + 100, 0, 0)
        self.assertEqual('bytes=2097152-2097251', self.server.requests[2])
        self.assertEqual(3, len(self.server.requests))

    def test_a_connection_that_drops(self) -> None:
        self.server.answer = web.nth(
            1, lambda exchange: exchange.serve(stop_after=MIB))
        source = self.opened()
        self.fill(source, MIB - 5, 2 * MIB, 5 * MIB)
        self.assertEqual(
            ['bytes=1048576-5242879', 'bytes=2097152-5242879'],
            self.server.requests[1:])

    def test_a_server_that_knows_no_ranges(self) -> None:
        self.server.answer = lambda exchange: exchange.serve(ranges=False)
        source = self.opened()
        self.fill(source, 3 * MIB, 1000, 4 * MIB)
        self.fill(source, 0, 1000, 4 * MIB)
        self.assertEqual(1, len(self.server.requests))


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

    def test_what_came_before_is_held(self) -> None:
        source = self.opened()
        source.read_at(MIB, 1)
        self.streamed(source)
        self.assertEqual(self.content[MIB:MIB + 1], source.read_at(MIB, 1))
        with self.assertRaises(exceptions.SourceNotSeekable) as caught:
            source.read_at(MIB, 2)
        self.assertEqual(f'a table that ends at byte {MIB + 2}',
                         caught.exception.found)
        # A stream goes on behind it.
        with self.assertRaises(exceptions.SourceError) as failed:
            self.streamed(source)
        self.assertIn(f'after {MIB + 1} of {len(self.content)} bytes',
                      failed.exception.found)

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
