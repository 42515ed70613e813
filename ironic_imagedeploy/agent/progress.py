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

"""How far a transfer is, for whoever asks the agent's API."""

from ironic_python_agent.extensions import base

from ironic_imagedeploy import engine

COMMAND = 'execute_deploy_step'


def publish(progress: engine.Progress) -> None:
    """Show the progress as the preliminary result of the running command.

    ``GET /v1/commands/`` answers also while the agent is busy.
    """
    command = _running_command()
    if command is not None:
        with command.command_state_lock:
            command.command_result = {
                'imagedeploy': {'progress': progress._asdict()}}


def _running_command() -> base.AsyncCommandResult | None:
    agent = base.get_extension('standby').agent
    if agent is None:
        return None
    # A command is listed only after it has been started.
    for command in reversed(list(agent.command_results.values())):
        if command.command_name == COMMAND and not command.is_done():
            return command
    return None
