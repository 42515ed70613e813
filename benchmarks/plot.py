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

"""A drawing of the results: seconds, a bar for each contender."""

from collections.abc import Iterator
from xml.sax import saxutils

from benchmarks import results

_LEFT, _WIDTH, _RIGHT = 250, 480, 130
_BAR, _GAP, _TITLE = 18, 6, 34
_OURS, _OTHERS, _BOUND = '#2a7f62', '#8a97a6', '#d9dee4'


def svg(measured: list[results.Result]) -> str:
    """One group of bars for each image, each with a scale of its own."""
    body: list[str] = []
    top = 0
    for result in measured:
        rows = _rows(result)
        body.extend(_group(result, rows, top))
        top += _TITLE + len(rows) * (_BAR + _GAP) + _GAP
    width = _LEFT + _WIDTH + _RIGHT
    return '\n'.join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" '
        f'height="{top}" viewBox="0 0 {width} {top}" '
        'font-family="sans-serif" font-size="13">',
        f'<rect width="{width}" height="{top}" fill="#ffffff"/>',
        *body, '</svg>', ''])


def _rows(result: results.Result) -> list[results.Row]:
    """The copiers, and of the parts the one that bounds."""
    return [row for row in result.rows if row.copies] + [result.bound]


def _group(result: results.Result, rows: list[results.Row], top: int
           ) -> Iterator[str]:
    longest = max(row.seconds for row in rows)
    yield _text(8, top + 22, result.image, 'font-weight="bold"')
    for index, row in enumerate(rows):
        y = top + _TITLE + index * (_BAR + _GAP)
        length = row.seconds / longest * _WIDTH
        colour = _OURS if row.name == results.OURS else (
            _OTHERS if row.copies else _BOUND)
        name = row.name if row.copies else f'bound: {row.name}'
        yield _text(_LEFT - 8, y + 14, name, 'text-anchor="end"')
        yield (f'<rect x="{_LEFT}" y="{y}" width="{length:.1f}" '
               f'height="{_BAR}" fill="{colour}"/>')
        yield _text(_LEFT + length + 6, y + 14,
                    f'{row.seconds:.2f} s ({result.ratio(row):.1f}×)')


def _text(x: float, y: int, text: str, attributes: str = '') -> str:
    return (f'<text x="{x:.1f}" y="{y}" {attributes}>'
            f'{saxutils.escape(text)}</text>')
