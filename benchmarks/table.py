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


"""The figures of a run, for people; sizes in MiB."""

from collections.abc import Iterator
import typing

from benchmarks import results

_GIB = 1 << 30
#: Load up to which nobody else does much.
_IDLE = 0.7
_SUMMARY = '{:<13}{:>9}{:>9}{:>9}{:>14}{:>9}{:>9}{:>14}{:>7}{:>12}'
_COLUMNS = '  {:<31}{:>9}{:>8}{:>7}{:>8}{:>8}{:>9}{:>9}{:>9}  {}'
_HEADING = _COLUMNS.format('', 'seconds', 'ratio', 'cpu', 'peak', 'kept',
                           'fetched', 'written', 'zeroed', 'same').rstrip()


def whole(machine: dict[str, typing.Any], measured: list[results.Result]
          ) -> str:
    """All there is to say."""
    versions = machine['versions']
    lines = [
        f'{machine["date"]}; {where(machine)}',
        ', '.join([f'{name} {version}' for name, version
                   in versions.items()] + [machine['qemu-img']]),
        '{0:.4g} GiB disks; pairs: {rounds}; load of the machine: {1:.1f} '
        'before, {2:.1f} at the end'.format(
            machine['size'] / _GIB, machine['load_before'],
            machine['load_after'], **machine)]
    if machine['load_before'] > _IDLE:
        lines.append('NOT AN IDLE MACHINE: the figures are no more than a '
                     'trial')
    lines += ['', *summary(measured), '']
    return '\n'.join(lines + [detail(result) for result in measured])


def where(machine: dict[str, typing.Any]) -> str:
    """On what it ran."""
    return ('{processor}, {processors} processors, {0:.0f} GiB of memory, '
            'Linux {kernel}'.format(machine['memory'] / _GIB, **machine))


def summary(measured: list[results.Result]) -> Iterator[str]:
    """A line for each image, and the goals."""
    yield _SUMMARY.format(
        '', 'ours', 'node', 'faster', 'goal', 'bound', 'of ours', 'goal',
        'peak', 'goal')
    for result in measured:
        wanted = results.SPEED_GOALS.get(result.image)
        node, faster = result.node, result.faster
        yield _SUMMARY.format(
            result.image, f'{result.ours.seconds:.2f} s',
            f'{node.seconds:.2f} s' if node else '-',
            f'{faster:.2f}x' if faster else '-',
            _goal(f'{wanted:g}x', faster >= wanted)
            if wanted and faster else '-',
            f'{result.bound.seconds:.2f} s', f'{result.of_bound:.2f}',
            _goal(f'{results.BOUND_GOAL:.2f}',
                  result.of_bound >= results.BOUND_GOAL),
            _mib(result.ours.peak),
            _goal(_mib(results.PEAK_GOAL),
                  result.ours.peak <= results.PEAK_GOAL))


def detail(result: results.Result) -> str:
    """All rows of one image."""
    lines = [
        f'{result.image}: {headline(result)}',
        f'  {_mib(result.stored_size)} MiB, a disk of '
        f'{_mib(result.virtual_size)} MiB: {result.disk}',
        _HEADING, *(_line(result, row) for row in result.rows),
        *_sentences(result), '']
    return '\n'.join(lines)


def headline(result: results.Result) -> str:
    """The two figures that count."""
    bound = f'{result.of_bound:.2f} of the bound'
    if result.faster is None:
        return bound
    return f'{result.faster:.2f}x faster than {results.NODE}, {bound}'


def _line(result: results.Result, row: results.Row) -> str:
    sizes = [_mib(size) if size else '-' for size in (
        row.stored, row.fetched, row.written, row.zeroed)]
    return _COLUMNS.format(
        row.name, f'{row.seconds:.2f}', f'{result.ratio(row):.2f}',
        f'{row.processor:.1f}', _mib(row.peak), *sizes,
        {True: 'yes', False: 'NO', None: ''}[row.identical]).rstrip()


def _sentences(result: results.Result) -> Iterator[str]:
    bound = result.bound
    yield f'  bound: {bound.name}, {result.of_bound:.2f} of our time'
    yield (f'  processors: all parts take {result.work:.2f} s of one, so '
           f'{result.work / result.processors:.2f} s of '
           f'{result.processors}, {result.of_work:.2f} of our time; ours '
           f'took {result.ours.processor:.2f} s, {result.busy:.2f} of all '
           'there was')
    if inside := result.ours.inside:
        yield (f'  without the start of Python ours takes {inside:.2f} s, '
               f'the bound is {bound.seconds / inside:.2f} of that')


def _goal(wanted: str, met: bool) -> str:
    return f'{wanted} {"met" if met else "missed"}'


def _mib(size: int) -> str:
    return str(round(size / results.MIB))
