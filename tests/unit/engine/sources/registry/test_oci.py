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

import hashlib
import inspect
import itertools
import platform
from unittest import mock

from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.sources import http
from ironic_imagedeploy.engine.sources.registry import oci
from tests.support import registry
from tests.support import web
from tests.unit.engine import disks
from tests.unit.engine import recording
from tests.unit.engine.sources.registry import served

MIB = 1 << 20


class OciSourceTest(served.RegistryTestCase):

    def test_what_it_is(self) -> None:
        source = self.opened()
        self.assertEqual(
            (self.location, len(self.content), True, None,
             engine.Checksum('sha256', hashlib.sha256(
                 self.content).hexdigest())),
            (source.name, source.size, source.random_access,
             source.declared_format, source.declared_checksum))

    def test_it_is_as_patient_as_with_any_server(self) -> None:
        ours, others = (inspect.signature(kind).parameters
                        for kind in (oci.OciSource, http.HttpSource))
        same = [name for name in ours if name in others]
        self.assertIn('retries', same)
        for name in same:
            self.assertEqual(others[name].default, ours[name].default, name)

    def test_the_stream_is_the_file(self) -> None:
        self.assert_same(self.content, self.streamed(self.opened()))

    def test_only_ranges_are_read(self) -> None:
        source = self.opened()
        self.assertEqual(self.content[3 * MIB:3 * MIB + 99],
                         source.read_at(3 * MIB, 99))
        self.assertEqual(['bytes=0-1048575', 'bytes=3145728-3145826'],
                         self.registry.requests)

    def test_the_processor_is_that_of_this_machine(self) -> None:
        """Unless another one is named."""
        contents = {'aarch64': b'a' * MIB, 's390x': b's' * MIB}
        self.registry.push_index((contents['aarch64'], 'arm64', 'raw'),
                                 (contents['s390x'], 's390x', 'raw'))
        for machine, options in (
                ('aarch64', {}), ('s390x', {'arch': 's390x'}),
                ('aarch64', {'arch': 'aarch64'})):
            with (self.subTest(machine, **options), mock.patch.object(
                    platform, 'machine', autospec=True,
                    return_value='aarch64')):
                self.assertEqual(contents[machine],
                                 self.streamed(self.opened(**options)))

    def test_servers_of_a_registry_may_tag_it_as_they_like(self) -> None:
        """Its digest tells whether it is the file."""
        tags = itertools.count()

        def answer(exchange: web.Exchange) -> None:
            del exchange.headers['If-Range']
            exchange.serve(headers={'ETag': f'"{next(tags)}"'})

        self.registry.answer = answer
        self.assert_same(self.content, self.streamed(self.opened()))
        self.assertGreater(next(tags), 1)

    def test_by_digest(self) -> None:
        digest = self.registry.push(self.content, 'other', title='x')
        name, _, _ = self.location.rpartition(':')
        self.registry.tag('other', {})
        self.assert_same(self.content, self.streamed(self.opened(
            f'{name}@{digest}')))
        # What a digest names comes before a tag, as container tools have it.
        self.opened(f'{name}:other@{digest}')

    def test_a_drop_is_resumed(self) -> None:
        self.registry.answer = web.nth(
            1, lambda exchange: exchange.serve(stop_after=MIB))
        source = self.opened()
        self.assert_same(self.content, self.streamed(source))
        self.assertEqual(1, source.resumes)

    def test_a_whole_write(self) -> None:
        content = bytes(disks.mbr(4 * MIB, [(0, 0x83, 2048, 2048)]))
        self.registry.push(content, kind='raw')
        inspection = engine.inspect(self.opened())
        target = recording.RecordingTarget(4 * MIB)
        report = engine.transfer(inspection, target)
        self.assert_same(content, target.disk)
        self.assertEqual(
            ('sha256', hashlib.sha256(content).hexdigest(), True),
            (report.checksum.algorithm, report.checksum.value,
             report.checksum.verified))

    def test_another_blob_is_not_made_bootable(self) -> None:
        content = bytes(disks.mbr(4 * MIB, [(0, 0x83, 2048, 2048)]))
        self.registry.push(content)
        name = hashlib.sha256(content).hexdigest()
        (self.blobs / name).write_bytes(
            content[:-MIB] + bytes(MIB - 1) + b'x')
        target = recording.RecordingTarget(4 * MIB)
        inspection = engine.inspect(self.opened())
        self.assertRaises(exceptions.ChecksumMismatch, engine.transfer,
                          inspection, target)
        self.assert_holds(target.disk[:MIB], 0)

    def test_a_blob_of_another_size(self) -> None:
        name = hashlib.sha256(self.content).hexdigest()
        for content in (self.content[:-1], self.content + b'x'):
            (self.blobs / name).write_bytes(content)
            with self.assertRaises(exceptions.SourceChanged) as caught:
                self.opened()
            self.assert_complete(caught.exception)
            self.assertEqual(f'{len(content)} bytes', caught.exception.found)

    def test_declared_format(self) -> None:
        for kind, expected in (('qcow2', 'qcow2'), ('qemu', 'qcow2'),
                               ('raw', 'raw'), ('applehv', 'raw'),
                               ('floppy', None)):
            self.registry.push(self.content, kind=kind)
            self.assertEqual(expected, self.opened().declared_format, kind)


