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

from ironic_imagedeploy import engine
from tests.unit.engine import base


class CodesTest(base.EngineTestCase):
    """No code without a test here."""

    def test_every_code_of_the_engine_is_tested(self) -> None:
        tested = {
            node.value for path in pathlib.Path(__file__).parents[1].rglob(
                'test_*.py')
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Constant)}
        codes = codes_of_the_engine()
        self.assertGreater(len(codes), 20)
        self.assertEqual(set(), codes - tested)

    def test_the_codes_are_these(self) -> None:
        """A code never changes its meaning, and none goes away."""
        self.assertLessEqual(
            {'not-an-image', 'format-mismatch', 'format-not-permitted',
             'format-unsupported', 'format-ambiguous', 'backing-file',
             'data-file', 'external-extent', 'encrypted', 'unknown-feature',
             'corrupt', 'truncated', 'internal-snapshot', 'too-large',
             'sector-size', 'image-type-mismatch', 'no-partition-table',
             'no-esp', 'no-bios-boot', 'arch-mismatch', 'checksum-missing',
             'checksum-weak', 'dirty', 'no-bootloader',
             'bootloader-unknown', 'file-system-unsupported'},
            codes_of_the_engine())


def codes_of_the_engine() -> set[str]:
    """The codes that the engine's source names where it makes findings."""
    codes = set()
    for path in pathlib.Path(engine.__file__).parent.rglob('*.py'):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func).rpartition('.')[2]
            named = [keyword.value for keyword in node.keywords
                     if keyword.arg == 'code' and called == 'Finding']
            if called in ('refused', 'warn', 'BadContent') and node.args:
                named.append(node.args[0])
            codes |= {value.value for value in named
                      if isinstance(value, ast.Constant)}
    return codes
