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

"""The level 2 tables of a qcow2 file: where each cluster is.

Source of all names and numbers: QEMU's ``docs/interop/qcow2.rst``.
"""

from array import array
import bisect
import itertools

from ironic_imagedeploy.engine import extent as _extent
from ironic_imagedeploy.engine.formats import qcow2_header
from ironic_imagedeploy.engine.formats import reader
from ironic_imagedeploy.engine.formats import runs
from ironic_imagedeploy.engine.formats import words

ExtentKind = _extent.ExtentKind

OFFSET = 0x00fffffffffffe00
_RESERVED = 0x3f000000000001fe
_COPIED = 1 << 63
_COMPRESSED = 1 << 62
_ZERO = 1
_SECTOR = 512
_SUBCLUSTERS = qcow2_header.SUBCLUSTERS
_ALL_BITS = (1 << words.LANE) - 1
_ALL = (1 << _SUBCLUSTERS) - 1

#: What the bytes of an entry, the highest first, say of it.
_IS_COMPRESSED = bytes(byte >> 6 & 1 for byte in range(256))
_IS_ZERO = bytes(byte & 1 for byte in range(256))
_OF_OFFSET = bytes(byte & 0xfe for byte in range(256))
#: The bits of a byte, the lowest first, and the kinds that they stand for.
_BITS = tuple(bytes(byte >> bit & 1 for bit in range(8))
              for byte in range(256))
_KINDS = bytes.maketrans(b'\0\1', bytes((ExtentKind.ZERO, ExtentKind.DATA)))

#: Entries of clusters in parts that are looked at together.
_MOST_IN_PARTS = runs.MOST // _SUBCLUSTERS
#: Steps for entries that are looked at together, and entries for another
#: step: plain ones, compressed ones besides, extended ones, subclusters.
_TOGETHER = 32
_CHEAP = 16
_COMPRESSED_CHEAP = 8
_EXTENDED_CHEAP = 3
_PARTS_CHEAP = 5


def is_plain(entry: int) -> bool:
    """Whether an entry is that of a cluster of data, and right."""
    return not entry & (_COMPRESSED | _RESERVED | _ZERO) and bool(
        entry & OFFSET)


