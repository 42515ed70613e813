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

"""A machine whose deploy ramdisk speaks like ironic-python-agent."""

import base64
import dataclasses
import functools
import random
import threading
import time
from typing import Any
import uuid

import requests

from ironic_imagedeploy.contract import names
from tests.support.simulation import clock
from tests.support.simulation import writing

API_VERSION = {'X-OpenStack-Ironic-API-Version': '1.82'}
AGENT_VERSION = '13.0.0'

#: What an agent tells about the steps of its hardware managers.
_GENERIC = {'generic_hardware_manager': '1.2'}
_OURS = {names.HARDWARE_MANAGER: names.HARDWARE_MANAGER_VERSION}
_STEPS = [{'step': 'write_image', 'priority': 0, 'interface': 'deploy',
           'reboot_requested': False},
          {'step': 'erase_devices_metadata', 'priority': 0,
           'interface': 'deploy', 'reboot_requested': False}]
_STREAM = {'step': names.STREAM_STEP, 'priority': 0, 'interface': 'deploy',
           'reboot_requested': False, 'argsinfo': {}}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Behaviour:
    """What a machine is like.

    :ivar boot_seconds: from power on to the first heartbeat.
    :ivar write_seconds: that writing an image takes at least.
    :ivar least_interval: seconds between two heartbeats.
    :ivar whole: whether it reads all of the image, not only its begin.
    :ivar ours: whether the ramdisk carries the agent side of imagedeploy.
    """

    boot_seconds: float = 0.2
    write_seconds: float = 0.5
    least_interval: float = 0.5
    whole: bool = True
    ours: bool = True


class Busy(Exception):
    """The agent is at work on another command."""


