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

"""What holds for each call and each value of the package.

A test of the module that has them would hardly see it: that values cannot be
changed, that no connection is made that nobody asked for, that a thread does
not keep a program alive, that FIPS permits a digest.
"""

import ast
from collections.abc import Sequence
import functools
import pathlib
import re
import unittest

PACKAGE = pathlib.Path(__file__).parents[2] / 'ironic_imagedeploy'
#: Keywords that mean the same in each call, and may have one value only.
KEYWORDS = {
    # Redirects are followed by us, who look at where they lead.
    'allow_redirects': False, 'redirect': False,
    # Bodies are read piece by piece, as they came.
    'stream': True, 'decode_content': False,
    # An answer is looked at, whatever its status.
    'raise_exc': False,
    # FIPS permits a digest that only compares.
    'usedforsecurity': False,
    # No thread outlives the program.
    'daemon': True, 'cancel_futures': True,
    # Values are what they were made as, and say nothing of secrets.
    'frozen': True, 'kw_only': True, 'repr': False,
    # Rows that should be of one length are.
    'strict': True,
    # Errors of the C library are told.
    'use_errno': True,
    # No link leads elsewhere.
    'follow_symlinks': False,
    # An option that comes later changes no older command line.
    'allow_abbrev': False,
    # What is there, or gone, is as it should be.
    'exist_ok': True, 'missing_ok': True, 'parents': True,
}
#: What has to say it, as its default is another one.
NEEDED = {'Thread': 'daemon', 'CDLL': 'use_errno', 'zip': 'strict'}
#: Rows of which the longer one is cut, on purpose.
SHORTER = {('engine/contents/filesystems/ext4.py', 'zip'),
           ('engine/contents/system/grub_menu.py', 'zip'),
           ('engine/contents/system/menus.py', 'zip')}
#: Functions whose other arguments may have any name.
BY_PLACE = {'cmd/markup.py: element'}
#: What looks at the time of day, which may be set: it tells it to somebody, or
#: compares it with that of another process, and bears a clock that jumps.
CLOCKS = {'contract/timeline.py', 'conductor/cache/delivery.py',
          'conductor/cache/entry.py', 'conductor/neighbours/tracker.py',
          'conductor/progress/records.py', 'cmd/report.py', 'cmd/nodes.py'}
TIME_OF_DAY = re.compile(r'time\.(time|time_ns|localtime|gmtime|ctime)|'
                         r'(datetime|date)\.(now|utcnow|today)|'
                         r'timeutils\.\w+')
#: What takes long, with the metric that tells how long.
MEASURED = {
    ('conductor/cache/delivery.py', 'fetch'),
    ('conductor/cache/delivery.py', 'inspect'),
    ('conductor/cache/disk_manifests.py', 'hash_disk'),
    ('conductor/checks/acceptance.py', 'inspect'),
    ('conductor/progress/poll.py', 'follow_writes'),
    *(('conductor/deploy.py', name) for name in (
        'validate', 'prepare', 'clean_up', 'check_agent',
        'prepare_instance_boot', 'tear_down_agent', 'boot_instance',
        'heartbeat'))}
#: Values that are filled in step by step; what is private may be one, too.
CHANGED = {'conductor/cache/record.py: Record'}
#: Fields that may hold a password, a token, or what a tenant gave.
SECRET = re.compile('configdrive|password|token$|secret|session$')
#: A device of that name.
DEVICE = 'agent/partition_devices.py: Partitions'


@functools.cache
def nodes() -> Sequence[tuple[str, ast.AST]]:
    """Calls, classes, functions and texts of the package, by module."""
    return [(str(path.relative_to(PACKAGE)), node)
            for path in sorted(PACKAGE.rglob('*.py'))
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, (ast.Call, ast.ClassDef, ast.Constant,
                                 ast.FunctionDef))]


def name_of(called: ast.expr) -> str:
    """Last part of the name of what is called."""
    return getattr(called, 'attr', getattr(called, 'id', ''))


