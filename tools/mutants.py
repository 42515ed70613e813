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

"""The driver of tools/mutants.sh: changes modules, and runs their tests.

What is changed, and how, is cosmic-ray's. Its own runner starts Python and
imports Ironic anew for each mutant, which takes longer than the tests do: here
a process that has imported all but this project is forked for each of them.
"""

import argparse
import ast
import collections
import contextlib
import difflib
import gc
import itertools
import os
import pathlib
import random
import re
import resource
import select
import signal
import socket
import ssl
import stat
import sys
import tempfile
import time
import traceback
import typing
import unittest

from cosmic_ray import ast as syntax
from cosmic_ray import mutating
from cosmic_ray import plugins

PACKAGE = pathlib.Path('ironic_imagedeploy')
TESTS = pathlib.Path('tests/unit')
#: Tests that every module has.
_EVERYWHERE = ('tests.unit.test_habits',)
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
#: Operators whose changes say nothing: whether two equal values are one object
#: is up to the interpreter.
_SILENT = re.compile(
    'ReplaceComparisonOperator_((Eq|NotEq)_(Is|IsNot)|Is_Eq|IsNot_NotEq)$')
#: And those whose changes say nothing of flags that are bits apart: their
#: union is their sum, and their difference.
_OTHER_SUM = re.compile(r'.*\bReplaceBinaryOperator_BitOr_(Add|BitXor)')
#: Modules with flags of the system.
_FLAGS = {module.__name__: module for module in (
    os, select, signal, socket, ssl, stat)}
#: Line and column.
Place = tuple[int, int]


class Mutant(typing.NamedTuple):
    """One change of a module: the how-manieth of those of an operator."""

    operator: str
    occurrence: int


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
        for path in modules(name):
            found = run(path, options)
            print(row(str(path), found), flush=True)
            count += found
        table.append(row(name, count))
        failed += count['failed']
    print('', *table, sep='\n')
    return 1 if failed else 0


def modules(name: str) -> list[pathlib.Path]:
    """A module, or all of a folder but those that have nothing to run."""
    folder = PACKAGE / name
    return sorted(
        path for path in folder.rglob('*.py') if path.name != '__init__.py'
    ) if folder.is_dir() else [PACKAGE / f'{name}.py']


def row(name: str, found: collections.Counter[str]) -> str:
    """What was caught, in one line."""
    whole = found['caught'] + found['survived']
    return (f'{name}: {whole} of {found["all"]} mutants, {found["caught"]} '
            f'caught ({100 * found["caught"] / max(whole, 1):.0f} %), '
            f'{found["survived"]} survived, {found["seconds"]} s')


def places_of(path: pathlib.Path) -> list[pathlib.Path]:
    """The folder of tests that mirrors that of a module, and those above."""
    folder = TESTS / path.parent.relative_to(PACKAGE)
    return [folder, *folder.parents][:len(folder.parts) - 1]


def tests_of(path: pathlib.Path) -> list[str]:
    """Modules of tests that mirror a module; else those of its folder, too."""
    upwards = [place for place in places_of(path) if place.is_dir()]
    folder = upwards[0]

    def named(name: str, places: list[pathlib.Path]) -> list[pathlib.Path]:
        return next(filter(None, (
            [*place.glob(f'test_{name}.py'), *place.glob(f'test_{name}_*.py')]
            for place in places)), [])

    found = named(path.stem, [folder])
    if not found:
        # One of that name further up may be about something else.
        found = named(path.stem, upwards) + [*folder.glob(
            f'test_*_{path.stem}.py')] + (
            named(path.parent.name, upwards) or tests_in(upwards))
    return names(found)


def tests_in(places: list[pathlib.Path]) -> list[pathlib.Path]:
    """The tests in the first of some folders that has any."""
    return next(filter(None, (
        list(place.glob('test_*.py')) for place in places)))


def names(paths: typing.Iterable[pathlib.Path]) -> list[str]:
    """Names of modules, as they are imported."""
    return sorted({str(path.with_suffix('')).replace('/', '.')
                   for path in paths})


def run(path: pathlib.Path, options: argparse.Namespace
        ) -> collections.Counter[str]:
    """Change one module, in a process of its own.

    :returns: how many mutants were caught and survived, of how many.
    """
    tests = sorted({*options.tests.split(), *_EVERYWHERE, *tests_of(path)})
    others = names(tests_in(places_of(path))) if options.folder else []
    stages = [tests, [name for name in others if name not in tests]]
    text = path.read_text()
    mutants = list(mutants_of(text))
    found = collections.Counter(all=len(mutants))
    random.Random(f'{options.seed} {path}').shuffle(mutants)
    began = time.monotonic()
    reader, writer = os.pipe()
    if not os.fork():
        with report_failure():
            os.close(reader)
            try_each(path, itertools.islice(
                changes(text, mutants), options.sample), stages, writer)
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


