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

"""Journal of a write: what it put where, for the next attempt.

A write that is killed cannot tell how far it was. So each piece of the disk
is logged once it is written, in a file that outlives the program but should
not outlive the machine. The next attempt reads these pieces back and goes on
with those that are as they were: the journal says where to look, and the disk
what is there. It does not matter who wrote to the disk in between, nor what
a cache lost. CRC-32 is enough for that: the bytes were verified by their
manifest before they were written, and nobody else may write the journal.

::

    8  bytes  "imgjrnl1"
    32        SHA-256 of what it is bound to
    16 each   start on the disk, length and a flag for zeroes, CRC-32

Numbers are little-endian.
"""

from array import array
import bisect
from collections.abc import Iterator
import contextlib
import dataclasses
import hashlib
import logging
import os
import stat
import struct
import typing
import urllib.parse

from ironic_imagedeploy.engine.codecs import libraries
from ironic_imagedeploy.engine import extent as _extent
from ironic_imagedeploy.engine.formats import base as _formats
from ironic_imagedeploy.engine import manifest as _manifest
from ironic_imagedeploy.engine import memory as _memory
from ironic_imagedeploy.engine.targets import base as targets
from ironic_imagedeploy.engine.transfer import chunk_plan
from ironic_imagedeploy.engine.transfer import meter as _meter
from ironic_imagedeploy.engine.transfer import scan

LOG = logging.getLogger(__name__)

_MAGIC = b'imgjrnl1'
_HEADER_SIZE = len(_MAGIC) + hashlib.sha256().digest_size
_ENTRY = struct.Struct('<QII')
_ZEROES = 1 << 31
#: Bytes of the largest piece that is logged. Larger ones are zeroes by the
#: map of the image, which every attempt zeroes.
_LARGEST = 4 << 20
#: Pieces that are logged, of a MiB mostly; others are fetched again. The file
#: is in memory, and takes 2 MiB then; when it is read, some 20.
MOST_ENTRIES = 128 << 10


class Entry(typing.NamedTuple):
    """A piece of the disk.

    :ivar crc: of its bytes; None for zeroes.
    """

    start: int
    length: int
    crc: int | None

    def encode(self) -> bytes:
        """The entry as it is in the file."""
        if self.crc is None:
            return _ENTRY.pack(self.start, self.length | _ZEROES, 0)
        return _ENTRY.pack(self.start, self.length, self.crc)


@dataclasses.dataclass(frozen=True)
class EntryLook:
    """A look for what was logged.

    :ivar index: of the entry.
    """

    index: int
    entry: Entry

    @property
    def length(self) -> int:
        """Bytes of the disk that it reads."""
        return self.entry.length

    def is_there(self, target: targets.Target, memory: memoryview) -> bool:
        """Whether the disk still holds it."""
        found = target.read(self.entry.start, self.entry.length, memory)
        if self.entry.crc is None:
            return _memory.is_zero(found)
        return _crc(found) == self.entry.crc


class Journal:
    """The journal of one target.

    :param path: of the file.
    :param binding: of the image and the target.
    :param disk_size: bytes of the disk in the image.
    :raises OSError: when there cannot be one.
    """

    def __init__(self, path: str, binding: bytes, disk_size: int) -> None:
        self._path = path
        self._header = _MAGIC + binding
        self._descriptor = _open(path)
        try:
            self._entries = self._read(disk_size)
        except BaseException:
            self.close()
            raise
        self._count = len(self._entries)
        self._is_full = False

    def wrote(self, start: int, view: memoryview) -> None:
        """Log that these bytes are on the disk at that offset."""
        if len(view) <= _LARGEST:
            self._log(Entry(start, len(view), _crc(view)))

    def zeroed(self, start: int, length: int) -> None:
        """Log that this range of the disk reads as zeroes."""
        if length <= _LARGEST:
            self._log(Entry(start, length, None))

    def find(self, image: _formats.MappedImage,
             manifest: _manifest.Manifest, target: targets.Target,
             meter: _meter.Meter, *, workers: int | None = None
             ) -> set[int]:
        """Indexes of the chunks that an earlier attempt has written.

        To be called before anything is logged. What the disk does not hold
        any more is forgotten.
        """
        if not self._entries:
            self._rewrite([])
            return set()
        found = scan.present(
            target, (EntryLook(index, entry)
                     for index, entry in enumerate(self._entries)),
            memory_size=_LARGEST, meter=meter, workers=workers)
        entries = [self._entries[index] for index in sorted(found)]
        self._rewrite(entries)
        self._entries = []
        return _chunks_within(_Ranges(entries), image, manifest)

    def remove(self) -> None:
        """Delete the file: the image is on the disk."""
        try:
            os.unlink(self._path)
        except OSError as error:
            LOG.warning('%s cannot be deleted: %s', self._path, error)

    def close(self) -> None:
        """Leave the file to the next attempt."""
        os.close(self._descriptor)

    def _read(self, disk_size: int) -> list[Entry]:
        """Entries of the file; none when it is not about this write."""
        size = os.fstat(self._descriptor).st_size
        if size > _HEADER_SIZE + MOST_ENTRIES * _ENTRY.size:
            return []
        content = os.pread(self._descriptor, size, 0)
        if content[:_HEADER_SIZE] != self._header:
            return []
        # The last entry may be cut off.
        end = len(content) - (len(content) - _HEADER_SIZE) % _ENTRY.size
        entries = [
            Entry(start, length & ~_ZEROES, None if length & _ZEROES else crc)
            for start, length, crc in _ENTRY.iter_unpack(
                content[_HEADER_SIZE:end])]
        # Each byte is written once: more is not a journal of ours.
        if any(not 0 < entry.length <= _LARGEST
               or entry.start + entry.length > disk_size
               for entry in entries) or sum(
                   entry.length for entry in entries) > disk_size:
            return []
        return entries

    def _rewrite(self, entries: list[Entry]) -> None:
        """Begin anew, with these entries."""
        try:
            os.truncate(self._descriptor, 0)
            self._append(self._header)
            self._append(b''.join(map(Entry.encode, entries)))
        except OSError as error:
            self._give_up(error)
        self._count = len(entries)

    def _log(self, entry: Entry) -> None:
        self._count += 1
        if self._is_full or self._count > MOST_ENTRIES:
            return
        try:
            self._append(entry.encode())
        except OSError as error:
            self._give_up(error)

    def _append(self, content: bytes) -> None:
        """Append all of it; threads do not mix theirs."""
        if os.write(self._descriptor, content) < len(content):
            raise OSError('no room')

    def _give_up(self, error: OSError) -> None:
        self._is_full = True
        LOG.warning('%s cannot be written, so that another attempt may fetch '
                    'more than it has to: %s', self._path, error)


