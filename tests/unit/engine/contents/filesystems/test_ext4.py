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
_SUPERBLOCK = 1024
_INCOMPATIBLE = _SUPERBLOCK + 0x60
_CHECKSUM = 0x3fc


class Ext4Test(base.FileSystemTestCase):

    kind = 'ext4'

    def make(self, *options: str, size: int = 20 * MIB) -> None:
        volumes.ext4(self.path, base.TREE, *options, size=size)

    def seal(self) -> None:
        """Give a changed superblock a right checksum."""
        stored = self.path.read_bytes()[_SUPERBLOCK:_SUPERBLOCK + 1024]
        self.patch(_SUPERBLOCK + _CHECKSUM, crc32c.update(
            stored[:_CHECKSUM]).to_bytes(4, 'little'))

    def test_all_kinds(self) -> None:
        for options in (
                ['-t', 'ext2'], ['-t', 'ext3'], ['-t', 'ext4'],
                ['-t', 'ext2', '-b', '1024'], ['-t', 'ext4', '-b', '1024'],
                ['-t', 'ext4', '-O', '^extents,^64bit'],
                ['-t', 'ext4', '-O', '^extents,^64bit', '-b', '1024'],
                ['-t', 'ext4', '-O', '^64bit'], ['-t', 'ext4', '-I', '128'],
                ['-t', 'ext4', '-O', '^metadata_csum,^flex_bg'],
                ['-t', 'ext4', '-O', '^filetype'],
                ['-t', 'ext4', '-O', 'inline_data'],
                ['-t', 'ext4', '-O', 'inline_data,ea_inode,large_dir', '-I',
                 '512'],
                ['-t', 'ext4', '-O', 'sparse_super2'],
                ['-t', 'ext4', '-O', 'bigalloc', '-b', '1024'],
                ['-t', 'ext4', '-O', 'meta_bg,^resize_inode'],
                ['-t', 'ext4', '-O', 'meta_bg,^resize_inode,^64bit', '-b',
                 '1024', '-g', '1024'],
                ['-t', 'ext4', '-O', 'meta_bg,^resize_inode,^sparse_super',
                 '-b', '1024', '-g', '1024'],
                ['-r', '0', '-t', 'ext2']):
            with self.subTest(options=options):
                self.make(*options)
                self.assert_tree()

    def test_files(self) -> None:
        for options in (['-t', 'ext2'], ['-t', 'ext2', '-b', '1024'],
                        ['-t', 'ext4'], ['-t', 'ext4', '-b', '1024'],
                        ['-t', 'ext4', '-O', 'inline_data', '-I', '1024']):
            with self.subTest(options=options):
                volumes.ext4(self.path, base.FILES, *options, size=20 * MIB)
                self.assert_files()

    def test_a_file_with_holes(self) -> None:
        """As debugfs reads it."""
        volumes.ext4(self.path, {'empty': b''}, '-b', '1024')
        sparse = self.directory / 'sparse'
        with sparse.open('wb') as file:
            for place in (3000, 90_000, 600_000):
                file.seek(place)
                file.write(b'here')
            file.truncate(700_000)
        engine_base.run('debugfs', '-w', '-R', f'write {sparse} sparse',
                        self.path)
        engine_base.run('debugfs', '-R', f'dump sparse {sparse}.read',
                        self.path)
        content = (self.directory / 'sparse.read').read_bytes()
        self.assertEqual(sparse.read_bytes(), content)
        for length in (2000, 3002, 80_000, 90_003, 1 << 20):
            self.assertEqual(content[:length],
                             self.opened().front('sparse', length))
        self.assertEqual(content, b''.join(self.opened().pieces('sparse')))

    def test_the_largest_blocks(self) -> None:
        """Their entries' lengths do not fit in two bytes."""
        self.make('-t', 'ext2', '-b', '65536', '-N', '1000', size=128 * MIB)
        self.assert_tree()

    def test_a_hash_tree(self) -> None:
        """As the kernel makes it of a directory of several blocks."""
        for options in ('-b4096', '-b1024'):
            self.make('-t', 'ext4', options)
            engine_base.run('e2fsck', '-fyD', self.path)
            self.assert_tree()

    def test_a_journal_that_was_not_replayed(self) -> None:
        self.make('-t', 'ext4')
        features, = struct.unpack_from(
            '<I', self.path.read_bytes(), _INCOMPATIBLE)
        self.patch(_INCOMPATIBLE, struct.pack('<I', features | 4))
        self.seal()
        self.assertTrue(self.opened().is_dirty)

    def test_a_feature_that_nobody_knows(self) -> None:
        self.make('-t', 'ext4')
        for bit in (0x8, 0x1000, 1 << 31):
            features, = struct.unpack_from(
                '<I', self.path.read_bytes(), _INCOMPATIBLE)
            self.patch(_INCOMPATIBLE, struct.pack('<I', features | bit))
            self.seal()
            with self.assertRaises(exceptions.UnreadableContent):
                self.opened()
            self.patch(_INCOMPATIBLE, struct.pack('<I', features))

    def test_a_disk_that_is_too_small(self) -> None:
        for options in ('-b1024', '-b4096'):
            self.make('-t', 'ext4', options)
            size = self.path.stat().st_size
            self.opened(size)
            self.assert_bad('truncated', str(size), str(size - 1),
                            size=size - 1)

    def test_a_superblock_with_a_wrong_checksum(self) -> None:
        self.make('-t', 'ext4')
        self.patch(_SUPERBLOCK + 0x78, b'another name')
        self.assert_bad('corrupt', 'checksum')

    def test_impossible_sizes(self) -> None:
        self.make('-t', 'ext2')
        good = self.path.read_bytes()[_SUPERBLOCK:_SUPERBLOCK + 1024]
        for offset, value in ((0, 0), (0x18, 7), (0x18, 0xffffffff),
                              (0x20, 0), (0x28, 0), (0x58, 0), (0x58, 129),
                              (0x58, 8192)):
            with self.subTest(offset=offset, value=value):
                self.patch(_SUPERBLOCK + offset, struct.pack('<I', value)[
                    :2 if offset == 0x58 else 4])
                self.assert_bad('corrupt')
                self.patch(_SUPERBLOCK, good)

    def test_damage(self) -> None:
        for options in (['-t', 'ext2', '-b', '1024'],
                        ['-t', 'ext4', '-O', '^metadata_csum,inline_data']):
            self.make(*options, size=16 * MIB)
            self.assert_damage_is_survived()
