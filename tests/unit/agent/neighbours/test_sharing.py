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


import socket
import types

from ironic_imagedeploy.agent import handover
from ironic_imagedeploy.agent.neighbours import connection as connections
from ironic_imagedeploy.agent.neighbours import peer as peers
from ironic_imagedeploy.agent.neighbours import sharing
from ironic_imagedeploy.contract import neighbours as contract
from ironic_imagedeploy.contract import order
from ironic_imagedeploy.contract import policy
from ironic_imagedeploy import engine
from tests.support import ramdisk
from tests.support.simulation import certificate
from tests.unit.agent.neighbours import images

MIB = images.MIB


class SharingTestCase(ramdisk.AgentTestCase):
    """A node that writes a raw image, with another one that has it."""

    def setUp(self):
        super().setUp()
        self.manifest = images.manifest_of(self.guest.read_bytes())
        encoded = self.manifest.encode()
        (self.directory / 'manifest').write_bytes(encoded)
        self.remote = order.RemoteManifest(
            url=self.server.url('manifest'), root=self.manifest.root,
            size=len(encoded))
        own = self.directory / 'own.pem'
        self.own = certificate.make(images.ADDRESS, keep=own).pem
        self.agent.api = types.SimpleNamespace(tls_cert_file=str(own),
                                               tls_key_file=str(own))
        self.agent.listen_address = types.SimpleNamespace(
            hostname=images.ADDRESS)
        self.agent.agent = self.agent
        self.standby.agent = self.agent

    def other(self, content=None):
        """Another node that has these bytes of the image: its port."""
        source = self.enterContext(engine.open_source(str(self.guest)))
        shared = sharing.NeighbourSharing(
            contract.Neighbours(ticket_key=images.KEY, seconds=60,
                                port=images.free_port()),
            engine.ChunkedSource(self.manifest, source), 64 * MIB)
        port = shared.start(images.ADDRESS, images.CERTIFICATE.context)
        self.addCleanup(shared.stop)
        content = content or self.guest.read_bytes()
        for index in range(self.manifest.count):
            start, end = self.manifest.bounds(index)
            shared.store.verified(index, memoryview(content[start:end]))
        self.shared = shared
        return port

    def share(self, *ports, port=None):
        """Write the image with these neighbours: the report."""
        self.port = port or images.free_port()
        self.node['driver_internal_info'] = {'imagedeploy': order.DeployOrder(
            policy=policy.Policy(
                permitted_formats=('raw',), read_back='none',
                insecure_checksums_permitted=False, workers=2),
            checksum=self.manifest.checksum, manifest=self.remote,
            neighbours=contract.Neighbours(
                ticket_key=images.KEY, seconds=60, port=self.port, peers=[
                    contract.Peer(url=f'https://{images.ADDRESS}:{port}',
                                  certificate=images.CERTIFICATE.pem,
                                  ticket=images.TICKET)
                    for port in ports])).to_dict()}
        found = self.written(
            urls=[self.server.url('guest')], disk_format='raw',
            os_hash_algo='sha256',
            os_hash_value=self.manifest.checksum.value)['imagedeploy']
        self.assert_written()
        return found

    def sources(self, report):
        return {each['name']: (each['bytes'], each['bad_chunks'])
                for each in report['sources']}


class GetTest(SharingTestCase):

    def test_it_comes_from_a_neighbour(self):
        port = self.other()
        report = self.share(port)
        count, bad = self.sources(report)[f'neighbour {images.ADDRESS}:{port}']
        # A slow machine asks the server as well.
        self.assertGreater(count, 0)
        self.assertEqual(0, bad)
        self.assertEqual(count, self.shared.report()['served'])
        self.assertEqual(0, report['served'])

    def test_a_neighbour_that_lies(self):
        port = self.other(bytes(b ^ 1 for b in self.guest.read_bytes()))
        sources = self.sources(self.share(port))
        given, bad = sources[f'neighbour {images.ADDRESS}:{port}']
        self.assertEqual(0, given)
        # Threads that have asked it already may each get a wrong chunk.
        self.assertTrue(1 <= bad <= 4, bad)
        self.assertIn('Not asked again', self.log.output)

    def test_nobody_is_there(self):
        sources = self.sources(self.share(
            images.free_port(), images.free_port()))
        self.assertEqual({self.server.url('guest')}, set(sources))
        self.assertNotIn(images.TICKET, self.log.output.partition(
            'execute_deploy_step')[2].partition('\n')[2])

    def test_one_of_several_is_there(self):
        port = self.other()
        sources = self.sources(self.share(images.free_port(), port))
        given, bad = sources[f'neighbour {images.ADDRESS}:{port}']
        self.assertGreater(given, 0)
        self.assertEqual(0, bad)


class GiveTest(SharingTestCase):

    def setUp(self):
        super().setUp()
        self.found = {}
        make_bootable = handover.make_bootable

        def look(*arguments):
            self.found.update(self.asked())
            return make_bootable(*arguments)
        self.patched(handover, 'make_bootable', look)

    def asked(self):
        """Chunks that the node gives."""
        peer = peers.Peer(
            contract.Peer(url=f'https://{images.ADDRESS}:{self.port}',
                          certificate=self.own, ticket=images.TICKET),
            root=self.manifest.root, most_news=64)
        self.addCleanup(peer.close)
        _, bits = peer.news(None)
        chunks = {}
        for index in range(self.manifest.count):
            if bits[index >> 3] >> (index & 7) & 1:
                start, end = self.manifest.bounds(index)
                view = memoryview(bytearray(end - start))
                peer.fetch(index, (0, end - start), view, 10)
                chunks[index] = view
        return chunks

    def test_until_the_step_ends(self):
        report = self.share()
        self.assertTrue(self.found)
        for index, view in self.found.items():
            self.assertTrue(self.manifest.matches(index, view), index)
        self.assertEqual(sum(map(len, self.found.values())),
                         report['served'])
        with self.assertRaises(connections.PeerFailed):
            self.asked()

    def test_until_the_write_fails(self):
        self.guest.write_bytes(b'?' * self.guest.stat().st_size)
        with self.assertRaises(AssertionError):
            self.share()
        self.assertEqual({}, self.found)
        with self.assertRaises(connections.PeerFailed):
            self.asked()

    def test_the_port_is_taken(self):
        with socket.create_server((images.ADDRESS, 0)) as other:
            self.patched(handover, 'make_bootable').return_value = {}, True
            self.share(port=other.getsockname()[1])
        self.assertIn('No chunks are given to neighbours', self.log.output)

    def test_not_with_a_certificate_that_is_gone(self):
        self.agent.api.tls_cert_file += '.gone'
        self.patched(handover, 'make_bootable').return_value = {}, True
        self.assertNotIn('served', self.share())
        self.assertIn('No neighbours without', self.log.output)

    def test_not_without_a_certificate(self):
        self.agent.api.tls_cert_file = None
        self.patched(handover, 'make_bootable').return_value = {}, True
        report = self.share()
        self.assertNotIn('served', report)
        self.assertNotIn('neighbours', self.log.output.partition(
            'execute_deploy_step')[2].partition('\n')[2])
