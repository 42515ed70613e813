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

import time
from unittest import mock

from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.sources import mirrors
from tests.support import web
from tests.unit.engine import base
from tests.unit.engine.sources import served

MIB = base.MIB
Exchange = web.Exchange


class ResumeTest(served.ServedTestCase):

    def test_a_connection_that_drops(self) -> None:
        for how in ('close', 'reset'):
            for stop_after in (0, 1, 70000, 2 * MIB, 4 * MIB + 320):
                with self.subTest(how=how, stop_after=stop_after):
                    self.server.requests.clear()
                    self.server.answer = web.nth(
                        1, lambda exchange, how=how, stop_after=stop_after:
                        exchange.serve(stop_after=stop_after, how=how))
                    source = self.opened()
                    self.assert_same(self.content, self.streamed(source))
                    self.assertEqual(3, len(self.server.requests))
                    self.assertLessEqual(source.resumes, 1)
                    if how == 'close' and stop_after:
                        self.assertEqual(1, source.resumes)
                        self.assertEqual(
                            f'bytes={MIB + stop_after}-'
                            f'{len(self.content) - 1}',
                            self.server.requests[2])

    def test_progress_renews_the_patience(self) -> None:
        self.server.answer = web.since(
            1, lambda exchange: exchange.serve(stop_after=MIB + 1))
        source = self.opened(retries=1)
        self.assert_same(self.content, self.streamed(source))
        self.assertEqual(4, source.resumes)

    def test_no_progress_ends_it(self) -> None:
        self.server.answer = web.since(
            1, lambda exchange: exchange.serve(stop_after=1000))
        error = self.assert_fails(exceptions.ConnectionDropped)
        self.assertIn('more bytes', error.expected)
        self.assertEqual(1 + 3, len(self.server.requests))

    def test_reads_at_offsets_are_tried_again_too(self) -> None:
        source = self.opened()
        for fault in (lambda exchange: exchange.serve(stop_after=10),
                      lambda exchange: exchange.refuse(500),
                      lambda exchange: exchange.hang_up('reset')):
            self.server.answer = web.nth(0, fault)
            self.assertEqual(self.content[2 * MIB:][:1000],
                             source.read_at(2 * MIB, 1000))

    def test_a_server_out_of_order_for_a_while(self) -> None:
        for status in (408, 425, 429, 500, 502, 503, 504):
            for number in (0, 1):
                self.server.answer = web.nth(
                    number, lambda exchange, status=status:
                    exchange.refuse(status))
                with self.subTest(status=status, number=number):
                    self.assert_same(self.content,
                                     self.streamed(self.opened()))

    def test_a_server_out_of_order_for_good(self) -> None:
        self.server.answer = lambda exchange: exchange.refuse(503)
        self.assert_fails(exceptions.SourceUnavailable, '503')
        self.assertEqual(3, len(self.server.requests))

    def test_the_server_says_when_to_come_again(self) -> None:
        self.server.answer = web.nth(0, lambda exchange: exchange.refuse(
            503, {'Retry-After': '1'}))
        began = time.monotonic()
        self.opened()
        self.assertGreaterEqual(time.monotonic() - began, 1)

    def test_a_wait_that_is_too_long_is_not_waited_for(self) -> None:
        for value in ('86400', '99999999999999999999', 'tomorrow', '-1'):
            self.server.answer = web.nth(0, lambda exchange, value=value:
                                         exchange.refuse(503, {
                                             'Retry-After': value}))
            with mock.patch.object(mirrors, '_PAUSE_LIMIT', 0.01):
                began = time.monotonic()
                self.opened()
                self.assertLess(time.monotonic() - began, 20)

    def test_silence(self) -> None:
        self.server.answer = web.since(
            1, lambda exchange: exchange.serve(stop_after=1000, how='stall'))
        began = time.monotonic()
        self.assert_fails(exceptions.SourceTimeout, timeout=0.2, retries=1)
        self.assertLess(time.monotonic() - began, 20)

    def test_silence_from_the_start(self) -> None:
        self.server.answer = lambda exchange: exchange.hang_up('stall')
        self.assert_fails(exceptions.SourceTimeout, timeout=0.2, retries=0)

    def test_a_trickle_is_as_good_as_silence(self) -> None:
        def trickle(exchange: Exchange) -> None:
            exchange.serve(stop_after=0, how='close')
            for _ in range(100):
                exchange.wfile.write(b'x')
                exchange.wfile.flush()
                if exchange.server.stopping.wait(0.02):
                    return

        self.server.answer = web.since(1, trickle)
        error = self.assert_fails(exceptions.SourceTimeout, timeout=0.3,
                                  retries=0)
        self.assertIn('bytes/s', error.expected)


class ChangeTest(served.ServedTestCase):

    def assert_change_noticed(self, fault: web.Answer) -> None:
        self.server.answer = web.since(1, fault)
        self.assert_fails(exceptions.SourceChanged)

    def test_another_etag(self) -> None:
        self.assert_change_noticed(
            lambda exchange: exchange.serve(etag='"other"'))
        # A server that does not know If-Range.
        self.assert_change_noticed(
            lambda exchange: exchange.serve(headers={'ETag': '"other"'}))

    def test_another_date(self) -> None:
        self.assert_change_noticed(lambda exchange: exchange.serve(
            headers={'Last-Modified': 'Thu, 01 Jan 1970 00:00:00 GMT'}))

    def test_another_size(self) -> None:
        size = len(self.content)
        self.assert_change_noticed(lambda exchange: exchange.serve(
            content=self.content + b'more'))
        self.assert_change_noticed(lambda exchange: exchange.serve(headers={
            'Content-Range': f'bytes {MIB}-{size - 1}/{size + 1}'}))

    def test_a_whole_answer_instead_of_a_range(self) -> None:
        self.assert_change_noticed(
            lambda exchange: exchange.serve(ranges=False))

    def test_a_change_after_a_drop(self) -> None:
        self.server.answer = web.in_turn(
            Exchange.serve, lambda exchange: exchange.serve(stop_after=MIB),
            last=lambda exchange: exchange.serve(etag='"other"'))
        self.assert_fails(exceptions.SourceChanged)

    def test_a_change_between_reads(self) -> None:
        source = self.opened()
        self.server.answer = lambda exchange: exchange.serve(etag='"other"')
        self.assertRaises(exceptions.SourceChanged, source.read_at, 2 * MIB,
                          10)
