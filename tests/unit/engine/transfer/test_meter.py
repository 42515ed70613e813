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
        self.meter = meter.Meter(self.told.append)

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

    def test_progress_is_data_and_zeroes_are_apart(self) -> None:
        self.meter.enter_pass('write', file=500, data=400, zeroes=600)
        self.meter.count(read=100, written=90, zeroed=700)
        self.meter.advance(data=100, zeroes=500)
        self.meter.tick()
        self.assertEqual(('write', 100, 400), self.told[-1][:3])
        self.assertGreater(self.told[-1].bytes_per_second, 0)

    def test_zeroes_that_are_left_are_a_phase(self) -> None:
        self.meter.enter_pass('write', file=500, data=400, zeroes=600)
        self.meter.advance(data=400, zeroes=500)
        self.meter.tick()
        self.assertEqual(('zero', 500, 600), self.told[-1][:3])
        self.meter.advance(zeroes=100)
        self.meter.tick()
        self.assertEqual(('write', 400, 400), self.told[-1][:3])

    def test_a_comparison_zeroes_nothing(self) -> None:
        self.meter.enter_pass('compare', file=500, data=400, zeroes=600)
        self.meter.advance(data=400, zeroes=500)
        self.meter.tick()
        self.assertEqual(('compare', 500, 600), self.told[-1][:3])

    def test_a_disk_of_unknown_size_is_told_by_its_file(self) -> None:
        self.meter.enter_pass('write', file=500, data=None)
        self.meter.count(read=120, written=1200)
        self.meter.tick()
        self.assertEqual(('write', 120, 500), self.told[-1][:3])

    def test_progress_stays_within_the_total(self) -> None:
        self.meter.enter('read-back', 1000)
        self.meter.advance(data=1200)
        self.meter.tick()
        self.assertEqual(1000, self.told[-1].done)

    def test_a_phase_is_told_when_it_begins(self) -> None:
        self.meter.enter('write', 1000)
        self.assertEqual([('write', 0, 1000, 0.0)],
                         [progress[:4] for progress in self.told])
        self.meter.enter('finish', 1000, done=1000)
        self.assertEqual(('finish', 1000, 1000, 0.0), self.told[-1][:4])

    def test_speed_forgets_what_was_fast_at_first(self) -> None:
        clock = clock_of(self)
        self.meter.enter('read-back', 1000)
        self.meter.advance(data=800)
        found = []
        for second in range(1, 21):
            clock.return_value = float(second)
            self.meter.advance(data=5)
            self.meter.tick()
            found.append(self.told[-1].bytes_per_second)
        self.assertEqual([805, 5, 5, 5], [
            found[second - 1] for second in (1, 2, 16, 20)])
        self.meter.enter('read-back', 1000)
        self.assertEqual(0, self.told[-1].bytes_per_second)

    def test_a_phase_that_goes_on_is_told_now_and_then(self) -> None:
        clock = clock_of(self)
        self.meter.enter('read-back', 1000)
        self.told.clear()
        for seconds, count in ((0.49, 0), (0.5, 1), (0.99, 1), (1.0, 2),
                               (1.1, 2), (9.0, 3)):
            clock.return_value = seconds
            self.meter.advance(data=1)
            self.meter.tick_if_due()
            self.assertEqual(count, len(self.told), seconds)
        # The end is told at once.
        self.meter.advance(data=994)
        self.meter.tick_if_due()
        self.assertEqual(1000, self.told[-1].done)

    def test_speed_of_what_came_all_at_once(self) -> None:
        clock = clock_of(self)
        self.meter.enter('read-back', 1000)
        for seconds, data, speed in ((5.0, 0, 0), (6.0, 300, 300),
                                     (8.0, 10, 5), (16.0, 50, 6)):
            clock.return_value = seconds
            self.meter.advance(data=data)
            self.meter.tick()
            self.assertEqual(speed, self.told[-1].bytes_per_second, seconds)

    def test_speed_is_that_of_the_last_seconds(self) -> None:
        clock = clock_of(self)
        self.meter.enter('read-back', 10000)
        for seconds in range(1, 40):
            clock.return_value = float(seconds)
            self.meter.advance(data=300 if seconds == 20 else 30)
            self.meter.tick()
            with self.subTest(seconds=seconds):
                # Fifteen of them, or as many as there were.
                self.assertEqual(
                    48 if 20 <= seconds <= 34 else 30,
                    self.told[-1].bytes_per_second)

    def test_phases_and_samples_are_for_the_report(self) -> None:
        clock = clock_of(self)
        self.meter = meter.Meter()
        self.meter.enter_pass('write', file=100, data=200, zeroes=300)
        clock.return_value = 2.0
        self.meter.count(read=10, written=20, zeroed=5)
        self.meter.spent(Stage.SOURCE, 2.0)
        self.meter.enter('finish', 10)
        clock.return_value = 3.0
        self.meter.count(read=1, written=2, zeroed=3)
        self.meter.spent(Stage.WAIT, 4.0)
        self.meter.spent(Stage.DISK, 1.0)
        self.assertEqual(3.0, self.meter.elapsed)
        self.assertEqual(
            [('write', 0.0, 2.0), ('finish', 2.0, 1.0)],
            [(phase.name, phase.start, phase.seconds)
             for phase in self.meter.phases()])
        self.assertEqual(
            [(2.0, 10, 25, 'network'), (3.0, 1, 5, 'disk')],
            [(sample.seconds, sample.read, sample.written,
              sample.bottleneck) for sample in self.meter.samples()])

    def test_nobody_need_listen(self) -> None:
        quiet = meter.Meter()
        quiet.enter('write', 1000)
        quiet.tick()
        quiet.enter_pass('write', file=1, data=0)

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
        self.meter = meter.Meter(local=True)
        self.spend(source=0.02, wait=0.001, decode=0.01)
        self.assertEqual('disk', self.meter.bottleneck)

    def test_a_reader_that_waits_for_decoders(self) -> None:
        self.spend(source=0.001, wait=0.02, decode=0.02, disk=0.001)
        self.assertEqual('decode', self.meter.bottleneck)

    def test_a_reader_that_waits_for_the_disk(self) -> None:
        self.spend(source=0.001, wait=0.02, decode=0.001, disk=0.02)
        self.assertEqual('disk', self.meter.bottleneck)

    def test_a_reader_that_waits_as_long_for_both(self) -> None:
        self.meter.spent(Stage.SOURCE, 3)
        self.meter.spent(Stage.WAIT, 1)
        self.meter.spent(Stage.VERIFY, 2)
        self.assertEqual('network', self.meter.bottleneck)
        self.meter.spent(Stage.VERIFY, 0.5)
        self.assertEqual('decode', self.meter.bottleneck)

    def test_decoding_and_verifying_are_one(self) -> None:
        self.meter.spent(Stage.WAIT, 9)
        self.meter.spent(Stage.DECODE, 2)
        self.meter.spent(Stage.VERIFY, 3)
        self.meter.spent(Stage.DISK, 5)
        self.assertEqual('decode', self.meter.bottleneck)
        self.meter.spent(Stage.DISK, 0.1)
        self.assertEqual('disk', self.meter.bottleneck)


