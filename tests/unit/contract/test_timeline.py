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


import datetime
import unittest

from ironic_imagedeploy.contract import timeline

Event = timeline.Event


class TimelineTest(unittest.TestCase):

    def test_moments_are_added(self) -> None:
        kept = timeline.marked({'version': 1}, begun='a')
        kept = timeline.marked(kept, written='b')
        self.assertEqual({'version': 1, 'timeline': {
            'begun': 'a', 'written': 'b'}}, kept)

    def test_what_is_kept_is_read(self) -> None:
        kept = timeline.marked({}, **{Event.POWER: timeline.now()})
        moment = timeline.times(kept)[Event.POWER]
        age = datetime.datetime.now(datetime.UTC) - moment
        self.assertLess(abs(age.total_seconds()), 60)

    def test_they_come_in_the_sequence_of_a_deployment(self) -> None:
        kept = timeline.marked({}, **{
            event: timeline.now() for event in reversed(Event)})
        self.assertEqual([*Event], [*timeline.times(kept)])

    def test_nonsense_is_left_out(self) -> None:
        for value in (None, 5, 'x', [1], {'begun': 5, 'x': timeline.now()},
                      {'begun': ['2026-11-26']}, {'begun': '9' * 1000},
                      {'begun': '0001-01-01T00:00:00+14:00'}):
            self.assertEqual({}, timeline.times({'timeline': value}))
        self.assertEqual(
            {Event.BEGUN: datetime.datetime(2026, 11, 26,
                                            tzinfo=datetime.UTC)},
            timeline.times({'timeline': {'begun': '2026-11-26'}}))
