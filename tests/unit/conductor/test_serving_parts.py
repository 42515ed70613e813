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

import os
import pathlib
import tempfile
import types
import unittest
from unittest import mock

from oslo_config import fixture
import requests

from ironic.common import exception
from ironic.conf import CONF

from ironic_imagedeploy.conductor.cache import delivery
from ironic_imagedeploy.conductor.cache import manifests
from ironic_imagedeploy.conductor.cache import record
from ironic_imagedeploy.conductor import images
from ironic_imagedeploy.conductor import serving
from ironic_imagedeploy.contract import order
from ironic_imagedeploy import engine
from tests.unit.conductor import unsaved

CHECKSUM = engine.Checksum('sha256', '0' * 64)
KEPT = manifests.KeptManifest(root='ab' * 32, size=7, checksum=CHECKSUM)
WEB = 'http://192.0.2.9/conductor/'


class ServingTestCase(unittest.TestCase):

    def setUp(self):
        super().setUp()
        self.conf = self.enterContext(fixture.Config(CONF))
        self.root = pathlib.Path(self.enterContext(
            tempfile.TemporaryDirectory()))
        self.conf.config(http_root=str(self.root), http_url=WEB,
                         http_image_subdir='images', group='deploy')
        self.served = self.enterContext(mock.patch.object(
            serving.image_service.HttpImageService, 'validate_href',
            autospec=True))

    def links(self):
        """What the web server has, and where that is."""
        return {path.name: os.readlink(path)
                for path in self.root.glob('images/*')}


class LinkTest(ServingTestCase):

    def test_urls(self):
        for role, name in (('disk', unsaved.NODE_ID),
                           ('kernel', f'{unsaved.NODE_ID}-kernel'),
                           ('a', f'{unsaved.NODE_ID}-a')):
            self.assertEqual(
                f'http://192.0.2.9/conductor/images/{name}',
                serving._linked(unsaved.node(), role, '/the/file'))
            self.assertEqual('/the/file', self.links()[name])

    def test_a_link_that_is_there(self):
        for path in ('/one', '/other'):
            serving._linked(unsaved.node(), 'disk', path)
        self.assertEqual({unsaved.NODE_ID: '/other'}, self.links())

    def test_no_link(self):
        self.conf.config(host='the-conductor')
        with (mock.patch.object(os, 'symlink', autospec=True,
                                side_effect=OSError(28, 'No space left')),
              self.assertRaises(exception.InstanceDeployFailure) as caught):
            serving._linked(unsaved.node(), 'disk', '/the/file')
        self.assertIn(
            f'The image of node {unsaved.NODE_ID} cannot be served by '
            f'conductor the-conductor: expected to make the link {self.root}/'
            f'images/{unsaved.NODE_ID}, found No space left.',
            str(caught.exception))


class ManifestTest(ServingTestCase):

    def publish(self, kept):
        return serving._publish_manifest(unsaved.node(), 'manifest', kept,
                                         '/the/file')

    def test_publish(self):
        name = f'{unsaved.NODE_ID}-manifest'
        self.assertEqual(order.RemoteManifest(
            url=f'http://192.0.2.9/conductor/images/{name}', root='ab' * 32,
            size=7), self.publish(KEPT))
        self.assertEqual({name: '/the/file'}, self.links())

    def test_none_any_longer(self):
        self.publish(KEPT)
        self.assertIsNone(self.publish(None))
        self.assertEqual({}, self.links())


