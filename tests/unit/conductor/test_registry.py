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
from unittest import mock

import requests

from ironic.common import exception
from ironic.conf import CONF

from ironic_imagedeploy.conductor.checks import acceptance
from ironic_imagedeploy.conductor import declared
from ironic_imagedeploy.conductor import registry as registries
from ironic_imagedeploy.conductor import serving
from tests.support import registry
from tests.support import web
from tests.unit.conductor import base

SECRET = 'a-pull-secret'


class RegistryTestCase(base.ConductorTestCase):
    """A registry that speaks http, as Ironic permits it for tests."""

    def setUp(self):
        super().setUp()
        self.config(permit_fallback_to_http_transport=True, group='oci')
        self.config(image_download_source='http', group='agent')
        self.blobs = self.directory / 'blobs'
        self.blobs.mkdir()
        self.registry = registry.Registry(self.blobs)
        self.addCleanup(self.registry.stop)
        self.registry.push(self.image, kind='qcow2')
        self.href = f'oci://{self.registry.host}/disks/debian:12'
        self.name = hashlib.sha256(self.image).hexdigest()
        self.use_registry()

    def use_registry(self, href=None, **info):
        self.use(href or self.href, image_os_hash_algo=None,
                 image_os_hash_value=None, image_disk_format=None, **info)

    def found(self):
        with self.task() as task:
            return declared.image(task)

    def provide(self):
        with self.task(shared=False) as task:
            return serving.provide(task), task.node.instance_info

    def refused(self, *words):
        with self.task() as task:
            error = self.assertRaises(exception.InvalidParameterValue,
                                      acceptance.check_image, task)
        for word in words:
            self.assertIn(word, str(error))
        self.assertNotIn(SECRET, str(error))
        return error


class DeclaredTest(RegistryTestCase):

    def test_tag(self):
        image = self.found()
        self.assertEqual(
            ('oci', 'qcow2', self.name, self.href, False),
            (image.scheme, image.disk_format, image.checksum.value,
             image.name, image.served_by_conductor))
        self.assertEqual(
            f'http://{self.registry.host}/v2/disks/debian/blobs/sha256:'
            + self.name, image.registry.url)

    def test_digest(self):
        digest = self.registry.push(self.image, 'other', kind='qcow2')
        self.use_registry(f'oci://{self.registry.host}/disks/debian@{digest}')
        image = self.found()
        self.assertEqual((None, self.name),
                         (image.disk_format, image.checksum.value))
        # Ironic's word for what nobody declares is not a declaration.
        self.node.instance_info = {**self.node.instance_info,
                                   'image_disk_format': 'unknown'}
        self.node.save()
        self.assertIsNone(self.found().disk_format)

    def test_processor_of_the_node(self):
        self.registry.push_index((b'arm' * 99, 'arm64', 'qcow2'),
                                 (self.image, 'amd64', 'qcow2'))
        self.assertEqual(self.name, self.found().checksum.value)

    def test_the_user_states_a_checksum_as_well(self):
        stated = hashlib.sha512(self.image).hexdigest()
        self.use(self.href, image_os_hash_algo='sha512',
                 image_os_hash_value=stated)
        self.assertEqual(stated, self.found().checksum.value)
        # A weak one is not better than the digest.
        self.use(self.href, image_os_hash_algo='md5',
                 image_os_hash_value='0' * 32)
        self.assertEqual(self.name, self.found().checksum.value)

    def test_autodetect(self):
        with self.task() as task:
            self.assertTrue(declared.deployable(task))
        self.registry.manifests.clear()
        with self.task() as task:
            self.assertFalse(declared.deployable(task))

    def test_containers_are_for_another_interface(self):
        layer = {'mediaType': 'application/vnd.oci.image.layer.v1.tar',
                 'digest': registry.digest_of(b'x'), 'size': 1}
        self.registry.push(
            self.image, artifactType=None, layers=[layer] * 2,
            config={'mediaType': 'application/vnd.oci.image.config.v1+json'})
        self.refused('container-format', '--deploy-interface bootc')
        with self.task() as task:
            self.assertFalse(declared.deployable(task))


class RefusalsTest(RegistryTestCase):

    def test_no_such_tag(self):
        self.use_registry(self.href + '-other')
        self.refused('image-not-found', '12-other')

    def test_no_such_server(self):
        self.use_registry('oci://127.0.0.1:1/disks/debian:12')
        self.refused('image-unreadable', 'oci://127.0.0.1:1/disks/debian:12')

    def test_digest_of_another_manifest(self):
        digest = self.registry.push(self.image)
        self.registry.manifests[digest] += b' '
        self.use_registry(f'oci://{self.registry.host}/disks/debian@{digest}')
        self.refused('oci://')

    def test_manifests_that_are_none(self):
        for manifest in (b'', b'7', b'[]', b'{}', b'[' * 100000, b'\xff',
                         b'{"manifests": 7}', b'{"manifests": [7]}',
                         b'{"layers": [7], "mediaType": 7}',
                         b'{"manifests": [{"annotations": 7}]}'):
            self.registry.manifests['12'] = manifest
            with self.subTest(manifest[:30]):
                self.refused('oci://')

    def test_digests_that_are_none(self):
        for digest in ('sha256:' + '0' * 63, 'sha256:../../x', 'md5:0', 'x:',
                       'md5:' + '0' * 32):
            self.registry.push(self.image, kind='qcow2', layers=[{
                'mediaType': 'x', 'digest': digest, 'size': 9}])
            with self.subTest(digest):
                self.refused('checksum-invalid')

    def test_lists_of_tags_without_an_end(self):
        class Exchange(registry.Exchange):
            def send(self, content, media_type='application/json'):
                self.start(200, {
                    'Content-Length': str(len(content)),
                    'Link': '</v2/disks/debian/tags/list?n=1>; rel="next"'})
                self.wfile.write(content)

        self.registry.RequestHandlerClass = Exchange
        self.refused('image-unreadable', 'more than 100 answers')

    def test_another_blob(self):
        (self.blobs / self.name).write_bytes(self.image[:-1] + b'x')
        self.config(image_download_source='local', group='agent')
        error = self.assertRaises(exception.InvalidParameterValue,
                                  self.provide)
        self.assertIn('checksum-mismatch', str(error))


