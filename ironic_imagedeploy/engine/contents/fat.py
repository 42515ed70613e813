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

"""Read-only look into a FAT volume, as far as boot programs need it.

Source: Microsoft's "FAT: General Overview of On-Disk Format", version 1.03.
Linux and firmware (fs/fat/inode.c, edk2's FatPkg) know a FAT32 by its fields,
and not, as that says, by its number of clusters.
"""

from collections.abc import Iterator
import struct
import typing

from ironic_imagedeploy.engine import budget as _budget
from ironic_imagedeploy.engine.contents import mbr
from ironic_imagedeploy.engine.contents import read as _read
from ironic_imagedeploy.engine import exceptions

_BPB = struct.Struct('<3s8sHBHBHHBHHHIII')
_FAT32_ROOT = struct.Struct('<I')
_ENTRY = struct.Struct('<8s3sB8xH4xHI')
_DIRECTORY = 0x10
_VOLUME_LABEL = 0x08
_DELETED = 0xe5
#: Attributes of a part of a long name, and where it has thirteen characters.
_LONG_NAME = 0x0f
_CHARACTERS = (slice(1, 11), slice(14, 26), slice(28, 32))
_LAST_PART = 0x40
_CHECKSUM_AT = 13
#: Clusters of a whole volume.
_MOST_FAT12 = 4084
_MOST_FAT16 = 65524
#: Clusters of one directory that are followed.
_MOST_CLUSTERS = 256
#: Bytes of one directory.
_MOST_BYTES = 1 << 20
#: Bytes of a file that are read at once.
_PIECE = 1 << 20
#: Steps of the budget that a cluster costs, one of a file, and an entry.
_CLUSTER_STEPS = 6
_FILE_STEPS = 3
_ENTRY_STEPS = 2


class Entry(typing.NamedTuple):
    """A file or directory.

    :ivar name: in upper case, as ``BOOTX64.EFI``; the long one, if any.
    :ivar short: the name that every entry has, as ``BOOTRI~1.EFI``.
    :ivar cluster: the first one.
    :ivar size: bytes of a file.
    """

    name: str
    short: str
    directory: bool
    cluster: int
    size: int

    def is_called(self, name: str) -> bool:
        """Whether the long or the short name is this one."""
        return name.upper() in (self.name, self.short)


