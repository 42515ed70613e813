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

import configparser
import functools
from importlib import metadata
import pathlib
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).parents[2]

# A fresh interpreter for each group: ironic and ironic-python-agent register
# options of the same names, and no process of production holds both.
LOAD = """
from importlib import metadata
import sys

for point in metadata.distribution('ironic-imagedeploy').entry_points:
    if point.group == sys.argv[1]:
        point.load()
print(*sorted({module.partition('.')[0] for module in sys.modules}))
"""


@functools.cache
def loaded_by(group: str) -> set[str]:
    """The top-level packages that the entry points of a group bring in."""
    run = subprocess.run(
        [sys.executable, '-c', LOAD, group], cwd=ROOT, capture_output=True,
        text=True, check=False)
    if run.returncode:
        raise AssertionError(f'{group}\n{run.stderr}')
    return set(run.stdout.splitlines()[-1].split())


class EntryPointsTest(unittest.TestCase):

    def test_installed_are_those_of_the_tree(self):
        setup = configparser.ConfigParser(delimiters='=')
        setup.optionxform = str
        setup.read(ROOT / 'setup.cfg')
        declared = set()
        for group, lines in setup['entry_points'].items():
            for line in filter(None, lines.splitlines()):
                name, value = line.split('=')
                declared.add((group, name.strip(), value.strip()))
        installed = metadata.distribution('ironic-imagedeploy').entry_points
        self.assertEqual(
            declared, {(point.group, point.name, point.value)
                       for point in installed},
            'the installed distribution is not the one of this tree')

    def test_each_loads(self):
        points = metadata.distribution('ironic-imagedeploy').entry_points
        for group in sorted(points.groups):
            with self.subTest(group):
                self.assertIn('ironic_imagedeploy', loaded_by(group))

    def test_a_ramdisk_needs_no_ironic(self):
        loaded = loaded_by('ironic_python_agent.hardware_managers')
        self.assertIn('ironic_python_agent', loaded)
        self.assertNotIn('ironic', loaded)

    def test_a_conductor_needs_no_agent(self):
        for group in ('ironic.hardware.interfaces.deploy',
                      'ironic.hardware.types'):
            loaded = loaded_by(group)
            self.assertIn('ironic', loaded)
            self.assertNotIn('ironic_python_agent', loaded)

    def test_the_command_line_needs_neither(self):
        loaded = loaded_by('console_scripts')
        self.assertFalse(loaded & {'ironic', 'ironic_python_agent'})
