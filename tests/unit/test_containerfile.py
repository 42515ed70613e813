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

"""The image definition of a container, by what can be known without one."""

import json
import pathlib
import re
import subprocess
import tempfile
import unittest

from ironic_imagedeploy.cmd import imagedeploy

ROOT = pathlib.Path(__file__).parents[2]
FILE = ROOT / 'container' / 'Containerfile'
KNOWN = {'FROM', 'ARG', 'COPY', 'RUN', 'LABEL', 'USER', 'WORKDIR',
         'ENTRYPOINT', 'CMD'}


def instructions() -> list[tuple[str, str]]:
    """The instructions of the file, each in one line."""
    text = re.sub(r'^#.*\n', '', FILE.read_text(), flags=re.MULTILINE)
    text = re.sub(r'\s*\\\n\s*', ' ', text)
    return [tuple(line.split(maxsplit=1))  # type: ignore[misc]
            for line in text.splitlines() if line.strip()]


def values(name: str) -> list[str]:
    """What all instructions of a name say."""
    return [words for each, words in instructions() if each == name]


class ContainerfileTest(unittest.TestCase):

    def test_only_known_instructions(self) -> None:
        self.assertLessEqual({name for name, _ in instructions()}, KNOWN)

    def test_bases_are_whole_names_with_a_version(self) -> None:
        for base in values('FROM'):
            self.assertRegex(base, r'^[a-z.]+\.[a-z]+/[a-z/-]+:\d[\w.-]+')

    def test_the_base_has_a_supported_python(self) -> None:
        supported = re.findall(r'Python :: (3\.\d+)$',
                               (ROOT / 'setup.cfg').read_text(), re.MULTILINE)
        for base in values('FROM'):
            found = re.search(r'python:(\d\.\d+)', base)
            assert found
            self.assertIn(found[1], supported)

    def test_what_is_copied_is_in_the_context(self) -> None:
        ignored = (ROOT / '.containerignore').read_text().split()
        self.assertEqual(['*', '!dist'], ignored)
        for words in values('COPY'):
            source, target = words.split()[-2:]
            self.assertTrue(target.startswith('/'))
            if '--from=' not in words:
                self.assertEqual('dist/*.whl', source)

    def test_extras_exist(self) -> None:
        setup = (ROOT / 'setup.cfg').read_text()
        for extras in re.findall(r'\$wheel\[([\w,]+)\]', FILE.read_text()):
            for extra in extras.split(','):
                self.assertRegex(setup, rf'(?m)^{extra} =$')

    def test_more_than_one_wheel_is_refused(self) -> None:
        command, = (words for words in values('RUN') if '*.whl' in words)
        with tempfile.TemporaryDirectory() as folder:
            for version in ('1.0.0', '1.0.1'):
                pathlib.Path(folder, f'{version}.whl').touch()
            done = subprocess.run(
                ['sh', '-c', command.replace('/wheels', folder)], text=True,
                capture_output=True, check=False)
        self.assertEqual(1, done.returncode)
        self.assertEqual(
            f'expected one wheel in dist, found {folder}/1.0.0.whl '
            f'{folder}/1.0.1.whl: remove the others\n', done.stderr)

    def test_lists_of_packages_do_not_stay(self) -> None:
        for words in values('RUN'):
            if 'apt-get install' in words:
                self.assertIn('--no-install-recommends', words)
                self.assertIn('rm -rf /var/lib/apt/lists/*', words)
                self.assertTrue(words.startswith('apt-get update && '), words)

    def test_it_runs_without_root_and_without_a_shell(self) -> None:
        self.assertEqual(['nobody'], values('USER'))
        (program, *_), = map(json.loads, values('ENTRYPOINT'))
        self.assertEqual('/opt/ironic-imagedeploy/bin/ironic-imagedeploy',
                         program)
        self.assertEqual([['--help']], [*map(json.loads, values('CMD'))])

    def test_its_examples_are_commands(self) -> None:
        for name in re.findall(r'^# {7}(\w+) ', FILE.read_text(),
                               re.MULTILINE):
            self.assertIn(name, imagedeploy.COMMANDS)
