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

import os
import sys
import types
import unittest
from unittest import mock

from keystoneauth1 import exceptions as keystone
import openstack
import requests

from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.sources import clouds
from ironic_imagedeploy.engine.sources import heads


class RequireSdkTest(unittest.TestCase):

    def test_it_is_there(self) -> None:
        self.assertIs(openstack, clouds.require_sdk('image'))

    def test_it_is_not(self) -> None:
        for kind, arguments in (
                (exceptions.SourceError, ()),
                (exceptions.TargetError, (exceptions.TargetError,))):
            with (mock.patch.dict(sys.modules, openstack=None),
                  self.assertRaises(kind) as caught):
                clouds.require_sdk('image', *arguments)
            self.assertEqual(('image', 'openstacksdk'), (
                caught.exception.subject, caught.exception.expected))
            self.assertIn('pip install openstacksdk', caught.exception.fix)
            self.assertIsNone(caught.exception.__cause__)


class LimitTest(unittest.TestCase):

    def test_a_timeout_that_was_set_stays(self) -> None:
        for timeout, expected in ((None, 7.0), (3.0, 3.0), (0, 0)):
            session = types.SimpleNamespace(
                session=requests.Session(), timeout=timeout)
            with mock.patch.object(heads, 'limit_heads', autospec=True
                                   ) as limit:
                clouds.limit_service(
                    types.SimpleNamespace(session=session), 7.0)
            self.assertEqual(expected, session.timeout)
            limit.assert_called_once_with(session.session)


class FailureTest(unittest.TestCase):

    def failure(self, error: Exception, **options: object
                ) -> exceptions.ImageDeployError:
        found = clouds.cloud_failure(error, 'image', **{
            'service': 'Glance', 'cloud': None, **options})
        self.assertEqual('image', found.subject)
        return found

    def test_what_a_service_says(self) -> None:
        for error, found in (
                (openstack.exceptions.HttpException(http_status=401),
                 'no permission (HTTP status 401)'),
                (keystone.Forbidden(), 'no permission (HTTP status 403)'),
                (openstack.exceptions.HttpException(http_status=402),
                 'HTTP status 402'),
                (keystone.HttpError(http_status=500), 'HTTP status 500'),
                (keystone.EndpointNotFound(),
                 'no endpoint of it in the catalog of the cloud'),
                (keystone.DiscoveryFailure(), 'no list of its versions'),
                (ConnectionRefusedError(111, 'refused'), 'refused')):
            with self.subTest(found):
                failure = self.failure(error)
                self.assertIs(exceptions.SourceError, type(failure))
                self.assertEqual(('an answer from Glance', found),
                                 (failure.expected, failure.found))
                self.assertTrue(failure.fix)

    def test_a_status_in_another_field(self) -> None:
        error = ValueError('odd')
        error.status_code = 418  # type: ignore[attr-defined]
        self.assertEqual('HTTP status 418', self.failure(error).found)

    def test_the_kind_of_the_error(self) -> None:
        for error in (ValueError('odd'),
                      openstack.exceptions.ConfigException('none')):
            self.assertIs(exceptions.TargetError, type(self.failure(
                error, kind=exceptions.TargetError)))


class NoCloudTest(unittest.TestCase):
    """Which clouds there are is said when the one is not among them."""

    def failure(self, names: list[str] | Exception, cloud: str | None = None,
                **environment: str) -> exceptions.ImageDeployError:
        known = mock.Mock()
        known.return_value.get_cloud_names.side_effect = [names]
        with (mock.patch.object(openstack.config, 'OpenStackConfig', known),
              mock.patch.dict(os.environ, environment)):
            if not environment:
                os.environ.pop('OS_CLOUD', None)
            return clouds.cloud_failure(
                openstack.exceptions.ConfigException('no such cloud'),
                'image', service='Glance', cloud=cloud)

    def test_what_was_chosen(self) -> None:
        for names, cloud, environment, found in (
                (['one', 'two'], 'three', {},
                 "no cloud 'three'; clouds.yaml has: one, two"),
                (['one', 'two'], 'two', {},
                 "no usable credentials for the cloud 'two'; clouds.yaml "
                 'has: one, two'),
                (['one', 'defaults'], None, {},
                 'that no cloud is configured; clouds.yaml has: one'),
                (['one'], None, {'OS_CLOUD': 'mine'},
                 "no cloud 'mine'; clouds.yaml has: one"),
                (['one'], 'three', {'OS_CLOUD': 'one'},
                 "no cloud 'three'; clouds.yaml has: one"),
                (['defaults'], 'three', {}, "no cloud 'three'"),
                ([], None, {}, 'that no cloud is configured'),
                (openstack.exceptions.ConfigException('broken'), 'three', {},
                 "no cloud 'three'")):
            with self.subTest(found):
                failure = self.failure(names, cloud, **environment)
                self.assertEqual(found, failure.found)
                self.assertIn('OS_AUTH_URL', failure.expected)
                self.assertIn('OS_CLOUD or --os-cloud'
                              if 'clouds.yaml has' in found
                              else 'Write a clouds.yaml', failure.fix)

    def test_a_plugin_that_cannot_log_in(self) -> None:
        with mock.patch.object(openstack.config, 'OpenStackConfig',
                               autospec=True):
            failure = clouds.cloud_failure(
                keystone.auth_plugins.MissingAuthPlugin(), 'image',
                service='Glance', cloud=None)
        self.assertIn('no cloud is configured', failure.found)
