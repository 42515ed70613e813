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


"""The page about security names tests that exist, and advisories."""

import ast
import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).parents[2]
PAGE = ROOT / 'doc' / 'source' / 'admin' / 'security.rst'
#: Advisories of OpenStack for this path that were known when it was written.
ADVISORIES = ('CVE-2024-44082', 'CVE-2024-47211', 'OSSA-2025-001',
              'CVE-2026-43003', 'CVE-2026-44919', 'CVE-2026-48681',
              'CVE-2026-54422')
NAME = re.compile(r'``(tests\.[\w.]+)``')


def tests(file: pathlib.Path) -> list[str]:
    """Classes of a module that have tests, or get some."""
    return [node.name for node in ast.parse(file.read_text()).body
            if isinstance(node, ast.ClassDef) and node.name.endswith('Test')]


class SecurityPageTest(unittest.TestCase):

    def test_its_tests_exist(self) -> None:
        names = set(NAME.findall(PAGE.read_text())) - {
            'tests.unit.test_security'}
        self.assertLess(25, len(names))
        for name in names:
            module, _, test = name.rpartition('.')
            with self.subTest(name):
                self.assertIn(test, tests(ROOT.joinpath(
                    *module.split('.')).with_suffix('.py')))

    def test_each_threat_has_a_test(self) -> None:
        table = PAGE.read_text().split('   * - Who\n')[1].split('\nWhere')[0]
        rows = re.split(r'\n   \* -', table)[1:]
        self.assertLess(20, len(rows))
        for row in rows:
            with self.subTest(row[:80]):
                self.assertRegex(row.split('\n     - ')[-1], NAME)

    def test_each_advisory_is_answered_by_a_test(self) -> None:
        text = PAGE.read_text().split('Advisories of OpenStack\n')[1]
        for advisory in ADVISORIES:
            with self.subTest(advisory):
                answer = re.search(
                    rf'^{advisory}\b.*\n((?:    .*\n)+)', text, re.MULTILINE)
                assert answer
                self.assertRegex(answer[1], NAME)

    def test_where_to_report_is_said(self) -> None:
        for file in ('SECURITY.rst', 'doc/source/admin/security.rst',
                     'CONTRIBUTING.rst'):
            self.assertIn('SECURITY.rst' if file != 'SECURITY.rst'
                          else 'security.openstack.org/reporting',
                          (ROOT / file).read_text())
