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

import types
import unittest
from unittest import mock

from ironic.objects import fields

from ironic_imagedeploy.conductor.progress import notifications
from ironic_imagedeploy.contract import progress

LEVELS = ('debug', 'info', 'warning', 'error')


def record(bottleneck='disk', speed=7, stalled=False):
    return progress.ProgressRecord(
        phase='write', bottleneck=bottleneck, bytes_per_second=speed,
        stalled=progress.Stall(since='x', waiting_for='disk')
        if stalled else None)


class SentencesTest(unittest.TestCase):

    def test_the_end(self):
        told = {'format': 'qcow2', 'virtual_size': 3 << 20, 'resumes': 2,
                'checksum': {'algorithm': 'sha512', 'verified': True},
                'read_back': 'full', 'bottleneck': 'disk'}
        self.assertEqual(
            'imagedeploy wrote the image: qcow2, 3 MiB of disk in 1.5 s '
            '(2 MiB/s), sha512 verified, read back: full, resumed: 2, '
            'limited by disk', notifications._summary(told, 1.5))
        self.assertIn('3 MiB of disk in 0.0 s (3000 MiB/s)',
                      notifications._summary(told, 0))
        for checksum in ({'algorithm': 'md5', 'verified': False}, None, {}):
            self.assertIn('not verified', notifications._summary(
                {**told, 'checksum': checksum}, 1))
        self.assertIn('0 MiB of disk', notifications._summary({}, 1))

    def test_a_warning(self):
        self.assertEqual('a: b Expected c, found d. e', (
            notifications._sentence({'code': 'a', 'message': 'b', 'fix': 'e',
                                     'expected': 'c', 'found': 'd'})))
        self.assertEqual('-: - Expected -, found -. -',
                         notifications._sentence({}))

    def test_levels(self):
        for least in (None, *LEVELS):
            with mock.patch.object(notifications, 'CONF',
                                   types.SimpleNamespace(
                                       notification_level=least)):
                for level in LEVELS:
                    self.assertEqual(
                        least is not None
                        and LEVELS.index(level) >= LEVELS.index(least),
                        notifications._wanted(level), (least, level))


class MetricsTest(unittest.TestCase):

    def gauges(self, *records):
        with mock.patch.object(notifications.METRICS, 'send_gauge',
                               autospec=True) as sent:
            notifications.measure(records)
        return {call.args[0].rpartition('ImageDeploy.')[2]: call.args[1]
                for call in sent.call_args_list}

    def test_all_writes(self):
        self.assertEqual(
            {'writing': 5, 'stalled': 1, 'bytes_per_second': 21,
             'limited_by.network': 0, 'limited_by.decode': 1,
             'limited_by.disk': 2},
            self.gauges(record(), record(), None,
                        record('decode'), record('network', stalled=True)))
        self.assertEqual({0}, set(self.gauges().values()))

    def test_seconds_of_a_write(self):
        with (mock.patch.object(notifications.METRICS, 'send_timer',
                                autospec=True) as sent,
              mock.patch.object(notifications.conductor_utils,
                                'node_history_record', autospec=True),
              mock.patch.object(notifications, '_wanted', autospec=True,
                                return_value=False)):
            notifications.ended(None, None, {'seconds': 1.5})
            self.assertEqual(1500, sent.call_args.args[1])
            notifications.ended(None, None, {})
            self.assertEqual(0, sent.call_args.args[1])


class ProgressedTest(unittest.TestCase):

    def level(self, before, now):
        """Level and status of what is sent."""
        with (mock.patch.object(notifications, '_emit', autospec=True) as sent,
              mock.patch.object(notifications.objects.Node, 'get',
                                autospec=True),
              mock.patch.object(notifications, '_wanted', autospec=True,
                                return_value=True)):
            notifications.progressed(None, 'the-node', before, now)
        return sent.call_args.args[2:4]

    def test_levels(self):
        level, status = fields.NotificationLevel, fields.NotificationStatus
        for before, now, expected in (
                (None, record(), (level.INFO, status.START)),
                (None, record(stalled=True), (level.INFO, status.START)),
                (record(), record(), (level.DEBUG, status.SUCCESS)),
                (record(), record(stalled=True),
                 (level.WARNING, status.ERROR)),
                (record(stalled=True), record(stalled=True),
                 (level.DEBUG, status.SUCCESS)),
                (record(stalled=True), record(),
                 (level.DEBUG, status.SUCCESS))):
            self.assertEqual(expected, self.level(before, now))
