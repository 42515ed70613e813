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

"""The header of a qcow2 file, and what in it refuses the image.

Source: QEMU's ``docs/interop/qcow2.rst``, section "Header".
"""

import dataclasses
import struct
import typing

from ironic_imagedeploy.engine.codecs import libraries

if typing.TYPE_CHECKING:
    from ironic_imagedeploy.engine.formats import reader

_V2 = struct.Struct('>4sIQIIQIIQQIIQ')
_V3 = struct.Struct('>QQQII')
_V3_END = _V2.size + _V3.size
_DIRTY = 1 << 0
_CORRUPT = 1 << 1
_DATA_FILE = 1 << 2
_COMPRESSION = 1 << 3
_EXTENDED_L2 = 1 << 4
_KNOWN = _DIRTY | _CORRUPT | _DATA_FILE | _COMPRESSION | _EXTENDED_L2
#: QEMU's own bounds: of the level 1 table (QCOW_MAX_L1_SIZE), in entries; of
#: the refcount table (QCOW_MAX_REFTABLE_SIZE), in bytes; of the width of a
#: refcount, as a power of two; and QCOW_MAX_SNAPSHOTS.
_L1_LIMIT = (32 << 20) // 8
_REFCOUNT_TABLE_LIMIT = 8 << 20
_REFCOUNT_ORDER_LIMIT = 6
_SNAPSHOTS_LIMIT = 65536
_ZSTD = 1
#: Subclusters of a cluster, where it has any.
SUBCLUSTERS = 32
_EXTENSION = struct.Struct('>II')
#: Bytes that are looked at for them: nobody writes more.
_EXTENSIONS_READ = 64 << 10
#: Bytes of an entry of the snapshot table at least.
_SNAPSHOT = 40


