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

"""A docstring begins with the noun, or the verb, that it is about."""

import ast
from collections.abc import Iterator
import pathlib
import re
import unittest

PACKAGE = pathlib.Path(__file__).parents[2] / 'ironic_imagedeploy'
#: Subjects that leave it to the reader what is meant.
DANGLING = re.compile(r'(What|One|It|They|Those|That|All|Is no)\b')
#: A native writes "is not a".
TRANSLATED = re.compile(r'(?<!there) is no (?!longer\b|more\b|other\b)')


def nodes() -> Iterator[tuple[str, ast.AST]]:
    """Every node of the package, with the path of its file."""
    for path in sorted(PACKAGE.rglob('*.py')):
        for node in ast.walk(ast.parse(path.read_text())):
            yield str(path.relative_to(PACKAGE)), node


class DocstringTest(unittest.TestCase):

    def test_first_word(self):
        for path, node in nodes():
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                docstring = ast.get_docstring(node) or ''
                with self.subTest(path=path, docstring=docstring[:60]):
                    self.assertIsNone(DANGLING.match(docstring))

    def test_text(self):
        for path, node in nodes():
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                with self.subTest(path=path, text=node.value[:60]):
                    self.assertIsNone(TRANSLATED.search(node.value))
