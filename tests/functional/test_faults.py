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

import contextlib
import functools
import pathlib
import shutil
import time
import typing
from unittest import mock

from ironic_imagedeploy import engine
from ironic_imagedeploy.engine.sources import http
from tests.functional import base
from tests.functional import images
from tests.functional import web

MIB = base.MIB
KIB = 1024
serve = web.Exchange.serve
#: Seconds of silence, and failures in a row, that these tests wait for.
TIMEOUT, RETRIES = 1.0, 2
#: Requests for the head and the tail come first, counted from 0.
STREAM = 2


def serving(**how: typing.Any) -> web.Answer:
    """An answer with the file, with something wrong about it."""
    return lambda exchange: exchange.serve(**how)


def refusing(status: int, **headers: str) -> web.Answer:
    """An answer with that status; underscores in headers are hyphens."""
    return lambda exchange: exchange.refuse(status, {
        name.replace('_', '-'): value for name, value in headers.items()})


def redirecting(location: str) -> web.Answer:
    """An answer that sends the client elsewhere."""
    return refusing(302, Location=location)


def after_drop(answer: web.Answer) -> web.Answer:
    """An answer to who continues after the connection dropped."""
    return web.in_turn(*[serve] * STREAM, serving(stop_after=2 * MIB),
                       last=answer)


def garbage(exchange: web.Exchange) -> None:
    """No HTTP at all."""
    exchange.wfile.write(b'\x16\x03\x01\x02\x00\x01\x00\xff' * 64)
    exchange.hang_up('close')


def silence(exchange: web.Exchange) -> None:
    """Not a word."""
    exchange.hang_up('stall')


def drip(exchange: web.Exchange) -> None:
    """An answer at some bytes a second."""
    exchange.serve(stop_after=1, how='drip')
    with contextlib.suppress(OSError):
        while not exchange.server.stopping.wait(0.1):
            exchange.wfile.write(b'!')


