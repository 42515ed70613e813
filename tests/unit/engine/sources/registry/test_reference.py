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

from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.sources.registry import reference

DIGEST = 'sha256:' + '0a' * 32


class ReferenceTest(unittest.TestCase):

    def parsed(self, location: str) -> tuple[str, str, str, bool]:
        found = reference.Reference.parse(location)
        return (found.registry, found.repository, found.tag,
                found.digest is not None)

    def test_names(self) -> None:
        for location, expected in (
                ('oci://quay.io/org/name:v1.2_x-3',
                 ('quay.io', 'org/name', 'v1.2_x-3', False)),
                ('oci://quay.io/name', ('quay.io', 'name', 'latest', False)),
                ('OCI://host:5000/a/b/c__d.e-f',
                 ('host:5000', 'a/b/c__d.e-f', 'latest', False)),
                ('oci://[::1]:5000/a:1', ('[::1]:5000', 'a', '1', False)),
                (f'oci://host/a@{DIGEST}', ('host', 'a', 'latest', True)),
                (f'oci://host/a:1@{DIGEST}', ('host', 'a', '1', True))):
            with self.subTest(location):
                self.assertEqual(expected, self.parsed(location))

    def test_docker_hub(self) -> None:
        found = reference.Reference.parse('oci://docker.io/debian:12')
        self.assertEqual(('registry-1.docker.io', 'library/debian'),
                         (found.host, found.repository))
        found = reference.Reference.parse('oci://docker.io/org/debian')
        self.assertEqual('org/debian', found.repository)

    def test_other_registries(self) -> None:
        for name in ('a.io', 'docker.ip', 'docker.io.example.com', 'z:5000'):
            found = reference.Reference.parse(f'oci://{name}/debian:12')
            self.assertEqual((name, 'debian'), (found.host, found.repository))

    def test_the_longest_name(self) -> None:
        name = 'host/' + 'a' * 1019
        self.assertEqual(name[5:], self.parsed(f'oci://{name}')[1])
        self.assertRaises(exceptions.SourceError, self.parsed,
                          f'oci://{name}a')

    def test_others(self) -> None:
        for location in (
                'oci://', 'oci://host', 'oci://host/', 'oci:///name',
                'oci://host/Name', 'oci://host/a//b', 'oci://host/../a',
                'oci://host/a:', 'oci://host/a:-x', 'oci://host/a@sha256:00',
                'oci://host/a@md5:' + '0' * 32, 'oci://host/a?x',
                'oci://host/a#x', 'oci://host:port/a', 'oci://ho st/a',
                'oci://host/a\n', 'oci://host/' + 'a' * 2000,
                'oci://host/a:' + 't' * 200, 'oci://host/aä'):
            with self.subTest(location[:40]):
                with self.assertRaises(exceptions.SourceError) as caught:
                    reference.Reference.parse(location)
                self.assertTrue(caught.exception.fix)

    def test_a_login_in_the_name_is_not_told(self) -> None:
        with self.assertRaises(exceptions.SourceError) as caught:
            reference.Reference.parse('oci://user:verysecret@host/name')
        self.assertNotIn('verysecret', str(caught.exception))

    def test_only_this_machine_is_asked_by_http(self) -> None:
        for registry, expected in (
                ('localhost', True), ('localhost:5000', True),
                ('127.0.0.1:5000', True), ('[::1]:1', True),
                ('localhost.example.com', False), ('10.0.0.1', False),
                ('127.0.0.1.example.com', False)):
            found = reference.Reference.parse(f'oci://{registry}/name')
            self.assertEqual(expected, found.is_local, registry)

    def test_digest_text(self) -> None:
        self.assertEqual(DIGEST, reference.digest_text(
            engine.Checksum.parse(DIGEST)))
