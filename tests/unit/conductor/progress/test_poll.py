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

from futurist import periodics

from ironic.common import states
from ironic.drivers.modules import agent_base

from ironic_imagedeploy.conductor import deploy
from ironic_imagedeploy.conductor.progress import poll
from tests.unit.conductor import base
from tests.unit.conductor.progress import agents

STEP = agents.STEP
MIB = base.MIB


class PeriodicTaskTest(agents.FollowTestCase):

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


class ProgressTest(agents.FollowTestCase):

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

    def test_instance_info_names_the_interface_first(self):
        info = self.node.instance_info
        for interface, chosen, asked in (
                ('direct', 'imagedeploy', 1), ('imagedeploy', 'direct', 0),
                ('imagedeploy', 'imagedeploy', 1)):
            self.agent.asked.clear()
            self.node.deploy_interface = interface
            self.node.instance_info = {**info, 'deploy_interface': chosen}
            self.node.save()
            poll.follow(self.service, self.context)
            self.assertEqual(asked, len(self.agent.asked), interface)

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

    def test_an_agent_that_knows_what_is_left(self):
        """It counts the zeroes, and what the file stores in fewer bytes."""
        self.tells(1, seconds_left=120.5)
        self.assertEqual('2026-11-23T01:02:00+00:00',
                         self.follow()['estimated_end'])
        for nonsense in ('soon', -1, 1e999):
            self.tells(1, seconds_left=nonsense)
            self.assertEqual('2026-11-23T01:00:14+00:00',
                             self.follow()['estimated_end'])

    def test_zeroes_that_are_left(self):
        self.tells(8, phase='zero', seconds_left=30)
        self.assertEqual('2026-11-23T01:00:30+00:00',
                         self.follow()['estimated_end'])

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


class StallTest(agents.FollowTestCase):

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

    def test_a_clock_that_is_set_back(self):
        """The stall counts from then on, not from a time to come."""
        self.follow()
        self.assertIsNone(self.follow(-86400)['stalled'])
        self.assertIsNone(self.follow(20)['stalled'])
        self.assertEqual(
            {'since': '2026-11-22T01:00:00+00:00', 'waiting_for': 'network'},
            self.follow(10)['stalled'])

    def test_a_clock_that_is_set_back_while_an_agent_is_gone(self):
        self.follow()
        self.node.set_driver_internal_info('agent_url', 'http://127.0.0.1:1')
        self.node.save()
        self.assertIsNone(self.follow(-86400)['stalled'])
        self.assertIsNone(self.follow(20)['stalled'])
        self.assertEqual(
            {'since': '2026-11-22T01:00:00+00:00', 'waiting_for': 'agent'},
            self.follow(10)['stalled'])

    def test_a_clock_that_is_set_forward(self):
        """What was no stall is none any more with the next byte."""
        self.follow()
        self.assertTrue(self.follow(86400)['stalled'])
        self.tells(2)
        self.assertIsNone(self.follow(1)['stalled'])
