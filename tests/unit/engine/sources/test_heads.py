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

from concurrent import futures
import os
import time
from unittest import mock

import requests

from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.sources import heads
from tests.support import web
from tests.unit.engine.sources import served

Exchange = web.Exchange
MIB = 1 << 20


def by_bytes(exchange: Exchange) -> None:
    """A head that never ends, a byte now and then."""
    exchange.wfile.write(b'HTTP/1.1 206 Partial Content\r\nX: ')
    while not exchange.server.stopping.wait(0.05):
        exchange.wfile.write(b'x')


def continued(exchange: Exchange) -> None:
    """An answer that is always about to come."""
    while not exchange.server.stopping.wait(0.1):
        exchange.wfile.write(b'HTTP/1.1 100 Continue\r\n\r\n')


class HeadTest(served.ServedTestCase):
    """Servers that are never silent, and never answer."""

    def assert_given_up(self, location: str | None = None,
                        **options: object) -> None:
        for answer in (by_bytes, continued):
            self.server.answer = answer
            began = time.monotonic()
            with self.subTest(answer=answer.__name__):
                self.assert_fails(exceptions.SourceTimeout,
                                  location=location, timeout=0.5, retries=0,
                                  **options)
                self.assertLess(time.monotonic() - began, 10)

    def test_a_server(self) -> None:
        self.assert_given_up()

    def test_a_server_after_it_answered(self) -> None:
        for answer in (by_bytes, continued):
            self.server.answer = web.since(1, answer)
            source = self.opened(timeout=0.5, retries=0)
            self.assertRaises(exceptions.SourceTimeout, source.read_at,
                              3 << 20, 10)

    def test_a_server_by_https(self) -> None:
        self.server = web.Server(self.directory, context=web.self_signed(
            self.directory))
        self.addCleanup(self.server.stop)
        self.assert_given_up(self.server.url('image'), verify=False)

    def test_a_proxy(self) -> None:
        with mock.patch.dict(os.environ, {
                'http_proxy': self.server.url(''), 'no_proxy': ''}):
            self.assert_given_up('http://image.invalid/image')
            self.server.answer = Exchange.serve
            source = self.opened('http://image.invalid/image')
            self.assert_same(self.content, self.streamed(source))

    def test_a_server_that_floods(self) -> None:
        """Not a processor for as long as an answer may take."""
        many = b'HTTP/1.1 100 Continue\r\n'
        hints = b'HTTP/1.1 103 Early Hints\r\n'
        for flood in (many + b'\r\n', many + b'X: %s\r\n\r\n' % (b'x' * 9999),
                      hints + b'\r\n', hints + b'Link: </x>\r\n\r\n',
                      b'HTTP/1.1 206 Partial Content\r\n'
                      + b'X: %s\r\n' % (b'x' * 60000) * 90):
            def answer(exchange: Exchange, flood: bytes = flood) -> None:
                while not exchange.server.stopping.is_set():
                    exchange.wfile.write(flood)

            self.server.answer = answer
            self.server.requests.clear()
            began, spent = time.monotonic(), time.thread_time()
            with self.subTest(flood=flood[:50]):
                self.assert_fails(exceptions.SourceUnavailable, 'head without '
                                  'an end', timeout=60, retries=2)
                self.assertEqual(3, len(self.server.requests))
                self.assertLess(time.monotonic() - began, 10)
                self.assertLess(time.thread_time() - spent, 1)

    def test_a_head_that_takes_its_time(self) -> None:
        def slowly(exchange: Exchange) -> None:
            for interim in (b'100 Continue', b'102 Processing',
                            b'103 Early Hints\r\nLink: </x>; rel=preload'):
                exchange.wfile.write(b'HTTP/1.1 %s\r\n\r\n' % interim)
                time.sleep(0.1)
            exchange.serve()

        self.server.answer = slowly
        self.assert_same(self.content, self.streamed(self.opened()))

    def test_a_few_answers_before_the_one_that_counts(self) -> None:
        for interim in (b'100 Continue', b'199 Odd'):
            for count in (16, 17):
                def answer(exchange: Exchange, interim: bytes = interim,
                           count: int = count) -> None:
                    exchange.wfile.write(
                        b'HTTP/1.1 %s\r\n\r\n' % interim * count)
                    exchange.serve()

                self.server.answer = answer
                with self.subTest(interim=interim, count=count):
                    if count == 16:
                        self.opened(retries=0)
                    else:
                        self.assert_fails(exceptions.SourceUnavailable,
                                          'head without an end', retries=0)


