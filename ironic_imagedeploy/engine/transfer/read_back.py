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

"""Does the disk hold the image? Read back past the page cache."""

from array import array
from collections.abc import Iterator
import hashlib
import threading

from ironic_imagedeploy.engine.targets import base as targets
from ironic_imagedeploy.engine.transfer import memory
from ironic_imagedeploy.engine.transfer import meter as _meter

MODES = ('none', 'sample', 'full')
#: One write of so many is read back by ``sample``.
_SAMPLE = 16
_DIGEST = 8
#: Bytes of zeroes compared at once.
_STEP = 1 << 20


class Ledger:
    """Remembers by digest what was written where.

    :param mode: ``none``, ``sample`` or ``full``.
    """

    def __init__(self, mode: str) -> None:
        self._every = {'none': 0, 'sample': _SAMPLE, 'full': 1}[mode]
        self._lock = threading.Lock()
        self._starts = array('Q')
        self._lengths = array('Q')
        self._digests = bytearray()
        # Starts and ends in turn.
        self._zeroes = array('Q')
        self._count = 0

    def note(self, start: int, view: memoryview) -> None:
        """These bytes were written at that offset of the disk."""
        if not self._every:
            return
        with self._lock:
            self._count += 1
            if self._count % self._every:
                return
        digest = _digest(view)
        with self._lock:
            self._starts.append(start)
            self._lengths.append(len(view))
            self._digests += digest

    def note_zero(self, start: int, length: int) -> None:
        """That range of the disk was zeroed."""
        if self._every:
            with self._lock:
                self._zeroes.extend((start, start + length))

    @property
    def total(self) -> int:
        """Bytes that :meth:`verify` will read."""
        return sum(self._lengths) + sum(
            length for _, length in self._zero_steps())

    def verify(self, target: targets.Target, meter: _meter.Meter) -> None:
        """Compare the disk with what was noted.

        :raises ReadBackMismatch: at the first difference.
        """
        if self._every:
            target.drop_cache()
        for index, start in enumerate(self._starts):
            digest = self._digests[index * _DIGEST:(index + 1) * _DIGEST]
            if _digest(target.read(start, self._lengths[index])) != digest:
                raise target.mismatch(start, self._lengths[index])
            meter.advance(self._lengths[index])
        for start, length in self._zero_steps():
            verify_zero(target, start, length)
            meter.advance(length)

    def _zero_steps(self) -> Iterator[tuple[int, int]]:
        """Starts and lengths of the zeroes to read."""
        for start, end in zip(self._zeroes[::2], self._zeroes[1::2],
                              strict=True):
            for at in range(start, end, _STEP * self._every):
                yield at, min(_STEP, end - at)


class Comparison:
    """A sink that compares the disk with what it is given.

    :param target: the disk; nothing is written to it.
    """

    def __init__(self, target: targets.Target, meter: _meter.Meter) -> None:
        self._target = target
        self._meter = meter

    def write(self, start: int, view: memoryview) -> None:
        """The disk holds these bytes at that offset."""
        with self._meter.spend(_meter.Stage.DISK):
            found = self._target.read(start, len(view))
        if not memory.equal(found, view):
            raise self._target.mismatch(start, len(view))
        self._meter.count(written=len(view))

    def zero(self, start: int, length: int) -> None:
        """The disk holds zeroes in that range."""
        for at in range(start, start + length, _STEP):
            step = min(_STEP, start + length - at)
            with self._meter.spend(_meter.Stage.DISK):
                verify_zero(self._target, at, step)
            self._meter.count(zeroed=step)


def verify_zero(target: targets.Target, start: int, length: int) -> None:
    """The range, of a MiB at most, holds zeroes.

    :raises ReadBackMismatch: when it does not.
    """
    if not memory.is_zero(target.read(start, length)):
        raise target.mismatch(start, length)


def _digest(view: memoryview) -> bytes:
    return hashlib.blake2b(view, digest_size=_DIGEST).digest()
