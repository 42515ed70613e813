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

"""What the baremetal operator of Metal3 asks of Ironic, and in which order.

As its ``pkg/provisioner/ironic`` does it, for hosts whose owner disabled
inspection and cleaning.
"""

from collections.abc import Mapping
import dataclasses
from typing import Any
import uuid

import requests

from tests.support import commands

#: The newest version that the operator chooses, ``ChooseMicroversion``.
_VERSION = {'X-OpenStack-Ironic-API-Version': '1.110'}
_BOOT_MODES = {'UEFI': 'boot_mode:uefi', 'legacy': 'boot_mode:bios',
               'UEFISecureBoot': 'boot_mode:uefi,secure_boot:true'}
_STEP_PRIORITY = 80
#: Seconds
_SHORT = 120


class ValidationError(Exception):
    """Ironic does not validate the node; the operator goes no further."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Host:
    """A ``BareMetalHost``, before it gets an image.

    :ivar access: fields of the node that follow from the kind of its BMC.
    :ivar uid: of the resource, which becomes ``instance_uuid``.
    """

    name: str
    mac: str
    access: Mapping[str, Any]
    boot_mode: str = 'UEFI'
    architecture: str = ''
    uid: str = dataclasses.field(default_factory=lambda: str(uuid.uuid4()))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Spec:
    """What the owner of a host wants on it: parts of its ``spec``.

    :ivar image: with ``url``, ``checksum``, ``checksumType``, ``format``.
    :ivar method: of ``customDeploy``.
    :ivar user_data: text, from its secret.
    :ivar meta_data: beside that of the host, from its secret.
    """

    image: Mapping[str, str] = dataclasses.field(default_factory=dict)
    method: str | None = None
    user_data: str | None = None
    meta_data: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def live_iso(self) -> bool:
        """Whether the image is one that nothing is written of."""
        return self.image.get('format') == 'live-iso'

    def checksum(self) -> tuple[str, str] | None:
        """Value and type, each of which may be empty; None without one."""
        if self.live_iso or self.image['url'].startswith('oci://'):
            return '', ''
        if not self.image.get('checksum'):
            return None
        kind = self.image.get('checksumType', '')
        return self.image['checksum'], '' if kind == 'auto' else kind


class Operator:
    """The operator, as far as Ironic sees it."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._session = requests.Session()

    def register(self, host: Host) -> str:
        """Make a node of a host and manage it; its UUID."""
        node = self._ask('POST', 'nodes', {
            'name': f'metal3~{host.name}', 'inspect_interface': 'agent',
            'disable_power_off': False, 'properties': {
                'capabilities': _BOOT_MODES[host.boot_mode],
                'cpu_arch': host.architecture}, **host.access})
        identifier: str = node['uuid']
        self._ask('POST', 'ports', {
            'node_uuid': identifier, 'address': host.mac,
            'pxe_enabled': True})
        self._provision(identifier, 'manage')
        self.wait(identifier, 'manageable')
        self._update(identifier, '', {'automated_clean': False})
        self._provision(identifier, 'provide')
        self.wait(identifier, 'available')
        return identifier

    def begin(self, identifier: str, host: Host, spec: Spec) -> None:
        """Ask for a deployment, of an available node or one that failed.

        :raises ValidationError: with the reason.
        """
        self._set_up(identifier, host, spec)
        validation = self._ask('GET', f'nodes/{identifier}/validate')
        wrong = [str(validation[name]['reason']) for name in ('boot', 'deploy')
                 if not validation[name]['result']]
        if wrong:
            raise ValidationError('; '.join(wrong))
        more: dict[str, Any] = {}
        if not spec.live_iso:
            more['configdrive'] = _config_drive(host, spec)
        if spec.method:
            more['deploy_steps'] = [{
                'interface': 'deploy', 'step': spec.method, 'args': {},
                'priority': _STEP_PRIORITY}]
        self._provision(identifier, 'active', **more)

    def deprovision(self, identifier: str) -> None:
        """Take the image from a host."""
        self._provision(identifier, 'deleted')
        self.wait(identifier, 'available')

    def abort(self, identifier: str) -> None:
        """Give a deployment up that waits for the ramdisk.

        That is how a host is deleted by force.
        """
        self._provision(identifier, 'abort')

    def node(self, identifier: str) -> dict[str, Any]:
        """All that Ironic tells about a node."""
        value: dict[str, Any] = self._ask('GET', f'nodes/{identifier}')
        return value

    def wait(self, identifier: str, *states: str, timeout: float = _SHORT
             ) -> dict[str, Any]:
        """The node, once it has one of these provision states."""
        found: dict[str, Any] = {}

        def reached() -> bool:
            found.update(self.node(identifier))
            return (found['provision_state'] in states
                    and not found['reservation'])
        commands.wait_for(f'{" or ".join(states)} of {identifier}', reached,
                          timeout=timeout, interval=0.5)
        return found

    def _set_up(self, identifier: str, host: Host, spec: Spec) -> None:
        self._update(identifier, '', {'instance_uuid': host.uid})
        self._update(identifier, 'instance_info', {
            'capabilities': {'secure_boot': 'true'} if (
                host.boot_mode == 'UEFISecureBoot') else {},
            'root_device': {}, **_instance_info(spec)})
        interface = self.node(identifier)['deploy_interface']
        if spec.method:
            self._update(identifier, '', {'deploy_interface': 'custom-agent'})
            return
        self._update(identifier, 'driver_info', {
            'force_persistent_boot_device': 'Default'})
        if spec.live_iso:
            self._update(identifier, '', {'deploy_interface': 'ramdisk'})
        elif interface in ('ramdisk', 'custom-agent'):
            self._update(identifier, '', {'deploy_interface': None})

    def _update(self, identifier: str, section: str,
                values: Mapping[str, Any]) -> None:
        """Change what is different; what is None is removed."""
        node = self.node(identifier)
        present = node[section] if section else node
        patch = []
        for name, value in values.items():
            path = f'/{section}/{name}' if section else f'/{name}'
            if value is not None and present.get(name) != value:
                patch.append({'op': 'add', 'path': path, 'value': value})
            elif value is None and name in present:
                patch.append({'op': 'remove', 'path': path})
        if patch:
            self._ask('PATCH', f'nodes/{identifier}', patch)

    def _provision(self, identifier: str, target: str,
                   **fields: object) -> None:
        self._ask('PUT', f'nodes/{identifier}/states/provision',
                  {'target': target, **fields})

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        """One request; again while the node is locked, as the operator."""
        answers: list[requests.Response] = []

        def answered() -> bool:
            answers.append(self._session.request(
                method, f'{self._url}/v1/{path}', json=body, timeout=_SHORT,
                headers=_VERSION))
            return answers[-1].status_code not in (409, 503)
        commands.wait_for(f'{method} {path}', answered, timeout=_SHORT)
        if not answers[-1].ok:
            raise requests.HTTPError(f'{method} {path}: {answers[-1].text}')
        return answers[-1].json() if answers[-1].content else None


