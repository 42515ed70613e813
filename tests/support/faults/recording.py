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

from collections.abc import Iterator
import functools
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


class Epoch(typing.NamedTuple):
    """Writes between two flushes, in their sequence.

    :ivar name: the last mark before its end.
    """

    name: str
    writes: list[Write]


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
        found, writes, name = [], list[Write](), ''
        for kind, start, length, content in self._records():
            if kind == b'M':
                name = bytes(content).decode()
            elif kind == b'F':
                if writes:
                    found.append(Epoch(name, writes))
                writes = []
            elif kind == b'W':
                writes.append(Write(start, content))
            else:
                writes += [Write(at, _ZEROES[:min(
                    len(_ZEROES), start + length - at)])
                    for at in range(start, start + length, len(_ZEROES))]
        if writes:
            found.append(Epoch(name, writes))
        return found[self._first:]

    def since(self, epoch: int) -> 'Recording':
        """What came after so many epochs."""
        return Recording(self._path, epoch)

    @property
    def kinds(self) -> str:
        """A letter for each record, but marks."""
        return ''.join(kind.decode() for kind, *_ in self._records()
                       if kind != b'M')

    def _records(self) -> Iterator[tuple[bytes, int, int, memoryview]]:
        at = 0
        while at < len(self._log):
            kind, start, length = fuse_file.RECORD.unpack_from(self._log, at)
            at += fuse_file.RECORD.size
            size = length if kind in b'WM' else 0
            yield kind, start, length, self._log[at:at + size]
            at += size
