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

"""When the phases of a transfer began, and how fast it was meanwhile."""

from collections.abc import Mapping
import dataclasses
import itertools
import typing

#: Samples that are kept; where there are more, each second one goes.
MOST_SAMPLES = 64
#: Seconds that a sample takes at least, but for the last one.
_LEAST = 0.25
#: Phases that are kept: a transfer has five.
_MOST_PHASES = 16


@dataclasses.dataclass(frozen=True, kw_only=True)
class Phase:
    """A phase of a transfer. Times in seconds.

    :ivar start: since the transfer began.
    """

    name: str
    start: float
    seconds: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sample:
    """Work that was done since the sample before. Sizes in bytes.

    :ivar seconds: from the begin of the transfer to the end of the sample.
    :ivar read: of the file.
    :ivar written: of the disk, with its zeroes.
    :ivar bottleneck: ``network``, ``decode`` or ``disk``.
    """

    seconds: float
    read: int
    written: int
    bottleneck: str


class Mark(typing.NamedTuple):
    """Counts of a transfer at one moment, all since its begin.

    :ivar spent: seconds by the stage that threads spent them on.
    """

    seconds: float
    read: int
    written: int
    spent: Mapping[typing.Any, float]


class Timeline:
    """The phases and the speed of one transfer, in bounded memory."""

    def __init__(self) -> None:
        self._began: list[tuple[str, float]] = []
        self._marks: list[Mark] = []
        self._least = _LEAST

    def enter(self, phase: str, seconds: float) -> None:
        """Note the begin of a phase."""
        if len(self._began) < _MOST_PHASES:
            self._began.append((phase, seconds))

    def add(self, mark: Mark) -> None:
        """Note the counts of a moment, which is not before the last one."""
        marks = self._marks
        if (len(marks) > 1
                and marks[-1].seconds - marks[-2].seconds < self._least):
            marks.pop()
        marks.append(mark)
        if len(marks) > 2 * MOST_SAMPLES:
            del marks[1:-1:2]
            # Those that come are as far apart as those that are left.
            self._least = (mark.seconds - marks[0].seconds) / len(marks)

    def phases(self, end: float) -> tuple[Phase, ...]:
        """The phases so far, the last of which ends now."""
        ends = [start for _, start in self._began[1:]] + [end]
        return tuple(
            Phase(name=name, start=round(start, 3),
                  seconds=round(max(until - start, 0.0), 3))
            for (name, start), until in zip(self._began, ends, strict=True))

    def samples(self, bottleneck: typing.Callable[
            [Mapping[typing.Any, float]], str]) -> tuple[Sample, ...]:
        """The samples so far, the last of which ends at the last mark.

        :param bottleneck: tells it by the seconds of each stage.
        """
        marks = self._marks
        while len(marks) > MOST_SAMPLES + 1:
            marks = [*marks[:-1:2], marks[-1]]
        return tuple(
            Sample(seconds=round(after.seconds, 2),
                   read=after.read - before.read,
                   written=after.written - before.written,
                   bottleneck=bottleneck({
                       stage: spent - before.spent.get(stage, 0.0)
                       for stage, spent in after.spent.items()}))
            for before, after in itertools.pairwise(marks))
