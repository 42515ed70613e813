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
import json
import os
import subprocess

from ironic_imagedeploy.engine import bmap
from tests.unit.cmd import program

MIB = 1 << 20


class BmapTestCase(program.CommandTestCase):
    """A sparse image of a disk."""

    def setUp(self) -> None:
        super().setUp()
        with self.image.open('r+b') as file:
            file.truncate(64 * MIB + 512)
            for offset in (9 * MIB + 5000, 20 * MIB, 64 * MIB):
                file.seek(offset)
                file.write(os.urandom(512))
            # What was written is listed, zeroes as well.
            file.seek(30 * MIB)
            file.write(bytes(MIB))
        self.content = self.image.read_bytes()
        self.bmap = self.directory / 'image.bmap'

    def damage(self) -> None:
        """Change a byte of the image, which is a random one."""
        at = 20 * MIB + 100
        with self.image.open('r+b') as file:
            file.seek(at)
            file.write(bytes([self.content[at] ^ 1]))

    def bmaptool(self, *arguments: object) -> None:
        subprocess.run(['bmaptool', *map(str, arguments)], check=True,
                       capture_output=True)

    def create(self, *options: str) -> None:
        self.bmaptool('create', *options, self.image, '-o', self.bmap)

    def write(self, *arguments: object) -> int:
        return self.run_main(
            'write', self.image, self.target, '--progress', 'none', '--bmap',
            self.bmap, *arguments)


class WriteTest(BmapTestCase):
    """Block maps that bmaptool made."""

    def test_what_is_listed_is_written_and_all_else_stays(self) -> None:
        self.create()
        self.target.write_bytes(b'R' * 64 * MIB + b'R' * 512)
        self.assertEqual(0, self.write('--json', '--read-back', 'full'),
                         self.err)
        self.assertIn('"verified_by": "bmap"', self.out)
        self.assertLessEqual(4, len(bmap.Bmap.decode(
            self.bmap.read_bytes()).ranges))
        self.assertEqual(self.expected(), self.target.read_bytes())

    def test_a_file_that_is_too_large_is_not_read(self) -> None:
        self.bmap.write_bytes(bytes(bmap.MOST_BYTES + 1))
        self.assertEqual(6, self.write(), self.err)
        self.assertIn('at most are read', self.err)
        self.assertFalse(self.target.exists())

    def expected(self) -> bytes:
        """A disk of Rs, with what is listed."""
        expected = bytearray(b'R' * len(self.content))
        expected[:MIB] = bytes(MIB)
        # The end that is held begins with a whole page.
        expected[63 * MIB:] = bytes(MIB + 512)
        for part in bmap.Bmap.decode(self.bmap.read_bytes()).ranges:
            expected[part.start:part.end] = self.content[part.start:part.end]
        return bytes(expected)

    def write_by_manifest(self, *arguments: object) -> int:
        """Write by a manifest, too, onto a disk of Rs."""
        file = self.directory / 'manifest'
        if not file.exists():
            self.assertEqual(0, self.run_main(
                'manifest', self.image, '-o', file, '--progress', 'none'))
        self.target.write_bytes(b'R' * len(self.content))
        return self.write('--manifest', file, *arguments)

    def test_with_a_manifest_it_is_read_once(self) -> None:
        self.create()
        self.assertEqual(0, self.write_by_manifest(
            '--json', '--read-back', 'full'), self.err)
        self.assertEqual(self.expected(), self.target.read_bytes())
        report = json.loads(self.out)
        self.assertEqual(('chunks', False), (
            report['verified_by'], report['checksum']['verified']))
        # Zeroes are not fetched.
        self.assertLess(sum(each['bytes'] for each in report['sources']),
                        6 * MIB)

    def test_with_a_manifest_and_a_checksum(self) -> None:
        self.create()
        for algorithm in ('sha512', 'sha256'):
            value = hashlib.new(algorithm, self.content).hexdigest()
            self.assertEqual(0, self.write_by_manifest(
                '--json', '--checksum', f'{algorithm}:{value}'), self.err)
            self.assertEqual(self.expected(), self.target.read_bytes())
            self.assertEqual('both', json.loads(self.out)['verified_by'])

    def test_with_a_manifest_and_a_wrong_range(self) -> None:
        self.create()
        words = self.bmap.read_text()
        value = next(part.checksum.value for part in bmap.Bmap.decode(
            words.encode()).ranges if part.start > 9 * MIB)
        wrong = bmap.Bmap.decode(words.encode())
        self.bmap.write_bytes(dataclasses.replace(wrong, ranges=tuple(
            dataclasses.replace(part, checksum=dataclasses.replace(
                part.checksum, value='0' * 64))
            if part.checksum.value == value else part
            for part in wrong.ranges)).encode())
        self.assertEqual(6, self.write_by_manifest())
        self.assertIn('the checksum does not match', self.err)
        self.assertFalse(any(self.target.read_bytes()[:MIB]))

    def test_with_a_manifest_and_a_wrong_image(self) -> None:
        self.create()
        self.write_by_manifest()
        self.damage()
        self.assertEqual(6, self.write_by_manifest())
        self.assertIn('a chunk is not', self.err)
        found = self.target.read_bytes()
        self.assertEqual(b'R' * MIB, found[20 * MIB:21 * MIB])

    def test_with_a_manifest_and_the_map_of_another_disk(self) -> None:
        self.create()
        self.bmap.write_bytes(dataclasses.replace(
            bmap.Bmap.decode(self.bmap.read_bytes()),
            size=128 * MIB).encode())
        self.assertEqual(6, self.write_by_manifest())
        self.assertIn(f'{self.bmap}: the block map cannot be used', self.err)
        self.assertEqual(b'R' * len(self.content), self.target.read_bytes())

    def test_a_new_file(self) -> None:
        self.create()
        self.assertEqual(0, self.write(), self.err)
        self.assertIn('that of each range verified', self.out)
        self.assertEqual(self.content, self.target.read_bytes())

    def test_another_image(self) -> None:
        self.create()
        self.damage()
        self.assertEqual(6, self.write())
        self.assertIn('the checksum does not match', self.err)
        self.assertFalse(self.target.exists())

    def test_an_image_of_another_size(self) -> None:
        self.create()
        with self.image.open('ab') as file:
            file.write(bytes(4096))
        self.assertEqual(6, self.write())
        self.assertIn(f'{self.bmap}: the block map cannot be used', self.err)

    def test_without_checksums(self) -> None:
        self.create('--no-checksum')
        self.assertEqual(0, self.write(), self.err)
        self.assertIn('has no checksums', self.err)
        self.assertIn('NOT VERIFIED', self.out)
        self.assertEqual(self.content, self.target.read_bytes())

    def test_what_is_not_a_block_map(self) -> None:
        self.bmap.write_text('<bmap version="2.0"/>')
        self.assertEqual(6, self.write())
        self.assertIn(f'{self.bmap}: the block map cannot be used', self.err)
        self.bmap.unlink()
        self.assertEqual(3, self.write())