def open_journal(directory: str, *, manifest: _manifest.Manifest,
                 target: targets.Target, disk_size: int) -> Journal | None:
    """The journal of a target; None where there cannot be one.

    :param directory: for journals, in memory and of this user alone; it is
        made when it is missing.
    :param disk_size: bytes of the disk in the image.
    """
    binding = hashlib.sha256(repr((
        manifest.root, disk_size, target.identity)).encode()).digest()
    path = _path(directory, target)
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        _check_owner(os.lstat(directory), stat.S_ISDIR)
        return Journal(path, binding, disk_size)
    except OSError as error:
        LOG.warning('%s: no journal is kept, so that another attempt begins '
                    'anew: %s', directory, error)
        return None


def forget(directory: str, target: targets.Target) -> None:
    """Delete the journal of a target, of which it is not true any more."""
    with contextlib.suppress(OSError):
        os.unlink(_path(directory, target))


def _path(directory: str, target: targets.Target) -> str:
    return os.path.join(directory, urllib.parse.quote(
        os.path.realpath(target.path), safe=''))


class _Ranges:
    """Ranges of the disk, neighbours joined."""

    def __init__(self, entries: list[Entry]) -> None:
        self._starts = array('Q')
        self._ends = array('Q')
        for entry in sorted(entries, key=lambda entry: entry.start):
            end = entry.start + entry.length
            if self._ends and entry.start <= self._ends[-1]:
                self._ends[-1] = max(self._ends[-1], end)
            else:
                self._starts.append(entry.start)
                self._ends.append(end)

    def cover(self, start: int, end: int) -> bool:
        """Whether all bytes in ``[start, end)`` are in a range."""
        index = bisect.bisect_right(self._starts, start) - 1
        return index >= 0 and end <= self._ends[index]


def _chunks_within(written: _Ranges, image: _formats.MappedImage,
                   manifest: _manifest.Manifest) -> set[int]:
    """Chunks of which everything that begins in them is written."""
    complete, incomplete = set[int](), set[int]()
    for extent in image.by_source():
        for index, start, end in _places(extent, manifest):
            (complete if written.cover(start, end) else incomplete).add(index)
    return complete - incomplete


def _places(extent: _extent.Extent, manifest: _manifest.Manifest
            ) -> Iterator[tuple[int, int, int]]:
    """Chunks that an extent begins in, or goes on in: index, start and end.

    A compressed extent belongs to the chunk that it begins in, with all of
    its bytes on the disk. Zeroes that are made in any case do not count.
    """
    size = manifest.chunk_size
    if extent.kind is _extent.ExtentKind.COMPRESSED:
        yield extent.source_offset // size, extent.start, extent.end
        return
    shift = extent.start - extent.source_offset
    for low, high in chunk_plan.written_ranges(
            manifest, extent.source_offset, extent.source_end):
        for index in range(low // size, (high - 1) // size + 1):
            yield (index, shift + max(low, index * size),
                   shift + min(high, (index + 1) * size))


def _crc(view: memoryview) -> int:
    crc: int = libraries.isal.crc32(view)
    return crc


def _open(path: str) -> int:
    """A descriptor of a regular file that nobody else can write.

    :raises OSError: when it is another kind of file.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND
                         | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    try:
        _check_owner(os.fstat(descriptor), stat.S_ISREG)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _check_owner(status: os.stat_result, is_kind: typing.Any) -> None:
    if not (is_kind(status.st_mode) and status.st_uid == os.geteuid()
            and not status.st_mode & 0o022):
        raise PermissionError('not of this user alone')
