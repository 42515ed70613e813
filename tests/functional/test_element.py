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

"""The element for diskimage-builder names packages that exist."""

import json
import pathlib
import re
import shutil
import subprocess
import unittest

import yaml

ELEMENT = pathlib.Path(__file__).parents[2] / 'dib/imagedeploy'
INSTALLS = yaml.safe_load((ELEMENT / 'package-installs.yaml').read_text())
MAP = json.loads((ELEMENT / 'pkg-map').read_text())


def candidates(names: list[str]) -> dict[str, str]:
    """Versions that apt would install."""
    found = subprocess.run(['apt-cache', 'policy', *names], check=True,
                           text=True, capture_output=True).stdout
    return dict(re.findall(r'^(\S+):\n.*\n  Candidate: (\d\S*)$', found,
                           re.MULTILINE))


class PackagesTest(unittest.TestCase):

    def test_processors(self):
        # As package-installs compares them: no space is taken away.
        for name, choice in INSTALLS.items():
            for arch in (choice or {}).get('arch', 'amd64').split(','):
                self.assertIn(arch, ('amd64', 'x86_64', 'arm64', 'aarch64'),
                              name)

    def test_all_are_mapped(self):
        self.assertLessEqual(set(MAP['default']), set(INSTALLS))
        for family in MAP['family'].values():
            self.assertLessEqual(set(family), set(INSTALLS))

    def test_names_of_debian(self):
        if not shutil.which('apt-cache') or not candidates(['bash']):
            self.skipTest('apt knows no packages')
        here = subprocess.run(['dpkg', '--print-architecture'], check=True,
                              text=True, capture_output=True).stdout.strip()
        names = [MAP['default'].get(name, name)
                 for name, choice in INSTALLS.items()
                 if here in (choice or {}).get('arch', here).split(',')]
        self.assertIn('mtools', names)
        self.assertEqual(set(names), set(candidates(names)))
