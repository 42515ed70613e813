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
import unittest

from ironic_imagedeploy.contract import names
from ironic_imagedeploy.contract import progress
from ironic_imagedeploy import engine
from tests.unit.contract import before

PROGRESS = before.PROGRESS[names.KEY][names.PROGRESS]
HUGE = 10 ** 400
WORDS = 'A\x1b[31m\n' * 50000


class ProgressTest(unittest.TestCase):

    def test_agent_before(self):
        self.assertEqual(
            progress.AgentProgress(
                phase='write', done=1 << 20, total=8 << 20,
                bytes_per_second=524288.0, bottleneck='network'),
            progress.AgentProgress.from_dict(PROGRESS))

    def test_conductor_before_and_an_agent_of_this_release(self):
        sent = engine.Progress('write', 1 << 20, 8 << 20, 524288.0,
                               'network')._asdict()
        self.assertLessEqual(PROGRESS.items(), sent.items())

    def test_record_of_the_release_before(self):
        self.assertEqual(before.RECORD, progress.ProgressRecord.from_dict(
            before.RECORD).to_dict())
        moving = {**before.RECORD, 'stalled': None, 'estimated_end': None}
        self.assertEqual(moving, progress.ProgressRecord.from_dict(
            moving).to_dict())

    def test_nonsense(self):
        for told in (None, 5, [], {}, {'phase': 5}, {'done': 5}):
            self.assertIsNone(progress.AgentProgress.from_dict(told))
            self.assertIsNone(progress.ProgressRecord.from_dict(told))
        hostile = {'phase': WORDS, 'done': HUGE, 'total': float('nan'),
                   'bytes_per_second': float('inf'), 'bottleneck': WORDS,
                   'stalled': {'since': 5}, 'updated_at': WORDS}
        for kind in (progress.AgentProgress, progress.ProgressRecord):
            checked = kind.from_dict(hostile)
            self.assertEqual((0, 0, 0, 32), (
                checked.done, checked.total, checked.bytes_per_second,
                len(checked.phase)))
            self.assertTrue(checked.phase.isprintable())

    def test_a_phase_is_enough(self):
        self.assertEqual(
            ('boot', 0, 0, 0, '', None), dataclasses.astuple(
                progress.AgentProgress.from_dict({'phase': 'boot'})))
        self.assertEqual(
            {'phase': 'boot', 'done': 0, 'total': 0, 'bytes_per_second': 0,
             'bottleneck': '', 'percent': None, 'estimated_end': None,
             'updated_at': '', 'moved_at': '', 'stalled': None},
            progress.ProgressRecord.from_dict({'phase': 'boot'}).to_dict())

    def test_seconds_that_are_left(self):
        """They are in the estimated end of the record."""
        told = {**PROGRESS, 'seconds_left': 7.5}
        self.assertEqual(
            7.5, progress.AgentProgress.from_dict(told).seconds_left)
        self.assertNotIn('seconds_left', progress.ProgressRecord.from_dict(
            told).to_dict())

    def test_a_stall_of_which_not_all_is_told(self):
        for stalled, found in (
                ({'since': 'x'}, progress.Stall(since='x', waiting_for='')),
                ({'waiting_for': 'y'},
                 progress.Stall(since='', waiting_for='y')),
                ({}, None), (None, None), ('x', None)):
            self.assertEqual(found, progress.ProgressRecord.from_dict(
                {**before.RECORD, 'stalled': stalled}).stalled)
