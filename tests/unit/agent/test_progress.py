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

from ironic_python_agent.extensions import base

from ironic_imagedeploy.agent import progress
from ironic_imagedeploy import engine
from tests.support import ramdisk


class PublisherTest(ramdisk.AgentTestCase):

    def setUp(self):
        super().setUp()
        self.publish = self.patched(progress, 'publish')
        self.now = self.patched(progress.time, 'monotonic')
        self.publisher = progress.Publisher(str(self.disk))

    def shown(self, now, done):
        """What is shown at a time when so many bytes are done."""
        self.now.return_value = now
        self.publisher(engine.Progress('write', done, 1000, 7.0, 'decode'))
        return self.publish.call_args.args[0]

    def test_bottleneck_of_a_pause(self):
        flight = self.patched(progress, '_in_flight')
        for requests, expected in ((2, 'disk'), (0, 'network'),
                                   (None, 'decode')):
            flight.return_value = requests
            self.publisher = progress.Publisher(str(self.disk))
            self.assertEqual('decode', self.shown(0.0, 1)['bottleneck'])
            self.assertEqual('decode', self.shown(5.0, 1)['bottleneck'])
            self.assertEqual(expected, self.shown(5.1, 1)['bottleneck'])
            self.assertEqual('decode', self.shown(6.0, 2)['bottleneck'])

    def test_a_pause_before_the_first_byte(self):
        self.patched(progress, '_in_flight').return_value = 0
        self.now.return_value = 100.0
        self.publisher = progress.Publisher(str(self.disk))
        self.assertEqual('decode', self.shown(105.0, 0)['bottleneck'])
        self.assertEqual('network', self.shown(110.1, 0)['bottleneck'])

    def test_a_phase_that_counts_no_bytes(self):
        self.publisher.show('inspect', 'network')
        self.publish.assert_called_once_with({
            'phase': 'inspect', 'done': 0, 'total': 0,
            'bytes_per_second': 0.0, 'bottleneck': 'network',
            'seconds_left': None})

    def test_phases_in_any_order(self):
        self.now.return_value = 100.0
        self.publisher = progress.Publisher(str(self.disk))
        for now, phase in ((100.0, 'write'), (101.0, 'read-back'),
                           (102.0, 'read-back'), (103.0, 'finish'),
                           (105.0, 'boot')):
            self.now.return_value = now
            self.publisher(engine.Progress(phase, 1, 2, 7.0, 'disk'))
        self.now.return_value = 109.0
        self.assertEqual(
            [('write', 0.0, 1.0), ('read-back', 1.0, 2.0),
             ('finish', 3.0, 2.0), ('boot', 5.0, 4.0)],
            [(each['name'], each['start'], each['seconds'])
             for each in self.publisher.phases()])


class PublishTest(ramdisk.AgentTestCase):
    """It is the preliminary result of one command."""

    def setUp(self):
        super().setUp()
        self.results = self.agent.command_results

    def add(self, name, status=base.AgentCommandStatus.RUNNING):
        command = base.AsyncCommandResult(name, {}, None)
        command.command_status = status
        self.results[command.id] = command
        return command

    def test_the_running_command(self):
        done = base.AgentCommandStatus.SUCCEEDED
        others = [
            self.add('execute_deploy_step', done), self.add('a'),
            self.add('execute_deploy_step'),
            latest := self.add('execute_deploy_step'), self.add('z'),
            self.add('a'), self.add('execute_deploy_step', done)]
        others.remove(latest)
        progress.publish({'done': 1})
        self.assertEqual({'imagedeploy': {'progress': {'done': 1}}},
                         latest.command_result)
        self.assertEqual({None}, {each.command_result for each in others})

    def test_no_command_runs(self):
        other = self.add('other')
        progress.publish({'done': 1})
        self.assertIsNone(other.command_result)

    def test_no_agent(self):
        self.standby.agent = None
        progress.publish({'done': 1})


class FailureTest(ramdisk.AgentTestCase):

    def test_progress_never_ends_a_write(self):
        for name, error in (('_running_command', RuntimeError('mutated')),
                            ('publish', AttributeError('renamed'))):
            self.patched(progress, name).side_effect = error
            self.written()
            self.assert_written()
        self.assertEqual(2, self.log.output.count('cannot be shown'))


class InFlightTest(ramdisk.AgentTestCase):

    def test_the_kernel_tells(self):
        opened = mock.mock_open(read_data='       1       32\n')
        with mock.patch.object(progress, 'open', opened, create=True):
            self.assertEqual(33, progress._in_flight('/dev/null'))
        opened.assert_called_once_with('/sys/dev/block/1:3/inflight',
                                       encoding='ascii')

    def test_what_is_no_disk(self):
        self.assertIsNone(progress._in_flight(str(self.disk)))
        self.assertIsNone(progress._in_flight('/dev/gone'))
