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


"""The driver of tools/mutants.sh: cosmic-ray on one module after the other."""

import argparse
import ast
import pathlib
import random
import subprocess
import sys
import tempfile
import time

from cosmic_ray import work_db
from cosmic_ray import work_item

PACKAGE = pathlib.Path('ironic_imagedeploy')
TESTS = pathlib.Path('tests/unit')
#: Seconds that the tests may take as long as they pass, times this.
_PATIENCE = 5
Place = tuple[int, int]


def main(arguments: list[str]) -> int:
    """Change the modules, and print what was caught."""
    parser = argparse.ArgumentParser(prog='tools/mutants.sh')
    parser.add_argument('--tests', default='', help='more modules of tests')
    parser.add_argument('--most', type=int, help='mutants of a module')
    parser.add_argument('module', nargs='+')
    options = parser.parse_args(arguments)
    rows = []
    for module in options.module:
        rows.append(run(module, options.tests.split(), options.most))
        print(rows[-1], flush=True)
    print('\n'.join(rows))
    return 0


def run(module: str, more: list[str], most: int | None) -> str:
    """Change one module.

    :returns: a row of the table.
    """
    path = PACKAGE / f'{module}.py'
    folder = TESTS / pathlib.Path(module).parent
    tests = sorted({*more, *(
        str(found.with_suffix('')).replace('/', '.')
        for found in folder.glob(f'test_{path.stem}*.py'))})
    if not tests:
        raise SystemExit(f'{module} has no tests of its own: --tests')
    command = f'{sys.executable} -m unittest -f {" ".join(tests)}'
    began = time.monotonic()
    subprocess.run(command.split(), check=True, capture_output=True)
    limit = max((time.monotonic() - began) * _PATIENCE, 10)
    with tempfile.TemporaryDirectory() as place:
        config = pathlib.Path(place, 'config.toml')
        session = pathlib.Path(place, 'session.sqlite')
        config.write_text(
            f'[cosmic-ray]\nmodule-path = "{path}"\ntimeout = {limit:.1f}\n'
            f'excluded-modules = []\ntest-command = "{command}"\n'
            '[cosmic-ray.distributor]\nname = "local"\n')
        cosmic_ray('init', config, session)
        leave_out(session, path, most)
        began = time.monotonic()
        cosmic_ray('exec', config, session)
        return row(module, session, time.monotonic() - began)


def cosmic_ray(command: str, *arguments: pathlib.Path) -> None:
    """Run one of its commands."""
    subprocess.run([sys.executable, '-m', 'cosmic_ray.cli', command,
                    *map(str, arguments)], check=True)


def leave_out(session: pathlib.Path, path: pathlib.Path, most: int | None
              ) -> None:
    """Skip changes of annotations, and those that are too many."""
    places = list(annotations(ast.parse(path.read_text())))
    skipped = work_item.WorkResult(
        worker_outcome=work_item.WorkerOutcome.SKIPPED)
    with work_db.use_db(str(session), work_db.WorkDB.Mode.open) as opened:
        left = []
        for item in list(opened.pending_work_items):
            if any(start <= change.start_pos < end
                   for change in item.mutations for start, end in places):
                opened.set_result(item.job_id, skipped)
            else:
                left.append(item.job_id)
        if most and most < len(left):
            for job in random.Random(str(path)).sample(left,
                                                       len(left) - most):
                opened.set_result(job, skipped)


def annotations(tree: ast.Module) -> list[tuple[Place, Place]]:
    """First and last places of what says types only."""
    found = []
    for node in ast.walk(tree):
        for name in ('annotation', 'returns'):
            part = getattr(node, name, None)
            if isinstance(part, ast.expr):
                found.append(((part.lineno, part.col_offset),
                              (part.end_lineno or 0, part.end_col_offset or 0)
                              ))
    return found


def row(module: str, session: pathlib.Path, seconds: float) -> str:
    """Print the survivors, and give what was caught in a row."""
    caught = survived = 0
    with work_db.use_db(str(session), work_db.WorkDB.Mode.open) as opened:
        for _, result in opened.completed_work_items:
            if result.worker_outcome == work_item.WorkerOutcome.SKIPPED:
                continue
            if result.test_outcome == work_item.TestOutcome.SURVIVED:
                survived += 1
                print(result.diff, flush=True)
            else:
                caught += 1
    whole = caught + survived
    return (f'{module}: {whole} mutants, {caught} caught '
            f'({100 * caught / max(whole, 1):.0f} %), {survived} survived, '
            f'{seconds:.0f} s')


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
