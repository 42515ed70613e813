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

"""A bound on the work of one look at an image.

Whatever an image, a table in it or a server says, a look at it ends: each
reader draws from one budget before it works. What is drawn is counted, so
that a verdict depends on the image and not on the load of the machine.
"""

import time

from ironic_imagedeploy.engine import exceptions

#: Bytes that are read from the file, or decoded. The tables of a full disk of
#: 1 TiB have 128 MiB in qcow2.
BYTES = 256 << 20
#: Steps of up to a microsecond: an entry of a table, a name in a directory, an
#: extent. Tables that go on as they begin cost a fraction of that.
ENTRIES = 3 << 19
#: Seconds of this thread's processor, where a count is off the mark. Far from
#: what counts as much on a slow machine.
SECONDS = 20.0
#: Entries that a read costs, from a file and from elsewhere: a request takes
#: some half a millisecond of a processor.
LOCAL_READ = 4
REMOTE_READ = 700
#: Entries between two looks at the clock.
_CLOCK = 4096
#: How many times as much a look may take that a write follows: the write of
#: such an image takes hours, and nobody else waits.
_BEFORE_WRITE = 8


class Budget:
    """Work that a look at an image may still take.

    It belongs to the thread that made it.

    :param bytes: that may be read and decoded.
    :param entries: steps that readers may take.
    :param seconds: of processor time, as a backstop.
    """

    def __init__(self, *, bytes: int = BYTES, entries: int = ENTRIES,
                 seconds: float = SECONDS) -> None:
        self._bytes = self._all_bytes = bytes
        self._entries = self._all_entries = entries
        self._seconds = seconds
        self._local_reads = 0
        self._begin = time.thread_time()
        self._clock = entries - _CLOCK

    @classmethod
    def before_write(cls) -> 'Budget':
        """The budget of a look by who writes the image next."""
        return cls(bytes=_BEFORE_WRITE * BYTES,
                   entries=_BEFORE_WRITE * ENTRIES,
                   seconds=_BEFORE_WRITE * SECONDS)

    def draw(self, entries: int, bytes: int = 0) -> None:
        """Take what the next step costs.

        :raises TooComplex: when that is more than is left.
        """
        self._entries -= entries
        self._bytes -= bytes
        if self._entries < 0:
            raise exceptions.TooComplex(
                expected=f'{self._all_entries} steps at most', found='more')
        if self._bytes < 0:
            raise exceptions.TooComplex(
                expected=f'{self._all_bytes} bytes of tables at most',
                found='more')
        if self._entries < self._clock:
            self._clock = self._entries - _CLOCK
            self._look_at_the_clock()

    def draw_read(self, length: int, *, local: bool) -> None:
        """Take what a read of the file costs.

        :param length: bytes.
        :raises TooComplex: when that is more than is left.
        """
        self.draw(LOCAL_READ if local else REMOTE_READ, length)
        self._local_reads += local

    @property
    def is_unusual(self) -> bool:
        """Whether more was drawn than a look takes that no write follows.

        A file that is here now will be on a server then.
        """
        entries = self._all_entries - self._entries + self._local_reads * (
            REMOTE_READ - LOCAL_READ)
        return entries > ENTRIES or self._all_bytes - self._bytes > BYTES

    def _look_at_the_clock(self) -> None:
        if time.thread_time() - self._begin > self._seconds:
            raise exceptions.TooComplex(
                expected=f'{self._seconds:g} seconds of a processor at most',
                found='more')
