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

"""Outcomes of deployments, by Ironic's API or by the report of a write."""

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import datetime
import itertools
import json
import pathlib
import typing

from ironic_imagedeploy.cmd import text
from ironic_imagedeploy.contract import fields
from ironic_imagedeploy.contract import handover as handovers
from ironic_imagedeploy.contract import names
from ironic_imagedeploy.contract import report as reports
from ironic_imagedeploy.contract import timeline
from ironic_imagedeploy import engine

Event = timeline.Event

#: Bytes of a file with a report, which has some 60 KB at most.
_MOST_BYTES = 1 << 20
_SENTENCE = fields.text(4096)
_ACTIVE = 'active'
#: What is done between a moment and the next one that is known.
_BETWEEN = {Event.BEGUN: 'check', Event.ACCEPTED: 'prepare',
            Event.POWER: 'power on', Event.RAMDISK: 'ramdisk',
            Event.AGENT: 'agent', Event.WRITE: 'write',
            Event.WRITTEN: 'after', Event.BOOT: 'boot'}
#: From the end of a write until the conductor asks for its report.
_HAND_OVER = 'hand-over'
#: What the agent does after the transfer is not yet the start of the system.
_RENAMED = {'boot': 'agent'}


class ReportUnreadable(engine.exceptions.SourceError):
    """The report of a write cannot be read."""

    summary = 'the report cannot be read'


class Span(typing.NamedTuple):
    """A part of a deployment. Times in seconds.

    :ivar start: since it began.
    """

    name: str
    start: float
    seconds: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outcome:
    """Outcome of a deployment; nobody vouches for any text in it.

    :ivar name: of the node, or of the file.
    :ivar state: provision state; empty where there is no node.
    :ivar kind: resource class of the node: machines of one kind.
    :ivar ended: when; empty where nobody knows.
    :ivar report: as far as it is checked.
    :ivar handover: how the system was started, where that was a choice.
    :ivar error: why it failed, else empty.
    """

    name: str
    state: str = ''
    kind: str = ''
    ended: str = ''
    spans: Sequence[Span] = ()
    report: Mapping[str, typing.Any] = dataclasses.field(
        default_factory=dict)
    handover: Mapping[str, typing.Any] = dataclasses.field(
        default_factory=dict)
    error: str = ''

    @property
    def failed(self) -> bool:
        """Whether there is no image on the disk."""
        return bool(self.error) or not self.report

    @property
    def image(self) -> str:
        """Text that is the same for two nodes with the same image.

        Each node may have had it from another address.
        """
        checksum = self.report.get('checksum') or {}
        return str(checksum.get('value') or self.report.get('source') or '')

    @property
    def seconds(self) -> float:
        """Seconds from its begin to its end."""
        return max((span.start + span.seconds for span in self.spans),
                   default=float(self.report.get('seconds', 0)))

    def spent(self) -> dict[str, float]:
        """Seconds by the name of the part."""
        found: dict[str, float] = {}
        for span in self.spans:
            found[span.name] = found.get(span.name, 0.0) + span.seconds
        return found


def of_node(node: typing.Any) -> Outcome | None:
    """The outcome of a node of openstacksdk; None for one of others.

    A node that ``direct`` deploys has nothing of ours.
    """
    kept = _mapping(_mapping(node.driver_internal_info).get(names.KEY))
    if not kept:
        return None
    report = reports.checked(kept.get(names.REPORT)) or {}
    times = timeline.times(kept)
    state = _word(node.provision_state)
    return Outcome(
        name=_word(node.name or node.id), state=state,
        kind=_word(node.resource_class), report=report,
        ended=(f'{times[Event.DONE]:%Y-%m-%d %H:%M:%S} UTC'
               if Event.DONE in times else ''),
        spans=_spans(times, report),
        handover=handovers.checked(kept.get(names.HANDOVER)) or {},
        error=_word(node.last_error) if state != _ACTIVE else '')


def of_file(path: pathlib.Path) -> Outcome:
    """The outcome of a write, by the file that ``--report`` made.

    :raises ReportUnreadable: when it is not such a file.
    """
    try:
        with path.open('rb') as file:
            content = file.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise ValueError(f'more than {_MOST_BYTES} bytes')
        told = json.loads(content)
        report = reports.checked(told) or {}
        error = _mapping(_mapping(told).get('error'))
        if not error and 'virtual_size' not in report:
            raise ValueError('something else')
    except OSError as problem:
        raise _unreadable(path, problem.strerror or 'nothing') from problem
    except (ValueError, RecursionError) as problem:
        raise _unreadable(path, str(problem)) from problem
    return Outcome(
        name=path.name, report={} if error else report,
        spans=_phases(report, 0.0, float(report.get('seconds', 0))),
        error=_SENTENCE(error.get('message')) or '' if error else '')


def _unreadable(path: pathlib.Path, found: str) -> ReportUnreadable:
    return ReportUnreadable(
        str(path), expected='the report of a write, as JSON', found=found,
        fix="Give the file that 'write --report FILE' made.")


def _spans(times: Mapping[Event, datetime.datetime],
           report: Mapping[str, typing.Any]) -> list[Span]:
    """The parts of a deployment, as far as their ends are known."""
    moments = list(times.items())
    spans: list[Span] = []
    for (event, since), (_, until) in itertools.pairwise(moments):
        # The clock may have been set back meanwhile.
        start = max((since - moments[0][1]).total_seconds(), 0.0)
        seconds = max((until - since).total_seconds(), 0.0)
        if event is Event.WRITE:
            spans += _phases(report, start, seconds)
        else:
            spans.append(Span(_BETWEEN[event], start, seconds))
    return spans


def _phases(report: Mapping[str, typing.Any], start: float, seconds: float
            ) -> list[Span]:
    """The phases of a write, which took so many seconds as a whole.

    What is left at the end passed until the conductor was told.
    """
    spans = [Span(_RENAMED.get(phase.get('name'), phase.get('name', '')),
                  start + phase.get('start', 0.0),
                  phase.get('seconds', 0.0))
             for phase in report.get('phases', ())]
    if not spans:
        return [Span('write', start, seconds)] if seconds else []
    told = max(span.start + span.seconds for span in spans)
    left = start + seconds - told
    return spans + ([Span(_HAND_OVER, told, left)] if left >= 0.1 else [])


def _mapping(value: typing.Any) -> Mapping[str, typing.Any]:
    return value if isinstance(value, Mapping) else {}


def _word(value: typing.Any) -> str:
    return text.printable(text.without_secrets(str(value or '')))
