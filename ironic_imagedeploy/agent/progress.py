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

"""Progress of a transfer, for whoever asks the agent's API."""

import dataclasses
import os
import time
import typing

from oslo_log import log

from ironic_python_agent.extensions import base

from ironic_imagedeploy.contract import names
from ironic_imagedeploy import engine
from ironic_imagedeploy.engine.transfer import timeline

LOG = log.getLogger(__name__)

#: Seconds without a byte after which the bottleneck is what is waited for.
_IDLE = 5.0


class Publisher:
    """Shows the progress as the preliminary result of the running command.

    ``GET /v1/commands/`` answers also while the agent is busy. Called by the
    engine twice a second, also while no byte moves.

    :param device: the disk.
    """

    def __init__(self, device: str) -> None:
        self._device = device
        self._seen: tuple[str, int] | None = None
        self._failed = False
        self._phase = ''
        self._began = self._moved = time.monotonic()
        self._timeline = timeline.Timeline()

    def __call__(self, progress: engine.Progress) -> None:
        """Show it, with the bottleneck of this moment."""
        now, seen = time.monotonic(), (progress.phase, progress.done)
        if seen != self._seen:
            self._seen, self._moved = seen, now
        if now - self._moved > _IDLE:
            progress = progress._replace(
                bottleneck=self._waiting_for(progress))
        self._publish(progress)

    def show(self, phase: str, bottleneck: str) -> None:
        """Show a phase that is not the engine's and counts no bytes."""
        self._publish(engine.Progress(phase, 0, 0, 0.0, bottleneck))

    def phases(self) -> list[dict[str, typing.Any]]:
        """The phases until now, as JSON values."""
        now = time.monotonic() - self._began
        return [dataclasses.asdict(phase)
                for phase in self._timeline.phases(now)]

    def _publish(self, progress: engine.Progress) -> None:
        if progress.phase != self._phase:
            self._phase = progress.phase
            self._timeline.enter(self._phase,
                                 time.monotonic() - self._began)
        try:
            publish(progress._asdict())
        except Exception:
            # The inside of the agent is not ours: no write ends for that.
            if not self._failed:
                LOG.exception('The progress of the write cannot be shown')
            self._failed = True

    def _waiting_for(self, progress: engine.Progress) -> str:
        """Bottleneck that must answer before the next byte can be written."""
        requests = _in_flight(self._device)
        if requests is None:
            return progress.bottleneck
        return 'disk' if requests else 'network'


def publish(progress: dict[str, typing.Any]) -> None:
    """Make it the result that the running command has so far."""
    command = _running_command()
    if command is not None:
        with command.command_state_lock:
            command.command_result = {
                names.KEY: {names.PROGRESS: progress}}


def _in_flight(device: str) -> int | None:
    """Requests that the kernel waits for; None when it does not tell."""
    try:
        number = os.stat(device).st_rdev
        path = (f'/sys/dev/block/{os.major(number)}:{os.minor(number)}'
                '/inflight')
        with open(path, encoding='ascii') as counts:
            return sum(map(int, counts.read().split()))
    except (OSError, ValueError):
        return None


def _running_command() -> base.AsyncCommandResult | None:
    agent = base.get_extension('standby').agent
    if agent is None:
        return None
    # A command is listed only after it has been started.
    for command in reversed(list(agent.command_results.values())):
        if command.command_name == names.COMMAND and not command.is_done():
            return command
    return None
