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

import http.client
import inspect
import json
import re
import socket
import ssl
import unittest

from keystoneauth1 import exceptions as keystone
import openstack
import requests
import urllib3

from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.sources import answer
from ironic_imagedeploy.engine.sources import clouds
from ironic_imagedeploy.engine.sources import reasons

URL = 'http://user:53cret@192.0.2.1/a?signature=53cret'


def classes(*modules):
    """All exceptions of those modules."""
    return {kind for module in modules for _, kind in inspect.getmembers(
        module, inspect.isclass) if issubclass(kind, Exception)}


def made(kind):
    """An error of the class, with a secret in its words."""
    error = kind.__new__(kind)
    error.args = (f'{URL} failed',)
    return error


class ReasonTest(unittest.TestCase):

    def assert_words(self, words, error):
        for part in reasons.parts(error):
            self.assertNotIn(type(part).__name__, words)
        # Words with a hump are names of classes.
        self.assertIsNone(re.search(r'[a-z][A-Z][a-z]', words), words)
        self.assertNotIn('53cret', words)
        self.assertTrue(words.strip())

    def test_each_kind_has_its_words(self):
        for words, *kinds in (
                ('silence', TimeoutError, requests.exceptions.ReadTimeout),
                ('too many redirects', requests.exceptions.TooManyRedirects),
                ('no connection', requests.exceptions.ConnectionError),
                ('a proxy that does not connect',
                 requests.exceptions.ProxyError),
                ('an answer that is not JSON', json.JSONDecodeError),
                ('an answer that is not HTTP', http.client.BadStatusLine),
                ('an answer that HTTP does not allow',
                 urllib3.exceptions.ProtocolError),
                ('a failure that gives no reason', Exception)):
            for kind in kinds:
                self.assertEqual(words, reasons.reason(made(kind)), kind)

    def test_no_class_gives_its_name(self):
        for kind in classes(requests.exceptions, urllib3.exceptions,
                            http.client, socket, ssl, json):
            with self.subTest(kind=kind.__name__):
                error = made(kind)
                self.assert_words(reasons.reason(error), error)
                failure = answer.network_failure('a', error, 5)
                self.assert_words(failure.found, error)

    def test_tls_that_is_too_old(self):
        error = made(ssl.SSLError)
        error.reason = 'TLSV1_ALERT_PROTOCOL_VERSION'
        failure = answer.network_failure(
            'a', requests.exceptions.SSLError(error), 5)
        self.assertIs(exceptions.TlsTooOld, type(failure))
        self.assertNotIsInstance(failure, exceptions.Retriable)
        self.assertIn('version of TLS', failure.found)

    def test_no_class_of_openstacksdk_does(self):
        for kind in classes(keystone, openstack.exceptions):
            with self.subTest(kind=kind.__name__):
                error = made(kind)
                failure = clouds.cloud_failure(
                    error, 'image', service='Glance', cloud=None)
                self.assert_words(failure.found, error)

    def test_bugs_below_do_not_either(self):
        for kind in (ValueError, UnicodeError, KeyError, RuntimeError,
                     RecursionError, OSError):
            error = made(kind)
            self.assert_words(reasons.reason(error), error)

    def test_the_system_gives_its_own(self):
        inner = ConnectionRefusedError(111, 'Connection refused')
        error = requests.ConnectionError(
            urllib3.exceptions.MaxRetryError(None, URL, inner))
        self.assertEqual('Connection refused', reasons.reason(error))

    def test_tls(self):
        error = ssl.SSLCertVerificationError(1, 'no')
        error.verify_message = 'self-signed certificate'
        self.assertEqual('a certificate that is not trusted: self-signed '
                         'certificate', reasons.reason(error))

    def test_who_cannot_be_reached(self):
        for error, expected in (
                (ConnectionRefusedError(111, 'refused'), True),
                (socket.gaierror(socket.EAI_NONAME, 'no name'), True),
                (socket.gaierror(socket.EAI_AGAIN, 'later'), False),
                (http.client.BadStatusLine('SSH-2.0'), True),
                (http.client.RemoteDisconnected('gone'), False),
                (ConnectionResetError(104, 'reset'), False),
                (OSError(113, 'No route to host'), True)):
            with self.subTest(error=error):
                self.assertEqual(expected, reasons.is_unreachable(error))
                kind = type(answer.network_failure('a', error, 5))
                self.assertIs(
                    exceptions.SourceUnreachable if expected
                    else exceptions.SourceUnavailable, kind)
