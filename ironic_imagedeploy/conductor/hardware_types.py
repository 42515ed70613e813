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

"""Hardware types that name the interface themselves."""

from ironic.conf import CONF
from ironic.drivers import base
from ironic.drivers import ipmi
from ironic.drivers.modules.redfish import boot
from ironic.drivers import redfish

from ironic_imagedeploy.conductor import deploy
from ironic_imagedeploy.conf import opts


class ImageDeployRedfish(redfish.RedfishHardware):
    """Hardware type imagedeploy-redfish: redfish, deployed by imagedeploy."""

    def __init__(self) -> None:
        super().__init__()
        # ironic.drivers.utils.get_verify_ca fails without such a group.
        opts.register_redfish_opts(CONF)

    @property
    def supported_deploy_interfaces(self) -> list[type]:
        """List of supported deploy interfaces."""
        return _before(super().supported_deploy_interfaces)

    @property
    def supported_boot_interfaces(self) -> list[type]:
        """List of supported boot interfaces."""
        supported = super().supported_boot_interfaces
        if hasattr(base.BootInterface, 'image_publisher_settings'):
            return supported
        # Ironic 38 publishes images for a BMC only under the names of its own
        # hardware types: refuse the node, not its deployment.
        return [each for each in supported if not issubclass(
            each, (boot.RedfishVirtualMediaBoot, boot.RedfishHttpsBoot))]


class ImageDeployIPMI(ipmi.IPMIHardware):
    """Hardware type imagedeploy-ipmi: ipmi, deployed by imagedeploy."""

    @property
    def supported_deploy_interfaces(self) -> list[type]:
        """List of supported deploy interfaces."""
        return _before(super().supported_deploy_interfaces)


def _before(stock: list[type]) -> list[type]:
    """Deploy interfaces with ImageDeploy before the others.

    The first that is enabled is the default of the nodes, and who chooses
    this hardware type for a node means this interface.
    """
    return [deploy.ImageDeploy,
            *(each for each in stock if each is not deploy.ImageDeploy)]
