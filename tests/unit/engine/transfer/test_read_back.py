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

import threading

from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.transfer import meter
from ironic_imagedeploy.engine.transfer import read_back
from tests.unit.engine import base
from tests.unit.engine import recording
from tests.unit.engine import transfers

KIB = base.KIB
MIB = base.MIB
Action = recording.Action


class LedgerTest(base.EngineTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.target = recording.RecordingTarget(4 * MIB)
        self.target.disk[:] = transfers.noise(4 * MIB)
        self.told: list[meter.Progress] = []
        self.meter = meter.Meter(4 * MIB, self.told.append)

    def noted(self, mode: str, count: int = 64) -> read_back.Ledger:
        """A ledger of pieces of 64 KiB, as they are on the disk."""
        ledger = read_back.Ledger(mode)
        for start in range(0, count * 64 * KIB, 64 * KIB):
            ledger.note(start, memoryview(
                self.target.disk)[start:start + 64 * KIB])
        return ledger

    def test_nothing_is_read_for_none(self) -> None:
        self.noted('none').verify(self.target, self.meter)
        self.assertEqual([], self.target.log)

    def test_everything_is_read_for_full(self) -> None:
        self.noted('full').verify(self.target, self.meter)
        self.assertEqual(
            [Action('drop_cache'), *(
                Action('read', start, 64 * KIB)
                for start in range(0, 4 * MIB, 64 * KIB))], self.target.log)

    def test_one_of_sixteen_is_read_for_sample(self) -> None:
        self.noted('sample').verify(self.target, self.meter)
        self.assertEqual(4, len(self.target.of_kind('read')))

    def test_a_difference_in_any_byte_is_found(self) -> None:
        ledger = self.noted('full', 3)
        for at in (0, 64 * KIB - 1, 64 * KIB, 192 * KIB - 1):
            with self.subTest(at=at):
                self.target.disk[at] ^= 1
                with self.assertRaises(
                        exceptions.ReadBackMismatch) as caught:
                    ledger.verify(self.target, self.meter)
                self.assert_complete(caught.exception)
                start = at - at % (64 * KIB)
                self.assertIn(f'{start} to {start + 64 * KIB - 1}',
                              caught.exception.expected)
                self.target.disk[at] ^= 1
        ledger.verify(self.target, self.meter)

    def test_zeroes_are_read_back_too(self) -> None:
        for mode, at in (('full', 3 * MIB), ('sample', 17)):
            ledger = read_back.Ledger(mode)
            ledger.note_zero(0, 4 * MIB)
            self.target.disk[:] = bytes(4 * MIB)
            ledger.verify(self.target, self.meter)
            self.target.disk[at] = 1
            with self.subTest(mode=mode), self.assertRaises(
                    exceptions.ReadBackMismatch):
                ledger.verify(self.target, self.meter)

    def test_the_progress_ends_at_the_total(self) -> None:
        ledger = self.noted('full', count=32)
        ledger.note_zero(2 * MIB, 2 * MIB)
        self.target.disk[2 * MIB:] = bytes(2 * MIB)
        self.meter.enter('read-back', ledger.total)
        ledger.verify(self.target, self.meter)
        self.assertEqual(('read-back', 4 * MIB, 4 * MIB), self.told[-1][:3])

    def test_zeroes_are_not_read_for_none(self) -> None:
        ledger = read_back.Ledger('none')
        ledger.note_zero(0, 4 * MIB)
        ledger.verify(self.target, self.meter)
        self.assertEqual([], self.target.log)

    def test_notes_of_several_threads(self) -> None:
        ledger = read_back.Ledger('full')

        def note(first: int) -> None:
            for start in range(first, 4 * MIB, 4 * KIB):
                ledger.note(start, memoryview(
                    self.target.disk)[start:start + KIB])

        threads = [threading.Thread(target=note, args=(index * KIB,))
                   for index in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        ledger.verify(self.target, self.meter)
        self.assertEqual(4096, len(self.target.of_kind('read')))
        self.target.disk[2 * MIB + 17] ^= 1
        self.assertRaises(exceptions.ReadBackMismatch, ledger.verify,
                          self.target, self.meter)

    def test_modes(self) -> None:
        self.assertEqual(('none', 'sample', 'full'), read_back.MODES)
        for mode in read_back.MODES:
            read_back.Ledger(mode)


class ComparisonTest(base.EngineTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.target = recording.RecordingTarget(4 * MIB)
        self.meter = meter.Meter(4 * MIB)
        self.comparison = read_back.Comparison(self.target, self.meter)

    def test_equal_bytes(self) -> None:
        self.comparison.write(100, memoryview(b'\xa5' * 1000))
        self.assertEqual((1000, 0), (self.meter.written, self.meter.zeroed))

    def test_other_bytes(self) -> None:
        with self.assertRaises(exceptions.ReadBackMismatch) as caught:
            self.comparison.write(100, memoryview(b'\xa5' * 999 + b'\xa4'))
        self.assertIn('100 to 1099', str(caught.exception))

    def test_zeroes(self) -> None:
        self.target.disk[MIB - 5:3 * MIB + 5] = bytes(2 * MIB + 10)
        self.comparison.zero(MIB - 5, 2 * MIB + 10)
        self.assertEqual((0, 2 * MIB + 10),
                         (self.meter.written, self.meter.zeroed))

    def test_no_zeroes(self) -> None:
        self.target.disk[:] = bytes(4 * MIB)
        for at in (MIB, 2 * MIB, 3 * MIB - 1):
            with self.subTest(at=at):
                self.target.disk[at] = 1
                self.assertRaises(exceptions.ReadBackMismatch,
                                  self.comparison.zero, MIB, 2 * MIB)
                self.target.disk[at] = 0

    def test_large_zeroes_are_read_in_steps(self) -> None:
        self.target.disk[:] = bytes(4 * MIB)
        self.comparison.zero(0, 4 * MIB)
        self.assertLessEqual(
            max(action.length for action in self.target.log), MIB)
