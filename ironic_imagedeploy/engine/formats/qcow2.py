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

"""qcow2, versions 2 and 3, without anything outside of the file.

Source of all names and numbers: QEMU's ``docs/interop/qcow2.rst``.
"""

from array import array
import sys

from ironic_imagedeploy.engine import codecs
from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.formats import base
from ironic_imagedeploy.engine.formats import qcow2_header
from ironic_imagedeploy.engine.sources import base as sources

Extent = base.Extent
ExtentKind = base.ExtentKind

_OFFSET_MASK = 0x00fffffffffffe00
_L1_RESERVED = 0x7f000000000001ff
_L2_RESERVED = 0x3f000000000001fe
_COPIED = 1 << 63
_COMPRESSED = 1 << 62
_ZERO = 1
_SECTOR = 512
_SUBCLUSTERS = 32


class Qcow2Image(base.Image):
    """A qcow2 file: clusters found through two levels of tables."""

    format_name = 'qcow2'

    def __init__(self, source: sources.Source) -> None:
        super().__init__(source)
        self._header = header = qcow2_header.read(self)
        self.virtual_size = header.size
        self.granularity = header.cluster_size
        self.has_subclusters = header.extended_l2
        if self.has_subclusters:
            self.granularity //= _SUBCLUSTERS
        self._decoder = (codecs.unzstd if header.compression_type
                         else codecs.inflate)
        self._seen_tables: set[int] = set()
        self._map_clusters()

    def decode(self, extent: Extent, stored: codecs.Stored) -> bytes:
        try:
            # A compressed cluster is whole even where the disk ends in it.
            cluster = self._decoder(stored, self._header.cluster_size)
        except codecs.DecodeError as error:
            raise self.corrupt(
                f'the cluster at byte {extent.source_offset} of the file, '
                f'which gives none: {error}',
                'clusters that can be decompressed') from error
        return cluster[:extent.length]

    def _map_clusters(self) -> None:
        """Fill the map from the tables ("Cluster mapping")."""
        header = self._header
        reach = header.l2_entries * header.cluster_size
        offsets = array('Q', map(self._table_offset, self._level1()))
        for offset, tables in base.neighbours(offsets, header.cluster_size):
            if not offset:
                self.append_zero(tables * reach)
                continue
            stored = self.source.read_at(offset,
                                         tables * header.cluster_size)
            for start in range(0, len(stored), header.cluster_size):
                self._map_table(stored[start:start + header.cluster_size])

    def _level1(self) -> 'array[int]':
        header = self._header
        needed = header.l1_entries_needed
        self.check_inside('the level 1 table', header.l1_table_offset,
                          needed * 8)
        return _words(self.source.read_at(header.l1_table_offset, needed * 8))

    def _table_offset(self, entry: int) -> int:
        offset = entry & _OFFSET_MASK
        if not entry:
            return 0
        if entry & _L1_RESERVED or offset % self._header.cluster_size:
            raise self.corrupt(f'the level 1 entry {entry:#018x}',
                               'aligned offsets of level 2 tables')
        if offset:
            # Shared tables would let a tiny file name a huge map.
            if self._is_table(offset):
                raise self.corrupt(f'a second use of the cluster at {offset}',
                                   'one level 2 table in a cluster')
            self._seen_tables.add(offset)
            self.check_inside('a level 2 table', offset,
                              self._header.cluster_size)
        return offset

    def _map_table(self, stored: bytes) -> None:
        header = self._header
        if stored.count(0) == len(stored):
            self.append_zero(header.l2_entries * header.cluster_size)
            return
        words = _words(stored)
        if header.extended_l2:
            for entry, bitmap in zip(words[::2], words[1::2],
                                     strict=True):
                self._map_subclusters(entry, bitmap)
            return
        for entry in words:
            self._map_cluster(entry)

    def _map_cluster(self, entry: int) -> None:
        length = min(self._header.cluster_size,
                     self.virtual_size - self.map.end)
        if length <= 0:
            return
        offset = entry & _OFFSET_MASK
        if entry & _COMPRESSED:
            self._append_compressed(entry, length)
        elif entry & _L2_RESERVED or (entry & _ZERO
                                      and self._header.version < 3):
            raise self._bad_entry(entry)
        elif entry & _ZERO or not offset:
            self.map.append(length, ExtentKind.ZERO)
        else:
            self._append_data(offset, length)

    def _map_subclusters(self, entry: int, bitmap: int) -> None:
        """A cluster of 32 parts ("Extended L2 Entries")."""
        size = self._header.cluster_size
        length = min(size, self.virtual_size - self.map.end)
        if length <= 0:
            return
        if entry & _COMPRESSED:
            if bitmap:
                raise self._bad_entry(entry)
            self._append_compressed(entry, length)
            return
        offset = entry & _OFFSET_MASK
        zeroes, allocated = bitmap >> 32, bitmap & 0xffffffff
        if (entry & (_L2_RESERVED | _ZERO) or zeroes & allocated
                or allocated and not offset or offset % size):
            raise self._bad_entry(entry)
        part = size // _SUBCLUSTERS
        for index in range(-(-length // part)):
            step = min(part, length - index * part)
            if allocated >> index & 1:
                self._append_data(offset + index * part, step)
            else:
                self.map.append(step, ExtentKind.ZERO)

    def _append_data(self, offset: int, length: int) -> None:
        if offset % self.granularity or self._is_table(offset):
            raise self.corrupt(f'data at byte {offset}',
                               'data in aligned clusters of its own')
        self.check_inside('data', offset, length)
        self.map.append(length, ExtentKind.DATA, offset, length)

    def _append_compressed(self, entry: int, length: int) -> None:
        """("Compressed Clusters Descriptor")."""
        shift = 62 - (self._header.cluster_bits - 8)
        offset = entry & ((1 << shift) - 1)
        sectors = ((entry & (_COMPRESSED - 1)) >> shift) + 1
        stored = sectors * _SECTOR - offset % _SECTOR
        if entry & _COPIED:
            raise self._bad_entry(entry)
        self.check_inside('a compressed cluster', offset, 1)
        # The last sector of the last cluster need not be whole.
        stored = min(stored, self.source.size - offset)
        if self._is_table(offset) or self._is_table(offset + stored - 1):
            raise self.corrupt(f'compressed data at byte {offset}',
                               'data in clusters of its own')
        self.map.append(length, ExtentKind.COMPRESSED, offset, stored)

    def _is_table(self, offset: int) -> bool:
        """Whether the byte is in a cluster of the header or a table."""
        header = self._header
        cluster = offset - offset % header.cluster_size
        return (not cluster or cluster in self._seen_tables
                or 0 <= cluster - header.l1_table_offset
                < header.l1_entries_needed * 8)

    def _bad_entry(self, entry: int) -> exceptions.ImageRefused:
        return self.corrupt(f'the level 2 entry {entry:#018x}',
                            'entries without reserved bits')


def _words(stored: bytes) -> 'array[int]':
    """Big-endian 64-bit words."""
    words = array('Q')
    words.frombytes(stored)
    if sys.byteorder == 'little':
        words.byteswap()
    return words
