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

"""The figures of a run."""

import dataclasses
import statistics
import typing

from benchmarks import measurement
from benchmarks import table

OURS = 'ironic-imagedeploy'
NODE = 'ironic-python-agent'
CONVERTING = 'direct, converting'
#: How many times as fast as Ironic's node code.
SPEED_GOALS = {'qcow2-zlib': 3.2, 'qcow2-zstd': 2.8, 'qcow2-plain': 3.4,
               'raw': 7.0}
#: How many times as fast as direct with its defaults, for the first node.
FIRST_NODE_GOAL = 4.0
#: The part of our time that the bound takes.
BOUND_GOAL = 0.85
#: Bytes of memory.
PEAK_GOAL = 128 * table.MIB


@dataclasses.dataclass
class Row:
    """What one contender did with one image. Sizes in bytes.

    :ivar stored: of the image, kept in the memory of the ramdisk.
    :ivar fetched: from the web server.
    :ivar written: to the device.
    :ivar zeroed: on the device by request, without being sent.
    :ivar identical: the disk was what the image says.
    """

    name: str
    copies: bool
    runs: list[measurement.Measurement] = dataclasses.field(
        default_factory=list)
    stored: int = 0
    fetched: int = 0
    written: int = 0
    zeroed: int = 0
    identical: bool | None = None

    @property
    def seconds(self) -> float:
        """The median."""
        return statistics.median([run.seconds for run in self.runs])

    @property
    def processor(self) -> float:
        """Median of the seconds of processor time."""
        return statistics.median(run.processor for run in self.runs)

    @property
    def machine(self) -> float:
        """Median of the seconds that the processors of the machine worked."""
        return statistics.median(run.machine for run in self.runs)

    @property
    def peak(self) -> int:
        """The largest."""
        return max(run.peak for run in self.runs)

    @property
    def inside(self) -> float | None:
        """Median of the seconds in our report, without the start-up."""
        reports = [run.said['report']['seconds'] for run in self.runs
                   if 'report' in run.said]
        return statistics.median(reports) if reports else None

    def to_dict(self) -> dict[str, typing.Any]:
        """For JSON."""
        return {
            'name': self.name, 'seconds': round(self.seconds, 3),
            'runs': [round(run.seconds, 3) for run in self.runs],
            'processor': round(self.processor, 3),
            'machine': round(self.machine, 3),
            'peak': self.peak, 'stored': self.stored,
            'fetched': self.fetched, 'written': self.written,
            'zeroed': self.zeroed, 'identical': self.identical,
            'said': [run.said for run in self.runs]}


@dataclasses.dataclass
class Result:
    """All that was measured with one image.

    :ivar disk: what it was written to.
    :ivar processors: how many the machine has.
    """

    image: str
    virtual_size: int
    stored_size: int
    disk: str
    processors: int
    rows: list[Row] = dataclasses.field(default_factory=list)

    @property
    def ours(self) -> Row:
        """That of this package."""
        return next(row for row in self.rows if row.name == OURS)

    @property
    def node(self) -> Row | None:
        """That of Ironic's node code, where it can write the image."""
        return next((row for row in self.rows if row.name == NODE), None)

    @property
    def faster_first(self) -> float | None:
        """How many times as fast as direct, for the first node."""
        return next((self.ratio(row) for row in self.rows
                     if row.name == CONVERTING), None)

    def ratio(self, row: Row) -> float:
        """How many times as long as ours it takes.

        The median of the ratios within those rounds in which both ran.
        """
        return statistics.median(
            theirs.seconds / ours.seconds for theirs, ours
            in zip(row.runs, self.ours.runs, strict=False))

    @property
    def faster(self) -> float | None:
        """How many times as fast as Ironic's node code we are."""
        return self.ratio(self.node) if self.node else None

    @property
    def bound(self) -> Row:
        """The part of the work that takes longest on its own."""
        return max((row for row in self.rows if not row.copies),
                   key=lambda row: row.seconds)

    @property
    def of_bound(self) -> float:
        """The bound as a part of our time."""
        return self.ratio(self.bound)

    @property
    def work(self) -> float:
        """Seconds of processor time of the parts together."""
        return sum(row.processor for row in self.rows if not row.copies)

    @property
    def of_work(self) -> float:
        """That, shared by the processors, as a part of our time."""
        return self.work / self.processors / self.ours.seconds

    @property
    def busy(self) -> float:
        """Processors that we used, of all in the machine, as a part."""
        return (self.ours.processor / self.processors
                / self.ours.seconds)

    @property
    def within_reach(self) -> float | None:
        """How many times as fast we would be if no processor ever waited.

        With the same work: ours, that of the server and of the kernel.
        """
        if self.faster is None:
            return None
        return (self.faster * self.ours.seconds
                / (self.ours.machine / self.processors))

    def to_dict(self) -> dict[str, typing.Any]:
        """For JSON."""
        return {
            'image': self.image, 'virtual_size': self.virtual_size,
            'stored_size': self.stored_size, 'disk': self.disk,
            'seconds': round(self.ours.seconds, 3),
            'faster_than_node': self.faster and round(self.faster, 3),
            'faster_first': self.faster_first and round(
                self.faster_first, 3),
            'of_bound': round(self.of_bound, 3),
            'bound': self.bound.name,
            'of_work': round(self.of_work, 3), 'work': round(self.work, 3),
            'busy': round(self.busy, 3),
            'within_reach': self.within_reach and round(
                self.within_reach, 3),
            'peak': self.ours.peak,
            'goals': {'faster_than_node': SPEED_GOALS.get(self.image),
                      'faster_first': FIRST_NODE_GOAL,
                      'of_bound': BOUND_GOAL, 'peak': PEAK_GOAL},
            'ratios': {row.name: round(self.ratio(row), 3)
                       for row in self.rows},
            'rows': [row.to_dict() for row in self.rows]}
