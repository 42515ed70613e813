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

"""What a user of the cloud does, through the public APIs."""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import pathlib
from typing import Any
from typing import cast

import openstack
from openstack.baremetal.v1 import node as _node
from openstack.image.v2 import _proxy
from openstack.image.v2 import image as _image

from tests.lab import machine
from tests.lab import services
from tests.support import commands
from tests.support import progress

#: Of the bridge, as a switch would name itself
SWITCH = '52:54:00:42:ff:01'


class Cloud:
    """Ironic and Glance as openstacksdk sees them."""

    def __init__(self) -> None:
        self._connection = openstack.connect(
            load_yaml_config=False, load_envvars=False, auth_type='none',
            baremetal_endpoint_override=services.IRONIC_URL,
            image_endpoint_override=services.GLANCE_URL)

    def upload(self, name: str, path: pathlib.Path, disk_format: str, *,
               container_format: str = 'bare', **properties: str
               ) -> _image.Image:
        """Put a file into Glance, declared as of this format."""
        image = cast(_proxy.Proxy, self._connection.image)
        created = image.create_image(
            name, filename=str(path), disk_format=disk_format,
            container_format=container_format, visibility='public',
            wait=True, timeout=120, **properties)
        return image.get_image(created.id)

    def find(self, name: str) -> _image.Image:
        """The image of that name in Glance."""
        return cast(_proxy.Proxy, self._connection.image).find_image(
            name, ignore_missing=False)

    def enrol(self, hardware: machine.Machine,
              deploy_interface: str, driver: str = 'redfish', *,
              driver_info: Mapping[str, object] | None = None,
              **interfaces: str) -> _node.Node:
        """Make a node of a machine and bring it to ``available``.

        :param driver_info: more of it
        :param interfaces: others of the node, raid_interface and the like
        """
        baremetal = self._connection.baremetal
        node = baremetal.create_node(
            name=hardware.name, driver=driver,
            deploy_interface=deploy_interface, **interfaces,
            driver_info={
                'redfish_address': services.BMC_URL,
                'redfish_system_id':
                    f'/redfish/v1/Systems/{hardware.uuid}',
                'redfish_username': 'lab', 'redfish_password': 'lab',
                **(driver_info or {})},
            properties={'capabilities': f'boot_mode:{hardware.boot_mode}',
                        'cpu_arch': 'x86_64'})
        baremetal.create_port(
            node_id=node.id, address=hardware.mac, local_link_connection={
                'switch_id': SWITCH, 'port_id': hardware.tap})
        for verb in ('manage', 'provide'):
            baremetal.set_node_provision_state(node, verb, wait=True,
                                               timeout=120)
        return baremetal.get_node(node.id)

    def get(self, node: _node.Node) -> _node.Node:
        """The node as it is now."""
        return self._connection.baremetal.get_node(node.id)

    def prepare(self, node: _node.Node, **instance_info: int | str) -> None:
        """Say what shall be deployed, and deploy nothing."""
        self._connection.baremetal.update_node(
            node, instance_info=instance_info)

    def use(self, node: _node.Node, deploy_interface: str) -> None:
        """Give an available node another deploy interface."""
        self._connection.baremetal.update_node(
            node, deploy_interface=deploy_interface)

    def undeploy(self, node: _node.Node) -> None:
        """Bring a deployed node back to ``available``, its power off."""
        self._connection.baremetal.set_node_provision_state(
            node, 'deleted', wait=True, timeout=120)

    def switch_on(self, node: _node.Node) -> None:
        """Let a deployed node boot from its disk."""
        self._connection.baremetal.set_node_power_state(
            node, 'power on', wait=True, timeout=120)

    def switch_off(self, node: _node.Node) -> None:
        """Cut the power of a node."""
        self._connection.baremetal.set_node_power_state(
            node, 'power off', wait=True, timeout=120)

    def deploy(self, node: _node.Node, image: _image.Image | None,
               hostname: str, timeout: float, *, rebuild: bool = False,
               steps: Sequence[dict[str, object]] = (),
               **instance_info: int | str) -> _node.Node:
        """Deploy an image and return the node as it ended.

        :param image: None when instance_info names it
        :param hostname: goes into the config drive
        :param timeout: seconds until it has to be ``active`` or failed
        :param rebuild: the node is ``active`` already
        :param steps: deploy steps beside those that every deployment has
        :param instance_info: more of it
        """
        baremetal = self._connection.baremetal
        if image:
            instance_info['image_source'] = image.id
        baremetal.update_node(node, instance_info=instance_info)
        baremetal.set_node_provision_state(
            node, 'rebuild' if rebuild else 'active', config_drive={
                'meta_data': {'uuid': node.id, 'hostname': hostname}},
            deploy_steps=list(steps) or None)
        watch = _Watch(lambda: baremetal.get_node(node.id))
        commands.wait_for(f'end of the deployment of {node.name}',
                          watch.ended, timeout=timeout, interval=2)
        return watch.node


class _Watch:
    """A node that is being deployed, with a line for each change."""

    def __init__(self, read: Callable[[], _node.Node]) -> None:
        self._read = read
        self._said = ''
        self._failed = 0
        self.node = read()

    def ended(self) -> bool:
        """Whether the deployment is over, well or badly."""
        self.node = self._read()
        text = self._describe()
        if text != self._said:
            progress.say(f'    {self.node.name}: {text}')
            self._said = text
        if self.node.provision_state == 'deploy failed':
            # Ironic tells the reason a moment later, or not at all.
            self._failed += 1
            return bool(self.node.last_error) or self._failed > 30
        return self.node.provision_state in ('active', 'error', 'available')

    def _describe(self) -> str:
        node = self.node
        words = [node.provision_state, node.power_state or 'power unknown']
        step: dict[str, Any] = node.deploy_step or {}
        if step:
            words.append(f'step {step.get("step")}')
        ours = node.driver_internal_info.get('imagedeploy') or {}
        if ours.get('progress'):
            words.append(str(ours['progress']))
        return ', '.join(words)
