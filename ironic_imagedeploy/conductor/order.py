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

"""The conductor's order for the agent in the ramdisk."""

from oslo_log import log

from ironic.common import exception
from ironic.conductor import task_manager
from ironic.conf import CONF
from ironic.drivers.modules import agent_client
from ironic.drivers.modules import boot_mode_utils
from ironic import objects

from ironic_imagedeploy.conductor import serving
from ironic_imagedeploy.conf import policy
from ironic_imagedeploy.contract import names
from ironic_imagedeploy.contract import order as contract

LOG = log.getLogger(__name__)


def give(task: task_manager.TaskManager, served: serving.Served) -> None:
    """Write the order for the image that was accepted into the node.

    What an earlier deployment left there is forgotten.
    """
    node, image = task.node, served.image
    order = contract.DeployOrder(
        policy=policy.from_conf(CONF).starting(served.start_policy),
        disk_format=image.verdict.format, checksum=image.checksum,
        checksum_is_ours=image.checksum_is_ours,
        separate_kernel=served.separate_kernel, manifest=served.manifest,
        disk_manifest=served.disk_manifest, public=served.public,
        start_judged=image.verdict.start_judged, own_boot_loader=True)
    node.set_driver_internal_info(names.KEY, order.to_dict())
    # An earlier ramdisk's answer says nothing about the one to come.
    node.del_driver_internal_info(names.VERSIONS)
    node.save()


def renew(task: task_manager.TaskManager, served: serving.Served) -> None:
    """Say where things are now that another conductor has the node."""
    node = task.node
    order = node.driver_internal_info.get(names.KEY)
    if order:
        node.set_driver_internal_info(names.KEY, contract.relocated(
            order, separate_kernel=served.separate_kernel,
            manifest=served.manifest, disk_manifest=served.disk_manifest))
        node.save()


def check_agent(task: task_manager.TaskManager) -> None:
    """See whether somebody in the ramdisk will follow the order.

    :raises InstanceDeployFailure: when nobody will and the operator wants
        no other writer.
    """
    node = task.node
    if not node.driver_internal_info.get(names.VERSIONS):
        # The agent was busy when it should have told.
        task.driver.deploy.refresh_steps(task, 'deploy')
    found = node.driver_internal_info.get(names.VERSIONS) or {}
    order = node.driver_internal_info.get(names.KEY) or {}
    if contract.has_separate_kernel(order):
        _check_separate_kernel(node, found.get(names.HARDWARE_MANAGER))
    if names.HARDWARE_MANAGER in found:
        return
    if CONF.imagedeploy.require_agent:
        raise exception.InstanceDeployFailure(
            f'The deploy ramdisk of node {node.uuid} does not carry the agent '
            f'side of imagedeploy: expected the hardware manager '
            f'{names.HARDWARE_MANAGER}, found '
            f'{", ".join(sorted(found)) or "none"}. '
            'Add ironic-imagedeploy to the deploy ramdisk, or set '
            '[imagedeploy]require_agent=False to let ironic-python-agent '
            'write the image itself. The disk was not touched.')
    LOG.warning('The deploy ramdisk of node %s does not carry the agent side '
                'of imagedeploy: ironic-python-agent writes the image itself',
                node.uuid)


def _check_separate_kernel(node: objects.Node, version: str | None) -> None:
    """See that the agent side puts a separate kernel on the disk."""
    if not version or int(version) < names.SEPARATE_KERNEL_SINCE:
        raise exception.InstanceDeployFailure(
            f'The deploy ramdisk of node {node.uuid} does not put a separate '
            'kernel on the disk: expected the hardware manager '
            f'{names.HARDWARE_MANAGER} in version '
            f'{names.SEPARATE_KERNEL_SINCE} or later, found '
            f'{version or "none"}. Update ironic-imagedeploy in the deploy '
            'ramdisk, or use an image with a kernel of its own. The disk was '
            'not touched.')


def boot_loader_is_there(task: task_manager.TaskManager) -> bool:
    """Whether our agent side made the disk boot by itself.

    It does so with a partition image, and with UEFI where the image of a
    whole disk is on a software RAID.
    """
    node = task.node
    if (node.driver_internal_info.get('is_whole_disk_image') is not False
            and boot_mode_utils.get_boot_mode(node) != 'uefi'):
        return False
    answer = agent_client.get_client(task).get_partition_uuids(node)
    return names.BOOTLOADER in (answer.get('command_result') or {})
