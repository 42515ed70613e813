#!/usr/bin/env python3
#
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

import contextlib
import types
import unittest
from unittest import mock

from oslo_config import fixture

from ironic.common import exception
from ironic.conf import CONF
from ironic.drivers.modules import agent_client

from ironic_imagedeploy.conductor.cache import record
from ironic_imagedeploy.conductor import order
from ironic_imagedeploy.conf import opts
from ironic_imagedeploy.contract import order as contract
from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import start_policy
from tests.unit.conductor import unsaved
from tests.unit.contract import before

OURS = {'ImageDeployHardwareManager': '5'}
STOCK = {'generic_hardware_manager': '1.2', 'another': '1'}
CHECKSUM = engine.Checksum('sha256', 'ab' * 32)


def remote(name):
    """A manifest of that name, beside the image."""
    return contract.RemoteManifest(url=f'http://192.0.2.1/{name}',
                                   root='0' * 64, size=7)


def served(**values):
    """An image that was accepted, and where it is."""
    return types.SimpleNamespace(**{
        'image': types.SimpleNamespace(
            checksum=CHECKSUM, checksum_is_ours=True, verdict=record.Verdict(
                name='x', format='qcow2', start_judged=True)),
        'start_policy': start_policy.StartPolicy(
            mode='off', raised=(), muted=('machine-id-left',)),
        'separate_kernel': None, 'manifest': None, 'disk_manifest': None,
        'public': False, **values})


class OrderTestCase(unittest.TestCase):

    def setUp(self):
        super().setUp()
        opts.register_opts(CONF)
        self.config = self.enterContext(fixture.Config(CONF)).config
        self.node = unsaved.node()
        self.saved = {}
        self.enterContext(mock.patch.object(
            type(self.node), 'save', autospec=True, side_effect=lambda node:
            self.saved.update(info=dict(node.driver_internal_info))))

    def kept(self):
        """The order, as it was saved."""
        return self.saved['info'].get('imagedeploy')

    def keep(self, **info):
        self.node.driver_internal_info = info
        self.node.save()

    def task(self, shared=True):
        return contextlib.nullcontext(types.SimpleNamespace(
            node=self.node, driver=types.SimpleNamespace(
                deploy=types.SimpleNamespace(refresh_steps=None))))


class GiveTest(OrderTestCase):

    def give(self, **values):
        with self.task(shared=False) as task:
            order.give(task, served(**values))
        return self.kept()

    def test_what_was_accepted(self):
        self.config(group='imagedeploy', read_back='full')
        found = self.give(public=True, manifest=remote('m'),
                          disk_manifest=remote('d'))
        expected = {
            'disk_format': 'qcow2', 'checksum': f'sha256:{"ab" * 32}',
            'checksum_is_ours': True, 'read_back': 'full', 'public': True,
            'start_judged': True, 'start_findings': 'off',
            'start_findings_muted': ['machine-id-left'],
            'manifest': remote('m').to_dict(),
            'disk_manifest': remote('d').to_dict()}
        self.assertEqual(expected, {key: found[key] for key in expected})

    def test_what_was_there_before_is_forgotten(self):
        self.keep(imagedeploy={'report': {}}, hardware_manager_version=OURS,
                  other=1)
        found = self.give()
        self.assertNotIn('report', found)
        info = self.node.driver_internal_info
        self.assertNotIn('hardware_manager_version', info)
        self.assertEqual(1, info['other'])


class RenewTest(OrderTestCase):

    def renew(self, **values):
        with self.task(shared=False) as task:
            order.renew(task, served(**values))
        return self.kept()

    def test_other_places(self):
        self.keep(imagedeploy={'checksum': 'x', 'manifest': {'url': 'old'}})
        self.assertEqual(
            {'checksum': 'x', 'manifest': remote('m').to_dict(),
             'disk_manifest': remote('d').to_dict()},
            self.renew(manifest=remote('m'), disk_manifest=remote('d')))

    def test_a_separate_kernel(self):
        kernel = contract.SeparateKernel.from_dict(
            before.ORDER['boot_files'])
        self.keep(imagedeploy={'checksum': 'x'})
        self.assertEqual(kernel.to_dict(), self.renew(
            separate_kernel=kernel)['boot_files'])

    def test_a_node_without_an_order(self):
        for order_ in (None, {}):
            self.keep(imagedeploy=order_)
            self.assertEqual(order_, self.renew(manifest=remote('m')))


