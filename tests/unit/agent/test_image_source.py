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

import hashlib
import unittest

from ironic_imagedeploy.agent import image_source
from ironic_imagedeploy.agent import order as orders
from ironic_imagedeploy.contract import policy
from ironic_imagedeploy import engine
from tests.support import web
from tests.unit.engine import base

MIB = base.MIB
POLICY = policy.Policy(
    permitted_formats=('raw',), read_back='none', workers=0,
    insecure_checksums_permitted=False, minimum_speed=7)


class DownloadTest(unittest.TestCase):

    def read(self, checksum: engine.Checksum | None) -> orders.Download:
        return orders.Download.read({'urls': ['http://x/y']}, checksum,
                                    POLICY)

    def test_what_the_operator_asks_for(self) -> None:
        self.assertEqual(7, self.read(None).minimum_speed)

    def test_whether_a_checksum_tells_the_image(self) -> None:
        for algorithm, strong in (('sha512', True), ('sha256', True),
                                  ('sha1', False), ('md5', False)):
            value = hashlib.new(algorithm, b'').hexdigest()
            self.assertEqual(strong, self.read(engine.Checksum(
                algorithm, value)).checksum_stated)
        self.assertFalse(self.read(None).checksum_stated)


class OpenTest(base.EngineTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.save('image', bytes(3 * MIB))
        self.seen: list[tuple[int, str | None]] = []
        self.servers = [self.serve(), self.serve()]

    def serve(self) -> web.Server:
        """A server that notes what it is told about who asks."""
        server = web.Server(self.directory)
        self.addCleanup(server.stop)
        server.answer = self.note
        return server

    def note(self, exchange: web.Exchange) -> None:
        self.seen.append((exchange.server.server_port,
                          exchange.headers.get('Authorization')))
        exchange.serve()

    def opened(self, **options: object) -> engine.Source:
        return self.enterContext(image_source.open_image(orders.Download(
            urls=tuple(server.url('image') for server in self.servers),
            login=('user', 'word'), **options)))

    def test_a_login_is_for_the_first_server(self) -> None:
        self.opened()
        first, second = (server.server_port for server in self.servers)
        self.assertEqual([(first, 'Basic dXNlcjp3b3Jk')], self.seen)
        self.seen.clear()
        self.servers[0].answer = lambda exchange: exchange.refuse(404)
        self.opened()
        self.assertEqual([(second, None)], self.seen)

    def test_a_redirect_is_not_told_the_login(self) -> None:
        self.servers[0].answer = lambda exchange: exchange.refuse(
            302, {'Location': self.servers[1].url('image')})
        self.opened()
        self.assertEqual([(self.servers[1].server_port, None)], self.seen)

    def test_a_server_below_the_minimum_speed(self) -> None:
        def slow(exchange: web.Exchange) -> None:
            exchange.serve(stop_after=0)
            while not exchange.server.stopping.wait(0.05):
                exchange.wfile.write(bytes(5000))

        image_source.CONF.set_override('image_download_connection_timeout', 1)
        self.addCleanup(image_source.CONF.clear_override,
                        'image_download_connection_timeout')
        source = self.opened(minimum_speed=16 * MIB)
        self.servers[0].answer = slow
        self.assertEqual(bytes(2 * MIB), source.read_at(MIB, 2 * MIB))
        self.assertEqual(self.servers[1].url('image'), source.name)
