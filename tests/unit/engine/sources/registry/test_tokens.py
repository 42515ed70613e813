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
import typing

from ironic_imagedeploy.engine import exceptions
from tests.support import registry
from tests.support import web
from tests.unit.engine.sources.registry import served


class TokenServiceTest(served.RegistryTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.login = registry.basic('user', 'a secret')
        self.log_in()
        self.registry.ask_for_tokens(self.login)

    def test_it_is_asked_by_https_or_where_the_registry_is(self) -> None:
        other = registry.Registry(self.blobs)
        self.addCleanup(other.stop)
        for realm in ('http://example.com/token', 'http://localhost:1/token',
                      'http://127.0.0.0/token', 'http://127.0.0.2/token',
                      f'http://user:x@{self.registry.host}/token', 'token',
                      '', 'ftp://127.0.0.1/', 'http://[::1/', 'https://',
                      'file:///etc/passwd'):
            self.registry.challenge = f'Bearer realm="{realm}"'
            with self.subTest(realm):
                self.assert_refused('is asked by https')
        self.assertEqual([], other.asked)
        # On the same host by http, as the registry itself.
        self.registry.challenge = f'Bearer realm="http://{other.host}/token"'
        other.login = self.login
        self.opened()
        self.assertEqual([('GET', '/token', self.login)], other.asked)

    def test_a_redirect_is_not_followed(self) -> None:
        store, seen = self.blob_store()
        self.patch_token(lambda exchange: exchange.refuse(
            302, {'Location': store.url('token')}))
        self.assert_refused('HTTP status 302')
        self.assertEqual([], seen)

    def test_its_scope_is_made_up_where_none_is_stated(self) -> None:
        self.registry.challenge = (
            f'Bearer realm="http://{self.registry.host}/token?account=x"')
        self.opened()
        self.assertEqual([{'scope': ['repository:disks/debian:pull'],
                           'account': ['x']}], self.registry.token_queries)

    def test_answers_that_are_none(self) -> None:
        for answer in ([], {}, {'token': 7}, {'token': ''}, 'x', None,
                       {'token': 'a b'}, {'token': 'a\r\nHost: x'},
                       {'token': 'ä'}, {'token': 'x' * 100000}):
            self.registry.token_answer = answer
            with self.subTest(str(answer)[:40]):
                self.assert_refused('token service')

    def test_statuses(self) -> None:
        retried = {429, 500, 502, 503, 504}
        for status in (201, 204, 400, 403, 428, 430, 499, 501, 505,
                       *sorted(retried)):
            self.patch_token(lambda exchange, status=status:
                             exchange.refuse(status))
            with self.subTest(status):
                error = self.assert_refused(f'HTTP status {status}')
                self.assertEqual(status in retried, isinstance(
                    error, exceptions.SourceUnavailable))

    def test_a_service_that_hangs_up(self) -> None:
        def begin(exchange: registry.Exchange) -> None:
            exchange.start(200, {'Content-Length': '100'})
            exchange.wfile.write(b'{"token": "')
            exchange.hang_up('reset')

        for answer in (lambda exchange: exchange.hang_up('reset'), begin):
            self.patch_token(answer)
            with self.subTest(answer):
                self.assert_refused('127.0.0.1')

    def test_an_answer_that_is_cut_off(self) -> None:
        """Also where the front of it would do."""
        def begin(exchange: registry.Exchange) -> None:
            exchange.start(200, {'Content-Length': '100'})
            exchange.wfile.write(b'{"token": "x"}')
            exchange.close_connection = True

        self.patch_token(begin)
        error = self.assert_refused('100 bytes')
        self.assertIsInstance(error, exceptions.ConnectionDropped)

    def test_a_login_is_told_as_it_was_asked_for(self) -> None:
        for offers in ('Negotiate', 'Digest realm="x"', ''):
            self.registry.challenge = offers or 'x'
            with self.subTest(offers):
                self.assert_refused('none that suits')
                self.assertEqual({None}, {
                    each[2] for each in self.registry.asked})

    def test_a_service_that_nobody_runs(self) -> None:
        other = registry.Registry(self.blobs)
        other.stop()
        self.registry.challenge = f'Bearer realm="http://{other.host}/token"'
        self.assert_refused('127.0.0.1')

    def test_answers_without_an_end(self) -> None:
        for answer in web.NEVER_ENDING:
            self.patch_token(answer)
            began = time.monotonic()
            with self.subTest(answer), self.assertRaises(
                    exceptions.SourceError):
                self.opened(timeout=0.5, retries=0, look_timeout=1.0)
            self.assertLess(time.monotonic() - began, 6)

    def patch_token(self, answer: typing.Any) -> None:
        class Exchange(registry.Exchange):
            def _give_token(self, query: typing.Any) -> None:
                try:
                    answer(self)
                except OSError:
                    self.close_connection = True

        self.registry.RequestHandlerClass = Exchange

    def assert_refused(self, *words: str) -> exceptions.SourceError:
        with self.assertRaises(exceptions.SourceError) as caught:
            self.opened(retries=0)
        self.assert_complete(caught.exception)
        for word in words:
            self.assertIn(word, str(caught.exception))
        for secret in ('a secret', self.login.partition(' ')[2]):
            self.assertNotIn(secret, str(caught.exception))
        return caught.exception
