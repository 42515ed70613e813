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


from ironic.common import exception
from ironic.conf import CONF
from ironic.drivers.modules import agent_client
from ironic.drivers.modules import fake

from ironic_imagedeploy.conductor.checks import acceptance
from tests.support import boot_files
from tests.unit.conductor import base
from tests.unit.conductor.checks import separate_kernels

CONTENT = separate_kernels.CONTENT
IDS = separate_kernels.IDS
NONE = separate_kernels.NONE


class RefusalsTest(separate_kernels.KernelTestCase):

    def in_glance(self):
        for role in IDS:
            self.register(role)
        self.of_glance(*NONE, kernel_id=IDS['kernel'],
                       ramdisk_id=IDS['ramdisk'])

    def test_one_without_the_other(self):
        self.of_glance(*NONE, kernel_id=IDS['kernel'])
        self.refusal(
            'no-bootloader', 'a kernel beside it, but no ramdisk',
            f'openstack image set --property ramdisk_id=ID {base.IMAGE_ID}')
        self.beside(*NONE, ramdisk='http://127.0.0.1:1/ramdisk')
        self.refusal('no-bootloader', 'a ramdisk beside it, but no kernel',
                     self.node_set('--instance-info kernel=ID'))

    def test_halves_are_not_put_together(self):
        self.in_glance()
        self.state(kernel=self.server.url('kernel'))
        self.refusal('no-bootloader', 'but no ramdisk')

    def test_glance_does_not_have_it(self):
        self.in_glance()
        (self.directory / 'glance' / IDS['ramdisk']).unlink()
        self.refusal('image-not-found', f'ramdisk glance:{IDS["ramdisk"]}',
                     f'openstack image show {IDS["ramdisk"]}')

    def test_web_server_does_not_have_it(self):
        self.by_url(*NONE)
        (self.web / 'kernel').unlink()
        self.refusal('kernel http://', 'image-not-found', self.node_set(
            '--instance-info kernel=URL',
            '--instance-info kernel_checksum=sha512:SHA512'))

    def test_not_a_kernel(self):
        self.in_glance()
        (self.directory / 'glance' / f'{IDS["kernel"]}.data').write_bytes(
            b'\x7fELF'.ljust(len(CONTENT['kernel']), b'\0'))
        self.refusal(
            f'kernel glance:{IDS["kernel"]}: ', 'not-a-kernel',
            'found an ELF program', '--file FILE NAME, and openstack image '
            f'set --property kernel_id=ID {base.IMAGE_ID}')

    def test_not_an_initramfs(self):
        self.by_url(*NONE)
        (self.web / 'ramdisk').write_bytes(b'<html>' + b' ' * 999)
        self.refusal('ramdisk http://', 'not-an-initramfs')

    def test_for_another_processor(self):
        self.in_glance()
        self.register('kernel', hw_architecture='aarch64')
        self.refusal('arch-mismatch', 'The kernel is declared')
        self.by_url(*NONE)
        (self.web / 'kernel').write_bytes(boot_files.arm64())
        self.refusal('arch-mismatch', 'expected x86_64', 'found aarch64')

    def refusal(self, *words):
        return super().refusal(*(word.replace('expected', 'Expected')
                                 for word in words))

    def test_checksum_must_be_stated(self):
        self.by_url(*NONE)
        self.state(ramdisk_checksum=None)
        command = self.node_set(
            '--instance-info ramdisk_checksum=sha512:SHA512')
        self.refusal('checksum-missing', command)
        self.state(ramdisk_checksum='sha256:abc')
        self.refusal('checksum-invalid', command)

    def test_nothing_is_read_before_there_is_a_checksum(self):
        self.by_url(*NONE)
        self.state(kernel_checksum=None)
        self.server.requests.clear()
        self.refusal('checksum-missing')
        asked = len(self.server.requests)
        self.beside(*NONE)
        self.server.requests.clear()
        # The same for the image alone.
        self.refusal('no-bootloader')
        self.assertEqual(len(self.server.requests), asked)

    def test_an_initramfs_is_not_read_to_its_end(self):
        self.by_url(*NONE)
        content = boot_files.initramfs({'init': os.urandom(4 << 20)})
        (self.web / 'ramdisk').write_bytes(content)
        self.state(ramdisk_checksum='sha256:'
                   f'{hashlib.sha256(content).hexdigest()}')
        sent = self.transferred(self.server)
        with self.task() as task:
            acceptance.check_image(task)
        self.assertLess(sum(sent), len(content) // 2)

    def test_properties_name_images_of_glance_alone(self):
        secret = self.web / 'kernel'
        self.config(file_url_allowed_paths=[str(self.web)], group='conductor')
        for href in (f'file://{secret}', self.server.url('kernel'),
                     self.server.url('kernel').upper(), str(secret),
                     f'glance://{IDS["kernel"]}/../{IDS["ramdisk"]}', 'kernel',
                     'http://[', 'x' * 300 + '\n\x1b[2J'):
            self.in_glance()
            self.of_glance(*NONE, kernel_id=href, ramdisk_id=IDS['ramdisk'])
            self.server.requests.clear()
            message = self.refusal(
                'image-not-found', 'not in Glance',
                'openstack image set --property kernel_id=ID '
                + base.IMAGE_ID)
            self.assertLess(len(message), 900)
            self.assertTrue(message.isprintable())
            self.assertRaises(exception.InvalidParameterValue, self.order)
            self.assertEqual([], self.server.requests)
            self.assertFalse((self.http / 'agent_images').exists())
            self.assertFalse(pathlib.Path(
                CONF.pxe.images_path, self.node.uuid, 'kernel').exists())

    def test_bytes_that_were_fetched_are_not_shown(self):
        self.by_url(*NONE)
        (self.web / 'kernel').write_bytes(b'\xfeS3CR' + bytes(4096))
        message = self.refusal('not-a-kernel')
        for shown in ('S3CR', '53 33', '5333', 'fe 53'):
            self.assertNotIn(shown, message)

    def test_checksum_that_can_be_forged(self):
        self.by_url(*NONE, algorithm='md5')
        self.refusal('checksum-weak')
        self.config(insecure_checksums_permitted=True, group='imagedeploy')
        with self.task() as task:
            acceptance.check_image(task)

    def test_other_bytes_than_stated(self):
        self.by_url(*NONE)
        self.state(kernel_checksum=f'sha256:{"0" * 64}')
        error = self.assertRaises(
            exception.InvalidParameterValue, self.order,
            image_download_source='local')
        self.assertIn('checksum-mismatch', str(error))
        self.assertIn('kernel_checksum=sha512:SHA512', str(error))

    def test_other_sources(self):
        self.by_url(*NONE)
        self.state(kernel='nfs://server/kernel')
        self.refusal('kernel nfs://server/kernel', "found 'nfs'")
        self.state(kernel='http://[server/kernel')
        self.refusal('field-invalid', 'or a URL', 'that no host has',
                     self.node_set('--instance-info kernel=VALUE'))

    def test_secrets_for_the_image_are_not_told_to_another_server(self):
        self.by_url(*NONE, image_request_authorization_secret='Bearer secret')
        other = images_server(self)
        self.state(kernel=other.url('kernel'))
        seen = {}
        for server in (self.server, other):
            def answer(exchange, server=server):
                seen.setdefault(server, set()).add(
                    exchange.headers.get('Authorization'))
                exchange.serve()

            server.answer = answer
        with self.task() as task:
            acceptance.check_image(task)
        self.assertEqual({self.server: {'Bearer secret'}, other: {None}},
                         seen)

    def test_whole_disk_image(self):
        """Refused also where it is called one."""
        self.use(kernel='http://kernel')
        self.refusal('image-type-mismatch', 'no kernel and no ramdisk',
                     'openstack baremetal node unset --instance-info kernel '
                     + self.node.uuid)
        self.glance.register(self.qcow2, img_type='whole-disk',
                             ramdisk_id=IDS['ramdisk'])
        self.use(base.IMAGE_ID)
        self.refusal('image-type-mismatch', 'openstack image unset '
                     f'--property ramdisk_id {base.IMAGE_ID}')


def images_server(case):
    """One more web server with the same files."""
    server = type(case.server)(case.web)
    case.addCleanup(server.stop)
    return server


class OptionsTest(separate_kernels.KernelTestCase):

    def setUp(self):
        super().setUp()
        self.by_url(*NONE)

    def options(self):
        return self.order()['options']

    def test_of_the_node(self):
        self.config(kernel_append_params='panic=1', group='pxe')
        self.assertEqual('panic=1', self.options())
        self.node.driver_info = {'kernel_append_params': 'a %default%'}
        self.node.save()
        self.assertEqual('a panic=1', self.options())
        self.state(kernel_append_params='console=ttyS1')
        self.assertEqual('console=ttyS1', self.options())

    def test_of_virtual_media(self):
        settings = mock.Mock(kernel_params='redfish=1')
        with mock.patch.object(fake.FakeBoot, 'image_publisher_settings',
                               settings, create=True):
            self.assertEqual('redfish=1', self.options())

    def test_none(self):
        self.config(kernel_append_params='', group='pxe')
        self.assertEqual('', self.options())

    def test_what_a_menu_would_take_for_more(self):
        for unsafe in ('a=;reboot', 'a=$(b)', "a='b", 'a=`b`', 'a=|b',
                       'a=}b', 'a=\\b', 'c=' + 'd' * 2048):
            self.state(kernel_append_params=unsafe)
            self.refusal('kernel-options-unsafe', self.node_set(
                '--instance-info kernel_append_params=PARAMETERS'))


class AgentTest(separate_kernels.KernelTestCase):
    """Only an agent side that knows of kernels beside images may write."""

    def check(self, **versions):
        self.use()
        self.node.set_driver_internal_info('imagedeploy', {
            'boot_files': {'kernel': {}}})
        self.node.set_driver_internal_info(
            'hardware_manager_version', versions)
        self.node.save()
        with (self.task(shared=False) as task,
              mock.patch.object(agent_client.AgentClient, 'get_deploy_steps',
                                autospec=True, return_value={
                                    'command_result': {}})):
            task.driver.deploy.check_agent(task)

    def test_new(self):
        self.check(ImageDeployHardwareManager='2')

    def test_old_and_stock(self):
        for require in (True, False):
            self.config(require_agent=require, group='imagedeploy')
            for versions in ({'ImageDeployHardwareManager': '1'},
                             {'generic_hardware_manager': '1.2'}):
                error = self.assertRaises(exception.InstanceDeployFailure,
                                          self.check, **versions)
                self.assertIn('in version 2 or later', str(error))
                self.assertIn('The disk was not touched', str(error))
