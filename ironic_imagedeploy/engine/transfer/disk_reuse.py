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


"""Chunks of a compressed image whose bytes are on the target already.

What is compressed in a file cannot be told by the disk. So the disk is looked
at by a manifest of its own (:mod:`disk_manifest`), and a part of the file is
not needed where it decodes to bytes that are there.
"""

from collections.abc import Iterator
from collections.abc import Set
import typing

from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine import extent as _extent
from ironic_imagedeploy.engine.formats import base as _formats
from ironic_imagedeploy.engine import manifest as manifests
from ironic_imagedeploy.engine.targets import base as targets
from ironic_imagedeploy.engine.transfer import held_ends
from ironic_imagedeploy.engine.transfer import meter as _meter
from ironic_imagedeploy.engine.transfer import reuse


class Found(typing.NamedTuple):
    """Parts of a compressed image that are on the target.

    :ivar chunks: of its file, of which nothing is needed: their indexes.
    :ivar there: chunks of the disk that are there: their indexes.
    :ivar disk_size: bytes of a chunk of the disk.
    """

    chunks: set[int]
    there: Set[int]
    disk_size: int

    def has(self, start: int, end: int) -> bool:
        """Whether the disk has these bytes.

        :param start: offset of the first one.
        :param end: offset after the last one.
        """
        return all(index in self.there for index in range(
            start // self.disk_size, -(-end // self.disk_size)))


def find(image: _formats.MappedImage, manifest: manifests.Manifest,
         disk: manifests.Manifest, target: targets.Target,
         held: held_ends.HeldEnds, meter: _meter.Meter, *,
         workers: int | None = None) -> Found:
    """Parts of an image that are on the target.

    :param manifest: of the file.
    :param disk: manifest of the disk in the image.
    :param held: the ends of the disk, which are written anew.
    :raises InvalidManifest: when the disk in the image has another size.
    """
    if disk.size != image.virtual_size:
        raise exceptions.InvalidManifest(
            'manifest of the disk', expected='that of a disk of '
            f'{image.virtual_size} bytes', found=f'that of {disk.size} bytes',
            fix='Make the manifest of this image again.')

    def looks() -> Iterator[reuse.ChunkLook]:
        for index in range(disk.count):
            start, end = disk.bounds(index)
            if held.low <= start and end <= held.high and (
                    not disk.is_zero(index)):
                yield reuse.ChunkLook(
                    index, [reuse.Part(0, start, end - start)], disk)

    found = Found(set(), reuse.sampled(looks, disk, target, meter, workers),
                  disk.chunk_size)
    found.chunks.update(_needless(image, manifest.chunk_size, found))
    return found


def _needless(image: _formats.MappedImage, size: int, found: Found
              ) -> set[int]:
    """Chunks of the file whose extents are all on the target.

    :param size: bytes of a chunk of the file.
    """
    needless, needed = set[int](), set[int]()
    if found.there:
        for index, start, end in _stored(image, size):
            (needless if found.has(start, end) else needed).add(index)
    return needless - needed


class _Stored(typing.NamedTuple):
    """Range of the disk that begins in a chunk of the file.

    :ivar chunk: its index.
    :ivar start: first byte on the disk.
    :ivar end: first byte on the disk after it.
    """

    chunk: int
    start: int
    end: int


def _stored(image: _formats.MappedImage, size: int) -> Iterator[_Stored]:
    """Compressed extents, and the parts of others by chunk of the file."""
    for extent in image.by_source():
        first = extent.source_offset // size
        if extent.kind is _extent.ExtentKind.COMPRESSED:
            yield _Stored(first, extent.start, extent.end)
            continue
        to_disk = extent.start - extent.source_offset
        for index in range(first, -(-extent.source_end // size)):
            low = max(extent.source_offset, index * size)
            high = min(extent.source_end, (index + 1) * size)
            yield _Stored(index, low + to_disk, high + to_disk)
