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

    def test_marks_in_quick_succession_are_one(self) -> None:
        for each in (mark(0), mark(1, 10), mark(1.1, 11), mark(1.2, 12),
                     mark(2, 20)):
            self.timeline.add(each)
        self.assertEqual([(1, 10, 0), (1.2, 2, 0), (2, 8, 0)], self.samples())

    def test_a_long_transfer_has_no_more_samples_and_loses_no_byte(self
                                                                   ) -> None:
        for number in range(100000):
            self.timeline.add(mark(number * 0.5, number * 3, number * 7))
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
