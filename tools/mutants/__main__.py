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

"""The driver of tools/mutants.sh: changes modules, and runs their tests."""

import argparse
import collections
import itertools
import os
import pathlib
import random
import sys
import time

import changes
import choice
import trials


def main(arguments: list[str]) -> int:
    """Change the modules, and print what was caught."""
    parser = argparse.ArgumentParser(prog='tools/mutants.sh')
    parser.add_argument('--tests', default='', help='more modules of tests')
    parser.add_argument('--sample', type=int, help='mutants of each module')
    parser.add_argument('--seed', default='1', help='another sample (1)')
    parser.add_argument('--folder', action='store_true',
                        help='try what survives with all tests of its folder')
    parser.add_argument('module', nargs='+', help='or a folder of modules')
    options = parser.parse_args(arguments)
    table, failed = [], 0
    for name in options.module:
        count: collections.Counter[str] = collections.Counter()
        for path in choice.modules(name):
            found = run(path, options)
            print(row(str(path), found), flush=True)
            count += found
        table.append(row(name, count))
        failed += count['failed']
    print('', *table, sep='\n')
    return 1 if failed else 0


def row(name: str, found: collections.Counter[str]) -> str:
    """What was caught, in one line."""
    whole = found['caught'] + found['survived']
    return (f'{name}: {whole} of {found["all"]} mutants, {found["caught"]} '
            f'caught ({100 * found["caught"] / max(whole, 1):.0f} %), '
            f'{found["survived"]} survived, {found["seconds"]} s')


def run(path: pathlib.Path, options: argparse.Namespace
        ) -> collections.Counter[str]:
    """Change one module, in a process of its own.

    :returns: how many mutants were caught and survived, of how many.
    """
    tests = sorted({*options.tests.split(), *trials.EVERYWHERE,
                    *choice.tests_of(path)})
    others = choice.names(
        choice.tests_in(choice.places_of(path))) if options.folder else []
    stages = [tests, [name for name in others if name not in tests]]
    text = path.read_text()
    mutants = list(changes.mutants_of(text))
    found = collections.Counter(all=len(mutants))
    random.Random(f'{options.seed} {path}').shuffle(mutants)
    began = time.monotonic()
    reader, writer = os.pipe()
    if not os.fork():
        with trials.report_failure():
            os.close(reader)
            trials.try_each(path, itertools.islice(
                changes.apply(text, mutants), options.sample), stages, writer)
            os._exit(0)
    os.close(writer)
    with open(reader) as answers:
        found.update(answers.read().split())
    status = os.wait()[1]
    path.write_text(text)
    if status:
        # As it is: nothing can be said of it.
        print(f'{path}: its tests fail: {" ".join(sum(stages, []))}',
              flush=True)
        found['failed'] += 1
    found['seconds'] = round(time.monotonic() - began)
    return found


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
