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

import base64
import pathlib

import fixtures

from oslo_config import fixture

from ironic_imagedeploy.agent import image_source
from ironic_imagedeploy.agent import order as orders
from ironic_imagedeploy import engine
from tests.support import registry
from tests.support import web
from tests.unit.engine import base

MIB = base.MIB


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
            **{'urls': tuple(server.url('image') for server in self.servers),
               'login': ('user', 'word'), **options})))

    def told(self, **options: object) -> list[str | None]:
        """Logins that the first server is told."""
        self.seen.clear()
        self.opened(**options)
        return [login for _, login in self.seen]

    def test_a_login_is_for_the_first_server(self) -> None:
        self.opened()
        first, second = (server.server_port for server in self.servers)
        self.assertEqual([(first, 'Basic dXNlcjp3b3Jk')], self.seen)
        self.seen.clear()
        self.servers[0].answer = lambda exchange: exchange.refuse(404)
        self.opened()
        self.assertEqual([(second, None)], self.seen)

    def test_logins(self) -> None:
        conf = self.enterContext(fixture.Config(image_source.CONF))
        header = base64.b64encode(b'Bearer token').decode()
        for strategy, given, login in (
                ('noauth', {'login': None}, None),
                ('digest', {'login': None}, None),
                ('noauth', {'login': ('a', '')}, 'Basic YTo='),
                ('noauth', {'authorization': header}, 'Bearer token'),
                ('http_basic', {'login': None}, 'Basic YzpwYXNz'),
                ('http_basic', {}, 'Basic dXNlcjp3b3Jk')):
            conf.config(image_server_auth_strategy=strategy,
                        image_server_user='c', image_server_password='pass')
            self.assertEqual([login], self.told(**given))
        conf.config(image_server_user=None, image_server_password=None)
        self.assertEqual(['Basic Og=='], self.told(login=None))

    def test_proxies(self) -> None:
        url = 'http://image.example.com/image'
        proxy = {'http': self.servers[0].url('').rstrip('/')}
        for no_proxy in (None, 'example.org'):
            self.opened(urls=(url,), proxies=proxy, no_proxy=no_proxy)
        image_source.CONF.set_override('image_download_connection_retries', 0)
        self.addCleanup(image_source.CONF.clear_override,
                        'image_download_connection_retries')
        with self.assertRaises(engine.exceptions.SourceError):
            self.opened(urls=(url,), proxies=proxy, no_proxy='.example.com')

    def test_a_mirror_of_another_scheme(self) -> None:
        self.opened(urls=(self.servers[0].url('image'), 'oci://gone/x'))
        self.assertEqual(1, len(self.seen))

    def test_a_redirect_is_not_told_the_login(self) -> None:
        self.servers[0].answer = lambda exchange: exchange.refuse(
            302, {'Location': self.servers[1].url('image')})
        self.opened()
        self.assertEqual([(self.servers[1].server_port, None)], self.seen)

    def test_a_redirect_has_a_proxy_of_its_own(self) -> None:
        self.servers[0].answer = lambda exchange: exchange.refuse(
            302, {'Location': 'http://image.example.com/image'})
        self.opened(urls=(self.servers[0].url('image'),),
                    proxies={'http': self.servers[1].url('').rstrip('/')},
                    no_proxy='127.0.0.1')
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


class RegistryTest(base.EngineTestCase):

    def test_a_name_in_a_registry(self) -> None:
        folder = pathlib.Path(self.directory)
        (folder / 'auth.json').write_text('{}')
        self.enterContext(fixtures.EnvironmentVariable(
            'REGISTRY_AUTH_FILE', str(folder / 'auth.json')))
        served = registry.Registry(folder)
        self.addCleanup(served.stop)
        served.push(b'the image', kind='raw')
        for scheme in ('oci', 'OCI'):
            with image_source.open_image(orders.Download(urls=(
                    f'{scheme}://{served.host}/disks/debian:12',
                    'http://192.0.2.1/image'))) as source:
                self.assertEqual(b'the image', source.read_at(0, source.size))
