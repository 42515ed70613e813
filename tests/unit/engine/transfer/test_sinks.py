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

import time
from unittest import mock

from ironic_imagedeploy.engine import bmap
from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.transfer import held_ends
from ironic_imagedeploy.engine.transfer import journal as journals
from ironic_imagedeploy.engine.transfer import meter
from ironic_imagedeploy.engine.transfer import read_back
from ironic_imagedeploy.engine.transfer import sinks
from tests.unit.engine import base
from tests.unit.engine import recording
from tests.unit.engine import transfers

MIB = base.MIB


class Log:
    """What reaches a sink."""

    zero_step = 12345

    def __init__(self) -> None:
        self.steps: list[tuple[object, ...]] = []

    def write(self, start: int, view: memoryview) -> None:
        self.steps.append((start, bytes(view)))

    def zero(self, start: int, length: int) -> None:
        self.steps.append((start, length))


class WritingSinkTest(base.EngineTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.target = recording.RecordingTarget(8 * MIB)
        self.held = held_ends.HeldEnds(8 * MIB)
        self.log = read_back.WriteLog('full')
        self.meter = meter.Meter()

    def test_the_ends_are_held_and_the_rest_is_written(self) -> None:
        sink = sinks.WritingSink(self.target, self.held, self.log, self.meter)
        content = transfers.noise(8 * MIB)
        for start, end in ((0, MIB), (MIB, MIB + 1), (MIB + 1, 7 * MIB + 1),
                           (7 * MIB + 1, 8 * MIB)):
            sink.write(start, memoryview(content)[start:end])
        self.assertEqual(
            [('write', MIB, 1), ('write', MIB + 1, 6 * MIB - 1)],
            self.target.log)
        self.assertEqual((8 * MIB, 0), (self.meter.written,
                                        self.meter.zeroed))
        self.assertEqual(6 * MIB, self.log.total)
        self.log.verify(self.target, self.meter)
        self.held.write(self.target)
        self.assert_same(content, self.target.disk)

    def test_the_journal_is_told_what_is_on_the_disk(self) -> None:
        journal = mock.create_autospec(journals.Journal, instance=True)
        sink = sinks.WritingSink(self.target, self.held, self.log, self.meter,
                                 journal)
        sink.write(0, memoryview(bytes(MIB)))
        sink.zero(0, MIB)
        sink.zero(7 * MIB, MIB)
        self.assertEqual([], journal.mock_calls)
        sink.write(MIB - 1, memoryview(b'abc'))
        sink.zero(7 * MIB - 2, 5)
        self.assertEqual(
            [mock.call.wrote(MIB, b'bc'), mock.call.zeroed(7 * MIB - 2, 2)],
            journal.mock_calls)
        self.assertEqual((MIB + 3, 2 * MIB + 5), (self.meter.written,
                                                  self.meter.zeroed))

    def test_what_takes_time_is_the_disk(self) -> None:
        self.meter.spent(meter.Stage.WAIT, 1e-9)
        self.target.fault = lambda action: time.sleep(0.001)
        sink = sinks.WritingSink(self.target, self.held, self.log, self.meter)
        sink.write(MIB, memoryview(b'a'))
        self.assertEqual('disk', self.meter.bottleneck)

    def test_what_the_disk_does_not_take_is_not_logged(self) -> None:
        journal = mock.create_autospec(journals.Journal, instance=True)
        self.target.fault = self.target.fail
        sink = sinks.WritingSink(self.target, self.held, self.log, self.meter,
                                 journal)
        for call in (lambda: sink.write(MIB, memoryview(b'a')),
                     lambda: sink.zero(MIB, 512)):
            self.assertRaises(exceptions.TargetError, call)
        self.assertEqual(([], 0, 0, 0), (
            journal.mock_calls, self.log.total, self.meter.written,
            self.meter.zeroed))

    def test_zeroes_are_logged_as_they_are_made(self) -> None:
        sink = sinks.WritingSink(self.target, self.held, self.log, self.meter)
        for start, length in ((0, 3 * MIB), (4 * MIB, 512), (6 * MIB, 2 * MIB),
                              (8 * MIB - 512, 512), (0, MIB), (7 * MIB, MIB),
                              (5 * MIB + 5, 99)):
            sink.zero(start, length)
        self.assertEqual(
            [('zero', MIB, 2 * MIB), ('zero', 4 * MIB, 512),
             ('zero', 6 * MIB, MIB), ('zero', 5 * MIB + 5, 99)],
            self.target.log)
        self.assertEqual(3 * MIB + 611, self.log.total)
        self.assertEqual((0, 7 * MIB + 1123), (self.meter.written,
                                               self.meter.zeroed))


class ComparingSinkTest(base.EngineTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.target = recording.RecordingTarget(4 * MIB)
        self.meter = meter.Meter()
        self.sink = sinks.ComparingSink(self.target, self.meter)

    def test_equal_bytes(self) -> None:
        self.sink.write(100, memoryview(b'\xa5' * 1000))
        self.assertEqual((1000, 0), (self.meter.written, self.meter.zeroed))

    def test_other_bytes(self) -> None:
        with self.assertRaises(exceptions.ReadBackMismatch) as caught:
            self.sink.write(100, memoryview(b'\xa5' * 999 + b'\xa4'))
        self.assertIn('100 to 1099', str(caught.exception))

    def test_zeroes(self) -> None:
        self.target.disk[MIB - 5:3 * MIB + 5] = bytes(2 * MIB + 10)
        self.sink.zero(MIB - 5, 2 * MIB + 10)
        self.assertEqual((0, 2 * MIB + 10),
                         (self.meter.written, self.meter.zeroed))

    def test_no_zeroes(self) -> None:
        self.target.disk[:] = bytes(4 * MIB)
        for at in (MIB, 2 * MIB, 3 * MIB - 1):
            with self.subTest(at=at):
                self.target.disk[at] = 1
                self.assertRaises(exceptions.ReadBackMismatch,
                                  self.sink.zero, MIB, 2 * MIB)
                self.target.disk[at] = 0

    def test_large_zeroes_are_read_in_steps(self) -> None:
        self.target.disk[:] = bytes(4 * MIB)
        self.sink.zero(5, 2 * MIB + 7)
        self.assertEqual(
            [('read', 5, MIB), ('read', MIB + 5, MIB),
             ('read', 2 * MIB + 5, 7)], self.target.log)

    def test_the_progress_of_zeroes_shows(self) -> None:
        self.assertLessEqual(self.sink.zero_step, 64 * MIB)


class ListedSinkTest(base.EngineTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.log = Log()
        self.sink = sinks.ListedSink(self.log, [
            bmap.Range(10, 20), bmap.Range(20, 25), bmap.Range(30, 40)])
        self.content = bytes(range(50))

    def test_what_is_listed_is_passed_on(self) -> None:
        for start, end, passed in (
                (0, 10, []), (0, 11, [(10, 11)]), (9, 10, []),
                (12, 18, [(12, 18)]), (15, 22, [(15, 20), (20, 22)]),
                (20, 25, [(20, 25)]), (25, 30, []), (24, 31, [
                    (24, 25), (30, 31)]), (39, 50, [(39, 40)]),
                (40, 50, []), (0, 50, [(10, 20), (20, 25), (30, 40)])):
            with self.subTest(start=start, end=end):
                self.log.steps.clear()
                self.sink.write(start, memoryview(self.content)[start:end])
                self.assertEqual([(low, self.content[low:high])
                                  for low, high in passed], self.log.steps)
                self.log.steps.clear()
                self.sink.zero(start, end - start)
                self.assertEqual([(low, high - low) for low, high in passed],
                                 self.log.steps)

    def test_as_many_zeroes_as_the_other_one_takes(self) -> None:
        self.assertEqual(12345, self.sink.zero_step)

    def test_nothing_is_listed(self) -> None:
        sink = sinks.ListedSink(self.log, [])
        sink.write(0, memoryview(self.content))
        sink.zero(0, 50)
        self.assertEqual([], self.log.steps)
