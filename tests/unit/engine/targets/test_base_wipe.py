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

"""Both ends of a disk are wiped, whatever fails."""

from ironic_imagedeploy.engine import exceptions
from tests.unit.engine import base
from tests.unit.engine import recording

KIB = base.KIB
MIB = base.MIB


class WipeTest(base.EngineTestCase):

    def ranges(self, size: int, sector_size: int = 512
               ) -> list[list[tuple[int, int]]]:
        """Starts and ends of what is zeroed, by what is flushed together."""
        target = recording.RecordingTarget(size, sector_size=sector_size)
        target.wipe_ends()
        steps: list[list[tuple[int, int]]] = [[]]
        for action in target.log:
            if action.kind == 'flush':
                steps.append([])
            else:
                self.assertEqual('zero', action.kind)
                steps[-1].append((action.start, action.end))
        self.assertEqual([], steps.pop())
        return steps

    def test_what_firmware_begins_with_is_gone_before_the_rest(self) -> None:
        for size, sector, steps in (
                (5 * MIB, 512, [
                    [(0, 512)], [(32 * KIB, 32 * KIB + 512)],
                    [(512, MIB), (4 * MIB, 5 * MIB)]]),
                (5 * MIB, 4096, [
                    [(0, 4096)], [(32 * KIB, 36 * KIB)],
                    [(4096, MIB), (4 * MIB, 5 * MIB)]]),
                (2 * MIB - 512, 512, [
                    [(0, 512)], [(32 * KIB, 32 * KIB + 512)],
                    [(512, MIB), (MIB, 2 * MIB - 512)]]),
                (MIB + 512, 512, [
                    [(0, 512)], [(32 * KIB, 32 * KIB + 512)],
                    [(512, MIB), (MIB, MIB + 512)]]),
                (MIB, 512, [
                    [(0, 512)], [(32 * KIB, 32 * KIB + 512)], [(512, MIB)]]),
                (33 * KIB, 4096, [
                    [(0, 4096)], [(32 * KIB, 33 * KIB)],
                    [(4096, 33 * KIB)]]),
                (32 * KIB, 512, [[(0, 512)], [(512, 32 * KIB)]]),
                (1000, 512, [[(0, 512)], [(512, 1000)]]),
                (512, 512, [[(0, 512)]]), (100, 512, [[(0, 100)]])):
            with self.subTest(size=size, sector=sector):
                self.assertEqual(steps, self.ranges(size, sector))

    def failed(self, target: recording.RecordingTarget
               ) -> exceptions.TargetMayBoot:
        with self.assertRaises(exceptions.TargetMayBoot) as caught:
            target.wipe_ends()
        self.assertIn('recording', str(caught.exception))
        return caught.exception

    def test_a_flush_that_fails_is_told_and_the_rest_is_wiped(self) -> None:
        for number in (1, 3, 6):
            target = recording.RecordingTarget(4 * MIB)
            target.fail_nth(number)
            error = self.failed(target)
            self.assertIn('flush at byte 0', error.found)
            self.assert_holds(target.disk[:MIB], 0)
            self.assert_holds(target.disk[3 * MIB:], 0)

    def test_the_first_error_is_the_cause(self) -> None:
        target = recording.RecordingTarget(4 * MIB)
        target.fault = target.fail
        cause = self.failed(target).__cause__
        self.assertIsInstance(cause, exceptions.TargetError)
        self.assertIn('write at byte 0', str(cause))

    def test_a_disk_that_zeroes_nothing_is_written(self) -> None:
        target = recording.RecordingTarget(4 * MIB, fast_zero=False)
        target.wipe_ends()
        # One sector is written twice.
        self.assertEqual(2 * MIB + 512, target.zeroes_written)
        self.assertEqual(
            [(0, 512), (32 * KIB, 512), (512, MIB - 512), (3 * MIB, MIB)],
            [action[1:] for action in target.of_kind('write')])

    def test_bad_sectors_are_looked_for_by_halves(self) -> None:
        for sector_size in (512, 4096):
            for bad in (0, 1, 127, 255):
                target = recording.RecordingTarget(
                    256 * sector_size, sector_size=sector_size)

                def fault(action: recording.Action,
                          at: int = bad * sector_size,
                          target: recording.RecordingTarget = target) -> None:
                    if action.changes and action.start <= at < action.end:
                        target.fail(action)

                target.fault = fault
                with self.subTest(sector_size=sector_size, bad=bad):
                    error, = target._wipe(0, 256 * sector_size)
                    self.assertIn(f'write at byte {bad * sector_size}',
                                  str(error))
                    # Zeroed, written, and then halves of what is bad.
                    self.assertEqual(2 + 2 * 8, len(target.log))
                    self.assertEqual(
                        [bad * sector_size],
                        [at for at in range(0, target.size, sector_size)
                         if target.disk[at]])

    def test_a_dying_disk_is_not_asked_for_each_sector(self) -> None:
        target = recording.RecordingTarget(512 * KIB, fast_zero=False)
        target.fault = target.fail
        errors = target._wipe(0, 512 * KIB)
        # Ten halvings, and up to four sectors; then no more halves.
        self.assertEqual(1 + 25, len(target.log))
        self.assertEqual(13, len(errors))

    def test_an_odd_number_of_sectors(self) -> None:
        target = recording.RecordingTarget(7 * 512)
        target.fault = lambda action: (
            target.fail(action) if action.length > 512 else None)
        self.assertEqual([], target._wipe(0, 7 * 512))
        self.assertEqual(
            [(start * 512, 512) for start in range(7)],
            [action[1:] for action in target.of_kind('write')
             if action.length == 512])
