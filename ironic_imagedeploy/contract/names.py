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

"""Names that both sides, and those who ask Ironic, must spell alike."""

from collections.abc import Mapping
import typing

#: Name of the deploy interface.
DEPLOY_INTERFACE = 'imagedeploy'
#: Key of the order, the progress and the report in driver_internal_info of
#: the node, and of what the agent adds to the result of its command.
KEY = 'imagedeploy'
PROGRESS = 'progress'
REPORT = 'report'
#: How the deployed system was started, where kexec was asked for.
HANDOVER = 'handover'
#: Key of driver_info by which an operator asks for kexec.
KEXEC = 'imagedeploy_kexec'

#: Deploy step of the agent that this hardware manager takes over.
STEP = 'write_image'
#: Deploy step of the agent for nodes of other deploy interfaces.
STREAM_STEP = 'stream_image'
#: Command of ironic-python-agent that executes a deploy step.
COMMAND = 'execute_deploy_step'
#: Commands of the agent's extension, which is called as our key.
LOAD_KERNEL = 'load_kernel'
START_KERNEL = 'start_kernel'

HARDWARE_MANAGER = 'ImageDeployHardwareManager'
#: Ironic keeps it as text and compares it with nothing. It grows whenever the
#: agent learns what an order may depend on.
HARDWARE_MANAGER_VERSION = '5'
#: First version that puts a separate kernel on the disk.
SEPARATE_KERNEL_SINCE = 2
#: First version that gives chunks of its image to neighbours, by tickets.
NEIGHBOURS_SINCE = 4
#: First version that starts the deployed system by kexec.
KEXEC_SINCE = 5
#: Key in driver_internal_info of what the ramdisk says of itself.
VERSIONS = 'hardware_manager_version'

#: Among the UUIDs of partitions that the agent returns: the boot loader is
#: installed, and this is its platform, or the boot mode.
BOOTLOADER = 'bootloader'


def is_ours(deploy_interface: str | None,
            instance_info: Mapping[str, typing.Any] | None) -> bool:
    """Whether imagedeploy deploys a node.

    The user of a node may choose another interface for one deployment:
    Ironic then has it in instance_info, where it comes first.
    """
    chosen = (instance_info or {}).get('deploy_interface', deploy_interface)
    return bool(chosen == DEPLOY_INTERFACE)
