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

"""The element for diskimage-builder, as its own programs read it."""

import importlib.util
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
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


BOOT = ['grub-common', 'mtools', 'kexec-tools']
RED_HAT = ['grub2-tools', 'mtools', 'kexec-tools']
#: What is installed, by distribution, release and processor.
INSTALLED = {
    ('debian', 'trixie', 'amd64'): [
        *BOOT, 'grub-pc-bin', 'grub-efi-amd64-bin'],
    ('debian', 'trixie', 'arm64'): [*BOOT, 'grub-efi-arm64-bin'],
    ('ubuntu', 'noble', 'amd64'): [
        *BOOT, 'grub-pc-bin', 'grub-efi-amd64-bin'],
    ('centos', '9-stream', 'x86_64'): [
        *RED_HAT, 'grub2-pc-modules', 'grub2-efi-x64-modules'],
    ('centos', '10-stream', 'x86_64'): [
        *RED_HAT, 'grub2-pc-modules', 'grub2-efi-x64-modules'],
    ('centos', '10-stream', 'aarch64'): [*RED_HAT, 'grub2-efi-aa64-modules'],
    ('rocky', '9', 'x86_64'): [
        *RED_HAT, 'grub2-pc-modules', 'grub2-efi-x64-modules'],
    ('fedora', '41', 'x86_64'): [
        *RED_HAT, 'grub2-pc-modules', 'grub2-efi-x64-modules']}


@unittest.skipUnless(importlib.util.find_spec('diskimage_builder'),
                     'diskimage-builder is not here')
class DistributionsTest(unittest.TestCase):
    """What diskimage-builder makes of the list and the map."""

    def execute(self, element: str, *arguments: str, **variables: str) -> str:
        """Run a program of one of its elements."""
        elements = pathlib.Path(importlib.util.find_spec(
            'diskimage_builder').origin).parent / 'elements'
        return subprocess.run(
            [sys.executable, elements / element, *arguments], check=True,
            text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env={**os.environ, **variables}).stdout

    def test_packages(self):
        for (distribution, release, arch), expected in INSTALLED.items():
            with self.subTest(distribution=distribution, arch=arch), \
                    tempfile.NamedTemporaryFile('r') as squashed:
                self.execute(
                    'package-installs/bin/package-installs-squash',
                    '--elements', ELEMENT.name, '--path', str(ELEMENT.parent),
                    squashed.name, ARCH=arch)
                names = [name for name, _ in json.load(squashed)[
                    'install.d']['install']]
                found = self.execute(
                    'pkg-map/bin/pkg-map', '--pkg-map',
                    str(ELEMENT / 'pkg-map'), '--missing-ok', '--distro',
                    distribution, '--release', release, *names)
                self.assertEqual(sorted(expected), sorted(found.split()))
