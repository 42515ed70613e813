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

"""When the parts of a deployment began, as driver_internal_info shows it."""

from collections.abc import Mapping
import datetime
import enum
import typing

KEY = 'timeline'


class Event(enum.StrEnum):
    """Moment of a deployment, in the sequence in which they come."""

    BEGUN = 'begun'
    ACCEPTED = 'accepted'
    POWER = 'power-on'
    RAMDISK = 'ramdisk'
    AGENT = 'agent'
    WRITE = 'write'
    WRITTEN = 'written'
    BOOT = 'boot'
    DONE = 'done'


def now() -> str:
    """The time as it is kept: ISO 8601, UTC, with milliseconds."""
    return datetime.datetime.now(datetime.UTC).isoformat(
        timespec='milliseconds')


def marked(kept: Mapping[str, typing.Any], **moments: str
           ) -> dict[str, typing.Any]:
    """The record of a deployment, with these moments.

    :param kept: the value of ``imagedeploy`` in driver_internal_info.
    :param moments: times by the name of the event.
    """
    return {**kept, KEY: {**_mapping(kept.get(KEY)), **moments}}


def times(kept: Mapping[str, typing.Any]) -> dict[Event, datetime.datetime]:
    """The moments that are kept, without those that are none."""
    found = {}
    for event in Event:
        moment = time(_mapping(kept.get(KEY)).get(event))
        if moment:
            found[event] = moment
    return found


def time(stamp: typing.Any) -> datetime.datetime | None:
    """The time in ISO 8601; None for everything else."""
    try:
        moment = datetime.datetime.fromisoformat(stamp)
        # Without a zone it is UTC, as all times of Ironic.
        return (moment.astimezone(datetime.UTC) if moment.tzinfo
                else moment.replace(tzinfo=datetime.UTC))
    except (TypeError, ValueError, OverflowError):
        return None


def _mapping(value: typing.Any) -> Mapping[str, typing.Any]:
    return value if isinstance(value, Mapping) else {}
