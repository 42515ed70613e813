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

"""Sinks: what takes the bytes of the disk out of the pipeline."""

import bisect
from collections.abc import Iterator
from collections.abc import Sequence

from ironic_imagedeploy.engine import bmap
from ironic_imagedeploy.engine import memory
from ironic_imagedeploy.engine.targets import base as targets
from ironic_imagedeploy.engine.transfer import gather
from ironic_imagedeploy.engine.transfer import held_ends
from ironic_imagedeploy.engine.transfer import journal as journals
from ironic_imagedeploy.engine.transfer import meter as _meter
from ironic_imagedeploy.engine.transfer import read_back

Stage = _meter.Stage

#: Bytes that are zeroed at once: a stop is not waited for too long.
_ZEROED = 256 << 20
#: Bytes of zeroes that are compared before the progress shows it.
_COMPARED = 16 << 20
#: Bytes of zeroes compared at once.
_STEP = 1 << 20


class WritingSink:
    """Writes the disk but for its ends, which are held.

    :param log: is told of every write.
    :param journal: is told of it for the next attempt.
    """

    zero_step = _ZEROED

    def __init__(self, target: targets.Target, held: held_ends.HeldEnds,
                 log: read_back.WriteLog, meter: _meter.Meter,
                 journal: journals.Journal | None = None) -> None:
        self._target = target
        self._held = held
        self._log = log
        self._meter = meter
        self._journal = journal

    def write(self, start: int, view: memoryview) -> None:
        """Write the bytes at that offset, or hold them."""
        length = len(view)
        start, view = self._held.keep(start, view)
        if view:
            with self._meter.spend(Stage.DISK):
                self._target.write(start, view)
            self._log.wrote(start, view)
            if self._journal:
                self._journal.wrote(start, view)
        self._meter.count(written=length)

    def zero(self, start: int, length: int) -> None:
        """Zero that range, but for what is held: it was wiped."""
        low = max(start, self._held.low)
        high = min(start + length, self._held.high)
        if low < high:
            with self._meter.spend(Stage.DISK):
                self._target.zero(low, high - low)
            self._log.zeroed(low, high - low)
            if self._journal:
                self._journal.zeroed(low, high - low)
        self._meter.count(zeroed=length)


class ComparingSink:
    """Compares the disk; nothing is written.

    :param target: the disk.
    """

    zero_step = _COMPARED

    def __init__(self, target: targets.Target, meter: _meter.Meter) -> None:
        self._target = target
        self._meter = meter

    def write(self, start: int, view: memoryview) -> None:
        """Compare the disk at that offset with these bytes.

        :raises ReadBackMismatch: when it holds others.
        """
        with self._meter.spend(Stage.DISK):
            found = self._target.read(start, len(view))
        if not memory.equal(found, view):
            raise self._target.mismatch(start, len(view))
        self._meter.count(written=len(view))

    def zero(self, start: int, length: int) -> None:
        """Compare that range of the disk with zeroes.

        :raises ReadBackMismatch: when it holds anything else.
        """
        for at in range(start, start + length, _STEP):
            step = min(_STEP, start + length - at)
            with self._meter.spend(Stage.DISK):
                read_back.verify_zero(self._target, at, step)
            self._meter.count(zeroed=step)


class ListedSink:
    """Passes on what is listed; the rest of the disk stays as it is.

    :param ranges: in the sequence of the disk, apart from each other.
    """

    def __init__(self, sink: gather.Sink, ranges: Sequence[bmap.Range]
                 ) -> None:
        self.zero_step = sink.zero_step
        self._sink = sink
        self._ranges = ranges
        self._ends = [listed.end for listed in ranges]

    def write(self, start: int, view: memoryview) -> None:
        """Write the bytes that are listed."""
        for low, high in self._listed(start, start + len(view)):
            self._sink.write(low, view[low - start:high - start])

    def zero(self, start: int, length: int) -> None:
        """Zero what is listed of that range."""
        for low, high in self._listed(start, start + length):
            self._sink.zero(low, high - low)

    def _listed(self, start: int, end: int
                ) -> Iterator[tuple[int, int]]:
        index = bisect.bisect_right(self._ends, start)
        while index < len(self._ranges) and self._ranges[index].start < end:
            listed = self._ranges[index]
            yield max(listed.start, start), min(listed.end, end)
            index += 1
