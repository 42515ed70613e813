#!/usr/bin/env python3
#
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

import dataclasses
import datetime
import unittest
from unittest import mock

from ironic_imagedeploy.conductor.progress import records
from ironic_imagedeploy.contract import progress

BEGAN = datetime.datetime(2026, 11, 23, 1, tzinfo=datetime.UTC)
WRITE = {'phase': 'write', 'done': 100, 'total': 1000,
         'bytes_per_second': 10.4, 'bottleneck': 'network'}


def at(seconds):
    """The time so many seconds later, as a record has it."""
    return (BEGAN + datetime.timedelta(seconds=seconds)).isoformat()


class RecordsTestCase(unittest.TestCase):

    def setUp(self):
        super().setUp()
        self.now = self.enterContext(mock.patch.object(
            records, '_now', autospec=True))
        self.at(0)

    def at(self, seconds):
        self.now.return_value = BEGAN + datetime.timedelta(seconds=seconds)

    def advanced(self, before=None, patience=60, **told):
        return records.advanced(before, {**WRITE, **told}, patience)


class AdvancedTest(RecordsTestCase):

    def test_what_the_agent_tells(self):
        self.assertEqual(progress.ProgressRecord(
            phase='write', done=100, total=1000, percent=10.0,
            bytes_per_second=10, bottleneck='network', updated_at=at(0),
            moved_at=at(0), estimated_end=at(86)), self.advanced())

    def test_something_else(self):
        for told in (None, {}, [], {'done': 5}):
            self.assertIsNone(records.advanced(None, told, 60))

    def test_percent(self):
        for done, total, percent in (
                (0, 1000, 0.0), (1, 1000, 0.1), (999, 1000, 99.9),
                (9999, 10000, 99.9), (10000, 10000, 100.0), (5, 4, 100.0),
                (5, 0, None), (0, 0, None), (1, 3, 33.3)):
            self.assertEqual(percent, self.advanced(
                done=done, total=total).percent, done)

    def test_when_it_moved(self):
        first = self.advanced()
        self.at(10)
        for told, moved in (({}, 0), ({'done': 101}, 10), ({'done': 99}, 10),
                            ({'phase': 'finish'}, 10), ({'phase': 'zero'}, 10),
                            ({'total': 5000}, 0)):
            record = self.advanced(first, **told)
            self.assertEqual((at(10), at(moved)),
                             (record.updated_at, record.moved_at), told)

    def test_how_long_it_takes(self):
        """By the agent, which knows of zeroes; else by what comes."""
        for told, seconds in (
                ({}, 86), ({'seconds_left': 7}, 7),
                ({'seconds_left': 0.0}, None), ({'done': 1000}, None),
                ({'done': 1001}, None), ({'done': 999}, 0),
                ({'bytes_per_second': 0}, None),
                ({'bytes_per_second': 1.0}, 900),
                ({'bytes_per_second': 0, 'seconds_left': 5}, 5),
                ({'seconds_left': 1e12}, 1e9),
                ({'seconds_left': 1e9}, 1e9), ({'total': 0}, None)):
            self.assertEqual(None if seconds is None else at(seconds),
                             self.advanced(**told).estimated_end, told)

    def test_speeds_are_whole(self):
        for speed, whole in ((10.4, 10), (10.6, 11), (0, 0)):
            self.assertEqual(whole, self.advanced(
                bytes_per_second=speed).bytes_per_second)


class StallTest(RecordsTestCase):

    def stalled(self, patience=60, after=60, **told):
        """What a record waits for after a pause of so many seconds."""
        self.at(0)
        before = self.advanced(**told)
        self.at(after)
        record = self.advanced(before, patience, **told)
        if record.stalled is None:
            return None
        self.assertEqual((0, None, at(0)), (
            record.bytes_per_second, record.estimated_end,
            record.stalled.since))
        return record.stalled.waiting_for

    def test_patience(self):
        for after, waits_for in ((0, None), (59, None), (60, 'network'),
                                 (61, 'network')):
            self.assertEqual(waits_for, self.stalled(after=after))

    def test_what_is_waited_for(self):
        for told, waits_for in (
                ({'phase': 'inspect'}, 'network'),
                ({'phase': 'inspect', 'done': 5, 'total': 5}, 'network'),
                ({'done': 999}, 'network'), ({'done': 1000}, 'disk'),
                ({'done': 1001}, 'disk'), ({'total': 0}, 'network'),
                ({'phase': 'finish'}, 'disk'), ({'phase': 'zero'}, 'disk'),
                ({'phase': 'read-back'}, 'disk'), ({'phase': 'a'}, 'disk'),
                ({'bottleneck': 'decode'}, 'decode')):
            self.assertEqual(waits_for, self.stalled(**told), told)

    def test_what_the_agent_does_afterwards_takes_its_time(self):
        self.assertIsNone(self.stalled(phase='boot', after=6000))
        for phase in ('a', 'zz'):
            self.assertEqual('disk', self.stalled(phase=phase, after=6000))

    def test_it_goes_on(self):
        before = self.advanced()
        self.at(60)
        self.assertIsNotNone(self.advanced(before).stalled)
        self.assertIsNone(self.advanced(before, done=101).stalled)


class ClockTest(RecordsTestCase):
    """A clock that is set, and records of others."""

    def test_times_that_are_yet_to_come(self):
        before = dataclasses.replace(self.advanced(), moved_at=at(1000))
        self.assertEqual(at(0), self.advanced(before).moved_at)
        self.assertIsNone(self.advanced(before).stalled)

    def test_times_that_are_none(self):
        for stamp in ('', 'yesterday', '2026-11-23T00:00:00', '5'):
            before = dataclasses.replace(self.advanced(), moved_at=stamp,
                                         updated_at=stamp)
            self.assertIsNone(self.advanced(before).stalled, stamp)


class NowTest(unittest.TestCase):

    def test_times_have_a_zone_and_no_fractions(self):
        record = records.advanced(None, WRITE, 60)
        self.assertRegex(record.updated_at,
                         r'^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00$')


class SilentTest(RecordsTestCase):

    def silent(self, before, after, patience=60):
        self.at(after)
        return records.silent(before, patience)

    def test_before_the_first_answer(self):
        self.assertIsNone(self.silent(None, 1000))

    def test_patience(self):
        before = self.advanced()
        for after in (0, 59):
            self.assertIsNone(self.silent(before, after))
        for after in (60, 61):
            record = self.silent(before, after)
            self.assertEqual(
                (progress.Stall(since=at(0), waiting_for='agent'), 0, None),
                (record.stalled, record.bytes_per_second,
                 record.estimated_end))

    def test_it_is_said_once(self):
        record = self.silent(self.advanced(), 60)
        self.assertIsNone(self.silent(record, 1000))

    def test_another_stall_before(self):
        for waits_for in ('disk', 'zzz'):
            self.at(0)
            before = dataclasses.replace(
                self.advanced(), stalled=progress.Stall(
                    since=at(0), waiting_for=waits_for))
            self.assertEqual('agent',
                             self.silent(before, 60).stalled.waiting_for)

    def test_a_clock_that_was_set_back(self):
        before = dataclasses.replace(self.advanced(), updated_at=at(1000))
        record = self.silent(before, 0)
        self.assertEqual((at(0), None), (record.updated_at, record.stalled))
        self.assertIsNone(self.silent(record, 1))
