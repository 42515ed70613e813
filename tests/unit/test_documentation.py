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

import ast
import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).parents[2]
PACKAGE = ROOT / 'ironic_imagedeploy'
REFUSALS = ROOT / 'doc' / 'source' / 'admin' / 'refusals.rst'

# What makes a finding: code as a keyword, or as the first argument.
FIRST_ARGUMENT = {'refused', 'warn', 'BadContent'}


def finding_codes() -> set[str]:
    """The codes that some line of the package gives a finding."""
    codes = set()
    for path in PACKAGE.rglob('*.py'):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, 'attr', getattr(node.func, 'id', ''))
            given = [keyword.value for keyword in node.keywords
                     if keyword.arg == 'code']
            if name in FIRST_ARGUMENT:
                given += node.args[:1]
            codes |= {value.value for value in given
                      if isinstance(value, ast.Constant)
                      and isinstance(value.value, str)}
    return codes


class FindingCodesTest(unittest.TestCase):

    def test_each_code_is_explained_and_no_other(self):
        explained = re.findall(r'^   \* - ``([a-z-]+)``',
                               REFUSALS.read_text(), re.MULTILINE)
        self.assertEqual(sorted(finding_codes()), sorted(explained))
