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

_Cell = Callable[[dict[str, Any]], str]

#: Label, figure, goal of imagedeploy, and whether it was met.
_ROWS: list[tuple[str, _Cell, str, Callable[[dict[str, Any]], bool]]] = [
    ('nodes', lambda run: str(run['nodes']), '', lambda run: True),
    ('downloads from Glance', lambda run: f'{run["downloads"]:.2f}',
     '1', lambda run: run['downloads'] < 1.1),
    ('requests for them', lambda run: str(run['requests']),
     '', lambda run: True),
    ('inspections', lambda run: str(run['inspections']),
     '1', lambda run: run['inspections'] == 1),
    ('conversions', lambda run: str(run['conversions']),
     '0', lambda run: run['conversions'] == 0),
    ('CPU seconds a node', lambda run: f'{run["cpu_per_node"]:.2f}',
     '< 1', lambda run: run['cpu_per_node'] < 1),
    ('MiB before', lambda run: f'{run["memory_before"] / _MIB:.0f}',
     '', lambda run: True),
    ('MiB at half of the nodes',
     lambda run: f'{run["memory_half"] / _MIB:.0f}', '', lambda run: True),
    ('MiB after', lambda run: f'{run["memory_after"] / _MIB:.0f}',
     '', lambda run: True),
    ('MiB at peak', lambda run: f'{run["memory_peak"] / _MIB:.0f}',
     '', lambda run: True),
    ('seconds to the last active', lambda run: f'{run["seconds"]:.0f}',
     '', lambda run: True),
    ('active', lambda run: str(run['active']),
     'all', lambda run: run['active'] == run['nodes']),
    ('lost', lambda run: str(run['lost']),
     '0', lambda run: run['lost'] == 0)]


def text(results: dict[str, dict[str, Any]]) -> str:
    """The table, with what was done above and the errors below."""
    ours = results.get('imagedeploy')
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
    for label, cell, goal, met in _ROWS:
        verdict = '' if not goal or not ours else (
            'met' if met(ours) else 'NOT MET')
        lines.append(_line(label, [cell(run) for run in runs], goal,
                           verdict))
    for run in runs:
        for error in run['errors']:
            lines += ['', *textwrap.wrap(f'{run["interface"]}: {error}', 76)]
    return '\n'.join(line.rstrip() for line in lines) + '\n'


def _line(label: str, cells: list[str], goal: str, verdict: str) -> str:
    return (f'{label:<28}' + ''.join(f'{cell:>13}' for cell in cells)
            + f'{goal:>7}  {verdict}')