def mutants_of(text: str) -> typing.Iterator[Mutant]:
    """All changes of a module that are more than words or figures."""
    parsed = ast.parse(text)
    places = [(each.lineno, each.col_offset,
               each.end_lineno or 0, each.end_col_offset or 0)
              for each in (*annotations(parsed), *figures(parsed))]
    apart = frozenset(unions(parsed, text.splitlines()))
    tree = syntax.get_ast(text)
    for name in plugins.operator_names():
        kind = plugins.get_operator(name)
        if kind.arguments() or _SILENT.search(name):
            continue
        same = apart if _OTHER_SUM.fullmatch(name) else frozenset[Place]()
        positions = (begin for node in syntax.ast_nodes(tree)
                     for begin, _ in kind().mutation_positions(node))
        for occurrence, begin in enumerate(positions):
            if begin not in same and not any(
                    place[:2] <= begin < place[2:] for place in places):
                yield Mutant(name, occurrence)


def changes(text: str, mutants: list[Mutant]
            ) -> typing.Iterator[tuple[str, str]]:
    """The changed text of each mutant, and a patch that shows it."""
    for mutant in mutants:
        try:
            changed = mutating.mutate_code(
                text, plugins.get_operator(mutant.operator)(),
                mutant.occurrence)
            ast.parse(changed)
        except (AttributeError, SyntaxError):
            # It replaces no exception whose name has a dot in it, and takes
            # the two asterisks before a mapping for a power.
            continue
        yield changed, '\n'.join(difflib.unified_diff(
            text.splitlines(), changed.splitlines(), 'as it is',
            mutant.operator, n=2, lineterm=''))


def annotations(tree: ast.Module) -> typing.Iterator[ast.expr]:
    """What says types only."""
    for node in ast.walk(tree):
        for name in ('annotation', 'returns'):
            part = getattr(node, name, None)
            if isinstance(part, ast.expr):
                yield part


def unions(tree: ast.Module, lines: list[str]) -> typing.Iterator[Place]:
    """Where flags of the system are joined that have no bit in common."""
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            left, right = flags(node.left), flags(node.right)
            if left and right and not any(
                    one & other for one in left for other in right):
                yield operator_between(node, lines)


def flags(node: ast.expr) -> list[int]:
    """Values that flags may have; none for what is something else."""
    match node:
        case ast.Constant(value=int(value)):
            return [value]
        case ast.Attribute(value=ast.Name(id=module)) if module in _FLAGS:
            value = getattr(_FLAGS[module], node.attr, None)
            return [int(value)] if isinstance(value, int) else []
        case ast.BinOp(op=ast.BitOr()):
            return [one | other for one in flags(node.left)
                    for other in flags(node.right)]
        case ast.IfExp():
            found = flags(node.body), flags(node.orelse)
            return [*found[0], *found[1]] if all(found) else []
    return []


def operator_between(node: ast.BinOp, lines: list[str]) -> Place:
    """Place of the operator of two operands."""
    line, column = node.left.end_lineno or 0, node.left.end_col_offset or 0
    while '|' not in lines[line - 1][column:]:
        line, column = line + 1, 0
    return line, lines[line - 1].index('|', column)


def figures(tree: ast.Module) -> typing.Iterator[ast.expr]:
    """Constants of modules: a test of them would say the same once more."""
    for node in tree.body:
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value:
            if all(isinstance(part, (ast.Constant, ast.BinOp, ast.UnaryOp,
                                     ast.operator, ast.unaryop))
                   for part in ast.walk(node.value)):
                yield node.value


def try_each(path: pathlib.Path, mutants: typing.Iterator[tuple[str, str]],
             stages: list[list[str]], writer: int) -> None:
    """Try one mutant after the other; a word about each is written.

    :param stages: tests, of which the next ones are run when a mutant has
        survived those before.
    """
    unittest.defaultTestLoader.loadTestsFromNames(stages[0])
    for name in list(sys.modules):
        if name.partition('.')[0] in (PACKAGE.name, 'tests'):
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
        self._tests.sort(key=lambda n: (n in _EVERYWHERE, took[n][1]))
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


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
