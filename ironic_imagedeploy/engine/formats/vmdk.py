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

"""VMDK in a single file: monolithicSparse and streamOptimized.

Source: VMware's "Virtual Disk Format 5.0", sections "Hosted Sparse Extents"
and "Stream-Optimized Compressed Sparse Extents". On-disk numbers are little
endian; the unit of the format is the sector of 512 bytes.
"""

from array import array
import bisect
from collections.abc import Iterable
import itertools
import struct
import sys
import typing

from ironic_imagedeploy.engine.codecs import clusters
from ironic_imagedeploy.engine.codecs import errors
from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.formats import base
from ironic_imagedeploy.engine.formats import extent_map
from ironic_imagedeploy.engine.formats import vmdk_descriptor
from ironic_imagedeploy.engine.sources import base as sources

ExtentKind = base.ExtentKind

_SECTOR = 512
_HEADER = struct.Struct('<4sIIQQQQIQQQBccccH433s')
_MAGIC = b'KDMV'
#: They show a transfer as text.
_LINE_ENDS = (b'\n', b' ', b'\r', b'\n')
_AT_END = 0xffffffffffffffff
#: From the end of the file to the copy of the header in a footer, which is
#: between two markers: the footer's own, and that of the end of the stream.
_FOOTER = 2 * _SECTOR
_METADATA_MARKER = struct.Struct('<QII')
_FOOTER_TYPE = 3
_REDUNDANT = 1 << 1
_ZEROED_GRAINS = 1 << 2
_COMPRESSED = 1 << 16
_MARKERS = 1 << 17
_DEFLATE = 1
_ZEROED = 1
_MARKER = struct.Struct('<QI')
_TABLE_ENTRIES = 512
_TABLE_SECTORS = _TABLE_ENTRIES * 4 // _SECTOR
#: 64 KiB is what everybody writes; QEMU reads up to 64 MiB.
_GRAIN_SECTORS = range(8, 4096 + 1)
#: Each takes some 200 bytes while the map is made.
_MOST_TABLES = 256 << 10
#: The capacity that 32-bit grain table entries can address, and more.
_MOST_SECTORS = 1 << 36


