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

"""Headers of programs for UEFI.

Source: "PE Format".
"""

from collections.abc import Iterator
import struct
import typing

#: Bytes at the front of a program that hold its headers.
FRONT = 4096
#: Where the header is, and in it the processor, the number of sections and
#: the size of the optional header, which comes next.
_HEADER_AT = slice(0x3c, 0x40)
_MACHINE, _COUNT = slice(4, 6), slice(6, 8)
_OPTIONAL_SIZE = slice(20, 22)
_OPTIONAL = 24
_SECTION = struct.Struct('<8sIIII16x')
_MOST_SECTIONS = 64
#: In the optional header, by its magic number, the data directories, of which
#: the one of certificates is the fifth.
_DIRECTORIES = {b'\x0b\x01': 96, b'\x0b\x02': 112}
_CERTIFICATES = 4 * 8


class Section(typing.NamedTuple):
    """A part of a program.

    :ivar name: hostile text.
    :ivar start: its first byte in the file; 0 when the file has none of it.
    :ivar length: bytes of it that the file has, without padding.
    """

    name: str
    start: int
    length: int


def machine(front: bytes) -> int | None:
    """The processor that a program is for; None for any other file.

    :param front: bytes at its beginning.
    """
    start = _number(front[_HEADER_AT])
    kind = front[start:][_MACHINE]
    if not front.startswith(b'MZ') or len(kind) < 2 or (
            front[start:start + 4] != b'PE\0\0'):
        return None
    return _number(kind)


def sections(front: bytes) -> Iterator[Section]:
    """Sections of a program, as far as its front tells; none of others."""
    if machine(front) is None:
        return
    start = _number(front[_HEADER_AT])
    header = front[start:start + _OPTIONAL]
    at = start + _OPTIONAL + _number(header[_OPTIONAL_SIZE])
    for _ in range(min(_number(header[_COUNT]), _MOST_SECTIONS)):
        if at + _SECTION.size > len(front):
            return
        name, length, _, stored, place = _SECTION.unpack_from(front, at)
        yield Section(name.rstrip(b'\0').decode('ascii', 'replace'), place,
                      min(length or stored, stored))
        at += _SECTION.size


def least_size(front: bytes) -> int:
    """Bytes that the file of a program has at least, by its sections."""
    return max((section.start + section.length for section in sections(front)
                if section.start), default=0)


def is_signed(front: bytes, file_size: int | None = None) -> bool:
    """Whether a program has a table of certificates, inside of its file.

    Sections "Optional Header" and "The Attribute Certificate Table".

    :param file_size: bytes of the file; None when that is not known.
    """
    start = _number(front[_HEADER_AT]) + _OPTIONAL
    at = _DIRECTORIES.get(front[start:start + 2])
    if at is None:
        return False
    at += start
    place, size = (
        _number(front[at + start:at + start + 4])
        for start in (_CERTIFICATES, _CERTIFICATES + 4))
    return _number(front[at - 4:at]) > _CERTIFICATES // 8 and size > 0 and (
        file_size is None or size <= file_size - place)


def _number(stored: bytes) -> int:
    return int.from_bytes(stored, 'little')
