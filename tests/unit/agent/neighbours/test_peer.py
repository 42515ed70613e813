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

from ironic_imagedeploy.agent.neighbours import connection as connections
from ironic_imagedeploy.agent.neighbours import pipeline as pipelines
from ironic_imagedeploy.agent.neighbours import protocol
from tests.support.simulation import certificate
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
            with self.assertRaises(pipelines.NotHere):
                fetched(peer, 2)
        self.assertEqual(1, len(self.server._open))

    def test_not_here(self):
        for index, root in ((2, images.MANIFEST.root), (99, None),
                            (0, 'ab' * 32)):
            with self.assertRaises(pipelines.NotHere):
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
        with mock.patch.object(protocol, 'NEWS_SECONDS', 0.1):
            self.assertEqual((version + 1, None), peer.news(version + 1))


class RefusalTest(images.ServerTestCase):

    def test_another_certificate(self):
        other = certificate.make(images.ADDRESS)
        with self.assertRaises(connections.PeerRefused):
            fetched(self.peer(pem=other.pem), 0)
        self.assertEqual(0, self.server.gate.total)

    def test_another_ticket(self):
        for ticket in (images.OTHER, images.TICKET[:-1], 'x'):
            with self.assertRaises(connections.PeerRefused):
                fetched(self.peer(ticket=ticket), 0)
            with self.assertRaises(connections.PeerRefused):
                self.peer(ticket=ticket).news(None)

    def test_an_expired_ticket(self):
        self.restart(seconds=0.3)
        peer = self.peer()
        fetched(peer, 0)
        time.sleep(0.3)
        with self.assertRaises(connections.PeerRefused):
            fetched(peer, 1)

    def test_nobody_is_there(self):
        peer = self.peer()
        self.server.stop()
        with self.assertRaises(connections.PeerFailed):
            fetched(peer, 0)
