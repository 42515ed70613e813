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


"""Changes of a file that is valid, as few bytes tell them.

An input of a fuzzer is a short text: which seed, and which edits of it. An
engine that knows nothing of formats changes that text, and yet what comes out
is nearly a disk, a table or a message.

::

    1  byte   seed
    1         flags: 1 leaves checksums wrong, 2 takes all that follows as the
              file itself
    14 each   place, kind of edit, width, number

A place counts the bytes that the reader looks at.
"""

from collections.abc import Iterator
from collections.abc import Sequence
import copy
import enum
import struct
import typing

_HEAD = struct.Struct('<BB')
_EDIT = struct.Struct('<IBBQ')
HEAD = _HEAD.size
EDIT = _EDIT.size
MOST_EDITS = 24
#: Bytes that a text may grow to; what readers take is less.
MOST_TEXT = 600 << 10
WRONG_CHECKSUMS = 1
AS_IT_IS = 2
#: At the ends of what fields hold, and of what readers allow.
NUMBERS = (0, 1, 2, 3, 4, 7, 8, 16, 31, 32, 63, 64, 127, 128, 255, 256, 511,
           512, 513, 1023, 1024, 4095, 4096, 32767, 32768, 65535, 65536,
           (1 << 20) - 1, 1 << 20, 1 << 24, (1 << 31) - 1, 1 << 31,
           (1 << 32) - 1, 1 << 32, 1 << 40, 1 << 48, 1 << 55, 1 << 62,
           (1 << 63) - 1, 1 << 63, (1 << 64) - 512, (1 << 64) - 1)
_WIDTHS = (1, 2, 4, 8)


class Kind(enum.IntEnum):
    """Kinds of edits; those after FLIP change the length."""

    NUMBER = 0
    KNOWN_NUMBER = 1
    ADD = 2
    COPY = 3
    FLIP = 4
    DELETE = 5
    DOUBLE = 6
    INSERT = 7
    REPEAT = 8


_KINDS = tuple(Kind)
_IN_PLACE = _KINDS[:Kind.FLIP + 1]


class Edit(typing.NamedTuple):
    """A change at one place.

    :ivar place: counted from the first that may change, modulo their number.
    :ivar width: bytes of the field, with the order of bytes in its lowest
        bit.
    """

    place: int
    kind: int
    width: int
    number: int

    def encode(self) -> bytes:
        """The edit as it is in an input."""
        return _EDIT.pack(*self)


class Input(typing.NamedTuple):
    """An input of a fuzzer, taken apart.

    :ivar raw: all that follows the head.
    """

    seed: int
    flags: int
    raw: bytes

    @classmethod
    def decode(cls, stored: bytes) -> 'Input':
        """The input in any bytes."""
        seed, flags = _HEAD.unpack_from(stored.ljust(HEAD, b'\0'))
        return cls(seed, flags, stored[HEAD:])

    def encode(self) -> bytes:
        """The bytes of it."""
        return _HEAD.pack(self.seed, self.flags) + self.raw

    @property
    def edits(self) -> list[Edit]:
        """The edits, as many as are complete."""
        end = len(self.raw) - len(self.raw) % EDIT
        return [Edit(*values) for values in _EDIT.iter_unpack(
            self.raw[:end])][:MOST_EDITS]

    @property
    def is_raw(self) -> bool:
        """Whether the file follows as it is."""
        return bool(self.flags & AS_IT_IS)

    @property
    def keeps_checksums(self) -> bool:
        """Whether checksums are made right again."""
        return not self.flags & WRONG_CHECKSUMS


def change(content: bytearray, edits: Sequence[Edit],
           places: Sequence[int] | None = None) -> None:
    """Change fields in place.

    :param places: offsets of bytes that may change; all when None.
    """
    places = places or range(len(content))
    for edit in edits:
        if not places:
            return
        at = places[edit.place % len(places)]
        width = _width(edit, len(content) - at)
        kind = _IN_PLACE[edit.kind % len(_IN_PLACE)]
        content[at:at + width] = _field(content, at, width, kind, edit)


