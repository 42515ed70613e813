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

"""The dashboard, held against the schema that Grafana publishes."""

import json
import shutil
import unittest

from tests.functional import releases

_PAGE = releases.ROOT / 'doc/source/admin/monitoring/dashboard.json'
_PACKAGES = ('@grafana/schema@11.6.0', 'typescript@5.8.3')
#: A member that the schema does not have, or of another type, is an error.
#: What is an enumeration in the schema is its text in a file.
_PROGRAM = """
import {{ Dashboard }} from '@grafana/schema';
type Plain<T> = T extends string ? `${{T}}`
    : T extends (infer E)[] ? Plain<E>[]
    : T extends object ? {{ [K in keyof T]: Plain<T[K]> }} : T;
export const dashboard: Plain<Dashboard> = {dashboard};
"""


@unittest.skipUnless(shutil.which('npm'), 'npm is not here')
class DashboardTest(releases.ReleaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.folder = self.new_folder()
        releases.run('npm', 'install', '--silent', '--no-audit', '--no-fund',
                     '--ignore-scripts', '--prefix', self.folder, *_PACKAGES)

    def compile(self, dashboard: object) -> None:
        """Let the compiler compare it with the schema.

        :raises AssertionError: with what it said.
        """
        program = self.folder / 'check.ts'
        program.write_text(_PROGRAM.format(dashboard=json.dumps(dashboard)))
        releases.run(
            'node', self.folder / 'node_modules/typescript/bin/tsc',
            '--noEmit', '--skipLibCheck', '--moduleResolution', 'node',
            '--target', 'es2022', program)

    def test_schema(self) -> None:
        dashboard = json.loads(_PAGE.read_text())
        self.compile(dashboard)
        for wrong, reason in (({'refreshes': '30s'}, 'refreshes'),
                              ({'schemaVersion': '39'}, 'not assignable')):
            with self.assertRaisesRegex(AssertionError, reason):
                self.compile(dashboard | wrong)
