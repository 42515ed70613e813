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

"""The table of tools/coverage.sh, from what ``coverage json`` writes."""

import json
import pathlib
import sys

PACKAGE = 'ironic_imagedeploy'


def main(report: str, folders: list[str]) -> None:
    """Print what was never run, by module, and the parts by folder."""
    files = json.loads(pathlib.Path(report).read_text())['files']
    table = []
    for folder in folders:
        total: dict[str, int] = {}
        for path, measured in sorted(files.items()):
            if not path.startswith(f'{PACKAGE}/{folder}'):
                continue
            for name, number in measured['summary'].items():
                if isinstance(number, int):
                    total[name] = total.get(name, 0) + number
            show(path, measured)
        table.append(row(folder, total))
    print('', f'{"folder":<22}{"lines":>16}{"branches":>18}', *table, sep='\n')


def show(path: str, measured: dict) -> None:
    """Lines and branches of a module that were never run."""
    if measured['missing_lines']:
        print(f'{path}: lines {measured["missing_lines"]}')
    branches = [f'{start}->{"exit" if end < 0 else end}' for start, end
                in measured.get('missing_branches', ())
                if start not in measured['missing_lines']]
    if branches:
        print(f'{path}: branches {", ".join(branches)}')


def row(folder: str, total: dict[str, int]) -> str:
    """How much there is in a folder, and the part of it that was run."""
    return folder.ljust(22) + ''.join(
        f'{whole:>{width}} {100 * done / max(whole, 1):5.1f} %'
        for done, whole, width in (
            (total.get('covered_lines', 0),
             total.get('num_statements', 0), 6),
            (total.get('covered_branches', 0),
             total.get('num_branches', 0), 8)))


if __name__ == '__main__':
    main(sys.argv[1], sys.argv[2:])
