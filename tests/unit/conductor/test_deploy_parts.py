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
import unittest
from unittest import mock

from oslo_config import fixture

from ironic.common import states
from ironic.conductor import task_manager
from ironic.conf import CONF
from ironic.drivers.modules import agent

from ironic_imagedeploy.conductor import deploy
from ironic_imagedeploy.conf import opts
from tests.unit.conductor import unsaved

DIRECT = agent.AgentDeploy


class PartsTestCase(unittest.TestCase):
    """The interface between that of direct and what it calls."""

    def setUp(self):
        super().setUp()
        opts.register_opts(CONF)
        conf = self.enterContext(fixture.Config(CONF))
        conf.config(extend_hardware_types=False, group='imagedeploy')
        self.interface = deploy.ImageDeploy()
        self.node = unsaved.node(provision_state=states.DEPLOYWAIT)
        self.task = mock.Mock(spec=task_manager.TaskManager, node=self.node,
                              shared=False, context=mock.Mock())
        #: What is called, in this order.
        self.calls = mock.Mock()

    def follow(self, owner, name, **behaviour):
        """Note the calls of a function, in place of which nothing is done."""
        replaced = self.enterContext(mock.patch.object(
            owner, name, autospec=True, **behaviour))
        self.calls.attach_mock(replaced, name)
        return replaced

    def names(self):
        """Names of what was called since the last time."""
        names = [call[0] for call in self.calls.mock_calls]
        self.calls.mock_calls.clear()
        return names


class NextStepTest(PartsTestCase):

    def setUp(self):
        super().setUp()
        self.keep = self.follow(deploy.answers, 'keep')
        self.next = self.follow(DIRECT, 'process_next_step')
        self.failed = self.follow(deploy.deploy_utils, 'set_failed_state')

    def test_what_the_agent_tells_is_kept_first(self):
        self.interface.process_next_step(self.task, 'deploy', x=1)
        self.keep.assert_called_once_with(self.task)
        self.next.assert_called_once_with(
            self.interface, self.task, 'deploy', x=1)
        self.assertEqual(['keep', 'process_next_step'], self.names())

    def test_other_steps_tell_nothing(self):
        self.interface.process_next_step(self.task, 'clean')
        self.assertEqual(['process_next_step'], self.names())

    def test_an_agent_whose_answers_have_no_end(self):
        self.keep.side_effect = deploy.client.TooLong(most=7)
        self.interface.process_next_step(self.task, 'deploy')
        self.assertEqual(['keep', 'set_failed_state'], self.names())

        # It is not asked for its logs either.
        self.failed.assert_called_once_with(
            self.task, mock.ANY, collect_logs=False)
        self.assertIn('Failed to process the next deploy step: The agent '
                      'answers with too much: expected at most 7 bytes',
                      self.failed.call_args.args[1])


class StepTest(PartsTestCase):

    def test_neighbours_and_moments(self):
        for module, name in ((deploy.client, 'bounded'),
                             (deploy.tracker, 'introduce'),
                             (deploy.moments, 'before_step'),
                             (deploy.moments, 'after_step')):
            self.follow(module, name)
        done = self.follow(DIRECT, 'execute_deploy_step', return_value='x')
        for step, calls in (('write_image', ['bounded', 'introduce']),
                            ('check_agent', ['bounded'])):
            step = {'step': step}
            self.assertEqual('x', self.interface.execute_deploy_step(
                self.task, step))
            done.assert_called_with(self.interface, self.task, step)
            self.assertEqual([*calls, 'before_step', 'execute_deploy_step',
                              'after_step'], self.names())

    def test_others(self):
        self.follow(deploy.client, 'bounded')
        for name in ('execute_clean_step', 'execute_service_step'):
            self.follow(DIRECT, name, return_value='x')
            self.assertEqual('x', getattr(self.interface, name)(
                self.task, {'step': 'x'}))
            self.assertEqual(['bounded', name], self.names())


class EndTest(PartsTestCase):

    def test_who_has_the_system_started(self):
        asked = [self.follow(deploy.kexec, name)
                 for name in ('hand_over', 'has_started')]
        stock = ('tear_down_agent', 'boot_instance')
        for name in stock:
            self.follow(DIRECT, name)
        for is_kexec, calls in ((False, ['hand_over', 'tear_down_agent',
                                         'has_started', 'boot_instance']),
                                (True, ['hand_over', 'has_started'])):
            for each in asked:
                each.return_value = is_kexec
            for name in stock:
                getattr(self.interface, name)(self.task)
            self.assertEqual(calls, self.names())

    def test_who_installs_the_boot_loader(self):
        self.follow(deploy.agent, 'set_boot_to_disk')
        self.follow(deploy.boot_mode_utils, 'get_boot_mode',
                    return_value='uefi')
        stock = self.follow(DIRECT, 'configure_local_boot')
        there = self.follow(deploy.order, 'boot_loader_is_there')
        for there.return_value, calls in (
                (True, ['get_boot_mode', 'set_boot_to_disk']),
                (False, ['configure_local_boot'])):
            self.interface.configure_local_boot(self.task, root_uuid='x')
            self.assertEqual(['boot_loader_is_there', *calls], self.names())
        stock.assert_called_once_with(self.interface, self.task,
                                      root_uuid='x')

    def test_a_failure_at_a_heartbeat(self):
        """Ironic does not call clean_up() then."""
        for name in ('bounded', 'withdraw'):
            self.follow(deploy.client if name == 'bounded'
                        else deploy.serving, name)
        self.follow(DIRECT, 'heartbeat')
        for state, calls in ((states.DEPLOYWAIT, []),
                             (states.DEPLOYFAIL, ['withdraw'])):
            self.node.provision_state = state
            self.interface.heartbeat(self.task, 'http://192.0.2.1', '13.0')
            self.assertEqual(['bounded', 'heartbeat', *calls], self.names())
