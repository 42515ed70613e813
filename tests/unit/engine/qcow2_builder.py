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

"""A writer of qcow2 files, and of odd ones that qemu-img does not make.

Clusters lie in any order, compressed ones share sectors and the file may end
in the middle of one. Whatever is nobody's is filled with :data:`FILLER`.
"""

import random
import struct
import sys
import typing
import zlib

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

FILLER = 0xee
COPIED = 1 << 63
COMPRESSED = 1 << 62
ZERO = 1
SECTOR = 512
SUBCLUSTERS = 32
ALL = (1 << SUBCLUSTERS) - 1

#: Fields of the header by the specification's names.
FIELDS = {
    'magic': ('>I', 0), 'version': ('>I', 4),
    'backing_file_offset': ('>Q', 8), 'backing_file_size': ('>I', 16),
    'cluster_bits': ('>I', 20), 'size': ('>Q', 24),
    'crypt_method': ('>I', 32), 'l1_size': ('>I', 36),
    'l1_table_offset': ('>Q', 40), 'refcount_table_offset': ('>Q', 48),
    'refcount_table_clusters': ('>I', 56), 'nb_snapshots': ('>I', 60),
    'snapshots_offset': ('>Q', 64), 'incompatible_features': ('>Q', 72),
    'compatible_features': ('>Q', 80), 'autoclear_features': ('>Q', 88),
    'refcount_order': ('>I', 96), 'header_length': ('>I', 100),
    'compression_type': ('>B', 104),
}


def patched(image: bytes | bytearray, **fields: int) -> bytearray:
    """The image with other values in its header."""
    changed = bytearray(image)
    for name, value in fields.items():
        form, offset = FIELDS[name]
        struct.pack_into(form, changed, offset, value)
    return changed


class _Cluster(typing.NamedTuple):
    """What the level 2 table says of a guest's cluster.

    :ivar flags: bits of the entry besides the place.
    :ivar stored: the bytes in the file, if any.
    :ivar bitmap: of the subclusters.
    """

    flags: int
    stored: bytes | None = None
    bitmap: int = 0


