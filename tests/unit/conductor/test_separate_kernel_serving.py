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
import pathlib
from unittest import mock


from ironic.common.glance_service import image_service
from ironic.common import states
from ironic.conf import CONF

from ironic_imagedeploy.conductor import serving
from tests.unit.conductor import base
from tests.unit.conductor.checks import separate_kernels
from tests.unit.conductor import partition_images

CONTENT = separate_kernels.CONTENT
IDS = separate_kernels.IDS
NONE = separate_kernels.NONE
OWN = separate_kernels.OWN


class ServingTest(separate_kernels.KernelTestCase):

    def test_glance(self):
        for role in IDS:
            self.register(role)
        self.of_glance(*NONE, kernel_id=IDS['kernel'],
                       ramdisk_id=IDS['ramdisk'])
        order = self.order()
        self.assert_served(order)
        self.assertTrue(order['kernel']['checksum'].startswith('sha512:'))
        self.assertEqual('nofb vga=normal', order['options'])

    def test_web_over_the_conductor(self):
        self.by_url(*NONE)
        self.assert_served(self.order(image_download_source='local'))

    def test_web_stays_where_it_is(self):
        self.by_url(*NONE)
        order = self.order()
        for role, content in CONTENT.items():
            self.assertEqual(
                {'url': self.server.url(role), 'checksum':
                 f'sha256:{hashlib.sha256(content).hexdigest()}'},
                order[role])
        self.assertFalse((self.http / 'agent_images').exists())

    def test_checksum_from_a_url(self):
        (self.web / 'SHA256SUMS').write_text(''.join(
            f'{hashlib.sha256(content).hexdigest()}  {role}\n'
            for role, content in CONTENT.items()))
        self.by_url(*NONE, **{f'{role}_checksum': self.server.url('SHA256SUMS')
                              for role in CONTENT})
        self.assert_served(self.order(image_download_source='local'))

    def by_url(self, *files, **info):
        """Later statements count."""
        overridden = {name: value for name, value in info.items()
                      if name.endswith('_checksum')}
        super().by_url(*files, **{name: value for name, value in info.items()
                                  if name not in overridden})
        self.state(**overridden)

    def test_files_of_the_conductor(self):
        self.config(file_url_allowed_paths=[str(self.web)], group='conductor')
        self.beside(*NONE, **{role: f'file://{self.web / role}'
                              for role in CONTENT})
        order = self.order()
        self.assert_served(order)
        self.assertTrue(order['kernel']['checksum'].startswith('sha256:'))

    def test_swift(self):
        self.provide(*NONE)
        urls = {base.IMAGE_ID: self.server.url('root.qcow2?sig=a')}
        for role in IDS:
            self.register(role)
            urls[IDS[role]] = self.server.url(f'{role}?sig=b')
        self.of_glance(*NONE, kernel_id=IDS['kernel'],
                       ramdisk_id=IDS['ramdisk'])
        with (mock.patch.object(
                image_service.GlanceImageService, 'swift_temp_url',
                autospec=True, side_effect=lambda _, record:
                urls[record['id']]),
              mock.patch.object(serving.image_service.HttpImageService,
                                'validate_href', autospec=True)):
            order = self.order(image_download_source='swift')
        self.assertEqual(urls[IDS['kernel']], order['kernel']['url'])
        self.assertEqual(urls[IDS['ramdisk']], order['ramdisk']['url'])

    def test_instance_info_comes_first(self):
        for role in IDS:
            self.register(role)
        self.of_glance(*NONE, kernel_id='gone', ramdisk_id='gone too')
        self.state(**IDS)
        self.assert_served(self.order())
        self.assertEqual(IDS['kernel'], self.node.instance_info['kernel'])

    def test_fetched_once(self):
        for role in IDS:
            self.register(role)
        self.of_glance(*NONE, kernel_id=IDS['kernel'],
                       ramdisk_id=IDS['ramdisk'])
        self.order()
        sent = self.transferred(self.glance)
        self.assert_served(self.order())
        # That is what is stated about both, again.
        self.assertLess(sum(sent), 2048)

    def test_image_with_a_kernel_of_its_own(self):
        """Nobody asks for what nobody needs."""
        self.of_glance(*OWN, kernel_id=IDS['kernel'])
        self.assertIsNone(self.order())

    def test_image_whose_kernel_cannot_be_told(self):
        entries = self.directory / 'tree/boot/loader/entries'
        entries.mkdir(parents=True)
        (entries / 'a.conf').write_text('linux /linux\n')
        self.by_url('linux')
        self.assertIsNotNone(self.order())
        self.beside('linux', ramdisk=None)
        self.assertIsNone(self.order())

    def test_gone_when_the_node_is_done(self):
        self.by_url(*NONE)
        self.order(image_download_source='local')
        links = self.http / 'agent_images'
        self.assertEqual(
            {self.node.uuid, *(f'{self.node.uuid}-{role}' for role in
                               ('kernel', 'ramdisk', 'manifest'))},
            set(os.listdir(links)))
        with self.task(shared=False) as task:
            task.driver.deploy.clean_up(task)
            task.driver.deploy.clean_up(task)
        self.assertEqual([], os.listdir(links))
        self.assertFalse(
            pathlib.Path(CONF.pxe.images_path, self.node.uuid).exists())


class DeploymentTest(partition_images.DeploymentTestCase,
                     separate_kernels.KernelTestCase):
    """From Ironic's method to the point where the ramdisk boots."""

    def test_order_of_boot_files(self):
        self.by_url(*NONE)
        node = self.deploy()
        self.assertIsNone(node.last_error)
        self.assertEqual(states.DEPLOYWAIT, node.provision_state)
        order = node.driver_internal_info['imagedeploy']['boot_files']
        self.assertEqual({'kernel', 'ramdisk', 'options'}, set(order))
        self.assertEqual(self.server.url('kernel'), order['kernel']['url'])

    def test_refused_before_power(self):
        self.by_url(*NONE)
        (self.web / 'ramdisk').unlink()
        node = self.deploy()
        self.assertEqual(states.DEPLOYFAIL, node.provision_state)
        self.assertIn('ramdisk http://', node.last_error)
        self.reboot.assert_not_called()
        self.set_power_state.assert_not_called()

    def test_another_conductor_serves_them_itself(self):
        self.by_url(*NONE, image_download_source='local')
        self.deploy()
        self.config(http_url=self._serve(self.http), group='deploy')
        with self.task(shared=False) as task:
            task.driver.deploy._update_instance_info(task)
        order = self.refreshed().driver_internal_info['imagedeploy']
        self.assertEqual(
            f'{CONF.deploy.http_url}/agent_images/{self.node.uuid}-kernel',
            order['boot_files']['kernel']['url'])
        self.assertIn('permitted_formats', order)
