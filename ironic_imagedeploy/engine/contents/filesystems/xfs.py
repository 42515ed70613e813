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

"""Read-only look into XFS, version 4 and 5.

Source: "XFS Algorithms & Data Structures", chapters "Allocation Groups",
"Data Extents", "Directories" and "Symbolic Links". Only the data blocks of a
directory are read; its leaves, nodes and free indexes hold hashes.
"""

from collections.abc import Iterator
import struct
import typing

from ironic_imagedeploy.engine.contents.filesystems import base
from ironic_imagedeploy.engine.contents.filesystems import crc32c
from ironic_imagedeploy.engine import exceptions

_SUPERBLOCK = struct.Struct('>4sIQ40xQ')
_GEOMETRY = struct.Struct('>II8xHHHH12xBBBBB')
_GEOMETRY_AT = 84
_IN_PROGRESS = 126
_DIRECTORY_LOG = 192
_FEATURES2 = 200
_INCOMPATIBLE = 216
_CRC = 224
_FTYPE2 = 0x200
_FTYPE = 0x1
#: ftype, spinodes, meta_uuid, bigtime, needsrepair, nrext64, exchrange,
#: parent, metadir, zoned and zone_gaps change nothing else of what is read.
_KNOWN = 0x7ff
#: Those that only some releases of grub2 read; its 2.06 in Debian none.
_NOT_ALL_GRUB = {0x40: 'exchange', 0x80: 'parent', 0x100: 'metadir'}
_INODE = struct.Struct('>2sHBB')
_SIZE = 56
_EXTENTS = 76
_FORK = 82
_FLAGS = 90
_REALTIME = 1
_FLAGS2 = 120
_BIG_COUNTS = 0x10
# Formats of a fork.
_LOCAL, _LISTED, _TREE = 1, 2, 3
#: Where in a directory its leaves start, in bytes.
_LEAVES = 1 << 35
_DEEPEST = 9
_DATA_MAGICS = {b'XD2B': 16, b'XD2D': 16, b'XDB3': 64, b'XDD3': 64}
_BLOCK_FORM = (b'XD2B', b'XDB3')
_TREE_MAGICS = {b'BMAP': 24, b'BMA3': 72}
_LINK_MAGIC = b'XSLM'
_LINK_HEADER = 56
_UNUSED = 0xffff


class _Extent(typing.NamedTuple):
    """Blocks of a file.

    :ivar start: the first one's number in the file.
    :ivar block: its place on the disk, in which the group's number is above.
    :ivar is_written: else it is allocated only, and zeroes.
    """

    start: int
    block: int
    length: int
    is_written: bool


class _Inode(typing.NamedTuple):
    """An inode: its data fork as it is stored."""

    mode: int
    form: int
    size: int
    extents: int
    fork: bytes
    is_realtime: bool