def _instance_info(spec: Spec) -> dict[str, Any]:
    image = spec.image
    if spec.live_iso:
        return {'boot_iso': image['url'], 'image_source': None,
                'image_os_hash_value': None, 'image_os_hash_algo': None,
                'image_checksum': None}
    found = spec.checksum() if image else None
    info: dict[str, Any] = {
        'boot_iso': None, 'image_checksum': None, 'image_os_hash_algo': None,
        'image_os_hash_value': None, 'image_pull_secret': None,
        'image_source': image.get('url'),
        'image_disk_format': image.get('format')}
    if found is None:
        return info
    value, kind = found
    if spec.method:
        # Both may be empty: only what is not there is removed.
        return {**info, 'image_os_hash_algo': kind,
                'image_os_hash_value': value}
    if kind:
        return {**info, 'image_os_hash_algo': kind,
                'image_os_hash_value': value}
    return {**info, 'image_checksum': value or None}


def _config_drive(host: Host, spec: Spec) -> dict[str, Any]:
    drive: dict[str, Any] = {'meta_data': {
        'uuid': host.uid, 'metal3-namespace': 'metal3',
        'metal3-name': host.name, 'local-hostname': host.name,
        'local_hostname': host.name, 'name': host.name, **spec.meta_data}}
    if spec.user_data:
        drive['user_data'] = spec.user_data
    return drive
