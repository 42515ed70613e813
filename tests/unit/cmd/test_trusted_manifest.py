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


import argparse
import dataclasses
import hashlib
import json
import subprocess
import sys
import unittest
import unittest.mock

from ironic_imagedeploy.cmd import trusted_manifest
from ironic_imagedeploy.engine import manifest
from tests.support import web
from tests.unit.cmd import program

MIB = 1 << 20


class TrustedManifestTest(program.CommandTestCase):
    """A write by a manifest that was made before."""

    def setUp(self) -> None:
        super().setUp()
        self.image.write_bytes(self.image.read_bytes() + bytes(3 * MIB)
                               + b'\1' * 512)
        self.content = self.image.read_bytes()
        self.file = self.directory / 'manifest'
        self.assertEqual(0, self.run_main(
            'manifest', self.image, '-o', self.file, '--progress', 'none'))

    def write(self, *arguments: object) -> int:
        return self.run_main(
            'write', self.image, self.target, '--manifest', self.file,
            '--progress', 'none', *arguments)

    def assert_refused(self, words: str, *arguments: object) -> None:
        self.assertEqual(6, self.write(*arguments), self.err)
        self.assertIn(words, self.err)
        self.assertFalse(self.target.exists())

    def test_the_chunks_prove_the_image(self) -> None:
        self.assertEqual(0, self.write('--json'), self.err)
        report = json.loads(self.out)
        self.assertEqual(self.content, self.target.read_bytes())
        self.assertEqual('chunks', report['verified_by'])
        self.assertFalse(report['checksum']['verified'])
        self.assertLess(report['bytes_read'], 4 * MIB + 4096)

    def test_what_was_there_already_is_told(self) -> None:
        self.assertEqual(0, self.write(), self.err)
        self.assertNotIn('on the disk already', self.out)
        self.assertEqual(0, self.write(), self.err)
        self.assertIn('of the file, on the disk already', self.out)

    def test_the_summary_says_what_was_verified_and_who_vouches(self) -> None:
        self.assertEqual(0, self.write(), self.err)
        self.assertIn('that of each chunk verified, by a manifest that '
                      'nobody signed\n', self.out)
        self.assertIn('not signed: as good as the place', self.out)
        self.assertNotIn('sha512 verified', self.out)

    def test_an_image_by_its_url(self) -> None:
        self.assertEqual(0, self.run_main(
            'write', self.image.as_uri(), self.target, '--manifest',
            self.file.as_uri(), '--progress', 'none'), self.err)
        self.assertEqual(self.content, self.target.read_bytes())

    def test_a_flipped_bit_in_any_chunk(self) -> None:
        for index in (0, 2, 3, 7):
            with self.subTest(index=index):
                damaged = bytearray(self.content)
                damaged[min(index * MIB + 1000, len(damaged) - 1)] ^= 4
                self.image.write_bytes(damaged)
                self.assertEqual(6, self.write())
                self.assertIn('sha256', self.err)
                # A file that was made for it is removed again.
                self.assertFalse(self.target.exists())

    def test_a_wrong_chunk_is_told_once(self) -> None:
        self.image.write_bytes(b'x' + self.content[1:])
        done = subprocess.run(
            [sys.executable, '-c', 'import sys\n'
             'from ironic_imagedeploy.cmd import imagedeploy\n'
             'sys.exit(imagedeploy.main())', 'write', self.image, self.target,
             '--manifest', self.file, '--progress', 'none'],
            capture_output=True, text=True, check=False)
        self.assertEqual(6, done.returncode, done.stderr)
        [line] = done.stderr.splitlines()
        self.assertTrue(line.startswith(f'ironic-imagedeploy: {self.image}: '
                                        'a chunk is not'), line)

    def test_what_is_zero_by_the_manifest_is_zero_on_the_disk(self) -> None:
        damaged = bytearray(self.content)
        damaged[5 * MIB] = 1
        self.image.write_bytes(damaged)
        self.assertEqual(0, self.write(), self.err)
        self.assertEqual(self.content, self.target.read_bytes())

    def test_the_manifest_of_another_image(self) -> None:
        self.image.write_bytes(self.content + bytes(512))
        self.assert_refused('that of an image of')
        self.assert_refused(f' {self.file}: the manifest cannot be used')
        self.assert_refused('Image and manifest do not belong together')

    def test_the_checksum_of_another_image(self) -> None:
        self.assert_refused('that of the image with sha512', '--checksum',
                            f'sha512:{"0" * 128}')
        self.assertIn(f' {self.file}: the manifest cannot be used', self.err)
        self.assertIn('Image and manifest do not belong together', self.err)

    def test_the_right_checksum_beside_it(self) -> None:
        value = hashlib.sha512(self.content).hexdigest()
        self.assertEqual(0, self.write('--checksum', f'sha512:{value}',
                                       '--json'))
        report = json.loads(self.out)
        self.assertEqual('both', report['verified_by'])
        self.assertEqual(
            {'algorithm': 'sha512', 'value': value, 'verified': True},
            report['checksum'])
        self.assertEqual(0, self.write('--checksum', f'sha512:{value}'))
        self.assertIn('sha512 verified (', self.out)
        self.assertIn('the whole file has the checksum', self.out)

    def test_a_checksum_by_another_algorithm(self) -> None:
        value = hashlib.sha256(self.content).hexdigest()
        self.assertEqual(0, self.write('--checksum', f'sha256:{value}',
                                       '--json'), self.err)
        report = json.loads(self.out)
        self.assertEqual('both', report['verified_by'])
        self.assertEqual(
            {'algorithm': 'sha256', 'value': value, 'verified': True},
            report['checksum'])
        self.target.unlink()
        self.assert_refused('the checksum does not match', '--checksum',
                            f'sha256:{"0" * 64}')

    def test_a_manifest_that_claims_the_checksum_of_another_image(self
                                                                  ) -> None:
        good = manifest.Manifest.decode(self.file.read_bytes()).checksum
        sums = self.directory / 'SHA512SUMS'
        sums.write_text(f'{good.value}  image\n')
        evil = self.content[:3 * MIB] + b'evil' + self.content[3 * MIB + 4:]
        self.image.write_bytes(evil)
        self.file.unlink()
        self.run_main('manifest', self.image, '-o', self.file)
        self.file.write_bytes(dataclasses.replace(
            manifest.Manifest.decode(self.file.read_bytes()),
            checksum=good).encode())
        for stated in (('--checksum', f'sha512:{good.value}'),
                       ('--checksum-file', sums)):
            self.assert_refused(good.value, *stated)
            self.target.write_bytes(b'\xaa' * len(evil))
            self.assertEqual(6, self.write(*stated), self.err)
            self.assertFalse(any(self.target.read_bytes()[:MIB]))
            self.target.unlink()

    def test_what_is_not_a_manifest(self) -> None:
        good = self.file.read_bytes()
        for content in (b'', good[:-1], good + b'\0', b'#!' + good[2:],
                        self.content[:5000]):
            self.file.write_bytes(content)
            self.assert_refused(f' {self.file}: the manifest cannot be used')

    def test_a_file_that_is_too_large_is_not_read(self) -> None:
        with unittest.mock.patch.object(manifest, 'MOST_BYTES', 100):
            self.assert_refused(f' {self.file}: the manifest cannot be used')
        self.assertIn('100 at most are read', self.err)

    def test_no_manifest(self) -> None:
        self.file.unlink()
        self.assertEqual(3, self.write())

    def test_signature_and_key_go_together(self) -> None:
        for arguments in (['--signature', 'x'], ['--key', 'x']):
            self.assertEqual(2, self.write(*arguments))
        self.assertEqual(2, self.run_main(
            'write', self.image, self.target, '--signature', 'x', '--key',
            'y'))


