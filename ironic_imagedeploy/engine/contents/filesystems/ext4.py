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

"""Read-only look into ext2, ext3 and ext4.

Source: "ext4 Data Structures and Algorithms" of the Linux kernel's
documentation. Directories are read from their first entry to the last: the
blocks of a hash tree look like deleted entries to who does so.
"""

from collections.abc import Iterator
import struct
import typing

from ironic_imagedeploy.engine.contents.filesystems import base
from ironic_imagedeploy.engine.contents.filesystems import crc32c
from ironic_imagedeploy.engine import exceptions

_SUPERBLOCK = 1024
_ROOT = 2
# Compatible, incompatible and read-only compatible features.
_SPARSE_SUPER2 = 0x200
_RECOVER = 0x4
_META_BG = 0x10
_64BIT = 0x80
#: Also those that change nothing here: filetype, extents, mmp, flex_bg,
#: ea_inode, csum_seed, largedir, inline_data, encrypt, casefold.
_KNOWN = (_RECOVER | _META_BG | _64BIT | 0x2 | 0x40 | 0x100 | 0x200 | 0x400
          | 0x2000 | 0x4000 | 0x8000 | 0x10000 | 0x20000)
#: Those that grub2 gives up at, up to 2.12 (fs/ext2.c).
_BEYOND_GRUB = {0x400: 'ea_inode', 0x8000: 'inline_data', 0x20000: 'casefold'}
#: Where its 2.06 looks for group descriptors in vain, with blocks of 1 KiB.
_BIGALLOC = 0x200
_SPARSE_SUPER = 0x1
_METADATA_CSUM = 0x400
# Flags of inodes.
_ENCRYPTED = 0x800
_EXTENTS = 0x80000
_INLINE = 0x10000000
_BLOCK_MAP = struct.Struct('<15I')
_EXTENT_HEADER = struct.Struct('<HHHH4x')
_EXTENT = struct.Struct('<IHHI')
_EXTENT_MAGIC = 0xf30a
_DEEPEST = 5
#: Longer extents are allocated and not written: zeroes.
_LONGEST_EXTENT = 32768
_ENTRY = struct.Struct('<IHBx')
_XATTR_MAGIC = 0xea020000
_XATTR = struct.Struct('<BBHIII')
#: Index and name of the attribute that inline data continues in.
_INLINE_XATTR = (7, b'data')


class _Inode(typing.NamedTuple):
    """An inode as it is stored.

    :ivar block: its i_block: a map, extents or content.
    """

    mode: int
    size: int
    flags: int
    block: bytes
    stored: bytes