class ClusterReader:
    """Reads level 2 tables, and lets their clusters follow in the map.

    :param tables: offsets of clusters of the header and of tables, in which
        no data lies.
    """

    def __init__(self, image: reader.Reader, header: qcow2_header.Header,
                 tables: set[int]) -> None:
        self._image = image
        self._header = header
        self._size = header.cluster_size
        self._unit = header.unit
        self._draw = image.budget.draw
        self._tables = tables
        self._in_sequence = array('Q', sorted(tables))

    def map_run(self, first: int, clusters: int) -> None:
        """Map clusters of data that follow each other in the file.

        :param first: entry of the first one.
        :raises ImageRefused: when the data is not where it may be.
        """
        offset, image = first & OFFSET, self._image
        length = min(clusters * self._size, image.virtual_size - image.map.end)
        self._check_range(offset, length)
        image.map.append(length, ExtentKind.DATA, offset, length)

    def map_entries(self, stored: bytes) -> None:
        """Map the clusters of tables, up to the end of the disk.

        :raises ImageRefused: when an entry is wrong.
        """
        width, cheap = ((16, _EXTENDED_CHEAP) if self._header.extended_l2
                        else (8, _CHEAP))
        left = -(-(self._image.virtual_size - self._image.map.end)
                 // self._size)
        end = min(len(stored), left * width)
        for start in range(0, end, runs.MOST * width):
            part = stored[start:min(start + runs.MOST * width, end)]
            count = len(part) // width
            self._draw(_TOGETHER + count // cheap)
            if not part.strip(b'\0'):
                self._image.append_zero(count * self._size)
            elif self._header.extended_l2:
                self._map_extended(part, count)
            else:
                self._map(part, count)

    def _map(self, stored: bytes, count: int) -> None:
        """Map clusters ("Standard" and "Compressed Clusters Descriptor")."""
        entries = words.lanes(words.from_bytes(stored, 'Q', 'big'))
        planes = [stored[index::8] for index in range(8)]
        compressed = planes[0].translate(_IS_COMPRESSED)
        refused = _RESERVED | (_ZERO if self._header.version < 3 else 0)
        self._check(entries, entries & words.spread(words.inverted(compressed))
                    & words.repeated(refused, count), count)
        data = words.all_of(
            words.any_of(*planes[1:6], planes[6].translate(_OF_OFFSET)),
            words.inverted(words.any_of(
                compressed, planes[7].translate(_IS_ZERO))))
        self._append(entries, data, compressed)

    def _append(self, entries: int, data: bytes, compressed: bytes) -> None:
        """Map clusters that are data, or compressed, or else zeroes."""
        count = len(data)
        offsets = (entries & words.spread(data)
                   & words.repeated(OFFSET, count))
        stored = 0
        if 1 in data:
            self._check_data(offsets, data)
        if 1 in compressed:
            more, stored = self._compressed(entries, compressed)
            offsets |= more
        self._image.append_entries(self._size, _kinds(data, compressed),
                                   offsets, stored)

    def _check_data(self, offsets: int, data: bytes) -> None:
        """See that clusters lie in the file, where no table is."""
        count = len(data)
        places = words.column(offsets, count)
        used = filter(None, places) if 0 in data else places
        if offsets & words.repeated(self._size - 1, count) or words.exceed(
                offsets, self._image.source.size - self._size, count) or (
                    not self._tables.isdisjoint(used)):
            image, start = self._image, self._image.map.end
            for offset in places:
                if offset:
                    self._check_range(offset, min(
                        self._size, image.virtual_size - start))
                start += self._size

    def _check_range(self, offset: int, length: int) -> None:
        if offset % self._size or self._holds_table(offset, offset + length):
            raise self._image.corrupt(f'data at byte {offset}',
                                      'data in aligned clusters of its own')
        self._image.check_inside('data', offset, length)

    def _holds_table(self, start: int, end: int) -> bool:
        """Whether a table begins in ``[start, end)`` of the file."""
        index = bisect.bisect_left(self._in_sequence, start)
        return (index < len(self._in_sequence)
                and self._in_sequence[index] < end)

    def _compressed(self, entries: int, compressed: bytes
                    ) -> tuple[int, int]:
        """Offsets of compressed clusters, and bytes that they take there."""
        image, shift = self._image, self._header.compressed_shift
        count, mask = len(compressed), words.spread(compressed)
        self._draw(count // _COMPRESSED_CHEAP)
        self._check(entries, entries & mask & words.repeated(_COPIED, count),
                    count)
        offsets = entries & mask & words.repeated((1 << shift) - 1, count)
        # Whole sectors, of which the first need not be the cluster's alone.
        sectors = (entries >> shift & words.repeated(
            (1 << 62 - shift) - 1, count)) + words.repeated(1, count)
        ends = (sectors * _SECTOR + (
            offsets & words.repeated(-_SECTOR & _ALL_BITS, count))) & mask
        size = image.source.size
        if words.exceed(offsets, size - 1, count):
            image.check_inside('a compressed cluster',
                               max(words.column(offsets, count)), 1)
        if words.exceed(ends, size, count):
            # Nor need the last sector of the last cluster be whole.
            ends = words.lanes(array('Q', (
                min(end, size) for end in words.column(ends, count))))
        self._check_apart(words.column(offsets, count),
                          words.column(ends, count), compressed)
        return offsets, ends - offsets

    def _check_apart(self, places: 'array[int]', ends: 'array[int]',
                     compressed: bytes) -> None:
        """Data shares no cluster with a table, at its begin or end.

        :param compressed: 1 where that is stored there, else 0.
        """
        size = self._size
        if 0 in compressed:
            places, ends = (
                array('Q', itertools.compress(column, compressed))
                for column in (places, ends))
        if not self._holds_table(min(places) & -size, max(ends)):
            return
        self._draw(len(places) // 2)
        if not (self._tables.isdisjoint(place & -size for place in places)
                and self._tables.isdisjoint(end - 1 & -size for end in ends)):
            raise self._image.corrupt(
                f'compressed data at byte {places[0]} or soon after',
                'data in clusters of its own')

    def _map_extended(self, stored: bytes, count: int) -> None:
        """Map clusters of 32 parts ("Extended L2 Entries")."""
        both = words.from_bytes(stored, 'Q', 'big')
        entries, bitmaps = words.lanes(both[::2]), words.lanes(both[1::2])
        low = words.repeated(_ALL, count)
        allocated = bitmaps & low
        compressed = stored[::16].translate(_IS_COMPRESSED)
        some = words.nonzero(allocated, count)
        full = words.inverted(words.nonzero(allocated ^ low, count))
        plain = words.inverted(compressed)
        has_offset = words.nonzero(
            entries & words.repeated(OFFSET, count), count)
        refused = _RESERVED | _ZERO | OFFSET & self._size - 1
        wrong = bitmaps & words.spread(compressed) | words.spread(plain) & (
            entries & words.repeated(refused, count)
            | bitmaps >> _SUBCLUSTERS & allocated) | words.spread(
                words.all_of(some, plain, words.inverted(has_offset)))
        self._check(entries, wrong, count)
        if 1 not in words.all_of(some, words.inverted(full), plain):
            self._append(entries, words.all_of(full, plain), compressed)
        elif count > _MOST_IN_PARTS:
            for start in range(0, len(stored), 16 * _MOST_IN_PARTS):
                part = stored[start:start + 16 * _MOST_IN_PARTS]
                self._draw(_TOGETHER)
                self._map_extended(part, len(part) // 16)
        elif 1 in compressed:
            start = 0
            for _, group in itertools.groupby(compressed):
                end = start + 16 * len(list(group))
                self._draw(2 * _TOGETHER)
                self._map_extended(stored[start:end], (end - start) // 16)
                start = end
        else:
            self._append_parts(entries & words.spread(some), allocated, count)

    def _append_parts(self, entries: int, allocated: int, count: int) -> None:
        """Map clusters of which some are allocated in part."""
        image, unit = self._image, self._unit
        self._draw(_TOGETHER + count * _SUBCLUSTERS // _PARTS_CHEAP)
        offsets = entries & words.repeated(OFFSET, count)
        if not self._tables.isdisjoint(filter(None, words.column(offsets,
                                                                 count))):
            raise image.corrupt('data in subclusters over a table',
                                'data in aligned clusters of its own')
        left = -(-(image.virtual_size - image.map.end) // unit)
        parts = min(count * _SUBCLUSTERS, left)
        flags = _flags(allocated, count)[:parts]
        offsets = _parts(offsets, count, unit) & words.spread(flags)
        if words.exceed(offsets, image.source.size - unit, parts):
            for index, offset in enumerate(words.column(offsets, parts)):
                start = image.map.end + index * unit
                image.check_inside('data', offset, min(
                    unit, image.virtual_size - start))
        image.append_entries(unit, flags.translate(_KINDS), offsets)

    def _check(self, entries: int, wrong: int, count: int) -> None:
        """No lane of these has a bit that is wrong."""
        if wrong:
            index = words.nonzero(wrong, count).index(1)
            raise self._image.corrupt(
                'the level 2 entry '
                f'{entries >> index * words.LANE & _ALL_BITS:#018x}',
                'entries without reserved bits')


def _kinds(data: bytes, compressed: bytes) -> bytes:
    """Kinds of entries by their flags."""
    count = len(data)
    none = int.from_bytes(bytes((ExtentKind.ZERO,)) * count, 'little')
    return (none - 2 * int.from_bytes(data, 'little')
            - int.from_bytes(compressed, 'little')).to_bytes(count, 'little')


def _flags(allocated: int, count: int) -> bytes:
    """1 for each subcluster that is allocated, else 0.

    :param allocated: their bits in the low half of lanes.
    """
    stored = allocated.to_bytes(8 * count, 'little')
    low = bytearray(4 * count)
    for index in range(4):
        low[index::4] = stored[index::8]
    return b''.join(map(_BITS.__getitem__, low))


def _parts(offsets: int, count: int, unit: int) -> int:
    """Offsets of the subclusters of clusters, in lanes."""
    stored = offsets.to_bytes(8 * count, 'little')
    wide = bytearray(8 * _SUBCLUSTERS * count)
    for index in range(8):
        wide[index::8 * _SUBCLUSTERS] = stored[index::8]
    number = int.from_bytes(wide, 'little')
    copies = 1
    while copies < _SUBCLUSTERS:
        number |= number << copies * words.LANE
        copies *= 2
    return number + words.lanes(words.column(words.multiples(
        unit, _SUBCLUSTERS), _SUBCLUSTERS) * count)