class UrlTest(ServingTestCase):

    def url(self, href, source='http', **values):
        self.conf.config(image_download_source=source, group='agent')
        return serving._url(unsaved.image(href, **values))

    def test_where_it_is(self):
        self.assertEqual('http://192.0.2.1/x', self.url('http://192.0.2.1/x'))
        self.served.assert_not_called()

    def test_in_a_registry(self):
        for authorization, url in (
                (None, 'https://192.0.2.2/blob'),
                ('Bearer x', f'{WEB}images/{unsaved.NODE_ID}')):
            self.assertEqual(url, self.url(
                'oci://192.0.2.2/x', registry=images.RegistryBlob(
                    url='https://192.0.2.2/blob', session=requests.Session(),
                    authorization=authorization)))

    def test_from_the_conductor(self):
        url = f'{WEB}images/{unsaved.NODE_ID}'
        self.assertEqual(url, self.url(unsaved.IMAGE_ID))
        self.assertEqual(url, self.url('http://192.0.2.1/x', 'local'))
        self.served.assert_called_with(mock.ANY, url, secret=True)

    def swift(self):
        image = unsaved.image()
        image.glance.swift_temp_url.return_value = 'https://192.0.2.3/x?sig=1'
        self.conf.config(image_download_source='swift', group='agent')
        found = serving._url(image)
        image.glance.swift_temp_url.assert_called_once_with(
            {'id': unsaved.IMAGE_ID})
        return found

    def test_from_swift(self):
        self.assertEqual('https://192.0.2.3/x?sig=1', self.swift())
        self.served.assert_called_with(
            mock.ANY, 'https://192.0.2.3/x?sig=1', secret=True)
        self.assertEqual({}, self.links())

    def refuse(self, cause):
        error = exception.ImageRefValidationFailed(image_href='x', reason='y')
        error.__context__ = cause
        self.served.side_effect = error

    def test_a_server_that_does_not_serve_it(self):
        self.refuse(OSError(111, 'Connection refused'))
        for find, words in (
                (self.swift, (
                    'The temporary URL of Swift does not give the image.',
                    'Expected HTTP status 200 of https://192.0.2.3/x',
                    'Check the options [glance]swift_* and ')),
                (lambda: self.url(unsaved.IMAGE_ID), (
                    'The web server of this conductor does not serve the '
                    'image.', f'HTTP status 200 of {WEB}images/',
                    f'[deploy]http_root, {self.root}, and'))):
            with self.assertRaises(
                    exception.InvalidParameterValue) as caught:
                find()
            for word in (*words, 'image-unreadable', 'onnection refused',
                         f'glance:{unsaved.IMAGE_ID}: the image is refused'):
                self.assertIn(word, str(caught.exception))
            self.assertNotIn('sig=1', str(caught.exception))
            self.assertIsNone(caught.exception.__cause__)

    def test_an_answer_without_a_cause(self):
        self.served.side_effect = exception.ImageRefValidationFailed(
            image_href='x', reason='y')
        with self.assertRaises(exception.InvalidParameterValue) as caught:
            self.url(unsaved.IMAGE_ID)
        told = str(self.served.side_effect)
        self.assertIn(f'found {told.rstrip(".")}. ', str(caught.exception))


class WithdrawTest(ServingTestCase):

    def withdraw(self, **sent):
        node = unsaved.node(driver_internal_info={'imagedeploy': sent})
        with mock.patch.object(type(node), 'save', autospec=True) as save:
            serving.withdraw(node)
        return node.driver_internal_info['imagedeploy'], save.called

    def test_files(self):
        for role in ('disk', 'kernel', 'ramdisk', 'manifest',
                     'disk-manifest'):
            serving._linked(unsaved.node(), role, '/the/file')
        self.assertEqual(({}, False), self.withdraw())
        self.assertEqual({unsaved.NODE_ID: '/the/file'}, self.links())

    def test_order(self):
        self.assertEqual(({'checksum': 'x'}, True), self.withdraw(
            checksum='x', manifest={'url': 'secret'}))
        self.assertEqual(({'checksum': 'x'}, False),
                         self.withdraw(checksum='x'))


