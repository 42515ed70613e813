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

"""What Ironic ordered for a node, in the words of the engine."""

import dataclasses
import typing

from oslo_config import cfg

from ironic_python_agent import config  # noqa: F401 (before utils)
from ironic_python_agent import errors
from ironic_python_agent import hardware
from ironic_python_agent import utils

from ironic_imagedeploy.agent.boot import separate_kernel
from ironic_imagedeploy.conf import policy
from ironic_imagedeploy import engine

CONF = cfg.CONF
DEPLOY_INTERFACE = 'imagedeploy'


def is_for_us(node: dict[str, typing.Any]) -> bool:
    """Whether the node is being deployed by the imagedeploy interface."""
    interface = (node.get('instance_info') or {}).get(
        'deploy_interface', node.get('deploy_interface'))
    return interface == DEPLOY_INTERFACE


@dataclasses.dataclass(frozen=True, kw_only=True)
class Order:
    """An image and how to write it.

    :ivar policy: what the operator allows and asks for.
    :ivar image_type: whole-disk or partition.
    :ivar disk_format: the format that the image must have.
    :ivar checksum: what its stored bytes must hash to.
    :ivar boot_mode: bios or uefi, how the node will boot.
    :ivar arch: the processor's architecture.
    :ivar beside: a kernel and an initramfs, for an image that may have none.
    """

    policy: policy.Policy
    image_type: str
    disk_format: str | None
    checksum: engine.Checksum | None
    boot_mode: str
    arch: str
    beside: separate_kernel.BootFiles | None = None

    @classmethod
    def read(cls, node: dict[str, typing.Any],
             image_info: dict[str, typing.Any]) -> 'Order':
        """The order in a call of the deploy step write_image.

        :raises DeploymentError: when it is not one that we can carry out.
        """
        sent = (node.get('driver_internal_info') or {}).get(
            DEPLOY_INTERFACE) or {}
        options = policy.Policy.from_conf(CONF).updated(sent)
        arch = hardware.dispatch_to_managers('get_cpus').architecture
        return cls(
            policy=options,
            image_type=image_info.get('image_type') or 'whole-disk',
            disk_format=(image_info.get('disk_format')
                         or sent.get('disk_format')),
            checksum=_checksum(image_info, sent),
            boot_mode=utils.get_node_boot_mode(node),
            arch=arch,
            beside=separate_kernel.BootFiles.read(
                sent['boot_files'], arch,
                options.insecure_checksums_permitted)
            if sent.get('boot_files') else None)

    @property
    def is_partition(self) -> bool:
        """The image is the content of one partition."""
        return self.image_type == 'partition'

    def expectation(self, target: engine.Target, size: int | None = None
                    ) -> engine.Expectation:
        """What the image must be like to be deployed to that disk.

        :param size: bytes that there are for it; the whole disk by default.
        """
        return engine.Expectation(
            disk_format=self.disk_format,
            image_type='partition' if self.is_partition else 'whole-disk',
            checksum=self.checksum, require_checksum=True,
            permit_weak=self.policy.insecure_checksums_permitted,
            permitted=self.policy.permitted_formats,
            disk_size=target.size if size is None else size,
            sector_size=target.sector_size,
            boot_mode=self.boot_mode, arch=self.arch,
            has_kernel=self.beside is not None)


def _checksum(image_info: dict[str, typing.Any],
              sent: dict[str, typing.Any]) -> engine.Checksum | None:
    """The checksum as the conductor resolved it, else as Ironic gives it."""
    algorithm = image_info.get('os_hash_algo')
    value = image_info.get('os_hash_value')
    try:
        if sent.get('checksum'):
            return engine.Checksum.parse(sent['checksum'])
        if algorithm and value:
            return engine.Checksum(algorithm, value)
        if image_info.get('checksum'):
            return engine.Checksum.parse(image_info['checksum'])
    except ValueError as error:
        raise errors.DeploymentError(
            f'The image {image_info["id"]} has no usable checksum: {error}'
        ) from error
    return None
