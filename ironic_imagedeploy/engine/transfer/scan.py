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

"""Looks at a target by all processors, to learn what it holds already."""

from collections.abc import Iterable
import mmap
import threading
import typing

from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.targets import base as targets
from ironic_imagedeploy.engine.transfer import meter as _meter
from ironic_imagedeploy.engine.transfer import threads as _threads

#: Reads that may fail before the target is not looked at any more: a dying
#: disk takes its time for each.
_FAILURES = 4
#: Threads for each processor: one of two waits for the disk.
_EACH = 2


class Look(typing.Protocol):
    """A look at some ranges of the target."""

    @property
    def index(self) -> int:
        """Number of what is there when :meth:`is_there` says so."""

    @property
    def length(self) -> int:
        """Bytes of the target that it reads."""

    def is_there(self, target: targets.Target, memory: memoryview) -> bool:
        """Whether the target holds it.

        :param memory: to read into.
        :raises TargetError: when the target cannot be read.
        """


def present(target: targets.Target, looks: Iterable[Look], *,
            memory_size: int, meter: _meter.Meter,
            workers: int | None = None) -> set[int]:
    """Indexes of the looks that found what they look for.

    A sector that cannot be read holds nothing: it will be written.

    :param looks: taken one by one, when a thread is free.
    :param memory_size: bytes of memory that a look needs at most.
    :param workers: threads; two a processor by default.
    """
    return _Scan(target, looks, memory_size, meter).run(
        workers or _threads.count(_EACH))


class _Scan:
    """The threads of one scan."""

    def __init__(self, target: targets.Target, looks: Iterable[Look],
                 memory_size: int, meter: _meter.Meter) -> None:
        self._target = target
        self._looks = iter(looks)
        self._memory_size = memory_size
        self._meter = meter
        self._lock = threading.Lock()
        self._found: set[int] = set()
        self._failures = 0
        self._error: BaseException | None = None

    def run(self, workers: int) -> set[int]:
        """Indexes of the chunks that are there.

        :raises BaseException: the first one of any thread.
        """
        threads = list[threading.Thread]()
        try:
            for _ in range(workers):
                thread = threading.Thread(target=self._guarded, name='scan',
                                          daemon=True)
                _threads.start(thread)
                threads.append(thread)
            for thread in threads:
                while thread.is_alive():
                    thread.join(_meter.TICK)
                    self._meter.tick()
        except BaseException as error:
            self._stop(error)
        for thread in threads:
            thread.join()
        if self._error:
            raise self._error
        # The last thread may have ended between two looks.
        self._meter.tick()
        return self._found

    def _stop(self, error: BaseException) -> None:
        with self._lock:
            self._error = self._error or error

    def _guarded(self) -> None:
        try:
            self._work()
        except BaseException as error:
            self._stop(error)

    def _work(self) -> None:
        memory = memoryview(mmap.mmap(-1, self._memory_size))
        while (look := self._next()) is not None:
            try:
                is_there = look.is_there(self._target, memory)
            except exceptions.TargetError:
                with self._lock:
                    self._failures += 1
                continue
            self._meter.advance(data=look.length)
            if is_there:
                with self._lock:
                    self._found.add(look.index)

    def _next(self) -> Look | None:
        with self._lock:
            if self._error or self._failures > _FAILURES:
                return None
            return next(self._looks, None)
