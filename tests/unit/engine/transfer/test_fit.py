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

"""Does the image fit on the target?"""

import dataclasses

from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.transfer import fit
from ironic_imagedeploy.engine.transfer import held_ends
from tests.unit.engine import disks
from tests.unit.engine import memory
from tests.unit.engine import recording
from tests.unit.engine import transfers

MIB = transfers.MIB


class FitTestCase(transfers.TransferTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.inspection = self.raw(4 * MIB)
        self.target = recording.RecordingTarget(4 * MIB)

    def gpt(self, sector_size: int = 512, *, last: int = 0
            ) -> engine.Inspection:
        """A disk of 4 MiB with a GPT.

        :param last: last usable sector, by which the disk may have to be
            larger.
        """
        return engine.inspect(memory.MemorySource(disks.gpt(
            4 * MIB, sector_size=sector_size, first_usable=34,
            last_usable=last or 4 * MIB // sector_size - 34)))


class RequireFitTest(FitTestCase):

    def test_a_disk_of_the_same_size_or_more(self) -> None:
        for size in (4 * MIB, 4 * MIB + 512):
            fit.require_fit(self.inspection, recording.RecordingTarget(size))

    def test_a_smaller_disk(self) -> None:
        self.target.size -= 1
        for size in (None, 4 * MIB):
            with self.assertRaises(exceptions.TargetTooSmall) as caught:
                fit.require_fit(self.inspection, self.target, size)
            self.assert_complete(caught.exception)
            self.assertEqual(
                (f'at least {4 * MIB} bytes', f'{4 * MIB - 1} bytes'),
                (caught.exception.expected, caught.exception.found))

    def test_another_size_than_the_tables_say(self) -> None:
        fit.require_fit(self.inspection, recording.RecordingTarget(MIB), MIB)
        with self.assertRaises(exceptions.TargetTooSmall):
            fit.require_fit(self.inspection, self.target, 4 * MIB + 1)

    def test_a_partition_table_that_needs_more(self) -> None:
        inspection = self.gpt(last=4 * MIB // 512 + 100)
        least = inspection.least_disk
        self.assertGreater(least, 4 * MIB)
        fit.require_fit(inspection, recording.RecordingTarget(least))
        with self.assertRaises(exceptions.TargetTooSmall) as caught:
            fit.require_fit(inspection, recording.RecordingTarget(least - 1))
        self.assertIn(str(least), caught.exception.expected)

    def test_a_new_file_that_would_grow_beyond_its_bound(self) -> None:
        self.target.created = True
        fit.require_fit(self.inspection, self.target)
        with self.assertRaises(exceptions.ImageRefused) as caught:
            fit.require_fit(self.inspection, self.target, 4 * MIB + 1)
        finding, = caught.exception.findings
        self.assert_complete(finding)
        self.assertEqual(
            ('decompression-bomb',
             {'size': 4 * MIB + 1, 'stored_size': 4 * MIB}),
            (finding.code, dict(finding.data)))

    def test_more_than_was_expected(self) -> None:
        target = recording.RecordingTarget(6 * MIB)
        for most, is_refused in ((4 * MIB, False), (4 * MIB - 1, True)):
            inspection = dataclasses.replace(
                self.inspection,
                expectation=engine.Expectation(disk_size=most))
            if not is_refused:
                fit.require_fit(inspection, target)
                continue
            with self.assertRaises(exceptions.ImageRefused) as caught:
                fit.require_fit(inspection, target)
            self.assertIn('memory', str(caught.exception))

    def test_sectors_of_another_size(self) -> None:
        for counted, own, fixed, is_good in (
                (512, 512, True, True), (512, 4096, True, False),
                (512, 4096, False, True), (4096, 512, True, False),
                (None, 4096, True, True)):
            inspection = self.gpt(counted) if counted else self.inspection
            target = recording.RecordingTarget(4 * MIB, sector_size=own)
            target.fixed_sectors = fixed  # type: ignore[misc]
            with self.subTest(counted=counted, own=own, fixed=fixed):
                if is_good:
                    fit.require_fit(inspection, target)
                    continue
                with self.assertRaises(
                        exceptions.SectorSizeMismatch) as caught:
                    fit.require_fit(inspection, target)
                self.assert_complete(caught.exception)
                self.assertIn(f'sectors of {counted} bytes',
                              caught.exception.expected)
                self.assertEqual(f'{own} bytes', caught.exception.found)


class SizeGuardTest(FitTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.adapted: list[int] = []
        self.target.adapt = self.adapted.append  # type: ignore

    def test_it_knows_what_it_has_learned(self) -> None:
        guard = fit.SizeGuard(self.inspection, self.target)
        self.assertEqual(0, guard.size)
        guard.at_least(MIB)
        self.assertEqual((MIB, []), (guard.size, self.adapted))
        guard.final(3 * MIB)
        self.assertEqual((3 * MIB, [3 * MIB]), (guard.size, self.adapted))

    def test_the_ends_that_are_held_learn_the_size(self) -> None:
        held = held_ends.HeldEnds()
        guard = fit.SizeGuard(self.inspection, self.target, held)
        guard.at_least(3 * MIB)
        self.assertGreater(held.high, 4 * MIB)
        guard.final(4 * MIB)
        self.assertEqual(3 * MIB, held.high)

    def test_a_new_file_is_as_large_as_its_table_says(self) -> None:
        inspection = self.gpt(last=4 * MIB // 512 + 100)
        self.target.size = 8 * MIB
        fit.SizeGuard(inspection, self.target).final(4 * MIB)
        self.assertEqual([inspection.least_disk], self.adapted)

    def test_what_does_not_fit_is_stopped(self) -> None:
        held = held_ends.HeldEnds()
        guard = fit.SizeGuard(self.inspection, self.target, held)
        for learn in (guard.at_least, guard.final):
            self.assertRaises(exceptions.TargetTooSmall, learn, 4 * MIB + 1)
        self.assertEqual((0, []), (guard.size, self.adapted))
        self.assertGreater(held.high, 8 * MIB)
