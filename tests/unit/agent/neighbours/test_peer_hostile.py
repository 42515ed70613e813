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
import unittest
from unittest import mock

from ironic_imagedeploy.agent.neighbours import connection as connections
from ironic_imagedeploy.agent.neighbours import peer as peers
from ironic_imagedeploy.agent.neighbours import pipeline as pipelines
from ironic_imagedeploy.agent.neighbours import protocol
from ironic_imagedeploy.contract import neighbours as contract
from tests.unit.agent.neighbours import fakes
from tests.unit.agent.neighbours import images

MIB = images.MIB
SECONDS = 1.25


def says(message):
    """An answer with these bytes, and then silence."""
    def answer(secured, stopped):
        secured.recv(4096)
        secured.sendall(message)
        stopped.wait(30)
    return answer


def drips(message, pause):
    """An answer with a byte now and then."""
    def answer(secured, stopped):
        secured.recv(4096)
        for byte in message:
            secured.sendall(bytes([byte]))
            if stopped.wait(pause):
                return
    return answer


class HostilePeerTest(unittest.TestCase):
    """A peer with the right certificate costs seconds, whatever it does."""

    def setUp(self):
        for module, name in ((connections, 'PATIENCE'),
                             (protocol, 'NEWS_SECONDS')):
            patcher = mock.patch.object(module, name, 0.5)
            patcher.start()
            self.addCleanup(patcher.stop)

    def ask(self, answer):
        liar = fakes.Liar(answer)
        self.addCleanup(liar.close)
        peer = peers.Peer(
            contract.Peer(url=f'https://{images.ADDRESS}:{liar.port}',
                          certificate=images.CERTIFICATE.pem,
                          ticket=images.TICKET),
            root=images.MANIFEST.root, most_news=64)
        self.addCleanup(peer.close)
        view = memoryview(bytearray(MIB))
        with self.assertRaises((connections.PeerFailed, pipelines.NotHere)):
            peer.fetch(0, (0, MIB), view, SECONDS)
        with self.assertRaises(connections.PeerFailed):
            peer.news(None)

    def within(self, seconds, answer):
        began = time.monotonic()
        self.ask(answer)
        self.assertLess(time.monotonic() - began, seconds)

    def test_garbage(self):
        for message in (b'\0' * 9999, b'SSH-2.0-OpenSSH_9.2\r\n\r\n',
                        b'HTTP/1.1 206 \r\n\r\n',
                        b'HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n\r\n',
                        b'HTTP/1.1 206 OK\r\nContent-Length: 999999999\r\n'
                        b'\r\n', b'HTTP/1.1 302 Found\r\n'
                        b'Location: https://192.0.2.1/\r\n\r\n',
                        b'HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\n'
                        b'no'):
            self.within(2, says(message))

    def test_a_head_without_an_end(self):
        def flood(secured, stopped):
            secured.recv(4096)
            secured.sendall(b'HTTP/1.1 200 OK\r\n')
            while True:
                secured.sendall(b'a: b\r\n' * 999)
        self.within(2, flood)

    def test_silence(self):
        self.within(4, says(b''))

    def test_a_byte_now_and_then(self):
        self.within(4, drips(b'HTTP/1.1 206 OK\r\nContent-Length: 1', 0.2))

    def test_a_body_that_comes_slowly(self):
        self.within(4, drips(b'HTTP/1.1 206 OK\r\nContent-Length: 1048576'
                             b'\r\n\r\n' + b'x' * 2000, 0.01))

    def test_a_body_that_takes_too_long(self):
        def steadily(secured, stopped):
            secured.recv(4096)
            secured.sendall(b'HTTP/1.1 206 OK\r\nContent-Length: 1048576\r\n'
                            b'\r\n')
            for _ in range(8):
                secured.sendall(bytes(MIB // 8))
                if stopped.wait(0.3):
                    return
        self.within(2, steadily)

    def test_a_body_that_ends_early(self):
        def ends(secured, stopped):
            secured.recv(4096)
            secured.sendall(b'HTTP/1.1 206 OK\r\nContent-Length: 1048576\r\n'
                            b'\r\nabc')
        self.within(2, ends)

    def test_more_than_was_asked_for(self):
        # What is too much stays in the socket, which is closed.
        def more(secured, stopped):
            secured.recv(4096)
            secured.sendall(b'HTTP/1.1 206 OK\r\nContent-Length: 5000\r\n'
                            b'\r\n' + b'x' * 5000)
        self.within(2, more)
