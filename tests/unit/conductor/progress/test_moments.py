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

from ironic.drivers.modules import agent

from ironic_imagedeploy.conductor.progress import moments
from ironic_imagedeploy.contract import names
from ironic_imagedeploy.contract import timeline
from tests.unit.conductor import base


class MomentsTest(base.ConductorTestCase):

    def kept(self):
        """Moments of the node, as the database has them."""
        self.node.refresh()
        return list(timeline.times(
            self.node.driver_internal_info.get(names.KEY) or {}))

    def order(self):
        self.node.set_driver_internal_info(names.KEY, {'version': 1})
        self.node.save()

    def test_an_image_that_is_accepted(self):
        self.order()
        moments.accepted(self.node, timeline.now())
        self.assertEqual(['begun', 'accepted'], self.kept())

    def test_steps(self):
        self.order()
        with mock.patch.object(agent.AgentDeploy, 'execute_deploy_step',
                               autospec=True) as execute:
            for step, known in (
                    ('deploy', ['power-on', 'ramdisk']),
                    ('check_agent', ['power-on', 'ramdisk', 'agent']),
                    ('erase_devices', ['power-on', 'ramdisk', 'agent']),
                    ('boot_instance', ['power-on', 'ramdisk', 'agent',
                                       'done'])):
                with self.task(shared=False) as task:
                    outcome = task.driver.deploy.execute_deploy_step(
                        task, {'step': step, 'interface': 'deploy'})
                self.assertIs(execute.return_value, outcome)
                self.assertEqual(known, self.kept(), step)

    def test_a_step_that_fails_has_begun_only(self):
        self.order()
        with self.task(shared=False) as task, mock.patch.object(
                agent.AgentDeploy, 'execute_deploy_step', autospec=True,
                side_effect=ZeroDivisionError):
            self.assertRaises(
                ZeroDivisionError, task.driver.deploy.execute_deploy_step,
                task, {'step': 'deploy', 'interface': 'deploy'})
        self.assertEqual(['power-on'], self.kept())

    def test_a_node_without_an_order_keeps_nothing(self):
        moments.before_step(self.node, {'step': 'deploy'})
        self.node.refresh()
        self.assertEqual({}, self.node.driver_internal_info)
