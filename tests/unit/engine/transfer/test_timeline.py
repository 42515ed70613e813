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


import unittest

from ironic_imagedeploy.engine.transfer import timeline


def mark(seconds: float, read: int = 0, written: int = 0,
         **spent: float) -> timeline.Mark:
    return timeline.Mark(seconds, read, written, spent)


class TimelineTest(unittest.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.timeline = timeline.Timeline()

    def samples(self) -> list[tuple[float, int, int]]:
        return [(sample.seconds, sample.read, sample.written)
                for sample in self.timeline.samples(lambda spent: 'disk')]

    def test_phases_end_where_the_next_one_begins(self) -> None:
        for name, seconds in (('write', 0.5), ('read-back', 4.0)):
            self.timeline.enter(name, seconds)
        self.assertEqual(
            [('write', 0.5, 3.5), ('read-back', 4.0, 2.0)],
            [(phase.name, phase.start, phase.seconds)
             for phase in self.timeline.phases(6.0)])

    def test_times_of_phases_are_in_milliseconds(self) -> None:
        self.timeline.enter('write', 0.12345678)
        # A clock that was read by another thread may be a little behind.
        self.timeline.enter('finish', 0.1)
        self.timeline.enter('end', 0.23456789)
        self.assertEqual(
            [(0.123, 0.0), (0.1, 0.135), (0.235, 0.222)],
            [(phase.start, phase.seconds)
             for phase in self.timeline.phases(0.45678901)])

    def test_nothing_yet(self) -> None:
        self.timeline.add(mark(0))
        self.assertEqual([], self.samples())

    def test_samples_are_what_was_done_since(self) -> None:
        for each in (mark(0), mark(1, 10, 20), mark(2, 15, 60)):
            self.timeline.add(each)
        self.assertEqual([(1, 10, 20), (2, 5, 40)], self.samples())

    def test_each_sample_has_its_own_bottleneck(self) -> None:
        for each in (mark(0), mark(1, disk=0.9, source=0.1),
                     mark(2, disk=1.0, source=1.0)):
            self.timeline.add(each)
        self.assertEqual(['disk', 'source'], [
            sample.bottleneck for sample in self.timeline.samples(
                lambda spent: max(spent, key=lambda name: spent[name]))])

    def test_the_bottleneck_is_told_by_the_seconds_of_the_sample(self
                                                                 ) -> None:
        for each in (mark(0), mark(1.23456, disk=0.5),
                     mark(2, disk=0.75, source=0.25)):
            self.timeline.add(each)
        told: list[dict[str, float]] = []
        found = self.timeline.samples(
            lambda spent: told.append(dict(spent)) or 'disk')
        self.assertEqual([{'disk': 0.5}, {'disk': 0.25, 'source': 0.25}],
                         told)
        self.assertEqual([1.23, 2], [sample.seconds for sample in found])

    def test_marks_in_quick_succession_are_one(self) -> None:
        for each in (mark(0), mark(1, 10), mark(1.1, 11), mark(1.2, 12),
                     mark(2, 20)):
            self.timeline.add(each)
        self.assertEqual([(1, 10, 0), (2, 10, 0)], self.samples())

    def test_also_the_first_ones(self) -> None:
        for each in (mark(0), mark(0.1, 1), mark(0.2, 2), mark(0.25, 3),
                     mark(0.3, 4)):
            self.timeline.add(each)
        self.assertEqual([(0.25, 3, 0), (0.3, 1, 0)], self.samples())

    def test_a_first_mark_at_any_time_is_kept(self) -> None:
        for each in (mark(7), mark(7.1, 1), mark(7.4, 4)):
            self.timeline.add(each)
        self.assertEqual([(7.4, 4, 0)], self.samples())

    def test_samples_of_a_long_transfer_are_alike(self) -> None:
        for count in (64, 65, 128, 129, 130, 200, 5000):
            self.timeline = timeline.Timeline()
            for number in range(count + 1):
                self.timeline.add(mark(1000 + number, number))
            lengths = [read for _, read, _ in self.samples()]
            self.assertEqual(count, sum(lengths))
            with self.subTest(count=count):
                if count <= timeline.MOST_SAMPLES:
                    self.assertEqual([1] * count, lengths)
                self.assertLessEqual(max(lengths), 1.1 * min(lengths[:-1]))
                self.assertGreater(len(lengths), timeline.MOST_SAMPLES // 2)

    def test_a_long_transfer_has_no_more_samples_and_loses_no_byte(self
                                                                   ) -> None:
        for number in range(100000):
            self.timeline.add(mark(number * 0.5, number * 3, number * 7))
        self.assertLessEqual(len(self.timeline._marks),
                             2 * timeline.MOST_SAMPLES)
        found = self.samples()
        self.assertLessEqual(len(found), timeline.MOST_SAMPLES)
        self.assertGreater(len(found), timeline.MOST_SAMPLES // 4)
        self.assertEqual((99999 * 3, 99999 * 7), (
            sum(read for _, read, _ in found),
            sum(written for _, _, written in found)))
        self.assertEqual(99999 * 0.5, found[-1][0])

    def test_phases_are_bounded(self) -> None:
        for number in range(1000):
            self.timeline.enter(f'{number}', float(number))
        self.assertEqual(16, len(self.timeline.phases(1000.0)))
