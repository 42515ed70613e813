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

"""Read-only look into btrfs on one device.

Source: "On-disk Format" of the btrfs documentation. All trees have one form;
places in them are logical, and the chunk tree says where those are on the
device.
"""

import bisect
from collections.abc import Callable
from collections.abc import Iterator
import copy
import hashlib
import stat
import struct
import typing

from ironic_imagedeploy.engine.codecs import btrfs_extents
from ironic_imagedeploy.engine.codecs import errors
from ironic_imagedeploy.engine.contents.filesystems import base
from ironic_imagedeploy.engine.contents.filesystems import btrfs_chunks
from ironic_imagedeploy.engine.contents.filesystems import crc32c
from ironic_imagedeploy.engine import exceptions

_SUPERBLOCK = 0x10000
_SUPERBLOCK_SIZE = 4096
_TREES = struct.Struct('<QQQ')
_TREES_AT = 80
_DEVICE_AT = 201
_DEVICE = struct.Struct('<QQ')
_SYSTEM_CHUNKS = 811
_SYSTEM_CHUNKS_MOST = 2048
_EXTENT_TREE_V2 = 0x2000
#: Those up to the simple quota; the others change nothing of what is read.
_KNOWN = 0x17fff & ~_EXTENT_TREE_V2
_CHECKSUMS = {0: lambda part: crc32c.checksum(part).to_bytes(4, 'little'),
              2: lambda part: hashlib.sha256(part).digest(),
              3: lambda part: hashlib.blake2b(part, digest_size=32).digest()}
_NODE = struct.Struct('<48xQ40xIB')
_KEY = struct.Struct('<QBQ')
_ITEM = struct.Struct('<QBQII')
_POINTER = struct.Struct('<QBQQQ')
_DEEPEST = 7
#: Nodes that are kept, and steps of the budget that a look at one takes.
_MOST_NODES = 64
_NODE_STEPS = 12
#: Bytes of an item that cost another step.
_CHEAP = 4096
_ENTRY = struct.Struct('<QBQQHHB')
# Types of items.
_INODE_ITEM, _DIR_ITEM, _DIR_INDEX = 1, 84, 96
_EXTENT_DATA, _ROOT_ITEM, _CHUNK_ITEM = 108, 132, 228
# Numbers of trees.
_ROOT_REF = 156
_CHUNK_TREE, _TOP = 3, 5
_ROOT_DIRECTORY = 256
#: Of a directory that Linux shows where a subvolume is none of this one's.
_EMPTY = 2
_SIZE_AT = 16
_MODE_AT = 52
_ROOT_BLOCK_AT = 176
_ROOT_LEVEL_AT = 238
#: Of an extent of a file whose content follows.
_INLINE_HEADER = 21
_INLINE, _REGULAR = 0, 1
_REGULAR_SIZE = 53
#: What distributions call the subvolume that is their root.
SUBVOLUMES = ('@', 'root', '@rootfs')

_Key = tuple[int, int, int]
_ANY = (1 << 64) - 1


class _Tree(typing.NamedTuple):
    """Logical place of a tree's root, and how many levels are below."""

    block: int
    level: int