def decorators(node: ast.ClassDef) -> dict[str, dict[str, ast.expr]]:
    """Last names of decorators, with their keywords."""
    return {name_of(getattr(each, 'func', each)): {
        keyword.arg or '': keyword.value for keyword in getattr(
            each, 'keywords', ())} for each in node.decorator_list}


class CallsTest(unittest.TestCase):

    def calls(self):
        for name, node in nodes():
            if isinstance(node, ast.Call):
                yield f'{name}:{node.lineno}', name_of(node.func), node

    def test_keywords_have_one_value(self):
        for place, called, node in self.calls():
            for keyword in node.keywords:
                if keyword.arg in KEYWORDS and isinstance(
                        keyword.value, ast.Constant) and (
                        place.partition(':')[0], called) not in SHORTER:
                    with self.subTest(place, keyword=keyword.arg):
                        self.assertIs(KEYWORDS[keyword.arg],
                                      keyword.value.value)

    def test_durations_are_not_measured_by_the_time_of_day(self):
        found = {path for path, node in nodes() if isinstance(node, ast.Call)
                 and TIME_OF_DAY.search(ast.unparse(node.func))}
        self.assertEqual(CLOCKS, found)

    def test_what_takes_long_is_measured(self):
        found = {(path, node.args[0].value) for path, node in nodes()
                 if isinstance(node, ast.Call)
                 and name_of(node.func) == 'timer'}
        self.assertEqual({(path, f'ImageDeploy.{name}')
                          for path, name in MEASURED}, found)

    def test_what_has_to_be_said(self):
        for place, called, node in self.calls():
            if called in NEEDED:
                with self.subTest(place, called=called):
                    self.assertIn(NEEDED[called], [
                        keyword.arg for keyword in node.keywords])

    def test_each_argument_may_be_given_by_its_name(self):
        found = {f'{name}: {node.name}' for name, node in nodes()
                 if isinstance(node, ast.FunctionDef)
                 and node.args.posonlyargs}
        self.assertEqual(BY_PLACE, found)


class TextsTest(unittest.TestCase):

    def test_pip_is_asked_for_nothing_that_the_index_does_not_have(self):
        for name, node in nodes():
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                with self.subTest(name, line=node.lineno):
                    self.assertNotRegex(
                        node.value,
                        r"(?i)\binstall\s+'?ironic[-_]imagedeploy"
                        r"|ironic[-_]imagedeploy\[")


class ValuesTest(unittest.TestCase):

    def values(self):
        for name, node in nodes():
            if isinstance(node, ast.ClassDef) and (
                    said := decorators(node).get('dataclass')) is not None:
                yield f'{name}: {node.name}', node, said

    def fields(self, node):
        """Those that are given when a value is made."""
        return [each for each in node.body
                if isinstance(each, ast.AnnAssign)
                and 'ClassVar' not in ast.unparse(each.annotation)
                and 'init=False' not in ast.unparse(each)]

    def test_they_cannot_be_changed(self):
        changed = {name for name, _, said in self.values()
                   if 'frozen' not in said and ': _' not in name}
        self.assertEqual(CHANGED, changed)

    def test_secrets_are_not_shown(self):
        seen = 0
        for name, node, _ in self.values():
            for field in self.fields(node):
                if SECRET.search(ast.unparse(field.target)) and (
                        name != DEVICE):
                    seen += 1
                    with self.subTest(name, line=field.lineno):
                        self.assertIn('repr=False', ast.unparse(field))
        self.assertGreater(seen, 4)

    def test_a_method_gives_what_it_promises(self):
        """Or one of a class that is made of this one does, and has to."""
        for name, node in nodes():
            if not isinstance(node, ast.ClassDef) or 'Protocol' in map(
                    name_of, node.bases):
                continue
            for method in node.body:
                if isinstance(method, ast.FunctionDef) and ast.unparse(
                        method.returns or ast.Constant(None)) != 'None' and (
                        all(isinstance(line, ast.Expr) and isinstance(
                            line.value, ast.Constant)
                            for line in method.body)):
                    with self.subTest(name, method=method.name):
                        self.assertIn('abstractmethod', map(
                            name_of, method.decorator_list))