@dataclasses.dataclass(frozen=True, kw_only=True)
class Header:
    """The fields that matter for reading, under the specification's names."""

    version: int
    backing_file_offset: int
    cluster_bits: int
    size: int
    crypt_method: int
    l1_size: int
    l1_table_offset: int
    refcount_table_offset: int
    refcount_table_clusters: int
    nb_snapshots: int
    snapshots_offset: int
    refcount_order: int
    incompatible_features: int
    header_length: int
    compression_type: int

    @property
    def cluster_size(self) -> int:
        """Bytes in a cluster."""
        return 1 << self.cluster_bits

    @property
    def unit(self) -> int:
        """Bytes that data starts at a multiple of: a cluster, or its part."""
        return self.cluster_size // (SUBCLUSTERS if self.extended_l2 else 1)

    @property
    def compressed_shift(self) -> int:
        """Bits of a compressed cluster's entry that hold its offset."""
        return 62 - (self.cluster_bits - 8)

    @property
    def extended_l2(self) -> bool:
        """Whether clusters have 32 subclusters."""
        return bool(self.incompatible_features & _EXTENDED_L2)

    @property
    def l2_entries(self) -> int:
        """Clusters that one level 2 table names."""
        return self.cluster_size // (16 if self.extended_l2 else 8)

    @property
    def l1_entries_needed(self) -> int:
        """Level 2 tables that the disk's size needs."""
        return -(-self.size // (self.l2_entries * self.cluster_size))

    @property
    def snapshots_length(self) -> int:
        """Bytes that the snapshot table has at least; 0 without one."""
        return self.nb_snapshots * _SNAPSHOT if self.snapshots_offset else 0


def read(image: 'reader.Reader') -> Header:
    """Read and judge the header; warnings go to the image's findings.

    :raises ImageRefused: when the image cannot or must not be read.
    """
    image.check_inside('the header', 0, _V2.size)
    source = image.source
    header = _parse(source.read_at(0, min(source.size, _V3_END + 8)))
    _check_version(image, header)
    _check_features(image, header)
    _check_sizes(image, header)
    _check_tables(image, header)
    _check_extensions(image, header)
    _warn(image, header)
    return header


def _parse(stored: bytes) -> Header:
    (_, version, backing_file_offset, _, cluster_bits, size, crypt_method,
     l1_size, l1_table_offset, refcount_table_offset, refcount_table_clusters,
     nb_snapshots, snapshots_offset) = _V2.unpack_from(stored)
    incompatible = refcount_order = compression_type = 0
    header_length = _V2.size
    if version >= 3 and len(stored) >= _V3_END:
        incompatible, _, _, refcount_order, header_length = _V3.unpack_from(
            stored, _V2.size)
        if header_length > _V3_END and len(stored) > _V3_END:
            compression_type = stored[_V3_END]
    return Header(
        version=version, backing_file_offset=backing_file_offset,
        cluster_bits=cluster_bits, size=size, crypt_method=crypt_method,
        l1_size=l1_size, l1_table_offset=l1_table_offset,
        refcount_table_offset=refcount_table_offset,
        refcount_table_clusters=refcount_table_clusters,
        nb_snapshots=nb_snapshots, snapshots_offset=snapshots_offset,
        refcount_order=refcount_order, incompatible_features=incompatible,
        header_length=header_length, compression_type=compression_type)


def _check_version(image: 'reader.Reader', header: Header) -> None:
    if header.version not in (2, 3):
        raise image.refused(
            'format-unsupported', case='version', expected='version 2 or 3',
            found=f'version {header.version}')
    if header.version == 3:
        image.check_inside('the header', 0, _V3_END)
        if header.header_length < _V3_END or header.header_length % 8:
            raise image.corrupt(f'a header of {header.header_length} bytes',
                                f'{_V3_END} bytes or more, by eights')


def _check_features(image: 'reader.Reader', header: Header) -> None:
    if header.backing_file_offset:
        raise image.refused(
            'backing-file', expected='no backing file',
            found='a backing file')
    features = header.incompatible_features
    if unknown := features & ~_KNOWN:
        raise image.refused(
            'unknown-feature',
            expected='known incompatible features',
            found=f'feature bits {unknown:#x}')
    if features & _DATA_FILE:
        raise image.refused(
            'data-file', expected='no external data file',
            found='an external data file')
    if header.crypt_method:
        raise image.refused(
            'encrypted', expected='no encryption',
            found={1: 'AES', 2: 'LUKS'}.get(header.crypt_method,
                                            f'method {header.crypt_method}'))
    if features & _CORRUPT:
        raise image.corrupt("the 'corrupt' mark", 'no such mark')
    if bool(features & _COMPRESSION) != bool(header.compression_type):
        raise image.corrupt(
            f'compression type {header.compression_type}, with a feature bit '
            'that says otherwise', 'a header that agrees with itself')
    if header.compression_type > _ZSTD:
        raise image.refused(
            'unknown-feature', case='compression',
            expected='zlib or zstd',
            found=f'compression type {header.compression_type}')
    if header.compression_type and not libraries.zstd_available():
        raise image.refused(
            'format-unsupported', case='decoder', compression='zstd',
            expected="the extra 'fast' of ironic-imagedeploy, for zstd",
            found='no zstd module')


def _check_sizes(image: 'reader.Reader', header: Header) -> None:
    if not 9 <= header.cluster_bits <= 21:
        raise image.corrupt(f'cluster_bits {header.cluster_bits}', '9 to 21')
    if header.extended_l2 and header.cluster_bits < 14:
        raise image.corrupt(
            f'subclusters with cluster_bits {header.cluster_bits}',
            '14 or more')
    if not header.size:
        raise image.corrupt('a disk of 0 bytes', 'a size')
    needed = header.l1_entries_needed
    if not needed <= header.l1_size <= _L1_LIMIT:
        raise image.corrupt(
            f'a level 1 table of {header.l1_size} entries for a disk of '
            f'{header.size} bytes', f'{needed} entries, {_L1_LIMIT} at most')
    if header.refcount_order > _REFCOUNT_ORDER_LIMIT:
        raise image.corrupt(f'refcount_order {header.refcount_order}',
                            f'{_REFCOUNT_ORDER_LIMIT} at most')
    limit = max(_REFCOUNT_TABLE_LIMIT // header.cluster_size, 1)
    if header.refcount_table_clusters > limit:
        raise image.corrupt(
            f'a refcount table of {header.refcount_table_clusters} clusters',
            f'{limit} at most')
    if header.nb_snapshots > _SNAPSHOTS_LIMIT:
        raise image.corrupt(f'{header.nb_snapshots} snapshots',
                            f'{_SNAPSHOTS_LIMIT} at most')


def _check_tables(image: 'reader.Reader', header: Header) -> None:
    """The tables that the header names are in the file, in clusters."""
    for what, offset, length in (
            ('level 1', header.l1_table_offset, header.l1_size * 8),
            ('refcount', header.refcount_table_offset,
             header.refcount_table_clusters * header.cluster_size),
            ('snapshot', header.snapshots_offset, header.snapshots_length)):
        if not length:
            continue
        if offset % header.cluster_size or not offset:
            raise image.corrupt(f'a {what} table at byte {offset}',
                                'a multiple of the cluster size')
        image.check_inside(f'the {what} table', offset, length)


def _check_extensions(image: 'reader.Reader', header: Header) -> None:
    """Check that extensions end in the first cluster ("Header extensions")."""
    if header.version < 3:
        return
    end = header.cluster_size
    if header.header_length > end:
        raise image.corrupt(f'a header of {header.header_length} bytes',
                            f'{end} bytes at most, one cluster')
    stored = image.source.read_at(0, min(end, _EXTENSIONS_READ,
                                         image.source.size))
    offset = header.header_length
    while offset + _EXTENSION.size <= len(stored):
        kind, length = _EXTENSION.unpack_from(stored, offset)
        if not kind:
            break
        offset += _EXTENSION.size + length + -length % 8
        if offset > end:
            raise image.corrupt(
                f'the header extension {kind:#010x} of {length} bytes',
                f'extensions that end before byte {end}')


def _warn(image: 'reader.Reader', header: Header) -> None:
    if header.nb_snapshots:
        image.warn(
            'internal-snapshot',
            expected='no internal snapshots',
            found=f'{header.nb_snapshots}')
    if header.incompatible_features & _DIRTY:
        image.warn(
            'dirty',
            expected='a clean image', found="the 'dirty' mark")
