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


"""Small writes to the disk, joined."""

import mmap
import typing

from ironic_imagedeploy.engine import memory

#: Bytes of the disk that are gathered for one write.
_GATHER = 1 << 20
#: From this size on bytes are written from where they are, or zeroed.
_LARGE = 256 << 10


class Sink(typing.Protocol):
    """Takes the bytes of the disk, from several threads, in any sequence.

    :ivar zero_step: bytes of zeroes that it takes by one call at most.
    """

    zero_step: int

    def write(self, start: int, view: memoryview) -> None:
        """Take bytes for that offset of the disk."""

    def zero(self, start: int, length: int) -> None:
        """Take zeroes for that range of the disk."""


class Gather:
    """Small neighbours, joined into one write from aligned memory.

    :param sink: takes what is written.
    """

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._memory = memoryview(mmap.mmap(-1, _GATHER))
        self._start = 0
        self._length = 0

    def put(self, start: int, view: memoryview) -> None:
        """Add bytes for that offset; many at once go on their own."""
        at, length = self._length, len(view)
        if start != self._start + at or at + length > _GATHER:
            self.flush()
            self._start, at = start, 0
        if length >= _LARGE:
            self.flush()
            # Zeroing is as sure as writing zeroes, and often faster.
            if memory.is_zero(view):
                self._sink.zero(start, len(view))
            else:
                self._sink.write(start, view)
            return
        self._length = at + length
        self._memory[at:self._length] = view

    def flush(self) -> None:
        """Write the bytes that were gathered."""
        if self._length:
            self._sink.write(self._start, self._memory[:self._length])
            self._length = 0
