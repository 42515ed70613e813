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

"""Which deployments were slow beside others like them, and at what."""

import collections
from collections.abc import Iterator
from collections.abc import Sequence
import dataclasses
import statistics

from ironic_imagedeploy.cmd import outcomes

#: Deployments that make a median worth something.
_LEAST_PEERS = 3
#: Slow is so many times the median, and so many seconds more.
_TIMES = 1.5
_SECONDS = 10.0

_OF_WRITE = ('scan', 'write', 'zero', 'read-back', 'finish')
_BY_BOTTLENECK = {'network': 'its network', 'decode': 'its processor',
                  'disk': 'its disk'}
_BY_PART = {
    'check': 'the conductor, which had to fetch the image',
    'prepare': 'its network or boot device, which took long to be set up',
    'power on': 'its BMC', 'ramdisk': 'its firmware, or the ramdisk',
    'agent': 'its agent', 'inspect': 'the look at the image',
    'read-back': 'its disk', 'finish': 'its disk',
    'boot': 'the change to the deployed system',
    'hand-over': 'the conductor, which heard of the end late'}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Verdict:
    """A deployment beside others of the same image on the same machines.

    :ivar median: seconds of the others and itself; 0 with too few of them.
    :ivar slow_at: what it was slow at, in words; empty when it was not slow.
    """

    outcome: outcomes.Outcome
    median: float = 0.0
    slow_at: str = ''

    @property
    def times(self) -> float:
        """How many times the median it took; 0 where there is none."""
        return self.outcome.seconds / self.median if self.median else 0.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Group:
    """Deployments of one image on one kind of machine, slow ones first."""

    image: str
    kind: str
    median: float
    verdicts: Sequence[Verdict]


def groups(found: Sequence[outcomes.Outcome]) -> list[Group]:
    """The deployments that went well, by image and kind of machine."""
    alike: dict[tuple[str, str], list[outcomes.Outcome]] = (
        collections.defaultdict(list))
    for outcome in found:
        if not outcome.failed and outcome.seconds:
            alike[outcome.image, outcome.kind].append(outcome)
    return sorted((_group(members) for members in alike.values()),
                  key=lambda group: -len(group.verdicts))


def slow(found: Sequence[Group]) -> Iterator[Verdict]:
    """The slow ones of all groups, the slowest first."""
    yield from sorted((verdict for group in found
                       for verdict in group.verdicts if verdict.slow_at),
                      key=lambda verdict: -verdict.times)


def _group(members: Sequence[outcomes.Outcome]) -> Group:
    median = 0.0
    usual: dict[str, float] = {}
    if len(members) >= _LEAST_PEERS:
        median = statistics.median(each.seconds for each in members)
        spent = [each.spent() for each in members]
        usual = {name: statistics.median(
            parts.get(name, 0.0) for parts in spent)
            for name in {name for parts in spent for name in parts}}
    verdicts = [Verdict(outcome=each, median=median,
                        slow_at=_slow_at(each, median, usual))
                for each in members]
    verdicts.sort(key=lambda verdict: -verdict.outcome.seconds)
    first = members[0]
    return Group(image=str(first.report.get('source', '')), kind=first.kind,
                 median=median, verdicts=verdicts)


def _slow_at(outcome: outcomes.Outcome, median: float,
             usual: dict[str, float]) -> str:
    """The part of a slow deployment that took most beyond its median."""
    if not median or outcome.seconds < max(_TIMES * median,
                                           median + _SECONDS):
        return ''
    spent = outcome.spent()
    worst = max(spent, key=lambda name: spent[name] - usual.get(name, 0.0),
                default='')
    if worst in _OF_WRITE:
        return _BY_BOTTLENECK.get(
            str(outcome.report.get('bottleneck')), 'its write')
    return _BY_PART.get(worst, worst or 'something that nobody measured')