class Ext4(base.FileSystem):
    """An ext2, ext3 or ext4 file system."""

    kind = 'ext4'

    def __init__(self, blocks: base.Blocks, size: int | None) -> None:
        super().__init__(blocks, size)
        stored = self._super = blocks.at(_SUPERBLOCK, 1024)
        self._block_size = 1024 << min(self._word(0x18), 16)
        self._per_group = self._word(0x20)
        self._inodes_per_group = self._word(0x28)
        self._incompatible = self._word(0x60)
        self._inode_size = self._short(0x58) if self._word(0x4c) else 128
        self._wide = bool(self._incompatible & _64BIT)
        self._descriptor_size = self._short(0xfe) if self._wide else 32
        self._check(stored)
        self.unit = self._block_size
        self.is_dirty = bool(self._incompatible & _RECOVER)
        self.beyond_grub = next(
            (name for feature, name in _BEYOND_GRUB.items()
             if self._incompatible & feature), None)
        if self._word(0x64) & _BIGALLOC and self._block_size == 1024:
            self.not_all_grub = 'bigalloc'

    def _check(self, stored: bytes) -> None:
        if self._word(0x64) & _METADATA_CSUM and (
                crc32c.update(stored[:0x3fc]) != self._word(0x3fc)):
            raise exceptions.BadContent(
                'corrupt', 'an ext4 superblock with a right checksum',
                'a wrong one')
        if not (self._block_size <= 65536 and self._per_group
                and self._inodes_per_group and self._word(0)
                and self._inode_size.bit_count() == 1
                and 128 <= self._inode_size <= self._block_size
                and 32 <= self._descriptor_size <= 1024):
            raise exceptions.BadContent(
                'corrupt', 'an ext4 superblock', 'impossible sizes in it')
        blocks = self._word(4) | (self._word(0x150) << 32 if self._wide
                                  else 0)
        if self._size is not None and blocks * self._block_size > self._size:
            raise exceptions.BadContent(
                'truncated', f'{blocks * self._block_size} bytes, as the '
                'ext4 file system in it says', f'{self._size} bytes')
        if unknown := self._incompatible & ~_KNOWN:
            raise base.Unreadable(f'ext4 features {unknown:#x}')

    def find_roots(self) -> Iterator[base.Node]:
        yield self._node(_ROOT)

    def lookup(self, directory: base.Node, name: bytes) -> base.Node | None:
        number = self._numbers(directory).get(name)
        return None if number is None else self._node(number)

    def read_link(self, link: base.Node) -> bytes:
        inode = self._inode(link.number)
        if inode.flags & _ENCRYPTED:
            raise base.Unreadable('an encrypted symbolic link')
        if inode.flags & _INLINE or inode.size < len(inode.block):
            return b''.join(self._inline(inode))[:inode.size]
        return b''.join(self._content(inode))[:inode.size]

    def read_front(self, file: base.Node, length: int) -> bytes:
        inode = self._inode(file.number)
        length = min(length, inode.size)
        if inode.flags & _ENCRYPTED:
            raise base.Unreadable('an encrypted file')
        if inode.flags & _INLINE:
            return b''.join(self._inline(inode))[:length]
        return self._front(self._runs(inode), length)

    def read_pieces(self, file: base.Node) -> Iterator[bytes]:
        inode = self._inode(file.number)
        if inode.flags & (_ENCRYPTED | _INLINE):
            yield self.read_front(file, inode.size)
        else:
            yield from self._pieces(self._runs(inode), inode.size)

    def entries(self, directory: base.Node) -> Iterator[tuple[bytes, int]]:
        inode = self._inode(directory.number)
        if inode.flags & _ENCRYPTED:
            raise base.Unreadable('an encrypted directory')
        if not inode.flags & _INLINE:
            for block in self._content(inode):
                yield from self._block_entries(block)
            return
        # The number of the parent comes first, instead of "..".
        for part, skipped in zip(self._inline(inode), (4, 0), strict=False):
            yield from self._block_entries(part[skipped:])

    def _block_entries(self, block: bytes) -> Iterator[tuple[bytes, int]]:
        offset = 0
        while offset + _ENTRY.size <= len(block):
            self._blocks.draw(2)
            number, length, name_length = _ENTRY.unpack_from(block, offset)
            if length in (0, 0xffff) and len(block) == 65536:
                length = 65536
            start = offset + _ENTRY.size
            if length % 4 or length < _ENTRY.size + name_length or (
                    offset + length > len(block)):
                raise base.Unreadable('a damaged ext4 directory')
            if number and name_length:
                yield block[start:start + name_length], number
            offset += length

    def _node(self, number: int) -> base.Node:
        return base.Node(number, self._inode(number).mode)

    def _inode(self, number: int) -> _Inode:
        if not 1 <= number <= self._word(0):
            raise base.Unreadable(f'an inode {number}, of which there is '
                                  'none')
        group, index = divmod(number - 1, self._inodes_per_group)
        stored = self._blocks.at(
            self._inode_table(group) * self._block_size
            + index * self._inode_size, self._inode_size)
        mode, = struct.unpack_from('<H', stored)
        low, = struct.unpack_from('<I', stored, 4)
        flags, = struct.unpack_from('<I', stored, 0x20)
        high, = struct.unpack_from('<I', stored, 0x6c)
        return _Inode(mode, high << 32 | low, flags, stored[0x28:0x64],
                      stored)

    def _inode_table(self, group: int) -> int:
        """The first block of a group's inode table."""
        per_block = self._block_size // self._descriptor_size
        block, index = divmod(group, per_block)
        # The superblock is in block 1 when blocks have 1024 bytes, else 0.
        place = _SUPERBLOCK // self._block_size + 1 + block
        if self._incompatible & _META_BG and block >= self._word(0x104):
            first = block * per_block
            place = (self._word(0x14) + first * self._per_group
                     + self._has_superblock(first))
            if self._block_size == 1024 and not block and not self._word(
                    0x14):
                place += 1
        stored = self._blocks.at(
            place * self._block_size + index * self._descriptor_size,
            self._descriptor_size)
        table, = struct.unpack_from('<I', stored, 8)
        if len(stored) >= 64:
            table |= struct.unpack_from('<I', stored, 0x28)[0] << 32
        return int(table)

    def _has_superblock(self, group: int) -> bool:
        if not group:
            return True
        if self._word(0x5c) & _SPARSE_SUPER2:
            return group in (self._word(0x24c), self._word(0x250))
        if group == 1 or not self._word(0x64) & _SPARSE_SUPER:
            return True
        return any(group == factor ** power for factor in (3, 5, 7)
                   for power in range(1, 21))

    def _inline(self, inode: _Inode) -> Iterator[bytes]:
        """The content of an inode: in i_block, then in an attribute."""
        yield inode.block
        stored = inode.stored
        if not inode.flags & _INLINE or len(stored) <= 132:
            return
        start = 128 + int.from_bytes(stored[128:130], 'little')
        if int.from_bytes(stored[start:start + 4], 'little') != _XATTR_MAGIC:
            return
        first = at = start + 4
        while at + _XATTR.size <= len(stored) and any(stored[at:at + 4]):
            length, index, place, _, size, _ = _XATTR.unpack_from(stored, at)
            name = stored[at + _XATTR.size:at + _XATTR.size + length]
            if (index, name) == _INLINE_XATTR:
                yield stored[first + place:first + place + size]
                return
            at += (_XATTR.size + length + 3) // 4 * 4

    def _content(self, inode: _Inode) -> Iterator[bytes]:
        """The blocks of an inode that are not holes, in order."""
        left = inode.size
        for _, place, length in self._runs(inode):
            for start in range(0, length, self._block_size):
                if left <= 0:
                    return
                yield self._blocks.at(place + start, self._block_size)
                left -= self._block_size

    def _runs(self, inode: _Inode) -> Iterator[base.Run]:
        """Where the blocks of an inode are, in order, without holes."""
        size = self._block_size
        blocks = (self._by_extents(inode.block, _DEEPEST)
                  if inode.flags & _EXTENTS else self._by_map(inode.block))
        for start, place, count in blocks:
            yield base.Run(start * size, place * size, count * size)

    def _block(self, place: int) -> bytes:
        return self._blocks.at(place * self._block_size, self._block_size)

    def _by_extents(self, node: bytes, deepest: int) -> Iterator[base.Run]:
        """The runs of an extent tree, in blocks."""
        magic, count, _, depth = _EXTENT_HEADER.unpack_from(node)
        if magic != _EXTENT_MAGIC or depth > deepest or (
                (count + 1) * _EXTENT.size > len(node)):
            raise base.Unreadable('a damaged ext4 extent tree')
        self._blocks.draw(2 * count)
        for index in range(1, count + 1):
            at = index * _EXTENT.size
            if depth:
                low, high = struct.unpack_from('<IH', node, at + 4)
                yield from self._by_extents(self._block(high << 32 | low),
                                            depth - 1)
                continue
            start, length, high, low = _EXTENT.unpack_from(node, at)
            if length <= _LONGEST_EXTENT:
                yield base.Run(start, high << 32 | low, length)

    def _by_map(self, block: bytes) -> Iterator[base.Run]:
        """The runs of a block map, in blocks."""
        places = _BLOCK_MAP.unpack(block)
        for start, place in enumerate(places[:12]):
            if place:
                yield base.Run(start, place, 1)
        start, per_block = 12, self._block_size // 4
        for depth, place in enumerate(places[12:], 1):
            yield from self._indirect(place, depth, start)
            start += per_block ** depth

    def _indirect(self, place: int, depth: int, start: int
                  ) -> Iterator[base.Run]:
        if not place:
            return
        if not depth:
            yield base.Run(start, place, 1)
            return
        per_block = self._block_size // 4
        self._blocks.draw(per_block)
        step = per_block ** (depth - 1)
        for index, (below,) in enumerate(
                struct.iter_unpack('<I', self._block(place))):
            yield from self._indirect(below, depth - 1, start + index * step)

    def _word(self, offset: int) -> int:
        return int.from_bytes(self._super[offset:offset + 4], 'little')

    def _short(self, offset: int) -> int:
        return int.from_bytes(self._super[offset:offset + 2], 'little')
