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

"""Two hosts of Metal3, whose image is not in Glance.

The agent side is added to a ramdisk that is there already. One host asks for
its deploy step, by customDeploy; the other one, whose deploy interface nobody
names, gets its image from a registry.
"""

import hashlib
import json
import pathlib
import shutil
from typing import Any

import requests

from tests.lab import job
from tests.lab import machine
from tests.lab import network
from tests.lab import ramdisk
from tests.lab import services as lab_services
from tests.support import commands
from tests.support import metal3
from tests.support import progress
from tests.support import registry
from tests.support import services

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
#: What the ironic.conf of Metal3 has, and imagedeploy.
_OPTIONS = """\
[DEFAULT]
autodetect_deploy_interfaces = ramdisk,bootc,imagedeploy,direct
default_deploy_interface = autodetect
enabled_deploy_interfaces = autodetect,direct,ramdisk,custom-agent,bootc,\
imagedeploy
enabled_inspect_interfaces = no-inspect,agent
"""


class ReachJob(job.Job):
    """One node is deployed by the step alone, one from a registry."""

    options = _OPTIONS

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
            ('both hosts are registered', self.register),
            ('both hosts are being provisioned', self.begin),
            ('host with customDeploy is active by the deploy step',
             self.step),
            ('host with an image in the registry is active', self.pull),
            ('both systems show their login prompts', self.boot),
        ]

    def build_ramdisk(self) -> None:
        """As an operator does it with a ramdisk of somebody else."""
        self._ramdisk = ramdisk.build_and_add(self._checkout, self._state)

    def start(self) -> None:
        super().start()
        shutil.copy(self._image_path, self.services.http_root / 'disk.qcow2')
        self._content = self._image_path.read_bytes()
        self._sha512 = hashlib.sha512(self._content).hexdigest()
        self._operator = metal3.Operator(lab_services.IRONIC_URL)

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

    def register(self) -> None:
        self._hosts = {each.name: metal3.Host(
            name=each.name, mac=each.mac, access={
                'driver': 'redfish', 'boot_interface': 'redfish-virtual-media',
                'driver_info': {
                    'redfish_address': lab_services.BMC_URL,
                    'redfish_system_id': f'/redfish/v1/Systems/{each.uuid}',
                    'redfish_username': 'lab', 'redfish_password': 'lab'}})
            for each in self.machines}
        self._nodes = {name: self._operator.register(host)
                       for name, host in self._hosts.items()}

    def begin(self) -> None:
        web = f'http://{network.ADDRESS}:{services.WEB_PORT}'
        named = {'hostname': job.HOSTNAME}
        (self.services.http_root / 'SHA512SUMS').write_text(
            f'{self._sha512}  disk.qcow2\n')
        for hardware, spec in (
                (self._stepping, metal3.Spec(
                    method='stream_image', meta_data=named, image={
                        'url': f'{web}/disk.qcow2', 'format': 'qcow2',
                        'checksum': f'{web}/SHA512SUMS'})),
                (self._pulling, metal3.Spec(meta_data=named, image={
                    'url': f'oci://{self._registry}/{_NAME}:12'}))):
            self._operator.begin(self._nodes[hardware.name],
                                 self._hosts[hardware.name], spec)

    def step(self) -> None:
        node = self._active(self._stepping, 'custom-agent')
        if 'imagedeploy' in node['driver_internal_info']:
            raise AssertionError('the conductor side took part')

    def pull(self) -> None:
        node = self._active(self._pulling, 'imagedeploy')
        report = node['driver_internal_info']['imagedeploy']['report']
        print(json.dumps(report, indent=4), flush=True)
        checksum = report['checksum']
        if (checksum['value'] != hashlib.sha256(self._content).hexdigest()
                or not checksum['verified']):
            raise AssertionError(f'verified: {checksum}')

    def boot(self) -> None:
        for hardware in self.machines:
            job.wait_for_login(hardware)

    def _active(self, hardware: machine.Machine, interface: str
                ) -> dict[str, Any]:
        node = self._operator.wait(
            self._nodes[hardware.name], 'active', 'deploy failed', 'error',
            timeout=job.DEPLOY_TIMEOUT)
        progress.say(f'    {node["provision_state"]}')
        if node['provision_state'] != 'active':
            raise commands.CommandFailed(
                f'{node["provision_state"]}: {node["last_error"]}')
        if node['deploy_interface'] != interface:
            raise AssertionError(f'by {node["deploy_interface"]}')
        return node
