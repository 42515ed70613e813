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


class XfsTest(base.FileSystemTestCase):

    kind = 'xfs'

    def make(self, *options: str) -> None:
        volumes.xfs(self.path, base.TREE, *options)

    def seal(self) -> None:
        """Give a changed superblock a right checksum."""
        with self.path.open('rb') as volume:
            stored = bytearray(volume.read(512))
        stored[224:228] = bytes(4)
        self.patch(224, struct.pack('<I', crc32c.checksum(stored)))

    def test_all_kinds(self) -> None:
        for options in (
                [], ['-m', 'crc=0'], ['-m', 'crc=0', '-n', 'ftype=0'],
                ['-n', 'size=65536'], ['-n', 'size=8192', '-m', 'crc=0'],
                ['-b', 'size=1024'], ['-b', 'size=512', '-m', 'crc=0'],
                ['-i', 'size=2048'], ['-i', 'sparse=0'],
                ['-m', 'bigtime=0,inobtcount=0,reflink=0']):
            with self.subTest(options=options):
                self.make(*options)
                self.assert_tree()

    def test_files(self) -> None:
        for options in ([], ['-m', 'crc=0'], ['-b', 'size=1024'],
                        ['-i', 'size=2048']):
            with self.subTest(options=options):
                volumes.xfs(self.path, base.FILES, *options)
                self.assert_files()

    def test_a_disk_that_is_too_small(self) -> None:
        self.make()
        size = self.path.stat().st_size
        self.assert_bad('truncated', str(size), str(size - 1), size=size - 1)

    def test_a_superblock_with_a_wrong_checksum(self) -> None:
        self.make()
        self.patch(108, b'another name')
        self.assert_bad('corrupt', 'checksum')

    def test_what_mkfs_left_undone(self) -> None:
        self.make()
        self.patch(126, b'\1')
        self.seal()
        self.assert_bad('corrupt', 'mkfs.xfs')

    def test_a_feature_that_nobody_knows(self) -> None:
        self.make()
        self.patch(216, struct.pack('>I', 0x80000001))
        self.seal()
        with self.assertRaises(exceptions.UnreadableContent):
            self.opened()

    def test_impossible_sizes(self) -> None:
        self.make('-m', 'crc=0')
        with self.path.open('rb') as volume:
            good = volume.read(512)
        for offset, value in ((4, bytes(4)), (4, b'\xff' * 4),
                              (84, bytes(4)), (88, bytes(4)),
                              (100, b'\0\3'), (104, b'\0\1'), (120, b'\xff'),
                              (122, b'\xff'), (123, b'\xff'),
                              (124, b'\xff'), (192, b'\x09')):
            with self.subTest(offset=offset):
                self.patch(offset, value)
                self.assert_bad('corrupt')
                self.patch(0, good)

    def test_damage(self) -> None:
        for options in (['-m', 'crc=0', '-b', 'size=1024'], []):
            self.make(*options)
            self.assert_damage_is_survived()
