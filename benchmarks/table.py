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

"""Tables of figures, as all benchmarks print them."""

import argparse
from collections.abc import Iterable
import re
import textwrap
import typing

MIB = 1 << 20
GIB = 1 << 30
#: Load of a machine up to which nobody else does much.
_IDLE = 0.7


def head(machine: dict[str, typing.Any], what: str) -> list[str]:
    """Lines above a table: when, where, by what, and how idle it was.

    :param machine: as :func:`benchmarks.measurement.machine` has it.
    :param what: was measured, in words.
    """
    lines = [
        f'{machine["date"]}; {where(machine)}',
        ', '.join(f'{name} {version}' for name, version
                  in machine['versions'].items()),
        f'{what}; load of the machine: {machine["load_before"]:.1f} before'
        + (f', {machine["load_after"]:.1f} at the end'
           if 'load_after' in machine else '')]
    if machine['load_before'] > _IDLE:
        lines.append('NOT AN IDLE MACHINE: take the figures for a trial')
    return [line for each in lines for line in textwrap.wrap(
        each, 118, subsequent_indent='    ')]


def where(machine: dict[str, typing.Any]) -> str:
    """The machine in a few words."""
    return (f'{machine["processor"]}, {machine["processors"]} processors, '
            f'{machine["memory"] / GIB:.0f} GiB of memory, '
            f'Linux {machine["kernel"]}')


def line(label: str, cells: Iterable[str], widths: Iterable[int]) -> str:
    """One line: a label on the left, cells on the right of their columns.

    :param widths: of the label, then of each cell; the last one repeats.
    """
    columns = list(widths)
    text = label.ljust(columns[0])
    for index, cell in enumerate(cells, 1):
        text += cell.rjust(columns[min(index, len(columns) - 1)])
    return text.rstrip()


def goal(wanted: str, met: bool | None) -> str:
    """A goal, and whether it was met; None where that is not known."""
    return wanted if met is None else f'{wanted} {"met" if met else "missed"}'


def mib(size: float) -> str:
    """Bytes as a whole number of MiB."""
    return str(round(size / MIB))


def size(text: str) -> int:
    """Bytes of a disk, from an argument such as 512M or 8G."""
    match = re.fullmatch(r'([1-9]\d*)([MG])', text)
    units = {'M': MIB, 'G': GIB}
    if not match or int(match[1]) * units[match[2]] < 256 * MIB:
        raise argparse.ArgumentTypeError('as 512M or 8G, at least 256M')
    return int(match[1]) * units[match[2]]