def _width(edit: Edit, left: int) -> int:
    width = _WIDTHS[(edit.width >> 1) % len(_WIDTHS)]
    return width if width <= left else 1


def _field(content: bytearray, at: int, width: int, kind: Kind, edit: Edit
           ) -> bytes:
    order: typing.Literal['big', 'little'] = (
        'big' if edit.width & 1 else 'little')
    old = int.from_bytes(content[at:at + width], order)
    match kind:
        case Kind.NUMBER:
            new = edit.number
        case Kind.KNOWN_NUMBER:
            new = NUMBERS[edit.number % len(NUMBERS)]
        case Kind.ADD:
            new = old + edit.number % 33 - 16
        case Kind.COPY:
            other = edit.number % (len(content) - width + 1)
            return bytes(content[other:other + width])
        case _:
            new = old ^ 1 << edit.number % (8 * width)
    return (new % (1 << 8 * width)).to_bytes(width, order)


def change_text(content: bytes, edits: Sequence[Edit],
                words: Sequence[bytes]) -> bytes:
    """Change a text, which may become longer or shorter.

    :param words: that mean something to the reader.
    """
    text = bytearray(content)
    for edit in edits:
        kind = _KINDS[edit.kind % len(_KINDS)]
        at = edit.place % (len(text) + 1)
        if kind in _IN_PLACE:
            change(text, [edit])
            continue
        length = edit.number % 65
        match kind:
            case Kind.DELETE:
                del text[at:at + length]
            case Kind.DOUBLE:
                text[at:at] = text[at:at + length]
            case Kind.INSERT:
                text[at:at] = words[edit.number % len(words)]
            case _:
                part = (text[at:at + 1 + edit.width % 16]
                        or words[edit.number % len(words)])
                count = edit.number % (MOST_TEXT // len(part))
                text[at:at] = part * count
        del text[MOST_TEXT:]
    return bytes(text)


#: Values of a message that is not changed further.
_MOST_VALUES = 2000
#: Values that no field of a message should have.
ODD: tuple[typing.Any, ...] = (
    None, True, False, 0, -1, 1, 1 << 63, 1 << 70, -1 << 63, 0.5, 1e308,
    float('nan'), float('inf'), '', ' ', 'x', '0', '-1', 'x' * 5000,
    '\x1b[2J', '\ud800', '\N{RIGHT-TO-LEFT OVERRIDE}', '/../..', [], [[]],
    {}, {'': None}, ['x'] * 200, '9' * 5000)


def change_values(document: typing.Any, edits: Sequence[Edit]) -> typing.Any:
    """A message of JSON with other values, more or fewer of them."""
    holder = [document]
    for edit in edits:
        spots = list(_spots(holder, 0))
        where, key = spots[edit.place % len(spots)]
        if len(spots) > _MOST_VALUES:
            break
        odd = copy.deepcopy(ODD[edit.number % len(ODD)])
        match edit.kind % 4:
            case 0:
                where[key] = odd
            case 1:
                other, name = spots[edit.number % len(spots)]
                if not _contains(other[name], where):
                    where[key] = copy.deepcopy(other[name])
            case 2 if isinstance(where, dict):
                where[str(odd)[:40]] = where.pop(key)
            case 3 if len(where) > 1:
                del where[key]
            case _:
                where[key] = [copy.deepcopy(where[key])
                              for _ in range(edit.width % 9)]
    return holder[0] if holder else None


def _spots(value: typing.Any, depth: int) -> Iterator[tuple[typing.Any,
                                                            typing.Any]]:
    """Each place of a value in a message: its container, and its key."""
    keys: list[typing.Any] = (
        list(value) if isinstance(value, dict) else list(range(len(value))))
    for key in keys[:64]:
        yield value, key
        if isinstance(value[key], dict | list) and depth < 8:
            yield from _spots(value[key], depth + 1)


def _contains(value: typing.Any, part: typing.Any) -> bool:
    """Whether a part would be inside of itself."""
    if value is part:
        return True
    if isinstance(value, dict):
        return any(_contains(each, part) for each in value.values())
    if isinstance(value, list):
        return any(_contains(each, part) for each in value[:64])
    return False
