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

"""What the agent tells about a transfer, kept for operators."""

import typing

from ironic.common import exception
from ironic.conductor import task_manager
from ironic.conf import CONF
from ironic.drivers.modules import agent_client

from ironic_imagedeploy.conductor import order
from ironic_imagedeploy.conductor.progress import notifications
from ironic_imagedeploy.conductor.progress import records

STEP = 'write_image'
COMMAND = 'execute_deploy_step'


def keep(task: task_manager.TaskManager) -> None:
    """Copy progress or report into driver_internal_info['imagedeploy'].

    :raises AgentConnectionFailed: when the agent does not answer.
    :raises InstanceDeployFailure: when the agent knows nothing of a write.
        Ironic would take the step for done, and start a half-written disk.
    """
    node = task.node
    if (node.deploy_step or {}).get('step') != STEP:
        return
    client = agent_client.get_client(task)
    commands = client.get_commands_status(node)
    _tell_again(client, commands)
    if not any(each.get('command_name') == COMMAND for each in commands):
        raise exception.InstanceDeployFailure(
            f'The agent on node {node.uuid} was started again while it wrote '
            'the image: expected to find its command, found none. The disk '
            'holds a part of the image and boots nothing. Deploy the node '
            'again; if it happens again, see the console of the node.')
    answer = told(commands[-1])
    known = dict(node.driver_internal_info.get(order.KEY) or {})
    if 'report' in answer:
        # The URLs of boot files may be secret for as long as they are valid.
        for name in ('progress', 'boot_files'):
            known.pop(name, None)
        known['report'] = answer['report']
        notifications.ended(task.context, node, answer['report'])
    else:
        record = records.advanced(
            known.get('progress'), answer.get('progress'),
            CONF.imagedeploy.stall_threshold)
        if record is None:
            return
        known['progress'] = record
    node.set_driver_internal_info(order.KEY, known)
    node.save()


def _tell_again(client: agent_client.AgentClient,
                commands: list[dict[str, typing.Any]]) -> None:
    """Let Ironic, which asks next, judge by the same answer.

    A command that ends between two looks would be done for it, and its
    report lost.
    """
    def get_commands_status(*args: typing.Any, **options: typing.Any
                            ) -> list[dict[str, typing.Any]]:
        del client.get_commands_status
        return commands
    client.get_commands_status = get_commands_status


def told(command: dict[str, typing.Any]) -> dict[str, typing.Any]:
    """Progress of a running or failed command, the report of a done one."""
    if command.get('command_name') != COMMAND:
        return {}
    result = command.get('command_result')
    if not isinstance(result, dict):
        return {}
    if isinstance(result.get(order.KEY), dict):
        return {'progress': result[order.KEY].get('progress')}
    result = result.get('deploy_result')
    if isinstance(result, dict) and isinstance(result.get(order.KEY), dict):
        return {'report': result[order.KEY]}
    return {}
