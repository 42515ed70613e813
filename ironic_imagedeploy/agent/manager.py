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

"""The hardware manager that writes images in the deploy ramdisk."""

from collections.abc import Iterator
import contextlib
import typing

from ironic_python_agent import config  # noqa: F401 (before hardware)
from ironic_python_agent import errors
from ironic_python_agent import hardware

from ironic_imagedeploy.agent import deploy_step
from ironic_imagedeploy.agent import handover
from ironic_imagedeploy.agent import image_source
from ironic_imagedeploy.agent import order as orders
from ironic_imagedeploy.agent import partition_image
from ironic_imagedeploy.agent import progress
from ironic_imagedeploy.agent import whole_disk
from ironic_imagedeploy.contract import names
from ironic_imagedeploy import engine

_OLDER_TLS = (
    'Update the server; or let ironic-python-agent accept TLS 1.2 by its '
    'option tls_min_version = 1.2, or by ipa-tls-min-version=1.2 among the '
    'kernel_append_params of the node.')


class ImageDeployHardwareManager(hardware.HardwareManager):
    """Takes over the deploy step write_image, and offers stream_image."""

    HARDWARE_MANAGER_NAME = names.HARDWARE_MANAGER
    HARDWARE_MANAGER_VERSION = names.HARDWARE_MANAGER_VERSION

    def evaluate_hardware_support(self) -> int:
        """Come before the generic manager on every machine."""
        return hardware.HardwareSupport.SERVICE_PROVIDER

    def get_deploy_steps(self, node: dict[str, typing.Any],
                         ports: list[dict[str, typing.Any]]
                         ) -> list[dict[str, typing.Any]]:
        """Steps for those who ask for them; none runs by itself."""
        return [deploy_step.STEP]

    def write_image(self, node: dict[str, typing.Any],
                    ports: list[dict[str, typing.Any]],
                    image_info: dict[str, typing.Any],
                    configdrive: str | None = None) -> dict[str, typing.Any]:
        """Deploy step: check the image, stream it, prove it, make it boot.

        :param node: the node as Ironic describes it.
        :param ports: its ports; not used.
        :param image_info: the image as Ironic describes it.
        :param configdrive: the config drive, or its URL.
        :returns: what the agent's own writer returns, and under
            ``imagedeploy`` the report of the transfer.
        :raises IncompatibleHardwareMethodError: when another deploy
            interface is in charge: the agent's own writer is next.
        :raises DeploymentError: when it failed; nothing boots then.
        """
        if not names.is_ours(node.get('deploy_interface'),
                             node.get('instance_info')):
            raise errors.IncompatibleHardwareMethodError(
                'the node does not use the deploy interface imagedeploy')
        with _agent_errors():
            order = orders.WriteOrder.read(node, image_info, configdrive)
            return _carry_out(order)

    def stream_image(self, node: dict[str, typing.Any],
                     ports: list[dict[str, typing.Any]],
                     **arguments: typing.Any) -> dict[str, typing.Any]:
        """Deploy step: the same for a node of any deploy interface.

        :param node: the node as Ironic describes it.
        :param ports: its ports; not used.
        :param arguments: those of :data:`deploy_step.ARGSINFO`.
        :returns: as :meth:`write_image`.
        :raises DeploymentError: when it failed; nothing boots then.
        """
        with _agent_errors():
            order = deploy_step.Arguments.read(node, arguments).order(node)
            result = _carry_out(order)
            if order.partitions is None:
                handover.add_boot_entry(order)
            return result


def _carry_out(order: orders.WriteOrder) -> dict[str, typing.Any]:
    device = hardware.dispatch_to_managers('get_os_install_device',
                                           permit_refresh=True)
    handover.forget_image()
    publisher = progress.Publisher(device)
    publisher.show('inspect', 'network')
    write = partition_image.write if order.partitions else whole_disk.write
    with image_source.open_ordered(order) as source:
        order.state_checksum(source)
        result = write(order, source, device, publisher)
    result[names.KEY]['phases'] = publisher.phases()
    return result


@contextlib.contextmanager
def _agent_errors() -> Iterator[None]:
    """The engine's errors as the agent's, with the same sentence."""
    try:
        yield
    except engine.exceptions.TlsTooOld as error:
        raise errors.DeploymentError(str(type(error)(
            error.subject, expected=error.expected, found=error.found,
            fix=_OLDER_TLS))) from None
    except MemoryError:
        raise errors.DeploymentError(
            str(engine.exceptions.OutOfMemory.here())) from None
    except engine.exceptions.ImageDeployError as error:
        # Not 'from error': what is below may name a URL with its secrets.
        raise errors.DeploymentError(str(error)) from None
