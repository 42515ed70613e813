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

"""Behaviour of Ironic that we rely on and it does not promise.

A failure here, with a new release, means that the page "What we lean on" of
the contributor guide and the code that it names need another look.
"""

import os
import pathlib
import threading
from unittest import mock

from oslo_concurrency import lockutils

from ironic.common import images
from ironic.common import states
from ironic.conf import CONF
from ironic.drivers.modules import agent
from ironic.drivers.modules import agent_base
from ironic.drivers.modules import agent_client
from ironic.drivers.modules import deploy_utils
from ironic.drivers.modules import image_cache

from tests.unit.conductor import base

STEP = {'interface': 'deploy', 'step': 'write_image', 'priority': 80}
MIB = base.MIB


class AgentDeployTest(base.ConductorTestCase):

    def test_prepare_asks_for_the_instance_info(self):
        self.use()
        for state in (states.DEPLOYING, states.DEPLOYWAIT):
            self.node.provision_state = state
            self.node.save()
            with (self.task(shared=False) as task,
                  mock.patch.object(agent.AgentDeploy,
                                    '_update_instance_info', autospec=True
                                    ) as update,
                  mock.patch.object(deploy_utils, 'prepare_agent_boot',
                                    autospec=True)):
                agent.AgentDeploy().prepare(task)
            update.assert_called_once_with(mock.ANY, task)

    def test_boot_device_is_set_by_a_function_of_the_module(self):
        self.use()
        with (self.task(shared=False) as task,
              mock.patch.object(deploy_utils, 'try_set_boot_device',
                                autospec=True) as boot_device):
            agent.set_boot_to_disk(task, 'bios')
        boot_device.assert_called_once()


class AgentClientTest(base.ConductorTestCase):

    def test_a_task_has_one_client(self):
        with self.task() as task:
            self.assertIs(agent_client.get_client(task),
                          agent_client.get_client(task))

    def test_a_client_has_one_session(self):
        client = agent_client.AgentClient()
        client.session = mock.Mock(spec=client.session)
        client.session.get.return_value.json.return_value = {'commands': []}
        client.session.get.return_value.status_code = 200
        self.node.set_driver_internal_info('agent_url', 'http://127.0.0.1:1')
        self.assertEqual([], client.get_commands_status(
            self.node, retry_connection=False, expect_errors=True))
        client.session.get.assert_called_once()

    def test_a_step_that_an_agent_forgot_counts_as_done(self):
        self.node.deploy_step = STEP
        started = {'command_name': 'get_deploy_steps',
                   'command_status': 'SUCCEEDED'}
        for commands in ([], [started]):
            with (self.task(shared=False) as task,
                  mock.patch.object(
                      agent_client.AgentClient, 'get_commands_status',
                      autospec=True, return_value=commands),
                  mock.patch.object(agent_base, '_continue_steps',
                                    autospec=True) as go_on):
                agent.AgentDeploy().process_next_step(task, 'deploy')
            go_on.assert_called_once_with(task, 'deploy')


class ImageCacheTest(base.ConductorTestCase):

    def setUp(self):
        super().setUp()
        self.master = pathlib.Path(CONF.pxe.instance_master_path)

    def file(self, name):
        path = self.master / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(MIB))
        return path

    def clean_up(self):
        deploy_utils.InstanceImageCache().clean_up(amount=1 << 40)

    def test_files_that_nobody_uses_are_removed(self):
        unused, used = self.file('unused'), self.file('used')
        os.link(used, self.directory / 'of a node')
        self.clean_up()
        self.assertFalse(unused.exists())
        self.assertTrue(used.exists())

    def test_files_in_a_folder_are_left_alone(self):
        part = self.file('imagedeploy/part')
        self.clean_up()
        self.assertTrue(part.exists())

    def test_clean_up_waits_for_a_master_to_be_linked(self):
        unused = self.file('unused')
        clean = threading.Thread(target=self.clean_up)
        with lockutils.lock('master_image'):
            clean.start()
            clean.join(0.3)
            self.assertTrue(clean.is_alive())
            self.assertTrue(unused.exists())
        clean.join()
        self.assertFalse(unused.exists())

    def test_ironic_links_a_master_under_the_same_lock(self):
        # Its own name is in the module that we only know the lock of.
        self.assertIn("lockutils.lock('master_image')",
                      pathlib.Path(image_cache.__file__).read_text())


class ImagesTest(base.ConductorTestCase):

    def test_a_file_needs_its_type_to_be_validated(self):
        self._start_service()
        self.addCleanup(self._stop_service)
        self.config(file_url_allowed_paths=[str(self.directory)],
                    group='conductor')
        # Without image_type, Ironic 39 reads an attribute of a web answer.
        self.use(f'file://{self.qcow2}', image_type='whole-disk')
        found = self.service.validate_driver_interfaces(
            self.context, self.node.uuid)
        self.assertEqual({'result': True}, found['deploy'])

    def test_a_raw_disk_may_be_called_gpt(self):
        self.assertEqual({'raw', 'gpt'}, images.RAW_IMAGE_FORMATS)

    def test_images_of_nodes_are_served_by_a_link(self):
        folder = pathlib.Path(CONF.deploy.http_root,
                              CONF.deploy.http_image_subdir)
        folder.mkdir(parents=True)
        link = folder / self.node.uuid
        link.symlink_to(self.qcow2)
        deploy_utils.destroy_http_instance_images(self.node)
        self.assertFalse(link.is_symlink())
        self.assertTrue(self.qcow2.exists())
