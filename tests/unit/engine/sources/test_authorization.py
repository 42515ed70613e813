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

import pathlib
import tempfile
import unittest
from unittest import mock

import requests

from ironic_imagedeploy.engine.sources import authorization


class AuthorizationTest(unittest.TestCase):

    def header(self, value: str | None) -> str | None:
        """The header that a request is sent with, beside a netrc file."""
        netrc = pathlib.Path(self.enterContext(
            tempfile.TemporaryDirectory()), 'netrc')
        netrc.write_text('machine example.com login user password secret\n')
        self.enterContext(mock.patch.dict('os.environ', NETRC=str(netrc)))
        request = requests.Session().prepare_request(requests.Request(
            'GET', 'http://example.com/',
            auth=authorization.Authorization(value)))
        return request.headers.get('Authorization')

    def test_the_value_that_is_given(self) -> None:
        self.assertEqual('Bearer abc', self.header('Bearer abc'))

    def test_none_at_all(self) -> None:
        for value in (None, ''):
            self.assertIsNone(self.header(value))
