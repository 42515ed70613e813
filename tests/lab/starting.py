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

"""An image whose kernel has no driver for the disk of a machine.

It is refused before the disk is touched. Where its owner wants it all the
same, it is deployed, and does not start.
"""

import hashlib
import pathlib

from tests.lab import cloud
from tests.lab import job
from tests.support import commands
from tests.support import progress

_MIB = 1 << 20
#: Of initramfs-tools, when no driver gives it the root.
_NO_ROOT = b'does not exist'
#: Seconds
_BOOT_TIMEOUT = 600


class StartJob(job.Job):
    """A machine with a SATA controller, and Debian's kernel for clouds."""

    def __init__(self, checkout: pathlib.Path, state: pathlib.Path,
                 force_raw_images: bool) -> None:
        super().__init__(checkout, state, ['imagedeploy'], force_raw_images)
        self.machine = self._new_machine(disk_bus='sata')

    @property
    def checks(self) -> list[job.Check]:
        """All of them, in order."""
        return [
            *super().checks,
            ('image uploaded to Glance', self.upload),
            ('node enrolled and available', self.enrol),
            ('image without a driver for the disk is refused', self.refuse),
            ('disk of the node is untouched', self.untouched),
            ('it is deployed where its owner wants no findings',
             self.deploy),
            ('deployed system does not find its root', self.boot),
        ]

    def start(self) -> None:
        super().start()
        self._marker = hashlib.shake_256(b'untouched').digest(_MIB)
        with self.machine.disk.open('r+b') as disk:
            disk.write(self._marker)

    def upload(self) -> None:
        self._cloud = cloud.Cloud()
        self._image = self._cloud.upload('debian', self._image_path, 'qcow2')
        self._silent = self._cloud.upload(
            'debian-silent', self._image_path, 'qcow2',
            imagedeploy_start_findings='off')

    def enrol(self) -> None:
        self._node = self._cloud.enrol(self.machine, 'imagedeploy')

    def refuse(self) -> None:
        node = self._cloud.deploy(self._node, self._image, job.HOSTNAME,
                                  job.DEPLOY_TIMEOUT)
        progress.say(f'    last_error: {node.last_error}')
        if node.provision_state != 'deploy failed':
            raise AssertionError(f'the node is {node.provision_state}')
        missing = [word for word in ('driver-missing', 'bc01sc06', 'sda')
                   if word not in node.last_error]
        if missing:
            raise AssertionError(f'last_error does not say {missing}')

    def untouched(self) -> None:
        with self.machine.disk.open('rb') as disk:
            if disk.read(_MIB) != self._marker:
                raise AssertionError('the first MiB was overwritten')

    def deploy(self) -> None:
        self._console = self.machine.console.stat().st_size
        node = self._cloud.deploy(self._node, self._silent, job.HOSTNAME,
                                  job.DEPLOY_TIMEOUT)
        if node.provision_state != 'active':
            raise AssertionError(f'{node.provision_state}: {node.last_error}')

    def boot(self) -> None:
        def has_given_up() -> bool:
            told = self.machine.console.read_bytes()[self._console:]
            if f'{job.HOSTNAME} login:'.encode() in told:
                raise AssertionError('the system started all the same')
            return _NO_ROOT in told

        commands.wait_for('an initramfs without a root', has_given_up,
                          timeout=_BOOT_TIMEOUT)
