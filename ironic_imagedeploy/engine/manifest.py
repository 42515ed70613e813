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

"""Manifest of an image file: each chunk proves itself.

::

    8  bytes  "imgchunk"
    2         version, 1
    1         chunk size, as a power of two
    1         zero block, as a power of two
    4         0
    8         size of the file
    16        algorithm of the checksum of the file, padded with zeroes
    64        that checksum, padded with zeroes
              zero map: a bit for each zero block, the lowest first
    32 each   SHA-256 of the chunks

Numbers are big-endian. A manifest has exactly one encoding, and the SHA-256
of that, the root, stands for all of it.
"""

from collections.abc import Iterator
import dataclasses
import functools
import hashlib
import hmac
import struct
import typing

from ironic_imagedeploy.engine import checksum as checksums
from ironic_imagedeploy.engine import exceptions

KIB = 1024
MIB = 1024 * KIB
DIGEST = 32
#: Bytes of the largest file that has a manifest, which is in the memory of
#: the node: less than a tenth of what a write may take.
LARGEST = 1024 * 1024 * MIB
CHUNK_SIZES = (256 * KIB, 4 * MIB)
ZERO_BLOCKS = (4 * KIB, 64 * KIB)

_MAGIC = b'imgchunk'
VERSION = 1
_HEAD = struct.Struct('>8sHBB4xQ16s64s')
#: Bytes of the longest manifest that is taken.
MOST_BYTES = (_HEAD.size + LARGEST // CHUNK_SIZES[1] * DIGEST
              + LARGEST // ZERO_BLOCKS[1] // 8)
_MANY_CHUNKS = 65536
#: Blocks of the zero map that are looked at together.
_RUN_BLOCKS = 1024


def chunk_size_for(size: int, *, finer: bool = False) -> int:
    """Bytes of a chunk for a file of this size.

    A MiB is hashed while it is in the cache of a processor. Larger ones keep
    the manifest of a large file at a few MiB.

    :param size: bytes.
    :param finer: for a file of which little will be fetched, here and there,
        as by a rebuild with an image that is compressed.
    """
    chunk_size = CHUNK_SIZES[0] if finer else MIB
    while chunk_size < CHUNK_SIZES[1] and size > chunk_size * _MANY_CHUNKS:
        chunk_size *= 2
    return chunk_size


def zero_block_for(size: int) -> int:
    """Bytes of a zero block for a file of this size.

    The map takes a quarter of what the digests take. Blocks of 4 KiB would
    tell a file system that is old and trimmed apart from its holes by a
    tenth better, but in pieces that nobody fetches one by one.

    :param size: bytes.
    """
    return chunk_size_for(size) // 64


@dataclasses.dataclass(frozen=True)
class Manifest:
    """Digests of the chunks of a file, and where it is zero.

    :ivar size: bytes of the file as stored.
    :ivar chunk_size: bytes of a chunk; the last one may be shorter.
    :ivar checksum: of the whole file.
    :ivar zero_block: bytes that a bit of the zero map stands for.
    :ivar zero_map: a bit for each block, the lowest of a byte first: set
        when the block is zero.
    :ivar digests: SHA-256 of the chunks, one after the other.
    :raises InvalidManifest: when no file can have this one.
    """

    size: int
    chunk_size: int
    checksum: checksums.Checksum
    zero_block: int
    zero_map: bytes = dataclasses.field(repr=False)
    digests: bytes = dataclasses.field(repr=False)

    def __post_init__(self) -> None:
        _check_scale('a chunk', self.chunk_size, CHUNK_SIZES)
        _check_scale('a zero block', self.zero_block, ZERO_BLOCKS)
        require_possible(self.size)
        if self.encoded_size > MOST_BYTES:
            raise _invalid(f'at most {MOST_BYTES} bytes',
                           f'{self.encoded_size} bytes')
        for what, content, size in (
                ('zero map', self.zero_map,
                 _map_size(self.size, self.zero_block)),
                ('digests', self.digests, self.count * DIGEST)):
            if len(content) != size:
                raise _invalid(f'{size} bytes of {what}',
                               _length(content, size))
        blocks = -(-self.size // self.zero_block)
        if blocks % 8 and self.zero_map[-1] >> blocks % 8:
            raise _invalid('a zero map that ends with the image',
                           'blocks after it')
        self._check_zeroes()

    @property
    def count(self) -> int:
        """Number of the chunks."""
        return -(-self.size // self.chunk_size)

    @property
    def encoded_size(self) -> int:
        """Bytes of the encoding."""
        return (_HEAD.size + _map_size(self.size, self.zero_block)
                + self.count * DIGEST)

    @functools.cached_property
    def root(self) -> str:
        """SHA-256 of the encoding, in hexadecimal digits."""
        return hashlib.sha256(self.encode()).hexdigest()

    def digest(self, index: int) -> bytes:
        """SHA-256 of a chunk, the zeroes in it included."""
        return self.digests[index * DIGEST:(index + 1) * DIGEST]

    def bounds(self, index: int) -> tuple[int, int]:
        """Offsets of the start and of the end of a chunk in the file."""
        start = index * self.chunk_size
        return start, min(start + self.chunk_size, self.size)

    def is_zero(self, index: int) -> bool:
        """Whether all bytes of a chunk are zero."""
        start, end = self.bounds(index)
        expected = all_zero(end - start, self.zero_block)
        first = start // self.zero_block // 8
        return self.zero_map[first:first + len(expected)] == expected

    def data_ranges(self, start: int, end: int, *,
                    gap: int = 0) -> Iterator[tuple[int, int]]:
        """Ranges of the file that are not zero, in order: (start, end).

        :param start: offset of the first byte that is asked for.
        :param end: offset after the last one.
        :param gap: bytes; so many zeroes do not part two ranges.
        """
        if start >= end:
            return
        block = self.zero_block
        pending: tuple[int, int] | None = None
        for first, after in self._data_blocks(
                start // block, -(-end // block)):
            if pending and (first - pending[1]) * block <= gap:
                pending = pending[0], after
                continue
            if pending:
                yield max(start, pending[0] * block), pending[1] * block
            pending = first, after
        if pending:
            yield max(start, pending[0] * block), min(end, pending[1] * block)

    def matches(self, index: int, view: memoryview | bytes) -> bool:
        """Whether these are the bytes of a chunk."""
        start, end = self.bounds(index)
        return len(view) == end - start and hmac.compare_digest(
            hashlib.sha256(view).digest(), self.digest(index))

    def require(self, *, size: int | None = None,
                checksum: checksums.Checksum | None = None) -> None:
        """Hold the manifest against what is known of its file.

        :param size: bytes of the file; None: any.
        :param checksum: of the file; None: any.
        :raises InvalidManifest: when it is that of another file.
        """
        if size is not None and self.size != size:
            raise _invalid(f'that of an image of {size} bytes',
                           f'one of {self.size} bytes')
        if checksum is not None and self.checksum != checksum:
            raise _invalid(
                f'that of the image with {checksum.algorithm} '
                f'{checksum.value}', f'that with {self.checksum.algorithm} '
                f'{self.checksum.value}')

    def encode(self) -> bytes:
        """The only encoding of this manifest."""
        return b''.join((
            _HEAD.pack(_MAGIC, VERSION, self.chunk_size.bit_length() - 1,
                       self.zero_block.bit_length() - 1, self.size,
                       self.checksum.algorithm.encode(),
                       bytes.fromhex(self.checksum.value)),
            self.zero_map, self.digests))

    @classmethod
    def decode(cls, encoded: bytes, *, root: str | None = None,
               size: int | None = None,
               checksum: checksums.Checksum | None = None) -> typing.Self:
        """Read a manifest that may come from anybody.

        :param root: that it must have; None: any.
        :param size: bytes of the file that it must be of; None: any.
        :param checksum: of the file that it must be of; None: any.
        :raises InvalidManifest: when it is not one, or not that of the file.
        """
        if len(encoded) > MOST_BYTES:
            raise _invalid(f'at most {MOST_BYTES} bytes',
                           f'{len(encoded)} bytes')
        if root is not None:
            found = hashlib.sha256(encoded).hexdigest()
            if not hmac.compare_digest(root.encode(), found.encode()):
                raise _invalid(f'the root {root}', found)
        manifest = cls._decoded(encoded)
        manifest.require(size=size, checksum=checksum)
        return manifest

    @classmethod
    def _decoded(cls, encoded: bytes) -> typing.Self:
        if len(encoded) < _HEAD.size:
            raise _invalid(f'at least {_HEAD.size} bytes',
                           _length(encoded, _HEAD.size))
        (magic, version, chunk_bits, block_bits, size, algorithm,
         value) = _HEAD.unpack_from(encoded)
        if magic != _MAGIC:
            raise _invalid('a manifest', 'another file')
        if version != VERSION:
            raise _invalid(f'version {VERSION}', f'version {version}')
        map_end = _HEAD.size + _map_size(size, 1 << block_bits)
        manifest = cls(
            size=size, chunk_size=1 << chunk_bits,
            checksum=_checksum(algorithm, value), zero_block=1 << block_bits,
            zero_map=encoded[_HEAD.size:map_end], digests=encoded[map_end:])
        if manifest.encode() != encoded:
            raise _invalid('the only encoding of a manifest', 'another one')
        return manifest

    def _data_blocks(self, first: int, end: int) -> Iterator[tuple[int, int]]:
        """Runs of blocks that are not zero; neighbours may touch."""
        for start in range(first - first % _RUN_BLOCKS, end, _RUN_BLOCKS):
            after = min(start + _RUN_BLOCKS, end)
            zeroes = int.from_bytes(
                self.zero_map[start // 8:-(-after // 8)], 'little')
            data = ~zeroes & (1 << after - start) - 1
            position = max(first, start)
            data >>= position - start
            while data:
                skipped = (data & -data).bit_length() - 1
                data >>= skipped
                position += skipped
                length = (~data & data + 1).bit_length() - 1
                yield position, position + length
                data >>= length
                position += length

    def _check_zeroes(self) -> None:
        """A chunk is zero by the map exactly if it is so by its digest."""
        for index in range(self.count):
            start, end = self.bounds(index)
            zero = self.digest(index) == zero_digest(end - start)
            if zero != self.is_zero(index):
                raise _invalid(
                    f'chunk {index} to be zero by map and digest, or by '
                    'neither', 'one of them')


@functools.lru_cache(maxsize=16)
def zero_digest(length: int) -> bytes:
    """SHA-256 of so many zeroes."""
    return hashlib.sha256(bytes(length)).digest()


@functools.lru_cache(maxsize=16)
def all_zero(length: int, zero_block: int) -> bytes:
    """Zero map of so many bytes, all of which are zero."""
    blocks = -(-length // zero_block)
    return ((1 << blocks) - 1).to_bytes(-(-blocks // 8), 'little')


def _map_size(size: int, zero_block: int) -> int:
    """Bytes of the zero map of a file."""
    return -(-size // (zero_block * 8))


def _checksum(algorithm: bytes, value: bytes) -> checksums.Checksum:
    try:
        name = algorithm.rstrip(b'\0').decode('ascii')
        return checksums.Checksum(
            name, value[:checksums.digest_size(name)].hex())
    except ValueError:
        raise _invalid('a checksum with a known algorithm',
                       repr(algorithm)) from None


def _check_scale(what: str, size: int, allowed: tuple[int, int]) -> None:
    if size & size - 1 or not allowed[0] <= size <= allowed[1]:
        raise _invalid(
            f'{what} of {allowed[0]} to {allowed[1]} bytes, a power of two',
            str(size) if size < LARGEST
            else f'at least 2 to the power of {size.bit_length() - 1}')


def _length(content: bytes, size: int) -> str:
    """Length of what should have that size, in words."""
    return f'{len(content)} bytes' + (
        ', so that it is truncated' if len(content) < size else '')


def require_possible(size: int) -> None:
    """Hold the size of a file against what a manifest may be of.

    :param size: bytes.
    :raises InvalidManifest: when it is too large.
    """
    if not 0 <= size <= LARGEST:
        raise _invalid(f'at most {LARGEST} bytes of image', f'{size} bytes')


def _invalid(expected: str, found: str) -> exceptions.InvalidManifest:
    return exceptions.InvalidManifest(
        'manifest', expected=expected, found=found,
        fix='Make the manifest of this image again.')
