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

"""The layout of an image as a self-contained SVG picture.

Partitions above, extents below: a column of the picture is one stack of
data, compressed and zero extents. Its size does not depend on the image.
"""

from collections.abc import Iterator
import html
import itertools

from ironic_imagedeploy.cmd import disk_map as layouts
from ironic_imagedeploy.cmd import text
from ironic_imagedeploy import engine

#: Columns of the picture, one unit (a pixel, unless scaled) each.
COLUMNS = 960

_MARGIN = 20
_WIDTH = COLUMNS + 2 * _MARGIN
_TOP = 92
_PARTITIONS = 46
_EXTENTS = 84
_LINE = 20
#: Width of a character of the labels, on the safe side.
_CHARACTER = 7.2
_TICKS = 8

_FILL = {engine.ExtentKind.DATA: 'data',
         engine.ExtentKind.COMPRESSED: 'packed',
         engine.ExtentKind.ZERO: 'zero'}
_STYLE = """
text { font: 12px "DejaVu Sans", Verdana, sans-serif; fill: #24292f }
.title { font-size: 18px; font-weight: bold }
.faint { fill: #57606a }
.right { text-anchor: end }
.middle { text-anchor: middle }
.ground { fill: #ffffff }
.data { fill: #2b6cb0 }
.packed { fill: #dd8433 }
.zero { fill: #e4e8ed }
.part { stroke: #ffffff; stroke-width: 1 }
.part0 { fill: #cfe5d6 }
.part1 { fill: #b4d4c0 }
.free { fill: #f3f4f6 }
.frame { fill: none; stroke: #8c959f; stroke-width: 1 }
.tick { stroke: #8c959f; stroke-width: 1 }
"""


def draw(inspection: engine.Inspection, name: str) -> str:
    """The picture of an accepted image.

    :param name: the name of the image, for the title.
    """
    layout = layouts.Layout(inspection, columns=COLUMNS)
    rows = min(len(layout.partitions), layouts.MAX_LISTED + 1)
    height = _TOP + _PARTITIONS + _EXTENTS + 76 + _LINE * rows
    body = [*_head(inspection, name), *_partitions(layout),
            *_extents(layout), *_axis(layout), *_legend(layout),
            *_table(layout)]
    return '\n'.join([
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" '
        f'height="{height}" viewBox="0 0 {_WIDTH} {height}" role="img">',
        f'<title>{_escape(f"Layout of {name}")}</title>',
        f'<style>{_STYLE}</style>',
        f'<rect class="ground" width="{_WIDTH}" height="{height}"/>',
        *body, '</svg>', ''])


def _head(inspection: engine.Inspection, name: str) -> Iterator[str]:
    yield _text(_MARGIN, 36, _shorten(name, 84), 'title')
    yield _text(_MARGIN, 60, layouts.facts(inspection), 'faint')


def _partitions(layout: layouts.Layout) -> Iterator[str]:
    yield _rect(_MARGIN, _TOP, COLUMNS, _PARTITIONS, 'free')
    for index, partition in enumerate(
            layout.partitions[:layouts.MAX_LISTED]):
        left = _x(partition.start, layout)
        right = _x(partition.start + partition.length, layout)
        width = max(right - left, 1.0)
        title = (f'{_number(partition)} {_name(partition)}, '
                 f'{text.size(partition.length)} at '
                 f'{text.size(partition.start)}')
        yield _rect(left, _TOP, width, _PARTITIONS,
                    f'part part{index % 2}', title)
        yield from _label(partition, left, width)


def _label(partition: engine.Partition, left: float, width: float
           ) -> Iterator[str]:
    """Label that fits into the box of a partition."""
    room = int((width - 8) / _CHARACTER)
    label = str(partition.number)
    if room < len(label):
        return
    if room >= len(label) + 4:
        label += f' {_name(partition)}'
    yield (f'<svg x="{left:.6g}" y="{_TOP}" width="{width:.6g}" '
           f'height="{_PARTITIONS}">')
    yield _text(5, 19, _shorten(label, room))
    if room >= 8:
        yield _text(5, 36, text.size(partition.length), 'faint')
    yield '</svg>'


