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

import io
import itertools
import unittest

import requests

from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.sources import answer
from ironic_imagedeploy.engine.sources import ranges
from ironic_imagedeploy.engine.sources import redirects
from tests.support import web
from tests.unit.engine import base
from tests.unit.engine.sources import served

MIB = base.MIB
Exchange = web.Exchange


class RedirectedTestCase(served.ServedTestCase):
    """A redirector that sends each request to the next of two mirrors."""

    def setUp(self) -> None:
        super().setUp()
        self.mirrors = [self.serve(), self.serve()]
        self.heads = [
            {'ETag': f'"mirror-{number}"',
             'Last-Modified': f'Thu, 01 Jan 2026 00:00:0{number} GMT'}
            for number in range(2)]
        for number, mirror in enumerate(self.mirrors):
            mirror.answer = self.good(number)
        turns = itertools.cycle(self.mirrors)
        self.server.answer = lambda exchange: exchange.refuse(
            302, {'Location': next(turns).url('image')})

    def good(self, number: int, stop_after: int | None = None) -> web.Answer:
        """An answer with the tag and the date of that mirror."""
        def answer(exchange: Exchange) -> None:
            if exchange.headers.get('If-Range') not in (
                    None, *self.heads[number].values()):
                del exchange.headers['Range']
            del exchange.headers['If-Range']
            exchange.serve(headers=self.heads[number], stop_after=stop_after)
        return answer

    def fail(self, number: int, fault: web.Answer, after: int = 1) -> None:
        """Let a mirror fail after so many answers."""
        self.mirrors[number].answer = web.in_turn(
            *[self.good(number)] * after, last=fault)


class StickyTest(RedirectedTestCase):

    def test_it_stays_with_the_one_that_answered(self) -> None:
        source = self.opened()
        source.read_at(3 * MIB, 10)
        self.assert_same(self.content, self.streamed(source))
        self.assertEqual([1, 3, 0], [len(server.requests) for server in (
            self.server, *self.mirrors)])

    def test_a_drop_is_continued_there(self) -> None:
        self.mirrors[0].answer = web.in_turn(
            self.good(0), self.good(0, stop_after=MIB), last=self.good(0))
        source = self.opened()
        self.assert_same(self.content, self.streamed(source))
        self.assertEqual([1, 3, 0], [len(server.requests) for server in (
            self.server, *self.mirrors)])

    def test_it_goes_back_after_a_second_drop(self) -> None:
        """The first may be that of a connection alone."""
        self.heads[1] = self.heads[0]
        for drops, asked in ((1, [1, 3, 0]), (2, [2, 3, 1])):
            turns = itertools.cycle(self.mirrors)
            for server in (self.server, *self.mirrors):
                server.requests.clear()
            self.server.answer = lambda exchange, turns=turns: (
                exchange.refuse(302, {'Location': next(turns).url('image')}))
            self.mirrors[0].answer = web.in_turn(
                self.good(0), *[self.good(0, stop_after=10)] * drops,
                last=self.good(0))
            with self.subTest(drops=drops):
                self.assert_same(self.content, self.streamed(self.opened()))
                self.assertEqual(asked, [len(server.requests)
                                            for server in (
                                                self.server, *self.mirrors)])

    def test_it_goes_back_when_that_one_fails(self) -> None:
        """An address that is good once, or a mirror that is gone."""
        for fault in (lambda exchange: exchange.refuse(403),
                      lambda exchange: exchange.refuse(404),
                      lambda exchange: exchange.refuse(500),
                      lambda exchange: exchange.hang_up('reset')):
            self.heads[1] = self.heads[0]
            turns = itertools.cycle(self.mirrors)
            self.server.answer = lambda exchange, turns=turns: (
                exchange.refuse(302, {'Location': next(turns).url('image')}))
            self.fail(0, fault)
            self.assert_same(self.content, self.streamed(self.opened()))

    def test_another_file_is_noticed_without_a_checksum(self) -> None:
        self.fail(0, lambda exchange: exchange.refuse(404))
        self.assert_fails(exceptions.SourceChanged)

    def test_another_tag_is_none_with_a_checksum(self) -> None:
        self.fail(0, lambda exchange: exchange.refuse(404))
        source = self.opened(checksum_stated=True)
        self.assert_same(self.content, self.streamed(source))

    def test_another_size_is_another_file_always(self) -> None:
        self.fail(0, lambda exchange: exchange.refuse(404))
        self.mirrors[1].answer = lambda exchange: exchange.serve(
            content=self.content + b'more')
        self.assert_fails(exceptions.SourceChanged, checksum_stated=True)

    def test_addresses_that_are_good_once(self) -> None:
        used: set[str] = set()
        numbers = itertools.count()

        def sign(exchange: Exchange) -> None:
            exchange.refuse(302, {'Location': self.mirrors[0].url(
                f'image?sig={next(numbers)}')})

        def once(exchange: Exchange) -> None:
            if exchange.path in used:
                exchange.refuse(403)
            else:
                used.add(exchange.path)
                exchange.serve()

        self.server.answer, self.mirrors[0].answer = sign, once
        source = self.opened()
        source.read_at(3 * MIB, 10)
        self.assert_same(self.content, self.streamed(source))


