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

from ironic.common import exception
from ironic.common import states
from ironic.conf import CONF

from ironic_imagedeploy.conductor.progress import answers
from ironic_imagedeploy.conf import opts
from tests.unit.conductor.progress import agents
from tests.unit.conductor import unsaved

REPORT = {'imagedeploy': agents.REPORT}
PROGRESS = {'imagedeploy': {'progress': agents.PROGRESS}}
ONE, OTHER = ('sha256:' + digit * 64 for digit in '12')


class ResultTest(unittest.TestCase):

    def test_what_a_command_tells(self):
        for outcome, found in (
                (PROGRESS, {'progress': agents.PROGRESS}),
                ({'imagedeploy': {}}, {'progress': None}),
                ({'deploy_result': REPORT}, {'report': agents.REPORT}),
                ({**PROGRESS, 'deploy_result': REPORT},
                 {'progress': agents.PROGRESS})):
            self.assertEqual(found, answers.result(
                agents.command('RUNNING', outcome)))

    def test_what_tells_nothing(self):
        for outcome in (None, 'written', 5, [], {}, {'deploy_result': None},
                        {'deploy_result': 'written'}):
            found = answers.result(agents.command('SUCCEEDED', outcome))
            self.assertEqual((None, None), (
                found.get('progress'), found.get('report')), outcome)
        for name in ('get_deploy_steps', 'a', 'zzz', None):
            self.assertEqual({}, answers.result(
                agents.command('RUNNING', PROGRESS, name)))


class ImageTest(unittest.TestCase):

    def check(self, ordered, algorithm='sha256', value='1' * 64):
        answers._check_image(
            types.SimpleNamespace(node=unsaved.node()), ordered,
            {'checksum': {'algorithm': algorithm, 'value': value}})

    def test_the_right_one(self):
        self.check(ONE)

    def test_what_nobody_can_tell(self):
        self.check(OTHER, algorithm='sha512')
        self.check(OTHER, algorithm='a')
        for ordered in (None, 5, {}):
            self.check(ordered)
        for value in (None, ''):
            self.check(ONE, value=value)
        for report in ({}, {'checksum': None}):
            answers._check_image(None, ONE, report)

    def test_another_one(self):
        for ordered in (OTHER, 'sha256:0', 'sha256:z'):
            with self.assertRaises(
                    exception.InstanceDeployFailure) as caught:
                self.check(ordered)
            self.assertIn(
                f'The agent on node {unsaved.NODE_ID} wrote another image: '
                f'expected {ordered}, found {ONE}.', str(caught.exception))


class KeepTest(unittest.TestCase):

    def setUp(self):
        super().setUp()
        opts.register_opts(CONF)

    def keep(self, *commands, known=None, step='write_image'):
        """What the node has of the answer; None where nothing is saved."""
        node = unsaved.node(
            provision_state=states.DEPLOYWAIT,
            deploy_step=step and {'step': step},
            driver_internal_info={'imagedeploy': known or {'workers': 0}})
        self.agent = mock.Mock()
        self.agent.get_commands_status.return_value = list(commands)
        task = types.SimpleNamespace(node=node, context=None)
        with (mock.patch.object(answers.client, 'bounded', autospec=True,
                                return_value=self.agent),
              mock.patch.object(answers.notifications, 'ended',
                                autospec=True) as self.ended,
              mock.patch.object(type(node), 'save', autospec=True) as save):
            answers.keep(task)
        return node.driver_internal_info['imagedeploy'] if save.called else (
            None)

    def test_other_steps(self):
        for step in (None, 'a', 'zzz'):
            self.assertIsNone(self.keep(step=step))
            self.agent.get_commands_status.assert_not_called()

    def test_report(self):
        known = self.keep(
            agents.command('SUCCEEDED', {}, 'z'),
            agents.command('SUCCEEDED', {'deploy_result': REPORT}),
            known={'workers': 0, 'progress': {}, 'timeline': {'a': 'b'}})
        self.assertEqual({'workers', 'report', 'timeline'}, set(known))
        self.assertEqual(agents.REPORT, known['report'])
        self.assertIn('written', known['timeline'])
        self.ended.assert_called_once_with(None, mock.ANY, agents.REPORT)

    def test_progress(self):
        known = self.keep(agents.command('RUNNING', PROGRESS))
        self.assertEqual({'workers', 'progress'}, set(known))
        self.ended.assert_not_called()

    def test_nothing_yet(self):
        self.assertIsNone(self.keep(agents.command('RUNNING', None)))

    def test_the_last_command_counts(self):
        self.assertIsNone(self.keep(
            agents.command('SUCCEEDED', {'deploy_result': REPORT}),
            agents.command('RUNNING', {}, 'z')))

    def test_ironic_judges_by_the_same_answer(self):
        told = agents.command('RUNNING', None)
        self.keep(told)
        self.assertEqual([told], self.agent.get_commands_status('x', y=1))
        self.assertFalse('get_commands_status' in vars(self.agent))

    def test_an_agent_that_was_started_again(self):
        for commands in ([], [agents.command('SUCCEEDED', {}, 'a')],
                         [agents.command('SUCCEEDED', {}, 'zzz')]):
            with self.assertRaises(
                    exception.InstanceDeployFailure) as caught:
                self.keep(*commands)
            self.assertIn(f'The agent on node {unsaved.NODE_ID} was started '
                          'again', str(caught.exception))
