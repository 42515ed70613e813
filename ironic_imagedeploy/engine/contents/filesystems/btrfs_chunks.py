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

"""Chunks of btrfs: where its logical places are on a device.

Source: "On-disk Format" of the btrfs documentation, "CHUNK_ITEM".
"""

import bisect
from collections.abc import Callable
import struct
import typing

from ironic_imagedeploy.engine.contents.filesystems import base

_CHUNK = struct.Struct('<QQQQIIIHH')
#: Bytes of the shortest item.
LEAST = _CHUNK.size
_STRIPE = struct.Struct('<QQ16x')
#: Each stripe of them holds all: single, and without RAID0, 10, 5 and 6.
_STRIPED = 8 | 64 | 128 | 256
_MOST = 1 << 14


class _Chunk(typing.NamedTuple):
    """A range of logical places, and where it is on the device; in bytes."""

    start: int
    length: int
    place: int


class Chunks:
    """The chunks of a file system that one of its devices has.

    :param device: its number in the file system.
    :param draw: takes steps from the budget of a look.
    """

    def __init__(self, device: int, draw: Callable[[int], None]) -> None:
        self._device = device
        self._draw = draw
        self._chunks: list[_Chunk] = []

    def add(self, start: int, stored: bytes) -> int:
        """Note where a chunk is.

        :param start: its logical place.
        :param stored: its item, and maybe more after it.
        :returns: bytes of its item.
        :raises UnreadableContent: when it is damaged, or one too many.
        """
        if len(stored) < LEAST:
            raise base.Unreadable('a damaged btrfs chunk')
        length, _, _, kind, _, _, _, count, _ = _CHUNK.unpack_from(stored)
        end: int = LEAST + count * _STRIPE.size
        if end > len(stored):
            raise base.Unreadable('a damaged btrfs chunk')
        self._draw(count)
        for at in range(LEAST, end, _STRIPE.size):
            device, place = _STRIPE.unpack_from(stored, at)
            if device == self._device and not kind & _STRIPED:
                bisect.insort(self._chunks, _Chunk(start, length, place))
                break
        if len(self._chunks) > _MOST:
            raise base.Unreadable('too many btrfs chunks')
        return end

    def place(self, logical: int) -> int:
        """Where a logical place is on the device.

        :raises UnreadableContent: when no chunk has it.
        """
        after = bisect.bisect(self._chunks, logical,
                              key=lambda chunk: chunk.start)
        if after:
            start, length, place = self._chunks[after - 1]
            if logical < start + length:
                return place + logical - start
        raise base.Unreadable('a btrfs block outside of all chunks')
