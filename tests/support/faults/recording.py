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

"""Recordings of what reached a disk."""

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
import functools
import heapq
import mmap
import pathlib
import typing

from tests.support.faults import fuse_file

_ZEROES = memoryview(bytes(1 << 20))


class Write(typing.NamedTuple):
    """Bytes for a place of a disk; zeroes and discards as such bytes."""

    start: int
    content: memoryview

    @property
    def end(self) -> int:
        """The byte after the last one."""
        return self.start + len(self.content)

    def part(self, start: int, end: int) -> 'Write':
        """Those bytes of it, counted from its first one."""
        return Write(self.start + start, self.content[start:end])


class Record(typing.NamedTuple):
    """One thing that reached a disk.

    :ivar time: nanoseconds of a clock that all disks share.
    :ivar kind: as in :data:`.fuse_file.RECORD`.
    """

    time: int
    kind: bytes
    start: int
    length: int
    content: memoryview

    def writes(self, begin: int) -> list[Write]:
        """The bytes that it leaves on a disk that begins there."""
        start = begin + self.start
        if self.kind == b'W':
            return [Write(start, self.content)]
        end = start + self.length
        return [Write(at, _ZEROES[:min(len(_ZEROES), end - at)])
                for at in range(start, end, len(_ZEROES))]


class Epoch(typing.NamedTuple):
    """What is written until a flush, in its sequence.

    :ivar name: the last mark before its end.
    :ivar writes: all of which any may be on the medium until then.
    :ivar flushed: those of them that are on it from then on: all, unless
        another disk was flushed.
    """

    name: str
    writes: list[Write]
    flushed: list[Write]


class Recording:
    """A log of :mod:`.fuse_file`.

    :param path: of the log.
    :param first: epoch that it begins with.
    """

    def __init__(self, path: pathlib.Path, first: int = 0) -> None:
        self._path = path
        self._first = first
        with path.open('rb') as file:
            self._log = memoryview(
                mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
                if path.stat().st_size else b'')

    @functools.cached_property
    def epochs(self) -> list[Epoch]:
        """All of it, cut at the flushes; the last one may have no flush."""
        return _epochs((0, 0, record) for record in self.records())[
            self._first:]

    def since(self, epoch: int) -> 'Recording':
        """What came after so many epochs."""
        return Recording(self._path, epoch)

    @property
    def kinds(self) -> str:
        """A letter for each record, but marks."""
        return ''.join(record.kind.decode() for record in self.records()
                       if record.kind != b'M')

    def records(self) -> Iterator[Record]:
        """All records, in their sequence."""
        at = 0
        while at < len(self._log):
            kind, start, length, when = fuse_file.RECORD.unpack_from(
                self._log, at)
            at += fuse_file.RECORD.size
            size = length if kind in b'WM' else 0
            yield Record(when, kind, start, length, self._log[at:at + size])
            at += size


class JointRecording:
    """What reached several disks, as if they were one, in a row.

    :param size: bytes of each disk.
    """

    def __init__(self, recordings: Sequence[Recording], size: int) -> None:
        self._recordings = recordings
        self._size = size

    @functools.cached_property
    def epochs(self) -> list[Epoch]:
        """All of it, cut where any disk is flushed."""
        return _epochs(heapq.merge(*(
            [(disk, disk * self._size, record) for record in made.records()]
            for disk, made in enumerate(self._recordings)),
            key=lambda each: each[2].time))


def _epochs(records: Iterable[tuple[int, int, Record]]) -> list[Epoch]:
    """Cut records at the flushes; each has its disk, and where that begins."""
    found, pending, name = [], list[tuple[int, Write]](), ''
    for disk, begin, record in records:
        if record.kind == b'M':
            name = bytes(record.content).decode()
        elif record.kind == b'F':
            flushed = [write for of, write in pending if of == disk]
            if flushed:
                found.append(Epoch(
                    name, [write for _, write in pending], flushed))
                pending = [each for each in pending if each[0] != disk]
        else:
            pending += [(disk, write) for write in record.writes(begin)]
    if pending:
        left = [write for _, write in pending]
        found.append(Epoch(name, left, left))
    return found
