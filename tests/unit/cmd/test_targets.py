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

from ironic_imagedeploy.cmd import targets
from ironic_imagedeploy import engine
from tests.unit.cmd import base

ERROR = engine.Severity.ERROR
WARNING = engine.Severity.WARNING


class MeasureTest(base.LayoutTestCase):
    """What a command learns of a target before it looks at the image."""

    def test_the_sectors_of_a_file_are_not_its_own(self) -> None:
        self.assertEqual((4096, None, None),
                         targets.measure(str(self.path)))
        self.assertIsNone(targets.sector_size(str(self.path)))

    def test_a_target_that_is_to_come_has_no_sectors(self) -> None:
        self.assertIsNone(targets.sector_size(str(self.path) + '.new'))

    def test_a_target_that_is_missing_is_not_measured(self) -> None:
        with self.assertRaises(engine.exceptions.TargetError):
            targets.measure(str(self.path) + '.new')


class OnlyErrorsTest(base.LayoutTestCase):
    """Another target helps only where nothing else refuses an image."""

    def errors(self, *found: tuple[str, engine.Severity]) -> list[str]:
        """Codes of the errors, when they are about sizes alone."""
        inspection = dataclasses.replace(self.inspection(), findings=tuple(
            engine.Finding(code=code, severity=severity, expected='one',
                           found='another', message='-', fix='-')
            for code, severity in found))
        return [each.code for each in targets.only_errors(
            inspection, 'too-large', 'sector-size')]

    def test_nothing_else_refuses_it(self) -> None:
        self.assertEqual(['too-large', 'sector-size'], self.errors(
            ('too-large', ERROR), ('sector-size', ERROR),
            ('format-mismatch', WARNING)))

    def test_something_else_refuses_it_too(self) -> None:
        self.assertEqual([], self.errors(('too-large', ERROR),
                                         ('format-mismatch', ERROR)))

    def test_nothing_refuses_it(self) -> None:
        self.assertEqual([], self.errors(('sector-size', WARNING)))
