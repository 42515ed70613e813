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

"""A server that fails: identical bytes, or the right status and no boot."""

import itertools
import os
import time
from unittest import mock

from tests.functional import base
from tests.functional import faults
from tests.support import disks
from tests.support import web

MIB = base.MIB
KIB = 1024
after_drop = faults.after_drop
redirecting = faults.redirecting
refusing = faults.refusing
serve = faults.serve
serving = faults.serving
STREAM = faults.STREAM


class EnduredTest(faults.FaultTestCase):
    """What a write survives."""

    def test_good_server(self) -> None:
        self.assert_identical(serve)
        self.assertEqual(STREAM + 1, len(self.server.requests))

    def test_no_ranges(self) -> None:
        self.assert_identical(serving(ranges=False))
        self.assertEqual(1, len(self.server.requests))

    def test_connection_closed_once(self) -> None:
        self.assert_identical(after_drop(serve), resumes=1)

    def test_connection_reset_once(self) -> None:
        self.assert_identical(
            web.nth(STREAM, serving(stop_after=2 * MIB, how='reset')),
            resumes=1)

    def test_connection_stalled_once(self) -> None:
        self.assert_identical(
            web.nth(STREAM, serving(stop_after=2 * MIB, how='stall')),
            resumes=1)

    def test_connection_closed_in_the_head(self) -> None:
        self.assert_identical(web.nth(0, serving(stop_after=1000)))

    def test_connection_closed_again_and_again(self) -> None:
        count = -(-(self.image.stat().st_size - MIB) // (MIB + 4096)) - 1
        self.assertGreater(count, faults.RETRIES)
        self.assert_identical(
            web.since(STREAM, serving(stop_after=MIB + 4096)), resumes=count)

    def test_overloaded_for_a_while(self) -> None:
        self.assert_identical(web.in_turn(
            refusing(503, Retry_After='0'), refusing(429, Retry_After='0'),
            serve, serve, refusing(502), refusing(504), serve))

    def test_asked_to_come_back_later(self) -> None:
        began = time.monotonic()
        self.assert_identical(web.nth(STREAM, refusing(503, Retry_After='1')))
        self.assertGreaterEqual(time.monotonic() - began, 1.0)

    def test_redirected_to_another_host(self) -> None:
        other = self.server.url('image', host='localhost')
        self.assert_identical(web.nth(0, redirecting(other)))

    def test_redirected_to_another_mirror_each_time(self) -> None:
        mirrors = [web.Server(self.shared) for _ in range(2)]
        for number, mirror in enumerate(mirrors):
            self.addCleanup(mirror.stop)
            mirror.answer = serving(etag=f'"mirror-{number}"')
        turns = itertools.cycle(mirrors)
        self.assert_identical(lambda exchange: exchange.refuse(
            302, {'Location': next(turns).url('image')}))

    def test_tags_of_each_server_behind_a_name(self) -> None:
        numbers = itertools.count()
        self.server.answer = lambda exchange: exchange.serve(
            etag=f'"{next(numbers)}"')
        outcome = self.write('--json', '--checksum',
                             disks.checksum(self.image))
        self.assert_status(0, outcome)
        self.assert_written(self.raw, self.target)

    def test_https(self) -> None:
        server = web.Server(self.shared, context=web.self_signed(
            self.directory))
        self.addCleanup(server.stop)
        with mock.patch.dict(os.environ, REQUESTS_CA_BUNDLE=str(
                self.directory / 'certificate.pem')):
            self.assert_identical(serve, url=server.url('image'))

    def test_no_validators(self) -> None:
        self.assert_identical(
            serving(headers={'ETag': None, 'Last-Modified': None}))

    def test_weak_etag(self) -> None:
        self.assert_identical(serving(etag='W/"weak"'))

    def test_longer_body_than_announced(self) -> None:
        def answer(exchange: web.Exchange) -> None:
            exchange.serve()
            exchange.wfile.write(b'trailing garbage')
            exchange.hang_up('close')
        self.assert_identical(answer)

    def test_mirror_when_the_server_is_down(self) -> None:
        self.server.answer = serve
        outcome = self.write('--mirror', self.server.url('image'), '--json',
                             url='http://127.0.0.1:9/image')
        self.assert_status(0, outcome)
        self.assert_written(self.raw, self.target)

    def test_mirror_when_the_server_fails_in_the_middle(self) -> None:
        mirror = web.Server(self.shared)
        self.addCleanup(mirror.stop)
        self.server.answer = after_drop(refusing(500))
        outcome = self.write('--mirror', mirror.url('image'), '--json')
        self.assert_status(0, outcome)
        self.assert_written(self.raw, self.target)
        self.assertEqual(1, outcome.json['resumes'])
        self.assertTrue(mirror.requests[-1].startswith(
            f'bytes={3 * MIB}-'), mirror.requests)


class FailedTest(faults.FaultTestCase):
    """What ends a write, after the disk was begun."""

    def test_closed_at_once_always(self) -> None:
        self.assert_fails(web.since(STREAM, serving(stop_after=100)),
                          'connection')

    def test_reset_always(self) -> None:
        self.assert_fails(
            web.since(STREAM, serving(stop_after=64 * KIB, how='reset')))

    def test_stalled_always(self) -> None:
        self.assert_fails(
            web.since(STREAM, serving(stop_after=64 * KIB, how='stall')),
            'stopped answering')

    def test_no_answer(self) -> None:
        self.assert_fails(web.since(STREAM, faults.silence),
                          'stopped answering')

    def test_head_that_never_ends(self) -> None:
        self.assert_fails(web.since(STREAM, faults.continued),
                          'stopped answering')

    def test_dripping(self) -> None:
        began = time.monotonic()
        self.assert_fails(web.since(STREAM, faults.drip), 'stopped answering')
        self.assertLess(time.monotonic() - began, 30)

    def test_short_body_with_a_matching_length(self) -> None:
        self.assert_fails(web.since(STREAM, serving(
            stop_after=100 * KIB,
            headers={'Content-Length': str(100 * KIB)})), 'ended early')

    def test_range_of_other_bytes(self) -> None:
        size = self.image.stat().st_size
        self.assert_fails(web.since(STREAM, serving(headers={
            'Content-Range': f'bytes {MIB + 512}-{size - 1}/{size}'})),
            'Content-Range')

    def test_range_that_is_none(self) -> None:
        for value in ('bytes */*', 'chapter 1-2/3', f'bytes {"9" * 5000}-1/2',
                      None):
            with self.subTest(value):
                self.assert_fails(web.since(STREAM, serving(
                    headers={'Content-Range': value})), 'Content-Range')

    def test_whole_file_instead_of_the_range(self) -> None:
        self.assert_fails(web.since(STREAM, serving(ranges=False)),
                          'the image changed', 'the whole file')

    def test_replaced_in_the_middle(self) -> None:
        self.assert_fails(after_drop(serving(etag='"another"')),
                          'the image changed')

    def test_replaced_and_conditions_ignored(self) -> None:
        def answer(exchange: web.Exchange) -> None:
            del exchange.headers['If-Range']
            exchange.serve(etag='"another"')
        self.assert_fails(after_drop(answer), 'the image changed',
                          'another ETag')

    def test_touched_in_the_middle(self) -> None:
        self.assert_fails(after_drop(serving(headers={
            'Last-Modified': 'Thu, 01 Jan 1970 00:00:00 GMT'})),
            'the image changed')

    def test_grown_in_the_middle(self) -> None:
        self.assert_fails(web.since(STREAM, serving(
            content=self.image.read_bytes() + bytes(512))),
            'the image changed')

    def test_shrunk_in_the_middle(self) -> None:
        self.assert_fails(web.since(STREAM, serving(
            content=self.image.read_bytes()[:-512])), 'the image changed')

    def test_gone_in_the_middle(self) -> None:
        for status, words in ((404, 'not found'), (403, 'permission'),
                              (500, 'out of order'), (418, '418')):
            with self.subTest(status):
                self.assert_fails(after_drop(refusing(status)), words)

    def test_compressed_on_the_way(self) -> None:
        self.assert_fails(web.since(STREAM, serving(
            headers={'Content-Encoding': 'gzip'})), 'Content-Encoding')

    def test_garbage(self) -> None:
        self.assert_fails(web.since(STREAM, faults.garbage))

    def test_redirected_to_a_file(self) -> None:
        self.assert_fails(web.since(STREAM, redirecting('file:///etc/passwd')))

    def test_no_ranges_and_dropped(self) -> None:
        self.assert_fails(serving(ranges=False, stop_after=3 * MIB),
                          'range requests')

    def test_flipped_byte_with_a_checksum(self) -> None:
        stored = bytearray(self.image.read_bytes())
        right = disks.checksum(self.image)
        stored[-5 * KIB] ^= 1
        self.assert_fails(serving(content=bytes(stored)), 'checksum',
                          status=6, options=('--checksum', right))

    def test_mirror_of_another_file(self) -> None:
        (self.directory / 'image').write_bytes(bytes(5 * MIB))
        mirror = web.Server(self.directory)
        self.addCleanup(mirror.stop)
        self.assert_fails(
            after_drop(refusing(500)), 'the image changed',
            options=('--mirror', mirror.url('image')))
