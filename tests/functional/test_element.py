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
_WITH_ELEMENTS = """
eval "$("$0" -m diskimage_builder.element_dependencies \\
        --env debian imagedeploy)"
exec "$1"
"""


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


def builders_elements() -> pathlib.Path:
    """The elements of diskimage-builder itself."""
    return pathlib.Path(importlib.util.find_spec(
        'diskimage_builder').origin).parent / 'elements'


@unittest.skipUnless(importlib.util.find_spec('diskimage_builder'),
                     'diskimage-builder is not here')
class DistributionsTest(unittest.TestCase):
    """What diskimage-builder makes of the list and the map."""

    def execute(self, element: str, *arguments: str, **variables: str) -> str:
        """Run a program of one of its elements."""
        return subprocess.run(
            [sys.executable, builders_elements() / element, *arguments],
            check=True, text=True, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
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


@unittest.skipUnless(importlib.util.find_spec('diskimage_builder'),
                     'diskimage-builder is not here')
class SourceTest(unittest.TestCase):
    """What is installed when nobody says what; no index can be asked."""

    def setUp(self) -> None:
        self.folder = pathlib.Path(self.enterContext(
            tempfile.TemporaryDirectory()))
        # The element that ours goes with.
        (self.folder / 'agent/ironic-python-agent-ramdisk').mkdir(
            parents=True)

    def build(self, elements: pathlib.Path, **variables: str
              ) -> subprocess.CompletedProcess[str]:
        """Run the hook as diskimage-builder does, with these elements."""
        own = builders_elements()
        return subprocess.run(
            ['bash', '-ec', _WITH_ELEMENTS, sys.executable,
             ELEMENT / 'extra-data.d/50-imagedeploy'], text=True, check=False,
            capture_output=True, env={
                **{name: value for name, value in os.environ.items()
                   if name != 'DIB_IMAGEDEPLOY_SOURCE'},
                'PATH': f'{pathlib.Path(sys.executable).parent}:'
                        f'{os.environ["PATH"]}',
                'ELEMENTS_PATH': f'{elements}:{self.folder / "agent"}:{own}',
                'TMP_HOOKS_PATH': str(self.folder / 'hooks'),
                'PIP_NO_INDEX': '1', 'PIP_NO_BUILD_ISOLATION': '0',
                'PBR_VERSION': '1.2.3', **variables})

    def assert_wheel(self, elements: pathlib.Path, **variables: str) -> None:
        done = self.build(elements, **variables)
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertEqual(
            ['ironic_imagedeploy-1.2.3-py3-none-any.whl'],
            os.listdir(self.folder / 'hooks/imagedeploy'))

    def checkout(self) -> pathlib.Path:
        """A clone."""
        place = self.folder / 'checkout'
        subprocess.run(['git', 'clone', '-q', '--depth', '1',
                        ELEMENT.parents[1].as_uri(), place], check=True)
        return place

    def test_the_checkout_that_the_element_is_in(self) -> None:
        self.assert_wheel(self.checkout() / 'dib')

    def test_a_link_to_it(self) -> None:
        links = self.folder / 'links'
        links.mkdir()
        (links / ELEMENT.name).symlink_to(
            self.checkout() / 'dib' / ELEMENT.name)
        self.assert_wheel(links)

    @unittest.skipIf(os.geteuid(), 'needs root')
    def test_a_checkout_of_another_user(self) -> None:
        place = self.checkout()
        subprocess.run(['chown', '-R', 'nobody:', place], check=True)
        # What this machine permits is not what others do.
        permits_none = {'GIT_CONFIG_GLOBAL': os.devnull,
                        'GIT_CONFIG_NOSYSTEM': '1'}
        self.assert_wheel(place / 'dib', **permits_none)
        shutil.rmtree(self.folder / 'hooks')
        self.assert_wheel(ELEMENT.parent, DIB_IMAGEDEPLOY_SOURCE=str(place),
                          **permits_none)

    def test_a_copy_without_a_checkout(self) -> None:
        copy = self.folder / 'copy'
        shutil.copytree(ELEMENT, copy / 'dib' / ELEMENT.name)
        # In a repository, which is another's.
        subprocess.run(['git', 'init', '-q', copy], check=True)
        done = self.build(copy / 'dib')
        self.assertEqual(1, done.returncode, done.stderr)
        for words in ('expected DIB_IMAGEDEPLOY_SOURCE', f'in {copy}. ',
                      'tools/release.sh'):
            self.assertIn(words, done.stderr)
        self.assertFalse((self.folder / 'hooks').exists())
        self.assert_wheel(copy / 'dib',
                          DIB_IMAGEDEPLOY_SOURCE=str(self.checkout()))
