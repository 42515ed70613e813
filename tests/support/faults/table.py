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

"""Counts of what was tried, and how it ended.

Tests add to the file that ``IMAGEDEPLOY_FAULTS_TABLE`` names, if any; this
module as a program prints a table of it.
"""

from collections.abc import Iterable
import dataclasses
import datetime
import json
import os
import pathlib
import sys

FILE = 'IMAGEDEPLOY_FAULTS_TABLE'
_EFFORT = 'IMAGEDEPLOY_FAULTS_EFFORT'
_COLUMNS = ('kind', 'fault', 'tries', 'survived', 'refused', 'lost', 'half')


@dataclasses.dataclass
class Row:
    """How tries of one fault ended.

    :ivar kind: disk, power, network and so on.
    :ivar survived: the whole image was there in the end, and that was said.
    :ivar refused: an error was told, and nothing starts.
    :ivar lost: what must not be: an image is said to be there that is not.
    :ivar half: what must not be: something starts that is not whole.
    """

    kind: str
    fault: str
    tries: int = 0
    survived: int = 0
    refused: int = 0
    lost: int = 0
    half: int = 0


def effort() -> float:
    """How much more than in a usual run of the tests is to be tried."""
    return float(os.environ.get(_EFFORT, '1'))


def add(row: Row) -> None:
    """Add to the counts of that fault."""
    if path := os.environ.get(FILE):
        # A line is written as a whole: tests may run side by side.
        with open(path, 'a', buffering=1) as file:
            file.write(json.dumps(dataclasses.asdict(row)) + '\n')


def add_lines(lines: str) -> None:
    """Add what :func:`add` wrote elsewhere."""
    for line in lines.splitlines():
        if line.startswith('{'):
            add(Row(**json.loads(line)))


def summed(rows: Iterable[Row]) -> list[Row]:
    """A row for each fault, in the sequence in which they came."""
    found: dict[tuple[str, str], Row] = {}
    for row in rows:
        total = found.setdefault((row.kind, row.fault),
                                 Row(row.kind, row.fault))
        for name in _COLUMNS[2:]:
            setattr(total, name, getattr(total, name) + getattr(row, name))
    return sorted(found.values(), key=lambda row: row.kind)


def text(rows: list[Row]) -> str:
    """The table, with the sums below."""
    total = Row('', 'all')
    for row in rows:
        for name in _COLUMNS[2:]:
            setattr(total, name, getattr(total, name) + getattr(row, name))
    width = max(len(row.fault) for row in [*rows, total])
    lines = [f'{"":11}{"":{width}}' + ''.join(
        f'{name:>10}' for name in _COLUMNS[2:])]
    lines += [f'{row.kind:11}{row.fault:{width}}' + ''.join(
        f'{getattr(row, name):10}' for name in _COLUMNS[2:])
        for row in [*rows, total]]
    return '\n'.join(lines) + '\n'


def main() -> int:
    """Print the table; fails when there is what must not be."""
    path = pathlib.Path(sys.argv[1])
    rows = summed(Row(**json.loads(line))
                  for line in path.read_text().splitlines())
    print(f'{datetime.date.today()}, Linux {os.uname().release}\n')
    print(text(rows), end='')
    return int(any(row.lost or row.half for row in rows))


if __name__ == '__main__':
    sys.exit(main())
