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

"""A partition image onto machines with UEFI and with BIOS, which boot it."""

from collections.abc import Sequence
import functools
import json
import pathlib

from openstack.baremetal.v1 import node as _node

from tests.lab import cloud
from tests.lab import image
from tests.lab import job
from tests.lab import machine

_LAYOUT = {'root_gb': 2, 'swap_mb': 128, 'ephemeral_gb': 1}


class PartitionJob(job.Job):
    """Each machine is deployed, with all partitions, and boots."""

    make_image = staticmethod(image.partition)

    def __init__(self, checkout: pathlib.Path, state: pathlib.Path,
                 firmware: Sequence[str], force_raw_images: bool) -> None:
        super().__init__(checkout, state, ['imagedeploy'], force_raw_images)
        self._firmware = [self._new_machine(boot_mode=each)
                          for each in firmware]

    @property
    def checks(self) -> list[job.Check]:
        """All of them, in order."""
        return [
            *super().checks,
            ('partition image in Glance', self.upload),
            *((f'{each.boot_mode} machine boots the partition image',
               functools.partial(self.deploy, each))
              for each in self._firmware)]

    def upload(self) -> None:
        self._cloud = cloud.Cloud()
        self._image = self._cloud.upload(
            'debian-root', self._image_path, 'qcow2', img_type='partition')

    def deploy(self, hardware: machine.Machine) -> None:
        node = self._cloud.enrol(hardware, 'imagedeploy')
        node = self._cloud.deploy(node, self._image, job.HOSTNAME,
                                  job.DEPLOY_TIMEOUT, **_LAYOUT)
        if node.provision_state != 'active':
            raise AssertionError(f'{node.provision_state}: {node.last_error}')
        self._show(node)
        job.wait_for_login(hardware)
        self._cloud.undeploy(node)

    def _show(self, node: _node.Node) -> None:
        report = node.driver_internal_info['imagedeploy']['report']
        print(json.dumps(report['bootloader'], indent=4), flush=True)
