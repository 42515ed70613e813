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
import os
import stat
from unittest import mock

import requests

from ironic.common import exception
from ironic.common.glance_service import image_service
from ironic.drivers.modules import deploy_utils

from ironic_imagedeploy.conductor import order
from ironic_imagedeploy.conductor import serving
from tests.unit.conductor import base


class InstanceInfoTest(base.ConductorTestCase):

    def info(self, **options):
        self.config(**{'image_download_source': 'http', **options},
                    group='agent')
        with self.task(shared=False) as task:
            serving.provide(task)
            return task.node.instance_info

    def assert_served(self, info):
        """Under the URL is the image as it is stored."""
        self.assertEqual(f'{self.http_url}/agent_images/{self.node.uuid}',
                         info['image_url'])
        self.assertEqual(self.image, requests.get(info['image_url'],
                                                  timeout=60).content)

    def test_glance_image_is_served_as_it_is(self):
        self.config(force_raw_images=True)
        self.config(stream_raw_images=True, group='agent')
        self.glance.register(self.qcow2)
        self.use(base.IMAGE_ID, configdrive='kept')
        for source in ('http', 'local'):
            info = self.info(image_download_source=source)
            self.assert_served(info)
            self.assertEqual(
                ('qcow2', 'bare', 'whole-disk', 'sha512',
                 hashlib.sha512(self.image).hexdigest(), ['deployed'],
                 'kept'),
                tuple(info[key] for key in (
                    'image_disk_format', 'image_container_format',
                    'image_type', 'image_os_hash_algo',
                    'image_os_hash_value', 'image_tags', 'configdrive')))

    def test_glance_image_from_swift(self):
        url = self.server.url('disk.qcow2?temp_url_sig=secret')
        self.glance.register(self.qcow2)
        self.use(base.IMAGE_ID)
        with (mock.patch.object(image_service.GlanceImageService,
                                'swift_temp_url', autospec=True,
                                return_value=url),
              mock.patch.object(serving.image_service.HttpImageService,
                                'validate_href', autospec=True) as validate):
            info = self.info(image_download_source='swift')
        self.assertEqual(url, info['image_url'])
        validate.assert_called_once_with(mock.ANY, url, secret=True)
        self.assertFalse((self.http / 'agent_images').exists())

    def test_web_image_stays_where_it_is(self):
        self.use()
        for source in ('http', 'swift'):
            info = self.info(image_download_source=source)
            self.assertEqual(self.server.url('disk.qcow2'), info['image_url'])
        self.assertEqual({'bytes=0-1048575'}, set(self.server.requests))

    def test_web_image_over_the_conductor(self):
        self.use()
        info = self.info(image_download_source='local')
        self.assert_served(info)
        self.assertEqual('qcow2', info['image_disk_format'])
        self.assertEqual('sha256', info['image_os_hash_algo'])

    def test_the_node_says_where_to_download_from(self):
        self.use(image_download_source='local')
        self.assert_served(self.info(image_download_source='http'))

    def test_file(self):
        self.config(file_url_allowed_paths=[str(self.web)], group='conductor')
        self.use(f'file://{self.qcow2}', image_os_hash_algo=None,
                 image_os_hash_value=None)
        info = self.info()
        self.assert_served(info)
        self.assertEqual(
            ('sha256', hashlib.sha256(self.image).hexdigest()),
            (info['image_os_hash_algo'], info['image_os_hash_value']))

    def test_a_file_that_changed_since_the_last_deployment(self):
        self.config(file_url_allowed_paths=[str(self.web)], group='conductor')
        self.use(f'file://{self.qcow2}', image_os_hash_algo=None,
                 image_os_hash_value=None)
        with self.task(shared=False) as task:
            order.give(task, serving.provide(task))
        with self.qcow2.open('ab') as file:
            file.write(bytes(512))
        self.assertEqual(hashlib.sha256(self.qcow2.read_bytes()).hexdigest(),
                         self.info()['image_os_hash_value'])

    def test_damaged_on_the_way(self):
        self.use(image_os_hash_value='0' * 64)
        error = self.assertRaises(exception.InvalidParameterValue, self.info,
                                  image_download_source='local')
        self.assertIn('checksum-mismatch', str(error))

    def test_again(self):
        self.glance.register(self.qcow2)
        self.use(base.IMAGE_ID)
        self.info()
        self.assert_served(self.info())

    def test_a_web_server_that_does_not_serve_it(self):
        self.config(http_root=str(self.directory / 'elsewhere'),
                    group='deploy')
        self.glance.register(self.qcow2)
        self.use(base.IMAGE_ID)
        error = self.assertRaises(exception.InvalidParameterValue, self.info)
        for words in ('image-unreadable', 'The web server of this conductor',
                      f'{self.http_url}/agent_images/{self.node.uuid}',
                      'HTTP code 404', str(self.directory / 'elsewhere')):
            self.assertIn(words, str(error))

    def test_ironic_cleans_up(self):
        self.glance.register(self.qcow2)
        self.use(base.IMAGE_ID)
        self.info()
        link = self.http / 'agent_images' / self.node.uuid
        self.assertTrue(stat.S_ISLNK(os.lstat(link).st_mode))
        deploy_utils.destroy_http_instance_images(self.node)
        self.assertFalse(os.path.lexists(link))
        self.assertFalse((self.directory / 'images' / self.node.uuid
                          ).exists())
