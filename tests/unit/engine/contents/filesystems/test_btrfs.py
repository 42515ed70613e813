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

import struct

from ironic_imagedeploy.engine.contents.filesystems import crc32c
from ironic_imagedeploy.engine import exceptions
from tests.unit.engine import base as engine_base
from tests.unit.engine.contents.filesystems import base
from tests.unit.engine import volumes

MIB = engine_base.MIB
_SUPERBLOCK = 0x10000


class BtrfsTest(base.FileSystemTestCase):

    kind = 'btrfs'

    def make(self, *options: str) -> None:
        volumes.btrfs(self.path, base.TREE, *options)

    def superblock(self) -> bytes:
        with self.path.open('rb') as volume:
            volume.seek(_SUPERBLOCK)
            return volume.read(4096)

    def seal(self) -> None:
        """Give a changed superblock a right checksum."""
        self.patch(_SUPERBLOCK, struct.pack(
            '<I', crc32c.checksum(self.superblock()[32:])))

    def test_all_kinds(self) -> None:
        for options in (
                [], ['-m', 'dup'], ['-m', 'single', '-d', 'single'],
                ['-n', '65536'], ['-n', '4096'], ['--mixed'],
                ['--csum', 'sha256'], ['--csum', 'blake2'],
                ['--csum', 'xxhash'], ['-O', '^no-holes'],
                ['-R', '^free-space-tree']):
            with self.subTest(options=options):
                self.make(*options)
                self.assert_tree()

    def test_files(self) -> None:
        for options in ([], ['--mixed'], ['-n', '65536'],
                        ['-O', '^no-holes']):
            with self.subTest(options=options):
                volumes.btrfs(self.path, base.FILES, *options)
                self.assert_files()

    def test_a_disk_that_is_too_small(self) -> None:
        self.make()
        size = self.path.stat().st_size
        self.assert_bad('truncated', str(size), str(size - 1), size=size - 1)

    def test_a_superblock_with_a_wrong_checksum(self) -> None:
        for checksum in ('crc32c', 'sha256', 'blake2'):
            self.make('--csum', checksum)
            self.patch(_SUPERBLOCK + 299, b'label')
            self.assert_bad('corrupt', 'checksum')

    def test_changes_that_are_in_the_log_only(self) -> None:
        self.make()
        self.patch(_SUPERBLOCK + 96, struct.pack('<Q', 1 << 22))
        self.seal()
        self.assertTrue(self.opened().is_dirty)

    def test_what_cannot_be_looked_into(self) -> None:
        self.make()
        good = self.superblock()
        for offset, value in ((136, 2), (188, 0x2000), (188, 1 << 40)):
            with self.subTest(offset=offset, value=value):
                self.patch(_SUPERBLOCK + offset, struct.pack('<Q', value))
                self.seal()
                with self.assertRaises(exceptions.UnreadableContent):
                    self.opened()
                self.patch(_SUPERBLOCK, good)

    def test_impossible_sizes(self) -> None:
        self.make()
        good = self.superblock()
        for value in (0, 2048, 12288, 1 << 17, 0xffffffff):
            self.patch(_SUPERBLOCK + 148, struct.pack('<I', value))
            self.seal()
            self.assert_bad('corrupt')
            self.patch(_SUPERBLOCK, good)

    def test_damage(self) -> None:
        for options in ([], ['--mixed', '-n', '4096']):
            self.make(*options)
            # Of a checksum that is not known here, so that it is not in
            # the way.
            self.patch(_SUPERBLOCK + 196, b'\7')
            self.assert_damage_is_survived()
