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

"""A start of the deployed system by kexec, in place of the firmware.

Experimental. Until the agent is gone everything can still go the ordinary
way, and does so for whatever reason.
"""

import time
import typing

from oslo_log import log
from oslo_utils import strutils

from ironic.common import exception
from ironic.conductor import task_manager
from ironic.conductor import utils as conductor_utils
from ironic.conf import CONF
from ironic.drivers.modules import agent_client
from ironic.drivers.modules import boot_mode_utils
from ironic.drivers import utils as driver_utils
from ironic import objects

from ironic_imagedeploy.conductor.progress import client
from ironic_imagedeploy.contract import handover
from ironic_imagedeploy.contract import names

LOG = log.getLogger(__name__)

#: Steps after the agent is gone, none of which needs the power to be off.
_LATER = ['switch_to_tenant_network', 'boot_instance']
#: Network interface that never moves a node to another network.
_ONE_NETWORK = 'noop'
#: Seconds until an agent that still answers has not handed over.
_PATIENCE = 60
_PAUSE = 1.0
#: Looks in a row without an answer after which it is gone.
_SILENT = 3


class _NotPossible(Exception):
    """A node that is started as always, and the reason."""


def hand_over(task: task_manager.TaskManager) -> bool:
    """Start the deployed system, where an operator wants it by kexec.

    :returns: whether the agent is gone, and the system starts. Otherwise all
        is as it was before, and the reason is in the node.
    """
    node = task.node
    if not (CONF.imagedeploy.kexec and strutils.bool_from_string(
            node.driver_info.get(names.KEXEC))):
        return False
    try:
        _check(task)
        agent = client.bounded(task)
        loaded = _execute(agent, node, names.LOAD_KERNEL, poll=True)
        if CONF.agent.deploy_logs_collect == 'always':
            driver_utils.collect_ramdisk_logs(node)
        _start(agent, node)
    except _NotPossible as reason:
        LOG.warning('The deployed system of node %(node)s is not started by '
                    'kexec, but as always: %(reason)s',
                    {'node': node.uuid, 'reason': reason})
        _keep(node, handover.by_firmware(str(reason)))
        return False
    LOG.info('The deployed system of node %s was started by kexec', node.uuid)
    # As after power off: neither address nor token of the agent is of use.
    conductor_utils.wipe_internal_info_on_power_off(node)
    _keep(node, handover.by_kexec(loaded))
    return True


def has_started(node: objects.Node) -> bool:
    """Whether the deployed system was started by kexec."""
    kept = node.driver_internal_info.get(names.KEY) or {}
    record = kept.get(names.HANDOVER) or {}
    return bool(record.get('way') == handover.Way.KEXEC)


def _check(task: task_manager.TaskManager) -> None:
    """See what stands against it that the conductor knows."""
    node = task.node
    info = node.driver_internal_info
    if node.network_interface != _ONE_NETWORK:
        raise _NotPossible(
            f'the network interface {node.network_interface} moves the node '
            f'to another network; expected {_ONE_NETWORK}')
    if strutils.bool_from_string(node.driver_info.get(
            'deploy_forces_oob_reboot')):
        raise _NotPossible('driver_info has deploy_forces_oob_reboot')
    if boot_mode_utils.is_secure_boot_requested(node):
        raise _NotPossible('the node is to boot securely')
    if not (info.get(names.KEY) or {}).get(names.REPORT):
        raise _NotPossible('the agent side of imagedeploy has not written '
                           'the image')
    version = str((info.get(names.VERSIONS) or {}).get(
        names.HARDWARE_MANAGER) or 'none')
    if not version.isdecimal() or int(version) < names.KEXEC_SINCE:
        raise _NotPossible(
            f'the deploy ramdisk has {names.HARDWARE_MANAGER} in version '
            f'{version}; expected {names.KEXEC_SINCE} or later')
    _check_steps(info)


def _check_steps(info: dict[str, typing.Any]) -> None:
    """See that no step before or after counts on a start of the firmware."""
    steps = info.get('deploy_steps') or []
    other = [step for step in steps if step.get('interface') != 'deploy']
    if other:
        raise _NotPossible(
            'settings may wait for the firmware, of the deploy step '
            f'{other[0].get("interface")}.{other[0].get("step")}')
    index = info.get('deploy_step_index') or 0
    later = [step.get('step') for step in steps[index + 1:]]
    if later != _LATER:
        raise _NotPossible(
            f'other deploy steps are left: expected {", ".join(_LATER)}, '
            f'found {", ".join(map(str, later)) or "none"}')


def _execute(agent: agent_client.AgentClient, node: objects.Node,
             command: str, poll: bool = False) -> typing.Any:
    """Let the agent execute a command of our extension.

    :param poll: wait for its end.
    :returns: its result.
    """
    try:
        answer = agent._command(node, f'{names.KEY}.{command}', {},
                                poll=poll)
    except exception.AgentConnectionFailed:
        if poll:
            raise _NotPossible('the agent does not answer') from None
        # It may have been too busy with the start.
        return None
    except exception.IronicException as error:
        raise _NotPossible(f'the agent has not done {command}: {error}'
                           ) from error
    _raise_if_failed(answer)
    return answer.get('command_result')


def _raise_if_failed(answer: dict[str, typing.Any]) -> None:
    if answer.get('command_error'):
        raise _NotPossible(agent_client.get_command_error(answer))


def _start(agent: agent_client.AgentClient, node: objects.Node) -> None:
    """Let the agent start the kernel, and see it gone.

    :raises _NotPossible: when it still answers.
    """
    _execute(agent, node, names.START_KERNEL)
    look = client.Client()
    silent, end = 0, time.monotonic() + _PATIENCE
    while silent < _SILENT:
        if time.monotonic() > end:
            raise _NotPossible(f'the agent still answers after {_PATIENCE} '
                               'seconds')
        time.sleep(_PAUSE)
        try:
            commands = look.get_commands_status(
                node, retry_connection=False, expect_errors=True)
        except exception.AgentConnectionFailed:
            silent += 1
            continue
        except (exception.IronicException, ValueError, KeyError):
            commands = []
        silent = 0
        for answer in commands[-1:]:
            if answer.get('command_name') == names.START_KERNEL:
                _raise_if_failed(answer)


def _keep(node: objects.Node, record: dict[str, typing.Any]) -> None:
    node.set_driver_internal_info(names.KEY, {
        **(node.driver_internal_info.get(names.KEY) or {}),
        names.HANDOVER: record})
    node.save()
