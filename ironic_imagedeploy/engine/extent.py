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

"""Extents: which bytes of the disk come from which bytes of the file."""

from array import array
import bisect
from collections.abc import Iterable
from collections.abc import Iterator
import enum
import itertools
import typing


class ExtentKind(enum.IntEnum):
    """How the bytes of an extent are stored."""

    DATA = 0
    COMPRESSED = 1
    ZERO = 2


class Extent(typing.NamedTuple):
    """A range of the guest's disk and where its bytes are. Unit: bytes.

    :ivar start: first byte on the disk.
    :ivar length: bytes on the disk.
    :ivar source_offset: first byte in the file; 0 for zeroes.
    :ivar source_length: bytes in the file; 0 for zeroes.
    """

    start: int
    length: int
    kind: ExtentKind
    source_offset: int = 0
    source_length: int = 0

    @property
    def end(self) -> int:
        """First byte on the disk after the extent."""
        return self.start + self.length

    @property
    def source_end(self) -> int:
        """First byte in the file after the extent."""
        return self.source_offset + self.source_length


def clamp(extents: Iterable[Extent], start: int, end: int
          ) -> Iterator[Extent]:
    """The parts of extents of data or zeroes that lie in ``[start, end)``.

    A compressed extent has no parts and is given whole when it touches the
    range.
    """
    for extent in extents:
        low, high = max(extent.start, start), min(extent.end, end)
        if low >= high:
            continue
        match extent.kind:
            case ExtentKind.DATA:
                yield Extent(low, high - low, extent.kind,
                             extent.source_offset + low - extent.start,
                             high - low)
            case ExtentKind.ZERO:
                yield Extent(low, high - low, extent.kind)
            case _:
                yield extent


#: Extents that a map takes: 132 MiB of them.
MOST_EXTENTS = 4 << 20


class TooManyExtents(Exception):
    """The image is in more pieces than the memory is bounded for."""


class ExtentMap:
    """A compact list of extents in the order of the disk.

    An image of hundreds of GiB has millions of clusters; columns of machine
    integers hold one in 33 bytes, and neighbours that continue each other
    are one extent.
    """

    def __init__(self) -> None:
        self._start = array('Q')
        self._length = array('Q')
        self._kind = array('B')
        self._source_offset = array('Q')
        self._source_length = array('Q')

    def __len__(self) -> int:
        return len(self._start)

    def __getitem__(self, index: int) -> Extent:
        return Extent(self._start[index], self._length[index],
                      ExtentKind(self._kind[index]),
                      self._source_offset[index], self._source_length[index])

    def __iter__(self) -> Iterator[Extent]:
        return map(self.__getitem__, range(len(self)))

    @property
    def end(self) -> int:
        """First byte of the disk that no extent names yet."""
        return self._start[-1] + self._length[-1] if len(self) else 0

    def append(self, length: int, kind: ExtentKind, source_offset: int = 0,
               source_length: int = 0) -> None:
        """Add what follows on the disk. All in bytes.

        :raises TooManyExtents: when the map is full.
        """
        if len(self) and kind == self._kind[-1] and (
                kind == ExtentKind.ZERO or kind == ExtentKind.DATA
                and source_offset == (self._source_offset[-1]
                                      + self._source_length[-1])):
            self._length[-1] += length
            self._source_length[-1] += source_length
            return
        if len(self) == MOST_EXTENTS:
            raise TooManyExtents()
        self._start.append(self.end)
        self._length.append(length)
        self._kind.append(kind)
        self._source_offset.append(source_offset)
        self._source_length.append(source_length)

    def overlapping(self, start: int, end: int) -> Iterator[Extent]:
        """The extents that have bytes in ``[start, end)`` of the disk."""
        index = max(bisect.bisect_right(self._start, start) - 1, 0)
        while index < len(self) and self._start[index] < end:
            yield self[index]
            index += 1

    def by_source(self) -> Iterator[Extent]:
        """The extents that the file stores, in the order of the file."""
        offsets, kinds = self._source_offset, self._kind
        stored = array('Q', (index for index in range(len(self))
                             if kinds[index] != ExtentKind.ZERO))
        if any(offsets[a] > offsets[b]
               for a, b in itertools.pairwise(stored)):
            stored = array('Q', sorted(stored, key=offsets.__getitem__))
        return map(self.__getitem__, stored)
