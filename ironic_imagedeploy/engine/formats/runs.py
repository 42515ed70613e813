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

"""Extents of a table's entries, all of them found at once.

A table names a place in the file for each unit of the disk: a cluster, a
grain, a block. What goes on in the file as on the disk is one extent.
"""

from array import array
from collections.abc import Callable
import itertools

from ironic_imagedeploy.engine import extent as _extent
from ironic_imagedeploy.engine.formats import sealed_block
from ironic_imagedeploy.engine.formats import words

#: Entries that are looked at together: it takes some MiB.
MOST = 8192

_DATA, _COMPRESSED, _ZERO = _extent.ExtentKind
_IS_DATA = bytes(kind == _DATA for kind in range(256))
_IS_COMPRESSED = bytes(kind == _COMPRESSED for kind in range(256))
_IS_STORED = bytes(kind != _ZERO for kind in range(256))
_TOP = 1 << words.LANE - 1


class Joined:
    """Tables that follow each other on the disk, gathered to be one.

    :param most: bytes of them.
    :param take: called with the tables.
    """

    def __init__(self, most: int, take: Callable[[bytes], None]) -> None:
        self._most = most
        self._take = take
        self._tables = bytearray()

    def add(self, table: bytes) -> None:
        """Let a table follow."""
        self._tables += table
        if len(self._tables) >= self._most:
            self.flush()

    def flush(self) -> None:
        """Hand over what was gathered."""
        if self._tables:
            self._take(bytes(self._tables))
            self._tables.clear()


def find(start: int, unit: int, kinds: bytes, offsets: int, stored: int = 0
         ) -> sealed_block.Columns:
    """Extents of entries that follow each other on the disk.

    :param start: first byte on the disk of the first one.
    :param unit: bytes of each on the disk.
    :param kinds: of the entries, each an :class:`.ExtentKind`.
    :param offsets: bytes in the file, in lanes; 0 for zeroes.
    :param stored: bytes that compressed ones take there, in lanes; else 0.
    """
    count = len(kinds)
    end = start + count * unit
    starts = words.multiples(unit, count) + words.repeated(start, count)
    begins = _begins(unit, kinds, offsets)
    lengths = words.repeated(unit, count)
    if 0 in begins:
        kinds = bytes(itertools.compress(kinds, begins))
        starts, offsets, stored = (
            words.lanes(array('Q', itertools.compress(
                words.column(lanes, count), begins))) if lanes else 0
            for lanes in (starts, offsets, stored))
        last = end << words.LANE * (len(kinds) - 1)
        lengths = (starts >> words.LANE | last) - starts
    stored |= lengths & words.spread(kinds.translate(_IS_DATA))
    return sealed_block.Columns.of_lanes(starts, lengths, kinds, offsets,
                                         stored)


def _begins(unit: int, kinds: bytes, offsets: int) -> bytes:
    """1 for each entry that does not go on as the one before, else 0."""
    count = len(kinds) - 1
    if not count:
        return b'\1'
    far = words.nonzero(words.steps(offsets, count + 1)
                        ^ words.repeated(_TOP + unit, count), count)
    number = int.from_bytes(kinds, 'little')
    changed = ((number >> 8) ^ number) & (1 << 8 * count) - 1
    after = kinds[1:]
    stored = int.from_bytes(after.translate(_IS_STORED), 'little')
    return b'\1' + words.any_of(
        changed.to_bytes(count, 'little'), after.translate(_IS_COMPRESSED),
        (int.from_bytes(far, 'little') & stored).to_bytes(count, 'little'))
