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

"""Interface of file systems: directories by name, within bounds."""

import abc
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
import functools
import stat
import typing

from ironic_imagedeploy.engine import budget as _budget
from ironic_imagedeploy.engine.contents import read as _read
from ironic_imagedeploy.engine import exceptions

Unreadable = exceptions.UnreadableContent

#: Bytes that are read at once. Blocks of metadata lie close together, and
#: each read may be a request to a web server.
_BLOCK = 32 << 10
#: Bytes of a large file that are read at once.
_PIECE = 256 << 10
#: Blocks that are read at most (16 MiB); all are kept.
_MOST_BLOCKS = 512
#: Bytes of metadata that are taken at most, and in how many steps: what is
#: in the cache can be named again and again.
_MOST_BYTES = 32 << 20
_MOST_STEPS = 1 << 14
#: Steps of the budget that a look at metadata costs, and bytes of it that
#: cost another one.
_READ_STEPS = 4
_CHEAP = 4096
#: Names of all directories that are kept, and bytes of one that cost another
#: step of the budget.
_MOST_NAMES = 100_000
_LONG_NAME = 32
#: As Linux has it.
_MOST_LINKS = 40
_MOST_PATH = 4096


@dataclasses.dataclass(frozen=True)
class Node:
    """An inode.

    :ivar mode: type and permissions, as of ``stat()``.
    :ivar volume: the tree that the number counts in (btrfs).
    """

    number: int
    mode: int
    volume: int = 0

    @property
    def is_directory(self) -> bool:
        """Whether it has entries."""
        return stat.S_ISDIR(self.mode)

    @property
    def is_link(self) -> bool:
        """Whether it is a symbolic link."""
        return stat.S_ISLNK(self.mode)


class Run(typing.NamedTuple):
    """Bytes of a file that lie together on the disk.

    :ivar start: first byte in the file.
    :ivar place: first byte on the disk.
    """

    start: int
    place: int
    length: int


