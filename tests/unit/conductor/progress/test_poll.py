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
import gc
import http.server
import json
import threading
import time
from unittest import mock
import weakref

from futurist import periodics
import requests

from ironic.common import metrics_collector
from ironic.common import rpc
from ironic.common import states
from ironic.drivers.modules import agent_base
from ironic import objects

from ironic_imagedeploy.conductor import deploy
from ironic_imagedeploy.conductor.progress import notifications
from ironic_imagedeploy.conductor.progress import poll
from ironic_imagedeploy.conductor.progress import records
from tests.unit.conductor import base
from tests.unit.conductor.progress import test_answers

STEP = test_answers.STEP
MIB = base.MIB
START = datetime.datetime(2026, 11, 23, 1, 0, 0, tzinfo=datetime.UTC)


class Agent(http.server.BaseHTTPRequestHandler):
    """Tells what the test wants it to tell."""

    def do_GET(self):
        self.server.asked.append(self.path)
        if self.server.silence.wait(0 if not self.server.deaf else 10):
            return
        body = self.server.body
        self.send_response(200)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):
        pass


class FollowTestCase(base.ConductorTestCase):
    """One node that is being written to, and its agent."""

    def setUp(self):
        super().setUp()
        self._start_service()
        self.addCleanup(self._stop_service)
        self.now = START
        clock = mock.patch.object(records, '_now', autospec=True,
                                  side_effect=lambda: self.now)
        clock.start()
        self.addCleanup(clock.stop)
        self.agent = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Agent)
        self.agent.asked = []
        self.agent.deaf = False
        self.agent.silence = threading.Event()
        threading.Thread(target=self.agent.serve_forever, args=(0.05,),
                         daemon=True).start()
        self.addCleanup(self.agent.server_close)
        self.addCleanup(self.agent.shutdown)
        self.addCleanup(self.agent.silence.set)
        self.use()
        self.node.provision_state = states.DEPLOYWAIT
        self.node.target_provision_state = states.ACTIVE
        self.node.deploy_step = STEP
        self.node.set_driver_internal_info('imagedeploy', {'workers': 0})
        self.node.set_driver_internal_info(
            'agent_url', f'http://127.0.0.1:{self.agent.server_port}')
        self.node.set_driver_internal_info('agent_secret_token', 'token')
        self.node.save()
        self.tells(1)

    def tells(self, mib, status='RUNNING', **told):
        """What the agent tells from now on."""
        self.agent.body = json.dumps({'commands': [test_answers.command(
            status, {'imagedeploy': {'progress': {
                'phase': 'write', 'done': mib * MIB, 'total': 8 * MIB,
                'bytes_per_second': MIB / 2, 'bottleneck': 'network',
                **told}}})]}).encode()

    def follow(self, seconds=0):
        """The progress of the node after that time."""
        self.now += datetime.timedelta(seconds=seconds)
        poll.follow(self.service, self.context)
        info = self.refreshed().driver_internal_info['imagedeploy']
        self.assertEqual(0, info['workers'])
        return info.get('progress')


class PeriodicTaskTest(FollowTestCase):

    def test_the_conductor_runs_it(self):
        with mock.patch.object(periodics, 'PeriodicWorker', autospec=True):
            self.service._collect_periodic_tasks(self.context)
        (task, args), = [
            (task, args) for task, args, _ in
            self.service._periodic_task_callables
            if task.__name__ == 'follow_writes']
        self.assertEqual(10, task._periodic_spacing)
        task(*args)
        self.assertEqual(12.5, self.refreshed().driver_internal_info[
            'imagedeploy']['progress']['percent'])

    def test_switched_off(self):
        self.config(progress_interval=0, group='imagedeploy')
        self.assertFalse(deploy.ImageDeploy().follow_writes._is_periodic)


