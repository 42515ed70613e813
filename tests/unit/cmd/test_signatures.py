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
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest
import unittest.mock

from ironic_imagedeploy.cmd import signatures
from ironic_imagedeploy.cmd import small_files
from ironic_imagedeploy.engine import exceptions
from tests.unit.cmd import program

CONTENT = b'a manifest'


class SignatureTests:
    """Those of every kind of signature; a class for each has the keys.

    :cvar program: that verifies.
    """

    program: str

    def setUp(self) -> None:
        super().setUp()
        self.folder = pathlib.Path(self.enterContext(
            tempfile.TemporaryDirectory(prefix='sig')))
        self.file = self.folder / 'manifest'
        self.file.write_bytes(CONTENT)
        self.key, self.signature = self.signed('signer')

    def signed(self, name: str) -> tuple[pathlib.Path, pathlib.Path]:
        """Public key of a new signer, and the signature of the file."""
        raise NotImplementedError

    def verify(self, content: bytes = CONTENT, *,
               key: pathlib.Path | None = None) -> int:
        return signatures.verify(small_files.SmallFile('manifest', content),
                                 signature=str(self.signature),
                                 key=str(key or self.key))

    def assert_refused(self, words: str, *arguments: bytes,
                       key: pathlib.Path | None = None) -> None:
        with self.assertRaisesRegex(exceptions.InvalidSignature, words):
            self.verify(*arguments, key=key)

    def test_the_signature_of_the_file(self) -> None:
        self.assertEqual(0, self.verify())

    def test_another_file(self) -> None:
        self.assert_refused('found a signature of another file',
                            CONTENT + b'.')

    def test_another_key(self) -> None:
        key, _ = self.signed('stranger')
        self.assert_refused('found a signature by another key', key=key)

    def test_a_damaged_signature(self) -> None:
        damaged = bytearray(self.signature.read_bytes())
        damaged[len(damaged) // 2] ^= 1
        self.signature.write_bytes(damaged)
        self.assert_refused('a good signature|of one kind')

    def test_no_signature_at_all(self) -> None:
        self.signature.write_bytes(b'')
        self.assert_refused('a good signature|of one kind')

    def test_what_is_not_a_key(self) -> None:
        self.key.write_bytes(b'key')
        self.assert_refused('a good signature|of one kind')

    def test_a_file_that_is_too_large(self) -> None:
        for file in (self.key, self.signature):
            file.write_bytes(bytes(2 << 20))
            self.assert_refused('at most are read')

    def test_the_program_is_missing(self) -> None:
        with unittest.mock.patch.dict(os.environ, PATH='/nowhere'):
            self.assert_refused(f'apt install {self.program}')


class OpenPgpTest(SignatureTests, unittest.TestCase):

    program = 'gpgv'

    def signed(self, name: str) -> tuple[pathlib.Path, pathlib.Path]:
        self.gpg('--quick-generate-key', name, 'ed25519', 'sign', 'never')
        key, signature = self.folder / f'{name}.pgp', self.folder / 'sig'
        self.gpg('--output', key, '--export', name)
        self.gpg('--output', signature if name == 'signer' else
                 self.folder / f'{name}.sig', '--local-user', name,
                 '--detach-sign', self.file)
        return key, signature

    def gpg(self, *arguments: object) -> None:
        home = self.folder / 'home'
        if not home.exists():
            home.mkdir(mode=0o700)
            self.addCleanup(subprocess.run, [
                'gpgconf', '--homedir', home, '--kill', 'all'], check=False)
        subprocess.run(
            ['gpg', '--homedir', home, '--batch', '--yes', '--quiet',
             '--pinentry-mode', 'loopback', '--passphrase', '',
             *map(str, arguments)], check=True, capture_output=True)

    def test_armor(self) -> None:
        armored = self.folder / 'key.asc'
        self.gpg('--armor', '--comment', 'of a build', '--output', armored,
                 '--export', 'signer')
        self.gpg('--armor', '--output', self.signature, '--local-user',
                 'signer', '--detach-sign', self.file)
        self.verify(key=armored)
        self.assert_refused('signature of another file', b'another',
                            key=armored)

    def test_a_signature_by_another_key_beside_it(self) -> None:
        stranger, _ = self.signed('stranger')
        for users in (('signer', 'stranger'), ('stranger', 'signer')):
            self.sign(*users)
            self.assertEqual(1, self.verify())
            self.assertEqual(1, self.verify(key=stranger))
            self.assert_refused('of another file', CONTENT + b'.')
        self.sign('signer', 'signer')
        self.assertEqual(0, self.verify())
        self.sign('stranger', 'stranger')
        self.assert_refused('found a signature by another key')

    def test_a_bad_signature_beside_a_good_one(self) -> None:
        good = self.signature.read_bytes()
        self.file.write_bytes(b'another')
        self.sign('signer')
        bad = self.signature.read_bytes()
        for content in (good + bad, bad + good):
            self.signature.write_bytes(content)
            self.assert_refused('found a signature of another file')

    def test_other_data_beside_a_good_one(self) -> None:
        good = self.signature.read_bytes()
        for content in (b'', b'x'):
            self.signature.write_bytes(content)
            self.assert_refused('found none')
        self.signature.write_bytes(good + b'x' * 50)
        self.assert_refused('found ')

    def test_a_key_that_cannot_be_read(self) -> None:
        self.key.write_bytes(b'key')
        self.assert_refused('found a key that cannot be read')

    def sign(self, *users: str) -> None:
        """Sign the file by each of those keys, in that sequence."""
        self.signature.unlink(missing_ok=True)
        parts = []
        for user in users:
            self.gpg('--output', self.signature, '--local-user', user,
                     '--detach-sign', self.file)
            parts.append(self.signature.read_bytes())
        self.signature.write_bytes(b''.join(parts))

    def test_broken_armor(self) -> None:
        for words in (b'-----BEGIN PGP PUBLIC KEY BLOCK-----',
                      b'-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nabc\n'
                      b'-----END PGP PUBLIC KEY BLOCK-----\n'):
            self.key.write_bytes(words)
            self.assert_refused('broken armor')

    def test_a_key_that_has_expired(self) -> None:
        self.gpg('--faked-system-time', '20200101T000000',
                 '--quick-generate-key', 'old', 'ed25519', 'sign', '1d')
        self.gpg('--faked-system-time', '20200101T000100', '--output',
                 self.signature, '--local-user', 'old', '--detach-sign',
                 self.file)
        self.gpg('--yes', '--output', self.key, '--export', 'old')
        self.assert_refused('found a signature by a key that has expired')

    def test_a_digest_that_can_be_forged(self) -> None:
        self.gpg('--quick-generate-key', 'weak', 'rsa2048', 'sign', 'never')
        self.gpg('--digest-algo', 'SHA1', '--output', self.signature,
                 '--local-user', 'weak', '--detach-sign', self.file)
        self.gpg('--output', self.key, '--export', 'weak')
        self.assert_refused('a good signature')


class MinisignTest(SignatureTests, unittest.TestCase):

    program = 'minisign'

    def signed(self, name: str) -> tuple[pathlib.Path, pathlib.Path]:
        key, secret = self.folder / f'{name}.pub', self.folder / name
        self.minisign('-G', '-W', '-p', key, '-s', secret)
        signature = self.folder / f'{name}.sig'
        self.minisign('-S', '-s', secret, '-m', self.file, '-x', signature)
        return key, signature

    def minisign(self, *arguments: object) -> None:
        subprocess.run(['minisign', *map(str, arguments)], check=True,
                       stdin=subprocess.DEVNULL, capture_output=True)

    def test_a_key_of_another_kind(self) -> None:
        self.key.write_bytes(b'\x99\x01')
        self.assert_refused('of one kind')


class SignedManifestTest(program.CommandTestCase):
    """A write by a manifest that has to be signed."""

    def setUp(self) -> None:
        super().setUp()
        self.file, self.key, self.secret, self.signature = (
            self.directory / name
            for name in ('manifest', 'key.pub', 'key', 'manifest.minisig'))
        self.run_main('manifest', self.image, '-o', self.file)
        for command in (['-G', '-W', '-p', self.key, '-s', self.secret],
                        ['-S', '-s', self.secret, '-m', self.file]):
            subprocess.run(['minisign', *map(str, command)], check=True,
                           stdin=subprocess.DEVNULL, capture_output=True)

    def write(self, *arguments: object) -> int:
        return self.run_main(
            'write', self.image, self.target, '--progress', 'none',
            '--manifest', self.file, '--signature', self.signature, '--key',
            self.key, *arguments)

    def test_a_good_signature(self) -> None:
        self.assertEqual(0, self.write(), self.err)
        self.assertEqual(self.image.read_bytes(), self.target.read_bytes())
        self.assertIn(f'signed by the key in {self.key}', self.out)

    def test_the_chunks_suffice(self) -> None:
        value = hashlib.sha512(self.image.read_bytes()).hexdigest()
        for stated in ((), ('--checksum', f'sha512:{value}')):
            self.assertEqual(0, self.write('--json', *stated), self.err)
            report = json.loads(self.out)
            self.assertEqual('chunks', report['verified_by'])
            self.assertTrue(report['checksum']['verified'])

    def test_the_manifest_of_somebody_else(self) -> None:
        other = self.directory / 'other'
        other.write_bytes(os.urandom(1 << 20))
        self.run_main('manifest', other, '-o', self.file)
        shutil.copy(other, self.image)
        self.assertEqual(6, self.write())
        self.assertIn('the signature cannot be trusted', self.err)
        self.assertFalse(self.target.exists())
