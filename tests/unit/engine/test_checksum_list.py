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

import time

from ironic_imagedeploy.engine import checksum
from ironic_imagedeploy.engine import checksum_list
from tests.unit.engine import base

SHA256 = checksum.Checksum('sha256', 'a1' * 32)
SHA512 = checksum.Checksum('sha512', 'b2' * 64)
OTHER = checksum.Checksum('sha256', 'c3' * 32)


class FindTest(base.EngineTestCase):

    def assert_found(self, expected: checksum.Checksum, *lines: str) -> None:
        for end in ('\n', '\r\n'):
            self.assertEqual(expected, checksum_list.find(
                end.join([*lines, '']), 'disk (1).qcow2'), lines)

    def assert_not_found(self, words: str, *lines: str) -> None:
        with self.assertRaises(ValueError) as caught:
            checksum_list.find('\n'.join(lines), 'disk (1).qcow2')
        self.assertIn(words, str(caught.exception))

    def test_gnu(self) -> None:
        for line in (f'{SHA256.value}  disk (1).qcow2',
                     f'{SHA256.value} *disk (1).qcow2',
                     f'{SHA256.value.upper()}\t./disk (1).qcow2'):
            self.assert_found(SHA256, f'{OTHER.value}  disk.qcow2', line,
                              f'{OTHER.value}  old disk (1).qcow2')

    def test_bsd(self) -> None:
        self.assert_found(
            SHA512, '-----BEGIN PGP SIGNED MESSAGE-----', 'Hash: SHA256', '',
            '# disk (1).qcow2: 4 bytes',
            f'SHA256 (disk (1).qcow2) = {SHA256.value}',
            f'SHA512 (disk (1).qcow2) = {SHA512.value}',
            f'SHA512 (disk.qcow2) = {"0" * 128}')
        self.assert_found(SHA256,
                          f'SHA2-256(disk (1).qcow2)= {"0" * 64}',
                          f'SHA256(./disk (1).qcow2)= {SHA256.value}')

    def test_byte_order_mark(self) -> None:
        self.assert_found(SHA256, f'\ufeff{SHA256.value}  disk (1).qcow2')

    def test_one_value_alone(self) -> None:
        self.assert_found(SHA256, '', SHA256.value)
        self.assert_not_found('no checksum', SHA256.value, OTHER.value)

    def test_nothing_of_the_name(self) -> None:
        self.assert_not_found("no checksum of 'disk (1).qcow2' in 0 lines")
        self.assert_not_found('in 1 line', '<html>')
        self.assert_not_found('in 1 line', f'{SHA256.value} disk')
        self.assert_not_found('in 1 line', f'{"a" * 33} disk (1).qcow2')

    def test_contradiction(self) -> None:
        self.assert_not_found('two values of sha256',
                              f'{SHA256.value}  disk (1).qcow2',
                              f'{OTHER.value}  disk (1).qcow2')
        self.assert_found(SHA256, *[f'{SHA256.value}  disk (1).qcow2'] * 2)

    def test_work_is_bounded_by_the_size_of_the_file(self) -> None:
        start = time.process_time()
        for line in ('a' * (1 << 20), '(' * (1 << 20), ' (a) =' * 150_000,
                     f'SHA256 {"(" * 999_000}', f'{"a" * 64}{" " * 999_000}b'):
            self.assert_not_found('no checksum', line)
        self.assertLess(time.process_time() - start, 2)
