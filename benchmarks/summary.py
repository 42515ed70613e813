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

"""Figures of images on their way to a disk, for people; sizes in MiB."""

from collections.abc import Iterator
import typing

from benchmarks import results
from benchmarks import table

#: Widths of a label, then of the cells.
_SUMMARY = (13, 9, 9, 9, 14, 9, 9, 14, 7, 12)
_DETAIL = (33, 9, 8, 7, 8, 8, 9, 9, 9, 6)
_HEADING = table.line('', (
    'seconds', 'ratio', 'cpu', 'peak', 'kept', 'fetched', 'written', 'zeroed',
    'same'), _DETAIL)


def whole(machine: dict[str, typing.Any], measured: list[results.Result]
          ) -> str:
    """Everything: the machine, a line for each image, then its rows."""
    what = (f'{machine["size"] / table.GIB:.4g} GiB disks; pairs: '
            f'{machine["rounds"]}')
    lines = [*table.head(machine, what), '', *summary(measured), '']
    return '\n'.join(lines + [detail(result) for result in measured])


def summary(measured: list[results.Result]) -> Iterator[str]:
    """A line for each image, and the goals."""
    yield table.line('', (
        'ours', 'node', 'faster', 'goal', 'bound', 'of ours', 'goal', 'peak',
        'goal'), _SUMMARY)
    for result in measured:
        wanted = results.SPEED_GOALS.get(result.image)
        node, faster = result.node, result.faster
        yield table.line(result.image, (
            f'{result.ours.seconds:.2f} s',
            f'{node.seconds:.2f} s' if node else '-',
            f'{faster:.2f}x' if faster else '-',
            table.goal(f'{wanted:g}x', faster >= wanted)
            if wanted and faster else '-',
            f'{result.bound.seconds:.2f} s', f'{result.of_bound:.2f}',
            table.goal(f'{results.BOUND_GOAL:.2f}',
                       result.of_bound >= results.BOUND_GOAL),
            table.mib(result.ours.peak),
            table.goal(table.mib(results.PEAK_GOAL),
                       result.ours.peak <= results.PEAK_GOAL)), _SUMMARY)


def detail(result: results.Result) -> str:
    """Rows of one image, with what they mean."""
    lines = [
        f'{result.image}: {headline(result)}',
        f'  {table.mib(result.stored_size)} MiB, a disk of '
        f'{table.mib(result.virtual_size)} MiB: {result.disk}',
        _HEADING, *(_line(result, row) for row in result.rows),
        *_sentences(result), '']
    return '\n'.join(lines)


def headline(result: results.Result) -> str:
    """Figures that count: beside the node code, and beside the bound."""
    bound = f'{result.of_bound:.2f} of the bound'
    if result.faster is None:
        return bound
    return f'{result.faster:.2f}x faster than {results.NODE}, {bound}'


def _line(result: results.Result, row: results.Row) -> str:
    sizes = [table.mib(size) if size else '-' for size in (
        row.stored, row.fetched, row.written, row.zeroed)]
    return table.line('  ' + row.name, (
        f'{row.seconds:.2f}', f'{result.ratio(row):.2f}',
        f'{row.processor:.1f}', table.mib(row.peak), *sizes,
        {True: 'yes', False: 'NO', None: ''}[row.identical]), _DETAIL)


def _sentences(result: results.Result) -> Iterator[str]:
    bound = result.bound
    if first := result.faster_first:
        yield (f'  first node: {first:.2f}x faster than direct with its '
               'defaults, goal ' + table.goal(
                   f'{results.FIRST_NODE_GOAL:g}x',
                   first >= results.FIRST_NODE_GOAL))
    yield f'  bound: {bound.name}, {result.of_bound:.2f} of our time'
    yield (f'  processors: all parts take {result.work:.2f} s of one, so '
           f'{result.work / result.processors:.2f} s of '
           f'{result.processors}, {result.of_work:.2f} of our time; ours '
           f'took {result.ours.processor:.2f} s, {result.busy:.2f} of all '
           'there was')
    if reach := result.within_reach:
        yield (f'  machine: with the server and the kernel its processors '
               f'worked {result.ours.machine:.2f} s; if none ever waited, '
               f'that would be {reach:.2f}x')
    if inside := result.ours.inside:
        yield (f'  without the start of Python ours takes {inside:.2f} s, '
               f'the bound is {bound.seconds / inside:.2f} of that')
