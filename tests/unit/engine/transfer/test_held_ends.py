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

import random

from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.transfer import held_ends
from tests.unit.engine import base
from tests.unit.engine import recording
from tests.unit.engine import transfers

MIB = base.MIB
Action = recording.Action

#: Sizes of disks: smaller than one end, than both, odd, and large.
SIZES = (512, 1000, MIB - 512, MIB, MIB + 512, 2 * MIB - 1, 2 * MIB,
         2 * MIB + 512, 3 * MIB + 4097, 5 * MIB)


class HeldEndsTest(base.EngineTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.dice = random.Random(3)

    def scatter(self, held: held_ends.HeldEnds, disk: bytes
                ) -> list[tuple[int, bytes]]:
        """Give a disk in pieces of any size and order; what is let pass."""
        cuts = sorted({0, len(disk), *(
            self.dice.randrange(len(disk)) for _ in range(20))})
        pieces = list(zip(cuts, cuts[1:], strict=False))
        self.dice.shuffle(pieces)
        passed = []
        for start, end in pieces:
            at, view = held.keep(start, memoryview(disk)[start:end])
            if view:
                passed.append((at, bytes(view)))
        return passed

    def test_both_ends_are_at_least_a_mib(self) -> None:
        for size in SIZES:
            with self.subTest(size=size):
                held = held_ends.HeldEnds(size)
                self.assertEqual(min(size, MIB), held.low)
                self.assertLessEqual(held.high, max(size - MIB, held.low))
                self.assertGreater(held.high,
                                   max(size - MIB, held.low) - 4096)

    def test_what_is_kept_back_is_enough_for_any_size(self) -> None:
        """And by less than a page more than it takes."""
        for size in range(5 * MIB - 4098, 5 * MIB + 2, 7):
            more = held_ends.HeldEnds(size).high - (
                size - held_ends.KEPT_BACK)
            self.assertTrue(0 < more <= 4096, size)

    def test_all_but_the_front_passes_while_the_size_is_unknown(self
                                                                ) -> None:
        disk = self.dice.randbytes(5 * MIB)
        held = held_ends.HeldEnds()
        target = recording.RecordingTarget(5 * MIB)
        at, view = held.keep(0, memoryview(disk)[:3 * MIB])
        self.assertEqual((MIB, disk[MIB:3 * MIB]), (at, bytes(view)))
        target.write(at, view)
        held.set_size(5 * MIB)
        target.write(*held.keep(3 * MIB, memoryview(disk)[3 * MIB:]))
        held.write(target)
        self.assert_same(disk, target.disk)

    def test_nothing_of_the_ends_passes(self) -> None:
        for size in SIZES:
            disk = self.dice.randbytes(size)
            for _ in range(5):
                held = held_ends.HeldEnds(size)
                for start, view in self.scatter(held, disk):
                    self.assertGreaterEqual(start, min(size, MIB))
                    self.assertLessEqual(start + len(view),
                                         max(size - MIB, min(size, MIB)))
                    self.assertEqual(disk[start:start + len(view)], view)

    def test_what_passed_and_what_was_kept_are_the_disk(self) -> None:
        for size in SIZES:
            with self.subTest(size=size):
                disk = self.dice.randbytes(size)
                held = held_ends.HeldEnds(size)
                target = recording.RecordingTarget(size)
                for start, view in self.scatter(held, disk):
                    target.write(start, memoryview(view))
                held.write(target)
                self.assert_same(disk, target.disk)

    def test_what_was_never_given_is_zero(self) -> None:
        target = recording.RecordingTarget(2 * MIB)
        held_ends.HeldEnds(2 * MIB).write(target)
        self.assert_holds(target.disk, 0)

    def test_the_first_sector_comes_last_and_each_part_is_flushed(
            self) -> None:
        for sector in (512, 4096):
            target = recording.RecordingTarget(5 * MIB, sector_size=sector)
            held_ends.HeldEnds(5 * MIB).write(target)
            self.assertEqual(
                [Action('write', 4 * MIB, MIB), Action('flush'),
                 Action('write', sector, MIB - sector), Action('flush'),
                 Action('write', 0, sector), Action('flush')], target.log)

    def test_the_first_failure_is_the_last_step(self) -> None:
        for step in range(6):
            with self.subTest(step=step):
                target = recording.RecordingTarget(5 * MIB)
                target.fail_nth(step)
                self.assertRaises(exceptions.TargetError,
                                  held_ends.HeldEnds(5 * MIB).write, target)
                self.assertEqual(step + 1, len(target.log))

    def test_each_part_is_read_back_before_the_next(self) -> None:
        target = recording.RecordingTarget(5 * MIB)
        held_ends.HeldEnds(5 * MIB).write(target, verify=True)
        self.assertEqual(transfers.finished(5 * MIB, verified=True),
                         target.log)

    def test_read_back_finds_a_difference(self) -> None:
        for size in SIZES:
            disk = self.dice.randbytes(size)
            for at in sorted({0, min(size, MIB) - 1, size - 1}):
                held = held_ends.HeldEnds(size)
                self.scatter(held, disk)
                target = recording.RecordingTarget(size)

                def fault(action: Action, at: int = at, target:
                          recording.RecordingTarget = target) -> None:
                    if action.kind == 'read' and (
                            action.start <= at < action.end):
                        target.disk[at] ^= 1

                target.fault = fault
                with self.subTest(size=size, at=at):
                    with self.assertRaises(
                            exceptions.ReadBackMismatch) as caught:
                        held.write(target, verify=True)
                    self.assert_complete(caught.exception)
                    self.assertIn(f'from {target.log[-1].start} to ',
                                  str(caught.exception))
                    self.assertEqual(
                        at < 512, Action('write', 0, min(512, size))
                        in target.log)
