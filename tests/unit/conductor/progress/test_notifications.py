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


from ironic.common import metrics_collector
from ironic.common import rpc
from ironic.common import states
from ironic import objects

from ironic_imagedeploy.conductor.progress import notifications
from ironic_imagedeploy.conductor.progress import poll
from tests.unit.conductor import base
from tests.unit.conductor.progress import agents

REPORT = agents.REPORT
MIB = base.MIB


class NotificationsTest(agents.FollowTestCase):

    def setUp(self):
        super().setUp()
        self.config(notification_level='debug')
        patcher = mock.patch.object(rpc, 'get_versioned_notifier',
                                    autospec=True)
        self.notifier = patcher.start().return_value
        self.addCleanup(patcher.stop)

    def sent(self):
        """Level, event type and what is told, of the last one."""
        (level, args, kwargs), = self.notifier.mock_calls
        self.notifier.reset_mock()
        step = kwargs['payload']['ironic_object.data']['deploy_step']
        self.assertEqual('write_image', step['step'])
        return level, kwargs['event_type'], step['imagedeploy']

    def test_start_progress_stall(self):
        told = {'progress': self.follow()}
        self.assertEqual(('info', 'baremetal.node.write_image.start', told),
                         self.sent())
        told = {'progress': self.follow(10)}
        self.assertEqual(
            ('debug', 'baremetal.node.write_image.success', told),
            self.sent())
        told = {'progress': self.follow(30)}
        self.assertTrue(told['progress']['stalled'])
        self.assertEqual(
            ('warning', 'baremetal.node.write_image.error', told),
            self.sent())
        self.follow(10)
        self.assertEqual('debug', self.sent()[0])

    def test_progress_is_for_those_who_want_it(self):
        self.config(notification_level='info')
        self.follow()
        self.sent()
        self.follow(10)
        self.assertEqual([], self.notifier.mock_calls)

    def test_end(self):
        report = REPORT
        notifications.ended(self.context, self.node, report)
        self.assertEqual(('info', 'baremetal.node.write_image.end',
                          {'report': report}), self.sent())

    def test_a_bus_that_is_down(self):
        self.notifier.info.side_effect = OSError
        self.assertTrue(self.follow())


class MetricsTest(agents.FollowTestCase):

    def setUp(self):
        super().setUp()
        self.collector = metrics_collector.DictCollectionMetricLogger('test')
        self.patched = mock.patch.object(notifications, 'METRICS',
                                         self.collector)
        self.patched.start()
        self.addCleanup(self.patched.stop)
        self.addCleanup(metrics_collector.STATISTIC_DATA.clear)

    def gauges(self):
        data = self.collector.get_metrics_data()
        return {name.removeprefix('test.ImageDeploy.'): value['value']
                for name, value in data.items() if value['type'] == 'gauge'}

    def test_gauges(self):
        self.follow()
        moving = {'writing': 1, 'stalled': 0, 'bytes_per_second': MIB / 2,
                  'limited_by.network': 1, 'limited_by.decode': 0,
                  'limited_by.disk': 0}
        self.assertEqual(moving, self.gauges())
        self.follow(60)
        self.assertEqual({**moving, 'stalled': 1, 'bytes_per_second': 0,
                          'limited_by.network': 0}, self.gauges())
        self.node.provision_state = states.ACTIVE
        self.node.save()
        poll.follow(self.service, self.context)
        self.assertEqual({0}, set(self.gauges().values()))

    def test_time_of_a_write(self):
        notifications.ended(self.context, self.node, {'seconds': 2.5})
        self.assertEqual(
            {'count': 1, 'sum': 2500.0, 'type': 'timer'},
            self.collector.get_metrics_data()['test.ImageDeploy.write'])


class HistoryTest(agents.FollowTestCase):

    def lines(self):
        return [(entry.event_type, entry.severity, entry.event)
                for entry in objects.NodeHistory.list_by_node_id(
                    self.context, self.node.id)]

    def test_a_line_for_the_end(self):
        notifications.ended(self.context, self.node, {
            'format': 'qcow2', 'virtual_size': 546 * MIB, 'seconds': 36.04,
            'checksum': {'algorithm': 'sha512', 'verified': True},
            'read_back': 'none', 'resumes': 1, 'bottleneck': 'network'})
        self.assertEqual([(
            'deploying', 'INFO',
            'imagedeploy wrote the image: qcow2, 546 MiB of disk in 36.0 s '
            '(15 MiB/s), sha512 verified, read back: none, resumed: 1, '
            'limited by network')], self.lines())
        self.assertIsNone(self.refreshed().last_error)

    def test_a_report_of_another_release(self):
        notifications.ended(self.context, self.node, {})
        self.assertEqual(1, len(self.lines()))

    def test_warnings_of_the_agent(self):
        notifications.ended(self.context, self.node, {'warnings': [{
            'code': 'twin', 'message': 'Two.', 'expected': 'one',
            'found': '/dev/sdb', 'fix': 'Erase it.'}, {}]})
        self.assertEqual(
            ['imagedeploy warns: twin: Two. Expected one, found /dev/sdb. '
             'Erase it.', 'imagedeploy warns: -: - Expected -, found -. -'],
            [event for _, _, event in self.lines()][1:])