class KernelTest(ServingTestCase):

    def kernel(self, *roles):
        needed = [unsaved.image(f'http://192.0.2.1/{role}', role=role)
                  for role in roles]
        with (mock.patch.object(serving.separate_kernel, 'needed',
                                autospec=True, return_value=needed),
              mock.patch.object(serving.separate_kernel, 'options',
                                autospec=True, return_value='a=b'),
              mock.patch.object(
                  serving.acceptance, 'accept', autospec=True,
                  return_value=delivery.Provided(
                      verdict=record.Verdict(name='x'),
                      checksum=CHECKSUM))):
            return serving._provide_separate_kernel(
                None, None, delivery.Provided(
                    verdict=record.Verdict(name='x')))

    def test_none(self):
        self.assertIsNone(self.kernel())

    def test_both(self):
        self.assertEqual(
            order.SeparateKernel(options='a=b', **{
                role: order.RemoteFile(url=f'http://192.0.2.1/{role}',
                                       checksum=CHECKSUM)
                for role in ('kernel', 'ramdisk')}),
            self.kernel('kernel', 'ramdisk'))


class ProvideTest(ServingTestCase):
    """What write_image finds in the node."""

    def provide(self, provided=None, info=None, declared=None, **values):
        node = unsaved.node(instance_info={'configdrive': 'x',
                                           **(info or {})})
        image = unsaved.image(values.pop('href', 'http://192.0.2.1/x'), node,
                              declared or {}, **values)
        with (mock.patch.object(serving.declared, 'image', autospec=True,
                                return_value=image),
              mock.patch.object(serving.acceptance, 'with_devices',
                                autospec=True, return_value=image),
              mock.patch.object(
                  serving.acceptance, 'accept', autospec=True,
                  return_value=delivery.Provided(
                      verdict=record.Verdict(name='x'),
                      **(provided or {'checksum': CHECKSUM}))),
              mock.patch.object(serving.start, 'of_image', autospec=True),
              mock.patch.object(type(node), 'save', autospec=True) as save):
            self.found = serving.provide(types.SimpleNamespace(node=node))
        save.assert_called_once()
        return node.instance_info

    def test_a_whole_disk(self):
        self.assertEqual(
            {'configdrive': 'x', 'image_type': 'whole-disk',
             'image_url': 'http://192.0.2.1/x'}, self.provide())
        self.assertEqual((None, None, None, False), (
            self.found.separate_kernel, self.found.manifest,
            self.found.disk_manifest, self.found.public))

    def test_a_partition(self):
        info = self.provide(
            info={'root_gb': 1, 'image_source': 'http://192.0.2.1/x'},
            partition=True)
        self.assertEqual(('partition', 1024),
                         (info['image_type'], info['root_mb']))

    def test_what_glance_declares(self):
        info = self.provide(declared={
            'instance_info': {'image_tags': ['x']}, 'public': True})
        self.assertEqual(['x'], info['image_tags'])
        self.assertTrue(self.found.public)

    def test_format(self):
        self.assertEqual('raw', self.provide(
            declared={'disk_format': 'gpt'})['image_disk_format'])
        self.assertNotIn('image_disk_format', self.provide(
            declared={'disk_format': 'raw'}, href='oci://192.0.2.2/x',
            registry=images.RegistryBlob(url='https://192.0.2.2/x',
                                         session=requests.Session())))

    def test_a_checksum_of_ours(self):
        info = self.provide({'checksum': CHECKSUM, 'checksum_is_ours': True})
        self.assertEqual(('sha256', '0' * 64), (
            info['image_os_hash_algo'], info['image_os_hash_value']))

    def test_manifests(self):
        self.provide({'checksum': CHECKSUM, 'manifest': KEPT})
        self.assertTrue(self.found.manifest.url.endswith('-manifest'))
        self.assertIsNone(self.found.disk_manifest)
        self.provide({'checksum': CHECKSUM, 'disk_manifest': KEPT})
        self.assertIsNone(self.found.manifest)
        self.assertTrue(self.found.disk_manifest.url.endswith(
            '-disk-manifest'))
        path, = self.links().values()
        self.assertTrue(path.endswith(f'{unsaved.NODE_ID}/disk-manifest'))
