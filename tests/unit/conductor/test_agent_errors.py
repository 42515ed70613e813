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

import requests
from requests import adapters

from ironic.drivers.modules import agent_client

from ironic_imagedeploy.conductor import agent_errors


class Failing(adapters.BaseAdapter):
    """Fails with the address in its text."""

    def __init__(self, error):
        super().__init__()
        self.error = error
        self.closed = False

    def send(self, request, *args, **options):
        if self.error is None:
            self.sent = request.url, args, options
            answer = requests.Response()
            answer.status_code = 204
            return answer
        raise self.error(f'no answer of {request.url}')

    def close(self):
        self.closed = True


class RedactTest(unittest.TestCase):

    def client(self, error=None):
        client = agent_client.AgentClient()
        client.session = requests.Session()
        self.adapter = Failing(error)
        client.session.mount('http://', self.adapter)
        return client

    def test_queries_are_not_told(self):
        for error in (requests.ConnectionError, requests.ReadTimeout):
            client = self.client(error)
            agent_errors.redact(client)
            for query, told in (('?agent_token=53cret', ''), ('', '')):
                with self.assertRaises(error) as caught:
                    client.session.get(f'http://192.0.2.1/v1/x{query}')
                self.assertIs(error, type(caught.exception))
                self.assertEqual(f'no answer of http://192.0.2.1/v1/x{told}',
                                 str(caught.exception))
                self.assertIsNone(caught.exception.__cause__)

    def test_what_is_sent_is_the_same(self):
        client = self.client()
        agent_errors.redact(client)
        answer = client.session.get('http://192.0.2.1/?agent_token=53cret',
                                    timeout=7)
        self.assertEqual(204, answer.status_code)
        url, args, options = self.adapter.sent
        self.assertEqual(('http://192.0.2.1/?agent_token=53cret', 7),
                         (url, options['timeout']))

    def test_it_is_done_once(self):
        client = self.client()
        agent_errors.redact(client)
        before = dict(client.session.adapters)
        agent_errors.redact(client)
        self.assertEqual(before, dict(client.session.adapters))
        self.assertEqual({'http://', 'https://'}, set(before))

    def test_it_is_closed(self):
        client = self.client()
        agent_errors.redact(client)
        client.session.close()
        self.assertTrue(self.adapter.closed)

    def test_a_request_without_an_address(self):
        client = self.client(requests.ConnectionError)
        agent_errors.redact(client)
        request = mock.Mock(spec=requests.PreparedRequest, url=None)
        with self.assertRaisesRegex(requests.ConnectionError,
                                    'no answer of None'):
            client.session.adapters['http://'].send(request)
