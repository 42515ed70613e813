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

"""The main job: an image from Glance onto the disk of a node that boots it.

Then the same image under a wrong format: refused, and the disk untouched.
"""

import hashlib
import json
import pathlib
import time

from tests.lab import checks
from tests.lab import cloud
from tests.lab import job
from tests.lab import network
from tests.support import progress

_MIB = 1 << 20
_LOOKED_AT = 8 * _MIB

#: Seconds
_REFUSE_TIMEOUT = 600


class MainJob(job.Job):
    """One node is deployed and boots, another refuses."""

    def __init__(self, checkout: pathlib.Path, state: pathlib.Path,
                 deploy_interface: str, force_raw_images: bool) -> None:
        super().__init__(checkout, state, [deploy_interface],
                         force_raw_images)
        self._deploy_interface = deploy_interface
        self.deployed = self._new_machine()
        self.refusing = self._new_machine()

    @property
    def checks(self) -> list[job.Check]:
        """All of them, in order."""
        return [
            *super().checks,
            ('image uploaded to Glance', self.upload),
            ('nodes enrolled and available', self.enrol),
            ('node is active', self.deploy),
            ('deployed system shows its login prompt', self.boot),
            ('report of the deployment', self.report),
            ('image of a wrong disk_format is refused', self.refuse),
            ('disk of the refusing node is untouched', self.untouched),
        ]

    def start(self) -> None:
        super().start()
        self._marker = hashlib.shake_256(b'untouched').digest(_MIB)
        with self.refusing.disk.open('r+b') as disk:
            disk.write(self._marker)

    def upload(self) -> None:
        self._cloud = cloud.Cloud()
        self._image = self._cloud.upload('debian', self._image_path, 'qcow2')
        progress.say(f'    {self._image.size} bytes, '
                     f'{self._image.hash_algo} {self._image.hash_value}')

    def enrol(self) -> None:
        self._node = self._cloud.enrol(self.deployed, self._deploy_interface)
        self._refusing_node = self._cloud.enrol(self.refusing,
                                                self._deploy_interface)

    def deploy(self) -> None:
        started = time.monotonic()
        self._node = self._cloud.deploy(self._node, self._image, job.HOSTNAME,
                                        job.DEPLOY_TIMEOUT)
        self._seconds = time.monotonic() - started
        if self._node.provision_state != 'active':
            raise AssertionError(f'{self._node.provision_state}: '
                                 f'{self._node.last_error}')

    def boot(self) -> None:
        job.wait_for_login(self.deployed)

    def report(self) -> None:
        if self._deploy_interface != 'imagedeploy':
            raise checks.Skip(f'{self._deploy_interface} makes none')
        ours = self._node.driver_internal_info['imagedeploy']
        report = ours['report']
        print(json.dumps(report, indent=4), flush=True)
        checksum = report['checksum']
        progress.say(
            f'    {_mb(report["bytes_read"])} read, '
            f'{_mb(report["bytes_written"])} written and '
            f'{_mb(report["bytes_zeroed"])} zeroed in '
            f'{report["seconds"]:.1f} s of {self._seconds:.0f} s; '
            f'{checksum["algorithm"]} verified by {report["verified_by"]}; '
            f'bottleneck: {report["bottleneck"]}')
        expected = {
            'from the conductor': (
                [f'//{network.ADDRESS}:' in each['name']
                 and not each['bad_chunks'] for each in report['sources']],
                [True]),
            'verified_by': (report['verified_by'], 'chunks'),
            'algorithm': (checksum['algorithm'], self._image.hash_algo),
            'value': (checksum['value'], self._image.hash_value),
            'verified': (checksum['verified'], True),
            'format': (report['format'], 'qcow2')}
        wrong = {name: pair for name, pair in expected.items()
                 if pair[0] != pair[1]}
        if wrong:
            raise AssertionError(f'report (found, expected): {wrong}')
        # What an inspection looked at may be needed once more.
        if not 0 < report['bytes_read'] <= self._image.size + _LOOKED_AT:
            raise AssertionError(f'{report["bytes_read"]} bytes were read of '
                                 f'{self._image.size}')

    def refuse(self) -> None:
        wrong = self._cloud.upload('debian-declared-raw', self._image_path,
                                   'raw')
        node = self._cloud.deploy(self._refusing_node, wrong, job.HOSTNAME,
                                  _REFUSE_TIMEOUT)
        if node.provision_state != 'deploy failed':
            raise AssertionError(f'the node is {node.provision_state}')
        progress.say(f'    last_error: {node.last_error}')
        reason = ['not valid']
        if self._deploy_interface == 'imagedeploy':
            reason = ['format-mismatch', 'raw', 'qcow2']
        missing = [word for word in reason if word not in node.last_error]
        if missing:
            raise AssertionError(f'last_error does not say {missing}')

    def untouched(self) -> None:
        with self.refusing.disk.open('rb') as disk:
            if disk.read(_MIB) != self._marker:
                raise AssertionError('the first MiB was overwritten')


def _mb(count: int) -> str:
    return f'{count / 1e6:.1f} MB'
