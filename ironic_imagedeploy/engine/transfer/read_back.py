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

"""Bytes that were written, read back past the page cache."""

from array import array
from collections.abc import Iterator
import hashlib
import threading

from ironic_imagedeploy.engine import choices
from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine import memory
from ironic_imagedeploy.engine.targets import base as targets
from ironic_imagedeploy.engine.transfer import meter as _meter

#: Of so many writes one is read back; of 0 none.
_ONE_OF = dict(zip(choices.READ_BACKS, (0, 16, 1), strict=True))
_DIGEST = 8
#: Bytes of zeroes compared at once.
_STEP = 1 << 20


class WriteLog:
    """Log of the writes to a disk: where, and a digest of the bytes.

    :param mode: ``none``, ``sample`` or ``full``.
    """

    def __init__(self, mode: str) -> None:
        self._one_of = _ONE_OF[mode]
        self._lock = threading.Lock()
        self._starts = array('Q')
        self._lengths = array('Q')
        self._digests = bytearray()
        # Starts and ends in turn.
        self._zeroes = array('Q')
        self._count = 0

    def wrote(self, start: int, view: memoryview) -> None:
        """Log that these bytes were written at that offset of the disk."""
        if not self._one_of:
            return
        with self._lock:
            self._count += 1
            if self._count % self._one_of:
                return
        digest = _digest(view)
        with self._lock:
            self._starts.append(start)
            self._lengths.append(len(view))
            self._digests += digest

    def zeroed(self, start: int, length: int) -> None:
        """Log that this range of the disk was zeroed."""
        if self._one_of:
            with self._lock:
                self._zeroes.extend((start, start + length))

    @property
    def total(self) -> int:
        """Bytes that :meth:`verify` will read."""
        return sum(self._lengths) + sum(
            length for _, length in self._zero_steps())

    def verify(self, target: targets.Target, meter: _meter.Meter) -> None:
        """Compare the disk with the log.

        :raises ReadBackMismatch: at the first difference.
        """
        if not self._one_of:
            return
        for copy in target.copies:
            copy.drop_cache()
        for index, start in enumerate(self._starts):
            digest = self._digests[index * _DIGEST:(index + 1) * _DIGEST]
            for copy in target.copies:
                if _digest(copy.read(start, self._lengths[index])) != digest:
                    raise copy.mismatch(start, self._lengths[index])
            meter.advance(data=self._lengths[index])
            meter.tick_if_due()
        for start, length in self._zero_steps():
            for copy in target.copies:
                verify_zero(copy, start, length)
            meter.advance(data=length)
            meter.tick_if_due()

    def _zero_steps(self) -> Iterator[tuple[int, int]]:
        """Starts and lengths of the zeroes to read."""
        for start, end in zip(self._zeroes[::2], self._zeroes[1::2],
                              strict=True):
            for at in range(start, end, _STEP * self._one_of):
                yield at, min(_STEP, end - at)


def verify_zero(target: targets.Target, start: int, length: int) -> None:
    """Compare a range of the disk, of a MiB at most, with zeroes.

    :raises ReadBackMismatch: when it holds anything else.
    """
    if not memory.is_zero(target.read(start, length)):
        raise target.mismatch(start, length)


def verify_ends(target: targets.Target) -> None:
    """Compare the first and the last MiB of the disk with zeroes.

    :raises TargetError: when one cannot be read, or holds anything else.
    """
    length = min(targets.END, target.size)
    for copy in target.copies:
        copy.drop_cache()
        for start in dict.fromkeys((0, target.size - length)):
            if not memory.is_zero(copy.read(start, length)):
                raise exceptions.TargetError(
                    copy.path, expected=f'zeroes from byte {start} to '
                    f'{start + length - 1}, which it said to have written',
                    found=f'other bytes on {copy.path}',
                    fix='Replace the disk.')


def _digest(view: memoryview) -> bytes:
    return hashlib.blake2b(view, digest_size=_DIGEST).digest()