class ServedTest(RegistryTestCase):

    def test_the_node_asks_a_registry_for_everybody(self):
        served, info = self.provide()
        self.assertEqual(self.found().registry.url, info['image_url'])
        self.assertEqual(self.name, info['image_checksum'])
        self.assertIsNone(info['image_request_authorization_secret'])
        self.assertIsNone(served.manifest)
        self.assertNotIn('image_disk_format', {
            name for name, value in info.items() if value})

    def test_the_conductor_serves_what_takes_a_token(self):
        self.registry.ask_for_tokens(registry.basic('', SECRET))
        self.use_registry(image_pull_secret=SECRET)
        served, info = self.provide()
        self.assertEqual(f'{self.http_url}/agent_images/{self.node.uuid}',
                         info['image_url'])
        self.assertEqual(self.image, requests.get(
            info['image_url'], timeout=60).content)
        self.assertIsNotNone(served.manifest)
        self.assertIsNone(info['image_request_authorization_secret'])
        for secret in (registry.TOKEN, registry.basic('', SECRET)):
            self.assertNotIn(secret, str(info))

    def test_it_is_fetched_once(self):
        self.config(image_download_source='local', group='agent')
        sent = []
        self.registry.answer = lambda exchange: (
            sent.append(exchange.headers.get('Range')), exchange.serve())
        self.provide()
        count = len(sent)
        self.provide()
        # The front of it: who may not read it gets no copy.
        self.assertEqual(count + 1, len(sent))

    def test_a_tag_that_moves_is_another_image(self):
        self.config(image_download_source='local', group='agent')
        self.provide()
        other = self.image + bytes(512)
        self.registry.push(other, kind='qcow2')
        _, info = self.provide()
        self.assertEqual(other, requests.get(info['image_url'],
                                             timeout=60).content)

    def test_a_token_for_everybody_is_asked_for(self):
        self.registry.ask_for_tokens()
        _, info = self.provide()
        self.assertIn('/agent_images/', info['image_url'])

    def test_the_store_learns_no_secret(self):
        seen = []
        store = web.Server(self.blobs)
        self.addCleanup(store.stop)
        store.answer = lambda exchange: (
            seen.append(exchange.headers.get('Authorization')),
            exchange.serve())
        self.registry.store = store
        self.registry.ask_for_tokens(registry.basic('', SECRET))
        self.use_registry(image_pull_secret=SECRET)
        self.provide()
        self.assertTrue(seen)
        self.assertEqual({None}, set(seen))

    def test_no_login(self):
        self.registry.ask_for_tokens(registry.basic('', SECRET))
        self.refused('image-unreadable')
        self.use_registry(image_pull_secret='another')
        self.refused('image-unreadable')

    def test_a_login_in_the_name(self):
        self.use_registry(self.href.replace('//', f'//user:{SECRET}@'))
        self.refused('field-invalid', 'image_pull_secret=USER:PASSWORD')
        self.assertEqual([], self.registry.asked)

    def test_a_login_that_cannot_be_one(self):
        self.use_registry(image_pull_secret=[SECRET])
        self.refused('field-invalid', 'image_pull_secret')


class LeanedOnTest(RegistryTestCase):
    """Ironic's client has what is used of it."""

    def test_session_and_cached_login(self):
        service = registries.image_service.OciImageService()
        self.assertIsInstance(service._client.session, requests.Session)
        self.assertIsNone(service._client.get_cached_auth())
        self.registry.ask_for_tokens()
        service._client.authenticate(self.href)
        self.assertEqual(f'Bearer {registry.TOKEN}',
                         service._client.get_cached_auth())
        self.assertEqual(f'Bearer {registry.TOKEN}',
                         service._client.session.headers['Authorization'])

    def test_certificates(self):
        if not hasattr(CONF.oci, 'verify_ca'):
            self.skipTest('this release has no such option')
        self.config(verify_ca='/a/file', group='oci')
        with mock.patch.object(registries.deploy_utils,
                               'get_image_download_source', autospec=True,
                               return_value='http'):
            service = registries.image_service.OciImageService()
        self.assertEqual('/a/file', service._client.session.verify)
