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

"""Power cuts: what a disk may hold after one.

A disk with a volatile cache keeps what was written before a flush, and of
what was written since then anything: none of it, all of it, some sectors of
it, in any sequence. A sector is written as a whole or not at all.
"""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
import mmap
import pathlib
import random
import typing

from tests.support.faults import recording

Write = recording.Write


class Cut(typing.NamedTuple):
    """A state that a power cut may leave.

    :ivar writes: those after the last flush that reached the medium.
    """

    name: str
    writes: Sequence[Write]


class Medium:
    """A disk's bytes in a file, so that programs can read them.

    :param path: of the file.
    """

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        self.size = path.stat().st_size
        with path.open('r+b') as file:
            self._memory = mmap.mmap(file.fileno(), self.size)
        self.view = memoryview(self._memory)

    def write(self, writes: Sequence[Write]) -> None:
        """Put these bytes there, the last ones over the first ones."""
        for start, content in writes:
            self.view[start:start + len(content)] = content

    def read(self, offset: int, length: int) -> bytes:
        """Bytes of it; fewer at its end."""
        return bytes(self.view[offset:offset + length])

    def saved(self, writes: Sequence[Write]) -> list[Write]:
        """What is now where these would go."""
        return [Write(start, memoryview(bytes(
            self.view[start:start + len(content)])))
            for start, content in writes]

    def restore(self, saved: list[Write]) -> None:
        """Undo what was written since then."""
        self.write(saved[::-1])


class Media:
    """Disks of the same size, as if they were one, in a row."""

    def __init__(self, media: Sequence[Medium]) -> None:
        self._media = media
        self._size = media[0].size

    def write(self, writes: Sequence[Write]) -> None:
        """Put these bytes there, the last ones over the first ones."""
        for write in writes:
            medium, own = self._own(write)
            medium.write([own])

    def saved(self, writes: Sequence[Write]) -> list[Write]:
        """What is now where these would go."""
        found = []
        for write in writes:
            medium, own = self._own(write)
            found += [Write(write.start, each.content)
                      for each in medium.saved([own])]
        return found

    def restore(self, saved: list[Write]) -> None:
        """Undo what was written since then."""
        self.write(saved[::-1])

    def _own(self, write: Write) -> tuple[Medium, Write]:
        disk, start = divmod(write.start, self._size)
        return self._media[disk], Write(start, write.content)


def replay(made: recording.Recording | recording.JointRecording,
           medium: Medium | Media, judge: Callable[[str], None], *,
           sectors: Sequence[int], sector_size: int = 512, seed: int = 0,
           effort: float = 1.0) -> int:
    """Judge what power cuts may leave, everywhere in a recording.

    :param medium: the disk as it was when the recording began; at the end
        as it ended.
    :param judge: called with the name of each state, which the medium has.
    :param sectors: offsets of those that firmware looks at.
    :param effort: a factor for the number of cuts.
    :returns: the number of cuts.
    """
    dice = random.Random(seed)
    count = 0
    for number, (name, writes, flushed) in enumerate(made.epochs):
        saved = medium.saved(writes)
        for cut in _cuts(writes, dice, sectors, sector_size, effort):
            medium.write(cut.writes)
            judge(f'{name}, flush {number}: {cut.name}')
            medium.restore(saved)
            count += 1
        medium.write(writes)
        judge(f'{name}, flush {number}: everything')
        count += 1
        if len(flushed) < len(writes):
            medium.restore(saved)
            medium.write(flushed)
    return count


def _cuts(writes: list[Write], dice: random.Random,
          sectors: Sequence[int], sector_size: int, effort: float
          ) -> Iterator[Cut]:
    """States before the flush that ends an epoch."""
    yield Cut('nothing', [])
    for index in _some(dice, len(writes), int(40 * effort)):
        yield Cut(f'the first {index} writes', writes[:index])
        yield Cut(f'all but write {index}',
                  writes[:index] + writes[index + 1:])
        yield Cut(f'only write {index}', [writes[index]])
    for index in _some(dice, len(writes), int(12 * effort)):
        for name, torn in _torn(writes[index], sector_size):
            yield Cut(f'only write {index}, {name}', torn)
            yield Cut(f'write {index}, {name}',
                      [*writes[:index], *torn, *writes[index + 1:]])
    for at in sectors:
        one = _within(writes, at, at + sector_size)
        if one:
            yield Cut(f'only the sector at {at}', one)
            yield Cut(f'all but the sector at {at}',
                      [*_within(writes, 0, at),
                       *_within(writes, at + sector_size, 1 << 62)])
    if len(writes) > 1 or len(writes[0].content) > sector_size:
        for number in range(int(12 * effort)):
            yield Cut(f'some writes ({number})',
                      [write for write in writes if dice.random() < 0.5])
            yield Cut(f'some sectors ({number})',
                      _some_sectors(writes, dice, sector_size))


def _some(dice: random.Random, count: int, most: int) -> Sequence[int]:
    """So many indexes at most; the first and the last ones among them."""
    if count <= most:
        return range(count)
    return sorted({0, 1, count - 2, count - 1,
                   *dice.sample(range(count), max(most - 4, 0))})


def _torn(write: Write, sector_size: int
          ) -> Iterator[tuple[str, list[Write]]]:
    size, sector = len(write.content), sector_size
    if size <= sector:
        return
    half = size // 2 // sector * sector
    yield 'its first sector', [write.part(0, sector)]
    yield 'its last sector', [write.part(size - sector, size)]
    yield 'but its first sector', [write.part(sector, size)]
    yield 'but its last sector', [write.part(0, size - sector)]
    if half > sector:
        yield 'its first half', [write.part(0, half)]
        yield 'its last half', [write.part(half, size)]


def _within(writes: Sequence[Write], start: int, end: int) -> list[Write]:
    return [write.part(max(start - write.start, 0),
                       min(end, write.end) - write.start)
            for write in writes if write.start < end and start < write.end]


def _some_sectors(writes: list[Write], dice: random.Random,
                  sector_size: int) -> list[Write]:
    """Runs of sectors, of each write some."""
    found = []
    longest = dice.choice((1, 8, 256))
    for write in writes:
        at = 0
        while at < len(write.content):
            length = dice.randint(1, longest) * sector_size
            if dice.random() < 0.5:
                found.append(write.part(at, at + length))
            at += length
    return found
