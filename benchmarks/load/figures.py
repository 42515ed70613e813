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

"""Figures of many deployments at once, as text."""

from collections.abc import Callable
import textwrap
from typing import Any

from benchmarks import table

#: Widths of a label, then of the cells.
_WIDTHS = (30, 13)
#: Of the memory at half of the nodes, for the other half.
_FLAT = 0.05
#: MiB by which two runs of the same differ.
_NOISE = 10

_Run = dict[str, Any]
_Cell = Callable[[_Run], str]
#: None where there is nothing to compare with.
_Verdict = Callable[[_Run, _Run], bool | None]


def _grown(run: _Run, since: str) -> float:
    return (run['memory_after'] - run[f'memory_{since}']) / table.MIB


def _as_direct(ours: _Run, direct: _Run) -> bool | None:
    if direct.get('nodes') != ours['nodes']:
        return None
    return _grown(ours, 'before') <= _grown(direct, 'before') + _NOISE


def _flat(ours: _Run, direct: _Run) -> bool:
    return _grown(ours, 'half') <= _FLAT * ours['memory_half'] / table.MIB


def _none(ours: _Run, direct: _Run) -> None:
    return None


#: Label, figure, goal of imagedeploy, and whether it was met.
_ROWS: list[tuple[str, _Cell, str, _Verdict]] = [
    ('nodes', lambda run: str(run['nodes']), '', _none),
    ('downloads from Glance', lambda run: f'{run["downloads"]:.2f}',
     '1', lambda ours, _: ours['downloads'] < 1.1),
    ('requests for them', lambda run: str(run['requests']), '', _none),
    ('inspections', lambda run: str(run['inspections']),
     '1', lambda ours, _: ours['inspections'] == 1),
    ('conversions', lambda run: str(run['conversions']),
     '0', lambda ours, _: ours['conversions'] == 0),
    ('CPU seconds a node', lambda run: f'{run["cpu_per_node"]:.2f}',
     '< 1', lambda ours, _: ours['cpu_per_node'] < 1),
    ('MiB before', lambda run: table.mib(run['memory_before']), '',
     _none),
    ('MiB at peak', lambda run: table.mib(run['memory_peak']), '',
     _none),
    ('MiB more by all nodes', lambda run: f'{_grown(run, "before"):+.0f}',
     'direct', _as_direct),
    ('MiB more by the second half',
     lambda run: f'{_grown(run, "half"):+.0f}', f'< {_FLAT:.0%}', _flat),
    ('seconds to the last active', lambda run: f'{run["seconds"]:.0f}', '',
     _none),
    ('active', lambda run: str(run['active']),
     'all', lambda ours, _: ours['active'] == ours['nodes']),
    ('lost', lambda run: str(run['lost']),
     '0', lambda ours, _: ours['lost'] == 0)]


def text(results: dict[str, _Run]) -> str:
    """The table, with what was done above and the errors below."""
    ours, direct = results.get('imagedeploy'), results.get('direct') or {}
    runs = list(results.values())
    lines = []
    for run in runs:
        lines += table.head(run['machine'], (
            f'{run["interface"]}: qcow2 of {table.mib(run["image_bytes"])} '
            f'MiB, disk of {table.mib(run["disk_bytes"])} MiB, boot '
            f'{run["boot_seconds"]:.0f} s, write '
            f'{run["write_seconds"]:.0f} s'))
    lines += ['', table.line('', [*(run['interface'] for run in runs),
                                  'goal'], _WIDTHS)]
    for label, cell, goal, verdict in _ROWS:
        met = verdict(ours, direct) if ours else None
        lines.append(table.line(
            label, [*map(cell, runs), table.goal(goal, met)], _WIDTHS))
    for run in runs:
        for error in run['errors']:
            lines += ['', *textwrap.wrap(f'{run["interface"]}: {error}', 76)]
    return '\n'.join(lines) + '\n'
