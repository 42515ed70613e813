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

"""Manifest of the disk in an image, instead of that of its file.

By it the bytes of a disk tell what of a compressed image is on it. It is
bound to the checksum of the file, since it is made of nothing else.
"""

import collections
from collections.abc import Iterator
from concurrent import futures
import hashlib
import typing

from ironic_imagedeploy.engine import checksum as checksums
from ironic_imagedeploy.engine import extent as _extent
from ironic_imagedeploy.engine.formats import base
from ironic_imagedeploy.engine import manifest as manifests
from ironic_imagedeploy.engine import memory
from ironic_imagedeploy.engine.sources import base as sources

COMPRESSED = _extent.ExtentKind.COMPRESSED
ZERO = _extent.ExtentKind.ZERO

#: As for the manifest of a file: a conductor has other work, too.
_THREADS = 2
#: Bytes of the disk that are decoded for each stored byte at most: images of
#: systems have 2 to 10, and an attack would have a thousand.
_MOST_RATIO = 32


def is_of_use(image: base.Image) -> typing.TypeGuard[base.MappedImage]:
    """Whether a rebuild with an image is the better for it.

    What is not compressed is found by the manifest of the file.
    """
    return (isinstance(image, base.MappedImage) and image.map.has_compressed
            and image.virtual_size <= manifests.LARGEST
            and image.map.end - image.map.zeroes
            <= _MOST_RATIO * image.source.size)


def make(image: base.MappedImage, source: sources.Source,
         checksum: checksums.Checksum) -> manifests.Manifest:
    """Manifest of the disk in an image, each cluster of which is decoded.

    :param image: an accepted one.
    :param source: its file, which threads can read at offsets.
    :param checksum: of the file.
    :raises ImageRefused: when it cannot be decoded.
    :raises SourceError: when it cannot be read.
    """
    size = image.virtual_size
    manifests.require_possible(size)
    chunk_size = manifests.chunk_size_for(size)
    zero_block = manifests.zero_block_for(size)
    digests, zero_map = bytearray(), bytearray()
    running: collections.deque[futures.Future[_Chunk]] = collections.deque()

    def collect() -> None:
        digest, zeroes = running.popleft().result()
        digests.extend(digest)
        zero_map.extend(zeroes)

    threads = futures.ThreadPoolExecutor(_THREADS,
                                         thread_name_prefix='disk-manifest')
    try:
        for start, extents in _chunks(image, chunk_size):
            running.append(threads.submit(
                _hashed, image, source, start,
                min(start + chunk_size, size), extents, zero_block))
            if len(running) > 2 * _THREADS:
                collect()
        while running:
            collect()
    finally:
        threads.shutdown(cancel_futures=True)
    return manifests.Manifest(
        size=size, chunk_size=chunk_size, checksum=checksum,
        zero_block=zero_block, zero_map=bytes(zero_map),
        digests=bytes(digests))


class _Chunk(typing.NamedTuple):
    """Digest and zero map of a chunk."""

    digest: bytes
    zero_map: bytes


def _chunks(image: base.MappedImage, size: int
            ) -> Iterator[tuple[int, list[_extent.Extent]]]:
    """Chunks of the disk, in order: offset, and what is stored in it."""
    start = 0
    stored: list[_extent.Extent] = []
    for extent in image.extents():
        while extent.end >= start + size:
            if extent.kind is not ZERO and extent.start < start + size:
                stored.append(extent)
            yield start, stored
            start, stored = start + size, []
        if extent.kind is not ZERO and extent.end > start:
            stored.append(extent)
    if start < image.virtual_size:
        yield start, stored


def _hashed(image: base.MappedImage, source: sources.Source, start: int,
            end: int, extents: list[_extent.Extent], zero_block: int
            ) -> _Chunk:
    """The chunk of the disk between two offsets."""
    if not extents:
        return _zero_chunk(end - start, zero_block)
    view = memoryview(bytearray(end - start))
    for extent in _extent.clamp(extents, start, end):
        stored: typing.Any = memoryview(source.read_at(
            extent.source_offset, extent.source_length))
        if extent.kind is COMPRESSED:
            low, high = max(extent.start, start), min(extent.end, end)
            stored = memoryview(image.decode(extent, stored))[
                low - extent.start:high - extent.start]
        else:
            low, high = extent.start, extent.end
        view[low - start:high - start] = stored
    if memory.is_zero(view):
        return _zero_chunk(end - start, zero_block)
    return _Chunk(hashlib.sha256(view).digest(),
                  memory.zero_map(view, zero_block))


def _zero_chunk(length: int, zero_block: int) -> _Chunk:
    return _Chunk(manifests.zero_digest(length),
                  manifests.all_zero(length, zero_block))
