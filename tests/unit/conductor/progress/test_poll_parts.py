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

import unittest
from unittest import mock

from oslo_config import fixture

from ironic.common import exception
from ironic.conf import CONF

from ironic_imagedeploy.conductor.progress import client
from ironic_imagedeploy.conductor.progress import poll
from ironic_imagedeploy.conf import opts
from ironic_imagedeploy.contract import progress

RUNNING = {'command_name': 'execute_deploy_step', 'command_status': 'RUNNING',
           'command_result': {'imagedeploy': {'progress': {
               'phase': 'write', 'done': 5}}}}


def write(step='write_image', internal=None, **values):
    return poll.Write(**{
        'uuid': 'the-node', 'driver': 'x', 'conductor_group': '',
        'deploy_interface': 'imagedeploy', 'deploy_step': {'step': step},
        'driver_info': None,
        'driver_internal_info': {'imagedeploy': {}} if internal is None
        else internal, **values})


class WriteTest(unittest.TestCase):

    def test_whether_it_is_ordered(self):
        for found, is_ordered in (
                (write(), True), (write('a'), False), (write('z'), False),
                (write(deploy_step=None), False), (write(internal={}), False),
                (write(driver_internal_info=None), False)):
            self.assertIs(is_ordered, found.is_ordered)

    def test_what_is_known(self):
        self.assertEqual({'x': 1}, write(
            internal={'imagedeploy': {'x': 1}}).known)
        for internal in ({}, {'imagedeploy': None}):
            self.assertEqual({}, write(internal=internal).known)
        self.assertIsNone(write().progress)
        self.assertEqual('boot', write(internal={'imagedeploy': {
            'progress': {'phase': 'boot'}}}).progress.phase)


class AskTest(unittest.TestCase):

    def ask(self, answer):
        with mock.patch.object(client, 'Client', autospec=True) as asked:
            look = asked.return_value.get_commands_status
            look.side_effect = [answer]
            found = poll._ask(None, write())
        self.assertEqual({'retry_connection': False, 'expect_errors': True},
                         look.call_args.kwargs)
        return found

    def test_the_last_command(self):
        self.assertEqual(
            {'status': 'RUNNING', 'progress': {'phase': 'write', 'done': 5}},
            self.ask([{'command_status': 'FAILED'}, RUNNING]))
        self.assertEqual({'status': None}, self.ask([]))

    def test_who_does_not_tell(self):
        self.assertEqual({'status': None}, self.ask(client.TooLong(most=5)))
        for error in (exception.AgentConnectionFailed(reason='x'),
                      ValueError()):
            self.assertIsNone(self.ask(error))


class RecordTest(unittest.TestCase):

    def setUp(self):
        super().setUp()
        opts.register_opts(CONF)
        self.enterContext(fixture.Config(CONF)).config(
            group='imagedeploy', stall_threshold=60)

    def test_states(self):
        told = {'progress': {'phase': 'write', 'done': 5}}
        for status, is_kept in (('RUNNING', True), ('SUCCEEDED', False),
                                ('FAILED', False), ('ZZZ', False)):
            found = poll._record(None, {'status': status, **told})
            self.assertEqual(is_kept, found is not None, status)
        self.assertIsNone(poll._record(None, {'status': 'RUNNING'}))

    def test_silence(self):
        before = progress.ProgressRecord(
            phase='write', updated_at='2026-11-23T01:00:00+00:00')
        self.assertEqual('agent', poll._record(
            before, None).stalled.waiting_for)
        self.assertIsNone(poll._record(None, None))


class TaskTest(unittest.TestCase):

    def test_how_often(self):
        opts.register_opts(CONF)
        conf = self.enterContext(fixture.Config(CONF))
        for seconds, enabled in ((30, True), (1, True), (0, False)):
            conf.config(group='imagedeploy', progress_interval=seconds)
            task = poll.periodic_task()
            self.assertEqual((seconds, enabled), (
                task._periodic_spacing, task._is_periodic))
