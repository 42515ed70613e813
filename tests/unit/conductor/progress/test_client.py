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

import gc
import json
import logging
import threading
import time
from unittest import mock
import weakref

import requests

from ironic.conf import CONF

from ironic_imagedeploy.conductor.progress import client
from ironic_imagedeploy.conductor.progress import poll
from ironic_imagedeploy.conductor.progress import rounds
from tests.unit.conductor.progress import agents


def trickle(handler):
    """Answer with a header of a byte now and then."""
    handler.wfile.write(b'HTTP/1.1 200 OK\r\nX: ')
    for _ in range(1000):
        handler.wfile.write(b'x')
        handler.wfile.flush()
        time.sleep(0.05)


def send_much(handler):
    """Answer with 200 MB."""
    handler.send_response(200)
    handler.send_header('Content-Length', str(200 * 10 ** 6))
    handler.end_headers()
    try:
        for _ in range(200):
            handler.wfile.write(b' ' * 10 ** 6)
            handler.server.sent += 10 ** 6
    except OSError:
        pass


class ClientTest(agents.FollowTestCase):

    def url(self):
        return f'http://127.0.0.1:{self.agent.server_port}'

    def get(self):
        return client.Client().get_commands_status(
            self.node, retry_connection=False)

    def test_silence(self):
        release = threading.Event()
        self.addCleanup(release.set)
        self.agent.behaviour = lambda handler: release.wait(10)
        with mock.patch.object(client, '_TIMEOUT', 0.2):
            self.assertRaises(requests.Timeout, client.Client().session.get,
                              self.url(), timeout=60)

    def test_a_long_answer_is_not_read(self):
        self.agent.body += b' ' * client.MOST_BYTES
        self.assertRaises(client.TooLong, self.get)
        self.agent.body = self.agent.body[:client.MOST_BYTES]
        self.assertEqual('RUNNING', self.get()[0]['command_status'])

    def test_nothing_is_unpacked(self):
        seen = []

        def note(handler):
            seen.append(handler.headers['Accept-Encoding'])
            handler.send_error(500)

        self.agent.behaviour = note
        client.Client().session.get(self.url())
        self.assertEqual(['identity'], seen)

    def test_an_agent_cannot_send_the_conductor_elsewhere(self):
        def redirect(handler):
            handler.send_response(302)
            handler.send_header('Location', '/elsewhere')
            handler.end_headers()

        self.agent.behaviour = redirect
        self.assertEqual(302,
                         client.Client().session.get(self.url()).status_code)
        self.assertEqual(['/'], self.agent.asked)

    def test_a_client_leaves_nothing_to_the_garbage_collector(self):
        gc.disable()
        self.addCleanup(gc.enable)
        ours = client.Client()
        adapters = [weakref.ref(adapter)
                    for adapter in ours.session.adapters.values()]
        ours.get_commands_status(self.node, retry_connection=False)
        del ours
        self.assertEqual([None] * len(adapters),
                         [adapter() for adapter in adapters])

    def test_no_connection_is_kept(self):
        ended = threading.Event()

        def end(handler):
            ended.set()

        with (mock.patch.multiple(agents.Agent, protocol_version='HTTP/1.1',
                                  finish=end), self.task() as task):
            for ours in client.Client(), client.bounded(task):
                ended.clear()
                ours.get_commands_status(self.node, retry_connection=False)
                self.assertTrue(ended.wait(10))


class RoundTest(agents.FollowTestCase):

    def setUp(self):
        super().setUp()
        for name, seconds in (('_ANSWER', 0.5), ('_ROUND', 3.0),
                              ('_LOOK', 0.05)):
            patcher = mock.patch.object(rounds, name, seconds)
            patcher.start()
            self.addCleanup(patcher.stop)

    def test_an_agent_that_sends_a_byte_now_and_then(self):
        self.agent.behaviour = trickle
        before = set(threading.enumerate())
        began = time.monotonic()
        self.assertIsNone(self.follow())
        self.assertLess(time.monotonic() - began, 2.5)
        ours = [thread for thread in set(threading.enumerate()) - before
                if '_work' in thread.name]
        for thread in ours:
            thread.join(2)
            self.assertFalse(thread.is_alive())

    def test_a_long_answer_is_a_sign_of_life(self):
        before = self.follow()
        self.agent.body += b' ' * client.MOST_BYTES
        self.assertEqual(before, self.follow(600))

    def test_a_node_that_was_not_asked_keeps_its_progress(self):
        before = self.follow()
        with mock.patch.object(poll.rounds, 'ask', autospec=True,
                               return_value=[]):
            self.assertEqual(before, self.follow(600))


