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

from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.transfer import held_ends
from ironic_imagedeploy.engine.transfer import meter
from ironic_imagedeploy.engine.transfer import read_back
from ironic_imagedeploy.engine.transfer import sinks
from tests.unit.engine import base
from tests.unit.engine import recording

MIB = base.MIB


class WritingSinkTest(base.EngineTestCase):

    def test_zeroes_are_logged_as_they_are_made(self) -> None:
        target = recording.RecordingTarget(8 * MIB)
        log = read_back.WriteLog('full')
        sink = sinks.WritingSink(target, held_ends.HeldEnds(8 * MIB), log,
                                 meter.Meter())
        for start, length in ((0, 3 * MIB), (4 * MIB, 512), (6 * MIB, 2 * MIB),
                              (8 * MIB - 512, 512)):
            sink.zero(start, length)
        self.assertEqual(
            [('zero', MIB, 2 * MIB), ('zero', 4 * MIB, 512),
             ('zero', 6 * MIB, MIB)], target.log)
        self.assertEqual(3 * MIB + 512, log.total)


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
        self.sink.zero(0, 4 * MIB)
        self.assertLessEqual(
            max(action.length for action in self.target.log), MIB)
