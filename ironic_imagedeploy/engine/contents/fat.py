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
Names are the short ones, which every boot program has.
"""

from collections.abc import Iterator
import struct
import typing

from ironic_imagedeploy.engine.contents import read as _read
from ironic_imagedeploy.engine import exceptions

_BPB = struct.Struct('<3s8sHBHBHHBHHHIII')
_FAT32_ROOT = struct.Struct('<I')
_ENTRY = struct.Struct('<8s3sB8xH4xHI')
_DIRECTORY = 0x10
#: Volume labels, and parts of long names.
_NO_FILE = 0x08
_DELETED = 0xe5
#: Clusters of one directory or file that are followed.
_MOST_CLUSTERS = 256
#: Bytes of one directory.
_MOST_BYTES = 1 << 20


class Entry(typing.NamedTuple):
    """A file or directory.

    :ivar name: in upper case, as ``BOOTX64.EFI``.
    :ivar cluster: the first one.
    :ivar size: bytes of a file.
    """

    name: str
    directory: bool
    cluster: int
    size: int


class FatVolume:
    """A FAT12, FAT16 or FAT32 volume.

    :param read: gives bytes of the volume.
    :raises BadContent: when it is not one, or is damaged.
    """

    def __init__(self, read: _read.Read) -> None:
        self._read = read
        sector = read(0, 512)
        if len(sector) < 512 or sector[510:] != b'\x55\xaa':
            raise _damaged('no boot sector')
        (_, _, bytes_per_sector, per_cluster, reserved, fats, root_entries,
         sectors16, _, fat_sectors, _, _, _, sectors32, fat_sectors32
         ) = _BPB.unpack_from(sector)
        if bytes_per_sector not in (512, 1024, 2048, 4096) or not (
                per_cluster.bit_count() == 1 and reserved and fats):
            raise _damaged('no FAT parameters')
        fat_sectors = fat_sectors or fat_sectors32
        root_at = reserved + fats * fat_sectors
        data_at = root_at - (-root_entries * 32 // bytes_per_sector)
        clusters = ((sectors16 or sectors32) - data_at) // per_cluster
        if clusters <= 0:
            raise _damaged('no room for files')
        self._bits = 12 if clusters < 4085 else 16 if clusters < 65525 else 32
        self._last = clusters + 1
        self._fat_at = reserved * bytes_per_sector
        self._root = (root_at * bytes_per_sector, root_entries * 32)
        self._root_cluster = (_FAT32_ROOT.unpack_from(sector, 44)[0]
                              if self._bits == 32 else 0)
        self._data_at = data_at * bytes_per_sector
        self._cluster_size = per_cluster * bytes_per_sector

    def root(self) -> Iterator[Entry]:
        """The entries of the root directory."""
        if self._bits == 32:
            return self._entries(self._chain(self._root_cluster, _MOST_BYTES))
        return self._entries(self._read(*self._root))

    def entries(self, directory: Entry) -> Iterator[Entry]:
        """The entries of a directory."""
        return self._entries(self._chain(directory.cluster, _MOST_BYTES))

    def front(self, file: Entry, length: int) -> bytes:
        """The first bytes of a file."""
        return self._chain(file.cluster, min(length, file.size))

    def _entries(self, stored: bytes) -> Iterator[Entry]:
        for offset in range(0, len(stored) - _ENTRY.size + 1, _ENTRY.size):
            name, suffix, attributes, high, low, size = _ENTRY.unpack_from(
                stored, offset)
            if not name[0]:
                return
            if name[0] == _DELETED or attributes & _NO_FILE or (
                    name.startswith(b'.')):
                continue
            words = [part.decode('ascii', 'replace').rstrip().upper()
                     for part in (name, suffix)]
            yield Entry('.'.join(filter(None, words)),
                        bool(attributes & _DIRECTORY),
                        (high << 16 if self._bits == 32 else 0) | low, size)

    def _chain(self, cluster: int, length: int) -> bytes:
        """Up to that many bytes of the clusters that follow each other."""
        stored = bytearray()
        for _ in range(_MOST_CLUSTERS):
            if len(stored) >= length or not 2 <= cluster <= self._last:
                break
            offset = self._data_at + (cluster - 2) * self._cluster_size
            stored += self._read(offset, min(self._cluster_size,
                                             length - len(stored)))
            cluster = self._next(cluster)
        return bytes(stored)

    def _next(self, cluster: int) -> int:
        if self._bits == 12:
            pair = self._read(self._fat_at + cluster * 3 // 2, 2)
            word = int.from_bytes(pair, 'little')
            return word >> 4 if cluster % 2 else word & 0xfff
        width = self._bits // 8
        word = int.from_bytes(
            self._read(self._fat_at + cluster * width, width), 'little')
        return word & 0x0fffffff


def _damaged(found: str) -> exceptions.BadContent:
    return exceptions.BadContent('corrupt', 'a FAT volume', found)
