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

import http.server
import json
import threading
from unittest import mock

from ironic.common import exception
from ironic.common.glance_service import image_service
from ironic.common import states
from ironic.conductor import deployments
from ironic.conductor import utils
from ironic.conf import CONF
from ironic.drivers.modules import agent

from ironic_imagedeploy.conductor.progress import client
from ironic_imagedeploy.conductor import serving
from ironic_imagedeploy.conf import policy
from ironic_imagedeploy.contract import names
from ironic_imagedeploy.contract import order
from ironic_imagedeploy import engine
from tests.unit.conductor import base

TOKEN = 'xCtZ5Rk-3cret_of_the_agent'
URL = 'http://192.0.2.1/v1/AUTH_a/glance/kernel?temp_url_sig=53cret'
WRITE = {'step': 'write_image', 'interface': 'deploy', 'priority': 80,
         'args': None, 'argsinfo': None}


class SecretsTestCase(base.ConductorTestCase):
    """A node whose deployment fails while it is in the ramdisk."""

    def setUp(self):
        super().setUp()
        self.use(image_url=self.server.url('disk.qcow2'))
        file = order.RemoteFile(
            url=URL, checksum=engine.Checksum('sha256', '0' * 64))
        self.node.provision_state = states.DEPLOYWAIT
        self.node.target_provision_state = states.ACTIVE
        self.node.driver_internal_info = {
            'is_whole_disk_image': False, 'agent_url': 'http://127.0.0.1:1',
            'agent_secret_token': TOKEN,
            'agent_cached_deploy_steps': {'deploy': []},
            'deploy_steps': [WRITE], 'deploy_step_index': 0,
            names.KEY: order.DeployOrder(
                policy=policy.from_conf(CONF),
                separate_kernel=order.SeparateKernel(
                    kernel=file, ramdisk=file)).to_dict()}
        self.node.deploy_step = WRITE
        self.node.save()

    def assert_failed(self, *words):
        node = self.refreshed()
        self.assertEqual(states.DEPLOYFAIL, node.provision_state)
        for word in words:
            self.assertIn(word, node.last_error)
        self.assertNotIn(TOKEN, node.last_error)
        self.assertNotIn('agent_token', node.last_error)
        told = json.dumps(node.driver_internal_info[names.KEY])
        self.assertNotIn('53cret', told)
        self.assertIn('disk_format', told)


class UnreachableAgentTest(SecretsTestCase):

    def test_at_a_heartbeat(self):
        with self.task(shared=False) as task:
            task.driver.deploy.heartbeat(task, 'http://127.0.0.1:1', '13.0')
        self.assert_failed('Failed to connect to the agent',
                           '127.0.0.1', '/v1/commands/')

    def test_at_the_first_heartbeat(self):
        info = self.node.driver_internal_info
        del info['agent_cached_deploy_steps']
        self.node.driver_internal_info = info
        self.node.save()
        with self.task(shared=False) as task:
            task.driver.deploy.heartbeat(task, 'http://127.0.0.1:1', '13.0')
        self.assert_failed('Failed to load in-band deploy steps')

    def test_at_a_step(self):
        self.node.provision_state = states.DEPLOYING
        self.node.save()
        with self.task(shared=False) as task:
            deployments.do_next_deploy_step(task, 0)
        self.assert_failed('write_image failed', '/v1/commands/')

    def test_at_a_step_of_cleaning(self):
        with self.task(shared=False) as task:
            for execute in ('execute_clean_step', 'execute_service_step'):
                error = self.assertRaises(
                    exception.IronicException,
                    getattr(task.driver.deploy, execute), task,
                    {'step': 'erase_devices', 'interface': 'deploy'})
                self.assertIn('/v1/commands/', str(error))
                self.assertNotIn(TOKEN, str(error))

    def test_when_its_progress_is_asked_for(self):
        error = self.assertRaises(
            exception.AgentConnectionFailed,
            client.Client().get_commands_status, self.node)
        self.assertIn('/v1/commands/', str(error))
        self.assertNotIn(TOKEN, str(error))

    def test_the_token_still_reaches_the_agent(self):
        requests = []

        class Agent(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                requests.append(self.path)
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b'{"commands": []}')

            def log_message(self, *args):
                pass

        server = http.server.HTTPServer(('127.0.0.1', 0), Agent)
        threading.Thread(target=server.serve_forever, args=(0.05,),
                         daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        url = f'http://127.0.0.1:{server.server_port}'
        with self.task(shared=False) as task:
            task.driver.deploy.heartbeat(task, url, '13.0')
        self.assertIn(f'agent_token={TOKEN}', requests[0])
        self.assert_failed('was started again')


class UnreachableSwiftTest(base.ConductorTestCase):

    def assert_refused(self, url, *words):
        self.glance.register(self.qcow2)
        self.use(base.IMAGE_ID)
        self.config(image_download_source='swift', group='agent')
        with (self.task(shared=False) as task, mock.patch.object(
                image_service.GlanceImageService, 'swift_temp_url',
                autospec=True, return_value=url)):
            error = self.assertRaises(exception.InvalidParameterValue,
                                      serving.provide, task)
        for word in ('image-unreadable', '[glance]swift_', *words):
            self.assertIn(word, str(error))
        self.assertNotIn('53cret', str(error))

    def test_no_server(self):
        self.assert_refused('http://127.0.0.1:1/a%20b?temp_url_sig=53cret',
                            'Connection refused')

    def test_no_such_object(self):
        self.assert_refused(self.server.url('gone?temp_url_sig=53cret'),
                            'HTTP code')


class TemporaryUrlTest(SecretsTestCase):

    def test_gone_when_nobody_comes_in_time(self):
        with self.task(shared=False) as task:
            utils.cleanup_after_timeout(task)
        self.assert_failed('Timeout')

    def test_gone_when_the_node_cannot_be_prepared(self):
        self.node.provision_state = states.AVAILABLE
        self.node.save()
        with (self.task(shared=False) as task, mock.patch.object(
                agent.AgentDeploy, 'prepare', autospec=True,
                side_effect=exception.IronicException('no power'))):
            self.assertRaises(exception.IronicException,
                              task.driver.deploy.prepare, task)
        told = self.refreshed().driver_internal_info[names.KEY]
        self.assertNotIn('boot_files', told)

    def test_there_while_the_deployment_goes_on(self):
        with (self.task(shared=False) as task, mock.patch.object(
                agent.AgentDeploy, 'heartbeat', autospec=True)):
            task.driver.deploy.heartbeat(task, 'http://127.0.0.1:1', '13.0')
        told = self.refreshed().driver_internal_info[names.KEY]
        self.assertEqual(URL, told['boot_files']['kernel']['url'])