class _Header(typing.NamedTuple):
    magic: bytes
    version: int
    flags: int
    capacity: int
    grain_size: int
    descriptor_offset: int
    descriptor_size: int
    num_gtes_per_gt: int
    rgd_offset: int
    gd_offset: int
    overhead: int
    unclean_shutdown: int
    single_end_line: bytes
    non_end_line: bytes
    double_end_line_1: bytes
    double_end_line_2: bytes
    compress_algorithm: int
    pad: bytes

    @property
    def table_reach(self) -> int:
        """Sectors that one grain table names."""
        return self.grain_size * self.num_gtes_per_gt

    @property
    def tables(self) -> int:
        """Entries of the grain directory."""
        return -(-self.capacity // self.table_reach)


class VmdkImage(base.MappedImage):
    """A VMDK file: grains found through a directory and its tables."""

    format_name = 'vmdk'

    def __init__(self, source: sources.Source) -> None:
        super().__init__(source)
        self._header = header = self._read_headers()
        self.virtual_size = header.capacity * _SECTOR
        self._grain = header.grain_size * _SECTOR
        self._compressed = bool(header.flags & _COMPRESSED)
        self._check_descriptor()
        if header.tables > _MOST_TABLES:
            raise extent_map.TooManyExtents()
        directory = self._words(header.gd_offset, header.tables, 'directory')
        self._tables = self._find_tables(directory)
        # Of all tables up to that one: a damaged file has them overlap.
        self._table_ends = list(itertools.accumulate(
            (end for _, end in self._tables), max))
        self._map_grains(directory)
        self._tables, self._table_ends = [], []

    def decode(self, extent: base.Extent, stored: clusters.Stored) -> bytes:
        """("Grain Marker": the sector it is for, the size, the stream.)"""
        sector, size = _MARKER.unpack_from(stored)
        if sector * _SECTOR != extent.start or not 0 < size <= (
                len(stored) - _MARKER.size):
            raise self._bad_grain(extent, f'a marker of {size} bytes for '
                                  f'sector {sector}')
        try:
            grain = clusters.inflate_zlib(
                memoryview(stored)[_MARKER.size:_MARKER.size + size],
                self._grain)
        except errors.DecodeError as error:
            raise self._bad_grain(extent, error.found) from error
        # The last grain holds what is left of the disk, or a whole grain.
        if len(grain) < extent.length:
            raise self._bad_grain(extent, f'{len(grain)} bytes')
        return grain[:extent.length]

    def _read_headers(self) -> _Header:
        """The header, or the footer, which counts where there is one."""
        front = self.source.read_at(0, min(self.source.size,
                                           vmdk_descriptor.LIMIT))
        if front.startswith(vmdk_descriptor.FIRST_LINE):
            # Judged as far as to name the kind, none of which is one file.
            vmdk_descriptor.check(self, front, -1)
        header = self._read_header(0)
        if header.gd_offset != _AT_END:
            return header
        self.check_inside('the footer', 0, 2 * _FOOTER)
        self._check_marker(_FOOTER + _SECTOR, _FOOTER_TYPE)
        self._check_marker(_SECTOR, 0)
        footer = self._read_header(self.source.size - _FOOTER)
        if footer.gd_offset == _AT_END:
            raise self.corrupt('a footer without a grain directory',
                               'its offset')
        return footer

    def _check_marker(self, before_end: int, kind: int) -> None:
        offset = self.source.size - before_end
        _, size, found = _METADATA_MARKER.unpack(
            self.source.read_at(offset, _METADATA_MARKER.size))
        if (size, found) != (0, kind):
            raise self.corrupt(f'a marker of type {found} at byte {offset}',
                               f'one of type {kind}')

    def _read_header(self, offset: int) -> _Header:
        self.check_inside('a header', offset, _HEADER.size)
        header = _Header._make(_HEADER.unpack(
            self.source.read_at(offset, _HEADER.size)))
        if header.magic != _MAGIC or not 1 <= header.version <= 3:
            raise self.corrupt(
                f'{header.magic!r} version {header.version} at byte {offset}',
                f'{_MAGIC!r} version 1 to 3')
        if header[12:16] != _LINE_ENDS:
            raise self.corrupt('changed line ends in the header',
                               'a file transferred as binary')
        if (header.grain_size not in _GRAIN_SECTORS
                or header.grain_size.bit_count() != 1
                or header.num_gtes_per_gt != _TABLE_ENTRIES):
            raise self.corrupt(
                f'grains of {header.grain_size} sectors in tables of '
                f'{header.num_gtes_per_gt}', 'grains of 8 to 4096 sectors, '
                f'a power of two, in tables of {_TABLE_ENTRIES}')
        if not 0 < header.capacity <= _MOST_SECTORS:
            raise self.corrupt(f'a disk of {header.capacity} sectors',
                               f'1 to {_MOST_SECTORS}')
        return header

    def _check_descriptor(self) -> None:
        header = self._header
        offset = header.descriptor_offset * _SECTOR
        length = header.descriptor_size * _SECTOR
        if not offset or not 0 < length <= vmdk_descriptor.LIMIT:
            raise self.refused(
                'external-extent', 'The descriptor is not in the file.',
                expected='a descriptor of up to '
                f'{vmdk_descriptor.LIMIT} bytes in the file',
                found=f'{length} bytes at byte {offset}',
                fix='Make it one file: qemu-img convert -O qcow2 OLD NEW')
        self.check_inside('the descriptor', offset, length)
        kind = vmdk_descriptor.check(
            self, self.source.read_at(offset, length), header.capacity)
        packed = kind == vmdk_descriptor.STREAM_OPTIMIZED
        if (bool(header.flags & _MARKERS) != packed
                or self._compressed != packed
                or packed and header.compress_algorithm != _DEFLATE):
            raise self.corrupt(
                f'flags {header.flags:#x} and compression '
                f'{header.compress_algorithm} for {kind}',
                'a header that agrees with the descriptor')

    def _find_tables(self, directory: 'array[int]') -> list[tuple[int, int]]:
        """First sector and end of all but grains, in order."""
        header = self._header
        directories = [(header.gd_offset, directory)]
        if header.flags & _REDUNDANT and header.rgd_offset:
            directories.append((header.rgd_offset, self._words(
                header.rgd_offset, header.tables, 'directory')))
        taken = [(0, 1), (header.descriptor_offset,
                          header.descriptor_offset + header.descriptor_size)]
        for start, entries in directories:
            taken.append((start, start - -len(entries) * 4 // _SECTOR))
            taken += ((table, table + _TABLE_SECTORS)
                      for table in entries if table)
        return sorted(taken)

    def _map_grains(self, directory: Iterable[int]) -> None:
        size = _TABLE_ENTRIES * 4
        seen = set()
        for sector in directory:
            # Shared tables would let a tiny file name a huge map.
            if sector in seen:
                raise self.corrupt(f'a second use of sector {sector}',
                                   'one grain table in a place')
            if sector:
                seen.add(sector)
        reach = self._header.table_reach * _SECTOR
        for offset, count in base.neighbours(
                (sector * _SECTOR for sector in directory), size):
            if not offset:
                self.append_zero(count * reach)
                continue
            for entry in self._words(offset // _SECTOR,
                                     count * _TABLE_ENTRIES, 'table'):
                self._map_grain(entry)

    def _map_grain(self, entry: int) -> None:
        length = min(self._grain, self.virtual_size - self.map.end)
        if length <= 0:
            return
        if not entry or (entry == _ZEROED
                         and self._header.flags & _ZEROED_GRAINS):
            self.map.append(length, ExtentKind.ZERO)
            return
        offset = entry * _SECTOR
        sectors = 1 if self._compressed else -(-length // _SECTOR)
        before = bisect.bisect_left(self._tables, (entry + sectors,))
        if before and self._table_ends[before - 1] > entry:
            raise self.corrupt(f'a grain in sector {entry}, over a table',
                               'grains in sectors of their own')
        if not self._compressed:
            self.check_inside('a grain', offset, length)
            self.map.append(length, ExtentKind.DATA, offset, length)
            return
        self.check_inside('a grain', offset, _MARKER.size)
        stored = min(_MARKER.size + clusters.deflate_bound(self._grain),
                     self.source.size - offset)
        self.map.append(length, ExtentKind.COMPRESSED, offset, stored)

    def _words(self, sector: int, count: int, what: str) -> 'array[int]':
        """Little-endian 32-bit words."""
        offset = sector * _SECTOR
        self.check_inside(f'the grain {what}', offset, count * 4)
        words = array('I')
        words.frombytes(self.source.read_at(offset, count * 4))
        if sys.byteorder == 'big':
            words.byteswap()
        return words

    def _bad_grain(self, extent: base.Extent, found: str
                   ) -> exceptions.ImageRefused:
        return self.corrupt(
            f'{found} in the grain at byte {extent.source_offset}',
            f'a grain for sector {extent.start // _SECTOR}')
