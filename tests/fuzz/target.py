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


"""A reader, what it is given, and the errors that it may raise."""

import abc
from collections.abc import Callable
from collections.abc import Sequence
import copy
import functools
import pathlib
import random
import typing

from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.sources import base as sources
from tests.fuzz import disk as _disk
from tests.fuzz import mutation
from tests.fuzz import repairs

SEEDS = pathlib.Path(__file__).parent / 'seeds'
Errors = tuple[type[Exception], ...]
#: Bytes around those that are not zero which are changed too: most zeroes are
#: nothing.
_NEAR = 2
Disk = _disk.Disk


class Target(abc.ABC):
    """A reader under test.

    :param name: of the reader.
    :param read: what reads; it gives something that can be compared.
    :param errors: that its documentation names.
    :param examples: inputs that the tests give it.
    :ivar repeats: it does the same each time, which threads and sockets do
        not.
    """

    repeats = True

    def __init__(self, name: str, read: Callable[[typing.Any], object], *,
                 errors: Errors, examples: int) -> None:
        self.name = name
        self.read = read
        self.errors = errors
        self.examples = examples

    @property
    @abc.abstractmethod
    def seeds(self) -> int:
        """Number of the seeds."""

    @abc.abstractmethod
    def subject(self, stored: bytes) -> typing.Any:
        """What the reader is given for an input."""


class DiskTarget(Target):
    """A reader of disks, or of files that are as large.

    :param seeds: names of files in ``tests/fuzz/seeds``.
    """

    def __init__(self, name: str, seeds: Sequence[str],
                 read: Callable[[Disk], object], *, errors: Errors,
                 examples: int = 60) -> None:
        super().__init__(name, read, errors=errors, examples=examples)
        self.names = seeds
        self._known_places: dict[str, list[int]] = {}

    @property
    def seeds(self) -> int:
        return len(self.names)

    def subject(self, stored: bytes) -> Disk:
        given = mutation.Input.decode(stored)
        if given.is_raw:
            return Disk(max(len(given.raw), 512) + 511 & ~511,
                        [(0, given.raw)])
        name = self.names[given.seed % len(self.names)]
        changed = load(name).copy()
        mutation.change(changed.content, given.edits, self._places(name))
        if given.keeps_checksums:
            repairs.superblock(name, changed)
        return changed

    def _places(self, name: str) -> list[int]:
        """What the reader looks at: other bytes change nothing."""
        if name not in self._known_places:
            noted = load(name).copy()
            noted.read_ranges = []
            self.read(noted)
            content = noted.content
            self._known_places[name] = [
                at for at in noted.places(noted.read_ranges)
                if any(content[max(at - _NEAR, 0):at + _NEAR + 1])]
        return self._known_places[name]


@functools.cache
def load(name: str) -> Disk:
    """A disk of the seeds, which nobody must change."""
    return Disk.unpack((SEEDS / f'{name}.disk').read_bytes())


class TextTarget(Target):
    """A reader of bytes in a row.

    :param seeds: that it accepts.
    :param words: that mean something to it.
    """

    def __init__(self, name: str, seeds: Sequence[bytes],
                 read: Callable[[bytes], object], *,
                 words: Sequence[bytes] = (b'\n',), errors: Errors = (),
                 examples: int = 100) -> None:
        super().__init__(name, read, errors=errors, examples=examples)
        self.texts = seeds
        self.words = words

    @property
    def seeds(self) -> int:
        return len(self.texts)

    def subject(self, stored: bytes) -> bytes:
        given = mutation.Input.decode(stored)
        if given.is_raw:
            return given.raw
        return mutation.change_text(
            self.texts[given.seed % len(self.texts)], given.edits, self.words)


class MessageTarget(Target):
    """A reader of JSON.

    :param seeds: messages that it accepts.
    """

    def __init__(self, name: str, seeds: Sequence[typing.Any],
                 read: Callable[[typing.Any], object], *,
                 errors: Errors = (), examples: int = 100) -> None:
        super().__init__(name, read, errors=errors, examples=examples)
        self.messages = seeds

    @property
    def seeds(self) -> int:
        return len(self.messages)

    def subject(self, stored: bytes) -> typing.Any:
        given = mutation.Input.decode(stored)
        message = copy.deepcopy(self.messages[given.seed
                                              % len(self.messages)])
        return mutation.change_values(message, given.edits)


class DiskSource(sources.Source):
    """A disk as the file of an image."""

    name = 'image'
    local = True

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self.size = disk.size

    def read_at(self, offset: int, length: int) -> bytes:
        found = self._disk.read(offset, length)
        if offset < 0 or length < 0:
            raise AssertionError(f'a read of {length} bytes at {offset}')
        if len(found) < length:
            raise exceptions.SourceTruncated(
                self.name, expected=f'{offset + length} bytes',
                found=f'{self.size} bytes', fix='Upload all of it.')
        return found

    def open_stream(self) -> sources.Stream:
        return _Stream(self)


class _Stream:

    def __init__(self, source: DiskSource) -> None:
        self._source = source
        self._position = 0

    def readinto(self, buffer: memoryview) -> int:
        count = min(len(buffer), self._source.size - self._position)
        buffer[:count] = self._source.read_at(self._position, count)
        self._position += count
        return count

    def close(self) -> None:
        return


def some_input(target: Target, dice: random.Random, seed: int | None = None
               ) -> bytes:
    """An input at random.

    :param seed: to be changed; any when None.
    """
    edits = b''.join(
        mutation.Edit(dice.getrandbits(32), dice.randrange(256),
                      dice.randrange(256), dice.getrandbits(64)).encode()
        for _ in range(dice.choice((1, 1, 2, 3, 8))))
    flags = mutation.WRONG_CHECKSUMS if dice.random() < 0.1 else 0
    if seed is None:
        seed = dice.randrange(target.seeds)
    return mutation.Input(seed, flags, edits).encode()
