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

"""The tables of a qcow2 file, read into the map of its disk.

Source of all names and numbers: QEMU's ``docs/interop/qcow2.rst``.
"""

from array import array
import bisect
from collections.abc import Iterator
import functools
import itertools
import operator

from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine import extent as _extent
from ironic_imagedeploy.engine.formats import qcow2_header
from ironic_imagedeploy.engine.formats import reader
from ironic_imagedeploy.engine.formats import words

ExtentKind = _extent.ExtentKind

# Entries of both levels of tables.
_OFFSET = 0x00fffffffffffe00
_L1_RESERVED = 0x7f000000000001ff
_L2_RESERVED = 0x3f000000000001fe
_COPIED = 1 << 63
_COMPRESSED = 1 << 62
_ZERO = 1
_ALL_BITS = (1 << 64) - 1
_SECTOR = 512
_SUBCLUSTERS = qcow2_header.SUBCLUSTERS
_ALL_SUBCLUSTERS = (1 << _SUBCLUSTERS) - 1
#: Clusters with tables. Each takes some 100 bytes while the map is made.
_MOST_TABLES = 256 << 10
#: What a run of entries costs that go on as they begin, and how many entries
#: of it cost another step.
_RUN = 8
_CHEAP = 8


class TableReader:
    """Reads the tables of an image and fills its map.

    No two tables share a cluster, and no data lies in one of theirs: a tiny
    file would name a huge map otherwise.
    """

    def __init__(self, image: reader.Reader, header: qcow2_header.Header
                 ) -> None:
        self._image = image
        self._header = header
        self._size = header.cluster_size
        self._unit = header.unit
        self._draw = image.budget.draw
        #: Offsets of clusters of the header and of tables.
        self._taken = {0}
        self._in_sequence = array('Q')
        # Tables with entries of 1, and of what they grow by in one run.
        count = header.l2_entries
        self._ones = int.from_bytes((1).to_bytes(8) * count)
        self._steps = int.from_bytes(b''.join(
            index.to_bytes(8) for index in range(
                0, count * self._size, self._size)))

    def read(self) -> None:
        """Fill the map ("Cluster mapping").

        :raises ImageRefused: when the tables contradict each other, the
            header or the file.
        :raises TooComplex: when there are too many of them.
        """
        image, header, size = self._image, self._header, self._size
        self._take('the level 1 table', header.l1_table_offset,
                   header.l1_size * 8)
        self._take_refcounts()
        offsets = self._level1()
        self._in_sequence = array('Q', sorted(self._taken))
        unused = bytes(size)
        reach = header.l2_entries * size
        for offset, tables in reader.neighbours(offsets, size):
            if not offset:
                image.append_zero(tables * reach)
                continue
            stored = image.source.read_at(offset, tables * size)
            for start in range(0, len(stored), size):
                table = stored[start:start + size]
                if table == unused:
                    image.append_zero(reach)
                elif not self._map_one_run(table):
                    self._map_table(table)

    def _take(self, what: str, offset: int, length: int) -> None:
        """Note that these clusters hold a table, and nothing else."""
        clusters = range(offset, offset + length, self._size)
        self._check_count(len(clusters))
        if not self._taken.isdisjoint(clusters):
            raise self._image.corrupt(
                f'{what} at byte {offset}, over another',
                'each table in clusters of its own')
        self._taken.update(clusters)

    def _take_each(self, what: str, offsets: 'array[int]', length: int
                   ) -> None:
        """Note that a table of one cluster is at each of these offsets.

        :param length: bytes that the file holds of each at least.
        """
        self._check_count(len(offsets))
        distinct = set(offsets)
        if (len(distinct) == len(offsets)
                and self._taken.isdisjoint(distinct)
                and max(offsets, default=0) + length
                <= self._image.source.size):
            self._taken |= distinct
            return
        for offset in offsets:
            self._image.check_inside(what, offset, length)
            self._take(what, offset, 1)

    def _check_count(self, more: int) -> None:
        self._draw(1 + more)
        if len(self._taken) + more > _MOST_TABLES:
            raise exceptions.TooFragmented(
                expected=f'{_MOST_TABLES} clusters of tables at most',
                found='more')

    def _take_refcounts(self) -> None:
        """("Host cluster management".) Nothing depends on the counts."""
        header = self._header
        offset = header.refcount_table_offset
        length = header.refcount_table_clusters * self._size
        self._take('the refcount table', offset, length)
        self._take('the snapshot table', header.snapshots_offset,
                   header.snapshots_length)
        blocks = array('Q', filter(None, self._words(offset, length)))
        for block in blocks:
            if block % self._size:
                raise self._image.corrupt(
                    f'the refcount table entry {block:#018x}',
                    'aligned offsets of refcount blocks')
        self._take_each('a refcount block', blocks, 1)

    def _level1(self) -> 'array[int]':
        """Offsets of the level 2 tables; 0 where there is none."""
        header, unaligned = self._header, self._size - 1
        entries = self._words(header.l1_table_offset,
                              header.l1_entries_needed * 8)
        for entry in filter(None, entries):
            if entry & (_L1_RESERVED | unaligned):
                raise self._image.corrupt(f'the level 1 entry {entry:#018x}',
                                          'aligned offsets of level 2 tables')
        offsets = array('Q', (entry & _OFFSET for entry in entries))
        self._take_each('a level 2 table', array('Q', filter(None, offsets)),
                        self._size)
        return offsets

    def _words(self, offset: int, length: int) -> 'array[int]':
        """A table of either level, or of refcount blocks."""
        self._draw(length // 8 // _CHEAP)
        return words.from_bytes(
            self._image.source.read_at(offset, length) if length else b'',
            'Q', 'big')

    def _map_one_run(self, stored: bytes) -> bool:
        """Map a table if all its clusters follow each other in the file.

        That is how a full disk is mostly stored. The table as one number is
        told from what it would be then in a tenth of the time that its
        entries take.
        """
        first, count = int.from_bytes(stored[:8]), self._header.l2_entries
        if (first & (_COMPRESSED | _L2_RESERVED | _ZERO)
                or self._header.extended_l2 or not first & _OFFSET
                or int.from_bytes(stored) != first * self._ones + self._steps):
            return False
        self._draw(4 + count // _CHEAP // 8)
        self._append_data(first, first + (count - 1) * self._size, count)
        return True

    def _map_table(self, stored: bytes) -> None:
        """Map the clusters of a level 2 table, up to the end of the disk."""
        left = -(-(self._image.virtual_size - self._image.map.end)
                 // self._size)
        entries = words.from_bytes(stored, 'Q', 'big')
        if self._header.extended_l2:
            del entries[2 * left:]
            self._map_subclusters(entries)
            return
        del entries[left:]
        for kind, first, end in _runs(entries, self._size):
            count = end - first
            if kind is ExtentKind.COMPRESSED:
                self._draw(_RUN + count + count // 2)
                self._append_compressed(entries[first:end])
                continue
            self._draw(_RUN + count // _CHEAP)
            if kind is ExtentKind.ZERO:
                self._append_zero(entries[first:end])
            else:
                self._append_data(entries[first], entries[end - 1], count)

    def _append_zero(self, entries: 'array[int]') -> None:
        refused = _L2_RESERVED
        if self._header.version < 3:
            refused |= _ZERO
        self._check_bits(entries, refused)
        self._image.append_zero(len(entries) * self._size)

    def _append_data(self, first: int, last: int, clusters: int) -> None:
        """Map clusters of one run ("Standard Cluster Descriptor").

        Their entries differ by the size of a cluster: if the first and the
        last have no reserved bits, none between has.
        """
        if (first | last) & _L2_RESERVED:
            raise self._bad_entry(first if first & _L2_RESERVED else last)
        image = self._image
        self._append_range(first & _OFFSET, min(
            clusters * self._size, image.virtual_size - image.map.end))

    def _append_range(self, offset: int, length: int) -> None:
        if offset % self._unit or self._holds_table(
                offset - offset % self._size, offset + length):
            raise self._image.corrupt(f'data at byte {offset}',
                                      'data in aligned clusters of its own')
        self._image.check_inside('data', offset, length)
        self._image.map.append(length, ExtentKind.DATA, offset, length)

    def _holds_table(self, start: int, end: int) -> bool:
        """Whether a table begins in ``[start, end)`` of the file."""
        index = bisect.bisect_left(self._in_sequence, start)
        return (index < len(self._in_sequence)
                and self._in_sequence[index] < end)

    def _append_compressed(self, entries: 'array[int]') -> None:
        """Map clusters one by one ("Compressed Clusters Descriptor")."""
        self._check_bits(entries, _COPIED)
        image, shift = self._image, self._header.compressed_shift
        places, counts = (1 << shift) - 1, (1 << 62 - shift) - 1
        offsets = array('Q', [entry & places for entry in entries])
        image.check_inside('a compressed cluster', max(offsets), 1)
        # Whole sectors, of which the first need not be the cluster's alone.
        stored = array('Q', [
            ((entry >> shift & counts) + 1) * _SECTOR - (entry & _SECTOR - 1)
            for entry in entries])
        high = max(map(operator.add, offsets, stored))
        if high > image.source.size:
            # Nor need the last sector of the last cluster be whole.
            stored = array('Q', map(min, stored, (
                image.source.size - offset for offset in offsets)))
        if self._holds_table(min(offsets) & -self._size, high):
            self._check_compressed(offsets, stored)
        image.map.extend(self._size, offsets[:-1], stored[:-1])
        image.map.append(min(self._size, image.virtual_size - image.map.end),
                         ExtentKind.COMPRESSED, offsets[-1], stored[-1])

    def _check_compressed(self, offsets: 'array[int]',
                          stored: 'array[int]') -> None:
        """Data shares no cluster with a table, at its begin or end."""
        clusters = itertools.repeat(_ALL_BITS - self._size + 1)
        if not (self._taken.isdisjoint(map(operator.and_, offsets, clusters))
                and self._taken.isdisjoint(map(operator.and_, map(
                    operator.add, offsets, (length - 1 for length in stored)
                    ), clusters))):
            raise self._image.corrupt(
                f'compressed data at byte {offsets[0]} or soon after',
                'data in clusters of its own')

    def _map_subclusters(self, entries: 'array[int]') -> None:
        """Map clusters of 32 parts ("Extended L2 Entries")."""
        image, size = self._image, self._size
        for entry, bitmap in zip(entries[::2], entries[1::2], strict=True):
            self._draw(_RUN)
            length = min(size, image.virtual_size - image.map.end)
            if entry & _COMPRESSED:
                if bitmap:
                    raise self._bad_entry(entry)
                self._append_compressed(array('Q', [entry]))
                continue
            offset = entry & _OFFSET
            zeroes, allocated = bitmap >> 32, bitmap & _ALL_SUBCLUSTERS
            if (entry & (_L2_RESERVED | _ZERO) or zeroes & allocated
                    or allocated and not offset or offset % size):
                raise self._bad_entry(entry)
            if not allocated:
                image.append_zero(length)
            elif allocated == _ALL_SUBCLUSTERS:
                self._append_range(offset, length)
            else:
                self._append_parts(offset, allocated, length)

    def _append_parts(self, offset: int, allocated: int, length: int) -> None:
        """Map the subclusters of a cluster that is allocated in part."""
        start = 0
        while start < length:
            # Bits that end the number, all equal.
            same = ~allocated if allocated & 1 else allocated
            run = (same & -same).bit_length() - 1 if same else _SUBCLUSTERS
            step = min(run * self._unit, length - start)
            self._draw(_RUN)
            if allocated & 1:
                self._append_range(offset + start, step)
            else:
                self._image.map.append(step, ExtentKind.ZERO)
            start += step
            allocated >>= run

    def _check_bits(self, entries: 'array[int]', refused: int) -> None:
        if functools.reduce(operator.or_, entries) & refused:
            raise self._bad_entry(next(entry for entry in entries
                                       if entry & refused))

    def _bad_entry(self, entry: int) -> exceptions.ImageRefused:
        return self._image.corrupt(f'the level 2 entry {entry:#018x}',
                                   'entries without reserved bits')


def _runs(entries: 'array[int]', size: int
          ) -> Iterator[tuple[ExtentKind, int, int]]:
    """Kind, first index and end of entries that go together."""
    first, count = 0, len(entries)
    while first < count:
        entry, end = entries[first], first + 1
        if entry & _COMPRESSED:
            kind = ExtentKind.COMPRESSED
            while end < count and entries[end] & _COMPRESSED:
                end += 1
        elif entry & _ZERO or not entry & _OFFSET:
            kind = ExtentKind.ZERO
            while end < count and not entries[end] & _COMPRESSED and (
                    entries[end] & _ZERO or not entries[end] & _OFFSET):
                end += 1
        else:
            kind = ExtentKind.DATA
            while end < count and entries[end] == entry + (end - first) * size:
                end += 1
        yield kind, first, end
        first = end
