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


"""The command line is light: what it imports, and what pip brings along."""

import functools
from importlib import metadata
import json
import pathlib
import re
import subprocess
import sys
import unittest

from packaging import requirements

from ironic_imagedeploy.cmd import imagedeploy
from ironic_imagedeploy.cmd.images import options as image_options
from ironic_imagedeploy.cmd import options
from ironic_imagedeploy.cmd import ramdisk
from tests.unit.cmd import program

ROOT = pathlib.Path(__file__).parents[3]
#: Packages of others that the command line may take.
MOST = 12

RUN = """
import sys
{before}
from ironic_imagedeploy.cmd import imagedeploy
try:
    status = imagedeploy.main()
except SystemExit as stop:
    status = stop.code
import resource
used = resource.getrusage(resource.RUSAGE_SELF)
print(used.ru_utime + used.ru_stime, *sys.modules, file=sys.stderr)
sys.exit(status)
"""
WITHOUT = """
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in {names}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Finder())
"""


def run(*arguments: object, without: tuple[str, ...] = ()
        ) -> tuple[subprocess.CompletedProcess[str], float, set[str]]:
    """Run a command in an interpreter of its own.

    :param without: top-level modules that are not installed there.
    :returns: the outcome, seconds of processor, and top-level modules.
    """
    code = RUN.format(before=WITHOUT.format(names=without)
                      if without else '')
    outcome = subprocess.run(
        [sys.executable, '-c', code, *map(str, arguments)], cwd=ROOT,
        capture_output=True, text=True, check=False)
    seconds, *modules = outcome.stderr.splitlines()[-1].split()
    return outcome, float(seconds), {
        module.partition('.')[0] for module in modules}


@functools.cache
def of_python() -> set[str]:
    """Modules that come with Python, and what this environment puts there."""
    return set(subprocess.run(
        [sys.executable, '-c', 'import sys; print(*sys.modules)'],
        capture_output=True, text=True, check=True).stdout.split())


def packages(modules: set[str]) -> set[str]:
    """Packages of others that these modules are of."""
    modules = modules - {module.partition('.')[0] for module in of_python()}
    known = metadata.packages_distributions()
    return {name for module in modules for name in known.get(module, ())
            if name != 'ironic-imagedeploy'}


def closure(lines: list[str]) -> set[str]:
    """Packages that pip installs for requirements, without extras."""
    found: set[str] = set()
    while lines:
        needed = requirements.Requirement(lines.pop())
        name = re.sub('[-_.]+', '-', needed.name).lower()
        if name in found or needed.marker and not needed.marker.evaluate(
                {'extra': ''}):
            continue
        found.add(name)
        lines += metadata.requires(name) or []
    return found


#: What nobody needs who has the command line alone.
OPTIONAL = ('backports', 'cryptography', 'deflate', 'isal', 'openstack',
            'oslo_config', 'oslo_log', 'oslo_utils', 'pbr', 'zstandard')


class HelpTest(unittest.TestCase):

    def test_help_takes_next_to_nothing(self) -> None:
        for arguments in (('--help',), ('--version',)):
            with self.subTest(arguments):
                outcome, _, modules = run(*arguments)
                self.assertIn('ironic-imagedeploy',
                              outcome.stdout + outcome.stderr)
                self.assertEqual(set(), packages(modules))

    def test_help_comes_at_once(self) -> None:
        self.assertLess(min(run('--help')[1] for _ in range(3)), 0.2)

    def test_no_command_takes_more_than_a_few(self) -> None:
        for name in imagedeploy.COMMANDS:
            with self.subTest(name):
                outcome, _, modules = run(name, '--help', without=OPTIONAL)
                self.assertEqual(0, outcome.returncode, outcome.stderr)
                found = packages(modules)
                self.assertLessEqual(len(found), MOST, found)
                self.assertFalse(modules & {
                    'ironic', 'ironic_python_agent', 'openstack',
                    'oslo_config', 'oslo_log'})

    def test_each_command_has_arguments(self) -> None:
        self.assertEqual(set(imagedeploy.COMMANDS),
                         {*options._COMMANDS, *image_options.COMMANDS,
                          *ramdisk.COMMANDS})


class RequirementsTest(unittest.TestCase):

    def test_pip_installs_a_few_packages_only(self) -> None:
        lines = [line.partition('#')[0] for line in
                 (ROOT / 'requirements.txt').read_text().splitlines()]
        found = closure([line for line in lines if line.strip()])
        self.assertIn('requests', found)
        self.assertLessEqual(len(found), MOST, found)
        self.assertFalse({name for name in found
                          if name.startswith(('oslo', 'ironic'))})


class LocalFileTest(program.CommandTestCase):

    def test_no_client_of_the_web_is_imported(self) -> None:
        for arguments in (('check', self.image),
                          ('write', self.image, self.target)):
            with self.subTest(arguments[0]):
                outcome, _, modules = run(*arguments)
                self.assertEqual(0, outcome.returncode, outcome.stderr)
                self.assertEqual(set(), modules & {
                    'charset_normalizer', 'http', 'idna', 'openstack',
                    'requests', 'ssl', 'urllib3'})


class WithoutOpenStackTest(program.CommandTestCase):
    """Nothing of OpenStack is installed."""

    def test_images_are_checked_and_written(self) -> None:
        outcome, _, modules = run('check', self.image, '--json',
                                  without=OPTIONAL)
        self.assertEqual(0, outcome.returncode, outcome.stderr)
        self.assertFalse(modules & set(OPTIONAL))
        found = json.loads(outcome.stdout)
        self.assertEqual('accept', found['verdict'])
        self.assertEqual(['oslo-inspector'], found['unchecked'])
        outcome, _, _ = run('write', self.image, self.target,
                            without=OPTIONAL)
        self.assertEqual(0, outcome.returncode, outcome.stderr)
        self.assertEqual(self.image.read_bytes(), self.target.read_bytes())

    def test_it_says_so(self) -> None:
        outcome, _, _ = run('check', self.image, without=OPTIONAL)
        self.assertIn("  not checked  OpenStack's own inspector, which is "
                      'not installed\n', outcome.stdout)

    def test_clouds_need_an_extra(self) -> None:
        for arguments in (('watch', '--once'), (
                'check', 'glance:1be26c0b-03f2-4d2e-ae87-c02d7f33c781')):
            outcome, _, _ = run(*arguments, without=OPTIONAL)
            self.assertEqual(3, outcome.returncode, outcome.stderr)
            self.assertIn('pip install openstacksdk', outcome.stderr)
