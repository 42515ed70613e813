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
import unittest.mock

from ironic_imagedeploy.engine import manifest
from tests.unit.cmd import program

MIB = 1 << 20


class ManifestTest(program.CommandTestCase):
    """The manifest of an image, made and written into a file."""

    def setUp(self) -> None:
        super().setUp()
        self.content = self.image.read_bytes() + bytes(3 * MIB) + b'end'
        self.image.write_bytes(self.content)
        self.checksum = hashlib.sha512(self.content).hexdigest()
        self.file = self.directory / 'image.manifest'

    def make(self, *arguments: object) -> int:
        return self.run_main('manifest', self.image, '--progress', 'none',
                             *arguments)

    def test_the_file_is_the_manifest_of_the_image(self) -> None:
        self.assertEqual(0, self.make('-o', self.file), self.err)
        made = manifest.Manifest.decode(self.file.read_bytes())
        self.assertEqual(len(self.content), made.size)
        self.assertEqual(('sha512', self.checksum),
                         (made.checksum.algorithm, made.checksum.value))
        for index in range(made.count):
            start, end = made.bounds(index)
            self.assertTrue(made.matches(index, self.content[start:end]))
        self.assertIn(made.root, self.out)
        self.assertIn(f'sha512:{self.checksum}', self.out)

    def test_json(self) -> None:
        self.assertEqual(0, self.make('--json', '--output', self.file),
                         self.err)
        made = manifest.Manifest.decode(self.file.read_bytes())
        printed = json.loads(self.out)
        self.assertLessEqual(0, printed.pop('seconds'))
        self.assertEqual({
            'source': str(self.image), 'manifest': str(self.file),
            'root': made.root, 'size': 7 * MIB + 3, 'chunk_size': MIB,
            'chunks': 8, 'bytes_zero': 3 * MIB,
            'checksum': {'algorithm': 'sha512', 'value': self.checksum},
        }, printed)

    def test_it_is_named_after_the_image(self) -> None:
        self.addCleanup(os.chdir, os.getcwd())
        folder = self.directory / 'here'
        folder.mkdir()
        os.chdir(folder)
        self.assertEqual(0, self.make(), self.err)
        self.assertEqual(['image.manifest'], os.listdir(folder))

    def test_standard_input_has_no_name(self) -> None:
        self.assertEqual(2, self.run_main('manifest', '-'))
        self.assertIn('--output', self.err)

    def test_the_image_is_not_replaced(self) -> None:
        self.assertEqual(2, self.make('-o', self.image))
        self.assertEqual(self.content, self.image.read_bytes())

    def test_a_directory_that_is_not_there_is_found_out_first(self) -> None:
        self.assertEqual(2, self.make('-o', self.directory / 'no' / 'file'))

    def test_the_checksum_that_is_stated_is_verified(self) -> None:
        self.assertEqual(0, self.make(
            '-o', self.file, '--checksum', f'sha512:{self.checksum}'))
        self.file.unlink()
        self.assertEqual(6, self.make(
            '-o', self.file, '--checksum', f'sha512:{"0" * 128}'))
        self.assertFalse(self.file.exists())

    def test_the_algorithm_is_that_of_the_checksum(self) -> None:
        value = hashlib.sha256(self.content).hexdigest()
        self.assertEqual(0, self.make(
            '-o', self.file, '--checksum', f'sha256:{value}'), self.err)
        made = manifest.Manifest.decode(self.file.read_bytes())
        self.assertEqual('sha256', made.checksum.algorithm)

    def test_no_image(self) -> None:
        self.image.unlink()
        self.assertEqual(3, self.make('-o', self.file))
        self.assertFalse(self.file.exists())

    def test_an_image_that_is_too_large(self) -> None:
        with unittest.mock.patch.object(manifest, 'LARGEST', 7 * MIB):
            self.assertEqual(6, self.make('-o', self.file))
        self.assertIn('at most 7340032 bytes', self.err)

    def test_progress(self) -> None:
        self.assertEqual(0, self.run_main(
            'manifest', self.image, '-o', self.file, '--progress', 'plain'))
        self.assertIn('hashing: 0%', self.err)
        self.assertNotIn('limited by', self.err)
