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

"""How far a write is, as driver_internal_info of the node shows it."""

from collections.abc import Mapping
import datetime
import math
import typing

from oslo_utils import timeutils

Record = dict[str, typing.Any]

#: What the agent does when no byte of the image is missing on the disk.
_AFTER = 'boot'
_LONGEST_WORD = 32


def advanced(before: Mapping[str, typing.Any] | None, told: typing.Any,
             patience: float) -> Record | None:
    """The record after an answer of the agent.

    :param before: the record until now.
    :param told: the progress as the agent tells it, which nobody vouches
        for.
    :param patience: seconds without a new byte that are not a stall yet.
    :returns: None when it is no progress.
    """
    if not isinstance(told, Mapping) or not isinstance(
            told.get('phase'), str):
        return None
    now = _now()
    done, total = (int(_number(told.get(key))) for key in ('done', 'total'))
    rate = _number(told.get('bytes_per_second'))
    record = {
        'phase': told['phase'][:_LONGEST_WORD],
        'done': done, 'total': total,
        'percent': _percent(done, total),
        'bytes_per_second': round(rate),
        'bottleneck': str(told.get('bottleneck') or '')[:_LONGEST_WORD],
        'estimated_end': None,
        'updated_at': _stamp(now),
        'moved_at': _stamp(now),
        'stalled': None}
    before = before or {}
    if all(before.get(key) == record[key] for key in ('phase', 'done')):
        record['moved_at'] = before.get('moved_at') or record['moved_at']
    idle = now - _time(record['moved_at'], now)
    if record['phase'] != _AFTER and idle.total_seconds() >= patience:
        return _stalled(record, record['moved_at'], _waits_for(record))
    if rate > 0 and done < total:
        left = min((total - done) / rate, 1e9)
        record['estimated_end'] = _stamp(
            now + datetime.timedelta(seconds=left))
    return record


def silent(before: Mapping[str, typing.Any] | None, patience: float
           ) -> Record | None:
    """The record after the agent did not answer.

    :returns: None when there is nothing new to say.
    """
    if not before or (before.get('stalled') or {}).get(
            'waiting_for') == 'agent':
        return None
    now = _now()
    since = before.get('updated_at')
    if (now - _time(since, now)).total_seconds() < patience:
        return None
    return _stalled(dict(before), since, 'agent')


def _stalled(record: Record, since: typing.Any, waiting_for: str) -> Record:
    return {**record, 'bytes_per_second': 0, 'estimated_end': None,
            'stalled': {'since': since, 'waiting_for': waiting_for}}


def _waits_for(record: Record) -> str:
    """The agent sees it while it writes; all else waits for the disk."""
    reads = record['phase'] == 'inspect' or (
        record['phase'] == 'write' and
        (record['done'] < record['total'] or not record['total']))
    return record['bottleneck'] if reads else 'disk'


def _percent(done: int, total: int) -> float | None:
    """With one decimal, 100 only at the end; None when nobody knows."""
    if not total:
        return None
    return min(done * 1000 // total, 1000) / 10


def _number(value: typing.Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0
    if not math.isfinite(value) or abs(value) >= 1 << 63:
        return 0
    return max(value, 0)


def _now() -> datetime.datetime:
    return timeutils.utcnow(with_timezone=True)


def _stamp(moment: datetime.datetime) -> str:
    return moment.isoformat(timespec='seconds')


def _time(stamp: typing.Any, default: datetime.datetime
          ) -> datetime.datetime:
    try:
        return datetime.datetime.fromisoformat(stamp)
    except (TypeError, ValueError):
        return default
