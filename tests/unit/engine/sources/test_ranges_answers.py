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


"""What the answers of a web server mean, without a server."""

import io
import typing

import requests

from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.sources import ranges
from tests.unit.engine import base

RETRIED = {408, 425, 429, 500, 502, 503, 504}
REDIRECTS = {301, 302, 303, 307, 308}
ACCEPTED = {200, 206, 416}


class AnswerTestCase(base.EngineTestCase):

    def connect(self, status: int, content: bytes = b'', **headers: str
                ) -> ranges.Connection:
        """A server that gives the same answer to all that it is asked."""
        def request(address: str, asked: dict[str, str], timeout: float
                    ) -> requests.Response:
            self.asked.append(address)
            self.response = requests.Response()
            self.response.status_code = status
            self.response.raw = io.BytesIO(content)
            self.response.headers.update({
                name.replace('_', '-'): value
                for name, value in headers.items()})
            return self.response

        self.asked: list[str] = []
        return ranges.Connection('http://host/image', request)

    def opened(self, status: int, **headers: str) -> ranges.Connection:
        server = self.connect(status, **headers)
        server.open(10)
        return server

    def fail(self, server: ranges.Connection,  # type: ignore[override]
             call: typing.Callable[[], object]) -> exceptions.SourceError:
        """The error of a call that leaves no answer open."""
        with self.assertRaises(exceptions.SourceError) as caught:
            call()
        self.assert_complete(caught.exception)
        self.assertTrue(self.response.raw.closed)
        return caught.exception


class StatusTest(AnswerTestCase):

    def expected(self, status: int) -> type[exceptions.SourceError]:
        if status in RETRIED:
            return exceptions.SourceUnavailable
        if status in (404, 410):
            return exceptions.SourceNotFound
        return exceptions.SourceError

    def test_each_status(self) -> None:
        for status in {*range(200, 600)} - ACCEPTED:
            server = self.connect(status)
            error = self.fail(server, lambda server=server: server.open(10))
            with self.subTest(status):
                self.assertIs(self.expected(status), type(error))
                self.assertEqual(f'HTTP status {status}', error.found)
                self.assertEqual(
                    'permission to read' if status in (401, 403, 407)
                    else 'the image', error.expected)

    def test_what_is_accepted(self) -> None:
        for status, headers, size in (
                (200, {'Content_Length': '5'}, 5), (416, {}, 0),
                (206, {'Content_Range': 'bytes 0-9/77'}, 77)):
            server = self.opened(status, **headers)
            with self.subTest(status):
                self.assertEqual((size, status != 200),
                                 (server.size, server.random_access))

    def test_where_redirects_lead(self) -> None:
        for status in {*range(300, 400)}:
            server = self.connect(status, Location='http://host/other')
            self.fail(server, lambda server=server: server.open(10))
            with self.subTest(status):
                self.assertEqual(
                    ['http://host/image', *['http://host/other'] * 20]
                    if status in REDIRECTS else ['http://host/image'],
                    self.asked)

    def test_a_file_that_is_empty(self) -> None:
        """No range of it can be given; the answer has an explanation."""
        body = self.connect(416, b'no such range',
                            Content_Encoding='gzip').open(10)
        self.assertEqual(0, body.remaining)


class PinTest(AnswerTestCase):

    def test_another_tag_or_date(self) -> None:
        """Whichever of them comes first in the alphabet."""
        for name in ('ETag', 'Last_Modified'):
            for first, later in (('a', 'b'), ('b', 'a')):
                place = {'Content_Range': 'bytes 0-9/77'}
                server = self.opened(206, **place, **{name: first})
                server.get(0, 10)
                server._route._request = self.connect(
                    206, **place, **{name: later})._route._request
                error = self.fail(server,
                                  lambda server=server: server.get(0, 10))
                self.assertIs(exceptions.SourceChanged, type(error))


class PartTest(AnswerTestCase):
    """Answers to a range of a file of 300,000 bytes."""

    size = 300_000

    def answer(self, first: int, end: int, size: object = None,
               status: int = 206, **headers: str) -> ranges.Connection:
        """A server that was opened, and gives that range from now on."""
        server = self.opened(206, Content_Range=f'bytes 0-9/{self.size}')
        server._route._request = self.connect(
            status, Content_Range=f'bytes {first}-{end - 1}/'
            f'{size or self.size}', **headers)._route._request
        return server

    def test_the_range_or_its_front(self) -> None:
        least = ranges.SMALLEST_PART
        for first, end in ((100, 200_000), (100, 100 + least),
                           (100, 101 + least)):
            self.assertEqual(end - first, self.answer(first, end).get(
                100, 200_000).remaining)
        for first, end in ((99, 200_000), (101, 200_000), (100, 200_001),
                           (100, 99 + least), (0, 200_000)):
            server = self.answer(first, end)
            error = self.fail(server, lambda server=server: server.get(
                100, 200_000))
            self.assertEqual(('bytes 100 to 199999, or the first of them',
                              f'Content-Range from byte {first} to {end - 1}'),
                             (error.expected, error.found))

    def test_a_size_that_is_not_stated(self) -> None:
        self.assertEqual(10, self.answer(5, 15, '*').get(5, 15).remaining)
        for size in (self.size - 1, self.size + 1):
            server = self.answer(5, 15, size)
            error = self.fail(server,
                              lambda server=server: server.get(5, 15))
            self.assertEqual((f'the same file of {self.size} bytes',
                              f'a file of {size} bytes'),
                             (error.expected, error.found))

    def test_bytes_of_something_else(self) -> None:
        for headers, found in (
                ({'Transfer_Encoding': 'gzip, chunked'},
                 "Transfer-Encoding 'gzip, chunked'"),
                ({'Content_Type': 'Multipart/ByteRanges; boundary=x'},
                 'several ranges in one answer')):
            server = self.answer(5, 15, **headers)
            error = self.fail(server, lambda server=server: server.get(5, 15))
            self.assertEqual(found, error.found)
        for framing in ('chunked', 'Chunked', 'identity'):
            self.assertEqual(10, self.answer(
                5, 15, Transfer_Encoding=framing).get(5, 15).remaining)

    def test_much_is_told_in_few_words(self) -> None:
        for headers, found in (
                ({'Content_Range': 'x' * 99},
                 f"Content-Range '{'x' * 80}'"),
                ({'Transfer_Encoding': 'x' * 99},
                 f"Transfer-Encoding '{'x' * 40}'"),
                ({'Content_Encoding': 'x' * 99},
                 f"Content-Encoding '{'x' * 40}'")):
            server = self.connect(206, **headers)
            error = self.fail(server, lambda server=server: server.open(10))
            self.assertEqual(found, error.found)

    def test_a_file_that_ends_earlier(self) -> None:
        server = self.answer(5, 15, status=416)
        error = self.fail(server, lambda: server.get(5, 15))
        self.assertIsInstance(error, exceptions.SourceChanged)
        self.assertIn('416', error.found)

    def test_the_whole_file(self) -> None:
        """Which another server behind the name may give a part of."""
        for stated, length, kind in (
                (True, self.size, exceptions.SourceUnavailable),
                (True, self.size + 1, exceptions.SourceChanged),
                (False, self.size, exceptions.SourceChanged)):
            server = self.answer(0, 0, status=200,
                                 Content_Length=str(length))
            server._checksum_stated = stated
            error = self.fail(server,
                              lambda server=server: server.get(5, 15))
            self.assertIs(kind, type(error))