class Btrfs(base.FileSystem):
    """A btrfs file system on one device, without stripes."""

    kind = 'btrfs'

    def __init__(self, blocks: base.Blocks, size: int | None) -> None:
        super().__init__(blocks, size)
        stored = blocks.at(_SUPERBLOCK, _SUPERBLOCK_SIZE)
        root, chunks, log = _TREES.unpack_from(stored, _TREES_AT)
        self.unit, self._node_size = struct.unpack_from('<II', stored, 144)
        device, device_size = _DEVICE.unpack_from(stored, _DEVICE_AT)
        self._check(stored, device_size)
        self._root_tree = _Tree(root, stored[198])
        self._default_at, = struct.unpack_from('<Q', stored, 128)
        self._chunks = btrfs_chunks.Chunks(device, blocks.draw)
        self._subvolumes: dict[int, _Tree] = {}
        self._nodes: dict[int, bytes] = {}
        self._read_chunks(stored, _Tree(chunks, stored[199]))
        self.is_dirty = bool(log)

    def _check(self, stored: bytes, device_size: int) -> None:
        checksum = _CHECKSUMS.get(int.from_bytes(stored[196:198], 'little'))
        if checksum and not stored.startswith(checksum(stored[32:])):
            raise exceptions.BadContent(
                'corrupt', 'a btrfs superblock with a right checksum',
                'a wrong one')
        if not all(4096 <= size <= 65536 and size.bit_count() == 1
                   for size in (self._node_size, self.unit)):
            raise exceptions.BadContent(
                'corrupt', 'a btrfs superblock', 'impossible sizes in it')
        features, = struct.unpack_from('<Q', stored, 188)
        if unknown := features & ~_KNOWN:
            raise base.Unreadable(f'btrfs features {unknown:#x}')
        devices, = struct.unpack_from('<Q', stored, 136)
        if devices != 1:
            raise base.Unreadable(f'a btrfs file system on {devices} devices')
        if self._size is not None and device_size > self._size:
            raise exceptions.BadContent(
                'truncated', f'{device_size} bytes, as the btrfs file system '
                'in it says', f'{self._size} bytes')

    def find_roots(self) -> Iterator[base.Node]:
        """The default subvolume, or in it one that is named like a root."""
        default = self._subvolume_root(self._default())
        names = () if self._is_root(default) else SUBVOLUMES
        found = (self.lookup(default, name.encode()) for name in names)
        yield next(filter(self._is_root, found), None) or default

    def _is_root(self, node: base.Node | None) -> bool:
        etc = node and self._resolve(node, 'etc')
        return etc is not None and etc.is_directory

    def subvolume(self, path: str) -> 'Btrfs | None':
        node = self._resolve(self._subvolume_root(_TOP), path)
        if node is None or node.number != _ROOT_DIRECTORY:
            return None
        found = copy.copy(self)
        found._roots = (node,)
        return found

    def lookup(self, directory: base.Node, name: bytes) -> base.Node | None:
        self._blocks.draw(16)
        key = (directory.number, _DIR_ITEM, _name_hash(name))
        tree = self._tree(directory.volume)
        for found, location in self._entries_at(tree, key, key):
            if found == name:
                return self._located(directory.volume, location)
        return None

    def entries(self, directory: base.Node) -> Iterator[tuple[bytes, int]]:
        for name, location in self._entries_at(
                self._tree(directory.volume),
                (directory.number, _DIR_INDEX, 0),
                (directory.number, _DIR_INDEX, _ANY)):
            yield name, location[0]

    def read_link(self, link: base.Node) -> bytes:
        key = (link.number, _EXTENT_DATA, 0)
        for _, stored in self._search(self._tree(link.volume), key, key):
            # Neither compressed nor encrypted, and in the item itself.
            if len(stored) > _INLINE_HEADER and not any(stored[16:21]):
                # mkfs.btrfs ends it with a zero, the kernel does not.
                return stored[_INLINE_HEADER:].partition(b'\0')[0]
        raise base.Unreadable('a damaged btrfs symbolic link')

    def read_front(self, file: base.Node, length: int) -> bytes:
        length = min(length, self._file_size(file))
        front = bytearray(length)
        for key, stored in self._search(
                self._tree(file.volume), (file.number, _EXTENT_DATA, 0),
                (file.number, _EXTENT_DATA, max(length - 1, 0))):
            start = key[2]
            if start < length:
                part = b''.join(self._extent(stored, length - start,
                                             self._kept))
                front[start:start + len(part)] = part
        return bytes(front)

    def read_pieces(self, file: base.Node) -> Iterator[bytes]:
        size, done = self._file_size(file), 0
        for key, stored in self._search(
                self._tree(file.volume), (file.number, _EXTENT_DATA, 0),
                (file.number, _EXTENT_DATA, max(size - 1, 0))):
            if key[2] != done:
                break
            for part in self._extent(stored, size - done,
                                     self._blocks.passing):
                yield part
                done += len(part)
        if done < size:
            raise base.Unreadable('a large file with holes')

    def _kept(self, place: int, length: int) -> Iterator[bytes]:
        yield self._blocks.at(place, length)

    def _file_size(self, file: base.Node) -> int:
        key = (file.number, _INODE_ITEM, 0)
        for _, stored in self._search(self._tree(file.volume), key, key):
            if len(stored) >= _SIZE_AT + 8:
                return int.from_bytes(stored[_SIZE_AT:_SIZE_AT + 8], 'little')
        raise base.Unreadable('a damaged btrfs inode')

    def _extent(self, stored: bytes, length: int,
                read: Callable[[int, int], Iterator[bytes]]
                ) -> Iterator[bytes]:
        """Bytes at the beginning of a file's extent; none of a hole.

        :param stored: the item of the extent.
        :param read: gives bytes of the disk, in pieces.
        """
        if len(stored) <= _INLINE_HEADER or any(stored[17:20]):
            raise base.Unreadable('an encrypted btrfs file')
        size = int.from_bytes(stored[8:16], 'little')
        compression, kind = stored[16], stored[20]
        if kind == _INLINE:
            part = stored[_INLINE_HEADER:]
            if compression:
                part = self._decoded(compression, part, size)
            yield part[:min(size, length)]
            return
        if kind != _REGULAR or len(stored) < _REGULAR_SIZE:
            return
        start, stored_size, offset, count = struct.unpack_from(
            '<4Q', stored, _INLINE_HEADER)
        count = min(count, length)
        if not start:
            return
        if not compression:
            yield from read(self._chunks.place(start + offset), count)
            return
        if stored_size > btrfs_extents.LARGEST:
            raise base.Unreadable('a damaged btrfs extent')
        part = b''.join(read(self._chunks.place(start), stored_size))
        yield self._decoded(compression, part, size)[offset:offset + count]

    def _decoded(self, compression: int, stored: bytes, size: int) -> bytes:
        self._blocks.draw(btrfs_extents.steps(compression, len(stored)),
                          min(size, btrfs_extents.LARGEST))
        try:
            return btrfs_extents.decode(compression, stored, size, self.unit)
        except errors.DecodeError as error:
            raise base.Unreadable(
                f'a compressed btrfs file: {error}') from error

    def _default(self) -> int:
        """The subvolume that is mounted when none is named."""
        key = (self._default_at, _DIR_ITEM, _name_hash(b'default'))
        for name, location in self._entries_at(self._root_tree, key, key):
            if name == b'default':
                return location[0]
        return _TOP

    def _subvolume_root(self, volume: int) -> base.Node:
        return self._located(volume, (_ROOT_DIRECTORY, _INODE_ITEM, 0))

    def _located(self, volume: int, location: _Key) -> base.Node:
        number, kind, _ = location
        if kind == _ROOT_ITEM:
            # A snapshot keeps the name of a subvolume that it has not got.
            key = (volume, _ROOT_REF, number)
            if not any(self._search(self._root_tree, key, key)):
                return base.Node(_EMPTY, stat.S_IFDIR, volume)
            return self._subvolume_root(number)
        key = (number, _INODE_ITEM, 0)
        for _, stored in self._search(self._tree(volume), key, key):
            if len(stored) >= _MODE_AT + 4:
                mode, = struct.unpack_from('<I', stored, _MODE_AT)
                return base.Node(number, mode, volume)
        raise base.Unreadable(f'no inode {number} in the btrfs subvolume '
                              f'{volume}')

    def _tree(self, volume: int) -> _Tree:
        if volume not in self._subvolumes:
            for _, stored in self._search(
                    self._root_tree, (volume, _ROOT_ITEM, 0),
                    (volume, _ROOT_ITEM, _ANY)):
                if len(stored) > _ROOT_LEVEL_AT:
                    block, = struct.unpack_from('<Q', stored, _ROOT_BLOCK_AT)
                    self._subvolumes[volume] = _Tree(
                        block, stored[_ROOT_LEVEL_AT])
                    break
            else:
                raise base.Unreadable(f'no btrfs subvolume {volume}')
        return self._subvolumes[volume]

    def _entries_at(self, tree: _Tree, low: _Key, high: _Key
                    ) -> Iterator[tuple[bytes, _Key]]:
        """Names and what they name; names of one hash share an item."""
        for _, stored in self._search(tree, low, high):
            at = 0
            while at + _ENTRY.size <= len(stored):
                self._blocks.draw(2)
                number, kind, offset, _, data, length, _ = _ENTRY.unpack_from(
                    stored, at)
                at += _ENTRY.size
                yield stored[at:at + length], (number, kind, offset)
                at += length + data

    def _search(self, tree: _Tree, low: _Key, high: _Key
                ) -> Iterator[tuple[_Key, bytes]]:
        """The items of a tree from one key to another."""
        if tree.level > _DEEPEST:
            raise base.Unreadable('a btrfs tree that is too deep')
        node = self._node(tree.block)
        block, count, level = _NODE.unpack_from(node)
        form = _POINTER if level else _ITEM
        if block != tree.block or level != tree.level or (
                _NODE.size + count * form.size > len(node)):
            raise base.Unreadable('a damaged btrfs tree')

        def key(index: int) -> _Key:
            at = _NODE.size + index * form.size
            number, kind, offset = _KEY.unpack_from(node, at)
            return number, kind, offset

        first = bisect.bisect_left(range(count), low, key=key)
        if level and (first == count or key(first) > low):
            # A child holds the keys from its own up to that of the next one.
            first = max(first - 1, 0)
        for index in range(first, count):
            here = key(index)
            if here > high:
                return
            at = _NODE.size + index * form.size + _KEY.size
            if level:
                below, = struct.unpack_from('<Q', node, at)
                yield from self._search(_Tree(below, level - 1), low, high)
                continue
            offset, size = struct.unpack_from('<II', node, at)
            self._blocks.draw(2 + size // _CHEAP)
            start = _NODE.size + offset
            yield here, node[start:start + size]

    def _node(self, block: int) -> bytes:
        """A node of a tree; those at the top are asked for all the time."""
        self._blocks.draw(_NODE_STEPS)
        if block not in self._nodes:
            if len(self._nodes) == _MOST_NODES:
                del self._nodes[next(iter(self._nodes))]
            self._nodes[block] = self._blocks.at(self._chunks.place(block),
                                                 self._node_size)
        return self._nodes[block]

    def _read_chunks(self, stored: bytes, tree: _Tree) -> None:
        """The chunks of the chunk tree are in the superblock itself."""
        size, = struct.unpack_from('<I', stored, 160)
        part = stored[_SYSTEM_CHUNKS:][:min(size, _SYSTEM_CHUNKS_MOST)]
        at = 0
        while at + _KEY.size + btrfs_chunks.LEAST <= len(part):
            _, kind, start = _KEY.unpack_from(part, at)
            if kind != _CHUNK_ITEM:
                raise base.Unreadable('a damaged btrfs superblock')
            at += _KEY.size
            at += self._chunks.add(start, part[at:])
        for key, chunk in self._search(
                tree, (0, _CHUNK_ITEM, 0), (_ANY, _CHUNK_ITEM, _ANY)):
            if key[1] == _CHUNK_ITEM:
                self._chunks.add(key[2], chunk)


def _name_hash(name: bytes) -> int:
    """The offset in the key of a directory's entry."""
    return crc32c.update(name, 0xfffffffe)
