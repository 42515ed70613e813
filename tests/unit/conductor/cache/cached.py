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
import os
from unittest import mock

from oslo_utils import uuidutils

from ironic.conductor import task_manager
from ironic.tests.unit.objects import utils as objects_utils

from ironic_imagedeploy.conductor import serving
from ironic_imagedeploy import engine
from tests.unit.conductor import base


class CacheTestCase(base.ConductorTestCase):

    def setUp(self):
        super().setUp()
        self.config(image_download_source='http', group='agent')
        self.master = self.directory / 'master'
        self.glance.register(self.qcow2)
        self.use(base.IMAGE_ID)

    def another_node(self, **values):
        """A node like the first, for the same image."""
        return objects_utils.create_test_node(self.context, **{
            'uuid': uuidutils.generate_uuid(), 'name': None,
            'driver': 'fake-hardware', 'deploy_interface': 'imagedeploy',
            'network_interface': 'noop',
            'properties': self.node.properties,
            'driver_internal_info': {'is_whole_disk_image': True},
            'instance_info': self.node.instance_info, **values})

    def provide(self, node=None):
        node = node or self.node
        with task_manager.acquire(self.context, node.uuid,
                                  shared=False) as task:
            return serving.provide(task).image

    def taken_over(self):
        """What another conductor, with a cache of its own, orders."""
        self.config(http_url=self._serve(self.http), group='deploy')
        self.config(instance_master_path=str(self.directory / 'other'),
                    group='pxe')
        with self.task(shared=False) as task:
            task.driver.deploy._update_instance_info(task)
        return self.refreshed().driver_internal_info['imagedeploy']

    def instance(self, node=None):
        """What the web server of the conductor gives to the node."""
        return self.http / 'agent_images' / (node or self.node).uuid

    def assert_provided(self, node=None, content=None):
        self.assertEqual(content or self.image,
                         self.instance(node).read_bytes())

    def masters(self):
        """The images in the cache."""
        return sorted(self.master.glob('*.stored'))

    def workshop(self):
        """What is left of work in progress."""
        return sorted((self.master / 'imagedeploy').glob('*.part'))

    def record(self):
        return json.loads(next(self.master.glob('*.json')).read_text())

    def inspections(self):
        """Count the inspections from now on."""
        patcher = mock.patch.object(engine, 'inspect', autospec=True,
                                    side_effect=engine.inspect)
        self.addCleanup(patcher.stop)
        return patcher.start()


def fork(action):
    """Do something in another process."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        action()
        status = 0
    finally:
        os._exit(status)