class Xfs(base.FileSystem):
    """An XFS file system whose data is on one device."""

    kind = 'xfs'

    def __init__(self, blocks: base.Blocks, size: int | None) -> None:
        super().__init__(blocks, size)
        self._block_size: int
        self._group_blocks: int
        self._group_log: int
        stored = blocks.at(0, 512)
        _, self._block_size, total, self._root = _SUPERBLOCK.unpack_from(
            stored)
        (self._group_blocks, groups, version, sector, self._inode_size,
         per_block, self._block_log, _, inode_log, self._per_block_log,
         self._group_log) = _GEOMETRY.unpack_from(stored, _GEOMETRY_AT)
        self._version = version & 0xf
        self._directory_log = stored[_DIRECTORY_LOG]
        if not (9 <= self._block_log <= 16 and self._version in (4, 5)
                and self._block_size == 1 << self._block_log
                and 8 <= inode_log <= 11
                and self._inode_size == 1 << inode_log
                and per_block << inode_log == self._block_size
                and per_block == 1 << self._per_block_log
                and 0 < self._group_blocks <= 1 << self._group_log
                and self._group_log < 32 and groups
                and self._directory_log + self._block_log <= 16
                and sector in (512, 1024, 2048, 4096, 8192, 16384, 32768)):
            raise exceptions.BadContent(
                'corrupt', 'an XFS superblock', 'impossible sizes in it')
        self._check(blocks.at(0, sector), total)
        self.unit = sector
        features, = struct.unpack_from('>I', stored, _INCOMPATIBLE)
        features2, = struct.unpack_from('>I', stored, _FEATURES2)
        if self._version == 5 and features & ~_KNOWN:
            raise base.Unreadable(f'XFS features {features:#x}')
        self.not_all_grub = next(
            (name for feature, name in _NOT_ALL_GRUB.items()
             if self._version == 5 and features & feature), None)
        self._has_types = bool(features & _FTYPE if self._version == 5
                               else features2 & _FTYPE2)

    def _check(self, stored: bytes, total: int) -> None:
        if self._version == 5 and crc32c.checksum(
                stored[:_CRC] + bytes(4) + stored[_CRC + 4:]
                ) != int.from_bytes(stored[_CRC:_CRC + 4], 'little'):
            raise exceptions.BadContent(
                'corrupt', 'an XFS superblock with a right checksum',
                'a wrong one')
        if stored[_IN_PROGRESS]:
            raise exceptions.BadContent(
                'corrupt', 'a file system', 'one that mkfs.xfs left undone')
        if self._size is not None and total * self._block_size > self._size:
            raise exceptions.BadContent(
                'truncated', f'{total * self._block_size} bytes, as the XFS '
                'file system in it says', f'{self._size} bytes')

    def find_roots(self) -> Iterator[base.Node]:
        yield self._node(self._root)

    def lookup(self, directory: base.Node, name: bytes) -> base.Node | None:
        number = self._numbers(directory).get(name)
        return None if number is None else self._node(number)

    def read_link(self, link: base.Node) -> bytes:
        inode = self._inode(link.number)
        if inode.form == _LOCAL:
            return inode.fork[:inode.size]
        if inode.size > 1024:
            raise base.Unreadable('a damaged XFS symbolic link')
        target = b''
        for extent in self._extents(inode):
            for index in range(extent.length):
                block = self._blocks.at(self._place(extent.block + index),
                                        self._block_size)
                target += block[_LINK_HEADER if block.startswith(
                    _LINK_MAGIC) else 0:]
                if len(target) >= inode.size:
                    return target[:inode.size]
        raise base.Unreadable('a damaged XFS symbolic link')

    def read_front(self, file: base.Node, length: int) -> bytes:
        inode = self._inode(file.number)
        if inode.is_realtime:
            raise base.Unreadable('an XFS file on a realtime device')
        return self._front(self._runs(inode), min(length, inode.size))

    def read_pieces(self, file: base.Node) -> Iterator[bytes]:
        inode = self._inode(file.number)
        if inode.is_realtime:
            raise base.Unreadable('an XFS file on a realtime device')
        yield from self._pieces(self._runs(inode), inode.size)

    def _runs(self, inode: _Inode) -> Iterator[base.Run]:
        """Where the blocks of a file are, in order, without holes."""
        for extent in self._extents(inode):
            if extent.is_written:
                yield base.Run(extent.start * self._block_size,
                               self._place(extent.block),
                               extent.length * self._block_size)

    def entries(self, directory: base.Node) -> Iterator[tuple[bytes, int]]:
        inode = self._inode(directory.number)
        if inode.form == _LOCAL:
            yield from self._short_form(inode.fork[:inode.size])
            return
        for block in self._directory_blocks(inode):
            yield from self._block_entries(block)

    def _short_form(self, fork: bytes) -> Iterator[tuple[bytes, int]]:
        if len(fork) < 6:
            raise base.Unreadable('a damaged XFS directory')
        count, wide = fork[0], fork[1]
        width = 8 if wide else 4
        at = 2 + width
        self._blocks.draw(2 * count)
        for _ in range(count):
            length = fork[at] if at < len(fork) else 0
            end = at + 3 + length + self._has_types
            number = fork[end:end + width]
            if not length or len(number) < width:
                raise base.Unreadable('a damaged XFS directory')
            yield fork[at + 3:at + 3 + length], int.from_bytes(number)
            at = end + width

    def _directory_blocks(self, inode: _Inode) -> Iterator[bytes]:
        """The blocks with names: of several blocks of the file system."""
        several = 1 << self._directory_log
        gathered: list[bytes] = []
        for extent in self._extents(inode):
            for index in range(extent.length):
                number = extent.start + index
                if number << self._block_log >= _LEAVES:
                    return
                if len(gathered) != number % several:
                    raise base.Unreadable('a damaged XFS directory')
                gathered.append(self._blocks.at(
                    self._place(extent.block + index), self._block_size))
                if len(gathered) == several:
                    yield b''.join(gathered)
                    gathered = []

    def _block_entries(self, block: bytes) -> Iterator[tuple[bytes, int]]:
        at, end = _DATA_MAGICS.get(block[:4]), len(block)
        if at is None:
            raise base.Unreadable('a damaged XFS directory')
        if block.startswith(_BLOCK_FORM):
            # Its leaf follows in the same block, and then its length.
            end -= 8 + int.from_bytes(block[-8:-4]) * 8
        while at + 16 <= end:
            self._blocks.draw(2)
            mark, length = struct.unpack_from('>HH', block, at)
            if mark == _UNUSED:
                if not length or length % 8:
                    raise base.Unreadable('a damaged XFS directory')
                at += length
                continue
            number = int.from_bytes(block[at:at + 8])
            length = block[at + 8]
            name = block[at + 9:at + 9 + length]
            if not length or at + 9 + length > end:
                raise base.Unreadable('a damaged XFS directory')
            yield name, number
            # Then a type, and a tag of two bytes, up to a multiple of 8.
            at += -(-(9 + length + self._has_types + 2) // 8) * 8

    def _node(self, number: int) -> base.Node:
        return base.Node(number, self._inode(number).mode)

    def _inode(self, number: int) -> _Inode:
        stored = self._blocks.at(
            self._place(number >> self._per_block_log)
            + (number & (1 << self._per_block_log) - 1) * self._inode_size,
            self._inode_size)
        magic, mode, version, form = _INODE.unpack_from(stored)
        if magic != b'IN':
            raise base.Unreadable(f'an inode {number} that is damaged')
        count, = struct.unpack_from('>I', stored, _EXTENTS)
        if version >= 3 and struct.unpack_from(
                '>Q', stored, _FLAGS2)[0] & _BIG_COUNTS:
            count, = struct.unpack_from('>Q', stored, 24)
        start = 176 if version >= 3 else 100
        # The offset of the attribute fork, in eight bytes.
        end = start + stored[_FORK] * 8 if stored[_FORK] else len(stored)
        size, = struct.unpack_from('>Q', stored, _SIZE)
        flags, = struct.unpack_from('>H', stored, _FLAGS)
        return _Inode(mode, form, size, count, stored[start:end],
                      bool(flags & _REALTIME))

    def _extents(self, inode: _Inode) -> Iterator[_Extent]:
        if inode.form == _LISTED:
            yield from self._listed(inode.fork, inode.extents)
        elif inode.form == _TREE and len(inode.fork) >= 4:
            level, count = struct.unpack_from('>HH', inode.fork)
            most = (len(inode.fork) - 4) // 16
            yield from self._below(inode.fork, 4, most, level, count)
        else:
            raise base.Unreadable('an XFS inode of an unknown form')

    def _listed(self, stored: bytes, count: int) -> Iterator[_Extent]:
        if count * 16 > len(stored):
            raise base.Unreadable('a damaged list of XFS extents')
        self._blocks.draw(2 * count)
        for at in range(0, count * 16, 16):
            packed = int.from_bytes(stored[at:at + 16])
            yield _Extent(packed >> 73 & (1 << 54) - 1,
                          packed >> 21 & (1 << 52) - 1,
                          packed & (1 << 21) - 1, not packed >> 127)

    def _below(self, stored: bytes, header: int, most: int, level: int,
               count: int) -> Iterator[_Extent]:
        """The extents in the nodes below one: its pointers follow keys."""
        if count > most or not 0 < level <= _DEEPEST:
            raise base.Unreadable('a damaged XFS tree')
        start = header + most * 8
        for at in range(start, start + count * 8, 8):
            node = self._blocks.at(
                self._place(int.from_bytes(stored[at:at + 8])),
                self._block_size)
            inner = _TREE_MAGICS.get(node[:4])
            below, records = struct.unpack_from('>HH', node, 4)
            if inner is None or below != level - 1:
                raise base.Unreadable('a damaged XFS tree')
            if below:
                yield from self._below(node, inner,
                                       (len(node) - inner) // 16, below,
                                       records)
            else:
                yield from self._listed(node[inner:], records)

    def _place(self, block: int) -> int:
        """Where a block is, in bytes: its number has the group above."""
        group, index = divmod(block, 1 << self._group_log)
        return (group * self._group_blocks + index) * self._block_size
