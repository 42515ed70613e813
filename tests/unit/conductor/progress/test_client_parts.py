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

import contextlib
import http.server
import json
import socket
import threading
import unittest
from unittest import mock

from oslo_config import fixture
import requests

from ironic.conf import CONF

from ironic_imagedeploy.conductor.progress import client
from ironic_imagedeploy.conductor.progress import commands
from tests.unit.conductor.progress import agents
from tests.unit.conductor import unsaved

COMMAND = agents.command('RUNNING', {})
LISTED = json.dumps({'commands': [COMMAND]}).encode()
ONE = json.dumps(COMMAND).encode()


class CallTest(unittest.TestCase):

    def setUp(self):
        super().setUp()
        self.call = client.Call('an item')
        self.near, self.far = socket.socketpair()
        self.addCleanup(self.near.close)
        self.addCleanup(self.far.close)
        self.far.settimeout(10)

    def run_(self, function):
        with mock.patch.object(client.time, 'monotonic', autospec=True,
                               side_effect=[7.0, 9.5]):
            self.call.run(function)
            return self.call.seconds

    def test_before_it_began(self):
        self.assertEqual(
            ('an item', None, False, False, 0.0),
            (self.call.item, self.call.result, self.call.began,
             self.call.is_cut, self.call.seconds))

    def test_result(self):
        self.assertEqual(2.5, self.run_(lambda item: f'of {item}'))
        self.assertEqual(('of an item', True, False), (
            self.call.result, self.call.began, self.call.is_cut))

    def test_failure(self):
        self.assertRaises(ZeroDivisionError, self.call.run,
                          lambda _: 1 / 0)
        self.assertEqual((None, True),
                         (self.call.result, self.call.began))

    def test_it_is_the_call_of_its_thread_while_it_runs(self):
        self.call.run(lambda _: self.assertIs(self.call,
                                              client._CURRENT.call))
        self.assertFalse(hasattr(client._CURRENT, 'call'))
        self.assertIs(self.near, client._watched(self.near))

    def test_cut(self):
        def cut(_):
            client._watched(self.near)
            self.call.cut()
            return self.far.recv(1)

        self.call.run(cut)
        self.assertEqual((b'', True), (self.call.result, self.call.is_cut))

    def test_a_connection_that_comes_after_the_cut(self):
        self.call.cut()
        self.call.watch(self.near)
        self.assertEqual(b'', self.far.recv(1))

    def test_a_connection_lives_until_it_is_cut(self):
        self.call.watch(self.near)
        self.far.settimeout(0)
        self.assertRaises(BlockingIOError, self.far.recv, 1)
        self.call.cut()
        self.assertEqual(b'', self.far.recv(1))

    def test_all_connections_are_cut(self):
        gone, other = socket.socketpair()
        self.addCleanup(other.close)
        self.call.watch(gone)
        self.call.watch(self.near)
        gone.shutdown(socket.SHUT_RDWR)
        gone.close()
        other.close()
        self.call.cut()
        self.assertEqual(b'', self.far.recv(1))

    def test_it_keeps_no_connection(self):
        self.call.run(lambda _: client._watched(self.near))
        self.near.close()
        self.assertEqual(b'', self.far.recv(1))
        self.assertFalse(self.call.is_cut)


class SessionTestCase(unittest.TestCase):

    def setUp(self):
        super().setUp()
        self.conf = self.enterContext(fixture.Config(CONF))
        self.agent = http.server.ThreadingHTTPServer(('127.0.0.1', 0),
                                                     agents.Agent)
        self.agent.asked, self.agent.behaviour = [], None
        self.agent.body = LISTED
        self.agent.daemon_threads = True
        self.agent.handle_error = lambda *_: None
        threading.Thread(target=self.agent.serve_forever, args=(0.01,),
                         daemon=True).start()
        self.addCleanup(self.agent.server_close)
        self.addCleanup(self.agent.shutdown)
        self.url = f'http://127.0.0.1:{self.agent.server_port}/'