class FatVolume:
    """A FAT12, FAT16 or FAT32 volume.

    :param read: gives bytes of the volume.
    :param budget: that a look at it draws from.
    :ivar sector_size: bytes in its sectors.
    :raises BadContent: when it is not one, or is damaged.
    """

    def __init__(self, read: _read.Read, budget: _budget.Budget) -> None:
        self._read = read
        self._budget = budget
        self.draw = budget.draw
        sector = read(0, 512)
        if not mbr.is_boot_sector(sector):
            raise _damaged('no boot sector')
        (_, _, self.sector_size, per_cluster, reserved, fats, root_entries,
         sectors16, _, fat_sectors, _, _, _, sectors32, fat_sectors32
         ) = _BPB.unpack_from(sector)
        if self.sector_size not in (512, 1024, 2048, 4096) or not (
                per_cluster.bit_count() == 1 and reserved and fats):
            raise _damaged('no FAT parameters')
        is_fat32 = not fat_sectors
        fat_sectors = fat_sectors or fat_sectors32
        if not fat_sectors:
            raise _damaged('no FAT')
        root_at = reserved + fats * fat_sectors
        data_at = root_at - (-root_entries * 32 // self.sector_size)
        clusters = ((sectors16 or sectors32) - data_at) // per_cluster
        if clusters <= 0:
            raise _damaged('no room for files')
        if not is_fat32 and clusters > _MOST_FAT16:
            raise _damaged(f'a FAT16 of {clusters} clusters')
        self._bits = 32 if is_fat32 else 12 if clusters <= _MOST_FAT12 else 16
        self._last = clusters + 1
        self._fat_at = reserved * self.sector_size
        self._root = (root_at * self.sector_size, root_entries * 32)
        self._root_cluster = (_FAT32_ROOT.unpack_from(sector, 44)[0]
                              if self._bits == 32 else 0)
        self._data_at = data_at * self.sector_size
        self._cluster_size = per_cluster * self.sector_size
        self._listed = {self._root_cluster}

    def root(self) -> Iterator[Entry]:
        """Entries of the root directory."""
        if self._bits == 32:
            return self._entries(self._chain(self._root_cluster, _MOST_BYTES))
        return self._entries(self._read(*self._root))

    def find(self, name: bytes) -> int | None:
        """Offset in the volume of an entry of the root directory.

        :param name: eleven bytes as they are stored, ``EFI`` with blanks.
        :returns: None when there is no such file or directory.
        """
        places = [self._root] if self._bits != 32 else self._places(
            self._root_cluster, _MOST_BYTES)
        for start, length in places:
            stored = self._read(start, length)
            for at in range(0, len(stored) - _ENTRY.size + 1, _ENTRY.size):
                self._budget.draw(_ENTRY_STEPS)
                if not stored[at]:
                    return None
                if stored.startswith(name, at) and not (
                        stored[at + len(name)] & _VOLUME_LABEL):
                    return start + at
        return None

    def entries(self, directory: Entry) -> Iterator[Entry]:
        """Entries of a directory, the first time that it is asked for.

        :raises BadContent: when another directory, or itself, has it again.
        """
        if directory.cluster in self._listed:
            raise _damaged('a directory in two places')
        self._listed.add(directory.cluster)
        return self._entries(self._chain(directory.cluster, _MOST_BYTES))

    def front(self, file: Entry, length: int) -> bytes:
        """The first bytes of a file; fewer where its clusters end."""
        return b''.join(self._pieces(file.cluster, min(length, file.size)))

    def pieces(self, file: Entry) -> Iterator[bytes]:
        """A file in its sequence, up to a MiB at once.

        :raises BadContent: when its clusters end before it.
        """
        left = file.size
        for piece in self._pieces(file.cluster, file.size):
            yield piece
            left -= len(piece)
        if left:
            raise _damaged(f'a file of {file.size} bytes that ends after '
                           f'{file.size - left}')

    def _entries(self, stored: bytes) -> Iterator[Entry]:
        parts: list[bytes] = []
        for offset in range(0, len(stored) - _ENTRY.size + 1, _ENTRY.size):
            self._budget.draw(_ENTRY_STEPS)
            name, suffix, attributes, high, low, size = _ENTRY.unpack_from(
                stored, offset)
            if not name[0]:
                return
            if attributes == _LONG_NAME and name[0] != _DELETED:
                if name[0] & _LAST_PART:
                    parts.clear()
                parts.append(stored[offset:offset + _ENTRY.size])
                continue
            long = _long_name(parts, name + suffix)
            parts.clear()
            if name[0] == _DELETED or attributes & _VOLUME_LABEL or (
                    name.startswith(b'.')):
                continue
            short = '.'.join(filter(None, (
                part.decode('ascii', 'replace').rstrip().upper()
                for part in (name, suffix))))
            yield Entry(long or short, short, bool(attributes & _DIRECTORY),
                        (high << 16 if self._bits == 32 else 0) | low, size)

    def _chain(self, cluster: int, length: int) -> bytes:
        """Up to that many bytes of the clusters that follow each other.

        :raises BadContent: when a cluster follows itself.
        """
        return b''.join(self._read(*place)
                        for place in self._places(cluster, length))

    def _places(self, cluster: int, length: int
                ) -> Iterator[tuple[int, int]]:
        """Offsets and lengths of the clusters that follow each other."""
        seen = set[int]()
        while length > 0 and len(seen) < _MOST_CLUSTERS and (
                2 <= cluster <= self._last):
            if cluster in seen:
                raise _damaged(f'the cluster {cluster}, which follows itself')
            seen.add(cluster)
            self._budget.draw(_CLUSTER_STEPS)
            count = min(self._cluster_size, length)
            yield self._data_at + (cluster - 2) * self._cluster_size, count
            length -= count
            cluster = self._next(cluster)

    def _pieces(self, cluster: int, length: int) -> Iterator[bytes]:
        """Up to that many bytes of a file's clusters."""
        for first, count in self._runs(
                cluster, -(-length // self._cluster_size)):
            piece = self._read(
                self._data_at + (first - 2) * self._cluster_size,
                min(count * self._cluster_size, length))
            length -= len(piece)
            yield piece

    def _runs(self, cluster: int, most: int) -> Iterator[tuple[int, int]]:
        """Clusters of a file that lie together: the first, and how many.

        :param most: clusters.
        :raises BadContent: when a cluster follows itself.
        """
        first, count = cluster, 0
        # Brent's: a circle comes back to what was passed before.
        passed, at = -1, 1
        for number in range(1, most + 1):
            if not 2 <= cluster <= self._last:
                break
            if cluster == passed:
                raise _damaged(f'the cluster {cluster}, which follows itself')
            if number == at:
                passed, at = cluster, 2 * at
            self._budget.draw(_FILE_STEPS)
            if count and (cluster != first + count
                          or (count + 1) * self._cluster_size > _PIECE):
                yield first, count
                first, count = cluster, 0
            count += 1
            cluster = self._next(cluster)
        if count:
            yield first, count

    def _next(self, cluster: int) -> int:
        if self._bits == 12:
            pair = self._read(self._fat_at + cluster * 3 // 2, 2)
            word = int.from_bytes(pair, 'little')
            return word >> 4 if cluster % 2 else word & 0xfff
        width = self._bits // 8
        word = int.from_bytes(
            self._read(self._fat_at + cluster * width, width), 'little')
        return word & 0x0fffffff


def _long_name(parts: list[bytes], short: bytes) -> str:
    """The long name in upper case, from its last part to its first.

    Empty when the parts belong to another, deleted, short name.
    """
    checksum = 0
    for byte in short:
        checksum = ((checksum & 1) << 7) + (checksum >> 1) + byte & 0xff
    if any(part[_CHECKSUM_AT] != checksum for part in parts):
        return ''
    characters = b''.join(part[place] for part in reversed(parts)
                          for place in _CHARACTERS)
    return characters.decode('utf-16-le', 'replace').partition('\0')[
        0].upper()


def _damaged(found: str) -> exceptions.BadContent:
    return exceptions.BadContent('corrupt', 'a FAT volume', found)
