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
import gzip
import hashlib
import json
import os
import pathlib
from unittest import mock

from tests.functional import base
from tests.functional import registry_server
from tests.support import disks
from tests.support import images
from tests.support import registry
from tests.support import web

MIB = base.MIB
NAME = 'disks/debian'
PASSWORD = 'a-real-secret'


class RegistryTestCase(base.FunctionalTestCase):
    """Docker's registry, which wants a token for a login."""

    LOGIN: tuple[str, str] | None = ('user', PASSWORD)

    def setUp(self) -> None:
        super().setUp()
        folder = self.directory / 'registry'
        folder.mkdir()
        self.server = registry_server.RegistryServer(folder, self.LOGIN)
        self.addCleanup(self.server.stop)
        self.raw = self.directory / 'disk.raw'
        guest, self.qcow2 = images.bootable(8 * MIB, seed=5)
        self.raw.write_bytes(guest)
        self.digest = self.server.push(
            NAME, self.qcow2, '12', annotations={'disktype': 'qcow2'})
        self.location = f'oci://{self.server.host}/{NAME}:12'
        self.enterContext(mock.patch.dict(os.environ, {
            'HOME': str(self.directory), 'XDG_RUNTIME_DIR': '',
            'XDG_CONFIG_HOME': '', 'DOCKER_CONFIG': '',
            'REGISTRY_AUTH_FILE': '',
            'REQUESTS_CA_BUNDLE': self.server.certificate}))
        self.log_in(*(self.LOGIN or ('', '')))

    def log_in(self, user: str, password: str) -> None:
        """Have a login where docker keeps it."""
        path = self.directory / '.docker' / 'config.json'
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({'auths': {self.server.host: {
            'auth': base64.b64encode(f'{user}:{password}'.encode()).decode()
        }}} if user else {}))


class LoginTest(RegistryTestCase):

    def test_check(self) -> None:
        done = self.execute('check', self.location, '--json')
        self.assert_status(0, done)
        self.assertEqual(('accept', 'qcow2', 'qcow2', len(self.qcow2)), tuple(
            done.json[name] for name in ('verdict', 'format',
                                         'declared_format', 'stored_size')))

    def test_write(self) -> None:
        disk = self.disk(16 * MIB)
        report = self.directory / 'report.json'
        done = self.execute('write', self.location, disk.device, '--yes',
                            '--report', report)
        self.assert_status(0, done)
        self.assert_written(self.raw, disk)
        checksum = json.loads(report.read_text())['checksum']
        self.assertEqual(('sha256', hashlib.sha256(self.qcow2).hexdigest(),
                          True), tuple(checksum[name] for name in (
                              'algorithm', 'value', 'verified')))
        # The registry redirected for all of it, and told the store nothing.
        self.assertTrue(self.server.store.seen)
        self.assertEqual({None}, set(self.server.store.seen))

    def test_by_digest(self) -> None:
        name = self.location.rpartition(':')[0]
        self.assert_status(0, self.execute('check', f'{name}@{self.digest}'))
        done = self.execute('check', f'{name}@sha256:{"0" * 64}')
        self.assert_status(3, done)

    def test_another_blob_in_the_store(self) -> None:
        stored = self.server.stored(self.qcow2)
        content = bytearray(stored.read_bytes())
        content[-1] ^= 1
        stored.write_bytes(content)
        disk = self.disk(16 * MIB)
        done = self.execute('write', self.location, disk.device, '--yes')
        self.assertIn(done.status, (4, 6), done.stderr)
        self.assertIn('hecksum', done.stderr)
        self.assert_boots_nothing(disk)

    def test_a_store_that_drops(self) -> None:
        self.server.store.answer = web.nth(
            1, lambda exchange: exchange.serve(stop_after=1000, how='reset'))
        disk = self.disk(16 * MIB)
        self.assert_status(0, self.execute('write', self.location,
                                           disk.device, '--yes'))
        self.assert_written(self.raw, disk)

    def test_logins_that_do_not_suit(self) -> None:
        disk = self.disk(16 * MIB)
        for login in (('', ''), ('user', 'another')):
            self.log_in(*login)
            done = self.execute('write', self.location, disk.device, '--yes')
            self.assert_status(3, done)
            self.assertIn('podman login', done.stderr)
            for secret in (PASSWORD, 'another'):
                self.assertNotIn(secret, done.stderr + done.stdout)
        self.assert_untouched(disk)

    def test_nothing_tells_the_password(self) -> None:
        disk = self.disk(16 * MIB)
        done = self.execute('write', self.location, disk.device, '--yes',
                            '--debug')
        self.assert_status(0, done)
        for secret in (PASSWORD, registry.basic('user', PASSWORD),
                       'Bearer ey'):
            self.assertNotIn(secret, done.stderr + done.stdout)

    def test_unknown_certificate(self) -> None:
        os.environ['REQUESTS_CA_BUNDLE'] = ''
        done = self.execute('check', self.location)
        self.assert_status(3, done)
        self.assertIn('certificate', done.stderr)


class EverybodyTest(RegistryTestCase):
    """A registry that gives everybody a token."""

    LOGIN = None

    def test_write(self) -> None:
        disk = self.disk(16 * MIB)
        self.assert_status(0, self.execute('write', self.location,
                                           disk.device, '--yes'))
        self.assert_written(self.raw, disk)
        self.assertEqual({None}, set(self.server.tokens.seen))

    def test_compressed_raw(self) -> None:
        for name, packed in (
                ('gz', gzip.compress(self.raw.read_bytes())),
                ('zst', self.compressed('zstd')), ('xz', self.compressed(
                    'xz'))):
            self.server.push(NAME, packed, name,
                             annotations={'disktype': 'raw'})
            location = f'oci://{self.server.host}/{NAME}:{name}'
            disk = self.disk(16 * MIB)
            with self.subTest(name):
                self.assert_status(0, self.execute(
                    'write', location, disk.device, '--yes'))
                self.assert_written(self.raw, disk)

    def compressed(self, program: str) -> bytes:
        path = self.directory / 'packed'
        disks.run(program, '-kf', self.raw)
        packed = next(pathlib.Path(self.directory).glob('disk.raw.*'))
        path.write_bytes(packed.read_bytes())
        packed.unlink()
        return path.read_bytes()

    def test_index(self) -> None:
        other = self.server.push(NAME, b'arm' * 999, 'arm')
        index = json.dumps({
            'schemaVersion': 2, 'mediaType': registry.INDEX, 'manifests': [
                {'mediaType': registry.MANIFEST, 'digest': digest,
                 'size': 1000, 'platform': {
                     'architecture': processor, 'os': 'linux'}}
                for digest, processor in ((other, 'arm64'),
                                          (self.digest, 'amd64'))]}).encode()
        self.server.push_manifest(NAME, 'all', index, registry.INDEX)
        location = f'oci://{self.server.host}/{NAME}:all'
        self.assert_status(0, self.execute('check', location, '--arch',
                                           'x86_64'))
        self.assert_status(4, self.execute('check', location, '--arch',
                                           'aarch64'))

    def test_container(self) -> None:
        layer = {'mediaType': 'application/vnd.oci.image.layer.v1.tar',
                 'digest': registry.digest_of(self.qcow2),
                 'size': len(self.qcow2)}
        self.server.push(NAME, self.qcow2, 'container', layers=[layer])
        done = self.execute('check',
                            f'oci://{self.server.host}/{NAME}:container')
        self.assert_status(4, done)
        self.assertIn('container-format', done.stderr)
