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

"""The contributor guide names what is there."""

import ast
import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).parents[2]
PACKAGE = ROOT / 'ironic_imagedeploy'
GUIDE = ROOT / 'doc' / 'source' / 'contributor'
#: A folder ends in a slash; what it is for stands two columns further on.
ENTRY = re.compile(r'( *)([a-z0-9_]+)(/?)(?:  .*)?')


def drawn() -> list[str]:
    """Folders and modules in the map of the architecture."""
    text = (GUIDE / 'architecture.rst').read_text()
    block = text.split('\n   ironic_imagedeploy/\n')[1].split('\n\n')[0]
    found, folders = [], []
    for line in block.splitlines():
        indent, name, folder = ENTRY.fullmatch(line).groups()
        folders[len(indent) // 2 - 2:] = [name + folder]
        found.append(''.join(folders))
    return found


def existing() -> set[str]:
    """Folders and modules of the package."""
    found = {f'{path.relative_to(PACKAGE)}/'
             for path in PACKAGE.rglob('*')
             if path.is_dir() and [*path.glob('*.py')]}
    return found | {str(path.relative_to(PACKAGE).with_suffix(''))
                    for path in PACKAGE.rglob('*.py')
                    if path.name != '__init__.py'}


class MapTest(unittest.TestCase):

    def test_it_has_every_module_and_no_other(self):
        self.assertEqual(sorted(existing()), sorted(drawn()))


class NamesTest(unittest.TestCase):

    def test_paths_exist(self):
        for page in GUIDE.glob('*.rst'):
            for name in re.findall(r'``([\w/-]+/[\w./-]*\.\w+)``',
                                   page.read_text()):
                with self.subTest(page=page.name, name=name):
                    self.assertTrue((PACKAGE / name).exists()
                                    or (ROOT / name).exists())

    def test_tests_exist(self):
        names = re.findall(r'``(tests\.[\w.]+)``',
                           (GUIDE / 'leaned-on.rst').read_text())
        self.assertLess(20, len(names))
        for name in names:
            module, _, test = name.rpartition('.')
            with self.subTest(name):
                path = ROOT.joinpath(*module.split('.')).with_suffix('.py')
                self.assertIn(test, [
                    node.name for node in ast.parse(path.read_text()).body
                    if isinstance(node, ast.ClassDef)])
