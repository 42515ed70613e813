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

"""Block maps of bmaptool: which blocks of a disk have to be written.

Versions 1.0 to 2.0 are read, and 2.0 is written. What a block map does not
list need not be zero on the disk: nobody cares what is there.
"""

from collections.abc import Iterator
from collections.abc import Sequence
import dataclasses
import hashlib
import re
import typing
from xml.parsers import expat  # nosec B407: without entities, bounded

from ironic_imagedeploy.engine import checksum as checksums
from ironic_imagedeploy.engine import exceptions

#: Bytes of a block map: a hundred for each range.
MOST_BYTES = 16 << 20
#: Bytes of the blocks of bmaptool.
BLOCK_SIZE = 4096
_BLOCK_SIZES = (512, 1 << 20)
_LARGEST = 1 << 60
_NEWEST = 2
_DEPTH = 3
#: Elements, nearly all of which are ranges.
_MOST_ELEMENTS = 256 << 10
#: Characters of a number, a checksum or their like.
_LONGEST = 200
_NUMBER = re.compile(r'[0-9]{1,19}', re.ASCII)
_BLOCKS = re.compile(r'([0-9]{1,19})(?:\s*-\s*([0-9]{1,19}))?', re.ASCII)
_VERSION = re.compile(r'([0-9]{1,4})\.([0-9]{1,4})', re.ASCII)


@dataclasses.dataclass(frozen=True)
class Range:
    """Bytes of the disk that have to be written.

    :ivar start: offset of the first one.
    :ivar end: offset after the last one.
    :ivar checksum: of them; None when it is not known.
    """

    start: int
    end: int
    checksum: checksums.Checksum | None = None


