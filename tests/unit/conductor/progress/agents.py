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

import datetime
import http.server
import json
import threading
import time
from unittest import mock

from ironic.common import states
from ironic.drivers.modules import agent_base

from ironic_imagedeploy.conductor.progress import poll
from ironic_imagedeploy.conductor.progress import records
from tests.unit.conductor import base

STEP = {'interface': 'deploy', 'step': 'write_image', 'priority': 80}
PROGRESS = {'phase': 'write', 'done': 1, 'total': 2, 'bytes_per_second': 3.0,
            'bottleneck': 'network'}
REPORT = {'bytes_read': 5, 'checksum': {'verified': True}}
MIB = base.MIB
START = datetime.datetime(2026, 11, 23, 1, 0, 0, tzinfo=datetime.UTC)


def command(status, result, name='execute_deploy_step'):
    """A command of an agent, as its API shows it."""
    return {'command_name': name, 'command_status': status,
            'command_result': result, 'command_error': None}


class Agent(http.server.BaseHTTPRequestHandler):
    """Tells what the test wants it to tell."""

    def do_GET(self):
        self.server.asked.append(self.path)
        if self.server.behaviour:
            self.server.behaviour(self)
            return
        body = self.server.body
        self.send_response(200)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, format, *args):
        pass


class FollowTestCase(base.ConductorTestCase):
    """One node that is being written to, and its agent."""

    def setUp(self):
        super().setUp()
        self._start_service()
        self.addCleanup(self._stop_service)
        self.now = START
        clock = mock.patch.object(records, '_now', autospec=True,
                                  side_effect=lambda: self.now)
        clock.start()
        self.addCleanup(clock.stop)
        self.agent = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Agent)
        self.agent.asked = []
        #: Function that answers in the place of the agent.
        self.agent.behaviour = None
        self.agent.daemon_threads = True
        # Whoever waits no longer hangs up.
        self.agent.handle_error = lambda *_: None
        threading.Thread(target=self.agent.serve_forever, args=(0.05,),
                         daemon=True).start()
        self.addCleanup(self.agent.server_close)
        self.addCleanup(self.agent.shutdown)
        self.use()
        self.node.provision_state = states.DEPLOYWAIT
        self.node.target_provision_state = states.ACTIVE
        self.node.deploy_step = STEP
        self.node.set_driver_internal_info('imagedeploy', {'workers': 0})
        self.node.set_driver_internal_info(
            'agent_url', f'http://127.0.0.1:{self.agent.server_port}')
        self.node.set_driver_internal_info('agent_secret_token', 'token')
        self.node.save()
        self.tells(1)

    def tells(self, mib, status='RUNNING', **told):
        """What the agent tells from now on."""
        self.agent.body = json.dumps({'commands': [command(
            status, {'imagedeploy': {'progress': {
                'phase': 'write', 'done': mib * MIB, 'total': 8 * MIB,
                'bytes_per_second': MIB / 2, 'bottleneck': 'network',
                **told}}})]}).encode()

    def follow(self, seconds=0):
        """The progress of the node after that time."""
        self.now += datetime.timedelta(seconds=seconds)
        poll.follow(self.service, self.context)
        info = self.refreshed().driver_internal_info['imagedeploy']
        self.assertEqual(0, info['workers'])
        return info.get('progress')


class HeartbeatTestCase(FollowTestCase):
    """The agent calls, and Ironic asks it what it did."""

    def setUp(self):
        super().setUp()
        self.node.set_driver_internal_info('agent_cached_deploy_steps', {
            'deploy': [STEP]})
        self.node.save()
        self.config(command_timeout=1, group='agent')
        self.agent.sent = 0

    def heartbeat(self):
        with self.task(shared=False) as task, mock.patch.object(
                agent_base, '_continue_steps', autospec=True) as go_on:
            task.driver.deploy.heartbeat(
                task, f'http://127.0.0.1:{self.agent.server_port}', '13.0')
        self.went_on = go_on.called
        return self.refreshed()

    def assert_failed(self, words, seconds):
        began = time.monotonic()
        node = self.heartbeat()
        self.assertLess(time.monotonic() - began, seconds)
        self.assertEqual(states.DEPLOYFAIL, node.provision_state)
        self.assertIn(words, node.last_error)
        self.assertNotIn('agent_token', node.last_error)
        self.assertEqual(1, len(self.agent.asked))
