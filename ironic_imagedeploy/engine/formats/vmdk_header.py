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

"""The headers of a VMDK file.

Source: VMware's "Virtual Disk Format 5.0", sections "Hosted Sparse Extents"
and "Stream-Optimized Compressed Sparse Extents". On-disk numbers are little
endian.
"""

import struct
import typing

from ironic_imagedeploy.engine.formats import vmdk_descriptor

if typing.TYPE_CHECKING:
    from ironic_imagedeploy.engine.formats import reader

#: Bytes of the format's unit.
SECTOR = 512
#: Entries of a grain table, and sectors that it takes.
TABLE_ENTRIES = 512
TABLE_SECTORS = TABLE_ENTRIES * 4 // SECTOR

_HEADER = struct.Struct('<4sIIQQQQIQQQBccccH433s')
_MAGIC = b'KDMV'
#: Line ends of all kinds: a transfer as text changes them.
_LINE_ENDS = (b'\n', b' ', b'\r', b'\n')
_AT_END = 0xffffffffffffffff
#: From the end of the file to the copy of the header in a footer, which is
#: between two markers: the footer's own, and that of the end of the stream.
_FOOTER = 2 * SECTOR
_METADATA_MARKER = struct.Struct('<QII')
_FOOTER_TYPE = 3
_REDUNDANT = 1 << 1
_ZEROED_GRAINS = 1 << 2
_COMPRESSED = 1 << 16
_MARKERS = 1 << 17
_DEFLATE = 1
#: Fields that a footer has as the header has them.
_ALIKE = ('version', 'flags', 'capacity', 'grain_size', 'descriptor_offset',
          'descriptor_size', 'num_gtes_per_gt', 'compress_algorithm')
#: 64 KiB is what everybody writes; QEMU reads up to 64 MiB.
_GRAIN_SECTORS = range(8, 4096 + 1)
#: The capacity that 32-bit grain table entries can address, and more.
_MOST_SECTORS = 1 << 36


class Header(typing.NamedTuple):
    """The fields of a header, under the specification's names.

    Offsets and sizes are sectors.
    """

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

    @property
    def is_compressed(self) -> bool:
        """Whether grains are compressed, each behind a marker."""
        return bool(self.flags & _COMPRESSED)

    @property
    def has_zeroed_grains(self) -> bool:
        """Whether a table entry of 1 stands for a grain of zeroes."""
        return bool(self.flags & _ZEROED_GRAINS)

    @property
    def directories(self) -> tuple[int, ...]:
        """Sectors of the grain directory, and of its copy if there is one."""
        if self.flags & _REDUNDANT and self.rgd_offset:
            return self.gd_offset, self.rgd_offset
        return (self.gd_offset,)


def read(image: 'reader.Reader') -> Header:
    """Read and judge the header, or the footer, which counts if there is one.

    :raises ImageRefused: when the image cannot or must not be read.
    """
    source = image.source
    front = source.read_at(0, min(source.size, vmdk_descriptor.LIMIT))
    if front.startswith(vmdk_descriptor.FIRST_LINE):
        # Judged as far as to name the kind, none of which is one file.
        vmdk_descriptor.check(image, front, -1)
    header = _read_at(image, 0)
    if header.gd_offset == _AT_END:
        header = _read_footer(image, header)
    _check_begin(image, 'the descriptor', header.descriptor_offset,
                 source.size - 1)
    _check_descriptor(image, header)
    # Without a grain, the file ends where they would begin.
    _check_begin(image, 'data', header.overhead, source.size)
    for sector in header.directories:
        _check_begin(image, 'a grain directory', sector, source.size - 1)
    return header


def _read_footer(image: 'reader.Reader', header: Header) -> Header:
    image.check_inside('the footer', 0, 2 * _FOOTER)
    _check_marker(image, _FOOTER + SECTOR, _FOOTER_TYPE)
    _check_marker(image, SECTOR, 0)
    footer = _read_at(image, image.source.size - _FOOTER)
    if footer.gd_offset == _AT_END:
        raise image.corrupt('a footer without a grain directory',
                            'its offset')
    for name in _ALIKE:
        found, expected = getattr(footer, name), getattr(header, name)
        if found != expected:
            raise image.corrupt(f'{name} {found} in the footer',
                                f'{expected}, as in the header')
    return footer


def _check_begin(image: 'reader.Reader', what: str, sector: int, last: int
                 ) -> None:
    """A part that the header names begins in the file."""
    if sector * SECTOR > last:
        raise image.corrupt(
            f'{what} at byte {sector * SECTOR}, by the header',
            f'all of it in the {image.source.size} bytes of the file')


def _check_marker(image: 'reader.Reader', before_end: int, kind: int
                  ) -> None:
    offset = image.source.size - before_end
    _, size, found = _METADATA_MARKER.unpack(
        image.source.read_at(offset, _METADATA_MARKER.size))
    if (size, found) != (0, kind):
        raise image.corrupt(f'a marker of type {found} at byte {offset}',
                            f'one of type {kind}')


def _read_at(image: 'reader.Reader', offset: int) -> Header:
    image.check_inside('a header', offset, _HEADER.size)
    header = Header._make(_HEADER.unpack(
        image.source.read_at(offset, _HEADER.size)))
    if header.magic != _MAGIC or not 1 <= header.version <= 3:
        raise image.corrupt(
            f'{header.magic!r} version {header.version} at byte {offset}',
            f'{_MAGIC!r} version 1 to 3')
    if header[12:16] != _LINE_ENDS:
        raise image.corrupt('changed line ends in the header',
                            'a file transferred as binary')
    if (header.grain_size not in _GRAIN_SECTORS
            or header.grain_size.bit_count() != 1
            or header.num_gtes_per_gt != TABLE_ENTRIES):
        raise image.corrupt(
            f'grains of {header.grain_size} sectors in tables of '
            f'{header.num_gtes_per_gt}', 'grains of 8 to 4096 sectors, '
            f'a power of two, in tables of {TABLE_ENTRIES}')
    if not 0 < header.capacity <= _MOST_SECTORS:
        raise image.corrupt(f'a disk of {header.capacity} sectors',
                            f'1 to {_MOST_SECTORS}')
    return header


def _check_descriptor(image: 'reader.Reader', header: Header) -> None:
    offset = header.descriptor_offset * SECTOR
    length = header.descriptor_size * SECTOR
    if not offset or not 0 < length <= vmdk_descriptor.LIMIT:
        raise image.refused(
            'external-extent', case='descriptor',
            expected='a descriptor of up to '
            f'{vmdk_descriptor.LIMIT} bytes in the file',
            found=f'{length} bytes at byte {offset}')
    image.check_inside('the descriptor', offset, length)
    kind = vmdk_descriptor.check(
        image, image.source.read_at(offset, length), header.capacity)
    packed = kind == vmdk_descriptor.STREAM_OPTIMIZED
    if (bool(header.flags & _MARKERS) != packed
            or header.is_compressed != packed
            or packed and header.compress_algorithm != _DEFLATE):
        raise image.corrupt(
            f'flags {header.flags:#x} and compression '
            f'{header.compress_algorithm} for {kind}',
            'a header that agrees with the descriptor')
