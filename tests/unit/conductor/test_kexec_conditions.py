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

import types
import unittest
from unittest import mock

from ironic.common import exception
from ironic.conf import CONF
from oslo_config import fixture

from ironic_imagedeploy.conductor import kexec
from ironic_imagedeploy.conf import opts

LATER = [{'interface': 'deploy', 'step': step}
         for step in ('switch_to_tenant_network', 'boot_instance')]
STEPS = [{'interface': 'deploy', 'step': 'tear_down_agent'}, *LATER]


class KexecTestCase(unittest.TestCase):
    """A node whose deployed system could be started by kexec."""

    def setUp(self):
        super().setUp()
        opts.register_opts(CONF)
        self.enterContext(fixture.Config(CONF)).config(
            group='imagedeploy', kexec=True)
        self.info = {
            'imagedeploy': {'report': {'format': 'raw'}},
            'hardware_manager_version': {'ImageDeployHardwareManager': '5'},
            'deploy_steps': STEPS, 'deploy_step_index': 0}
        self.node = types.SimpleNamespace(
            uuid='the-node', network_interface='noop', instance_info={},
            properties={}, driver_internal_info=self.info,
            driver_info={'imagedeploy_kexec': True})
        self.task = types.SimpleNamespace(node=self.node)

    def reason(self):
        """What stands against it."""
        try:
            kexec._check(self.task)
        except kexec._NotPossible as reason:
            return str(reason)
        return None


class ConditionsTest(KexecTestCase):

    def test_nothing_is_against_it(self):
        self.assertIsNone(self.reason())

    def test_networks(self):
        for name in ('a', 'zzz'):
            self.node.network_interface = name
            self.assertIn(f'the network interface {name} moves', self.reason())

    def test_versions(self):
        for version, found in (('5', None), ('6', None), ('10', None),
                               ('4', 'in version 4; expected 5 or later'),
                               ('five', 'in version five'), ('', 'none')):
            self.info['hardware_manager_version'] = {
                'ImageDeployHardwareManager': version}
            reason = self.reason()
            self.assertEqual(found is None, reason is None)
            self.assertIn(found or '', reason or '')
        self.info['hardware_manager_version'] = None
        self.assertIn('in version none', self.reason())

    def test_another_writer(self):
        for kept in (None, {}, {'report': None}):
            self.info['imagedeploy'] = kept
            self.assertIn('has not written the image', self.reason())

    def test_steps(self):
        bios = {'interface': 'bios', 'step': 'apply'}
        for steps, index, words in (
                (STEPS, 0, None), (STEPS, None, None),
                ([bios, *STEPS], 1, 'of the deploy step bios.apply'),
                ([*STEPS, bios], 0, 'of the deploy step bios.apply'),
                ([{'interface': 'zzz', 'step': 'x'}, *STEPS], 1, 'zzz.x'),
                ([STEPS[0], *STEPS], 1, None),
                ([STEPS[0], *STEPS], 0, 'expected switch_to_tenant_network, '
                 'boot_instance, found tear_down_agent, switch'),
                (STEPS, 1, 'found boot_instance'), (STEPS, 2, 'found none'),
                (None, 0, 'found none')):
            self.info.update(deploy_steps=steps, deploy_step_index=index)
            reason = self.reason()
            self.assertEqual(words is None, reason is None, (steps, index))
            self.assertIn(words or '', reason or '')


class StartedTest(KexecTestCase):

    def test_ways(self):
        for kept, started in (
                (None, False), ({}, False), ({'handover': None}, False),
                ({'handover': {'way': 'kexec'}}, True),
                ({'handover': {'way': 'firmware'}}, False),
                ({'handover': {'way': 'z'}}, False)):
            self.info['imagedeploy'] = kept
            self.assertIs(started, kexec.has_started(self.node))

    def test_both_have_to_ask(self):
        for value in ('False', None, ''):
            self.node.driver_info['imagedeploy_kexec'] = value
            with mock.patch.object(kexec, '_check', autospec=True) as check:
                self.assertIs(False, kexec.hand_over(self.task))
            check.assert_not_called()


class GoneTest(KexecTestCase):
    """The agent is asked until it has been silent for a while."""

    def looks(self, *answers):
        """How many looks it takes; or why it is not gone."""
        self.now, told = 1000.0, iter(answers)

        def look(*arguments, **options):
            self.assertEqual({'retry_connection': False,
                              'expect_errors': True}, options)
            answer = next(told)
            if isinstance(answer, Exception):
                raise answer
            return answer

        def sleep(seconds):
            self.assertEqual(1.0, seconds)
            self.now += self.step

        agent = mock.Mock(spec=('_command',))
        agent._command.return_value = {}
        with (mock.patch.object(kexec.client, 'Client', autospec=True)
              as client, mock.patch.object(kexec.time, 'sleep', sleep),
              mock.patch.object(kexec.time, 'monotonic', lambda: self.now)):
            client.return_value.get_commands_status.side_effect = look
            kexec._start(agent, self.node)
        agent._command.assert_called_once_with(
            self.node, 'imagedeploy.start_kernel', {}, poll=False)
        return client.return_value.get_commands_status.call_count

    step = 1.0
    gone = exception.AgentConnectionFailed(reason='x')

    def test_three_looks_in_a_row(self):
        self.assertEqual(3, self.looks(self.gone, self.gone, self.gone))
        self.assertEqual(6, self.looks(
            self.gone, self.gone, [], self.gone, self.gone, self.gone))
        for odd in (ValueError(), KeyError(),
                    exception.IronicException('x')):
            self.assertEqual(5, self.looks(
                self.gone, odd, self.gone, self.gone, self.gone))

    def test_one_that_fails(self):
        failed = {'command_name': 'start_kernel', 'command_error': {
            'message': 'no kernel'}}
        with self.assertRaisesRegex(kexec._NotPossible, 'no kernel'):
            self.looks([failed])
        # What comes before is of no interest, and what others say neither.
        other = {**failed, 'command_name': 'z'}
        self.assertEqual(5, self.looks(
            [failed, {'command_name': 'start_kernel'}], [other], self.gone,
            self.gone, self.gone))

    def test_one_that_stays(self):
        self.step = 20.0
        with self.assertRaisesRegex(kexec._NotPossible,
                                    'still answers after 60 seconds'):
            self.looks(*(9 * [[]]))
        self.step = 30.0
        # After 60 seconds, and not before they are over.
        self.assertEqual(3, self.looks(self.gone, self.gone, self.gone))