class SafeRedirectTest(served.ServedTestCase):

    def serve_https(self) -> web.Server:
        server = web.Server(self.directory, context=web.self_signed(
            self.directory))
        self.addCleanup(server.stop)
        return server

    def test_https_never_becomes_http(self) -> None:
        server = self.serve_https()
        for status in (301, 302, 303, 307, 308):
            server.answer = lambda exchange, status=status: exchange.refuse(
                status, {'Location': self.url})
            error = self.assert_fails(
                exceptions.SourceError, location=server.url('image'),
                verify=False)
            self.assertIn('https', error.expected)
        self.assertEqual([], self.server.requests)

    def test_not_even_on_its_way(self) -> None:
        """To http and back, which would tell the query to everybody."""
        server = self.serve_https()
        server.answer = web.nth(0, lambda exchange: exchange.refuse(
            302, {'Location': self.url}))
        self.server.answer = lambda exchange: exchange.refuse(
            302, {'Location': server.url('image')})
        self.assert_fails(exceptions.SourceError, verify=False,
                          location=server.url('image'))
        self.assertEqual([], self.server.requests)

    def test_http_may_become_https(self) -> None:
        server = self.serve_https()
        self.server.answer = lambda exchange: exchange.refuse(
            302, {'Location': server.url('image')})
        self.assert_same(self.content,
                         self.streamed(self.opened(verify=False)))

    def test_nowhere(self) -> None:
        for place in ('http://[::1/', 'http://h:p/', 'https://', 'file:///x',
                      '\xff\xfe', '//[x]/'):
            self.server.answer = lambda exchange, place=place: (
                exchange.refuse(302, {'Location': place}))
            with self.subTest(place):
                self.assert_fails(exceptions.SourceError, retries=0)

    def test_who_failed(self) -> None:
        other = self.serve()
        other.answer = lambda exchange: exchange.refuse(404)
        place = other.url('image').replace('//', '//user:password@')
        for target, shown in (
                (f'{place}?signature', other.url('image')),
                ('http://127.0.0.1:1/' + 'x' * 5000,
                 'http://127.0.0.1:1/' + 'x' * 178 + '...')):
            self.server.answer = lambda exchange, target=target: (
                exchange.refuse(302, {'Location': target}))
            with self.assertRaises(exceptions.SourceError) as caught:
                self.opened(retries=0)
            self.assertEqual([f'it was redirected to {shown}'],
                             caught.exception.__notes__)
        self.server.answer = lambda exchange: exchange.refuse(404)
        with self.assertRaises(exceptions.SourceError) as caught:
            self.opened(retries=0)
        self.assertFalse(hasattr(caught.exception, '__notes__'))

    def test_names_beyond_ascii(self) -> None:
        self.save('%C3%BCmage', self.content)
        self.server.answer = web.nth(0, lambda exchange: exchange.refuse(
            302, {'Location': '/\xfcmage'.encode().decode('latin-1')}))
        self.assertEqual(len(self.content), self.opened().size)


