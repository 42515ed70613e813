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

"""An image for nodes that go another way than Glance and our interface.

The agent side is added to a ramdisk that is there already. One node, of the
deploy interface custom-agent, asks for its deploy step; another one, of
imagedeploy, gets its image from a registry.
"""

import hashlib
import json
import pathlib
import shutil

import requests

from tests.lab import cloud
from tests.lab import job
from tests.lab import machine
from tests.lab import network
from tests.lab import ramdisk
from tests.support import commands
from tests.support import progress
from tests.support import registry
from tests.support import services

_STEP = {'interface': 'deploy', 'step': 'stream_image', 'priority': 80,
         'args': {'policy': {'read_back': 'sample'}}}
_REGISTRY_PORT = 5000
_NAME = 'disks/debian'
_CONFIG = """\
version: 0.1
log: {{level: warn}}
storage:
  filesystem: {{rootdirectory: {storage}}}
http:
  addr: {address}:{port}
"""


class ReachJob(job.Job):
    """One node is deployed by the step alone, one from a registry."""

    def __init__(self, checkout: pathlib.Path, state: pathlib.Path,
                 force_raw_images: bool) -> None:
        super().__init__(checkout, state, ['custom-agent', 'imagedeploy'],
                         force_raw_images)
        self._stepping = self._new_machine()
        self._pulling = self._new_machine()

    @property
    def checks(self) -> list[job.Check]:
        """All of them, in order."""
        return [
            *super().checks,
            ('registry has the image', self.push),
            ('custom-agent node is active by the deploy step', self.step),
            ('its system shows its login prompt', self.boot_stepping),
            ('imagedeploy node is active from the registry', self.pull),
            ('its system shows its login prompt', self.boot_pulling),
        ]

    def build_ramdisk(self) -> None:
        """As an operator does it with a ramdisk of somebody else."""
        self._ramdisk = ramdisk.build_and_add(self._checkout, self._state)

    def start(self) -> None:
        super().start()
        shutil.copy(self._image_path, self.services.http_root / 'disk.qcow2')
        self._content = self._image_path.read_bytes()
        self._sha512 = hashlib.sha512(self._content).hexdigest()
        self._cloud = cloud.Cloud()

    def push(self) -> None:
        self._registry = f'{network.ADDRESS}:{_REGISTRY_PORT}'
        url = f'http://{self._registry}/v2/'
        home = self._state / 'registry'
        home.mkdir()
        config = home / 'config.yml'
        config.write_text(_CONFIG.format(
            storage=home / 'storage', address=network.ADDRESS,
            port=_REGISTRY_PORT))
        service = self.services.run('registry', [
            'docker-registry', 'serve', str(config)])
        service.wait_until(lambda: services.answers(url), 30)
        for blob in (self._content, b'{}'):
            where = requests.post(f'{url}{_NAME}/blobs/uploads/',
                                  timeout=60).headers['Location']
            requests.put(where, data=blob, timeout=300, params={
                'digest': registry.digest_of(blob)}).raise_for_status()
        requests.put(
            f'{url}{_NAME}/manifests/12', timeout=60,
            headers={'Content-Type': registry.MANIFEST}, data=json.dumps({
                'schemaVersion': 2, 'mediaType': registry.MANIFEST,
                'artifactType': 'application/vnd.unknown.artifact.v1',
                'config': registry.EMPTY,
                'annotations': {'disktype': 'qcow2'}, 'layers': [{
                    'mediaType': 'application/octet-stream',
                    'digest': registry.digest_of(self._content),
                    'size': len(self._content)}]})).raise_for_status()

    def step(self) -> None:
        node = self._deploy(self._stepping, 'custom-agent', {
            'image_source':
                f'http://{network.ADDRESS}:{services.WEB_PORT}/disk.qcow2',
            'image_os_hash_algo': 'sha512',
            'image_os_hash_value': self._sha512,
            'image_disk_format': 'qcow2'}, steps=[_STEP])
        if 'imagedeploy' in node.driver_internal_info:
            raise AssertionError('the conductor side took part')

    def pull(self) -> None:
        node = self._deploy(self._pulling, 'imagedeploy', {
            'image_source': f'oci://{self._registry}/{_NAME}:12'})
        report = node.driver_internal_info['imagedeploy']['report']
        print(json.dumps(report, indent=4), flush=True)
        checksum = report['checksum']
        if (checksum['value'] != hashlib.sha256(self._content).hexdigest()
                or not checksum['verified']):
            raise AssertionError(f'verified: {checksum}')

    def boot_stepping(self) -> None:
        job.wait_for_login(self._stepping)

    def boot_pulling(self) -> None:
        job.wait_for_login(self._pulling)

    def _deploy(self, hardware: machine.Machine, deploy_interface: str,
                info: dict[str, str], **order: object) -> cloud._node.Node:
        node = self._cloud.enrol(hardware, deploy_interface)
        node = self._cloud.deploy(node, None, job.HOSTNAME,
                                  job.DEPLOY_TIMEOUT, **order, **info)
        progress.say(f'    {node.provision_state}')
        if node.provision_state != 'active':
            raise commands.CommandFailed(
                f'{node.provision_state}: {node.last_error}')
        return node
