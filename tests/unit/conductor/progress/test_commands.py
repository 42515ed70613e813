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

from ironic.common import exception
from ironic.common import states

from ironic_imagedeploy.conductor.progress import client
from tests.unit.conductor.progress import agents

DEEP = 5000
COMMAND = agents.command('RUNNING', None)
#: Answers to a question for commands, none of which lists any.
OTHER_SHAPES = (
    b'', b'<html>', b'\xff\xfe', b'null', b'5', b'"x"', b'[]', b'{}',
    b'[' * DEEP, b'[' * DEEP + b']' * DEEP, b'{"commands": NaN}',
    b'{"commands": ' + b'1' * 5000 + b'}',
    b'{"commands": ' + b'{"a":' * DEEP + b'1' + b'}' * DEEP + b'}',
    *(json.dumps({'commands': commands}).encode() for commands in (
        None, 5, 'text', {}, [None], [5], [[]], [{}],
        [{**COMMAND, 'command_name': 5}], [{**COMMAND, 'command_name': []}],
        [{**COMMAND, 'command_status': {}}],
        [{**COMMAND, 'command_status': None}],
        [{**COMMAND, 'command_result': 5}],
        [{**COMMAND, 'command_result': [1]}],
        [{**COMMAND, 'command_result': {'deploy_step': 5}}],
        [{**COMMAND, 'command_error': 'text'}], [COMMAND, 1])))


class ListTest(agents.HeartbeatTestCase):
    """What Ironic reads at a heartbeat."""

    def test_other_shapes_end_the_deployment_with_a_sentence(self):
        info = dict(self.node.driver_internal_info)
        for body in OTHER_SHAPES:
            with self.subTest(body[:40]):
                self.agent.body = body
                self.agent.asked.clear()
                self.node.refresh()
                self.node.provision_state = states.DEPLOYWAIT
                self.node.target_provision_state = states.ACTIVE
                self.node.deploy_step = agents.STEP
                self.node.driver_internal_info = info
                self.node.save()
                self.assert_failed('expected commands, each with a name and '
                                   'a status in JSON, found something else '
                                   'with HTTP status 200', 8)

    def test_depth(self):
        for levels, is_read in ((60, True), (80, False)):
            told = 1
            for _ in range(levels):
                told = {'inner': told}
            self.agent.body = json.dumps({'commands': [
                {**COMMAND, 'command_result': told}]}).encode()
            with self.subTest(levels):
                node = self.heartbeat()
                self.assertEqual(is_read, node.last_error is None)


class OrderTest(agents.HeartbeatTestCase):
    """What Ironic reads after an order."""

    def order(self, body, status=200):
        def answer(handler):
            handler.send_response(status)
            handler.send_header('Content-Length', str(len(body)))
            handler.end_headers()
            handler.wfile.write(body)

        self.agent.behaviour = answer
        self.node.set_instance_info('image_url', 'http://192.0.2.1/')
        self.node.save()
        with self.task(shared=False) as task:
            return task.driver.deploy.execute_deploy_step(task, agents.STEP)

    def test_other_shapes(self):
        for body in (b'', b'[]', b'null', b'5', b'{}', b'[' * DEEP,
                     json.dumps({**COMMAND, 'command_error': 5}).encode()):
            for status in (200, 500):
                with self.subTest(body[:40], status=status):
                    error = self.assertRaises(
                        client.NotAnAnswer, self.order, body, status)
                    self.assertIn(f'found something else with HTTP status '
                                  f'{status}', str(error))

    def test_a_command(self):
        self.assertEqual(states.DEPLOYWAIT, self.order(
            json.dumps(COMMAND).encode()))

    def test_a_refusal(self):
        error = self.assertRaises(
            exception.AgentAPIError, self.order,
            json.dumps({'faultstring': 'I will not'}).encode(), 500)
        self.assertIn('I will not', str(error))
