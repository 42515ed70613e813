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

import dataclasses
import hashlib
import unittest

from ironic_imagedeploy.engine import checksum

CONTENT = b'the image as stored'


def value(algorithm: str) -> str:
    """What the content hashes to."""
    return hashlib.new(algorithm, CONTENT).hexdigest()


class ParseTest(unittest.TestCase):

    def test_algorithm_and_value(self) -> None:
        for algorithm in ('md5', 'sha1', 'sha256', 'sha384', 'sha512',
                          'sha3_256', 'blake2b'):
            with self.subTest(algorithm=algorithm):
                parsed = checksum.Checksum.parse(
                    f'{algorithm}:{value(algorithm)}')
                self.assertEqual(algorithm, parsed.algorithm)
                self.assertEqual(value(algorithm), parsed.value)

    def test_a_bare_value_is_known_by_its_length(self) -> None:
        for algorithm in ('md5', 'sha1', 'sha256', 'sha384', 'sha512'):
            with self.subTest(algorithm=algorithm):
                self.assertEqual(
                    checksum.Checksum(algorithm, value(algorithm)),
                    checksum.Checksum.parse(value(algorithm)))

    def test_case_dashes_and_blanks_do_not_matter(self) -> None:
        self.assertEqual(
            checksum.Checksum('sha512', value('sha512')),
            checksum.Checksum.parse(
                f' SHA-512:{value("sha512").upper()}\n'))

    def test_names_as_they_are_spelled(self) -> None:
        for algorithm, spelled in (
                ('sha3_256', ('sha3-256', 'SHA3_256', 'SHA3-256')),
                ('sha3_512', ('sha3-512',)), ('sha256', ('sha_256',)),
                ('blake2b', ('BLAKE2b',)), ('md5', ('MD-5',))):
            for name in spelled:
                self.assertEqual(algorithm, checksum.Checksum.parse(
                    f'{name}:{value(algorithm)}').algorithm)

    def test_no_other_algorithm(self) -> None:
        """OpenSSL knows these, the first as another name of md5."""
        for name in ('1.2.840.113549.2.5', 'ssl3-md5', 'md5-sha1',
                     'ripemd160', 'sha512_224', 'sm3', 'shake_128', 'md4',
                     'x' * 500):
            for digits in (32, 40, 56, 64, 72):
                with self.assertRaises(ValueError) as caught:
                    checksum.Checksum(name, '0' * digits)
                self.assertLess(len(str(caught.exception)), 300)

    def test_what_is_no_checksum(self) -> None:
        for text in ('', ':', 'sha512', 'sha512:', ':0123', 'sha512:0123',
                     '0123', 'g' * 64, 'shake_128:' + '0' * 32,
                     'nonsense:' + '0' * 64, 'sha256:' + '٠' * 64,
                     'sha256:' + '0' * 128, 'sha256:sha256:' + '0' * 64,
                     'https://example.com/SHA256SUMS'):
            with self.subTest(text=text), self.assertRaises(
                    ValueError) as caught:
                checksum.Checksum.parse(text)
            self.assertIn('expected', str(caught.exception))


class ChecksumTest(unittest.TestCase):

    def test_matches_only_the_value(self) -> None:
        expected = checksum.Checksum('sha256', value('sha256'))
        self.assertTrue(expected.matches(value('sha256')))
        self.assertFalse(expected.matches(
            hashlib.sha256(b'another').hexdigest()))
        self.assertFalse(expected.matches(value('sha256')[:-1]))
        self.assertFalse(expected.matches(''))

    def test_which_can_be_forged(self) -> None:
        for algorithm, weak in (('md5', True), ('sha1', True),
                                ('sha256', False), ('sha512', False)):
            with self.subTest(algorithm=algorithm):
                self.assertEqual(weak, checksum.Checksum(
                    algorithm, value(algorithm)).weak)

    def test_a_checksum_does_not_change(self) -> None:
        expected = checksum.Checksum('sha256', value('sha256'))
        with self.assertRaises(dataclasses.FrozenInstanceError):
            expected.value = ''  # type: ignore[misc]

    def test_digest_sizes(self) -> None:
        self.assertEqual(64, checksum.digest_size('sha512'))
        self.assertRaises(ValueError, checksum.digest_size, 'shake_256')
        self.assertRaises(ValueError, checksum.digest_size, 'rot13')
