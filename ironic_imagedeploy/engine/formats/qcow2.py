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
import functools
import itertools
import operator
import sys

from ironic_imagedeploy.engine.codecs import clusters
from ironic_imagedeploy.engine.codecs import errors
from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.formats import base
from ironic_imagedeploy.engine.formats import extent_map
from ironic_imagedeploy.engine.formats import qcow2_header
from ironic_imagedeploy.engine.sources import base as sources

Extent = base.Extent
ExtentKind = base.ExtentKind

_OFFSET_MASK = 0x00fffffffffffe00
_L1_RESERVED = 0x7f000000000001ff
_L2_RESERVED = 0x3f000000000001fe
_ALL_BITS = (1 << 64) - 1
_COPIED = 1 << 63
_COMPRESSED = 1 << 62
_ZERO = 1
_SECTOR = 512
_SUBCLUSTERS = 32
#: Each takes some 100 bytes while the map is made.
_MOST_TABLES = 256 << 10


class Qcow2Image(base.MappedImage):
    """A qcow2 file: clusters found through two levels of tables."""

    format_name = 'qcow2'

    def __init__(self, source: sources.Source) -> None:
        super().__init__(source)
        self._header = header = qcow2_header.read(self)
        self.virtual_size = header.size
        self.has_subclusters = header.extended_l2
        # Data starts at a multiple of it, in the file and on the disk.
        self._unit = header.cluster_size // (
            _SUBCLUSTERS if header.extended_l2 else 1)
        # Clusters of the header and of the tables.
        self._taken = {0}
        self._take('the level 1 table', header.l1_table_offset,
                   header.l1_size * 8)
        self._take_refcounts()
        self._decoder = (clusters.unzstd if header.compression_type
                         else clusters.inflate)
        self._map_clusters()
        self._taken.clear()

    def decode(self, extent: Extent, stored: clusters.Stored
               ) -> clusters.Decoded:
        try:
            # A compressed cluster is whole even where the disk ends in it.
            cluster = self._decoder(stored, self._header.cluster_size)
        except errors.DecodeError as error:
            raise self.corrupt(
                f'the cluster at byte {extent.source_offset} of the file, '
                f'which gives none: {error.found}',
                'clusters that can be decompressed') from error
        return _clip(cluster, extent)

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

    def _take(self, what: str, offset: int, length: int) -> None:
        """Reserve clusters for a table: they hold nothing else."""
        clusters = range(offset, offset + length, self._header.cluster_size)
        if not self._taken.isdisjoint(clusters):
            raise self.corrupt(f'{what} at byte {offset}, over another',
                               'each table in clusters of its own')
        if len(self._taken) > _MOST_TABLES:
            raise extent_map.TooManyExtents()
        self._taken.update(clusters)

    def _take_refcounts(self) -> None:
        """("Host cluster management".) What they count does not matter."""
        header = self._header
        offset = header.refcount_table_offset
        length = header.refcount_table_clusters * header.cluster_size
        self._take('the refcount table', offset, length)
        self._take('the snapshot table', header.snapshots_offset,
                   header.snapshots_length)
        for block in filter(None, _words(self.source.read_at(offset, length)
                                         if length else b'')):
            if block % header.cluster_size:
                raise self.corrupt(f'the refcount table entry {block:#018x}',
                                   'aligned offsets of refcount blocks')
            self.check_inside('a refcount block', block, 1)
            self._take('a refcount block', block, 1)

    def _level1(self) -> 'array[int]':
        header = self._header
        needed = header.l1_entries_needed
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
            self._take('a level 2 table', offset, 1)
            self.check_inside('a level 2 table', offset,
                              self._header.cluster_size)
        return offset

    def _map_table(self, stored: bytes) -> None:
        size = self._header.cluster_size
        if stored.count(0) == len(stored):
            self.append_zero(self._header.l2_entries * size)
            return
        words = _words(stored)
        if self._header.extended_l2:
            for entry, bitmap in zip(words[::2], words[1::2], strict=True):
                self._map_subclusters(entry, bitmap)
            return
        # Entries after the end of the disk mean nothing.
        del words[-(-(self.virtual_size - self.map.end) // size):]
        for kind, run in itertools.groupby(words, _kind):
            entries = array('Q', run)
            match kind:
                case ExtentKind.ZERO:
                    self._append_zero(entries)
                case ExtentKind.DATA:
                    self._append_data(entries)
                case _:
                    self._append_compressed(entries)

    def _map_subclusters(self, entry: int, bitmap: int) -> None:
        """A cluster of 32 parts ("Extended L2 Entries")."""
        size = self._header.cluster_size
        length = min(size, self.virtual_size - self.map.end)
        if length <= 0:
            return
        if entry & _COMPRESSED:
            if bitmap:
                raise self._bad_entry(entry)
            self._append_compressed(array('Q', [entry]))
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
                self._append_range(offset + index * part, step)
            else:
                self.map.append(step, ExtentKind.ZERO)

    def _append_zero(self, entries: 'array[int]') -> None:
        refused = _L2_RESERVED
        if self._header.version < 3:
            refused |= _ZERO
        self._check_bits(entries, refused)
        self.append_zero(len(entries) * self._header.cluster_size)

    def _append_data(self, entries: 'array[int]') -> None:
        """("Standard Cluster Descriptor".) Neighbours in the file join."""
        size = self._header.cluster_size
        self._check_bits(entries, _L2_RESERVED)
        offsets = [entry & _OFFSET_MASK for entry in entries]
        breaks = [index for index, step in enumerate(
            map(operator.sub, offsets[1:], offsets), 1) if step != size]
        for first, last in itertools.pairwise([0, *breaks, len(offsets)]):
            self._append_range(offsets[first], min(
                (last - first) * size, self.virtual_size - self.map.end))

    def _append_range(self, offset: int, length: int) -> None:
        size = self._header.cluster_size
        first = offset - offset % size
        if offset % self._unit or not self._taken.isdisjoint(
                range(first, offset + length, size)):
            raise self.corrupt(f'data at byte {offset}',
                               'data in aligned clusters of its own')
        self.check_inside('data', offset, length)
        self.map.append(length, ExtentKind.DATA, offset, length)

    def _append_compressed(self, entries: 'array[int]') -> None:
        """("Compressed Clusters Descriptor")."""
        self._check_bits(entries, _COPIED)
        size = self._header.cluster_size
        shift = 62 - (self._header.cluster_bits - 8)
        places, counts = (1 << shift) - 1, (1 << 62 - shift) - 1
        offsets = array('Q', [entry & places for entry in entries])
        self.check_inside('a compressed cluster', max(offsets), 1)
        ends = [(offset // _SECTOR + (entry >> shift & counts) + 1) * _SECTOR
                for entry, offset in zip(entries, offsets, strict=True)]
        if max(ends) > self.source.size:
            # The last sector of the last cluster need not be whole.
            ends = [min(end, self.source.size) for end in ends]
        clusters = itertools.repeat(_ALL_BITS - size + 1)
        if not (self._taken.isdisjoint(map(operator.and_, offsets, clusters))
                and self._taken.isdisjoint(map(
                    operator.and_, (end - 1 for end in ends), clusters))):
            raise self.corrupt(
                f'compressed data at byte {offsets[0]} or soon after',
                'data in clusters of its own')
        stored = array('Q', map(operator.sub, ends, offsets))
        self.map.extend(size, offsets[:-1], stored[:-1])
        self.map.append(min(size, self.virtual_size - self.map.end),
                        ExtentKind.COMPRESSED, offsets[-1], stored[-1])

    def _check_bits(self, entries: 'array[int]', refused: int) -> None:
        if functools.reduce(operator.or_, entries) & refused:
            raise self._bad_entry(next(entry for entry in entries
                                       if entry & refused))

    def _bad_entry(self, entry: int) -> exceptions.ImageRefused:
        return self.corrupt(f'the level 2 entry {entry:#018x}',
                            'entries without reserved bits')


def _kind(entry: int) -> ExtentKind:
    """Kind that a level 2 entry gives its cluster."""
    if entry & _COMPRESSED:
        return ExtentKind.COMPRESSED
    if entry & _ZERO or not entry & _OFFSET_MASK:
        return ExtentKind.ZERO
    return ExtentKind.DATA


def _clip(cluster: clusters.Decoded, extent: Extent) -> clusters.Decoded:
    """As much of a cluster as is on the disk."""
    if len(cluster) == extent.length:
        return cluster
    return cluster[:extent.length]


def _words(stored: bytes) -> 'array[int]':
    """Big-endian 64-bit words."""
    words = array('Q')
    words.frombytes(stored)
    if sys.byteorder == 'little':
        words.byteswap()
    return words
