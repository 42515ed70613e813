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

"""The agent as a process of its own, for one deployment to one disk.

``python -m tests.functional.agent_process DEVICE ORDER`` executes the deploy
step ``write_image`` as ironic-python-agent does when Ironic asks for it. ORDER
is a file of JSON: ``node`` and ``image_info``. The status is 0 when the step
succeeded, and 1 with its error on standard error when it did not.
"""

import json
import pathlib
import sys

from oslo_config import cfg

from ironic_python_agent import config  # noqa: F401 (before disk_utils)
from ironic_python_agent.extensions import base
from ironic_python_agent import hardware

from ironic_imagedeploy.agent import manager
from tests.support import ramdisk


def main(device: str, order: str) -> int:
    """Execute the step; its status."""
    cfg.CONF([], project='ironic-python-agent')
    cfg.CONF.set_override('partprobe_attempts', 1, 'disk_utils')
    agent = ramdisk.Agent()
    managers = manager.ImageDeployHardwareManager(), ramdisk.Machine(device)
    hardware._global_managers = [
        {'name': type(each).__name__, 'manager': each,
         'support': each.evaluate_hardware_support()} for each in managers]
    asked = json.loads(pathlib.Path(order).read_text())
    base.get_extension('standby')
    command = agent.execute_command(
        'deploy.execute_deploy_step', ports=[], node=asked['node'], step={
            'interface': 'deploy', 'step': 'write_image',
            'args': {'image_info': asked['image_info']}}).join()
    if error := command.command_error:
        print(error, file=sys.stderr)
    return int(command.command_status != base.AgentCommandStatus.SUCCEEDED)


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