class ManyServersTest(served.ServedTestCase):
    """Several servers behind one name, or one that says little."""

    def test_answers_that_say_less(self) -> None:
        """As RFC 9110, section 15.3.7, allows with If-Range."""
        for missing in (['ETag'], ['Last-Modified'],
                        ['ETag', 'Last-Modified']):
            for never in ([], ['ETag'], ['Last-Modified']):
                def lean(exchange: Exchange, missing: list[str] = missing,
                         never: list[str] = never) -> None:
                    less = missing if 'If-Range' in exchange.headers else []
                    exchange.serve(headers=dict.fromkeys([*less, *never]))

                self.server.answer = lean
                with self.subTest(missing=missing, never=never):
                    source = self.opened()
                    source.read_at(3 * MIB, 10)
                    self.assert_same(self.content, self.streamed(source))

    def test_a_tag_that_is_weak_at_times(self) -> None:
        for tags in (('W/"one"', '"one"'), ('"one"', 'W/"one"')):
            turns = itertools.cycle(tags)

            def answer(exchange: Exchange, turns: itertools.cycle = turns
                       ) -> None:
                del exchange.headers['If-Range']
                exchange.serve(headers={'ETag': next(turns)})

            self.server.answer = answer
            source = self.opened()
            source.read_at(3 * MIB, 10)
            self.assert_same(self.content, self.streamed(source))

    def test_tags_and_dates_of_each_server(self) -> None:
        """One name, one size, and a checksum that is compared later."""
        numbers = itertools.count()

        def answer(exchange: Exchange) -> None:
            number = next(numbers)
            exchange.serve(etag=f'"{number}"', headers={
                'Last-Modified': f'Thu, 01 Jan 2026 00:00:{number:02} GMT'})

        self.server.answer = answer
        source = self.opened(checksum_stated=True)
        source.read_at(3 * MIB, 10)
        self.assert_same(self.content, self.streamed(source))
        self.assert_fails(exceptions.SourceChanged)

    def test_a_server_without_ranges_among_them(self) -> None:
        self.server.answer = web.nth(1, lambda exchange: exchange.serve(
            ranges=False))
        source = self.opened(checksum_stated=True)
        self.assert_same(self.content, self.streamed(source))

    def test_ranges_in_parts(self) -> None:
        size = len(self.content)

        def parts(exchange: Exchange) -> None:
            first, last = map(int, exchange.headers['Range'][6:].split('-'))
            last = min(last, first + 300000 - 1, size - 1)
            exchange.start(206, {
                'Content-Length': str(last - first + 1),
                'Content-Range': f'bytes {first}-{last}/{size}'})
            exchange.wfile.write(self.content[first:last + 1])

        self.server.answer = parts
        source = self.opened(retries=0)
        self.assertEqual(self.content[5:2 * MIB],
                         source.read_at(5, 2 * MIB - 5))
        self.assert_same(self.content, self.streamed(source))
        self.assertEqual(0, source.resumes)

    def test_parts_that_are_too_small(self) -> None:
        """Each costs a request."""
        size = len(self.content)
        step = ranges.SMALLEST_PART - 1

        def parts(exchange: Exchange) -> None:
            first = int(exchange.headers['Range'][6:].split('-')[0])
            exchange.start(206, {
                'Content-Length': str(step),
                'Content-Range': f'bytes {first}-{first + step - 1}/{size}'})
            exchange.wfile.write(self.content[first:first + step])

        self.server.answer = parts
        self.assert_fails(exceptions.SourceError, 'Content-Range')

    def test_ranges_of_a_size_that_is_not_stated(self) -> None:
        size = len(self.content)

        def star(exchange: Exchange) -> None:
            if 'Range' not in exchange.headers:
                exchange.serve()
                return
            first, last = exchange.headers['Range'][6:].split('-')
            exchange.serve(headers={
                'Content-Range':
                f'bytes {first}-{min(int(last), size - 1)}/*'})

        self.server.answer = star
        source = self.opened()
        self.assertEqual((size, True), (source.size, source.random_access))
        source.read_at(3 * MIB, 10)
        self.assert_same(self.content, self.streamed(source))


class RouteTest(unittest.TestCase):
    """Answers that are made up, without a server."""

    def follow(self, url: str, *answers: tuple[str, str | None]
               ) -> list[str]:
        """Addresses that were asked for.

        :param answers: the address that each came from, and where it leads.
        """
        asked: list[str] = []

        def request(address: str, headers: dict[str, str], timeout: float
                    ) -> requests.Response:
            response = requests.Response()
            response.url, location = answers[min(len(asked),
                                                 len(answers) - 1)]
            response.status_code = 302 if location else 200
            response.headers['Location'] = location or ''
            response.raw = io.BytesIO()
            asked.append(address)
            return response

        self.route = redirects.Route(url, request, answer.Limits())
        self.route.ask({}, lambda response: None)
        return asked

    def test_an_address_without_a_host(self) -> None:
        """It is on the server that was asked, whatever its name is here."""
        self.assertEqual(
            ['glance:1', 'http://a/store'],
            self.follow('glance:1', ('http://a/v2/images/1', '/store'),
                        ('http://a/store', None)))
        self.assertEqual(
            ['http://b/x/image', 'http://b/x/other'],
            self.follow('http://b/x/image', ('http://c/', 'other'),
                        ('http://b/x/other', None)))

    def test_https_stays_https(self) -> None:
        self.assertEqual(
            ['https://a/image', 'https://b/image'],
            self.follow('https://a/image',
                        ('https://a/image', 'https://b/image'),
                        ('https://b/image', None)))

    def test_an_address_that_is_none(self) -> None:
        """Requests says so itself, other libraries do not."""
        for place in ('http://[::1/', '\xff\xfe', '//[x]/', 'ftp://b/'):
            with self.subTest(place), self.assertRaises(
                    exceptions.SourceError) as caught:
                self.follow('glance:1', ('http://a/v2/images/1', place))
            self.assertIn('an http(s) address', caught.exception.expected)

    def test_so_many_redirects(self) -> None:
        hops = [(f'http://a/{number}', f'http://a/{number + 1}')
                for number in range(30)]
        self.assertEqual(21, len(self.follow(
            'http://a/0', *hops[:20], ('http://a/20', None))))
        with self.assertRaises(exceptions.SourceError) as caught:
            self.follow('http://a/0', *hops[:21], ('http://a/21', None))
        self.assertIn('more than 20 redirects', caught.exception.found)