class Agent:
    """One node's machine.

    :ivar asked: the commands that it was given, over all of its boots.
    :ivar writes: what became of the images that it was told to write.
    :ivar errors: what went wrong that should not.
    """

    def __init__(self, identifier: str, api: str, url: str,
                 certificate: str, ticker: clock.Clock,
                 behaviour: Behaviour) -> None:
        self.uuid = identifier
        self.behaviour = behaviour
        self.asked: list[str] = []
        self.writes: list[writing.Outcome] = []
        self.errors: list[str] = []
        self.silent = False
        self.held = False
        self.boots = 0
        self._api = api
        self._url = url
        self._certificate = certificate
        self._clock = ticker
        self._lock = threading.RLock()
        self._life = 0
        self._token: str | None = None
        self._commands: list[dict[str, Any]] = []
        self._timeout = 300.0
        self._beat_at = 0.0

    @property
    def running(self) -> bool:
        """Whether the ramdisk runs, or boots."""
        return self._life % 2 == 1

    @property
    def busy(self) -> bool:
        """Whether it is at work on a command."""
        with self._lock:
            return bool(self._commands and self._commands[-1][
                'command_status'] == 'RUNNING')

    def power_on(self) -> None:
        """Boot the ramdisk."""
        with self._lock:
            if self.running:
                return
            self._life += 1
            self.boots += 1
            self._token, self._commands = None, []
            self._later(self.behaviour.boot_seconds, self._look_up)

    def power_off(self) -> None:
        """Stop at once, whatever is being done."""
        with self._lock:
            if self.running:
                self._life += 1

    def restart(self) -> None:
        """Let another agent start in the ramdisk, which has the token.

        As it does when Ironic put the token on the ramdisk's virtual media.
        """
        with self._lock:
            self._life += 2
            self._commands = []
            self._later(self.behaviour.boot_seconds, self._beat)

    # What the conductor asks for.

    def commands(self) -> list[dict[str, Any]]:
        """The body of GET /v1/commands/."""
        with self._lock:
            return [dict(command) for command in self._commands]

    def permits(self, token: str | None) -> bool:
        """Whether a command comes from who may give it."""
        return self._token is not None and token == self._token

    def execute(self, name: str, params: dict[str, Any]) -> dict[str, Any]:
        """Take a command, as POST /v1/commands/ does.

        :raises Busy: while another one is being executed.
        """
        name = name.split('.', 1)[1]
        with self._lock:
            if self.busy:
                raise Busy(self._commands[-1]['command_name'])
            command = {
                'id': str(uuid.uuid4()), 'command_name': name,
                'command_status': 'RUNNING', 'command_error': None,
                'command_result': None}
            self._commands.append(command)
            step = params.get('step', {}).get('step')
            self.asked.append(f'{name} {step}' if step else name)
            if step in ('write_image', names.STREAM_STEP):
                # As in ironic-python-agent, whoever waits does so elsewhere.
                self._later(0, functools.partial(
                    self._write, command, params))
            else:
                command['command_status'] = 'SUCCEEDED'
                command['command_result'] = self._result(name)
            return dict(command)

    def _result(self, name: str) -> Any:
        match name:
            case 'get_deploy_steps':
                managers = {**_GENERIC, **(_OURS if self.behaviour.ours
                                           else {})}
                steps = {'generic_hardware_manager': _STEPS}
                if self.behaviour.ours:
                    steps[names.HARDWARE_MANAGER] = [_STREAM]
                return {'deploy_steps': steps,
                        'hardware_manager_version': managers}
            case 'get_partition_uuids':
                return self._partitions()
            case 'load_kernel':
                return {'kernel': '/boot/vmlinuz'}
            case 'start_kernel':
                # The power stays on, as with any start of another system.
                self._later(0.2, self.power_off)
                return None
            case 'collect_system_logs':
                return {'system_logs': base64.b64encode(b'').decode()}
            case _:
                return None

    def _partitions(self) -> dict[str, str]:
        if not self.writes or not self.writes[-1].partition:
            return {}
        found = {'root uuid': self.uuid}
        return {**found, 'bootloader': 'grub2'} if self.writes[-1].ours \
            else found

    def _write(self, command: dict[str, Any], params: dict[str, Any]) -> None:
        started, life = time.monotonic(), self._life
        try:
            outcome = self._read(params['node'], params['step'])
        except Exception as error:
            with self._lock:
                if life == self._life:
                    self.errors.append(f'{type(error).__name__}: {error}')
                    command['command_error'] = {
                        'type': 'DeploymentError', 'code': 500,
                        'message': f'Deploy step failed: {error}',
                        'details': str(error)}
                    command['command_status'] = 'FAILED'
                    self._force_heartbeat()
            return
        with self._lock:
            if life == self._life:
                self.writes.append(outcome)
                self._tick(command, params['step'], outcome, started)

    def _read(self, node: dict[str, Any], step: dict[str, Any]
              ) -> writing.Outcome:
        if step['step'] == names.STREAM_STEP:
            return writing.read_by_step(node, self.behaviour.whole)
        return writing.read(node, step['args']['image_info'],
                            self.behaviour.whole, self.behaviour.ours)

    def _tick(self, command: dict[str, Any], step: dict[str, Any],
              outcome: writing.Outcome, started: float) -> None:
        """Go on with the write; show how far it is."""
        with self._lock:
            seconds = time.monotonic() - started
            left = self.behaviour.write_seconds - seconds
            if self.held or left > 0:
                if outcome.ours:
                    command['command_result'] = outcome.progress(
                        seconds, self.behaviour.write_seconds)
                pause = max(left, 0.05) if not self.held else 0.2
                self._later(min(pause, 0.5), functools.partial(
                    self._tick, command, step, outcome, started))
                return
            command['command_result'] = {
                'deploy_result': outcome.result(seconds),
                'deploy_step': step}
            command['command_status'] = 'SUCCEEDED'
            self._force_heartbeat()

    # What the agent asks for.

    def _later(self, seconds: float, action: Any) -> None:
        life = self._life

        def in_this_life() -> None:
            if self._life == life:
                action()
        self._clock.after(seconds, in_this_life)

    def _look_up(self) -> None:
        try:
            answer = requests.get(
                f'{self._api}/v1/lookup', params={'node_uuid': self.uuid},
                headers=API_VERSION, timeout=60)
        except requests.RequestException:
            self._later(_jittered(1), self._look_up)
            return
        if not answer.ok:
            self._later(_jittered(1), self._look_up)
            return
        config = answer.json()['config']
        with self._lock:
            self._token = config['agent_token']
            self._timeout = config['heartbeat_timeout']
        self._beat()

    def _force_heartbeat(self) -> None:
        """Soon, but not within the least interval, as the agent does."""
        since = time.monotonic() - self._beat_at
        self._later(max(0, self.behaviour.least_interval - since),
                    functools.partial(self._beat, forced=True))

    def _beat(self, forced: bool = False) -> None:
        life = self._life
        accepted = not self.silent and self._post_heartbeat()
        if life != self._life:
            return
        self._beat_at = time.monotonic()
        if not accepted and not self.silent:
            wait = self.behaviour.least_interval * random.uniform(1, 2)
        elif forced:
            # The regular one comes besides.
            return
        else:
            wait = self._timeout * random.uniform(0.3, 0.6)
        self._later(wait, functools.partial(self._beat, forced=forced))

    def _post_heartbeat(self) -> bool:
        try:
            return requests.post(
                f'{self._api}/v1/heartbeat/{self.uuid}', timeout=60,
                headers=API_VERSION, json={
                    'callback_url': self._url, 'agent_token': self._token,
                    'agent_verify_ca': self._certificate,
                    'agent_version': AGENT_VERSION}).status_code == 202
        except requests.RequestException:
            return False


def _jittered(seconds: float) -> float:
    return seconds * random.uniform(0.5, 1.5)