class Blocks:
    """The bytes of a disk, through a cache, and not too many of them.

    :param budget: that a look into a file system draws from.
    """

    def __init__(self, read: _read.Read, budget: _budget.Budget) -> None:
        self._read = read
        self.draw = budget.draw
        self._blocks: dict[int, bytes] = {}
        self._bytes = _MOST_BYTES
        self._steps = _MOST_STEPS

    def at(self, offset: int, length: int) -> bytes:
        """Exactly so many bytes.

        :raises UnreadableContent: when the disk ends before, or it becomes too
            much.
        """
        self.draw(_READ_STEPS + length // _CHEAP)
        self._bytes -= length
        self._steps -= 1
        if self._bytes < 0 or self._steps < 0:
            raise Unreadable(f'more than {_MOST_BYTES} bytes of metadata, or '
                             'a loop in them')
        first, last = offset // _BLOCK, (offset + length - 1) // _BLOCK
        whole = b''.join(self._block(index)
                         for index in range(first, last + 1))
        found = whole[offset - first * _BLOCK:][:length]
        if len(found) < length:
            raise Unreadable(f'metadata at byte {offset}, after the end of '
                             'the disk')
        return found

    def passing(self, offset: int, length: int) -> Iterator[bytes]:
        """Bytes of a large file, in pieces that nobody keeps.

        :raises UnreadableContent: when the disk ends before.
        """
        for start in range(offset, offset + length, _PIECE):
            count = min(_PIECE, offset + length - start)
            self.draw(_READ_STEPS + count // _CHEAP)
            piece = self._read(start, count)
            if len(piece) < count:
                raise Unreadable(f'a file at byte {start}, after the end of '
                                 'the disk')
            yield piece

    def zeroes(self, length: int) -> Iterator[bytes]:
        """Bytes of a hole in a large file, in pieces that nobody keeps."""
        for start in range(0, length, _PIECE):
            count = min(_PIECE, length - start)
            self.draw(_READ_STEPS + count // _CHEAP)
            yield bytes(count)

    def _block(self, index: int) -> bytes:
        if index not in self._blocks:
            if len(self._blocks) == _MOST_BLOCKS:
                raise Unreadable('metadata in too many places')
            self._blocks[index] = self._read(index * _BLOCK, _BLOCK)
        return self._blocks[index]


class FileSystem(abc.ABC):
    """A look into a file system.

    :param blocks: of the disk that it is on.
    :param size: bytes of the disk; None when that is not known.
    :ivar kind: its name.
    :ivar is_dirty: changes that are not in place yet wait in a journal, so
        that files may be missing.
    :ivar unit: bytes that its driver reads at least; it is mounted from no
        disk with larger sectors.
    :ivar beyond_grub: the name of a feature with which no grub2 reads it.
    :ivar not_all_grub: the name of a feature with which some do.
    """

    kind: typing.ClassVar[str]
    unit: int
    is_dirty: bool = False
    beyond_grub: str | None = None
    not_all_grub: str | None = None

    def __init__(self, blocks: Blocks, size: int | None) -> None:
        self.draw = blocks.draw
        self._blocks = blocks
        self._size = size
        self._directories: dict[Node, Mapping[bytes, int]] = {}
        self._found: dict[tuple[Node, bytes], Node | None] = {}
        self._names = _MOST_NAMES

    @abc.abstractmethod
    def find_roots(self) -> Iterator[Node]:
        """The directories that may become the root of a system."""

    @abc.abstractmethod
    def read_link(self, link: Node) -> bytes:
        """Where a symbolic link points to."""

    @abc.abstractmethod
    def read_front(self, file: Node, length: int) -> bytes:
        """Bytes at the beginning of a regular file, or all that it has.

        :raises UnreadableContent: when they are damaged, or encrypted.
        """

    @abc.abstractmethod
    def read_pieces(self, file: Node) -> Iterator[bytes]:
        """A regular file, in pieces that nobody keeps.

        :raises UnreadableContent: when it is damaged or encrypted, or has
            holes that cannot be told.
        """

    @abc.abstractmethod
    def entries(self, directory: Node) -> Iterator[tuple[bytes, int]]:
        """Names and inode numbers in a directory."""

    @abc.abstractmethod
    def lookup(self, directory: Node, name: bytes) -> Node | None:
        """Entry of a directory."""

    def subvolume(self, path: str) -> 'FileSystem | None':
        """The files of a subvolume alone; None where there is none.

        :param path: from the top of the file system.
        :raises UnreadableContent: when it cannot be told.
        """
        return None

    @functools.cached_property
    def _roots(self) -> tuple[Node, ...]:
        return tuple(self.find_roots())

    def list(self, path: str) -> list[str]:
        """Sorted names in a directory of any root; none in anything else.

        :raises UnreadableContent: when it cannot be told.
        """
        names: set[bytes] = set()
        for root in self._roots:
            directory = self._resolve(root, path)
            if directory and directory.is_directory:
                names.update(self._numbers(directory))
        return sorted(name.decode('utf-8', 'replace')
                      for name in names - {b'.', b'..'})

    def exists(self, path: str) -> bool:
        """Whether any root has it, at the end of all symbolic links.

        :raises UnreadableContent: when it cannot be told.
        """
        return any(self._resolve(root, path) for root in self._roots)

    def front(self, path: str, length: int) -> bytes | None:
        """Bytes at the beginning of a file of any root.

        :returns: as many as asked for, or all; None without such a file.
        :raises UnreadableContent: when it cannot be told.
        """
        for root in self._roots:
            file = self._resolve(root, path)
            if file and stat.S_ISREG(file.mode):
                return self.read_front(file, length)
        return None

    def pieces(self, path: str) -> Iterator[bytes]:
        """A large file of any root, in pieces; none without such a file.

        :raises UnreadableContent: when it cannot be told.
        """
        for root in self._roots:
            file = self._resolve(root, path)
            if file and stat.S_ISREG(file.mode):
                yield from self.read_pieces(file)
                return

    def _numbers(self, directory: Node) -> Mapping[bytes, int]:
        """Numbers of the entries of a directory, by name; read once."""
        if directory not in self._directories:
            listed: dict[bytes, int] = {}
            for name, number in self.entries(directory):
                self._blocks.draw(2 + len(name) // _LONG_NAME)
                listed[name] = number
                self._names -= 1
                if self._names < 0:
                    raise Unreadable(f'more than {_MOST_NAMES} names')
            self._directories[directory] = listed
        return self._directories[directory]

    def _front(self, runs: Iterable[Run], length: int) -> bytes:
        """Bytes at the beginning of a file; zeroes where no run is."""
        front = bytearray(length)
        for start, place, count in runs:
            if start >= length:
                break
            count = min(count, length - start)
            front[start:start + count] = self._blocks.at(place, count)
        return bytes(front)

    def _pieces(self, runs: Iterable[Run], length: int) -> Iterator[bytes]:
        """Bytes of a file; zeroes where no run is.

        :param length: of the file.
        """
        done = 0
        for start, place, count in runs:
            if start < done:
                raise Unreadable('a large file with parts that overlap')
            yield from self._blocks.zeroes(min(start, length) - done)
            done = min(start, length)
            count = min(count, length - done)
            if count <= 0:
                break
            yield from self._blocks.passing(place, count)
            done += count
        yield from self._blocks.zeroes(length - done)

    def _resolve(self, root: Node, path: str) -> Node | None:
        """Walk a path; the root is its own parent, also for links."""
        walked = [root]
        ahead = path.encode().split(b'/')[::-1]
        links = 0
        while ahead:
            name = ahead.pop()
            self._blocks.draw(2)
            if name in (b'', b'.'):
                continue
            if name == b'..':
                walked = walked[:-1] or [root]
                continue
            if not walked[-1].is_directory:
                return None
            place = walked[-1], name
            if place not in self._found:
                self._found[place] = self.lookup(*place)
            found = self._found[place]
            if found is None:
                return None
            if not found.is_link:
                walked.append(found)
                continue
            links += 1
            target = self.read_link(found)
            if links > _MOST_LINKS or len(target) > _MOST_PATH:
                return None
            if target.startswith(b'/'):
                walked = [root]
            ahead += target.split(b'/')[::-1]
        return walked[-1]
