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


"""Look for inputs that break a promise, guided by coverage.

::

    python -m tests.fuzz [--seconds N] [--corpus FOLDER] [TARGET...]

Each target gets its share of the time, in a process of its own. Inputs that
reach something new are kept in the corpus, and the next run begins with them.
What breaks a promise is made smaller and printed; put it into
``tests/fuzz/findings``, and it is a test.
"""

import argparse
import pathlib
import subprocess
import sys
import time

from tests.fuzz import engine

#: Files of this module that run as programs of their own.
_ENGINE = 'tests.fuzz.engine'


def main(arguments: list[str]) -> int:
    """Run all targets, one after the other.

    :returns: how many broke a promise.
    """
    parser = argparse.ArgumentParser(prog='tools/fuzz.sh',
                                     description=__doc__.split('\n')[0])
    parser.add_argument('--seconds', type=int, default=600,
                        help='for all targets together (600)')
    parser.add_argument('--corpus', type=pathlib.Path, default=engine.CACHE,
                        help=f'where inputs are kept ({engine.CACHE})')
    parser.add_argument('target', nargs='*', help='its name; all without one')
    options = parser.parse_args(arguments)
    names = options.target or listed()
    broken = []
    for name in names:
        folder = options.corpus / name
        folder.mkdir(parents=True, exist_ok=True)
        print(f'== {name}', flush=True)
        began = time.monotonic()
        status = subprocess.run(
            [sys.executable, '-m', _ENGINE, name, str(folder),
             str(max(options.seconds // len(names), 1))], check=False
        ).returncode
        print(f'{name}: {len(list(folder.glob("*")))} inputs, '
              f'{time.monotonic() - began:.0f} s, '
              f'{"broken" if status else "good"}', flush=True)
        if status:
            broken.append(name)
    print(f'{len(names)} targets, {len(broken)} broken: {" ".join(broken)}')
    return min(len(broken), 100)


def listed() -> list[str]:
    """Names of all targets, by another process: none is loaded here."""
    return subprocess.run(
        [sys.executable, '-c', 'from tests.fuzz.targets import TARGETS\n'
         'print("\\n".join(TARGETS))'], check=True, capture_output=True,
        text=True).stdout.split()


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