def _extents(layout: layouts.Layout) -> Iterator[str]:
    top = _TOP + _PARTITIONS + 4
    left = 0
    for usage, same in itertools.groupby(layout.columns):
        width = len(list(same))
        bottom = float(top + _EXTENTS)
        for kind in layouts.KINDS:
            if amount := usage.of(kind):
                height = _EXTENTS * amount / usage.total
                bottom -= height
                yield _rect(_MARGIN + left, bottom, width, height,
                            _FILL[kind])
        left += width
    yield _rect(_MARGIN, top, COLUMNS, _EXTENTS, 'frame')


def _axis(layout: layouts.Layout) -> Iterator[str]:
    top = _TOP + _PARTITIONS + 4 + _EXTENTS
    for index in range(_TICKS + 1):
        x = _MARGIN + COLUMNS * index / _TICKS
        place = 'middle' if 0 < index < _TICKS else 'right' if index else ''
        yield (f'<line class="tick" x1="{x:g}" y1="{top}" x2="{x:g}" '
               f'y2="{top + 5}"/>')
        yield _text(x, top + 19,
                    text.size(layout.virtual_size * index // _TICKS),
                    f'faint {place}'.strip())


def _legend(layout: layouts.Layout) -> Iterator[str]:
    top = _TOP + _PARTITIONS + _EXTENTS + 42
    x = float(_MARGIN)
    for kind in layouts.KINDS:
        amount, count = layout.total(kind), layout.extents[kind]
        label = (f'{kind.name.lower()}: {text.size(amount)} '
                 f'({text.share(amount, layout.virtual_size)}) in '
                 f'{text.counted(count, "extent")}')
        yield _rect(x, top, 14, 14, _FILL[kind])
        yield _text(x + 20, top + 12, label)
        x += 50 + len(label) * _CHARACTER


def _table(layout: layouts.Layout) -> Iterator[str]:
    top = _TOP + _PARTITIONS + _EXTENTS + 84
    for row, partition in enumerate(layout.partitions[:layouts.MAX_LISTED]):
        usage = layout.usage(partition.start,
                             partition.start + partition.length)
        y = top + row * _LINE
        cells = (f'{text.size(partition.length)} at '
                 f'{text.size(partition.start)}',
                 f'{text.share(usage.stored, usage.total)} stored',
                 layouts.type_name(partition))
        name = f'{_number(partition)} {partition.name}'
        yield _text(_MARGIN, y, _shorten(name, 40))
        for x, cell in zip((330, 530, 650), cells, strict=True):
            yield _text(x, y, cell, 'faint')
    if more := layouts.overlooked(layout):
        yield _text(_MARGIN, top + layouts.MAX_LISTED * _LINE, more, 'faint')


def _name(partition: engine.Partition) -> str:
    return partition.name or layouts.type_name(partition)


def _number(partition: engine.Partition) -> str:
    return f'{partition.number}{"*" if partition.bootable else ""}'


def _x(offset: int, layout: layouts.Layout) -> float:
    share = min(offset / max(layout.virtual_size, 1), 1.0)
    return _MARGIN + COLUMNS * share


def _shorten(words: str, length: int) -> str:
    return words if len(words) <= length else words[:max(length - 1, 0)] + '…'


def _rect(x: float, y: float, width: float, height: float, style: str,
          title: str = '') -> str:
    shape = (f'<rect class="{style}" x="{x:.6g}" y="{y:.6g}" '
             f'width="{width:.6g}" height="{height:.6g}"')
    if not title:
        return shape + '/>'
    return f'{shape}><title>{_escape(title)}</title></rect>'


def _text(x: float, y: float, words: str, style: str = '') -> str:
    style = f' class="{style}"' if style else ''
    return f'<text{style} x="{x:.6g}" y="{y:.6g}">{_escape(words)}</text>'


def _escape(words: str) -> str:
    return html.escape(text.printable(words))