class VoucherTest(unittest.TestCase):

    def test_signatures_by_other_keys_are_counted(self) -> None:
        args = argparse.Namespace(manifest='m', signature='s', key='a.pgp',
                                  other_signatures=0)
        self.assertEqual('signed by the key in a.pgp',
                         trusted_manifest.voucher(args))
        args.other_signatures = 2
        self.assertEqual('signed by the key in a.pgp; 2 signatures by other '
                         'keys not verified', trusted_manifest.voucher(args))


class WebServerTest(program.CommandTestCase):
    """A write by a manifest, from a server that nobody trusts."""

    def setUp(self) -> None:
        super().setUp()
        self.content = self.image.read_bytes() + bytes(8 * MIB) + b'\1' * 512
        self.image.write_bytes(self.content)
        self.file = self.directory / 'manifest'
        self.run_main('manifest', self.image, '-o', self.file)
        self.server = web.Server(self.directory)
        self.addCleanup(self.server.stop)

    def write(self) -> int:
        return self.run_main(
            'write', self.server.url('image'), self.target, '--manifest',
            self.file, '--progress', 'none', '--json')

    def serve(self, **how: object) -> None:
        self.server.answer = lambda exchange: exchange.serve(**how)

    def test_zeroes_are_not_fetched(self) -> None:
        self.assertEqual(0, self.write(), self.err)
        report = json.loads(self.out)
        self.assertEqual('chunks', report['verified_by'])
        self.assertLess(report['bytes_read'], 4 * MIB + 4096)
        self.assertEqual(self.content, self.target.read_bytes())

    def test_without_ranges_the_whole_file_is_verified(self) -> None:
        self.serve(ranges=False)
        self.assertEqual(0, self.write(), self.err)
        report = json.loads(self.out)
        self.assertEqual('file', report['verified_by'])
        # Nobody but the manifest says that it is that of the image.
        self.assertFalse(report['checksum']['verified'])
        self.assertEqual(self.content, self.target.read_bytes())

    def test_the_summary_without_ranges(self) -> None:
        self.serve(ranges=False)
        stated = f'sha512:{hashlib.sha512(self.content).hexdigest()}'
        for more, words, voucher in (
                ((), 'sha512 is that in a manifest that nobody signed (',
                 'not signed: as good as the place that it came from; no'),
                (('--checksum', stated), 'sha512 verified (',
                 'the whole file has the checksum that was given; no')):
            self.assertEqual(0, self.run_main(
                'write', self.server.url('image'), self.target, '--manifest',
                self.file, '--progress', 'none', *more), self.err)
            self.assertIn(words, self.out)
            self.assertIn(voucher, self.out)

    def test_wrong_bytes(self) -> None:
        damaged = bytearray(self.content)
        damaged[3 * MIB + 5] ^= 1
        for ranges in (True, False):
            self.serve(ranges=ranges, content=bytes(damaged))
            self.assertEqual(6, self.write())
            self.assertFalse(self.target.exists())

    def test_another_file(self) -> None:
        for ranges in (True, False):
            self.serve(ranges=ranges, content=self.content + bytes(512))
            self.assertEqual(6, self.write(), self.err)
            self.assertIn('that of an image of', self.err)
