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

import hashlib
import pathlib
import subprocess
from unittest import mock

from ironic.drivers.modules import fake

from tests.support import images
from tests.unit.conductor import base


class PartitionImageTestCase(base.ConductorTestCase):

    def provide(self, *files: str) -> None:
        """Have the node use a partition image with these files in it."""
        tree = self.directory / 'tree'
        for file in files:
            path = tree / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text('content')
        raw = pathlib.Path(self.directory / 'root')
        subprocess.run(['mke2fs', '-q', '-t', 'ext4', '-d', tree, raw, '8m'],
                       capture_output=True, check=True)
        image = images.convert(raw, self.web / 'root.qcow2')
        self.use(self.server.url('root.qcow2'), image_type='partition',
                 image_os_hash_value=hashlib.sha256(
                     image.read_bytes()).hexdigest(), root_gb=10,
                 swap_mb=512, ephemeral_gb=2)
        self.node.driver_internal_info = {'is_whole_disk_image': False}
        self.node.save()


class DeploymentTestCase(PartitionImageTestCase):

    def setUp(self):
        super().setUp()
        self._start_service()
        self.addCleanup(self._stop_service)
        self.config(image_download_source='http', group='agent')
        for name in ('set_power_state', 'reboot'):
            patcher = mock.patch.object(fake.FakePower, name, autospec=True)
            setattr(self, name, patcher.start())
            self.addCleanup(patcher.stop)

    def deploy(self):
        self.service.do_node_deploy(self.context, self.node.uuid)
        return self.refreshed()
