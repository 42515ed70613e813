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


"""Where the bytes and the seconds of a transfer go."""

import collections
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import enum
import threading
import time
import typing

from ironic_imagedeploy.engine.transfer import timeline

#: Seconds between two calls.
TICK = 0.5
#: Seconds that a speed is measured over.
_WINDOW = 15.0


class Stage(enum.StrEnum):
    """Work that a thread spends its time on."""

    SOURCE = 'source'
    WAIT = 'wait'
    VERIFY = 'verify'
    DECODE = 'decode'
    DISK = 'disk'


class Progress(typing.NamedTuple):
    """State of a transfer.

    :ivar phase: ``write``, ``zero``, ``read-back``, ``finish`` or
        ``compare``.
    :ivar done: bytes that are done in this phase.
    :ivar total: bytes that the phase takes; 0 when nobody knows. For
        ``write`` and ``compare`` those of the disk that the file stores
        something for: zeroes are made apart, mostly much faster. Of a file
        that is compressed as a whole, its own bytes. ``zero`` are zeroes
        that are left when all else is written.
    :ivar bytes_per_second: over the last 15 seconds of this phase.
    :ivar bottleneck: ``network``, ``decode`` or ``disk``.
    :ivar seconds_left: until the phase ends, with its zeroes; None while
        nobody knows.
    """

    phase: str
    done: int
    total: int
    bytes_per_second: float
    bottleneck: str
    seconds_left: float | None = None


ProgressCall = Callable[[Progress], None]


class _Track:
    """Bytes that are done of a total, and how fast.

    :param total: bytes; 0 when nobody knows.
    :param done: bytes of them that are done already.
    """

    def __init__(self, total: int = 0, done: int = 0) -> None:
        self.total = total
        self._counted = done
        self._marks = collections.deque([(time.monotonic(), done)])
        self._steady = False

    def add(self, count: int) -> None:
        """Add bytes that are done."""
        self._counted += count

    @property
    def done(self) -> int:
        """Bytes that are done, as far as the total goes."""
        return (min(self._counted, self.total) if self.total
                else self._counted)

    @property
    def left(self) -> int:
        """Bytes that are not done."""
        return self.total - self.done if self.total else 0

    def mark(self) -> None:
        """Remember how far it is at this moment.

        Before the first bytes nothing is measured, and the first ones may
        have waited somewhere to come all at once.
        """
        now = time.monotonic()
        if not self._steady:
            self._steady = len(self._marks) == 2
            if self._steady or self._marks[0][1] == self.done:
                self._marks.popleft()
        self._marks.append((now, self.done))
        while (len(self._marks) > 2
               and now - self._marks[1][0] >= _WINDOW):
            self._marks.popleft()

    @property
    def speed(self) -> float:
        """Bytes a second until the last mark."""
        (since, before), (now, done) = self._marks[0], self._marks[-1]
        return (done - before) / max(now - since, 1e-9)

    @property
    def seconds_left(self) -> float | None:
        """Seconds until all is done; None when that cannot be told."""
        if not self.left:
            return 0.0 if self.total else None
        return self.left / self.speed if self.speed > 0 else None


