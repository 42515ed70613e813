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

import json
import time
import typing

from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.sources.registry import client
from tests.support import registry
from tests.support import web
from tests.unit.engine.sources.registry import served


class ManifestTest(served.RegistryTestCase):

    def test_not_there(self) -> None:
        self.registry.manifests.clear()
        self.assert_fails(exceptions.SourceNotFound, 'disks/debian')

    def test_statuses(self) -> None:
        retried = {408, 429, 500, 501, 503, 504}
        for status in (201, 400, 402, 403, 405, 407, 409, 428, 430, 499,
                       *sorted(retried)):
            self.patch_manifest(lambda exchange, status=status:
                                exchange.refuse(status))
            with self.subTest(status):
                error = self.assert_fails(
                    exceptions.SourceUnavailable if status in retried
                    else exceptions.SourceError, f'HTTP status {status}',
                    retries=0)
                self.assertEqual(status == 403,
                                 'permission to read' in error.expected)

    def test_only_this_machine_is_asked_by_http(self) -> None:
        """A name is not enough for that, whatever it leads to."""
        port = self.registry.host.rpartition(':')[2]
        with self.assertRaises(exceptions.SourceUnreachable) as caught:
            self.opened(f'oci://0.0.0.0:{port}/disks/debian:12')
        self.assertIn('not TLS', caught.exception.found)
        self.assertEqual([], self.registry.asked)
        self.opened()

    def test_nobody_there(self) -> None:
        """It is asked again, by https as before."""
        self.registry.stop()
        error = self.assert_fails(exceptions.SourceUnreachable, 'refused')
        self.assertIn('https://', error.subject)

    def test_a_busy_registry_is_asked_again(self) -> None:
        left = [503, 503]

        def answer(exchange: registry.Exchange) -> None:
            if left:
                exchange.refuse(left.pop())
            else:
                exchange.send(self.registry.manifests['12'])

        self.patch_manifest(answer)
        self.opened()
        self.assertEqual([], left)

    def test_another_manifest_than_that_of_the_digest(self) -> None:
        digest = self.registry.push(self.content)
        self.registry.manifests[digest] += b' '
        name, _, _ = self.location.rpartition(':')
        with self.assertRaises(exceptions.ChecksumMismatch) as caught:
            self.opened(f'{name}@{digest}')
        self.assert_complete(caught.exception)

    def test_another_manifest_than_the_index_names(self) -> None:
        self.registry.push_index((self.content, 'amd64', 'raw'))
        index = json.loads(self.registry.manifests['12'])
        self.registry.manifests[index['manifests'][0]['digest']] += b' '
        with self.assertRaises(exceptions.ChecksumMismatch):
            self.opened()

    def test_a_manifest_that_is_too_large(self) -> None:
        self.registry.manifests['12'] = b' ' * (client.LARGEST_MANIFEST + 1)
        self.assert_fails(exceptions.SourceError, 'at most')

    def test_a_large_manifest(self) -> None:
        manifest = self.registry.manifests['12']
        self.registry.manifests['12'] = manifest.ljust(
            client.LARGEST_MANIFEST)
        self.opened()

    def test_redirects_in_a_circle(self) -> None:
        """They are followed here, where each address is looked at."""
        self.patch_manifest(lambda exchange: exchange.refuse(
            307, {'Location': exchange.path}))
        self.assert_fails(exceptions.SourceError, 'more than 20 redirects')

    def test_a_manifest_that_is_cut_off(self) -> None:
        def answer(exchange: registry.Exchange) -> None:
            exchange.start(200, {'Content-Length': '1000'})
            exchange.wfile.write(b'{}')
            exchange.close_connection = True

        self.patch_manifest(answer)
        with self.assertRaises(exceptions.SourceError):
            self.opened(retries=0)

    def test_answers_without_an_end(self) -> None:
        for answer in web.NEVER_ENDING:
            self.patch_manifest(answer)
            began = time.monotonic()
            with self.subTest(answer), self.assertRaises(
                    exceptions.SourceError):
                self.opened(timeout=0.5, retries=0, look_timeout=1.0)
            self.assertLess(time.monotonic() - began, 6)

    def test_a_redirect_of_the_manifest_learns_no_secret(self) -> None:
        other = registry.Registry(self.blobs)
        self.addCleanup(other.stop)
        other.manifests = self.registry.manifests
        self.registry.ask_for_tokens(registry.basic('user', 'a secret'))
        self.log_in()
        self.patch_manifest(lambda exchange: exchange.refuse(307, {
            'Location': f'http://{other.host}{exchange.path}'}))
        self.opened()
        self.assertEqual({None}, {each[2] for each in other.asked})

    def patch_manifest(self, answer: typing.Any) -> None:
        class Exchange(registry.Exchange):
            def _give_manifest(self, wanted: str) -> None:
                try:
                    answer(self)
                except OSError:
                    self.close_connection = True

        self.registry.RequestHandlerClass = Exchange

    def assert_fails(  # type: ignore[override]
            self, kind: type[exceptions.SourceError], *words: str,
            **options: typing.Any) -> exceptions.SourceError:
        return super().assert_fails(kind, *words, location=self.location,
                                    **options)