class HeartbeatTest(agents.HeartbeatTestCase):

    def test_a_byte_now_and_then(self):
        self.agent.behaviour = trickle
        self.assert_failed('within 2 seconds, found none', 8)

    def test_a_body_of_a_byte_now_and_then(self):
        def answer(handler):
            handler.send_response(200)
            handler.end_headers()
            trickle(handler)

        self.agent.behaviour = answer
        self.assert_failed('within 2 seconds, found none', 8)

    def test_continue_for_ever(self):
        def go_on(handler):
            for _ in range(1000):
                handler.wfile.write(b'HTTP/1.1 100 Continue\r\n\r\n')
                time.sleep(0.05)

        self.agent.behaviour = go_on
        self.assert_failed('within 2 seconds, found none', 8)

    def test_200_megabytes(self):
        self.agent.behaviour = send_much
        self.assert_failed('expected at most', 8)
        self.assertLess(self.agent.sent, 20 * 10 ** 6)

    def test_an_answer_that_is_cut_off_is_asked_for_again(self):
        whole = self.agent.body

        def answer(handler):
            handler.send_response(200)
            handler.send_header('Content-Length', str(len(whole)))
            handler.end_headers()
            first = len(self.agent.asked) == 1
            handler.wfile.write(whole[:50] if first else whole)

        self.agent.behaviour = answer
        node = self.heartbeat()
        self.assertIsNone(node.last_error)
        self.assertIn('progress', node.driver_internal_info['imagedeploy'])
        self.assertEqual(2, len(self.agent.asked))

    def test_a_large_config_drive_comes_back_twice(self):
        drive = 'H4sI' * (3 << 18)
        self.node.set_instance_info('configdrive', drive)
        self.node.save()
        self.agent.body = json.dumps({'commands': [agents.command(
            'SUCCEEDED', {
                'deploy_result': {'imagedeploy': agents.REPORT},
                'deploy_step': {**agents.STEP, 'args': {
                    'configdrive': drive,
                    'image_info': {'configdrive': drive}}}})]}).encode()
        self.assertGreater(len(self.agent.body), 6 * agents.MIB)
        node = self.heartbeat()
        self.assertIsNone(node.last_error)
        self.assertTrue(self.went_on)

    def test_the_answer_to_an_order(self):
        self.agent.behaviour = trickle
        self.node.set_instance_info('image_url', 'http://192.0.2.1/')
        self.node.save()
        with self.task(shared=False) as task:
            error = self.assertRaises(
                client.TooSlow, task.driver.deploy.execute_deploy_step,
                task, agents.STEP)
        self.assertNotIn('token=', str(error))

    def test_an_answer_that_shows_no_secret(self):
        """Ironic would log the order, and keep it in last_error."""
        def refuse(handler):
            handler.send_response(502)
            handler.end_headers()
            handler.wfile.write(b'<html>')

        info = self.node.driver_internal_info
        info['imagedeploy'] = {**info.get('imagedeploy', {}), 'neighbours': {
            'ticket': '53cret'}, 'manifest': {'url': 'http://x?53cret'}}
        self.node.driver_internal_info = info
        self.node.set_instance_info('image_url', 'http://192.0.2.1/')
        self.node.save()
        self.agent.behaviour = refuse
        with (self.task(shared=False) as task,
              self.assertLogs(level='ERROR') as logs):
            logging.getLogger().error('at least this')
            error = self.assertRaises(
                client.NotAnAnswer, task.driver.deploy.execute_deploy_step,
                task, agents.STEP)
        self.assertIn('found something else with HTTP status 502', str(error))
        self.assertNotIn('53cret', str(error) + str(logs.output))

    def test_time_is_that_of_ironic(self):
        self.config(command_timeout=7, group='agent')
        with self.task() as task, mock.patch.object(
                client.threading, 'Timer', autospec=True) as timer:
            client.bounded(task).get_commands_status(self.node)
        self.assertEqual(2 * CONF.agent.command_timeout,
                         timer.call_args.args[0])