class ProgressTest(FollowTestCase):

    def test_all_of_it(self):
        self.assertEqual({
            'phase': 'write', 'done': MIB, 'total': 8 * MIB, 'percent': 12.5,
            'bytes_per_second': MIB / 2, 'bottleneck': 'network',
            'estimated_end': '2026-11-23T01:00:14+00:00',
            'updated_at': '2026-11-23T01:00:00+00:00',
            'moved_at': '2026-11-23T01:00:00+00:00', 'stalled': None},
            self.follow())
        self.assertEqual(
            ['/v1/commands/?agent_token=token'], self.agent.asked)

    def test_the_rest_of_the_node_stays(self):
        before = self.refreshed().as_dict()
        self.follow()
        after = self.refreshed().as_dict()
        for values in (before, after):
            del values['driver_internal_info']['imagedeploy']
            del values['updated_at']
        self.assertEqual(before, after)

    def test_other_nodes_are_left_alone(self):
        for name, value in (
                ('deploy_interface', 'direct'),
                ('deploy_step', {**STEP, 'step': 'check_agent'}),
                ('provision_state', states.DEPLOYING),
                ('driver_internal_info', {'agent_url': 'http://127.0.0.1'})):
            before = getattr(self.node, name)
            setattr(self.node, name, value)
            self.node.save()
            poll.follow(self.service, self.context)
            self.assertEqual([], self.agent.asked, name)
            setattr(self.node, name, before)
            self.node.save()

    def test_a_reserved_node_is_not_written(self):
        with self.task(shared=False):
            self.assertIsNone(self.follow())
        self.assertIsNotNone(self.follow(10))

    def test_a_change_meanwhile_wins(self):
        ask = poll._ask

        def meanwhile(*args):
            answer = ask(*args)
            with self.task(shared=False) as task:
                task.node.set_driver_internal_info('agent_url', 'changed')
                task.node.save()
            return answer

        with mock.patch.object(poll, '_ask', autospec=True,
                               side_effect=meanwhile):
            self.assertIsNone(self.follow())
        self.assertEqual('changed',
                         self.node.driver_internal_info['agent_url'])

    def test_a_heartbeat_is_never_turned_away(self):
        locked = []
        ask = poll._ask

        def meanwhile(*args):
            with self.task() as task:
                task.driver.deploy.heartbeat(
                    task, 'http://127.0.0.1:1', '13.0.0')
                locked.append(task.shared)
            return ask(*args)

        with (mock.patch.object(poll, '_ask', autospec=True,
                                side_effect=meanwhile),
              mock.patch.object(agent_base.HeartbeatMixin,
                                '_heartbeat_deploy_wait', autospec=True)):
            self.follow()
        self.assertEqual([False], locked)

    def test_the_end_is_the_affair_of_the_heartbeat(self):
        self.follow()
        before = self.refreshed().as_dict()
        for status in ('SUCCEEDED', 'FAILED'):
            self.tells(8, status)
            self.follow(10)
            self.assertEqual(before, self.refreshed().as_dict())

    def test_a_size_that_nobody_knows(self):
        self.tells(1, total=0)
        seen = self.follow()
        self.assertIsNone(seen['percent'])
        self.assertIsNone(seen['estimated_end'])

    def test_nonsense_of_a_ramdisk(self):
        self.tells(1, phase='p' * 1000, bottleneck=['disk'] * 1000,
                   bytes_per_second=1e999, done='many', total=-1)
        seen = self.follow()
        self.assertEqual((32, 0, 0, 0, 0), (
            len(seen['phase']), len(seen['bottleneck']),
            seen['bytes_per_second'], seen['done'], seen['total']))
        for body in (b'<html>', b'{}', b'[]', b'{"commands": []}',
                     b'{"commands": {}}', b'{"commands": [3]}',
                     b'{"commands": null}'):
            self.agent.body = body
            self.assertEqual(seen, self.follow(), body)


class StallTest(FollowTestCase):

    def test_no_new_byte(self):
        self.follow()
        self.assertIsNone(self.follow(20)['stalled'])
        seen = self.follow(10)
        self.assertEqual({'since': '2026-11-23T01:00:00+00:00',
                          'waiting_for': 'network'}, seen['stalled'])
        self.assertEqual('2026-11-23T01:00:30+00:00', seen['updated_at'])
        self.assertIsNone(seen['estimated_end'])
        self.tells(2)
        self.assertIsNone(self.follow(10)['stalled'])

    def test_what_it_waits_for(self):
        for told, expected in (
                ({'bottleneck': 'decode'}, 'decode'),
                ({'phase': 'inspect', 'total': 0}, 'network'),
                ({'done': 8 * MIB}, 'disk'),
                ({'phase': 'read-back'}, 'disk')):
            self.tells(1, **told)
            self.follow()
            self.assertEqual(
                expected, self.follow(60)['stalled']['waiting_for'])

    def test_boot_set_up_writes_no_byte_of_the_image(self):
        self.tells(0, phase='boot', total=0)
        self.follow()
        self.assertIsNone(self.follow(600)['stalled'])

    def test_threshold(self):
        self.config(stall_threshold=100, group='imagedeploy')
        self.follow()
        self.assertIsNone(self.follow(99)['stalled'])
        self.assertTrue(self.follow(1)['stalled'])

    def test_an_agent_that_is_gone(self):
        self.follow()
        self.node.set_driver_internal_info('agent_url', 'http://127.0.0.1:1')
        self.node.save()
        before = self.follow(20)
        self.assertIsNone(before['stalled'])
        seen = self.follow(20)
        self.assertEqual({'since': '2026-11-23T01:00:00+00:00',
                          'waiting_for': 'agent'}, seen['stalled'])
        self.assertEqual(seen, self.follow(20))

    def test_an_agent_that_is_deaf_holds_nobody_up_for_long(self):
        self.agent.deaf = True
        with mock.patch.object(poll, '_TIMEOUT', 0.3):
            began = time.monotonic()
            self.assertIsNone(self.follow())
        self.assertLess(time.monotonic() - began, 30)

    def test_a_timeout_is_that_of_a_request(self):
        client = poll._Client()
        self.agent.deaf = True
        with mock.patch.object(poll, '_TIMEOUT', 0.2):
            self.assertRaises(
                requests.Timeout, client.session.get,
                f'http://127.0.0.1:{self.agent.server_port}', timeout=60)

    def test_a_client_leaves_nothing_to_the_garbage_collector(self):
        gc.disable()
        self.addCleanup(gc.enable)
        client = poll._Client()
        adapters = [weakref.ref(each)
                    for each in client.session.adapters.values()]
        client.get_commands_status(self.node, retry_connection=False)
        del client
        self.assertEqual([None] * len(adapters), [each() for each in adapters])


class NotificationsTest(FollowTestCase):

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
        report = test_answers.REPORT
        notifications.ended(self.context, self.node, report)
        self.assertEqual(('info', 'baremetal.node.write_image.end',
                          {'report': report}), self.sent())

    def test_a_bus_that_is_down(self):
        self.notifier.info.side_effect = OSError
        self.assertTrue(self.follow())


class MetricsTest(FollowTestCase):

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


class HistoryTest(FollowTestCase):

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
        notifications.ended(self.context, self.node, {'seconds': 'long'})
        self.assertEqual(1, len(self.lines()))
