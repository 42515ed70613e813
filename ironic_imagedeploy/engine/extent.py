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

from collections.abc import Iterable
from collections.abc import Iterator
import enum
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