class LoginTest(served.RegistryTestCase):

    def test_token_for_everybody(self) -> None:
        self.registry.ask_for_tokens()
        self.assert_same(self.content, self.streamed(self.opened()))
        self.assertEqual(
            [{'service': ['the registry'],
              'scope': ['repository:disks/debian:pull']}],
            self.registry.token_queries)

    def test_token_for_a_login(self) -> None:
        self.registry.ask_for_tokens(registry.basic('user', 'a secret'))
        self.log_in()
        self.assert_same(self.content, self.streamed(self.opened()))

    def test_token_for_an_identity_token(self) -> None:
        self.registry.ask_for_tokens('an identity')
        self.log_in(identitytoken='an identity')
        self.opened()
        self.assertEqual(['refresh_token'],
                         self.registry.token_queries[0]['grant_type'])

    def test_login_without_tokens(self) -> None:
        self.registry.challenge = 'Basic realm="x"'
        self.registry.authorization = registry.basic('user', 'a secret')
        self.log_in()
        self.opened()

    def test_a_token_that_ends_is_renewed(self) -> None:
        self.registry.ask_for_tokens()
        source = self.opened()
        self.registry.authorization = 'Bearer another'
        self.registry.token_answer = {'access_token': 'another'}
        self.assert_same(self.content, self.streamed(source))

    def test_the_store_learns_no_secret(self) -> None:
        self.registry.ask_for_tokens(registry.basic('user', 'a secret'))
        self.log_in()
        _, seen = self.blob_store()
        self.assert_same(self.content, self.streamed(self.opened()))
        self.assertEqual({None}, set(seen))

    def test_a_netrc_is_not_for_registries(self) -> None:
        (self.directory / '.netrc').write_text(
            'machine 127.0.0.1 login other password secret\n')
        self.registry.ask_for_tokens()
        _, seen = self.blob_store()
        self.assert_same(self.content, self.streamed(self.opened()))
        self.assertEqual({None}, set(seen))

    def test_no_login(self) -> None:
        self.registry.ask_for_tokens(registry.basic('user', 'a secret'))
        self.assert_refused('HTTP status 401', 'podman login')
        self.registry.challenge = 'Basic realm="x"'
        self.assert_refused('asks for a login, and none that suits')
        self.write_logins({'credsStore': 'desktop'})
        self.assert_refused('auth.json names the helper \'desktop\', which '
                            'is not run')

    def test_a_wrong_login(self) -> None:
        self.registry.ask_for_tokens(registry.basic('user', 'other'))
        self.log_in()
        self.assert_refused('HTTP status 401')

    def assert_refused(self, *words: str) -> None:
        error = self.assert_fails(exceptions.SourceError, *words,
                                  location=self.location)
        for secret in ('a secret', 'YSBzZWNyZXQ', registry.TOKEN):
            self.assertNotIn(secret, str(error))
