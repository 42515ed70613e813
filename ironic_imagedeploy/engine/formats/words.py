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

"""Tables of image files as integers of this machine, one by one or at once.

A look at a single entry takes Python a tenth of a microsecond and more. One
integer may be as long as a table: then it holds an entry in each of its lanes
of 64 bits, the first one lowest, and an operation on it is one on all of them.
A lane must never carry into the next one.
"""

from array import array
import functools
import sys
import typing

Width = typing.Literal['I', 'Q']

LANE = 64
_BYTES = LANE // 8
_TOP = 1 << LANE - 1
_NOT = bytes.maketrans(b'\0\1', b'\1\0')
_IS_NONZERO = bytes([0]) + bytes([1]) * 255
_HAS_TOP_BIT = bytes(128) + bytes([1]) * 128


def from_bytes(stored: bytes, width: Width,
               order: typing.Literal['little', 'big']) -> 'array[int]':
    """Integers that a file stores one after the other.

    :param order: of the bytes in each of them.
    """
    words = array(width)
    words.frombytes(stored)
    if sys.byteorder != order:
        words.byteswap()
    return words


def lanes(column: 'array[int]') -> int:
    """The integers in lanes."""
    if sys.byteorder == 'big':
        column = column[:]
        column.byteswap()
    return int.from_bytes(column.tobytes(), 'little')


def column(lanes: int, count: int) -> 'array[int]':
    """The integers in that many lanes."""
    return from_bytes(lanes.to_bytes(_BYTES * count, 'little'), 'Q', 'little')


@functools.lru_cache(64)
def repeated(word: int, count: int) -> int:
    """The same word in each of that many lanes."""
    return int.from_bytes(word.to_bytes(_BYTES, 'little') * count, 'little')


@functools.lru_cache(16)
def multiples(step: int, count: int) -> int:
    """Multiples of a number in that many lanes, from 0 on."""
    return lanes(array('Q', range(0, count * step, step)))


def widened(stored: bytes) -> int:
    """Little-endian words of 32 bits in lanes."""
    wide = bytearray(2 * len(stored))
    for index in range(4):
        wide[index::_BYTES] = stored[index::4]
    return int.from_bytes(wide, 'little')


def spread(flags: bytes) -> int:
    """Lanes with all bits for a 1 and none for a 0."""
    if 0 not in flags:
        return (1 << LANE * len(flags)) - 1
    if 1 not in flags:
        return 0
    wide = bytearray(_BYTES * len(flags))
    wide[::_BYTES] = flags
    low = int.from_bytes(wide, 'little')
    return (low << LANE) - low


def nonzero(lanes: int, count: int) -> bytes:
    """1 for each of that many lanes that is not 0, and 0 for any other."""
    rest = repeated(_TOP - 1, count)
    tops = ((lanes & rest) + rest | lanes).to_bytes(_BYTES * count, 'little')
    return tops[_BYTES - 1::_BYTES].translate(_HAS_TOP_BIT)


def exceed(lanes: int, most: int, count: int) -> bool:
    """Whether any of that many lanes, without a top bit, is above a limit."""
    tops = repeated(_TOP, count)
    limit = max(0, min(most, _TOP - 1))
    return (repeated(limit | _TOP, count) - lanes) & tops != tops


def steps(lanes: int, count: int) -> int:
    """Differences from each of that many lanes to the next, plus 2 ** 63.

    There is one lane less. No lane has its top bit set.
    """
    most = LANE * (count - 1)
    return ((lanes >> LANE) + repeated(_TOP, count - 1)
            - (lanes & (1 << most) - 1))


def any_of(*planes: bytes) -> bytes:
    """1 where a byte of any of the planes, equally long, is not 0; else 0."""
    merged = 0
    for plane in planes:
        merged |= int.from_bytes(plane, 'little')
    return merged.to_bytes(len(planes[0]), 'little').translate(_IS_NONZERO)


def all_of(*flags: bytes) -> bytes:
    """1 where all of the flags, 0 or 1 and equally many, are 1; else 0."""
    merged = int.from_bytes(flags[0], 'little')
    for more in flags[1:]:
        merged &= int.from_bytes(more, 'little')
    return merged.to_bytes(len(flags[0]), 'little')


def inverted(flags: bytes) -> bytes:
    """0 for a 1 and 1 for a 0."""
    return flags.translate(_NOT)