@dataclasses.dataclass(frozen=True)
class Bmap:
    """Block map of a disk.

    :ivar size: bytes of the disk.
    :ivar block_size: bytes of a block.
    :ivar ranges: what has to be written, in the sequence of the disk.
    """

    size: int
    block_size: int
    ranges: tuple[Range, ...]

    @property
    def proven(self) -> bool:
        """Whether all that is listed has a checksum."""
        return all(listed.checksum for listed in self.ranges)

    @property
    def listed_size(self) -> int:
        """Bytes of the disk that are listed."""
        return sum(listed.end - listed.start for listed in self.ranges)

    @classmethod
    def decode(cls, encoded: bytes) -> typing.Self:
        """Read a block map that may come from anybody.

        :raises InvalidBmap: when it is not one, or a damaged one.
        """
        if len(encoded) > MOST_BYTES:
            raise _invalid(f'at most {MOST_BYTES} bytes',
                           f'{len(encoded)} bytes')
        parser = _Parser()
        parser.parse(encoded)
        return cls(*_checked(parser, encoded))

    def encode(self) -> bytes:
        """The block map in version 2.0, as bmaptool reads it."""
        mapped = sum(-(-listed.end // self.block_size)
                     - listed.start // self.block_size
                     for listed in self.ranges)
        lines = [
            '<?xml version="1.0" ?>', '<bmap version="2.0">',
            f'    <ImageSize> {self.size} </ImageSize>',
            f'    <BlockSize> {self.block_size} </BlockSize>',
            '    <BlocksCount> '
            f'{-(-self.size // self.block_size)} </BlocksCount>',
            f'    <MappedBlocksCount> {mapped} </MappedBlocksCount>',
            '    <ChecksumType> sha256 </ChecksumType>',
            f'    <BmapFileChecksum> {"0" * 64} </BmapFileChecksum>',
            '    <BlockMap>',
            *map(self._line, self.ranges), '    </BlockMap>', '</bmap>', '']
        encoded = '\n'.join(lines).encode()
        value = hashlib.sha256(encoded).hexdigest()
        return encoded.replace(b'0' * 64, value.encode(), 1)

    def _line(self, listed: Range) -> str:
        first = listed.start // self.block_size
        last = -(-listed.end // self.block_size) - 1
        blocks = f'{first}' if first == last else f'{first}-{last}'
        proof = (f' chksum="{listed.checksum.value}"' if listed.checksum
                 else '')
        return f'        <Range{proof}> {blocks} </Range>'


class RangeDigests:
    """Digests of ranges of a disk that passes by once, in its sequence.

    :param ranges: in the sequence of the disk.
    :param algorithm: as in :mod:`hashlib`.
    :ivar position: bytes of the disk that have passed by.
    """

    def __init__(self, ranges: Sequence[Range], algorithm: str) -> None:
        self.position = 0
        self._algorithm = algorithm
        self._ranges = iter(ranges)
        self._next = next(self._ranges, None)
        self._hash = self._new()

    def update(self, view: memoryview) -> Iterator[tuple[Range, str]]:
        """Take the next bytes; all that it gives has to be taken, too.

        :returns: the ranges that are complete, with their digest in
            hexadecimal digits.
        """
        start, self.position = self.position, self.position + len(view)
        while self._next and self._next.start < self.position:
            listed = self._next
            self._hash.update(view[max(listed.start - start, 0):
                                   listed.end - start])
            if listed.end > self.position:
                return
            yield listed, self._hash.hexdigest()
            self._next = next(self._ranges, None)
            self._hash = self._new()

    def _new(self) -> 'hashlib._Hash':
        return hashlib.new(self._algorithm, usedforsecurity=False)


class _Parser:
    """Elements of a block map, before they are checked.

    :ivar version: of the format.
    :ivar texts: by the name of the element.
    :ivar ranges: blocks, and the checksum of them if there is one.
    """

    def __init__(self) -> None:
        self.version = ''
        self.texts: dict[str, str] = {}
        self.ranges: list[tuple[str, str | None]] = []
        self._path: list[str] = []
        self._elements = 0
        self._text = ''
        self._checksum: str | None = None

    def parse(self, encoded: bytes) -> None:
        """Take all of it.

        :raises InvalidBmap: when it is not XML, or more than that needs.
        """
        parser = expat.ParserCreate()
        parser.StartDoctypeDeclHandler = self._refuse
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        try:
            parser.Parse(encoded, True)
        # Of an encoding that Python does not know it is a LookupError.
        except (expat.ExpatError, ValueError, LookupError) as error:
            raise _invalid('XML', str(error)) from None

    def _refuse(self, name: str, *_: typing.Any) -> None:
        raise _invalid('no document type', name)

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._path.append(name)
        self._elements += 1
        if self._elements > _MOST_ELEMENTS:
            raise _invalid(f'at most {_MOST_ELEMENTS} elements', 'more')
        if len(self._path) > _DEPTH or self._path[0] != 'bmap':
            raise _invalid('the elements of a block map', name)
        if len(self._path) == 1:
            self.version = attributes.get('version', '')
        self._text = ''
        self._checksum = attributes.get('chksum', attributes.get('sha1'))

    def _characters(self, text: str) -> None:
        if len(self._text) + len(text) > _LONGEST and text.strip():
            raise _invalid('short texts', f'{self._path[-1]} with a long one')
        self._text += text.strip() if len(self._text) > _LONGEST else text

    def _end(self, name: str) -> None:
        text, self._text = self._text.strip(), ''
        if self._path == ['bmap', 'BlockMap', 'Range']:
            self.ranges.append((text, self._checksum))
        elif len(self._path) == 2 and name != 'BlockMap':
            if name in self.texts:
                raise _invalid(f'one {name}', 'two')
            self.texts[name] = text
        self._path.pop()

    def number(self, name: str) -> int:
        """Number in an element.

        :raises InvalidBmap: when there is none.
        """
        text = self.texts.get(name, '')
        if not _NUMBER.fullmatch(text):
            raise _invalid(f'a number as {name}', repr(text))
        return int(text)


def _checked(parser: _Parser, encoded: bytes
             ) -> tuple[int, int, tuple[Range, ...]]:
    """Size, block size and ranges, which agree with each other."""
    algorithm = _algorithm(parser, encoded)
    size, block_size = parser.number('ImageSize'), parser.number('BlockSize')
    if (block_size & block_size - 1
            or not _BLOCK_SIZES[0] <= block_size <= _BLOCK_SIZES[1]):
        raise _invalid(f'blocks of {_BLOCK_SIZES[0]} to {_BLOCK_SIZES[1]} '
                       'bytes, a power of two', str(block_size))
    if not 0 < size <= _LARGEST:
        raise _invalid(f'a disk of 1 to {_LARGEST} bytes', str(size))
    count = -(-size // block_size)
    if parser.number('BlocksCount') != count:
        raise _invalid(f'{count} blocks', str(parser.number('BlocksCount')))
    ranges = []
    mapped = last = 0
    for blocks, value in parser.ranges:
        found = _BLOCKS.fullmatch(blocks)
        first, end = ((int(found[1]), int(found[2] or found[1]) + 1)
                      if found else (-1, -1))
        if not last <= first < end <= count:
            raise _invalid(f'blocks from {last} to {count - 1}', blocks)
        mapped, last = mapped + end - first, end
        ranges.append(Range(first * block_size, min(end * block_size, size),
                            _checksum(algorithm, value)))
    if not ranges:
        raise _invalid('blocks that are listed', 'none')
    if parser.texts.get('MappedBlocksCount'):
        stated = parser.number('MappedBlocksCount')
        if stated != mapped:
            raise _invalid(f'{stated} blocks that are listed', str(mapped))
    return size, block_size, tuple(ranges)


def _algorithm(parser: _Parser, encoded: bytes) -> str | None:
    """Algorithm of the checksums; that of the file itself agrees."""
    version = _VERSION.fullmatch(parser.version)
    if not version or int(version[1]) > _NEWEST or int(version[1]) < 1:
        raise _invalid(f'a block map of version 1.0 to {_NEWEST}.x',
                       repr(parser.version))
    # 2.0 was 1.4 for a while.
    number = int(version[1]), int(version[2])
    if number < (1, 3):
        return None
    algorithm, name = (
        ('sha1', 'BmapFileSHA1') if number == (1, 3) else
        (parser.texts.get('ChecksumType', ''), 'BmapFileChecksum'))
    checksum = _checksum(algorithm, parser.texts.get(name, ''))
    assert checksum is not None
    value = parser.texts[name].encode()
    found = hashlib.new(checksum.algorithm, encoded.replace(
        value, b'0' * len(value), 1), usedforsecurity=False).hexdigest()
    if not checksum.matches(found):
        raise _invalid(f'{checksum.algorithm} {checksum.value} of the block '
                       'map itself', found)
    return checksum.algorithm


def _checksum(algorithm: str | None, value: str | None
              ) -> checksums.Checksum | None:
    if value is None or algorithm is None:
        return None
    try:
        return checksums.Checksum(algorithm, value)
    except ValueError as error:
        raise _invalid('a checksum', str(error)) from None


def _invalid(expected: str, found: str) -> exceptions.InvalidBmap:
    return exceptions.InvalidBmap(
        'bmap', expected=expected, found=found,
        fix='Make the block map of this disk again: bmaptool create IMAGE.')
