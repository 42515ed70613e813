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

import base64
import json
import pathlib
import typing

from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.sources.registry import credentials
from ironic_imagedeploy.engine.sources.registry import reference
from tests.unit.engine import base


def entry(login: str) -> dict[str, str]:
    return {'auth': base64.b64encode(login.encode()).decode()}


class FindTest(base.EngineTestCase):

    def write(self, path: str, config: typing.Any) -> pathlib.Path:
        file = self.directory / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(config if isinstance(config, str)
                        else json.dumps(config))
        return file

    def find(self, name: str = 'quay.io/org/disk', **environ: str
             ) -> credentials.Credentials:
        return credentials.find(
            reference.Reference.parse(f'oci://{name}'),
            {'HOME': str(self.directory), **environ})

    def test_none(self) -> None:
        self.assertEqual(credentials.Credentials(), self.find())
        self.assertIsNone(self.find().basic)

    def test_docker(self) -> None:
        self.write('.docker/config.json', {'auths': {
            'quay.io': entry('user:pass:word')}})
        found = self.find()
        self.assertEqual(('user', 'pass:word'), found.login)
        self.assertEqual('Basic dXNlcjpwYXNzOndvcmQ=', found.basic)
        self.assertNotIn('pass', repr(found))

    def test_the_first_file_with_a_login_counts(self) -> None:
        for path, user in (('.docker/config.json', 'docker'),
                           ('.config/containers/auth.json', 'config'),
                           ('run/containers/auth.json', 'run')):
            self.write(path, {'auths': {'quay.io': entry(f'{user}:x')}})
            self.assertEqual((user, 'x'), self.find(
                XDG_RUNTIME_DIR=str(self.directory / 'run')).login)
        self.write('run/containers/auth.json', {'auths': {}})
        self.assertEqual(('config', 'x'), self.find(
            XDG_RUNTIME_DIR=str(self.directory / 'run')).login)

    def test_a_file_that_is_named_counts_alone(self) -> None:
        self.write('.docker/config.json', {'auths': {
            'quay.io': entry('docker:x')}})
        file = self.write('mine', {'auths': {'ghcr.io': entry('me:x')}})
        self.assertIsNone(self.find(REGISTRY_AUTH_FILE=str(file)).login)
        self.assertEqual(('me', 'x'), self.find(
            'ghcr.io/disk', REGISTRY_AUTH_FILE=str(file)).login)

    def test_places_that_are_named(self) -> None:
        self.write('d/config.json', {'auths': {'quay.io': entry('d:x')}})
        self.assertEqual(('d', 'x'), self.find(
            DOCKER_CONFIG=str(self.directory / 'd')).login)
        self.write('c/containers/auth.json',
                   {'auths': {'quay.io': entry('c:x')}})
        self.assertEqual(('c', 'x'), self.find(
            XDG_CONFIG_HOME=str(self.directory / 'c')).login)

    def test_the_key_that_says_most(self) -> None:
        self.write('.docker/config.json', {'auths': {
            'quay.io': entry('all:x'), 'quay.io/org': entry('org:x'),
            'quay.io/org/disk': entry('disk:x'), 'quay.io/o': entry('o:x')}})
        self.assertEqual('disk', self.find().login[0])
        self.assertEqual('org', self.find('quay.io/org/other').login[0])
        self.assertEqual('all', self.find('quay.io/other').login[0])

    def test_keys_of_docker(self) -> None:
        self.write('.docker/config.json', {'auths': {
            'https://index.docker.io/v1/': entry('hub:x'),
            'https://quay.io/v2/': entry('quay:x')}})
        self.assertEqual('hub', self.find('docker.io/debian').login[0])
        self.assertEqual('quay', self.find().login[0])

    def test_identity_token(self) -> None:
        self.write('.docker/config.json', {'auths': {'quay.io': {
            **entry('<token>:'), 'identitytoken': 'verysecret'}}})
        found = self.find()
        self.assertEqual('verysecret', found.identity_token)
        self.assertNotIn('verysecret', repr(found))

    def test_helpers_are_named_and_not_run(self) -> None:
        self.write('.docker/config.json', {
            'auths': {'quay.io': {}}, 'credHelpers': {'quay.io': 'x; reboot'}})
        self.assertIn("names the helper 'x; reboot'", self.find().elsewhere)
        self.assertEqual('', self.find('ghcr.io/disk').elsewhere)

    def test_the_first_helper_is_named(self) -> None:
        for path, name in (('.docker/config.json', 'docker'),
                           ('.config/containers/auth.json', 'podman')):
            self.write(path, {'credsStore': name})
            self.assertEqual(f'{self.directory / path} names the helper '
                             f'{name!r}', self.find().elsewhere)

    def test_files_that_cannot_be_used(self) -> None:
        for config in ('', 'verysecret', '[]', '[' * 100000,
                       '{"auths": {"quay.io": {"auth": "verysecret"}}}',
                       '{"auths": {"quay.io": {"auth": 7}}}',
                       {'auths': {'quay.io': entry('verysecret')}},
                       {'auths': {'quay.io': entry(':verysecret')}},
                       # Of the alphabet are only those before the dots.
                       {'auths': {'quay.io': {
                           'auth': entry('u:verysecret')['auth'] + '..'}}}):
            self.write('.docker/config.json', config)
            with self.subTest(str(config)[:60]):
                with self.assertRaises(exceptions.SourceError) as caught:
                    self.find()
                self.assert_complete(caught.exception)
                self.assertIn('config.json', caught.exception.subject)
                self.assertNotIn('verysecret', str(caught.exception))

    def test_files_of_any_size(self) -> None:
        content = json.dumps({'auths': {'quay.io': entry('user:x')}})
        self.write('.docker/config.json', content.ljust(1 << 20))
        self.assertEqual(('user', 'x'), self.find().login)
        self.write('.docker/config.json', content.ljust((1 << 20) + 1))
        self.assert_unusable('more than 1048576 bytes')

    def test_a_folder_in_its_place(self) -> None:
        (self.directory / '.docker' / 'config.json').mkdir(parents=True)
        self.assert_unusable('Is a directory')

    def assert_unusable(self, found: str) -> None:
        with self.assertRaises(exceptions.SourceError) as caught:
            self.find()
        self.assertEqual(found, caught.exception.found)

    def test_keys_that_are_something_else(self) -> None:
        for config in ({'auths': []}, {'auths': {'quay.io': 'x'}},
                       {'auths': {'': entry('a:b')}},
                       {'credHelpers': [], 'credsStore': None}):
            self.write('.docker/config.json', config)
            self.assertEqual(credentials.Credentials(), self.find())
