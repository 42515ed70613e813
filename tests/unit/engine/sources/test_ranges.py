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

import requests

from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.sources import answer
from ironic_imagedeploy.engine.sources import ranges
from tests.support import web
from tests.unit.engine import base
from tests.unit.engine.sources import served

MIB = base.MIB
Exchange = web.Exchange
DATE = 'Thu, 01 Jan 2026 00:00:00 GMT'


class ConnectionTestCase(served.ServedTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.asked: list[dict[str, str]] = []
        self.session = self.enterContext(requests.Session())

    def request(self, url: str, headers: dict[str, str], timeout: float
                ) -> requests.Response:
        self.asked.append(headers)
        return self.session.get(url, headers=headers, stream=True,
                                timeout=timeout, allow_redirects=False)

    def connect(self) -> ranges.Connection:
        return ranges.Connection(
            self.url, self.request, answer.Limits(timeout=5))

    def opened(self) -> ranges.Connection:  # type: ignore[override]
        server = self.connect()
        server.open(1000).read()
        return server

    def serve_with(self, **headers: str | None) -> None:
        """Serve, with these headers instead."""
        changed = {name.replace('_', '-'): value
                   for name, value in headers.items()}
        self.server.answer = lambda exchange: exchange.serve(headers=changed)

    def assert_raised(self, kind: type[Exception], call: Callable[[], object]
                      ) -> exceptions.SourceError:
        """The error that is raised."""
        with self.assertRaises(kind) as caught:
            call()
        error = caught.exception
        assert isinstance(error, exceptions.SourceError)
        self.assert_complete(error)
        return error


class OpenTest(ConnectionTestCase):

    def test_the_front(self) -> None:
        server = self.connect()
        self.assertEqual(self.content[:1000], server.open(1000).read())
        self.assertEqual((len(self.content), True, self.url),
                         (server.size, server.random_access, server.name))
        self.assertEqual([{'Accept-Encoding': 'identity',
                           'Range': 'bytes=0-999'}], self.asked)

    def test_a_file_that_is_shorter_than_the_front(self) -> None:
        server = self.connect()
        self.assertEqual(self.content, server.open(64 * MIB).read())

    def test_the_whole_file_where_there_are_no_ranges(self) -> None:
        self.server.answer = lambda exchange: exchange.serve(ranges=False)
        server = self.connect()
        self.assertEqual(self.content, server.open(1000).read())
        self.assertEqual((len(self.content), False),
                         (server.size, server.random_access))

    def test_an_answer_of_unknown_length(self) -> None:
        for length in (None, '-5', '1e3', '٣', 'x'):
            def answer(exchange: Exchange, length: str | None = length
                       ) -> None:
                exchange.start(200, {'Content-Length': length and
                                     length.encode().decode('latin-1'),
                                     'Connection': 'close'})
                exchange.wfile.write(b'content')
                exchange.close_connection = True
            self.server.answer = answer
            with self.subTest(length=length):
                error = self.assert_raised(exceptions.SourceError,
                                           lambda: self.connect().open(10))
                self.assertIn('Content-Length', str(error))

    def test_statuses(self) -> None:
        for status, kind in (
                (404, exceptions.SourceNotFound),
                (410, exceptions.SourceNotFound),
                (401, exceptions.SourceError), (403, exceptions.SourceError),
                (407, exceptions.SourceError), (400, exceptions.SourceError),
                (201, exceptions.SourceError), (204, exceptions.SourceError),
                (304, exceptions.SourceError), (418, exceptions.SourceError),
                (501, exceptions.SourceError),
                (408, exceptions.Retriable),
                (429, exceptions.Retriable),
                (500, exceptions.Retriable),
                (503, exceptions.Retriable)):
            self.server.answer = lambda exchange, status=status: (
                exchange.refuse(status))
            with self.subTest(status=status):
                error = self.assert_raised(kind,
                                           lambda: self.connect().open(10))
                self.assertIn(str(status), error.found)
                if kind is not exceptions.Retriable:
                    self.assertIs(kind, type(error))

    def test_the_server_says_how_long_to_wait(self) -> None:
        for value, seconds in (('7', 7.0), ('x', 0.0), ('', 0.0),
                               ('-1', 0.0)):
            self.server.answer = lambda exchange, value=value: (
                exchange.refuse(503, {'Retry-After': value}))
            with self.assertRaises(exceptions.Retriable) as caught:
                self.connect().open(10)
            self.assertEqual(seconds, caught.exception.retry_after)

    def test_bytes_that_are_not_as_stored(self) -> None:
        for coding in ('gzip', 'br', 'GZIP', 'x' * 5000):
            self.serve_with(Content_Encoding=coding)
            error = self.assert_raised(exceptions.SourceError,
                                       lambda: self.connect().open(10))
            self.assertIn('Content-Encoding', error.found)
            self.assertLess(len(str(error)), 1000)
        for coding in ('identity', 'Identity'):
            self.serve_with(Content_Encoding=coding)
            self.opened()

    def test_the_suffix_of_a_file_as_its_coding(self) -> None:
        self.save('image.gz', self.content)
        self.url += '.gz'
        for coding in ('gzip', 'x-gzip'):
            self.serve_with(Content_Encoding=coding)
            self.opened()
        self.serve_with(Content_Encoding='br')
        self.assert_raised(exceptions.SourceError, self.opened)

    def test_wrong_ranges(self) -> None:
        size = len(self.content)
        for value in (f'bytes 1-1000/{size}', f'bytes 0-1000/{size}',
                      f'bytes 0-998/{size}', '', 'x',
                      f'bytes 0-999/{size}/{size}', 'bytes */5',
                      f'bytes 0-999/{"9" * 30}', 'x' * 5000):
            self.serve_with(Content_Range=value)
            with self.subTest(value=value):
                error = self.assert_raised(exceptions.SourceError,
                                           lambda: self.connect().open(1000))
                self.assertLess(len(str(error)), 1000)

    def test_redirects_to_nowhere(self) -> None:
        for place in ('http://[::bad/x', 'http://127.0.0.1:99999/x',
                      'http:///x', 'http://\xff\xfe/x', 'file:///etc/passwd',
                      'http://' + 'a' * 300 + '/x', 'data:text/plain,x'):
            self.server.answer = lambda exchange, place=place: (
                exchange.refuse(302, {'Location': place}))
            with self.subTest(place=place):
                self.assert_raised(
                    (exceptions.SourceError, exceptions.Retriable),
                    lambda: self.connect().open(10))

    def test_addresses_that_are_none(self) -> None:
        for url in ('http:///image', 'http://127.0.0.1:99999999/',
                    'http://.x/', 'http://x y/'):
            server = ranges.Connection(url, self.request)
            with self.subTest(url=url):
                error = self.assert_raised(
                    (exceptions.SourceError, exceptions.Retriable),
                    lambda server=server: server.open(10))
                self.assertNotIn('Traceback', str(error))

    def test_redirects_in_a_circle(self) -> None:
        self.server.answer = lambda exchange: exchange.refuse(
            302, {'Location': self.url})
        error = self.assert_raised(exceptions.SourceError,
                                   lambda: self.connect().open(10))
        self.assertIn('redirects', error.found)

    def test_nobody_listens(self) -> None:
        server = ranges.Connection('http://127.0.0.1:9/x', self.request)
        error = self.assert_raised(exceptions.Retriable,
                                   lambda: server.open(10))
        self.assertEqual('Connection refused', error.found)


class GetTest(ConnectionTestCase):

    def test_a_range(self) -> None:
        server = self.opened()
        self.assertEqual(self.content[5:105], server.get(5, 105).read())
        end = len(self.content)
        self.assertEqual(self.content[-1:], server.get(end - 1, end).read())

    def serve_at_most(self, count: int) -> None:
        """Serve the first bytes of each range."""
        def answer(exchange: Exchange) -> None:
            first, last = exchange.headers['Range'].removeprefix(
                'bytes=').split('-')
            exchange.headers.replace_header(
                'Range', f'bytes={first}-'
                f'{min(int(last), int(first) + count - 1)}')
            exchange.serve()

        self.server.answer = answer

    def test_a_range_in_parts(self) -> None:
        server = self.opened()
        self.serve_at_most(100 << 10)
        del self.asked[:]
        self.assertEqual(self.content[5:300 << 10],
                         server.read(5, 300 << 10))
        self.assertEqual(
            [f'bytes={start}-{(300 << 10) - 1}'
             for start in (5, (100 << 10) + 5, (200 << 10) + 5)],
            [headers['Range'] for headers in self.asked])

    def test_parts_that_are_too_small(self) -> None:
        server = self.opened()
        self.serve_at_most(64 << 10)
        self.assertEqual(64 << 10, len(server.get(5, 1 << 20).read()))
        self.serve_at_most((64 << 10) - 1)
        self.assert_raised(exceptions.SourceError,
                           lambda: server.get(5, 1 << 20))
        # All that was asked for is no part.
        self.assertEqual(1000, len(server.get(5, 1005).read()))

    def test_nothing(self) -> None:
        server = self.opened()
        del self.asked[:]
        self.assertEqual(b'', server.read(5, 5))
        self.assertEqual([], self.asked)

    def test_what_it_is_held_against(self) -> None:
        for headers, validator in (
                ({'ETag': '"strong"', 'Last-Modified': DATE}, '"strong"'),
                ({'ETag': 'W/"weak"', 'Last-Modified': DATE}, DATE),
                ({'ETag': None, 'Last-Modified': DATE}, DATE),
                ({'ETag': '"strong"', 'Last-Modified': None}, '"strong"'),
                ({'ETag': None, 'Last-Modified': None}, None),
                ({'ETag': 'W/"weak"', 'Last-Modified': None}, None)):
            self.asked.clear()

            def answer(exchange: Exchange,
                       headers: dict[str, str | None] = headers) -> None:
                del exchange.headers['If-Range']
                exchange.serve(headers=headers)

            self.server.answer = answer
            self.opened().get(5, 10).read()
            with self.subTest(headers=headers):
                self.assertNotIn('If-Range', self.asked[0])
                self.assertEqual(validator, self.asked[1].get('If-Range'))

    def test_a_weak_etag_must_stay_the_same_too(self) -> None:
        self.serve_with(ETag='W/"one"', Last_Modified=None)
        server = self.opened()
        self.serve_with(ETag='W/"two"', Last_Modified=None)
        self.assert_raised(exceptions.SourceChanged,
                           lambda: server.get(5, 10))

    def test_another_range_than_asked_for(self) -> None:
        server = self.opened()
        size = len(self.content)
        for value in (f'bytes 4-9/{size}', f'bytes 4-8/{size}',
                      f'bytes 6-10/{size}', f'bytes 5-8/{size}',
                      f'bytes 5-10/{size}', 'x', ''):
            self.serve_with(Content_Range=value)
            self.assert_raised(exceptions.SourceError,
                               lambda: server.get(5, 10))

    def test_headers_that_are_cut_off(self) -> None:
        """With the connection, which http.client does not tell."""
        server = self.opened()
        self.serve_with(Content_Range=None)
        self.assert_raised(exceptions.Retriable, lambda: server.get(5, 10))
        self.assert_raised(exceptions.Retriable,
                           lambda: self.connect().open(10))

    def test_numbers_that_are_too_large(self) -> None:
        number = '9' * 19
        self.serve_with(Content_Range=f'bytes 0-9/{number}')
        self.assert_raised(exceptions.SourceError,
                           lambda: self.connect().open(10))

        def answer(exchange: Exchange) -> None:
            exchange.start(200, {'Content-Length': number})

        self.server.answer = answer
        self.assert_raised(exceptions.SourceError,
                           lambda: self.connect().open(10))

    def test_a_file_of_another_size(self) -> None:
        server = self.opened()
        self.serve_with(Content_Range=f'bytes 5-9/{len(self.content) + 1}')
        error = self.assert_raised(exceptions.SourceChanged,
                                   lambda: server.get(5, 10))
        self.assertIn(str(len(self.content)), error.expected)

    def test_a_file_that_became_too_short(self) -> None:
        server = self.opened()
        self.server.answer = lambda exchange: exchange.refuse(
            416, {'Content-Range': 'bytes */3'})
        self.assert_raised(exceptions.SourceError, lambda: server.get(5, 10))

    def test_the_connection_is_used_again(self) -> None:
        server = self.opened()
        sockets = set()

        def answer(exchange: Exchange) -> None:
            sockets.add(exchange.client_address)
            exchange.serve()

        self.server.answer = answer
        for start in range(0, 5000, 100):
            body = server.get(start, start + 100)
            body.read()
            body.close()
        self.assertEqual(1, len(sockets))


class BodyTest(ConnectionTestCase):

    def test_bytes_as_they_come(self) -> None:
        body = self.connect().open(MIB)
        content = bytearray()
        buffer = memoryview(bytearray(70000))
        while body.remaining:
            content += buffer[:body.readinto(buffer)]
        self.assert_same(self.content[:MIB], content)

    def test_no_more_than_announced_is_taken(self) -> None:
        def answer(exchange: Exchange) -> None:
            exchange.start(206, {'Content-Range': 'bytes 0-9/10',
                                 'Content-Length': '20'})
            exchange.wfile.write(b'0123456789abcdefghij')

        self.server.answer = answer
        body = self.connect().open(10)
        self.assertEqual(b'0123456789', body.read())

    def test_an_early_end(self) -> None:
        for how in ('close', 'reset'):
            for stop_after in (0, 1, 500):
                self.server.answer = lambda exchange, at=stop_after, how=how: (
                    exchange.serve(stop_after=at, how=how))
                error = self.assert_raised(
                    exceptions.Retriable,
                    lambda: self.connect().open(MIB).read())
                if how == 'close':
                    self.assertIs(exceptions.ConnectionDropped,
                                  type(error))
                    self.assertEqual(f'{MIB - stop_after} more bytes',
                                     error.expected)

    def test_an_early_end_of_a_server_that_lies_about_the_length(self
                                                                 ) -> None:
        def answer(exchange: Exchange) -> None:
            exchange.start(206, {'Content-Range': 'bytes 0-9/10',
                                 'Content-Length': '5'})
            exchange.wfile.write(b'01234')

        self.server.answer = answer
        self.assert_raised(exceptions.Retriable,
                           lambda: self.connect().open(10).read())

    def test_chunks(self) -> None:
        def answer(exchange: Exchange) -> None:
            exchange.start(206, {'Content-Range': 'bytes 0-9/10',
                                 'Transfer-Encoding': 'chunked'})
            for part in (b'0123', b'456789', b''):
                exchange.wfile.write(b'%x\r\n%s\r\n' % (len(part), part))

        self.server.answer = answer
        self.assertEqual(b'0123456789', self.connect().open(10).read())