class CheckAgentTest(OrderTestCase):

    def check(self, known, told=None, **sent):
        """See what the ramdisk carries that says this of itself."""
        self.keep(hardware_manager_version=known, imagedeploy=sent or None)
        self.asked = 0

        def refresh(task, kind):
            self.assertEqual('deploy', kind)
            self.asked += 1
            task.node.set_driver_internal_info('hardware_manager_version',
                                               told)

        with self.task(shared=False) as task, mock.patch.object(
                task.driver.deploy, 'refresh_steps', refresh):
            order.check_agent(task)

    def assert_lacks(self, found, *arguments, **sent):
        with self.assertRaises(exception.InstanceDeployFailure) as caught:
            self.check(*arguments, **sent)
        self.assertIn('expected the hardware manager ImageDeployHardware'
                      f'Manager{found}', str(caught.exception))
        self.assertIn('The disk was not touched', str(caught.exception))

    def test_ours(self):
        self.check(OURS)
        self.assertEqual(0, self.asked)

    def test_it_is_asked_when_it_has_not_told(self):
        for known in (None, {}):
            self.check(known, OURS)
            self.assertEqual(1, self.asked)

    def test_others(self):
        self.assert_lacks(', found another, generic_hardware_manager', STOCK)
        self.assert_lacks(', found none', None)

    def test_others_where_that_is_permitted(self):
        self.config(require_agent=False, group='imagedeploy')
        with mock.patch.object(order, 'LOG', autospec=True) as log:
            self.check(OURS)
            log.warning.assert_not_called()
            self.check(STOCK)
            log.warning.assert_called_once()

    def test_a_separate_kernel(self):
        sent = {'boot_files': {'kernel': {}}}
        for version in ('2', '3', '10'):
            self.check({'ImageDeployHardwareManager': version}, **sent)
        self.check({'ImageDeployHardwareManager': '1'}, disk_format='raw')
        for require in (True, False):
            self.config(require_agent=require, group='imagedeploy')
            self.assert_lacks(' in version 2 or later, found 1',
                              {'ImageDeployHardwareManager': '1'}, **sent)
            self.assert_lacks(' in version 2 or later, found none', STOCK,
                              **sent)


class BootLoaderTest(OrderTestCase):

    def is_there(self, whole_disk, result, mode='bios'):
        self.node.properties = {'capabilities': f'boot_mode:{mode}'}
        self.keep(is_whole_disk_image=whole_disk)
        with (self.task() as task, mock.patch.object(
                agent_client.AgentClient, 'get_partition_uuids',
                autospec=True, return_value={'command_result': result}
                ) as asked):
            found = order.boot_loader_is_there(task)
        self.assertEqual(whole_disk is False or mode == 'uefi', asked.called)
        return found

    def test_of_a_partition_image(self):
        self.assertTrue(self.is_there(False, {'bootloader': 'i386-pc'}))
        for result in ({'root uuid': 'x'}, {}, None):
            self.assertFalse(self.is_there(False, result))

    def test_of_a_whole_disk_image(self):
        for whole_disk in (True, None):
            self.assertFalse(self.is_there(whole_disk,
                                           {'bootloader': 'i386-pc'}))

    def test_of_a_whole_disk_image_on_a_raid(self):
        for whole_disk in (True, None):
            self.assertTrue(self.is_there(whole_disk, {'bootloader': 'x'},
                                          'uefi'))
            self.assertFalse(self.is_there(whole_disk, {}, 'uefi'))
