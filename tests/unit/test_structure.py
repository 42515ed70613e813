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

"""What holds for the files of the tests and of the package."""

import ast
from collections.abc import Iterator
import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).parents[2]
#: What a folder of tests may import beside itself.
SHARED = 'tests.support'
KINDS = ('benchmarks', 'tests.functional', 'tests.fuzz', 'tests.lab',
         'tests.lifecycle', 'tests.support', 'tests.unit')
LINES = 400


def sources(*folders: str) -> Iterator[tuple[str, str]]:
    """Name, relative to the checkout, and text of each file in Python."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob('*.py')):
            yield str(path.relative_to(ROOT)), path.read_text()


def imports(text: str) -> Iterator[str]:
    """Names that a module imports, with all modules that they are in."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f'{node.module}.{alias.name}' for alias in node.names)


def is_within(name: str, package: str) -> bool:
    return f'{name}.'.startswith(f'{package}.')


def strangers(file: str, text: str) -> list[str]:
    """Imports of other kinds of tests, and of modules with tests."""
    module = file.removesuffix('.py').replace('/', '.')
    allowed = [SHARED, *(kind for kind in KINDS if is_within(module, kind))]
    return [name for name in imports(text)
            if any(is_within(name, kind) for kind in ('benchmarks', 'tests'))
            and (re.search(r'\.test_\w+', name) or not any(
                is_within(name, package) for package in allowed))]


def misnamed(text: str) -> list[str]:
    """Classes against the convention, each with the reason.

    ``XTest`` has tests and is no base, ``XTestCase`` is a base without
    tests, ``XTests`` has tests for classes that inherit them.
    """
    wrong = []
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.ClassDef):
            continue
        bases = [ast.unparse(base).rpartition('.')[2] for base in node.bases]
        tests = any(isinstance(each, ast.FunctionDef)
                    and each.name.startswith('test_') for each in node.body)
        if tests and not node.name.endswith(('Test', 'Tests')):
            wrong.append(f'{node.name} has tests')
        elif node.name.startswith('Test'):
            wrong.append(f'{node.name} begins with Test')
        if any(base.endswith('Test') for base in bases):
            wrong.append(f'{node.name} runs the tests of {bases} again')
        if 'TestCase' in bases and node.name.endswith('Tests'):
            wrong.append(f'{node.name} runs without what inherits it')
        if node.name.endswith('TestCase') and any(
                base.endswith('Tests') for base in bases):
            wrong.append(f'{node.name} has tests of {bases}')
    return wrong


class KindsTest(unittest.TestCase):

    def test_kinds_share_by_support_only(self):
        for file, text in sources('tests', 'benchmarks'):
            with self.subTest(file):
                self.assertEqual([], strangers(file, text))

    def test_another_kind_and_a_module_of_tests_are_found(self):
        for line in ('from tests.functional import base',
                     'from tests.unit import test_imports',
                     'from tests.unit.test_imports import RULES',
                     'import tests.lab.job', 'from benchmarks import table'):
            with self.subTest(line):
                self.assertEqual(1, len(strangers('tests/unit/x.py', line)))
        for line in ('from tests.unit import base', 'import unittest',
                     'from tests.support.simulation import agent'):
            self.assertEqual([], strangers('tests/unit/x.py', line))
        self.assertEqual(1, len(strangers(
            'tests/support/x.py', 'from tests.unit import base')))

    def test_names_tell_what_has_tests(self):
        for file, text in sources('tests'):
            with self.subTest(file):
                self.assertEqual([], misnamed(text))

    def test_a_test_that_would_run_twice_is_found(self):
        for name, base, body in (
                ('GptTest', 'tables.MbrTest', 'test_more'),
                ('GptTestCase', 'TestCase', 'test_it'),
                ('TestGpt', 'TestCase', 'test_it'),
                ('GptTestCase', 'TableTests', 'setUp'),
                ('GptTests', 'unittest.TestCase', 'test_it')):
            with self.subTest(name, base=base):
                self.assertEqual(1, len(misnamed(
                    f'class {name}({base}):\n    def {body}(self): pass\n')))


class LengthTest(unittest.TestCase):

    def test_no_file_is_too_long_to_be_read_at_once(self):
        for file, text in sources('ironic_imagedeploy', 'tests',
                                  'benchmarks'):
            with self.subTest(file):
                self.assertLessEqual(text.count('\n'), LINES)
