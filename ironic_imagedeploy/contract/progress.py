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

"""The progress of a write: as the agent tells it, and as the node shows it."""

import dataclasses
import typing

from ironic_imagedeploy.contract import fields

_WORD = fields.text(fields.WORD)
_TOLD = fields.mapping(
    phase=_WORD, done=fields.count, total=fields.count,
    bytes_per_second=fields.number, bottleneck=_WORD,
    seconds_left=fields.number)
_STALL = fields.mapping(since=_WORD, waiting_for=_WORD)
_KEPT = fields.mapping(
    percent=fields.number, estimated_end=_WORD, updated_at=_WORD,
    moved_at=_WORD)


@dataclasses.dataclass(frozen=True, kw_only=True)
class AgentProgress:
    """Progress of a write, as its agent tells it.

    :ivar phase: ``inspect``, ``scan`` (the disk, for what it holds already),
        ``write``, ``zero``, ``read-back``, ``finish`` or ``boot``.
    :ivar done: bytes that are done in this phase. For ``write`` those of the
        disk that the file stores something for: zeroes are made apart, and
        a phase of their own (``zero``) when they are all that is left.
    :ivar total: bytes that the phase takes; 0 while nobody knows.
    :ivar bytes_per_second: of late.
    :ivar bottleneck: ``network``, ``decode`` or ``disk``.
    :ivar seconds_left: until the phase ends, with its zeroes; None when the
        agent does not know, or is older than this field.
    """

    phase: str
    done: int = 0
    total: int = 0
    bytes_per_second: float = 0
    bottleneck: str = ''
    seconds_left: float | None = None

    @classmethod
    def from_dict(cls, told: typing.Any) -> 'AgentProgress | None':
        """The progress in an answer; None when there is none in it."""
        values = _TOLD(told)
        return cls(**values) if values and 'phase' in values else None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stall:
    """A pause that is longer than usual.

    :ivar since: time (ISO 8601) of the last sign of life.
    :ivar waiting_for: ``network``, ``decode``, ``disk`` or ``agent``.
    """

    since: str
    waiting_for: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProgressRecord(AgentProgress):
    """Progress of a write, as driver_internal_info of its node shows it.

    Times are in ISO 8601, with seconds and zone.

    :ivar percent: with one decimal; None while the total is not known.
    :ivar estimated_end: when the phase will end; None when nobody knows.
    :ivar updated_at: when the agent told it.
    :ivar moved_at: when the last new byte or phase was seen.
    """

    percent: float | None = None
    estimated_end: str | None = None
    updated_at: str = ''
    moved_at: str = ''
    stalled: Stall | None = None

    @classmethod
    def from_dict(cls, kept: typing.Any) -> 'ProgressRecord | None':
        """The record that a node shows; None when it shows none."""
        values = _TOLD(kept)
        if not values or 'phase' not in values:
            return None
        stall = _STALL(kept.get('stalled'))
        return cls(**values, **(_KEPT(kept) or {}), stalled=Stall(
            since=stall.get('since', ''),
            waiting_for=stall.get('waiting_for', '')) if stall else None)

    def to_dict(self) -> dict[str, typing.Any]:
        """The record as JSON values; ``estimated_end`` says what is left."""
        values = dataclasses.asdict(self)
        del values['seconds_left']
        return values