class Meter:
    """Counts for one transfer; any thread may add.

    :param call: told of the progress by :meth:`enter` and :meth:`tick`.
    :param local: the image comes from a disk, not from the network.
    :ivar read: bytes of the file.
    :ivar written: bytes of the disk that were written, or held.
    :ivar zeroed: bytes of the disk that were zeroed.
    """

    def __init__(self, call: ProgressCall | None = None,
                 local: bool = False) -> None:
        self._local = local
        self._call = call
        self._phase = ''
        self._told = self._began = time.monotonic()
        self._main = _Track()
        self._file = _Track()
        self._zeroes = _Track()
        self.read = 0
        self.written = 0
        self.zeroed = 0
        self._lock = threading.Lock()
        self._seconds = dict.fromkeys(Stage, 0.0)
        self._timeline = timeline.Timeline()
        self._mark()

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._began

    def count(self, *, read: int = 0, written: int = 0, zeroed: int = 0
              ) -> None:
        """Add bytes, for the report."""
        with self._lock:
            self.read += read
            self.written += written
            self.zeroed += zeroed
            self._file.add(read)

    def advance(self, *, data: int = 0, zeroes: int = 0) -> None:
        """Add bytes of the phase that are done.

        :param zeroes: those that the file stores nothing for.
        """
        with self._lock:
            self._main.add(data)
            self._zeroes.add(zeroes)

    @contextlib.contextmanager
    def spend(self, stage: Stage) -> Iterator[None]:
        """Count the seconds inside."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.spent(stage, time.monotonic() - began)

    def spent(self, stage: Stage, seconds: float) -> None:
        """Add seconds, where :meth:`spend` would cost too many of them."""
        with self._lock:
            self._seconds[stage] += seconds

    @property
    def _waits_for_source(self) -> bool:
        return _waits_for_source(self._seconds)

    @property
    def bottleneck(self) -> str:
        """The stage that the others waited for."""
        return self._bottleneck(self._seconds)

    def _bottleneck(self, seconds: Mapping[Stage, float]) -> str:
        if _waits_for_source(seconds):
            return str(Stage.DISK) if self._local else 'network'
        if (seconds[Stage.DECODE] + seconds[Stage.VERIFY]
                >= seconds[Stage.DISK]):
            return str(Stage.DECODE)
        return str(Stage.DISK)

    def phases(self) -> tuple[timeline.Phase, ...]:
        """The phases until now."""
        return self._timeline.phases(self.elapsed)

    def samples(self) -> tuple[timeline.Sample, ...]:
        """How much was done when, until now."""
        self._mark()
        return self._timeline.samples(self._bottleneck)

    def _mark(self) -> None:
        with self._lock:
            self._timeline.add(timeline.Mark(
                self.elapsed, self.read, self.written + self.zeroed,
                dict(self._seconds)))

    def enter(self, phase: str, total: int, done: int = 0) -> None:
        """Begin the next phase.

        :param total: bytes that it will take.
        :param done: bytes of them that are done already.
        """
        self._begin(phase, _Track(total, done), _Track(), _Track())

    def enter_pass(self, phase: str, *, file: int, data: int | None,
                   zeroes: int = 0) -> None:
        """Begin a phase in which all of the file goes by.

        :param file: bytes of the file.
        :param data: bytes of the disk that it stores; None when they show
            only at its end, so that those of the file are told instead.
        :param zeroes: bytes of the disk that it stores nothing for.
        """
        track = _Track(file)
        self._begin(phase, track if data is None else _Track(data), track,
                    _Track(zeroes))

    def tick_if_due(self) -> None:
        """Tell how far it is when that was long ago, or all is done."""
        if (not self._main.left
                or time.monotonic() - self._told >= TICK):
            self.tick()

    def tick(self) -> None:
        """Tell how far it is now."""
        self._told = time.monotonic()
        self._mark()
        for track in {self._main, self._file, self._zeroes}:
            track.mark()
        if not self._call:
            return
        phase, shown = self._phase, self._main
        if self._zeroes.left and not shown.left:
            # A comparison zeroes nothing.
            phase = 'zero' if phase == 'write' else phase
            shown = self._zeroes
        self._call(Progress(phase, shown.done, shown.total, shown.speed,
                            self.bottleneck, self._seconds_left()))

    def _begin(self, phase: str, main: _Track, file: _Track, zeroes: _Track
               ) -> None:
        with self._lock:
            self._timeline.enter(phase, self.elapsed)
            self._phase = phase
            self._main, self._file, self._zeroes = main, file, zeroes
        self.tick()

    def _seconds_left(self) -> float | None:
        """Seconds until the slower one of the data and the zeroes is done.

        What the source brings is known by the bytes of the file: those of
        the disk may be stored in many times fewer.
        """
        track = self._main
        if self._file.left and self._waits_for_source:
            track = self._file
        seconds = [each.seconds_left for each in (track, self._zeroes)
                   if each.total]
        known = [left for left in seconds if left is not None]
        return max(known) if known and len(known) == len(seconds) else None


def _waits_for_source(seconds: Mapping[Stage, float]) -> bool:
    return (seconds[Stage.SOURCE]
            >= seconds[Stage.WAIT] + seconds[Stage.VERIFY])
