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

"""Progress of a write, judged by what was seen before."""

import dataclasses
import datetime
import typing

from oslo_utils import timeutils

from ironic_imagedeploy.contract import progress

#: What the agent does when no byte of the image is missing on the disk.
_AFTER = 'boot'


def advanced(before: progress.ProgressRecord | None, answer: typing.Any,
             patience: float) -> progress.ProgressRecord | None:
    """The record after an answer of the agent.

    :param before: the record until now.
    :param answer: the progress as the agent tells it, which nobody vouches
        for.
    :param patience: seconds without a new byte that are not a stall yet.
    :returns: None when there is no progress in the answer.
    """
    current = progress.AgentProgress.from_dict(answer)
    if current is None:
        return None
    now = _now()
    moved_at = _stamp(now)
    if before and (before.phase, before.done) == (current.phase,
                                                  current.done):
        moved_at = _past(before.moved_at, now)
    record = progress.ProgressRecord(
        phase=current.phase, done=current.done, total=current.total,
        percent=_percent(current.done, current.total),
        bytes_per_second=round(current.bytes_per_second),
        bottleneck=current.bottleneck,
        updated_at=_stamp(now), moved_at=moved_at)
    idle = now - _time(moved_at, now)
    if record.phase != _AFTER and idle.total_seconds() >= patience:
        return _stalled(record, moved_at, _waits_for(record))
    left = current.seconds_left
    if (left is None and current.bytes_per_second > 0
            and record.done < record.total):
        left = (record.total - record.done) / current.bytes_per_second
    if left:
        return dataclasses.replace(record, estimated_end=_stamp(
            now + datetime.timedelta(seconds=min(left, 1e9))))
    return record


def silent(before: progress.ProgressRecord | None, patience: float
           ) -> progress.ProgressRecord | None:
    """The record after the agent did not answer.

    :returns: None when there is nothing new to say.
    """
    if not before or (before.stalled
                      and before.stalled.waiting_for == 'agent'):
        return None
    now = _now()
    since = _past(before.updated_at, now)
    if (now - _time(since, now)).total_seconds() >= patience:
        return _stalled(before, since, 'agent')
    return (dataclasses.replace(before, updated_at=since)
            if since != before.updated_at else None)


def _stalled(record: progress.ProgressRecord, since: str, waiting_for: str
             ) -> progress.ProgressRecord:
    return dataclasses.replace(
        record, bytes_per_second=0, estimated_end=None,
        stalled=progress.Stall(since=since, waiting_for=waiting_for))


def _waits_for(record: progress.ProgressRecord) -> str:
    """The agent sees it while it writes; all else waits for the disk."""
    reads = record.phase == 'inspect' or (
        record.phase == 'write' and (
            record.done < record.total or not record.total))
    return record.bottleneck if reads else 'disk'


def _percent(done: int, total: int) -> float | None:
    """With one decimal, 100 only at the end; None when nobody knows."""
    if not total:
        return None
    return min(done * 1000 // total, 1000) / 10


def _now() -> datetime.datetime:
    return timeutils.utcnow(with_timezone=True)


def _stamp(moment: datetime.datetime) -> str:
    return moment.isoformat(timespec='seconds')


def _past(stamp: str, now: datetime.datetime) -> str:
    """A time; now when it is yet to come, as the clock was set back."""
    return stamp if stamp and _time(stamp, now) <= now else _stamp(now)


def _time(stamp: str, default: datetime.datetime) -> datetime.datetime:
    try:
        moment = datetime.datetime.fromisoformat(stamp)
    except ValueError:
        return default
    # Without a zone it could not be compared with one that has it.
    return moment if moment.tzinfo else default