class SecondsLeftTest(unittest.TestCase):
    """A file of 1000 bytes for 4000 on the disk and 9000 zeroes."""

    def setUp(self) -> None:
        super().setUp()
        self.told: list[meter.Progress] = []
        self.now = clock_of(self)
        self.meter = meter.Meter(self.told.append)

    def seconds_left(self, source: float, wait: float,
                     **done: int) -> float | None:
        """Seconds left after ten.

        :param source: seconds that the reader waited for the source.
        :param wait: and for everybody else.
        """
        self.meter.enter_pass('write', file=1000, data=4000, zeroes=9000)
        self.now.return_value = 10.0
        self.meter.count(read=done['read'])
        self.meter.advance(data=done['data'], zeroes=done['zeroes'])
        self.meter.spent(Stage.SOURCE, source)
        self.meter.spent(Stage.WAIT, wait)
        self.meter.tick()
        return self.told[-1].seconds_left

    def test_a_slow_source_is_foretold_by_the_bytes_of_the_file(self
                                                                ) -> None:
        self.assertEqual(90, self.seconds_left(
            9, 1, read=100, data=2000, zeroes=9000))

    def test_a_slow_disk_is_foretold_by_its_own_bytes(self) -> None:
        self.assertEqual(190, self.seconds_left(
            1, 9, read=100, data=200, zeroes=9000))

    def test_slow_zeroes_are_waited_for(self) -> None:
        self.assertEqual(290, self.seconds_left(
            9, 1, read=900, data=3600, zeroes=300))

    def test_a_file_that_is_done_foretells_nothing(self) -> None:
        self.assertEqual(10, self.seconds_left(
            9, 1, read=1000, data=2000, zeroes=9000))

    def test_nothing_is_left(self) -> None:
        self.assertEqual(0, self.seconds_left(
            9, 1, read=1000, data=4000, zeroes=9000))

    def test_nobody_knows_the_total(self) -> None:
        self.meter.enter('scan', 0)
        self.now.return_value = 10.0
        self.meter.advance(data=50)
        self.meter.tick()
        self.assertEqual((50, 0, 5.0, None), (
            self.told[-1].done, self.told[-1].total,
            self.told[-1].bytes_per_second, self.told[-1].seconds_left))

    def test_nobody_knows_while_nothing_moves(self) -> None:
        self.assertIsNone(self.seconds_left(9, 1, read=0, data=0,
                                            zeroes=9000))

    def test_nobody_knows_while_no_zeroes_are_made(self) -> None:
        self.assertIsNone(self.seconds_left(9, 1, read=100, data=400,
                                            zeroes=0))


def clock_of(case: unittest.TestCase) -> mock.MagicMock:
    """The time that a meter made from now on sees, to be set."""
    clock: mock.MagicMock = case.enterContext(mock.patch.object(
        meter, 'time', autospec=True)).monotonic
    clock.return_value = 0.0
    return clock
