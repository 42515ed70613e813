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
import string
import unittest

from ironic_imagedeploy.engine import catalogue
from ironic_imagedeploy.engine import findings


class FindingTest(unittest.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.finding = findings.Finding(
            code='too-large', expected='10 bytes at most', found='11 bytes',
            data={'place': 'disk', 'size': 11})

    def test_the_severity_is_that_of_the_code_unless_it_is_given(self) -> None:
        self.assertIs(findings.Severity.ERROR, self.finding.severity)
        for given, severity in ((None, findings.Severity.WARNING),
                                (findings.Severity.ERROR,) * 2):
            self.assertIs(severity, findings.Finding(
                code='dirty', expected='this', found='that',
                severity=given).severity)

    def test_the_sentence_has_everything(self) -> None:
        self.assertEqual(
            'too-large: The image is larger than the disk. Expected 10 bytes '
            'at most, found 11 bytes. Use a smaller image, or a larger disk.',
            str(self.finding))

    def test_the_json_has_exactly_the_promised_keys(self) -> None:
        self.assertEqual(
            {'code': 'too-large', 'severity': 'error',
             'expected': '10 bytes at most', 'found': '11 bytes',
             'message': 'The image is larger than the disk.',
             'fix': 'Use a smaller image, or a larger disk.',
             'retry': 'elsewhere', 'link': 'admin/refusals.html#too-large',
             'case': None, 'data': {'place': 'disk', 'size': 11}},
            json.loads(json.dumps(self.finding.to_dict())))

    def test_the_json_makes_the_finding_again(self) -> None:
        for finding in (self.finding, dataclasses.replace(
                self.finding, severity=findings.Severity.WARNING,
                fix='Do it.', case='node')):
            self.assertEqual(finding, findings.Finding.from_dict(
                json.loads(json.dumps(finding.to_dict()))))

    def test_a_finding_does_not_change(self) -> None:
        with self.assertRaises(dataclasses.FrozenInstanceError):
            self.finding.code = 'other'  # type: ignore[misc]

    def test_no_code_without_an_entry(self) -> None:
        for wrong in ({'code': 'odd'}, {'code': 'dirty', 'case': 'odd'}):
            self.assertRaises(KeyError, findings.Finding, expected='this',
                              found='that', **wrong)

    def test_the_remedy_names_the_file(self) -> None:
        finding = findings.Finding(code='backing-file', expected='none',
                                   found='one')
        self.assertEqual('Make it self-contained: qemu-img convert -O qcow2 '
                         'FILE NEW', finding.fix)
        self.assertEqual("Make it self-contained: qemu-img convert -O qcow2 "
                         "'my disk.qcow2' NEW",
                         finding.fix_for("'my disk.qcow2'"))


class CatalogueTest(unittest.TestCase):

    def test_each_case_has_its_sentences(self) -> None:
        for code, entry in catalogue.ENTRIES.items():
            self.assertTrue(entry.meaning.endswith('.'), code)
            for case in ('', *entry.cases):
                with self.subTest(code=code, case=case):
                    data = dict.fromkeys(_names(entry, case), 'DATA')
                    finding = findings.Finding(
                        code=code, case=case, expected='this', found='that',
                        data=data)
                    self.assertTrue(finding.message.endswith('.'))
                    self.assertTrue(finding.fix)

    def test_the_codes_are_these(self) -> None:
        """A code never changes its meaning, and none goes away."""
        self.assertLessEqual(
            {'not-an-image', 'format-mismatch', 'format-not-permitted',
             'format-unsupported', 'format-ambiguous', 'backing-file',
             'data-file', 'external-extent', 'encrypted', 'unknown-feature',
             'corrupt', 'truncated', 'internal-snapshot', 'too-large',
             'decompression-bomb', 'too-complex', 'too-fragmented',
             'sector-size',
             'image-type-mismatch', 'no-partition-table', 'no-esp',
             'no-bios-boot', 'arch-mismatch', 'checksum-missing',
             'checksum-weak', 'dirty', 'no-bootloader', 'bootloader-unknown',
             'file-system-unsupported', 'image-not-found',
             'image-unreadable', 'checksum-invalid', 'checksum-mismatch',
             'container-format', 'kernel-options-unsafe',
             'firmware-mismatch', 'not-a-kernel', 'not-an-initramfs',
             'boot-file-too-large'}, set(catalogue.ENTRIES))


def _names(entry: catalogue.Entry, case: str) -> set[str]:
    """The data that the sentences need."""
    sentences = entry.case(case)
    return {name for text in (sentences.message, sentences.fix)
            for _, name, _, _ in string.Formatter().parse(text) if name}