class MakeTest(BmapTestCase):
    """Block maps for bmaptool."""

    def make(self, *arguments: object) -> int:
        return self.run_main(
            'manifest', self.image, '-o', self.directory / 'manifest',
            '--bmap', self.bmap, '--progress', 'none', *arguments)

    def test_it_is_that_of_bmaptool(self) -> None:
        self.create()
        expected = bmap.Bmap.decode(self.bmap.read_bytes())
        self.bmap.unlink()
        self.assertEqual(0, self.make(), self.err)
        self.assertEqual(expected, bmap.Bmap.decode(self.bmap.read_bytes()))

    def test_bmaptool_copies_by_it(self) -> None:
        self.assertEqual(0, self.make(), self.err)
        self.bmaptool('copy', '--bmap', self.bmap, self.image, self.target)
        self.assertEqual(self.content, self.target.read_bytes())
        self.damage()
        self.assertRaises(
            subprocess.CalledProcessError, self.bmaptool, 'copy', '--bmap',
            self.bmap, self.image, self.target)

    def test_a_file_elsewhere_is_listed_as_a_whole(self) -> None:
        self.assertEqual(0, self.run_main(
            'manifest', self.image.as_uri(), '-o',
            self.directory / 'manifest', '--bmap', self.bmap))
        local = bmap.Bmap.decode(self.bmap.read_bytes())
        self.assertLess(local.listed_size, 10 * MIB)

    def test_other_formats_have_none(self) -> None:
        subprocess.run(
            ['qemu-img', 'convert', '-O', 'qcow2', self.image,
             self.directory / 'qcow2'], check=True)
        self.image = self.directory / 'qcow2'
        self.assertEqual(2, self.make())
        self.assertIn('raw image', self.err)