class LookTest(served.ServedTestCase):
    """A deadline over the head and the tables, not over the stream."""

    def trickle(self, exchange: Exchange) -> None:
        """Some kB a second, which is not silence."""
        exchange.serve(stop_after=0)
        while not exchange.server.stopping.wait(0.05):
            exchange.wfile.write(bytes(1000))

    def test_a_front_that_trickles(self) -> None:
        self.server.answer = self.trickle
        began = time.monotonic()
        self.assert_fails(exceptions.SourceTooSlow, look_timeout=0.2)
        self.assertLess(time.monotonic() - began, 10)

    def test_a_table_that_trickles(self) -> None:
        source = self.opened(look_timeout=0.2)
        self.server.answer = self.trickle
        began = time.monotonic()
        with self.assertRaises(exceptions.SourceTooSlow):
            source.read_at(2 << 20, 2 << 20)
        self.assertLess(time.monotonic() - began, 10)

    def test_tables_of_many_answers(self) -> None:
        source = self.opened(look_timeout=0.5)

        def late(exchange: Exchange) -> None:
            time.sleep(0.4)
            exchange.serve()

        self.server.answer = late
        began = time.monotonic()
        with self.assertRaises(exceptions.SourceTooSlow):
            for offset in range(2 << 20, 5 << 20, 1000):
                source.read_at(offset, 1000)
        self.assertLess(time.monotonic() - began, 10)

    def test_no_other_server_is_asked_when_the_time_is_over(self) -> None:
        mirror = self.serve()
        self.server.answer = self.trickle
        self.assert_fails(exceptions.SourceTooSlow, look_timeout=0.2,
                          mirrors=[mirror.url('image')])
        self.assertEqual([], mirror.requests)

    def test_a_server_that_is_out_of_order_too_long(self) -> None:
        self.server.answer = lambda exchange: exchange.refuse(
            503, {'Retry-After': '2'})
        began = time.monotonic()
        self.assert_fails(exceptions.SourceUnavailable, look_timeout=0.2)
        self.assertLess(time.monotonic() - began, 10)

    def test_a_server_without_ranges(self) -> None:
        def answer(exchange: Exchange) -> None:
            exchange.serve(ranges=False, stop_after=0)
            while not exchange.server.stopping.wait(0.05):
                exchange.wfile.write(bytes(1000))

        self.server.answer = answer
        source = self.opened(look_timeout=0.2)
        self.assertRaises(exceptions.SourceTooSlow, source.read_at,
                          1 << 20, 10)

    def test_the_stream_may_take_longer(self) -> None:
        source = self.opened(look_timeout=1)
        time.sleep(3)
        self.assert_same(self.content, self.streamed(source))

    def test_a_second_for_each_mib(self) -> None:
        """Large tables take longer, and may."""
        source = self.opened(look_timeout=0.2)

        def late(exchange: Exchange) -> None:
            time.sleep(1.5)
            exchange.serve()

        self.server.answer = late
        self.assertEqual(self.content[MIB:5 * MIB],
                         source.read_at(MIB, 4 * MIB))


class ReceiveTest(served.ServedTestCase):
    """A body that arrives in the buffer where it is wanted."""

    def received(self, session: requests.Session) -> bytes:
        with session.get(self.url, stream=True) as answer:
            buffer = memoryview(bytearray(len(self.content) + 9))
            done = 0
            while count := heads.receive(answer.raw, buffer[done:]):
                done += count
        return bytes(buffer[:done])

    def test_without_a_copy(self) -> None:
        with requests.Session() as session:
            heads.limit_heads(session)
            with mock.patch('urllib3.HTTPResponse.read1',
                            autospec=True) as copying:
                self.assert_same(self.content, self.received(session))
            copying.assert_not_called()

    def test_in_chunks_of_http(self) -> None:
        def answer(exchange: Exchange) -> None:
            exchange.start(200, {'Transfer-Encoding': 'chunked'})
            for start in range(0, len(self.content), 300_000):
                part = self.content[start:start + 300_000]
                exchange.wfile.write(b'%x\r\n%s\r\n' % (len(part), part))
            exchange.wfile.write(b'0\r\n\r\n')

        self.server.answer = answer
        with requests.Session() as session:
            heads.limit_heads(session)
            self.assert_same(self.content, self.received(session))

    def test_until_the_connection_ends(self) -> None:
        """A body without a length is all that comes."""
        def answer(exchange: Exchange) -> None:
            exchange.start(200, {'Connection': 'close'})
            for start in range(0, len(self.content), 300_000):
                exchange.wfile.write(self.content[start:start + 300_000])
            exchange.close_connection = True

        self.server.answer = answer
        with requests.Session() as session:
            heads.limit_heads(session)
            self.assert_same(self.content, self.received(session))

    def test_no_more_than_was_announced(self) -> None:
        for length, expected in ((1000, 1000), (5000, 3000)):
            def answer(exchange: Exchange, length: int = length) -> None:
                exchange.start(200, {'Content-Length': str(length)})
                exchange.wfile.write(self.content[:3000])
                exchange.close_connection = True

            self.server.answer = answer
            with requests.Session() as session:
                heads.limit_heads(session)
                self.assert_same(self.content[:expected],
                                 self.received(session))

    def test_of_a_session_of_somebody_else(self) -> None:
        with requests.Session() as session:
            self.assert_same(self.content, self.received(session))


