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


import json

import jsonschema

from ironic_imagedeploy.contract import progress
from ironic_imagedeploy.engine import findings
from tests.support import schema
from tests.unit.cmd import program


class SchemaTest(program.CommandTestCase):
    """What is documented is what is printed, key by key."""

    def assert_exact(self, form: str, value: dict[str, object]) -> None:
        validator = schema.validator(form)
        validator.validate(value)
        with self.assertRaises(jsonschema.ValidationError):
            validator.validate({**value, 'another': 1})
        for key in value:
            with self.subTest(form, without=key), self.assertRaises(
                    jsonschema.ValidationError):
                validator.validate({
                    name: value[name] for name in value if name != key})

    def printed(self, *arguments: object) -> dict[str, object]:
        self.assertEqual(0, self.run_main(*arguments, '--json'), self.err)
        value: dict[str, object] = json.loads(self.out)
        return value

    def test_check_and_map(self) -> None:
        self.assert_exact('check', self.printed('check', self.image))
        self.assert_exact('map', self.printed('map', self.image))

    def test_report(self) -> None:
        for command in ('write', 'verify'):
            self.assert_exact('report', self.printed(
                command, self.image, self.target))

    def test_mend_of_a_disk(self) -> None:
        printed = self.printed('mend', self.image)
        self.assertFalse(printed['repaired'])
        self.assert_exact('repair', printed)

    def test_finding(self) -> None:
        self.assertEqual(4, self.run_main(
            'check', self.image, '--json', '--disk-format', 'qcow2'))
        for finding in json.loads(self.out)['findings']:
            self.assert_exact('finding', finding)

    def test_error(self) -> None:
        self.assertEqual(3, self.run_main(
            'check', self.directory / 'missing', '--json'))
        self.assert_exact('error', json.loads(self.out))

    def test_every_severity_and_retry_is_documented(self) -> None:
        fields = schema.validator('finding').schema['$defs']['finding'][
            'properties']
        for name, values in (('severity', findings.Severity),
                             ('retry', findings.Retry)):
            self.assertEqual({str(value) for value in values},
                             set(fields[name]['enum']))

    def test_progress_of_a_node(self) -> None:
        self.assert_exact('progress', progress.ProgressRecord(
            phase='write', done=1, total=2, percent=50.0,
            stalled=progress.Stall(since='2026-11-23T01:00:14+00:00',
                                   waiting_for='agent')).to_dict())
