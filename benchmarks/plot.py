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


"""The figures as bars, in SVG."""

from collections.abc import Iterator
import typing
from xml.sax import saxutils

from benchmarks import results
from benchmarks import summary
from benchmarks import table

_LEFT, _WIDTH, _RIGHT, _MARGIN = 218, 500, 162, 28
_BAR, _STEP, _TITLE, _BOUND, _GAP = 22, 28, 34, 24, 22
_TOP = 118
_OURS, _NODE, _OTHERS, _LINE = '#1f8a70', '#d1495b', '#b4bcc8', '#e08e2b'
_INK, _FAINT, _GROUND = '#1d2733', '#66717f', '#f1f3f6'
_LEGEND = ((_OURS, results.OURS), (_NODE, f'{results.NODE}, as direct does'),
           (_OTHERS, 'from a local file, no checksum'))


def svg(machine: dict[str, typing.Any], measured: list[results.Result]
        ) -> str:
    """One group of bars for each image, each with a scale of its own."""
    body = list(_head(machine))
    top = _TOP
    for result in measured:
        body.extend(_group(result, top))
        top += (_TITLE + len(_rows(result)) * _STEP + _BOUND + _GAP)
    width = _LEFT + _WIDTH + _RIGHT
    return '\n'.join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" '
        f'height="{top}" viewBox="0 0 {width} {top}" font-family="Open Sans,'
        ' Helvetica, Arial, sans-serif" font-size="13">',
        f'<rect width="{width}" height="{top}" fill="#ffffff"/>',
        *body, '</svg>', ''])


def _head(machine: dict[str, typing.Any]) -> Iterator[str]:
    yield _text(_MARGIN, 38, 'Seconds until an image is on the disk',
                size=20, weight=700)
    yield _text(_MARGIN, 61, table.where(machine), fill=_FAINT, size=12)
    x = _MARGIN
    for colour, name in _LEGEND:
        yield (f'<rect x="{x}" y="80" width="12" height="12" rx="2" '
               f'fill="{colour}"/>')
        yield _text(x + 18, 91, name)
        x += 46 + 13 * len(name) // 2
    yield _dashes(x + 6, 78, 94)
    yield _text(x + 18, 91, 'bound')


def _rows(result: results.Result) -> list[results.Row]:
    return [row for row in result.rows if row.copies]


def _group(result: results.Result, top: int) -> Iterator[str]:
    rows, bound = _rows(result), result.bound
    scale = _WIDTH / max(row.seconds for row in [*rows, bound])
    yield _text(_MARGIN, top + 18, result.image, size=16, weight=700)
    yield _text(_LEFT, top + 18, summary.headline(result), fill=_FAINT)
    top += _TITLE
    for index, row in enumerate(rows):
        yield from _bar(result, row, row.seconds * scale,
                        top + index * _STEP)
    end = top + len(rows) * _STEP
    x = _LEFT + bound.seconds * scale
    yield _dashes(x, top - 4, end + 8)
    right = x > _LEFT + _WIDTH / 2
    yield _text(x - 8 if right else x + 8, end + 12,
                f'bound: {bound.name}, {bound.seconds:.2f} s', fill='#a7620f',
                size=12, anchor='end' if right else 'start')


def _bar(result: results.Result, row: results.Row, length: float, y: int
         ) -> Iterator[str]:
    ours = row.name == results.OURS
    colour = {results.OURS: _OURS, results.NODE: _NODE}.get(
        row.name, _OTHERS)
    yield _text(_LEFT - 10, y + 16, row.name, anchor='end',
                weight=700 if ours else 400)
    yield (f'<rect x="{_LEFT}" y="{y}" width="{_WIDTH}" height="{_BAR}" '
           f'rx="3" fill="{_GROUND}"/>')
    yield (f'<rect x="{_LEFT}" y="{y}" width="{length:.1f}" '
           f'height="{_BAR}" rx="3" fill="{colour}"/>')
    more = '' if ours else f'  ({result.ratio(row):.2f}×)'
    yield _text(_LEFT + _WIDTH + 10, y + 16, f'{row.seconds:.2f} s{more}',
                weight=700 if ours else 400)


def _dashes(x: float, top: int, end: int) -> str:
    """A line that is seen on every ground."""
    line = f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{end}" '
    return (f'{line}stroke="#ffffff" stroke-width="4"/>'
            f'{line}stroke="{_LINE}" stroke-width="2" '
            'stroke-dasharray="4 3"/>')


def _text(x: float, y: int, text: str, *, fill: str = _INK, size: int = 13,
          weight: int = 400, anchor: str = 'start') -> str:
    return (f'<text x="{x:.1f}" y="{y}" fill="{fill}" font-size="{size}" '
            f'font-weight="{weight}" text-anchor="{anchor}">'
            f'{saxutils.escape(text)}</text>')
