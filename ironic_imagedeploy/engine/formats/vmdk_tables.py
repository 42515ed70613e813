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

"""The tables of a VMDK file, read into the map of its disk.

Source: VMware's "Virtual Disk Format 5.0", section "Grain Directory and Grain
Tables".
"""

from array import array
import bisect
import itertools

from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine import extent as _extent
from ironic_imagedeploy.engine.formats import reader
from ironic_imagedeploy.engine.formats import runs
from ironic_imagedeploy.engine.formats import vmdk_header
from ironic_imagedeploy.engine.formats import words

ExtentKind = _extent.ExtentKind

_SECTOR = vmdk_header.SECTOR
_TABLE = vmdk_header.TABLE_ENTRIES * 4
#: Each takes some 200 bytes while the map is made.
_MOST_TABLES = 256 << 10
#: Steps for entries that are looked at together, and entries for another
#: step.
_TOGETHER = 32
_CHEAP = 12
#: Whether the lowest byte of an entry is above that of a grain of zeroes,
#: where the header has such entries.
_ABOVE_ZEROED = bytes(2) + bytes([1]) * 254


class TableReader:
    """Reads the tables of an image and fills its map.

    No grain table is named twice, and no grain lies over a table: a tiny
    file would name a huge map otherwise.

    :param least: bytes that a compressed grain takes at least in the file.
    :param most: bytes that it takes at most.
    """

    def __init__(self, image: reader.Reader, header: vmdk_header.Header,
                 least: int, most: int) -> None:
        self._image = image
        self._header = header
        self._grain = header.grain_size * _SECTOR
        self._least, self._most = least, most
        self._draw = image.budget.draw
        self._tables: list[tuple[int, int]] = []
        self._table_ends: list[int] = []

    def read(self) -> None:
        """Fill the map.

        :raises ImageRefused: when the tables contradict each other, the
            header or the file.
        :raises TooComplex: when there are too many of them.
        """
        image, header = self._image, self._header
        if header.tables > _MOST_TABLES:
            raise exceptions.TooFragmented(
                expected=f'{_MOST_TABLES} grain tables at most',
                found=f'{header.tables}')
        directory = self._find_tables()
        reach = header.table_reach * _SECTOR
        unused = bytes(_TABLE)
        tables = runs.Joined(_TABLE * runs.MOST // vmdk_header.TABLE_ENTRIES,
                             self._map_entries)
        for offset, count in reader.neighbours(
                (sector * _SECTOR for sector in directory), _TABLE):
            if not offset:
                tables.flush()
                image.append_zero(count * reach)
                continue
            image.check_inside('the grain table', offset, count * _TABLE)
            stored = image.source.read_at(offset, count * _TABLE)
            for start in range(0, len(stored), _TABLE):
                table = stored[start:start + _TABLE]
                self._draw(2)
                if table == unused:
                    tables.flush()
                    image.append_zero(reach)
                else:
                    tables.add(table)
        tables.flush()

    def _find_tables(self) -> 'array[int]':
        """Sectors of the grain tables, by the directory.

        Notes first sector and end of all that is not a grain.
        """
        header = self._header
        taken = [(0, 1), (header.descriptor_offset,
                          header.descriptor_offset + header.descriptor_size)]
        directories = [self._directory(sector)
                       for sector in header.directories]
        for start, entries in zip(header.directories, directories,
                                  strict=True):
            taken.append((start, start - -len(entries) * 4 // _SECTOR))
            taken += ((table, table + vmdk_header.TABLE_SECTORS)
                      for table in entries if table)
        self._tables = sorted(taken)
        # Of all tables up to that one: a damaged file has them overlap.
        self._table_ends = list(itertools.accumulate(
            (end for _, end in self._tables), max))
        self._check_once(directories[0])
        return directories[0]

    def _directory(self, sector: int) -> 'array[int]':
        offset, count = sector * _SECTOR, self._header.tables
        self._draw(2 * count)
        self._image.check_inside('the grain directory', offset, count * 4)
        return words.from_bytes(
            self._image.source.read_at(offset, count * 4), 'I', 'little')

    def _check_once(self, directory: 'array[int]') -> None:
        seen = set()
        for sector in filter(None, directory):
            if sector in seen:
                raise self._image.corrupt(
                    f'a second use of sector {sector}',
                    'one grain table in a place')
            seen.add(sector)

    def _map_entries(self, stored: bytes) -> None:
        """Map the grains of tables, up to the end of the disk."""
        image = self._image
        left = -(-(image.virtual_size - image.map.end) // self._grain)
        stored = stored[:4 * left]
        count = len(stored) // 4
        self._draw(_TOGETHER + count // _CHEAP)
        first = stored[::4]
        if self._header.has_zeroed_grains:
            first = first.translate(_ABOVE_ZEROED)
        used = words.any_of(first, *(stored[index::4] for index in (1, 2, 3)))
        offsets = (words.widened(stored) & words.spread(used)) * _SECTOR
        kind, length = ExtentKind.DATA, self._grain
        if self._header.is_compressed:
            kind, length = ExtentKind.COMPRESSED, self._least
        if 1 in used:
            self._check(offsets, count, length)
        lengths = 0
        if kind == ExtentKind.COMPRESSED:
            lengths = self._lengths(offsets, used)
        image.append_entries(
            self._grain, used.translate(bytes((ExtentKind.ZERO, kind))
                                        + bytes(254)), offsets, lengths)

    def _check(self, offsets: int, count: int, length: int) -> None:
        """See that grains lie in the file, where no table is.

        :param length: bytes of each there, at least.
        """
        image, start = self._image, self._image.map.end
        places = words.column(offsets, count)
        if self._are_apart(places, -(-length // _SECTOR)) and (
                not words.exceed(offsets, image.source.size - length, count)):
            return
        for offset in places:
            if offset:
                size = min(length, image.virtual_size - start)
                self._check_apart(offset // _SECTOR, -(-size // _SECTOR))
                image.check_inside('a grain', offset, size)
            start += self._grain

    def _lengths(self, offsets: int, used: bytes) -> int:
        """Bytes that compressed grains take at most, in lanes."""
        count, size = len(used), self._image.source.size
        lengths = words.repeated(self._most, count) & words.spread(used)
        if words.exceed(offsets, size - self._most, count):
            lengths = words.lanes(array('Q', (
                min(self._most, size - offset) if offset else 0
                for offset in words.column(offsets, count))))
        return lengths

    def _are_apart(self, places: 'array[int]', sectors: int) -> bool:
        """Whether no table lies in grains; False when it is not sure.

        :param places: bytes in the file; 0 for none.
        :param sectors: of each grain.
        """
        low = min(filter(None, places)) // _SECTOR
        high = max(places) // _SECTOR
        if self._is_apart(low, high + sectors - low):
            return True
        self._draw(len(places))
        return all(self._is_apart(place // _SECTOR, sectors)
                   for place in places if place)

    def _check_apart(self, sector: int, sectors: int) -> None:
        if not self._is_apart(sector, sectors):
            raise self._image.corrupt(
                f'a grain in sector {sector}, over a table',
                'grains in sectors of their own')

    def _is_apart(self, sector: int, sectors: int) -> bool:
        """Whether no table lies in these sectors."""
        before = bisect.bisect_left(self._tables, (sector + sectors,))
        return not before or self._table_ends[before - 1] <= sector
