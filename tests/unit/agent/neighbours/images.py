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

"""An image, its manifest, and neighbours that have it."""

import hashlib
import random
import socket
import unittest

from ironic_imagedeploy.agent.neighbours import gate as gates
from ironic_imagedeploy.agent.neighbours import peer as peers
from ironic_imagedeploy.agent.neighbours import server as servers
from ironic_imagedeploy.agent.neighbours import store as stores
from ironic_imagedeploy.contract import neighbours as contract
from ironic_imagedeploy.engine import checksum
from ironic_imagedeploy.engine import manifest_builder
from tests.support.simulation import certificate

MIB = 1 << 20
ADDRESS = '127.0.0.1'
KEY = 'the-key-of-a-node-0123456789012345'
TICKET = contract.ticket(KEY)
#: By the key of another node.
OTHER = contract.ticket('the-key-of-another-node-01234567')
CERTIFICATE = certificate.make(ADDRESS)
#: The third chunk is zero, the last one is short.
IMAGE = b''.join((
    random.Random(1).randbytes(MIB + 7000), bytes(57 * 1024),
    random.Random(2).randbytes(MIB - 7000 - 57 * 1024), bytes(MIB),
    random.Random(3).randbytes(MIB), random.Random(4).randbytes(5000)))


def manifest_of(image):
    """The manifest of an image in memory."""
    with manifest_builder.Builder(len(image)) as builder:
        builder.update(memoryview(image))
        return builder.finish(checksum.Checksum(
            'sha256', hashlib.sha256(image).hexdigest()))


MANIFEST = manifest_of(IMAGE)


def free_port():
    with socket.create_server((ADDRESS, 0)) as listener:
        return listener.getsockname()[1]


def chunk(index):
    start, end = MANIFEST.bounds(index)
    return IMAGE[start:end]


def filled(store, *indexes):
    for index in indexes:
        store.verified(index, memoryview(chunk(index)))
    return store


class ServerTestCase(unittest.TestCase):
    """A server with some chunks, on a port of this machine."""

    here = (0, 1, 3)

    def setUp(self):
        self.store = filled(stores.ChunkStore(MANIFEST, memory=8 * MIB),
                            *self.here)
        self.start()

    def start(self, *, seconds=60.0, most=None, most_of_one=1 << 30,
              **limits):
        self.server = servers.ChunkServer(
            self.store, CERTIFICATE.context, ticket_key=KEY, seconds=seconds,
            gate=gates.Gate(gates.Limits(**limits), most=most,
                            most_of_one=most_of_one))
        self.addCleanup(self.server.stop)
        self.port = self.server.start(ADDRESS, 0)

    def restart(self, **options):
        self.server.stop()
        self.store = filled(stores.ChunkStore(MANIFEST, memory=8 * MIB),
                            *self.here)
        self.start(**options)

    def peer(self, ticket=TICKET, pem=CERTIFICATE.pem, root=MANIFEST.root):
        named = contract.Peer(url=f'https://{ADDRESS}:{self.port}',
                              certificate=pem, ticket=ticket)
        found = peers.Peer(named, root=root, most_news=64)
        self.addCleanup(found.close)
        return found
