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


import threading
import time
import unittest

from ironic_imagedeploy.agent.neighbours import peer as peers
from ironic_imagedeploy.contract import neighbours as contract
from tests.support.simulation import certificate
from tests.unit.agent.neighbours import fakes
from tests.unit.agent.neighbours import images

MIB = images.MIB


def fetched(peer, index, span=(0, MIB), seconds=10):
    content = bytearray(span[1] - span[0])
    peer.fetch(index, span, memoryview(content), seconds)
    return bytes(content)


class FetchTest(images.ServerTestCase):

    def test_chunks_and_parts_of_them(self):
        peer = self.peer()
        self.assertEqual(images.chunk(1), fetched(peer, 1))
        self.assertEqual(images.chunk(0)[4096:5000],
                         fetched(peer, 0, (4096, 5000)))
        self.assertEqual(2 * 1024 * 1024 - MIB + 904, self.server.gate.total)

    def test_one_connection_does_for_many(self):
        peer = self.peer()
        for _ in range(20):
            fetched(peer, 3)
            with self.assertRaises(peers.NotHere):
                fetched(peer, 2)
        self.assertEqual(1, len(self.server._open))

    def test_not_here(self):
        for index, root in ((2, images.MANIFEST.root), (99, None),
                            (0, 'ab' * 32)):
            with self.assertRaises(peers.NotHere):
                fetched(self.peer(root=root or images.MANIFEST.root), index)

    def test_a_connection_that_was_closed_for_being_idle(self):
        self.restart(idle_seconds=0.1)
        peer = self.peer()
        fetched(peer, 0)
        time.sleep(0.3)
        self.assertEqual(images.chunk(1), fetched(peer, 1))

    def test_news(self):
        peer = self.peer()
        version, bits = peer.news(None)
        self.assertEqual(b'\x0b', bits)
        images.filled(self.store, 4)
        self.assertEqual((version + 1, b'\x1b'), peer.news(version))


class NearlyDoneTest(unittest.TestCase):

    def test_the_next_is_asked_for_while_the_last_bytes_come(self):
        nearly_done, rest = threading.Event(), 64 * 1024
        content = images.chunk(0)

        def answer(secured, stopped):
            secured.recv(4096)
            secured.sendall(b'HTTP/1.1 206 Partial Content\r\n'
                            b'Content-Length: 1048576\r\n\r\n')
            secured.sendall(content[:-4 * rest])
            self.assertFalse(nearly_done.wait(0.2))
            secured.sendall(content[-4 * rest:-rest])
            # The rest comes only when somebody else may ask.
            if nearly_done.wait(5):
                secured.sendall(content[-rest:])
            stopped.wait(5)
        liar = fakes.Liar(answer)
        self.addCleanup(liar.close)
        peer = peers.Peer(
            contract.Peer(url=f'https://{images.ADDRESS}:{liar.port}',
                          certificate=images.CERTIFICATE.pem),
            root=images.MANIFEST.root, most_news=64)
        self.addCleanup(peer.close)
        found = bytearray(MIB)
        peer.fetch(0, (0, MIB), memoryview(found), 10,
                   nearly_done=nearly_done.set)
        self.assertEqual(content, found)


class RefusalTest(images.ServerTestCase):

    def test_another_certificate(self):
        other = certificate.make(images.ADDRESS)
        with self.assertRaises(peers.PeerRefused):
            fetched(self.peer(pem=other.pem), 0)
        self.assertEqual(0, self.server.gate.total)

    def test_another_ticket(self):
        for ticket in (images.OTHER, images.TICKET[:-1], 'x'):
            with self.assertRaises(peers.PeerRefused):
                fetched(self.peer(ticket=ticket), 0)
            with self.assertRaises(peers.PeerRefused):
                self.peer(ticket=ticket).news(None)

    def test_an_expired_ticket(self):
        self.restart(seconds=0.3)
        peer = self.peer()
        fetched(peer, 0)
        time.sleep(0.3)
        with self.assertRaises(peers.PeerRefused):
            fetched(peer, 1)

    def test_nobody_is_there(self):
        peer = self.peer()
        self.server.stop()
        with self.assertRaises(peers.PeerFailed):
            fetched(peer, 0)
