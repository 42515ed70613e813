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

"""What the conductor orders from the agent in the ramdisk."""

from oslo_log import log

from ironic.common import exception
from ironic.conductor import task_manager
from ironic.conf import CONF
from ironic.drivers.modules import agent_client
from ironic import objects

from ironic_imagedeploy.conductor import serving
from ironic_imagedeploy.conf import policy

LOG = log.getLogger(__name__)

KEY = policy.KEY
HARDWARE_MANAGER = 'ImageDeployHardwareManager'
_VERSIONS = 'hardware_manager_version'
_BOOT_FILES = 'boot_files'
#: The first version of the hardware manager that puts them on the disk.
_WITH_BOOT_FILES = 2
#: What our agent side tells among the UUIDs of the partitions.
_BOOTLOADER = 'bootloader'


def give(task: task_manager.TaskManager, served: serving.Served) -> None:
    """Write the order for the image that was accepted into the node.

    What an earlier deployment left there is forgotten.
    """
    provided = served.image
    checksum = provided.checksum
    node = task.node
    order = {
        **policy.Policy.from_conf(CONF).to_dict(),
        'disk_format': provided.verdict.format,
        'checksum': checksum and f'{checksum.algorithm}:{checksum.value}',
        'checksum_is_ours': provided.checksum_is_ours}
    if served.boot_files:
        order[_BOOT_FILES] = served.boot_files
    node.set_driver_internal_info(KEY, order)
    # An earlier ramdisk's answer says nothing about the one to come.
    node.del_driver_internal_info(_VERSIONS)
    node.save()


def renew(task: task_manager.TaskManager, served: serving.Served) -> None:
    """Say where things are now that another conductor has the node."""
    node = task.node
    order = node.driver_internal_info.get(KEY)
    if order and served.boot_files:
        node.set_driver_internal_info(
            KEY, {**order, _BOOT_FILES: served.boot_files})
        node.save()


def check_agent(task: task_manager.TaskManager) -> None:
    """See whether somebody in the ramdisk will follow the order.

    :raises InstanceDeployFailure: when nobody will and the operator wants
        no other writer.
    """
    node = task.node
    if not node.driver_internal_info.get(_VERSIONS):
        # The agent was busy when it should have told.
        task.driver.deploy.refresh_steps(task, 'deploy')
    found = node.driver_internal_info.get(_VERSIONS) or {}
    order = node.driver_internal_info.get(KEY) or {}
    if order.get(_BOOT_FILES):
        _check_boot_files(node, found.get(HARDWARE_MANAGER))
    if HARDWARE_MANAGER in found:
        return
    if CONF.imagedeploy.require_agent:
        raise exception.InstanceDeployFailure(
            f'The deploy ramdisk of node {node.uuid} does not carry the agent '
            f'side of imagedeploy: expected the hardware manager '
            f'{HARDWARE_MANAGER}, found {", ".join(sorted(found)) or "none"}. '
            'Add ironic-imagedeploy to the deploy ramdisk, or set '
            '[imagedeploy]require_agent=False to let ironic-python-agent '
            'write the image itself. The disk was not touched.')
    LOG.warning('The deploy ramdisk of node %s does not carry the agent side '
                'of imagedeploy: ironic-python-agent writes the image itself',
                node.uuid)


def _check_boot_files(node: objects.Node, version: str | None) -> None:
    """Nobody else puts a kernel beside the image on the disk."""
    if int(version or 0) < _WITH_BOOT_FILES:
        raise exception.InstanceDeployFailure(
            f'The deploy ramdisk of node {node.uuid} does not put a kernel '
            'on the disk that comes beside the image: expected the hardware '
            f'manager {HARDWARE_MANAGER} in version {_WITH_BOOT_FILES} or '
            f'later, found {version or "none"}. Update ironic-imagedeploy in '
            'the deploy ramdisk, or use an image with a kernel of its own. '
            'The disk was not touched.')


def boot_loader_is_there(task: task_manager.TaskManager) -> bool:
    """Whether our agent side made the disk boot by itself.

    It does so with a partition image only.
    """
    node = task.node
    if node.driver_internal_info.get('is_whole_disk_image') is not False:
        return False
    answer = agent_client.get_client(task).get_partition_uuids(node)
    return _BOOTLOADER in (answer.get('command_result') or {})
