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

from tests.unit.cmd import program


class ChecksumFileTest(program.CommandTestCase):
    """The image is the one that a file of checksums lists."""

    def setUp(self) -> None:
        super().setUp()
        self.value = hashlib.sha512(self.image.read_bytes()).hexdigest()
        self.other = hashlib.sha512(b'another').hexdigest()
        self.file = self.directory / 'SHA512SUMS'

    def write_with(self, text: str) -> int:
        self.file.write_text(text)
        return self.run_main('write', self.image, self.target, '--progress',
                             'none', '--checksum-file', self.file)

    def test_formats_of_gnu_and_bsd(self) -> None:
        for line in (f'{self.value}  image', f'{self.value} *image',
                     f'{self.value}  ./image',
                     f'SHA512 (image) = {self.value}'):
            text = f'\ufeff{self.other}  other\r\n{line}\r\n'
            self.assertEqual(0, self.write_with(text), self.err)
            self.assertIn('sha512 verified', self.out)

    def test_another_image(self) -> None:
        self.assertEqual(6, self.write_with(f'{self.other}  image\n'))

    def test_not_listed(self) -> None:
        self.assertEqual(3, self.write_with(f'{self.value}  other\n'))
        self.assertIn("no checksum of 'image'", self.err)
        self.assertFalse(self.target.exists())

    def test_no_such_file(self) -> None:
        self.assertEqual(3, self.run_main(
            'check', self.image, '--checksum-file', self.file))
        self.assertIn('SHA512SUMS: the file cannot be read: expected a file '
                      'with a checksum', self.err)
        self.assertNotIn('the image was', self.err)

    def test_a_file_that_is_not_one_of_checksums(self) -> None:
        self.assertEqual(3, self.write_with('x' * (2 << 20)))
        self.assertIn('at most are read', self.err)

    def test_either_a_file_or_a_value(self) -> None:
        self.assertEqual(2, self.run_main(
            'check', self.image, '--checksum-file', self.file, '--checksum',
            f'sha512:{self.value}'))

    def test_name_in_a_url(self) -> None:
        self.file.write_text(f'{self.value}  image\n')
        self.assertEqual(0, self.run_main(
            'write', self.image.as_uri(), self.target, '--checksum-file',
            self.file.as_uri(), '--progress', 'none'), self.err)
        self.assertIn('sha512 verified', self.out)

    def test_a_value_that_can_be_forged_is_warned_of(self) -> None:
        for algorithm, warned in (('md5', 1), ('sha1', 1), ('sha256', 0)):
            value = hashlib.new(algorithm, self.image.read_bytes()).hexdigest()
            self.assertEqual(0, self.run_main(
                'write', self.image, self.target, '--progress', 'none',
                '--checksum', f'{algorithm}:{value}'), self.err)
            self.assertEqual(warned, self.err.count(f'{algorithm} tells'))
