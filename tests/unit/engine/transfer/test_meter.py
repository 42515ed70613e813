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
import time
import unittest
from unittest import mock

from ironic_imagedeploy.engine.transfer import meter

Stage = meter.Stage


class MeterTest(unittest.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.told: list[meter.Progress] = []
        self.meter = meter.Meter(1000, self.told.append)

    def spend(self, **seconds: float) -> None:
        for stage, time_spent in seconds.items():
            with self.meter.spend(Stage(stage)):
                time.sleep(time_spent)

    def test_counts(self) -> None:
        self.meter.count(read=10)
        self.meter.count(read=5, written=7)
        self.meter.count(zeroed=3)
        self.assertEqual((15, 7, 3), (self.meter.read, self.meter.written,
                                      self.meter.zeroed))

    def test_no_count_is_lost_between_threads(self) -> None:
        def count() -> None:
            for _ in range(20000):
                self.meter.count(read=1, written=2, zeroed=3)
        threads = [threading.Thread(target=count) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(
            (80000, 160000, 240000),
            (self.meter.read, self.meter.written, self.meter.zeroed))

    def test_progress_is_what_was_written_and_zeroed(self) -> None:
        self.meter.enter('write', 1000)
        self.meter.count(read=999, written=100, zeroed=150)
        time.sleep(0.01)
        self.meter.tick()
        progress = self.told[-1]
        self.assertEqual(('write', 250, 1000),
                         (progress.phase, progress.done, progress.total))
        self.assertGreater(progress.bytes_per_second, 0)
        self.assertLess(progress.bytes_per_second, 250 / 0.01)

    def test_progress_of_a_disk_of_unknown_size(self) -> None:
        self.meter.enter('write', 0)
        self.meter.count(written=1200)
        self.meter.tick()
        self.assertEqual((1200, 0), (self.told[-1].done,
                                     self.told[-1].total))

    def test_progress_stays_within_the_disk(self) -> None:
        self.meter.count(written=1200)
        self.meter.tick()
        self.assertEqual(1000, self.told[-1].done)

    def test_a_phase_is_told_when_it_begins(self) -> None:
        self.meter.enter('write', 1000)
        self.assertEqual([('write', 0, 1000, 0.0)],
                         [progress[:4] for progress in self.told])
        self.meter.enter('finish', 1000, done=1000)
        self.assertEqual(('finish', 1000, 1000, 0.0), self.told[-1][:4])

    def test_speed_forgets_what_was_fast_at_first(self) -> None:
        clock = self.enterContext(mock.patch.object(
            meter.time, 'monotonic', autospec=True, return_value=0.0))
        self.meter.enter('write', 1000)
        self.meter.count(zeroed=800)
        found = []
        for second in range(1, 21):
            clock.return_value = float(second)
            self.meter.count(written=5)
            self.meter.tick()
            found.append(self.told[-1].bytes_per_second)
        self.assertEqual([805, 405, 5, 5], [
            found[second - 1] for second in (1, 2, 16, 20)])
        self.meter.enter('read-back', 1000)
        self.assertEqual(0, self.told[-1].bytes_per_second)

    def test_nobody_need_listen(self) -> None:
        quiet = meter.Meter(1000)
        quiet.enter('write', 1000)
        quiet.tick()

    def test_the_time_inside_counts_also_after_an_error(self) -> None:
        with self.assertRaises(ValueError), self.meter.spend(Stage.DISK):
            time.sleep(0.01)
            raise ValueError
        self.spend(wait=0.001)
        self.assertEqual('disk', self.meter.bottleneck)

    def test_a_reader_that_waits_for_bytes(self) -> None:
        self.spend(source=0.02, wait=0.001, decode=0.01)
        self.assertEqual('network', self.meter.bottleneck)

    def test_a_reader_that_waits_for_a_file(self) -> None:
        self.meter = meter.Meter(100, local=True)
        self.spend(source=0.02, wait=0.001, decode=0.01)
        self.assertEqual('disk', self.meter.bottleneck)

    def test_a_reader_that_waits_for_decoders(self) -> None:
        self.spend(source=0.001, wait=0.02, decode=0.02, disk=0.001)
        self.assertEqual('decode', self.meter.bottleneck)

    def test_a_reader_that_waits_for_the_disk(self) -> None:
        self.spend(source=0.001, wait=0.02, decode=0.001, disk=0.02)
        self.assertEqual('disk', self.meter.bottleneck)
