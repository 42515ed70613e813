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

"""A node moves from direct to imagedeploy and back, by its interface alone."""

import time

import requests

from tests.lifecycle import base
from tests.support import commands
from tests.support.simulation import agent
from tests.support.simulation import site

_GROUP = 'migration'
_WITHOUT = '[DEFAULT]\nenabled_deploy_interfaces = direct\n'
_NOT_ENABLED = ("'ironic.hardware.interfaces.deploy' entrypoint: imagedeploy. "
                "Valid interfaces are ['direct']")


class MigrationTest(base.LifeCycleTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.site = base.cloud().site
        self.api = base.cloud().api
        self.mortal = self.site.conductors[1]

    def ask(self, method: str, path: str, body: object = None
            ) -> requests.Response:
        """One request, whose refusal is an answer."""
        return requests.request(
            method, f'{self.site.url}/v1/{path}', json=body, timeout=120,
            headers=agent.API_VERSION)

    def refusal(self, subject: base.Subject, interface: str) -> str:
        """Why the node does not get that interface."""
        answer = self.ask('PATCH', f'nodes/{subject.uuid}', [
            {'op': 'add', 'path': '/deploy_interface', 'value': interface}])
        self.assertGreaterEqual(answer.status_code, 400, answer.text)
        return answer.text

    def change(self, subject: base.Subject, interface: str) -> None:
        """Give a deployed node another interface, as the guide says."""
        maintenance = f'nodes/{subject.uuid}/maintenance'
        self.api.ironic('PUT', maintenance, {})
        self.api.set(subject.uuid, deploy_interface=interface)
        self.api.ironic('DELETE', maintenance)

    def rebuild(self, subject: base.Subject) -> bool:
        """Write the image again; whether the agent side of ours did."""
        subject.order('rebuild')
        subject.wait('wait call-back', 'deploying')
        subject.settle('active')
        return subject.machine.writes[-1].ours

    def test_node_by_node_and_back(self) -> None:
        node = base.Subject.enrol('direct', agent.Behaviour())
        self.addCleanup(base.remove, node)
        node.deploy()
        self.assertFalse(node.machine.writes[-1].ours)
        self.assertIn('maintenance mode', self.refusal(node, 'imagedeploy'))
        self.change(node, 'imagedeploy')
        self.assertTrue(self.rebuild(node))
        self.assertIn('report', node.node()['driver_internal_info'][
            'imagedeploy'])
        self.change(node, 'direct')
        self.assertFalse(self.rebuild(node))

    def test_for_one_deployment_only(self) -> None:
        node = base.Subject.enrol('direct', agent.Behaviour())
        self.addCleanup(base.remove, node)
        node.deploy(deploy_interface='imagedeploy')
        self.assertTrue(node.machine.writes[-1].ours)
        self.assertEqual('direct', node.node()['deploy_interface'])

    def test_disabled_while_a_node_uses_it(self) -> None:
        node = self.alone()
        node.deploy()
        self.configure(_WITHOUT)
        found = node.node()
        self.assertEqual(('active', 'imagedeploy', 'power on'), (
            found['provision_state'], found['deploy_interface'],
            found['power_state']))
        for method, path, body in (
                ('PUT', 'states/provision', {'target': 'rebuild'}),
                ('PUT', 'states/provision', {'target': 'deleted'}),
                ('PUT', 'states/power', {'target': 'power off'}),
                ('GET', 'validate', None)):
            with self.subTest(path, body=body):
                self.assert_not_enabled(node, method, path, body)
        self.change(node, 'direct')
        self.assertFalse(self.rebuild(node))

    def test_disabled_while_a_node_is_written(self) -> None:
        node = self.alone()
        node.write()
        self.configure(_WITHOUT)
        node.machine.held = False
        # Not even its time runs out.
        time.sleep(int(site.FAST['deploy_callback_timeout'])
                   + 2 * int(site.FAST['check_interval']))
        found = node.node()
        self.assertEqual(('wait call-back', None), (
            found['provision_state'], found['last_error']))
        self.assert_not_enabled(node, 'PUT', 'states/provision',
                                {'target': 'deleted'})
        # Its time is over: without more of it the timeout may come first.
        self.configure('[conductor]\ndeploy_callback_timeout = 1800')
        node.settle('active')
        self.assertEqual([True], [write.ours for write in
                                  node.machine.writes])

    def assert_not_enabled(self, node: base.Subject, method: str, path: str,
                           body: object = None) -> None:
        """The conductor refuses, and names the interface."""
        answer = self.ask(method, f'nodes/{node.uuid}/{path}', body)
        self.assertEqual(400, answer.status_code, answer.text)
        self.assertIn(_NOT_ENABLED, answer.text)

    def alone(self) -> base.Subject:
        """A node of the mortal conductor alone.

        The other one would take it over while this one starts anew.
        """
        self.addCleanup(self.configure, '', group='')
        self.configure('')
        node = base.Subject.enrol('imagedeploy', agent.Behaviour(),
                                  conductor_group=_GROUP)
        self.addCleanup(base.remove, node)
        return node

    def configure(self, text: str, group: str = _GROUP) -> None:
        """Start the mortal conductor anew, with these options."""
        self.mortal.configure(
            f'{text}\n[conductor]\nconductor_group = {group}\n')
        commands.wait_for(
            'return of the conductor',
            lambda: len(self.site.alive()) == len(self.site.conductors),
            timeout=60)
        self.mortal.wait_until_ready()
