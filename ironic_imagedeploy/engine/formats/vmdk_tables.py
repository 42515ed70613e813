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
from collections.abc import Iterator
import itertools

from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine import extent as _extent
from ironic_imagedeploy.engine.formats import reader
from ironic_imagedeploy.engine.formats import vmdk_header
from ironic_imagedeploy.engine.formats import words

ExtentKind = _extent.ExtentKind

_SECTOR = vmdk_header.SECTOR
_TABLE = vmdk_header.TABLE_ENTRIES * 4
#: The entry of a grain of zeroes, where the header has such entries.
_ZEROED = 1
#: Each takes some 200 bytes while the map is made.
_MOST_TABLES = 256 << 10
#: What a run of entries costs that go on as they begin, and how many entries
#: of it cost another step.
_RUN = 8
_CHEAP = 8


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
        for offset, count in reader.neighbours(
                (sector * _SECTOR for sector in directory), _TABLE):
            if not offset:
                image.append_zero(count * reach)
                continue
            image.check_inside('the grain table', offset, count * _TABLE)
            stored = image.source.read_at(offset, count * _TABLE)
            for start in range(0, len(stored), _TABLE):
                table = stored[start:start + _TABLE]
                self._draw(2)
                if table == unused:
                    image.append_zero(reach)
                else:
                    self._map_table(words.from_bytes(table, 'I', 'little'))

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

    def _map_table(self, entries: 'array[int]') -> None:
        """Map the grains of a table, up to the end of the disk."""
        image = self._image
        left = image.virtual_size - image.map.end
        del entries[-(-left // self._grain):]
        for kind, first, end in self._runs(entries):
            count = end - first
            length = min(count * self._grain,
                         image.virtual_size - image.map.end)
            if kind is ExtentKind.COMPRESSED:
                self._draw(_RUN + count + count // 2)
                self._append_compressed(entries[first:end])
                continue
            self._draw(_RUN + count // _CHEAP)
            if kind is ExtentKind.ZERO:
                image.append_zero(length)
                continue
            self._check_apart(entries[first], -(-length // _SECTOR))
            offset = entries[first] * _SECTOR
            image.check_inside('a grain', offset, length)
            image.map.append(length, ExtentKind.DATA, offset, length)

    def _runs(self, entries: 'array[int]'
              ) -> Iterator[tuple[ExtentKind, int, int]]:
        """Kind, first index and end of entries that go together."""
        header, count, first = self._header, len(entries), 0
        zeroes = (0, _ZEROED) if header.has_zeroed_grains else (0,)
        while first < count:
            entry, end = entries[first], first + 1
            if entry in zeroes:
                kind = ExtentKind.ZERO
                while end < count and entries[end] in zeroes:
                    end += 1
            elif header.is_compressed:
                kind = ExtentKind.COMPRESSED
                while end < count and entries[end] not in zeroes:
                    end += 1
            else:
                kind = ExtentKind.DATA
                while end < count and entries[end] == (
                        entry + (end - first) * header.grain_size):
                    end += 1
            yield kind, first, end
            first = end

    def _append_compressed(self, entries: 'array[int]') -> None:
        image = self._image
        low, high = min(entries), max(entries)
        if not self._is_apart(low, high - low + 1):
            for entry in entries:
                self._check_apart(entry, 1)
        image.check_inside('a grain', high * _SECTOR, self._least)
        size = image.source.size
        offsets = array('Q', [entry * _SECTOR for entry in entries])
        stored = array('Q', [min(self._most, size - offset)
                             for offset in offsets])
        image.map.extend(self._grain, offsets[:-1], stored[:-1])
        image.map.append(
            min(self._grain, image.virtual_size - image.map.end),
            ExtentKind.COMPRESSED, offsets[-1], stored[-1])

    def _check_apart(self, sector: int, sectors: int) -> None:
        if not self._is_apart(sector, sectors):
            raise self._image.corrupt(
                f'a grain in sector {sector}, over a table',
                'grains in sectors of their own')

    def _is_apart(self, sector: int, sectors: int) -> bool:
        """Whether no table lies in these sectors."""
        before = bisect.bisect_left(self._tables, (sector + sectors,))
        return not before or self._table_ends[before - 1] <= sector