class SpeedTest(served.ServedTestCase):
    """A floor of speed, which the operator sets."""

    def slow(self, exchange: Exchange) -> None:
        """100 kB a second."""
        exchange.serve(stop_after=0)
        while not exchange.server.stopping.wait(0.05):
            exchange.wfile.write(bytes(5000))

    def test_a_server_below_it(self) -> None:
        self.server.answer = web.since(1, self.slow)
        error = self.assert_fails(
            exceptions.SourceTooSlow, timeout=0.5, minimum_speed=MIB)
        self.assertIn(f'{MIB} bytes/s', error.expected)

    def test_another_server_is_asked(self) -> None:
        mirror = self.serve()
        self.server.answer = web.since(1, self.slow)
        source = self.opened(timeout=0.5, minimum_speed=MIB,
                             mirrors=[mirror.url('image')])
        self.assertEqual(len(self.content), len(self.streamed(source)))
        self.assertEqual(mirror.url('image'), source.name)

    def test_connections_have_it_together(self) -> None:
        """Each of three may have a third of it, but one alone may not."""
        source = self.opened(timeout=0.5, minimum_speed=110_000)
        self.server.answer = self.slow
        with self.assertRaises(exceptions.SourceTooSlow):
            source.fill(MIB, memoryview(bytearray(200_000)), 0)
        with futures.ThreadPoolExecutor(3) as threads:
            for done in [threads.submit(
                    source.fill, start * MIB, memoryview(bytearray(200_000)),
                    0) for start in (1, 2, 3)]:
                done.result()

    def test_progress_is_no_excuse(self) -> None:
        self.save('image', bytes(64 * MIB))

        def answer(exchange: Exchange) -> None:
            exchange.serve(stop_after=0)
            while not exchange.server.stopping.wait(0.05):
                exchange.wfile.write(bytes(200000))

        self.server.answer = web.since(1, answer)
        self.assert_fails(exceptions.SourceTooSlow, timeout=0.5,
                          minimum_speed=16 * MIB)

    def test_a_slow_disk_is_not_a_slow_server(self) -> None:
        source = self.opened(timeout=0.5, minimum_speed=64 * MIB)
        stream = source.open_stream()
        buffer = memoryview(bytearray(MIB // 4))
        content = bytearray()
        while count := stream.readinto(buffer):
            content += buffer[:count]
            time.sleep(0.1)
        stream.close()
        self.assert_same(self.content, content)


class DocumentTest(served.ServedTestCase):
    """Bodies that a library reads as a whole."""

    def setUp(self) -> None:
        super().setUp()
        self.session = requests.Session()
        self.addCleanup(self.session.close)
        heads.limit_heads(self.session)

    def get(self, timeout: float = 0.5) -> bytes:
        return self.session.get(self.server.url('image'),
                                timeout=timeout).content

    def test_a_byte_now_and_then(self) -> None:
        for headers in ({'Content-Length': '1000000'},
                        {'Transfer-Encoding': 'chunked'}):
            def answer(exchange: Exchange,
                       headers: dict[str, str] = headers) -> None:
                exchange.start(200, headers)
                while not exchange.server.stopping.wait(0.05):
                    exchange.wfile.write(b'1\r\nx\r\n')

            self.server.answer = answer
            began = time.monotonic()
            with self.subTest(headers=headers):
                self.assertRaises(requests.RequestException, self.get)
                self.assertLess(time.monotonic() - began, 5)

    def test_many_bytes(self) -> None:
        sent = []

        def answer(exchange: Exchange) -> None:
            exchange.start(200, {'Content-Length': str(200 * MIB)})
            for _ in range(200):
                exchange.wfile.write(bytes(MIB))
                sent.append(MIB)

        self.server.answer = answer
        self.assertRaises(requests.RequestException, self.get, 30)
        self.assertLess(sum(sent), 40 * MIB)

    def test_a_whole_one(self) -> None:
        self.assert_same(self.content, self.get(30))

    def test_twice_is_once(self) -> None:
        adapter = self.session.get_adapter('http://')
        before = adapter.proxy_manager_for
        heads.limit_heads(self.session)
        self.assertIs(before, adapter.proxy_manager_for)
