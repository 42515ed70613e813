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

from ironic_imagedeploy.conductor.cache import access
from ironic_imagedeploy.conductor import declared
from ironic_imagedeploy import engine
from tests.support import web
from tests.unit.conductor import base

MIB = base.MIB


class WebTest(base.ConductorTestCase):
    """An image on a web server, looked at by the conductor."""

    def opened(self) -> engine.Source:
        with self.task() as task:
            return self.enterContext(access.open_image(declared.image(task)))

    def logins(self, server: web.Server) -> list[str | None]:
        """What a server is told about who asks, from now on."""
        seen: list[str | None] = []

        def answer(exchange: web.Exchange) -> None:
            seen.append(exchange.headers.get('Authorization'))
            exchange.serve()

        server.answer = answer
        return seen

    def test_a_login_is_for_its_server(self) -> None:
        other = web.Server(self.web)
        self.addCleanup(other.stop)
        self.use(image_request_authorization_secret='Bearer secret')
        seen = self.logins(self.server)
        self.opened()
        self.assertEqual(['Bearer secret'], seen)
        seen = self.logins(other)
        self.server.answer = lambda exchange: exchange.refuse(
            302, {'Location': other.url('disk.qcow2')})
        self.opened()
        self.assertEqual([None], seen)

    def test_a_login_that_is_not_complete(self) -> None:
        self.config(image_server_auth_strategy='http_basic',
                    image_server_user='conductor', group='deploy')
        self.use(self.server.url('disk.qcow2?signature=53cret'))
        result = self.service.validate_driver_interfaces(
            self.context, self.node.uuid)['deploy']
        self.assertIn('image_server_password', result['reason'])
        self.assertNotIn('53cret', result['reason'])

    def test_a_look_ends(self) -> None:
        """Ironic's option for servers that are looked at counts."""
        def trickle(exchange: web.Exchange) -> None:
            exchange.serve(stop_after=0)
            while not exchange.server.stopping.wait(0.05):
                exchange.wfile.write(bytes(100))

        self.expect_quick_servers()
        self.use()
        self.server.answer = trickle
        with self.assertRaises(engine.exceptions.SourceTooSlow) as caught:
            self.opened()
        self.assertIn('seconds', caught.exception.expected)

    def test_a_store_that_is_slow_with_each_request(self) -> None:
        """Ironic's option is for one request, a look takes several."""
        def late(exchange: web.Exchange) -> None:
            time.sleep(2.5)
            exchange.serve()

        self.give_each_request(1)
        self.use()
        self.server.answer = late
        self.assertEqual(self.image[:9], self.opened().read_at(0, 9))

    def test_a_look_at_glance_ends(self) -> None:
        def trickle(exchange: web.Exchange) -> None:
            if exchange.file.name != 'file':
                exchange.serve()
                return
            exchange.serve(stop_after=0)
            while not exchange.server.stopping.wait(0.05):
                exchange.wfile.write(bytes(100))

        self.expect_quick_servers()
        self.glance.register(self.qcow2)
        self.use(base.IMAGE_ID)
        self.glance.answer = trickle
        self.assertRaises(engine.exceptions.SourceTooSlow, self.opened)

    def test_a_head_that_never_ends(self) -> None:
        def continued(exchange: web.Exchange) -> None:
            while not exchange.server.stopping.wait(0.05):
                exchange.wfile.write(b'HTTP/1.1 100 Continue\r\n\r\n')

        self.expect_quick_servers()
        self.use()
        self.server.answer = continued
        self.assertRaises(engine.exceptions.SourceError, self.opened)

    def test_tags_of_many_servers(self) -> None:
        tags = iter(range(100))
        self.server.answer = lambda exchange: exchange.serve(
            etag=f'"{next(tags)}"')
        path = self.web / 'large'
        path.write_bytes(self.image + bytes(3 * MIB))
        self.use(self.server.url('large'))
        self.assertEqual(bytes(9), self.opened().read_at(
            len(self.image) + 2 * MIB, 9))
        for algorithm, value in (('md5', '0' * 32), ('sha1', '0' * 40)):
            self.use(self.server.url('large'), image_checksum=None,
                     image_os_hash_algo=algorithm, image_os_hash_value=value)
            self.assertRaises(engine.exceptions.SourceChanged,
                              self.opened().read_at, 2 * MIB, 9)