class SessionTest(SessionTestCase):

    def setUp(self):
        super().setUp()
        self.session = client._Session(timeout=10)

    def test_length(self):
        for length, most, is_read in ((9, 10, True), (10, 10, True),
                                      (11, 10, False), (99, 10, False)):
            self.agent.body = b'x' * length
            with mock.patch.object(client, 'MOST_BYTES', most):
                if is_read:
                    self.assertEqual(self.agent.body,
                                     self.session.get(self.url).content)
                    continue
                error = self.too_long()
                self.assertIn('expected at most 10 bytes', str(error))

    def too_long(self):
        with self.assertRaises(client.TooLong) as caught:
            self.session.get(self.url)
        return caught.exception

    def test_an_answer_that_is_cut_off(self):
        def answer(handler):
            handler.send_response(200)
            handler.send_header('Content-Length', '9')
            handler.end_headers()
            handler.wfile.write(b'12345678')

        self.agent.behaviour = answer
        self.assertRaises(requests.ConnectionError, self.session.get,
                          self.url)

    def test_it_waits_and_follows_as_it_has_to(self):
        with mock.patch.object(requests.Session, 'request',
                               autospec=True) as request:
            request.return_value.raw.read.return_value = b''
            self.session.get(self.url, params={'a': 'b'}, timeout=99)
        options = request.call_args.kwargs
        self.assertEqual(
            {'params': {'a': 'b'}, 'timeout': 10, 'stream': True,
             'allow_redirects': False}, options)


class OwnSessionTest(SessionTestCase):

    def session(self, **info):
        self.conf.config(command_timeout=3, group='agent')
        return client._OwnSession(unsaved.node(instance_info=info))

    def test_most_bytes(self):
        for info, shown in (({}, len('null')),
                            ({'configdrive': 'x' * 100}, 102)):
            session = self.session(**info)
            for method in ('GET', 'get'):
                self.assertEqual((1 << 20) + 4 * shown,
                                 session._most(method))
            self.assertEqual(64 << 20, session._most('POST'))

    def test_answers(self):
        session = self.session()
        self.assertEqual({'commands': [COMMAND]},
                         session.get(self.url).json())
        self.agent.body = ONE
        self.assertEqual(COMMAND, session.post(self.url).json())

    def test_answers_that_are_none(self):
        for method, body, expected in (
                ('GET', ONE, commands.COMMANDS),
                ('GET', b'<html>', commands.COMMANDS),
                ('POST', LISTED, commands.COMMAND),
                ('POST', b'', commands.COMMAND)):
            self.agent.body = body
            with self.assertRaises(client.NotAnAnswer) as caught:
                self.session().request(method, self.url)
            self.assertIn(f'expected {expected} in JSON, found something '
                          'else with HTTP status 200', str(caught.exception))

    def test_time(self):
        made = mock.create_autospec(threading.Timer, instance=True)
        seen = []

        def timer(seconds, function):
            seen.append(seconds)
            function()
            return made

        session = self.session()
        with (mock.patch.object(client.threading, 'Timer', timer),
              self.assertRaises(client.TooSlow) as caught):
            session.get(self.url)
        self.assertEqual([6], seen)
        self.assertIn('within 6 seconds', str(caught.exception))

    def test_the_timer_ends_with_the_answer(self):
        with mock.patch.object(client.threading, 'Timer',
                               autospec=True) as timer:
            self.session().get(self.url)
            self.agent.shutdown()
            self.agent.server_close()
            with contextlib.suppress(requests.ConnectionError):
                self.session().get(self.url)
        self.assertTrue(timer.return_value.daemon)
        self.assertEqual(2, timer.return_value.cancel.call_count)

    def test_an_agent_that_is_not_there(self):
        with socket.create_server(('127.0.0.1', 0)) as server:
            port = server.getsockname()[1]
        self.assertRaises(requests.ConnectionError, self.session().get,
                          f'http://127.0.0.1:{port}/')
