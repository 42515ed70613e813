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

from ironic_imagedeploy.engine.contents import mbr
from ironic_imagedeploy.engine.contents import sectors
from tests.unit.engine import base
from tests.unit.engine import disks

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


class OfMbrTest(base.EngineTestCase):
    """What lies in its partitions tells the unit of an MBR."""

    def unit(self, front: bytes | bytearray, sector_size: int,
             kind: int = 0x83, size: int | None = 16 * MIB) -> int | None:
        disk = bytearray(16 * MIB)
        disk[256 * sector_size:256 * sector_size + len(front)] = front
        return sectors.of_mbr(
            lambda offset, length: bytes(disk[offset:offset + length]),
            [mbr.Entry(1, 0, kind, 256, 2048)], size)

    def test_what_is_not_a_file_system(self) -> None:
        for front, kind in (
                (b'LUKS\xba\xbe\0\1', 0x83), (b'LUKS\xba\xbe\0\2', 0x83),
                (b'\xeb\x58\x90-FVE-FS-', 0x07),
                (b'\xfc\x4e\x2b\xa9\1\0\0\0', 0xfd),
                (bytes(0x1018) + b'\xc6\x85\x73\xf6\x4e\x1a\x45\xca'
                 b'\x82\x65\xf5\x7f\x48\xba\x6d\x81', 0x83),
                (bytes(0x218) + b'LVM2 001', 0x8e),
                (disks.mbr(512, [(0, 0x83, 63, 1000)]), 0x05),
                (disks.mbr(512, [(0, 0x83, 63, 1000)]), 0x0f)):
            for sector_size in sectors.SIZES:
                with self.subTest(front=front[:16], unit=sector_size):
                    self.assertEqual(sector_size,
                                     self.unit(front, sector_size, kind))

    def test_nothing_tells(self) -> None:
        for front, kind in ((b'', 0x83), (b'LUKS', 0x83), (
                disks.mbr(512, [(0, 0x83, 63, 1000)]), 0x83)):
            self.assertIsNone(self.unit(front, 512, kind))
            self.assertIsNone(self.unit(front, 512, kind, None))
