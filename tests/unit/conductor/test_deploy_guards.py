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

from unittest import mock

from ironic.common import exception
from ironic.drivers.modules import agent

from ironic_imagedeploy.conductor import deploy
from ironic_imagedeploy.conductor import hardware
from tests.unit.conductor import base

#: Methods that have the node to themselves.
EXCLUSIVE = ('prepare', 'check_agent', 'prepare_instance_boot',
             'tear_down_agent', 'boot_instance')
#: Others whose time is measured.
SHARED = ('validate', 'clean_up', 'heartbeat')


class GuardsTest(base.ConductorTestCase):

    def setUp(self):
        super().setUp()
        self.interface = deploy.ImageDeploy()

    def test_nobody_else_has_the_node(self):
        with self.task(shared=True) as task:
            for name in EXCLUSIVE:
                self.assertRaises(exception.ExclusiveLockRequired,
                                  getattr(self.interface, name), task)

    def test_time_is_measured(self):
        for module in (deploy.acceptance, deploy.kexec, deploy.order,
                       deploy.serving, deploy.client, deploy.node_fields,
                       deploy.checksums):
            for name in ('check_image', 'hand_over', 'has_started',
                         'check_agent', 'withdraw', 'bounded', 'check',
                         'check_given'):
                if hasattr(module, name):
                    self.enterContext(mock.patch.object(
                        module, name, autospec=True, return_value=True))
        for name in (*EXCLUSIVE, *SHARED):
            if hasattr(agent.AgentDeploy, name):
                self.enterContext(mock.patch.object(
                    agent.AgentDeploy, name, autospec=True))
        with (self.task(shared=False) as task, mock.patch.object(
                deploy.METRICS, 'send_timer', autospec=True) as sent):
            for name in (*EXCLUSIVE, *SHARED):
                sent.reset_mock()
                getattr(self.interface, name)(task, *(
                    ('http://192.0.2.1', '13.0') if name == 'heartbeat'
                    else ()))
                self.assertEqual([f'ImageDeploy.{name}'], [
                    call.args[0].rpartition(deploy.__name__ + '.')[2]
                    for call in sent.call_args_list])

    def test_hardware_types_are_extended_where_that_is_wanted(self):
        for wanted in (True, False):
            self.config(extend_hardware_types=wanted, group='imagedeploy')
            with mock.patch.object(hardware, 'support_everywhere',
                                   autospec=True) as extended:
                deploy.ImageDeploy()
            self.assertEqual(wanted, extended.called)

    def test_a_failed_deployment_is_powered_off_where_ironic_would(self):
        """An agent whose deployment is aborted would go on to write."""
        with (mock.patch.object(agent.AgentDeploy, 'clean_up', autospec=True),
              mock.patch.object(deploy.utils, 'node_power_action',
                                autospec=True) as power):
            for state, reason, wanted, is_off in (
                    ('deploy failed', None, True, True),
                    ('deploy failed', 'why', True, False),
                    ('deploy failed', None, False, False),
                    ('active', None, True, False),
                    ('wait call-back', None, True, False)):
                self.config(power_off_after_deploy_failure=wanted,
                            group='deploy')
                self.node.provision_state = state
                self.node.last_error = reason
                self.node.save()
                power.reset_mock()
                with self.task(shared=False) as task:
                    self.interface.clean_up(task)
                self.assertEqual(is_off, power.called, (state, reason))

    def test_the_reason_of_a_failure_is_kept(self):
        def forget(_, task):
            task.node.last_error = self.left

        for state, left, kept in (
                ('deploying', None, 'why'), ('wait call-back', None, 'why'),
                ('wait call-back', 'other', 'other'),
                ('deploy failed', None, None), ('active', None, None)):
            self.node.provision_state = state
            self.node.last_error, self.left = 'why', left
            self.node.save()
            with (mock.patch.object(agent.AgentDeploy, 'clean_up', forget),
                  self.task(shared=False) as task):
                self.interface.clean_up(task)
                self.assertEqual(kept, task.node.last_error, state)
