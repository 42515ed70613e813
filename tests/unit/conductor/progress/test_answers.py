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

from unittest import mock

from ironic.common import exception
from ironic.common import states
from ironic.drivers.modules import agent_base
from ironic.drivers.modules import agent_client
from ironic import objects

from tests.unit.conductor import base
from tests.unit.conductor.progress import agents

command = agents.command
STEP = agents.STEP
PROGRESS = agents.PROGRESS
REPORT = agents.REPORT


class KeepTest(base.ConductorTestCase):

    def setUp(self):
        super().setUp()
        self.use()
        self.node.provision_state = states.DEPLOYWAIT
        self.node.target_provision_state = states.ACTIVE
        self.node.deploy_step = STEP
        self.node.set_driver_internal_info('imagedeploy', {'workers': 0})
        self.node.set_driver_internal_info('agent_url', 'http://127.0.0.1:1')
        self.node.set_driver_internal_info('agent_cached_deploy_steps', {
            'deploy': [STEP]})
        self.node.save()

    def heartbeat(self, *commands, **side_effect):
        """The agent calls, and has that to tell."""
        with (self.task(shared=False) as task,
              mock.patch.object(
                  agent_client.AgentClient, 'get_commands_status',
                  autospec=True, return_value=list(commands), **side_effect),
              mock.patch.object(agent_base, '_continue_steps', autospec=True
                                ) as go_on):
            task.driver.deploy.process_next_step(task, 'deploy')
        self.went_on = go_on.called
        return self.refreshed().driver_internal_info['imagedeploy']

    def test_progress(self):
        running = command('RUNNING', {'imagedeploy': {'progress': PROGRESS}})
        told = self.heartbeat(running)
        self.assertEqual({'workers', 'progress'}, set(told))
        self.assertEqual(PROGRESS, {
            key: told['progress'][key] for key in PROGRESS})
        self.assertEqual(50.0, told['progress']['percent'])
        self.assertFalse(self.went_on)
        self.assertEqual(states.DEPLOYWAIT, self.node.provision_state)

    def test_report(self):
        self.heartbeat(command('RUNNING', {
            'imagedeploy': {'progress': PROGRESS}}))
        done = command('SUCCEEDED', {
            'deploy_result': {'result': 'written', 'imagedeploy': REPORT},
            'deploy_step': STEP})
        self.assertEqual({'workers': 0, 'report': REPORT, 'timeline': {
            'written': mock.ANY}}, self.heartbeat(done))
        self.assertTrue(self.went_on)
        entry, = objects.NodeHistory.list_by_node_id(self.context,
                                                     self.node.id)
        self.assertIn('imagedeploy wrote the image', entry.event)

    def test_a_hostile_report(self):
        done = command('SUCCEEDED', {'deploy_step': STEP, 'deploy_result': {
            'imagedeploy': {
                'format': 'raw\x1b[2J\n' * 20000, 'seconds': float('nan'),
                'virtual_size': 10 ** 400, 'bytes_read': 5,
                'invented': 'x' * (50 << 20)}}})
        report = self.heartbeat(done)['report']
        self.assertEqual(5, report.pop('bytes_read'))
        self.assertEqual(['format'], list(report))
        self.assertEqual(32, len(report['format']))
        entry, = objects.NodeHistory.list_by_node_id(self.context,
                                                     self.node.id)
        self.assertTrue(entry.event.isprintable())
        self.assertLess(len(entry.event), 500)

    def test_a_command_that_ends_between_two_looks(self):
        running = command('RUNNING', {'imagedeploy': {'progress': PROGRESS}})
        done = command('SUCCEEDED', {
            'deploy_result': {'imagedeploy': REPORT}, 'deploy_step': STEP})
        told = self.heartbeat(side_effect=[[running], [done]])
        self.assertEqual({'workers', 'progress'}, set(told))
        self.assertFalse(self.went_on)
        self.assertEqual({'workers': 0, 'report': REPORT, 'timeline': {
            'written': mock.ANY}}, self.heartbeat(done))
        self.assertTrue(self.went_on)

    def test_where_boot_files_were_is_forgotten(self):
        self.node.set_driver_internal_info('imagedeploy', {
            'workers': 0, 'boot_files': {'kernel': {'url': 'secret'}}})
        self.node.save()
        running = command('RUNNING', {'imagedeploy': {'progress': PROGRESS}})
        self.assertIn('boot_files', self.heartbeat(running))
        done = command('SUCCEEDED', {'deploy_step': STEP, 'deploy_result': {
            'result': 'written', 'imagedeploy': REPORT}})
        self.assertNotIn('boot_files', self.heartbeat(done))

    def test_result_of_the_stock_writer(self):
        done = command('SUCCEEDED', {'deploy_result': 'written',
                                     'deploy_step': STEP})
        self.assertEqual({'workers': 0}, self.heartbeat(done))
        self.assertTrue(self.went_on)

    def test_nothing_yet(self):
        self.assertEqual({'workers': 0},
                         self.heartbeat(command('RUNNING', None)))

    def test_an_agent_that_forgot_the_write_has_not_written(self):
        steps = command('SUCCEEDED', {'deploy_steps': {}}, 'get_deploy_steps')
        for commands in ([], [steps]):
            error = self.assertRaises(exception.InstanceDeployFailure,
                                      self.heartbeat, *commands)
            self.assertIn('started again', str(error))

    def test_progress_of_a_failure_stays(self):
        failed = {**command('FAILED', {'imagedeploy': {'progress': PROGRESS}}),
                  'command_error': {'details': 'the disk failed'}}
        with mock.patch.object(agent_base, '_step_failure_handler',
                               autospec=True) as handle:
            told = self.heartbeat(failed)['progress']
        self.assertEqual(50.0, told['percent'])
        self.assertIn('the disk failed', handle.call_args.args[1])

    def test_other_steps_are_none_of_ours(self):
        self.node.deploy_step = {**STEP, 'step': 'erase_devices_metadata'}
        self.node.save()
        stale = command('SUCCEEDED', {
            'deploy_result': {'imagedeploy': REPORT}, 'deploy_step': STEP})
        self.assertEqual({'workers': 0}, self.heartbeat(stale))

    def test_an_agent_that_does_not_answer_is_the_steps_affair(self):
        self.assertRaises(
            exception.AgentConnectionFailed, self.heartbeat,
            side_effect=exception.AgentConnectionFailed(reason='gone'))

    def test_a_report_about_another_image(self):
        self.node.set_driver_internal_info('imagedeploy', {
            'checksum': 'sha256:' + 64 * '1'})
        self.node.save()

        def done(algorithm, value):
            return command('SUCCEEDED', {
                'deploy_step': STEP, 'deploy_result': {'imagedeploy': {
                    'checksum': {'algorithm': algorithm, 'value': value,
                                 'verified': True}}}})

        error = self.assertRaises(exception.InstanceDeployFailure,
                                  self.heartbeat, done('sha256', 64 * '2'))
        for word in ('wrote another image', 64 * '1', 64 * '2'):
            self.assertIn(word, str(error))
        # Of another algorithm nothing is known.
        for algorithm, digit in (('sha512', '2'), ('sha256', '1')):
            self.heartbeat(done(algorithm, 64 * digit))
            self.assertTrue(self.went_on)
