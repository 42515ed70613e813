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

import json
from unittest import mock

from ironic.common import states
from ironic.conf import CONF
from ironic import objects

from ironic_imagedeploy.conductor import withdrawal
from ironic_imagedeploy.conf import policy
from ironic_imagedeploy.contract import names
from ironic_imagedeploy.contract import order
from ironic_imagedeploy import engine
from tests.unit.conductor import base

URL = 'http://192.0.2.1/v1/AUTH_a/glance/kernel?temp_url_sig=53cret'


class WithdrawTest(base.ConductorTestCase):

    def setUp(self):
        super().setUp()
        self.use(image_url=self.server.url('disk.qcow2'))
        file = order.RemoteFile(
            url=URL, checksum=engine.Checksum('sha256', '0' * 64))
        self.node.set_driver_internal_info(names.KEY, order.DeployOrder(
            policy=policy.from_conf(CONF), separate_kernel=(
                order.SeparateKernel(kernel=file, ramdisk=file))).to_dict())
        self.links = self.http / 'agent_images'
        self.links.mkdir()
        (self.links / f'{self.node.uuid}-kernel').symlink_to(self.qcow2)

    def use_state(self, state):
        self.node.provision_state = state
        self.node.target_provision_state = states.ACTIVE
        self.node.save()

    def start(self):
        """Start a conductor, with its tasks that run at once."""
        self._start_service()
        self.addCleanup(self._stop_service)
        self.service._correct_stuck_states()
        for task, _, _ in self.service._periodic_task_callables:
            if (task.__name__ == 'withdraw_orders'
                    and task._periodic_run_immediately):
                task(self.service, self.context)

    def told(self):
        return json.dumps(self.refreshed().driver_internal_info[names.KEY])

    def test_a_conductor_that_starts_after_it_died(self):
        self.use_state(states.DEPLOYING)
        self.start()
        self.assertEqual(states.DEPLOYFAIL, self.refreshed().provision_state)
        self.assertNotIn('53cret', self.told())
        self.assertIn('disk_format', self.told())
        self.assertEqual([], list(self.links.iterdir()))
        self.assertIsNone(self.node.reservation)

    def test_a_deployment_that_goes_on(self):
        self.use_state(states.DEPLOYWAIT)
        self.start()
        self.assertIn('53cret', self.told())
        self.assertEqual(1, len(list(self.links.iterdir())))

    def test_a_reserved_node_is_next_in_turn(self):
        self.start()
        self.use_state(states.DEPLOYFAIL)
        objects.Node.reserve(self.context, 'another', self.node.uuid)
        withdrawal.withdraw(self.service, self.context)
        self.assertIn('53cret', self.told())
        objects.Node.release(self.context, 'another', self.node.id)
        withdrawal.withdraw(self.service, self.context)
        self.assertNotIn('53cret', self.told())

    def test_nodes_of_another_conductor(self):
        self.start()
        self.use_state(states.DEPLOYFAIL)
        with mock.patch.object(self.service, '_mapped_to_this_conductor',
                               autospec=True, return_value=False):
            withdrawal.withdraw(self.service, self.context)
        self.assertIn('53cret', self.told())

    def test_a_node_that_is_deployed_again_meanwhile(self):
        self.start()
        self.use_state(states.DEPLOYFAIL)
        found = withdrawal._ordered()
        self.assertEqual([self.node.uuid], found)
        self.use_state(states.DEPLOYWAIT)
        with mock.patch.object(withdrawal, '_ordered', autospec=True,
                               return_value=found):
            withdrawal.withdraw(self.service, self.context)
        self.assertIn('53cret', self.told())

    def test_nothing_is_looked_for_in_other_keys(self):
        self.node.driver_internal_info = {
            'note': '"boot_files"', names.KEY: {'version': 1}}
        self.use_state(states.DEPLOYFAIL)
        self.assertEqual([], withdrawal._ordered())
