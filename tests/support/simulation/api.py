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

"""What operators and users ask of Ironic and Glance."""

from collections.abc import Collection
import pathlib
import threading
import time
from typing import Any

import requests

from tests.support import commands
from tests.support.simulation import agent


class Api:
    """The public APIs of both, without authentication."""

    def __init__(self, ironic: str, glance: str) -> None:
        self._ironic = ironic
        self._glance = glance
        self._local = threading.local()

    def upload(self, name: str, path: pathlib.Path,
               disk_format: str, **properties: str) -> dict[str, Any]:
        """Put a file into Glance; its record."""
        images = f'{self._glance}/v2/images'
        created = requests.post(images, timeout=60, json={
            'name': name, 'disk_format': disk_format,
            'container_format': 'bare', 'visibility': 'public',
            **properties})
        created.raise_for_status()
        record = f'{images}/{created.json()["id"]}'
        with path.open('rb') as file:
            requests.put(f'{record}/file', data=file, timeout=300, headers={
                'Content-Type': 'application/octet-stream',
            }).raise_for_status()
        answer = requests.get(record, timeout=60)
        answer.raise_for_status()
        value: dict[str, Any] = answer.json()
        return value

    def ironic(self, method: str, path: str,
               body: object = None) -> Any:
        """One request; again while Ironic is busy.

        :raises HTTPError: with what it says.
        :raises RequestException: when it says nothing.
        """
        end = time.monotonic() + 120
        while True:
            last = time.monotonic() > end
            try:
                answer = self._session.request(
                    method, f'{self._ironic}/v1/{path}', json=body,
                    timeout=120, headers=agent.API_VERSION)
                if answer.status_code not in (409, 503) or last:
                    break
            except (requests.ConnectionError, requests.Timeout):
                # What changes something may have been done.
                if method != 'GET' or last:
                    raise
            time.sleep(0.5)
        if not answer.ok:
            raise requests.HTTPError(f'{method} {path}: {answer.text}')
        return answer.json() if answer.content else None

    def create(self, **fields: object) -> str:
        """A new node with a port; its UUID."""
        node = self.ironic('POST', 'nodes', {
            'driver': 'manual-management', 'power_interface': 'fake',
            'driver_info': {'deploy_forces_oob_reboot': True},
            'properties': {'capabilities': 'boot_mode:bios',
                           'cpu_arch': 'x86_64'}, **fields})
        identifier: str = node['uuid']
        self.ironic('POST', 'ports', {
            'node_uuid': identifier,
            'address': '52:54:' + ':'.join(
                identifier[at:at + 2] for at in range(0, 8, 2))})
        return identifier

    def enrol(self, **fields: object) -> str:
        """A node that is ``available``; its UUID."""
        identifier = self.create(**fields)
        self.make_available(identifier)
        return identifier

    def make_available(self, identifier: str) -> None:
        """Bring a new node there."""
        for target, reached in (('manage', 'manageable'),
                                ('provide', 'available')):
            self.provision(identifier, target)
            self.wait(identifier, (reached,), timeout=60)

    def set(self, identifier: str, **fields: object) -> None:
        """Replace fields of a node."""
        self.ironic('PATCH', f'nodes/{identifier}', [
            {'op': 'add', 'path': f'/{name}', 'value': value}
            for name, value in fields.items()])

    def node(self, identifier: str) -> dict[str, Any]:
        """All that Ironic tells about a node."""
        value: dict[str, Any] = self.ironic('GET', f'nodes/{identifier}')
        return value

    def nodes(self, fields: str) -> list[dict[str, Any]]:
        """Those fields of all nodes, 1000 at most."""
        value: list[dict[str, Any]] = self.ironic(
            'GET', f'nodes?limit=1000&fields={fields}')['nodes']
        return value

    def provision(self, identifier: str, target: str,
                  **fields: object) -> None:
        """Ask for a provision state."""
        self.ironic('PUT', f'nodes/{identifier}/states/provision',
                    {'target': target, **fields})

    def power(self, identifier: str, target: str) -> None:
        """Switch a node's power, and see it done."""
        self.ironic('PUT', f'nodes/{identifier}/states/power',
                    {'target': target})
        commands.wait_for(
            f'{target} of {identifier}',
            lambda: self.node(identifier)['power_state'] == target,
            timeout=30, interval=0.2)

    def wait(self, identifier: str, states: Collection[str],
             timeout: float = 60) -> dict[str, Any]:
        """The node, once it has one of these provision states.

        :raises TimedOut: naming where it is instead.
        """
        end = time.monotonic() + timeout
        while True:
            node = self.node(identifier)
            if node['provision_state'] in states and not node['reservation']:
                return node
            if time.monotonic() > end:
                raise commands.TimedOut(
                    f'{identifier} is not {" or ".join(states)} but '
                    f'{node["provision_state"]}, step {node["deploy_step"]}, '
                    f'last error {node["last_error"]}')
            time.sleep(0.2)

    @property
    def _session(self) -> requests.Session:
        if not hasattr(self._local, 'session'):
            self._local.session = requests.Session()
        session: requests.Session = self._local.session
        return session
