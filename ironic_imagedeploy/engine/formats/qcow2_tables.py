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

from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.formats import qcow2_clusters
from ironic_imagedeploy.engine.formats import qcow2_header
from ironic_imagedeploy.engine.formats import reader
from ironic_imagedeploy.engine.formats import runs
from ironic_imagedeploy.engine.formats import words

_OFFSET = qcow2_clusters.OFFSET
_L1_RESERVED = 0x7f000000000001ff
#: Clusters with tables. Each takes some 100 bytes while the map is made.
_MOST_TABLES = 256 << 10
#: Entries that cost another step.
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
        clusters = qcow2_clusters.ClusterReader(image, header, self._taken)
        entry = 16 if header.extended_l2 else 8
        tables = runs.Joined(runs.MOST * entry, clusters.map_entries)
        unused, count = bytes(size), header.l2_entries
        for offset, following in reader.neighbours(offsets, size):
            if not offset:
                tables.flush()
                image.append_zero(following * count * size)
                continue
            stored = image.source.read_at(offset, following * size)
            for start in range(0, len(stored), size):
                table = stored[start:start + size]
                if table == unused:
                    tables.flush()
                    image.append_zero(count * size)
                elif self._is_one_run(table):
                    tables.flush()
                    clusters.map_run(int.from_bytes(table[:8]), count)
                else:
                    tables.add(table)
        tables.flush()

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

    def _is_one_run(self, stored: bytes) -> bool:
        """Whether all clusters of a table follow each other in the file.

        That is how a full disk is mostly stored. The table as one number is
        told from what it would be then in a tenth of the time that its
        entries take.
        """
        first, count = int.from_bytes(stored[:8]), self._header.l2_entries
        last = first + (count - 1) * self._size
        self._draw(2)
        if not (qcow2_clusters.is_plain(first)
                and qcow2_clusters.is_plain(last)
                and not self._header.extended_l2) or (
                    int.from_bytes(stored) != first * self._ones
                    + self._steps):
            return False
        self._draw(2 + count // _CHEAP // 8)
        return True
