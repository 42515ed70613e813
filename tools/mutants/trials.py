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

"""Trials: the tests of a module, run again and again while it is changed.

cosmic-ray's own runner starts Python and imports Ironic anew for each mutant,
which takes longer than the tests do: here a process that has imported all but
this project is forked for each of them.
"""

import contextlib
import gc
import os
import pathlib
import resource
import signal
import sys
import tempfile
import time
import traceback
import typing
import unittest

import choice

#: Tests that every module has.
EVERYWHERE = ('tests.unit.test_habits',)
#: Seconds that the tests may take as long as they pass, times this.
_PATIENCE, _LEAST_SECONDS = 5, 20.0
#: Seconds for tests of what is not changed.
_MOST_SECONDS = 600.0
#: Bytes of addresses for a mutant that would take all memory.
_MOST_MEMORY = 8 << 30
#: Runs of what is not changed: on a busy machine a test may be late.
_TRIES = 3
#: Bytes that are shown of what tests print that fail without a change.
_SHOWN = 8 << 10


def try_each(path: pathlib.Path, mutants: typing.Iterator[tuple[str, str]],
             stages: list[list[str]], writer: int) -> None:
    """Try one mutant after the other; a word about each is written.

    :param stages: tests, of which the next ones are run when a mutant has
        survived those before.
    """
    unittest.defaultTestLoader.loadTestsFromNames(stages[0])
    for name in list(sys.modules):
        if name.partition('.')[0] in (choice.PACKAGE.name, 'tests'):
            del sys.modules[name]
    # Else each child copies what its collector of garbage only looks at.
    gc.freeze()
    text = path.read_text()
    trials = [Trial(tests, path, text) for tests in stages if tests]
    trials[0].prepare()
    for changed, patch in mutants:
        survived = all(trial.survives(changed) for trial in trials)
        if survived:
            print(path, patch, sep='\n', flush=True)
        os.write(writer, b'survived ' if survived else b'caught ')


class Trial:
    """Tests that a module is tried with, changed again and again.

    :param text: the module as it is.
    """

    def __init__(self, tests: list[str], path: pathlib.Path, text: str
                 ) -> None:
        self._tests = tests
        self._path = path
        self._text = text
        self._tries = 0
        self._limit = 0.0

    def prepare(self) -> None:
        """See how long each takes: the shortest are first from then on."""
        self._path.write_text(self._text)
        took = {name: try_unchanged([name]) for name in self._tests}
        self._tests.sort(key=lambda n: (n in EVERYWHERE, took[n][1]))
        self._tries = max(tries for tries, _ in took.values())
        self._limit = max(_PATIENCE * sum(
            seconds for _, seconds in took.values()), _LEAST_SECONDS)

    def survives(self, changed: str) -> bool:
        """Whether no test notices that the module is another one."""
        if not self._tries:
            self.prepare()
        self._path.write_text(changed)
        with open(os.devnull, 'wb') as output:
            return any(passes(self._tests, self._limit, output.fileno())
                       for _ in range(self._tries))


def try_unchanged(tests: list[str]) -> tuple[int, float]:
    """Run tests of what is not changed, until they pass.

    :returns: how many tries that took, and the seconds of the last one. Where
        tests fail at times, a mutant is caught when it fails as often.
    """
    for tries in range(1, _TRIES + 1):
        began = time.monotonic()
        with tempfile.TemporaryFile() as output:
            if passes(tests, _MOST_SECONDS, output.fileno()):
                return tries, time.monotonic() - began
            output.seek(max(output.seek(0, os.SEEK_END) - _SHOWN, 0))
            said = output.read()
    print(said.decode(errors='replace'), flush=True)
    os._exit(1)


def passes(tests: list[str], seconds: float, output: int) -> bool:
    """Whether these tests pass within that time.

    :param output: descriptor for what they print.
    """
    child = os.fork()
    if not child:
        os.setsid()
        os.dup2(output, 1)
        os.dup2(output, 2)
        resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))
        with report_failure():
            program = unittest.main(None, argv=['mutant', '-f', *tests],
                                    exit=False)
            os._exit(0 if program.result.wasSuccessful() else 1)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            break
        time.sleep(0.02)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    if not ended:
        os.waitpid(child, 0)
    return bool(ended) and status == 0


@contextlib.contextmanager
def report_failure() -> typing.Iterator[None]:
    """End this process by whatever is raised, as no caller of it is here."""
    try:
        yield
    except BaseException:
        traceback.print_exc()
    os._exit(1)
