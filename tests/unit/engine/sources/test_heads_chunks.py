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

"""Bodies in chunks of HTTP, as a server sends them that means no good."""

import time

from ironic_imagedeploy.engine import exceptions
from tests.support import web
from tests.unit.engine.sources import served

MIB = 1 << 20
Exchange = web.Exchange


class ChunkTest(served.ServedTestCase):
    """Bodies whose next piece is always about to come."""

    def test_a_line_that_never_ends(self) -> None:
        def endless(exchange: Exchange) -> None:
            size = len(self.content)
            exchange.start(206, {
                'Content-Range': f'bytes {MIB}-{size - 1}/{size}',
                'Transfer-Encoding': 'chunked'})
            exchange.wfile.write(b'5\r\nabcde\r\n1000;')
            while not exchange.server.stopping.wait(0.05):
                exchange.wfile.write(b'x')

        self.server.answer = web.since(1, endless)
        began = time.monotonic()
        self.assert_fails(exceptions.SourceTimeout, timeout=0.5, retries=0)
        self.assertLess(time.monotonic() - began, 10)

    def test_pieces_that_are_none(self) -> None:
        for line in (b'nothing\r\n', b'-5\r\n', b'\0\xff\r\n',
                     b'x' * 70_000, b'5\r\nabcdefgh\r\n'):
            with self.subTest(line[:9]):
                def garbage(exchange: Exchange, line: bytes = line) -> None:
                    size = len(self.content)
                    exchange.start(206, {
                        'Content-Range': f'bytes {MIB}-{size - 1}/{size}',
                        'Transfer-Encoding': 'chunked'})
                    exchange.wfile.write(b'5\r\nabcde\r\n' + line)
                    exchange.close_connection = True

                self.server.answer = web.since(1, garbage)
                with self.assertRaises(exceptions.SourceError):
                    self.streamed(self.opened(retries=0))

    def test_sizes_that_are_none(self) -> None:
        for line in (b'-5', b'nothing', b''):
            def garbage(exchange: Exchange, line: bytes = line) -> None:
                size = len(self.content)
                exchange.start(206, {
                    'Content-Range': f'bytes {MIB}-{size - 1}/{size}',
                    'Transfer-Encoding': 'chunked'})
                exchange.wfile.write(line + b'\r\n' + self.content)
                exchange.close_connection = True

            with self.subTest(line):
                self.server.answer = web.since(1, garbage)
                error = self.assert_fails(exceptions.SourceUnavailable,
                                          retries=0)
                self.assertEqual('a chunk of no usable length', error.found)

    def test_chunks_that_take_their_time(self) -> None:
        def slowly(exchange: Exchange) -> None:
            size = len(self.content)
            exchange.start(206, {
                'Content-Range': f'bytes {MIB}-{size - 1}/{size}',
                'Transfer-Encoding': 'chunked'})
            for start in range(MIB, size, MIB):
                piece = self.content[start:start + MIB]
                exchange.wfile.write(b'%x\r\n' % len(piece))
                time.sleep(0.2)
                exchange.wfile.write(piece + b'\r\n')
            exchange.wfile.write(b'0\r\n\r\n')

        self.server.answer = web.since(1, slowly)
        self.assert_same(self.content, self.streamed(self.opened(
            timeout=0.5, retries=0)))
