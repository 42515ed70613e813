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

"""Chunks of an image that the target holds already.

A chunk is there when the bytes of the disk, in the sequence of the file, have
its digest. So nothing has to be known of what was written before, or by whom.
Chunks with tables of the image are not on the disk, and fetched; an image with
compressed clusters is not looked for.

One chunk of each stretch is looked at first. The others of the stretch are
read only when that one, or that of a neighbouring stretch, is there: a disk
with another system costs a little of its reading, and one that was written in
part costs what it saves.
"""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Set
import dataclasses
import itertools
import operator
import typing

from ironic_imagedeploy.engine.formats import base as _formats
from ironic_imagedeploy.engine import manifest as _manifest
from ironic_imagedeploy.engine.targets import base as targets
from ironic_imagedeploy.engine.transfer import held_ends
from ironic_imagedeploy.engine.transfer import meter as _meter
from ironic_imagedeploy.engine.transfer import scan

#: Chunks of which one is looked at first, at most: then a new disk costs less
#: than two hundredths of a write. In a small image they are fewer.
_LONGEST_STRETCH = 64
_STRETCHES = 32


class Part(typing.NamedTuple):
    """Bytes of a chunk that the disk has in one place.

    :ivar at: offset of the first one in the chunk.
    :ivar start: offset of the first one on the disk.
    """

    at: int
    start: int
    length: int


@dataclasses.dataclass(frozen=True)
class ChunkLook:
    """A look for one chunk. What no part names is zero.

    :ivar index: of the chunk.
    """

    index: int
    parts: list[Part]
    manifest: _manifest.Manifest

    @property
    def length(self) -> int:
        """Bytes of the disk that it reads."""
        return sum(part.length for part in self.parts)

    def is_there(self, target: targets.Target, memory: memoryview) -> bool:
        """Whether the disk holds the chunk."""
        start, end = self.manifest.bounds(self.index)
        memory = memory[:end - start]
        if self.length < len(memory):
            memory[:] = bytes(len(memory))
        for part in self.parts:
            place = memory[part.at:part.at + part.length]
            found = target.read(part.start, part.length, place)
            if found.obj is not memory.obj:
                place[:] = found
        return self.manifest.matches(self.index, memory)


def find(image: _formats.MappedImage, manifest: _manifest.Manifest,
         target: targets.Target, held: held_ends.HeldEnds,
         meter: _meter.Meter, *, known: Set[int] = frozenset(),
         workers: int | None = None) -> set[int]:
    """Indexes of the chunks whose bytes are all on the target.

    Those with bytes that are held are not among them, nor those that are
    all zeroes: these are not fetched in any case, and zeroed.

    :param held: the ends of the disk, which are written anew.
    :param known: chunks that are not looked at, since they are there.
    """
    if image.map.has_compressed:
        # Hardly a chunk is plain throughout, and to find out takes time.
        return set()

    def unknown() -> Iterator[ChunkLook]:
        return (look for look in looks(image, manifest, held)
                if look.index not in known)

    try:
        return sampled(unknown, manifest, target, meter, workers)
    except _Overlapping:
        return set()


def sampled(every: Callable[[], Iterable[ChunkLook]],
            manifest: _manifest.Manifest, target: targets.Target,
            meter: _meter.Meter, workers: int | None) -> set[int]:
    """Indexes of the looks that found their chunk, one of many first.

    :param every: gives all looks, in order, each time that it is called.
    :param manifest: of the chunks.
    """
    def present(looks: Iterable[ChunkLook]) -> set[int]:
        return scan.present(target, looks, memory_size=manifest.chunk_size,
                            meter=meter, workers=workers)

    stretch = min(max(manifest.count // _STRETCHES, 1), _LONGEST_STRETCH)
    found = present(_samples(every(), stretch))
    near = {near for at in {index // stretch for index in found}
            for near in (at - 1, at, at + 1)}
    return found | present(
        look for look in every()
        if look.index // stretch in near and look.index not in found)


def looks(image: _formats.MappedImage, manifest: _manifest.Manifest,
          held: held_ends.HeldEnds) -> Iterator[ChunkLook]:
    """Looks for all chunks that can be on the disk, in order.

    :param image: without compressed extents.
    :raises _Overlapping: when bytes of the file are at several places of the
        disk: these would have to be looked at together.
    """
    for index, group in itertools.groupby(
            _cut(image, manifest.chunk_size), operator.itemgetter(0)):
        parts = [part for _, part in group]
        if _can_be_there(index, parts, manifest, held):
            yield ChunkLook(index, parts, manifest)


class _Overlapping(Exception):
    """Bytes of the file belong to several places of the disk."""


def _cut(image: _formats.MappedImage, size: int
         ) -> Iterator[tuple[int, Part]]:
    """Chunks with their parts, in order."""
    end = 0
    for extent in image.by_source():
        if extent.source_offset < end:
            raise _Overlapping()
        end = extent.source_end
        for index in range(extent.source_offset // size, -(-end // size)):
            start = max(extent.source_offset, index * size)
            yield index, Part(start - index * size,
                              extent.start + start - extent.source_offset,
                              min(end, (index + 1) * size) - start)


def _can_be_there(index: int, parts: list[Part],
                  manifest: _manifest.Manifest, held: held_ends.HeldEnds
                  ) -> bool:
    """Whether the disk may hold all bytes of a chunk."""
    if manifest.is_zero(index):
        return False
    start, end = manifest.bounds(index)
    position = start
    for part in parts:
        if (part.start < held.low or part.start + part.length > held.high
                or start + part.at + part.length > end
                or any(manifest.data_ranges(position, start + part.at))):
            return False
        position = start + part.at + part.length
    return not any(manifest.data_ranges(position, end))


def _samples(looks: Iterable[ChunkLook], stretch: int
             ) -> Iterator[ChunkLook]:
    """The first look of each stretch of so many chunks."""
    last = -1
    for look in looks:
        if look.index // stretch != last:
            last = look.index // stretch
            yield look
