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

"""The jobs, held against the schemas of Zuul itself."""

import json
import typing

import yaml

from tests.functional import releases

_JOBS = releases.ROOT / '.zuul.yaml'
_PACKAGE = 'zuul>=14'
#: Its parsers have the schemas before they are told what they parse for.
_PROGRAM = """
import json
import sys
from unittest import mock

from zuul import configloader

parsers = {'job': configloader.JobParser,
           'project': configloader.ProjectParser}
for item in json.load(open(sys.argv[1])):
    (kind, body), = item.items()
    parser = parsers[kind](mock.Mock())
    schema = getattr(parser, 'schema', None) or parser.getSchema()
    schema(body)
"""


class ZuulTest(releases.ReleaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.environment = releases.Environment(self.new_folder())
        self.environment.run('pip', 'install', '-q', _PACKAGE)
        self.path = self.environment.folder / 'jobs.json'
        self.program = self.environment.folder / 'check.py'
        self.program.write_text(_PROGRAM)

    def check(self, items: list[typing.Any]) -> None:
        """Let Zuul look at jobs and a project.

        :raises AssertionError: with what it said.
        """
        self.path.write_text(json.dumps(items))
        self.environment.run('python', self.program, self.path)

    def test_schema(self) -> None:
        items = yaml.safe_load(_JOBS.read_text())
        self.check(items)
        job = items[0]['job']
        for wrong, reason in (
                ({'job': {**job, 'parents': 'base'}}, 'extra keys'),
                ({'job': {**job, 'timeout': 'long'}}, 'expected int'),
                ({'project': {'check': {'jobs': 5}}}, 'check')):
            with self.assertRaisesRegex(AssertionError, reason):
                self.check([wrong])
