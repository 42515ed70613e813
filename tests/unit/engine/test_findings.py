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

import dataclasses
import json
import unittest

from ironic_imagedeploy.engine import findings


class FindingTest(unittest.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.finding = findings.Finding(
            code='too-large', message='The image is larger than the disk.',
            expected='10 bytes at most', found='11 bytes',
            fix='Use a smaller image.')

    def test_a_finding_refuses_unless_it_is_a_warning(self) -> None:
        self.assertIs(findings.Severity.ERROR, self.finding.severity)

    def test_the_sentence_has_everything(self) -> None:
        self.assertEqual(
            'too-large: The image is larger than the disk. Expected 10 bytes '
            'at most, found 11 bytes. Use a smaller image.',
            str(self.finding))

    def test_the_json_has_exactly_the_promised_keys(self) -> None:
        self.assertEqual(
            {'code': 'too-large', 'severity': 'error',
             'expected': '10 bytes at most', 'found': '11 bytes',
             'message': 'The image is larger than the disk.',
             'fix': 'Use a smaller image.'},
            json.loads(json.dumps(self.finding.to_dict())))

    def test_a_warning_says_so(self) -> None:
        warning = dataclasses.replace(self.finding,
                                      severity=findings.Severity.WARNING)
        self.assertEqual('warning', warning.to_dict()['severity'])

    def test_a_finding_does_not_change(self) -> None:
        with self.assertRaises(dataclasses.FrozenInstanceError):
            self.finding.code = 'other'  # type: ignore[misc]
