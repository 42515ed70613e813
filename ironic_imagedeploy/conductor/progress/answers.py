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

"""Answers of the agent about a transfer, kept for operators."""

import typing

from ironic.common import exception
from ironic.conductor import task_manager
from ironic.conf import CONF
from ironic.drivers.modules import agent_client

from ironic_imagedeploy.conductor.progress import client
from ironic_imagedeploy.conductor.progress import notifications
from ironic_imagedeploy.conductor.progress import records
from ironic_imagedeploy.contract import names
from ironic_imagedeploy.contract import order
from ironic_imagedeploy.contract import progress
from ironic_imagedeploy.contract import report as reports
from ironic_imagedeploy.contract import timeline


def keep(task: task_manager.TaskManager) -> None:
    """Copy progress or report into driver_internal_info['imagedeploy'].

    :raises AgentConnectionFailed: when the agent does not answer.
    :raises Unbounded: when its answer does not come to an end.
    :raises InstanceDeployFailure: when the agent knows nothing of a write.
        Ironic would take the step for done, and start a half-written disk.
    """
    node = task.node
    if (node.deploy_step or {}).get('step') != names.STEP:
        return
    agent = client.bounded(task)
    commands = agent.get_commands_status(node)
    _tell_again(agent, commands)
    if not any(command.get('command_name') == names.COMMAND
               for command in commands):
        raise exception.InstanceDeployFailure(
            f'The agent on node {node.uuid} was started again while it wrote '
            'the image: expected to find its command, found none. The disk '
            'holds a part of the image and boots nothing. Deploy the node '
            'again; if it happens again, see the console of the node.')
    answer = result(commands[-1])
    known = dict(node.driver_internal_info.get(names.KEY) or {})
    report = reports.checked(answer.get(names.REPORT))
    if report is not None:
        _check_image(task, known.get('checksum'), report)
        known = order.fulfilled(known)
        known.pop(names.PROGRESS, None)
        known[names.REPORT] = report
        known = timeline.marked(known, **{
            timeline.Event.WRITTEN: timeline.now()})
        notifications.ended(task.context, node, report)
    else:
        record = records.advanced(
            progress.ProgressRecord.from_dict(known.get(names.PROGRESS)),
            answer.get(names.PROGRESS), CONF.imagedeploy.stall_threshold)
        if record is None:
            return
        known[names.PROGRESS] = record.to_dict()
    node.set_driver_internal_info(names.KEY, known)
    node.save()


def _check_image(task: task_manager.TaskManager, ordered: typing.Any,
                 report: dict[str, typing.Any]) -> None:
    """See that the agent wrote the image that it was told to.

    :param ordered: checksum, as the order has it.
    :raises InstanceDeployFailure: when its report is about another one.
    """
    found = report.get('checksum') or {}
    algorithm, value = found.get('algorithm'), found.get('value')
    if not value or not isinstance(ordered, str) or (
            ordered.partition(':')[0] != algorithm):
        return
    if ordered != f'{algorithm}:{value}':
        raise exception.InstanceDeployFailure(
            f'The agent on node {task.node.uuid} wrote another image: '
            f'expected {ordered}, found {algorithm}:{value}. Deploy the '
            'node again; if it happens again, see what runs in its deploy '
            'ramdisk.')


def _tell_again(agent: agent_client.AgentClient,
                commands: list[dict[str, typing.Any]]) -> None:
    """Let Ironic, which asks next, judge by the same answer.

    A command that ends between two looks would be done for it, and its
    report lost.
    """
    def get_commands_status(*args: typing.Any, **options: typing.Any
                            ) -> list[dict[str, typing.Any]]:
        del agent.get_commands_status
        return commands
    agent.get_commands_status = get_commands_status


def result(command: dict[str, typing.Any]) -> dict[str, typing.Any]:
    """Progress of a running or failed command, the report of a done one.

    Neither is checked yet.
    """
    if command.get('command_name') != names.COMMAND:
        return {}
    outcome = command.get('command_result')
    if not isinstance(outcome, dict):
        return {}
    if isinstance(outcome.get(names.KEY), dict):
        return {names.PROGRESS: outcome[names.KEY].get(names.PROGRESS)}
    outcome = outcome.get('deploy_result')
    if isinstance(outcome, dict) and isinstance(outcome.get(names.KEY), dict):
        return {names.REPORT: outcome[names.KEY]}
    return {}
