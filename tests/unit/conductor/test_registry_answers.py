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

from ironic.common import exception
import requests

from ironic_imagedeploy.conductor import registry
from ironic_imagedeploy import engine

HREF = 'oci://192.0.2.1/name:tag'


def answered(status):
    """An error about an answer of a server."""
    response = requests.Response()
    response.status_code = status
    return requests.HTTPError('53cret', response=response)


class ReasonsTest(unittest.TestCase):

    def refused(self, error):
        with (self.assertRaises(exception.InvalidParameterValue) as caught,
              registry._refusals(HREF)):
            raise error
        self.assertIn(HREF, str(caught.exception))
        self.assertNotIn('53cret', str(caught.exception))
        return str(caught.exception)

    def test_what_is_told(self):
        for error, words in (
                (answered(502), 'found HTTP status 502'),
                (requests.HTTPError('53cret'), 'image-unreadable'),
                (KeyError('53cret'), 'an answer that is not one of a'),
                (AttributeError('53cret'), 'an answer that is not one of a'),
                (IndexError('53cret'), 'an answer that is not one of a'),
                (RecursionError('53cret'), 'an answer that is not one of a'),
                (TypeError('53cret'), 'an answer that is not one of a'),
                (ValueError('53cret'), 'an answer that is not one of a'),
                (registry._TooManyAnswers('x'),
                 'found more than 100 answers'),
                (exception.IronicException('the reason.'),
                 'found the reason.'),
                (exception.ImageServiceAuthenticationRequired(image_ref='x'),
                 'the registry asks for another login'),
                (exception.ImageNotFound(image_id='x'), 'image-not-found'),
                (exception.OciImageNotSpecific(image_ref='x'),
                 'image-not-found'),
                (exception.InvalidImageRef(image_href='x'),
                 'image-not-found'),
                (engine.exceptions.SourceError(
                    'x', expected='y', found='z', fix='w'),
                 'image-unreadable')):
            self.assertIn(words, self.refused(error))

    def test_long_reasons_are_cut(self):
        told = self.refused(exception.IronicException('x' * 999))
        self.assertLessEqual(told.count('x'), 200 + 9)
        self.assertGreaterEqual(told.count('x'), 190)


class AnswersTest(unittest.TestCase):

    def test_a_registry_that_is_never_done(self):
        count = registry._counter()
        for _ in range(100):
            count(None)
        with self.assertRaisesRegex(registry._TooManyAnswers,
                                    'more than 100 answers'):
            count(None)

    def digest(self, text):
        return registry._digest(HREF, {
            'image_url': f'https://192.0.2.1/v2/name/blobs/{text}'})

    def test_digests(self):
        value = 'ab' * 32
        self.assertEqual(engine.Checksum('sha256', value),
                         self.digest(f'sha256:{value}'))
        for text in ('x', 'sha256:0', f'md5:{"0" * 32}', 'y' * 99):
            with self.assertRaises(
                    exception.InvalidParameterValue) as caught:
                self.digest(text)
            self.assertIn(f"found '{text[:80]}'.",
                          str(caught.exception))

    def test_logins(self):
        node = mock.Mock(uuid='the-node')
        registry._check_login(node, HREF)
        for login in ('user', 'user:53cret', ':53cret', ''):
            with self.assertRaises(
                    exception.InvalidParameterValue) as caught:
                registry._check_login(node, f'oci://{login}@192.0.2.1/x')
            self.assertNotIn('53cret', str(caught.exception))
