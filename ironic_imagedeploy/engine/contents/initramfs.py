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

"""Archives in an initramfs, read one after the other while it passes by.

Linux unpacks a row of cpio archives, each as it is or compressed, with zeroes
between them; what comes later replaces what came before (Linux, "initramfs
buffer format"). The first is often one for the microcode of processors.
Nothing is unpacked here: only names pass by.
"""

from collections.abc import Iterable
from collections.abc import Iterator
import dataclasses
import re

from ironic_imagedeploy.engine import budget as _budget
from ironic_imagedeploy.engine.contents import initramfs_bytes
from ironic_imagedeploy.engine import exceptions

Unreadable = exceptions.UnreadableContent

#: Bytes of a header ("new ASCII format": its magic, and 13 numbers of 8
#: digits), and where in it are the size of the file and that of its name.
HEADER = 110
MAGICS = (b'070701', b'070702')
TRAILER = 'TRAILER!!!'
_FILE_SIZE, _NAME_SIZE = slice(54, 62), slice(94, 102)
#: Bytes of a name: PATH_MAX of Linux.
_LONGEST_NAME = 4096
#: Parts that are unpacked by themselves; each is looked for anew.
_MOST_SEGMENTS = 1024
_PADDING = 4
#: Steps of the budget for a file, and bytes that cost one more.
_FILE_STEPS = 8
_CHEAP = 2048
_MODULE = re.compile(r'(.+)\.ko(?:\.[a-z0-9]+)?')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Segment:
    """A part of the file that is unpacked by itself.

    :ivar start: offset of its first byte.
    :ivar end: offset after its last byte.
    :ivar compression: None for an archive as it is.
    """

    start: int
    end: int
    compression: str | None


class Initramfs:
    """An initramfs, whose files are named once.

    :param stored: the bytes of the file, in their sequence.
    :param budget: that the work draws from.
    :ivar segments: those that were read to their ends.
    :ivar archives: number of the archives in them.
    """

    def __init__(self, stored: Iterable[bytes], budget: _budget.Budget
                 ) -> None:
        self.segments: list[Segment] = []
        self.archives = 0
        self._stored = initramfs_bytes.Bytes(stored)
        self._budget = budget

    def names(self) -> Iterator[str]:
        """Paths of all files, folders and links, which are hostile text.

        The segment that one is in has the number ``len(segments)``.

        :raises UnreadableContent: when it is damaged, or something else.
        :raises TooComplex: when it takes too much work.
        """
        while front := self._stored.next_front():
            if len(self.segments) == _MOST_SEGMENTS:
                raise exceptions.TooComplex(
                    expected=f'{_MOST_SEGMENTS} archives at most',
                    found='more')
            start, packed = self._stored.position, None
            if front.startswith(MAGICS):
                yield from self._archive(self._stored)
            else:
                packed = initramfs_bytes.compression(front)
                if packed is None:
                    raise Unreadable(
                        'an initramfs with something else in it'
                        if self.segments else
                        'a file that does not begin as an initramfs does')
                inner = initramfs_bytes.Bytes(
                    self._stored.unpacked(packed, self._budget))
                while inner.next_front():
                    yield from self._archive(inner)
            self.segments.append(Segment(
                start=start, end=self._stored.position, compression=packed))

    def _archive(self, whole: initramfs_bytes.Bytes) -> Iterator[str]:
        """Paths in one archive, which is taken up to its trailer."""
        while True:
            header = whole.take(HEADER)
            self._budget.draw(_FILE_STEPS)
            try:
                size, length = (_number(header[place])
                                for place in (_FILE_SIZE, _NAME_SIZE))
            except ValueError:
                length = 0
            if (not header.startswith(MAGICS)
                    or not 0 < length <= _LONGEST_NAME):
                raise Unreadable('an initramfs with a damaged archive')
            name = whole.take(
                _padded(HEADER + length) - HEADER)[:length - 1].decode(
                    'utf-8', 'replace')
            self._budget.draw(size // _CHEAP)
            whole.leave(_padded(size))
            if name == TRAILER:
                self.archives += 1
                return
            yield name.removeprefix('./').lstrip('/')


def lacking(stored: Iterable[bytes], groups: Iterable[frozenset[str]],
            budget: _budget.Budget) -> list[frozenset[str]]:
    """Groups of names, of which no file in an initramfs has one.

    It is read no further than up to the last of them.

    :param stored: the bytes of the file, in their sequence.
    :param groups: modules, as ``megaraid_sas``, and programs; any of each
        will do.
    :param budget: that the work draws from.
    :raises UnreadableContent: when it cannot be read to its end.
    :raises TooComplex: when that takes too much work.
    """
    left = list(groups)
    for path in Initramfs(stored, budget).names() if left else ():
        name = _called(path)
        left = [group for group in left if name not in group]
        if not left:
            break
    return left


def _called(path: str) -> str:
    """The name of a module, or of a program; empty for another file."""
    folder, _, name = path.rpartition('/')
    if match := _MODULE.fullmatch(name):
        return match[1].replace('-', '_')
    return name if folder.endswith('bin') else ''


def _number(digits: bytes) -> int:
    """A number in a header.

    :raises ValueError: when it has a sign, or anything else in it.
    """
    if not digits.isalnum():
        raise ValueError(digits)
    return int(digits, 16)


def _padded(size: int) -> int:
    return -(-size // _PADDING) * _PADDING
