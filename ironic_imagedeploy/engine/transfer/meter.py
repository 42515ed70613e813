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
import contextlib
import enum
import threading
import time
import typing


#: Seconds between two calls.
TICK = 0.5
#: Seconds that a speed is measured over. Zeroes come first and fast: from the
#: beginning on, they would promise an early end for long.
_WINDOW = 15.0


class Stage(enum.StrEnum):
    """Stage of the work, which a thread spends its time on."""

    SOURCE = 'source'
    WAIT = 'wait'
    DECODE = 'decode'
    DISK = 'disk'


class Progress(typing.NamedTuple):
    """How far a transfer is.

    :ivar phase: ``write``, ``read-back``, ``finish`` or ``compare``.
    :ivar done: bytes that are done in this phase.
    :ivar total: bytes that the phase takes: those of the disk for
        ``write`` and ``compare``; 0 while nobody knows how many a file that
        is compressed as a whole will give.
    :ivar bytes_per_second: over the last 15 seconds of this phase.
    :ivar bottleneck: ``network``, ``decode`` or ``disk``.
    """

    phase: str
    done: int
    total: int
    bytes_per_second: float
    bottleneck: str


ProgressCall = Callable[[Progress], None]


class Meter:
    """Counts for one transfer; any thread may add.

    :param total: bytes of the disk.
    :param call: told of the progress by :meth:`enter` and :meth:`tick`.
    :param local: the image comes from a disk, not from the network.
    """

    def __init__(self, total: int, call: ProgressCall | None = None,
                 local: bool = False) -> None:
        self.total = total
        self._local = local
        self._call = call
        self._phase = ''
        self._phase_total = total
        self._phase_done = 0
        self._told = time.monotonic()
        self._marks = collections.deque([(self._told, 0)])
        self.read = 0
        self.written = 0
        self.zeroed = 0
        self._lock = threading.Lock()
        self._seconds = dict.fromkeys(Stage, 0.0)
        self._began = time.monotonic()

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._began

    def count(self, *, read: int = 0, written: int = 0, zeroed: int = 0
              ) -> None:
        """Add bytes."""
        with self._lock:
            self.read += read
            self.written += written
            self.zeroed += zeroed
            self._phase_done += written + zeroed

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
    def bottleneck(self) -> str:
        """Stage that the others waited for."""
        seconds = self._seconds
        if seconds[Stage.SOURCE] >= seconds[Stage.WAIT]:
            return str(Stage.DISK) if self._local else 'network'
        if seconds[Stage.DECODE] >= seconds[Stage.DISK]:
            return str(Stage.DECODE)
        return str(Stage.DISK)

    def enter(self, phase: str, total: int, done: int = 0) -> None:
        """The next phase begins.

        :param total: bytes that it will take.
        :param done: bytes of them that are done already.
        """
        self._phase = phase
        self._phase_total = total
        self._phase_done = done
        self._marks = collections.deque([(time.monotonic(), done)])
        self.tick()

    def advance(self, count: int) -> None:
        """Count bytes of a phase that counts nothing else."""
        self._phase_done += count
        if (self._phase_done >= self._phase_total
                or time.monotonic() - self._told >= TICK):
            self.tick()

    def tick(self) -> None:
        """Tell how far it is now."""
        self._told = time.monotonic()
        if self._call:
            done = self._phase_done
            if self._phase_total:
                done = min(done, self._phase_total)
            self._call(Progress(self._phase, done, self._phase_total,
                                self._speed(done), self.bottleneck))

    def _speed(self, done: int) -> float:
        self._marks.append((self._told, done))
        while self._told - self._marks[1][0] >= _WINDOW:
            self._marks.popleft()
        since, before = self._marks[0]
        return (done - before) / max(self._told - since, 1e-9)
