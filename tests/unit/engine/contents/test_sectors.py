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

from ironic_imagedeploy.engine.contents import sectors
from tests.unit.engine import base

MIB = base.MIB


class FileSystemTest(base.EngineTestCase):

    def made(self, *command: str, size: int = 64 * MIB) -> bytes:
        """A file system."""
        path = self.directory / 'volume'
        path.unlink(missing_ok=True)
        with path.open('wb') as file:
            file.truncate(size)
        base.run(*command, path)
        return path.read_bytes()

    def content(self, volume: bytes) -> tuple[str, int | None] | None:
        disk = bytes(MIB) + volume
        return sectors.file_system(
            lambda offset, length: disk[offset:offset + length], MIB)

    def test_file_systems(self) -> None:
        for command, found in (
                ('mkfs.vfat -S 512', ('vfat', 512)),
                ('mkfs.vfat -S 4096', ('vfat', 4096)),
                ('mkfs.ext4 -q -b 1024', ('ext4', 1024)),
                ('mkfs.ext4 -q -b 4096', ('ext4', 4096)),
                ('mkfs.xfs -q -s size=512', ('xfs', 512)),
                ('mkfs.xfs -q -s size=4096', ('xfs', 4096))):
            size = 320 * MIB if 'xfs' in command else 64 * MIB
            with self.subTest(command=command):
                self.assertEqual(found, self.content(
                    self.made(*command.split(), size=size)))

    def test_exfat_and_ntfs(self) -> None:
        front = bytearray(4096)
        front[3:11] = b'EXFAT   '
        for log in (9, 12):
            front[108] = log
            self.assertEqual(('exfat', 1 << log), self.content(bytes(front)))
        front[3:11] = b'NTFS    '
        for size in (512, 4096):
            front[11:13] = size.to_bytes(2, 'little')
            self.assertEqual(('ntfs', size), self.content(bytes(front)))

    def test_nothing(self) -> None:
        self.assertIsNone(self.content(bytes(4096)))
        self.assertIsNone(self.content(b''))