class Builder:
    """One image.

    :param size: of the disk in bytes.
    :ivar disk: what the guest sees.
    :ivar places: offset in the file of ``l1``, ``l2-N``, ``data-N`` and
        ``compressed-N``, once built.
    """

    def __init__(self, size: int, *, cluster_bits: int = 16,
                 version: int = 3, extended_l2: bool = False,
                 compression: str = 'zlib', seed: int = 0) -> None:
        self.size = size
        self.cluster_bits = cluster_bits
        self.cluster_size = 1 << cluster_bits
        self.version = version
        self.extended_l2 = extended_l2
        self.compression = compression
        self.dice = random.Random(seed)
        self.disk = bytearray(size)
        self.places: dict[str, int] = {}
        self._clusters: dict[int, _Cluster] = {}
        self._areas: dict[int, tuple[int, int]] = {}

    @property
    def clusters(self) -> int:
        """Clusters of the disk."""
        return -(-self.size // self.cluster_size)

    @property
    def l2_entries(self) -> int:
        """Clusters that one level 2 table names."""
        return self.cluster_size // (16 if self.extended_l2 else 8)

    def data(self, index: int, content: bytes) -> None:
        """A cluster as it is."""
        self._set(index, content)
        self._clusters[index] = _Cluster(COPIED, content, ALL)

    def zero(self, index: int, *, allocated: bool = False) -> None:
        """A cluster of zeroes, perhaps with old bytes in its place."""
        self._set(index, bytes(self.cluster_size))
        old = self._filler(self.cluster_size) if allocated else None
        flags = COPIED if allocated else 0
        self._clusters[index] = (
            _Cluster(flags, old, ALL << SUBCLUSTERS) if self.extended_l2
            else _Cluster(flags | ZERO, old))

    def compressed(self, index: int, content: bytes, *, frames: int = 1
                   ) -> bool:
        """A compressed cluster; False when it does not get smaller.

        :param frames: of zstd.
        """
        stored = (deflate(content) if self.compression == 'zlib'
                  else zstd_frames(content, frames))
        if len(stored) >= self.cluster_size:
            return False
        self._set(index, content)
        self._clusters[index] = _Cluster(COMPRESSED, stored)
        return True

    def subclusters(self, index: int, content: bytes, *, allocated: int,
                    zeroes: int) -> None:
        """A cluster of which only parts are there.

        :param allocated: bitmap of the subclusters that hold content.
        :param zeroes: bitmap of those that are zero.
        """
        part = self.cluster_size // SUBCLUSTERS
        seen, stored = bytearray(self.cluster_size), bytearray()
        for number in range(SUBCLUSTERS):
            piece = slice(number * part, (number + 1) * part)
            if allocated >> number & 1:
                seen[piece] = content[piece]
                stored += content[piece]
            else:
                stored += self._filler(part)
        self._set(index, seen)
        self._clusters[index] = _Cluster(
            COPIED, bytes(stored), zeroes << SUBCLUSTERS | allocated)

    def build(self, *, last: str | None = None) -> bytearray:
        """The file.

        :param last: what ends it: ``l1``; ``data``, only as far as the
            disk reaches; ``compressed``, without a byte of padding; or
            ``sector``, the same at the end of a sector.
        """
        items = self._items(last)
        file = bytearray(self.cluster_size)
        for name, content in items:
            self.places[name] = len(file)
            file += content
            file += self._filler(-len(content) % self.cluster_size)
        self._fill_tables(file)
        self._fill_header(file)
        if last:
            name, content = items[-1]
            del file[self.places[name] + len(content):]
        return file

    def _items(self, last: str | None) -> list[tuple[str, bytes]]:
        """What is in the file after the header, in order."""
        tables = -(-self.clusters // self.l2_entries)
        items = [('refcounts', bytes(self.cluster_size)),
                 ('l1', bytes(tables * 8))]
        for number in range(tables):
            first = number * self.l2_entries
            if any(index in self._clusters
                   for index in range(first, first + self.l2_entries)):
                items.append((f'l2-{number}', bytes(self.cluster_size)))
        items += [(f'data-{index}', cluster.stored)
                  for index, cluster in self._clusters.items()
                  if cluster.stored and not cluster.flags & COMPRESSED]
        areas = self._pack(last == 'sector')
        items += [(f'area-{number}', area)
                  for number, area in enumerate(areas)]
        self.dice.shuffle(items)
        if last:
            end = {'l1': 'l1', 'data': f'data-{self.clusters - 1}'}.get(
                last, f'area-{len(areas) - 1}')
            items.sort(key=lambda item: item[0] == end)
            if last == 'data':
                rest = self.size - (self.clusters - 1) * self.cluster_size
                items[-1] = (end, items[-1][1][:rest])
        return items

    def _pack(self, sector: bool) -> list[bytes]:
        """Compressed clusters, most of them back to back.

        Their places are relative to their area until they are looked up.
        """
        indices = [index for index, cluster in self._clusters.items()
                   if cluster.flags & COMPRESSED]
        self.dice.shuffle(indices)
        areas: list[bytes] = []
        while indices:
            count = self.dice.randint(1, 40)
            batch, indices = indices[:count], indices[count:]
            area = bytearray()
            for index in batch:
                stored = self._clusters[index].stored or b''
                area += self._filler(self.dice.choice((0, 0, 0, 1, 300)))
                if sector and not indices and index == batch[-1]:
                    area += self._filler(
                        -(len(area) + len(stored)) % SECTOR)
                self._areas[index] = len(areas), len(area)
                area += stored
            areas.append(bytes(area))
        return areas

    def _fill_tables(self, file: bytearray) -> None:
        for index, cluster in self._clusters.items():
            number, at = divmod(index, self.l2_entries)
            table = self.places[f'l2-{number}']
            struct.pack_into('>Q', file, self.places['l1'] + number * 8,
                             COPIED | table)
            entry = self._entry(index, cluster)
            if self.extended_l2:
                struct.pack_into('>QQ', file, table + at * 16, entry,
                                 cluster.bitmap)
            else:
                struct.pack_into('>Q', file, table + at * 8, entry)

    def _entry(self, index: int, cluster: _Cluster) -> int:
        if not cluster.stored:
            return cluster.flags
        if not cluster.flags & COMPRESSED:
            return cluster.flags | self.places[f'data-{index}']
        area, start = self._areas[index]
        offset = self.places[f'area-{area}'] + start
        self.places[f'compressed-{index}'] = offset
        sectors = -(-(offset % SECTOR + len(cluster.stored)) // SECTOR)
        shift = 62 - (self.cluster_bits - 8)
        return COMPRESSED | sectors - 1 << shift | offset

    def _fill_header(self, file: bytearray) -> None:
        file[:] = patched(
            file, magic=0x514649fb, version=self.version,
            cluster_bits=self.cluster_bits, size=self.size,
            l1_size=-(-self.clusters // self.l2_entries),
            l1_table_offset=self.places['l1'],
            refcount_table_offset=self.places['refcounts'],
            refcount_table_clusters=1)
        if self.version >= 3:
            compression = self.compression == 'zstd'
            file[:] = patched(
                file, refcount_order=4,
                header_length=112 if compression else
                self.dice.choice((104, 112)),
                incompatible_features=compression << 3
                | self.extended_l2 << 4, compression_type=compression)

    def _set(self, index: int, content: bytes | bytearray) -> None:
        if len(content) != self.cluster_size:
            raise AssertionError(f'a cluster of {len(content)} bytes')
        start = index * self.cluster_size
        length = min(self.cluster_size, self.size - start)
        self.disk[start:start + length] = content[:length]

    def _filler(self, length: int) -> bytes:
        return bytes([FILLER]) * length


def deflate(content: bytes) -> bytes:
    """A raw deflate stream with QEMU's window."""
    coder = zlib.compressobj(6, zlib.DEFLATED, -12)
    return coder.compress(content) + coder.flush()


def zstd_frames(content: bytes, frames: int) -> bytes:
    """As many frames, one after the other."""
    step = -(-len(content) // frames)
    return b''.join(zstd.compress(content[start:start + step])
                    for start in range(0, len(content), step))


def text(dice: random.Random, length: int) -> bytes:
    """Bytes that compress to about half."""
    noise = dice.randbytes(length // 2)
    return noise + noise[:1] * (length - len(noise))


def fill(builder: Builder, kinds: str = 'dcz.') -> Builder:
    """Give each cluster a kind at random.

    :param kinds: letters to choose from: data, compressed, zero, allocated
        zero (Z), subclusters (s), nothing (.).
    """
    dice, size = builder.dice, builder.cluster_size
    for index in range(builder.clusters):
        match dice.choice(kinds):
            case 'd':
                builder.data(index, dice.randbytes(size))
            case 'c':
                builder.compressed(index, text(dice, size),
                                   frames=dice.choice((1, 1, 2, 5)))
            case 'z':
                builder.zero(index)
            case 'Z':
                builder.zero(index, allocated=True)
            case 's':
                allocated = dice.getrandbits(SUBCLUSTERS)
                builder.subclusters(
                    index, dice.randbytes(size), allocated=allocated,
                    zeroes=dice.getrandbits(SUBCLUSTERS) & ~allocated)
    return builder
