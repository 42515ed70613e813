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

"""The extension of the agent that the conductor asks for a hand-over."""

import typing

from ironic_python_agent import config  # noqa: F401 (before hardware)
from ironic_python_agent.extensions import base
from ironic_python_agent import hardware

from ironic_imagedeploy.agent.kexec import loading


class ImageDeployExtension(base.BaseAgentExtension):
    """Starts the deployed system without a second start of the firmware.

    Experimental.
    """

    @base.async_command('load_kernel')
    def load_kernel(self) -> dict[str, typing.Any]:
        """Load the kernel that a boot loader would start from the disk.

        Nothing is lost by that.

        :returns: what was loaded.
        :raises DeploymentError: when this machine, or this system, has to be
            started by its firmware.
        """
        device = hardware.dispatch_to_managers('get_os_install_device')
        return loading.load(device)

    @base.async_command('start_kernel')
    def start_kernel(self) -> None:
        """Start the kernel that is loaded; nothing comes after that.

        :raises DeploymentError: when this system still runs.
        """
        hardware.dispatch_to_all_managers('full_sync')
        loading.start()
