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

"""The figures of the load test as text."""

from collections.abc import Callable
import textwrap
from typing import Any

_MIB = 1 << 20
#: Of the memory at half of the nodes, for the other half.
_FLAT = 0.05
#: MiB by which two runs of the same differ.
_NOISE = 10

_Run = dict[str, Any]
_Cell = Callable[[_Run], str]
#: None where there is nothing to compare with.
_Verdict = Callable[[_Run, _Run], bool | None]


def _grown(run: _Run, since: str) -> float:
    return (run['memory_after'] - run[f'memory_{since}']) / _MIB


def _as_direct(ours: _Run, direct: _Run) -> bool | None:
    if direct.get('nodes') != ours['nodes']:
        return None
    return _grown(ours, 'before') <= _grown(direct, 'before') + _NOISE


def _flat(ours: _Run, direct: _Run) -> bool:
    return _grown(ours, 'half') <= _FLAT * ours['memory_half'] / _MIB


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
    ('MiB before', lambda run: f'{run["memory_before"] / _MIB:.0f}', '',
     _none),
    ('MiB at peak', lambda run: f'{run["memory_peak"] / _MIB:.0f}', '',
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
    described = [
        f'{run["interface"]}: {run["date"]}, {run["processors"]} '
        f'processors for everything, load before {run["load_before"]}, '
        f'qcow2 of {run["image_bytes"] / _MIB:.0f} MiB, disk of '
        f'{run["disk_bytes"] / _MIB:.0f} MiB, boot '
        f'{run["boot_seconds"]:.0f} s, write '
        f'{run["write_seconds"]:.0f} s' for run in runs]
    lines = [line for each in described
             for line in textwrap.wrap(each, 76, subsequent_indent='    ')]
    lines += ['', _line('', [run['interface'] for run in runs], 'goal', '')]
    for label, cell, goal, verdict in _ROWS:
        met = verdict(ours, direct) if ours else None
        lines.append(_line(
            label, [cell(run) for run in runs], goal,
            {None: '', True: 'met', False: 'NOT MET'}[met]))
    for run in runs:
        for error in run['errors']:
            lines += ['', *textwrap.wrap(f'{run["interface"]}: {error}', 76)]
    return '\n'.join(line.rstrip() for line in lines) + '\n'


def _line(label: str, cells: list[str], goal: str, verdict: str) -> str:
    return (f'{label:<28}' + ''.join(f'{cell:>13}' for cell in cells)
            + f'{goal:>8}  {verdict}')
