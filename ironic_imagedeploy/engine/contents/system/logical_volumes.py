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

"""Logical volumes of an LVM group on one physical volume.

Source: lvm2, lib/format_text/layout.h for what is stored where, lvm.conf(5)
for the text. Linear volumes are read; others are named, with their type.
"""

from collections.abc import Iterator
import re
import typing

from ironic_imagedeploy.engine import budget as _budget
from ironic_imagedeploy.engine.contents import read as _read
from ironic_imagedeploy.engine import exceptions

Unreadable = exceptions.UnreadableContent

_SECTOR = 512
_LABEL_SECTORS = 4
_LABEL = b'LABELONE'
_TYPE = b'LVM2 001'
_UUID = 32
_MAGIC = b' LVM2 x[5A%r0N*>'
_AREA_HEADER = 512
#: Bytes of the text, and words of it: a group of a hundred volumes has 30 KiB.
_LIMIT = 256 << 10
_MOST_WORDS = 40_000
_DEEPEST = 8
_MOST_SEGMENTS = 1000
#: The last one is a quote without its end: to look for that from each quote on
#: would take a time that grows with the square of their number.
_WORD = re.compile(r'#[^\n]*|"((?:[^"\\]|\\.)*+)"|([A-Za-z0-9_.+-]+)'
                   r'|([{}\[\]=,"])')
_LINEAR = 'striped'


class Segment(typing.NamedTuple):
    """Bytes of a volume that lie together on the disk.

    :ivar place: first byte on the disk.
    """

    place: int
    length: int


class LogicalVolume(typing.NamedTuple):
    """A volume of a group.

    :ivar segments: of the volume, in order; none when it is not linear.
    :ivar type: of its first segment.
    """

    group: str
    name: str
    segments: tuple[Segment, ...]
    type: str


def find(read: _read.Read, start: int, length: int, budget: _budget.Budget
         ) -> Iterator[LogicalVolume]:
    """The volumes of the group that a physical volume is all of.

    :param read: gives bytes of the disk.
    :param start: first byte of the physical volume.
    :param length: bytes of it.
    :raises UnreadableContent: when it cannot be told.
    """
    pv = _read.part(read, start, length)
    identifier, text = _metadata(pv)
    budget.draw(len(text))
    for group, values in _parsed(text).items():
        if isinstance(values, dict) and 'physical_volumes' in values:
            yield from _volumes(group, values, identifier, start, length)


def _metadata(read: _read.Read) -> tuple[str, str]:
    """The identifier of a physical volume, and the text that it has."""
    front = read(0, _LABEL_SECTORS * _SECTOR)
    label = next((at for at in range(0, len(front), _SECTOR)
                  if front.startswith(_LABEL, at)
                  and front.startswith(_TYPE, at + 24)), None)
    if label is None:
        raise Unreadable('an LVM physical volume without a label')
    header = label + int.from_bytes(front[label + 20:label + 24], 'little')
    identifier = front[header:header + _UUID].decode('ascii', 'replace')
    at = header + _UUID + 8
    # Data areas end with an empty one, and so do those of metadata.
    while any(front[at:at + 16]):
        at += 16
    area = int.from_bytes(front[at + 16:at + 24], 'little')
    stored = read(area, _AREA_HEADER)
    if not area or not stored.startswith(_MAGIC, 4):
        raise Unreadable('an LVM physical volume without metadata')
    size = int.from_bytes(stored[32:40], 'little')
    offset = int.from_bytes(stored[40:48], 'little')
    length = int.from_bytes(stored[48:56], 'little')
    if not 0 < length <= min(size, _LIMIT) or not _AREA_HEADER <= offset < (
            size):
        raise Unreadable('an LVM group without volumes')
    # The area is a ring.
    part = read(area + offset, min(length, size - offset))
    rest = length - len(part)
    part += read(area + _AREA_HEADER, rest) if rest > 0 else b''
    return identifier, part.decode('utf-8', 'replace')


def _parsed(text: str) -> dict[str, typing.Any]:
    """Sections, values and lists of the text."""
    top: dict[str, typing.Any] = {}
    sections = [top]
    name, items = '', None
    for number, match in enumerate(_WORD.finditer(text)):
        if number > _MOST_WORDS:
            raise Unreadable('too much metadata of LVM')
        mark = match[3]
        word = match[1] if match[1] is not None else match[2]
        if mark == '"':
            raise Unreadable('damaged metadata of LVM')
        if mark == '{':
            if len(sections) > _DEEPEST:
                raise Unreadable('damaged metadata of LVM')
            sections.append(sections[-1].setdefault(name, {}))
            if not isinstance(sections[-1], dict):
                raise Unreadable('damaged metadata of LVM')
        elif mark == '}':
            if len(sections) == 1:
                raise Unreadable('damaged metadata of LVM')
            sections.pop()
        elif mark == '[':
            items = sections[-1][name] = []
        elif mark == ']':
            items = None
        elif mark == '=':
            sections[-1][name] = ''
        elif word is not None:
            if items is not None:
                items.append(word)
            elif sections[-1].get(name) == '':
                sections[-1][name] = word
                name = ''
            else:
                name = word
    if len(sections) > 1:
        raise Unreadable('metadata of LVM without an end')
    return top


def _volumes(group: str, values: dict[str, typing.Any], identifier: str,
             start: int, length: int) -> Iterator[LogicalVolume]:
    try:
        (name, own), *others = values['physical_volumes'].items()
        if others or own['id'].replace('-', '') != identifier:
            raise Unreadable('an LVM group on several physical volumes')
        size = int(values['extent_size']) * _SECTOR
        first = start + int(own['pe_start']) * _SECTOR
        for each, volume in values.get('logical_volumes', {}).items():
            segments = _segments(volume)
            kind = segments[0]['type']
            places = tuple(
                Segment(first + int(segment['stripes'][1]) * size,
                        int(segment['extent_count']) * size)
                for segment in segments) if all(
                    segment['type'] == _LINEAR
                    and segment['stripes'][:1] == [name]
                    and len(segment['stripes']) == 2
                    for segment in segments) else ()
            if any(not start < place <= place + count <= start + length
                   for place, count in places):
                raise Unreadable('LVM extents outside of the disk')
            yield LogicalVolume(group, each, places, kind)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError
            ) as error:
        raise Unreadable('damaged metadata of LVM') from error


def _segments(volume: dict[str, typing.Any]) -> list[dict[str, typing.Any]]:
    """The segments of a volume; each begins where the last one ends."""
    count = int(volume['segment_count'])
    if not 0 < count <= _MOST_SEGMENTS:
        raise ValueError(count)
    segments = [volume[f'segment{number}'] for number in range(1, count + 1)]
    at = 0
    for segment in segments:
        if int(segment['start_extent']) != at:
            raise ValueError(at)
        at += int(segment['extent_count'])
    return segments