class FaultTestCase(base.FunctionalTestCase):
    """A server, an image on it, and less patience than in production."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.shared = base.make_directory()
        cls.addClassCleanup(shutil.rmtree, cls.shared)
        cls.make_image(cls.shared / 'image')

    @classmethod
    def make_image(cls, image: pathlib.Path) -> None:
        """The image, of some MiB, and what its guest sees."""
        guest = images.make_guest(cls.shared / 'guest', 16 * MIB, seed=2)
        images.convert(guest, image)
        cls.raw = images.as_raw(image)

    def setUp(self) -> None:
        super().setUp()
        self.image = self.shared / 'image'
        self.server = web.Server(self.shared)
        self.addCleanup(self.server.stop)
        self.enterContext(mock.patch.object(http, '_PAUSE', 0.01))
        self.enterContext(mock.patch.object(
            engine, 'open_source', functools.partial(
                engine.open_source, timeout=TIMEOUT, retries=RETRIES)))

    @functools.cached_property
    def target(self) -> base.Disk:
        return self.disk(19 * MIB)

    def write(self, *options: typing.Any, url: str = '') -> base.Outcome:
        """Write the image as the server gives it."""
        return self.invoke('write', url or self.server.url('image'),
                           self.target.device, '--progress', 'none', *options)

    def assert_identical(self, answer: web.Answer, *, resumes: int = 0,
                         url: str = '') -> None:
        """In spite of the fault the disk holds the image."""
        self.server.answer = answer
        outcome = self.write('--json', url=url)
        self.assert_status(0, outcome)
        self.assert_written(self.raw, self.target)
        self.assertEqual(resumes, outcome.json['resumes'])

    def assert_fails(self, answer: web.Answer, *words: str,
                     status: int = 3, options: typing.Any = ()) -> None:
        """The write ends with that status; the disk boots nothing."""
        self.server.answer = answer
        outcome = self.write(*options)
        self.assert_status(status, outcome)
        self.assert_one_sentence(outcome, *words)
        self.assert_boots_nothing(self.target)

    def assert_never_begins(self, answer: web.Answer, *words: str,
                            status: int = 3, url: str = '') -> None:
        """The write ends with that status before it touches the disk."""
        self.server.answer = answer
        outcome = self.write(url=url)
        self.assert_status(status, outcome)
        self.assert_one_sentence(outcome, *words)
        self.assert_untouched(self.target)


class EnduredTest(FaultTestCase):
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
        self.assertGreater(count, RETRIES)
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


class FailedTest(FaultTestCase):
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
        self.assert_fails(web.since(STREAM, silence), 'stopped answering')

    def test_dripping(self) -> None:
        began = time.monotonic()
        self.assert_fails(web.since(STREAM, drip), 'stopped answering')
        self.assertLess(time.monotonic() - began, 30)

    def test_short_body_with_a_matching_length(self) -> None:
        self.assert_fails(web.since(STREAM, serving(
            stop_after=100 * KIB,
            headers={'Content-Length': str(100 * KIB)})), 'shorter')

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
        self.assert_fails(web.since(STREAM, garbage))

    def test_redirected_to_a_file(self) -> None:
        self.assert_fails(web.since(STREAM, redirecting('file:///etc/passwd')))

    def test_no_ranges_and_dropped(self) -> None:
        self.assert_fails(serving(ranges=False, stop_after=3 * MIB),
                          'range requests')

    def test_flipped_byte_with_a_checksum(self) -> None:
        stored = bytearray(self.image.read_bytes())
        right = base.checksum(self.image)
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


class NeverBegunTest(FaultTestCase):
    """What ends a write before the disk is touched."""

    def test_refused_by_the_server(self) -> None:
        for status, words in ((404, 'not found'), (401, 'permission'),
                              (403, 'permission'), (500, 'out of order'),
                              (410, 'not found'), (204, '204')):
            with self.subTest(status):
                self.assert_never_begins(refusing(status), words)

    def test_page_instead_of_the_image(self) -> None:
        self.assert_never_begins(refusing(200), 'not-an-image', status=4)

    def test_empty_file(self) -> None:
        (self.shared / 'empty').touch()
        self.assert_never_begins(serve, 'not-an-image', status=4,
                                 url=self.server.url('empty'))

    def test_nobody_listens(self) -> None:
        self.assert_never_begins(serve, 'refused',
                                 url='http://127.0.0.1:9/image')

    def test_no_length(self) -> None:
        self.assert_never_begins(serving(
            ranges=False, stop_after=MIB, headers={'Content-Length': None}),
            'length')

    def test_compressed_on_the_way(self) -> None:
        self.assert_never_begins(serving(
            headers={'Content-Encoding': 'gzip'}), 'Content-Encoding')

    def test_range_of_other_bytes(self) -> None:
        size = self.image.stat().st_size
        self.assert_never_begins(serving(headers={
            'Content-Range': f'bytes 512-{MIB + 511}/{size}'}),
            'Content-Range')

    def test_redirect_loop(self) -> None:
        self.assert_never_begins(redirecting(self.server.url('image')),
                                 'redirect')

    def test_redirect_to_a_file(self) -> None:
        self.assert_never_begins(redirecting('file:///etc/passwd'))

    def test_garbage(self) -> None:
        self.assert_never_begins(garbage)

    def test_silence(self) -> None:
        self.assert_never_begins(silence, 'stopped answering')

    def test_truncated_file(self) -> None:
        short = self.shared / 'short'
        short.write_bytes(self.image.read_bytes()[:2 * MIB])
        self.assert_never_begins(serve, 'truncated', status=4,
                                 url=self.server.url('short'))

    def test_certificate_that_nobody_vouches_for(self) -> None:
        server = web.Server(self.shared, context=web.self_signed(
            self.directory))
        self.addCleanup(server.stop)
        self.assert_never_begins(serve, 'certificate',
                                 url=server.url('image'))

    def test_no_secret_is_told(self) -> None:
        address = self.server.url('image').replace(
            '//', '//admin:hunter2@') + '?signature=hunter3'
        self.server.answer = refusing(403)
        nobody = address.replace(f':{self.server.server_port}/', ':9/')
        for outcome in (self.execute('check', address, '--json'),
                        self.execute('check', address, '--debug'),
                        self.invoke('check', nobody, '--debug')):
            self.assertEqual(3, outcome.status)
            self.assertIn('127.0.0.1', outcome.stderr)
            self.assertNotIn('hunter', outcome.stdout + outcome.stderr)


class TablesTest(FaultTestCase):
    """An image whose tables lie far from its front."""

    @classmethod
    def make_image(cls, image: pathlib.Path) -> None:
        images.make_mixed(image, 4 * MIB, 'cluster_size=512', seed=8)
        base.run('qemu-img', 'resize', '-q', '-f', 'qcow2', image,
                 str(16 * MIB))
        images.qemu_io(image, 'write -P 5 10M 3M')
        cls.raw = images.as_raw(image)

    def test_read_by_ranges(self) -> None:
        self.server.answer = serve
        self.assert_status(0, self.write())
        self.assert_written(self.raw, self.target)
        self.assertGreater(len(self.server.requests), 2)

    def test_no_ranges(self) -> None:
        # All of it is within what may be held in memory.
        self.assert_identical(serving(ranges=False))

    def test_flipped_between_the_tables_and_the_stream(self) -> None:
        self.server.answer = serve
        self.assert_status(0, self.invoke('check',
                                          self.server.url('image')))
        reads = len(self.server.requests)
        stored = bytearray(self.image.read_bytes())
        stored[self.last_table()] ^= 0x80
        self.assert_fails(web.since(reads, serving(content=bytes(stored))),
                          'the image changed')

    def last_table(self) -> int:
        """Offset in the file of the level 2 table that is read last."""
        stored = self.image.read_bytes()
        level1 = int.from_bytes(stored[40:48], 'big')
        entries = [int.from_bytes(stored[at:at + 8], 'big') & (1 << 56) - 512
                   for at in range(level1, level1 + 8 * 512, 8)]
        return max(entries)


class FarTablesTest(FaultTestCase):
    """No ranges, and tables beyond what may be held."""

    @classmethod
    def make_image(cls, image: pathlib.Path) -> None:
        images.create(image, 4 * MIB, 'cluster_size=512')
        images.write_table(image)
        images.qemu_io(image, 'write -P 1 1M 3M')
        base.run('qemu-img', 'resize', '-q', '-f', 'qcow2', image,
                 str(64 * MIB))
        images.qemu_io(image, 'write -P 5 10M 30M')
        base.run('qemu-img', 'resize', '-q', '-f', 'qcow2', image,
                 str(256 * MIB))

    @functools.cached_property
    def target(self) -> base.Disk:
        return self.disk(256 * MIB)

    def test_refused_with_the_remedy(self) -> None:
        self.assert_never_begins(serving(ranges=False),
                                 'server that answers range requests')
