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

"""A FAT volume is read as mkfs.vfat and mtools make it."""

import pathlib
import subprocess
import tempfile
import unittest

from ironic_imagedeploy.engine import fat

MIB = 1 << 20
LARGE = bytes(range(256)) * 512


class FatTestCase(unittest.TestCase):

    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = pathlib.Path(folder.name, 'volume')
        self.large = pathlib.Path(folder.name, 'large')
        self.large.write_bytes(LARGE)

    def make(self, bits: int, size: int) -> fat.FatVolume:
        with open(self.path, 'wb') as volume:
            volume.truncate(size)
        self.run_tool('mkfs.vfat', '-F', str(bits), '-s', '1',
                      str(self.path))
        self.run_tool('mmd', '-i', str(self.path), '::/EFI', '::/EFI/debian')
        self.run_tool('mcopy', '-i', str(self.path), str(self.large),
                      '::/EFI/debian/grubx64.efi')
        self.run_tool('mcopy', '-i', str(self.path), str(self.large),
                      '::/EFI/debian/a long name.txt')
        return fat.FatVolume(self.read)

    def run_tool(self, *command: str) -> None:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    def read(self, offset: int, length: int) -> bytes:
        with open(self.path, 'rb') as volume:
            volume.seek(offset)
            return volume.read(length)

    def test_each_kind(self) -> None:
        for bits, size in ((12, 2 * MIB), (16, 16 * MIB), (32, 40 * MIB)):
            with self.subTest(bits=bits):
                volume = self.make(bits, size)
                top, = (entry for entry in volume.root()
                        if entry.name == 'EFI')
                vendor, = volume.entries(top)
                files = list(volume.entries(vendor))
                self.assertEqual(['GRUBX64.EFI', 'ALONGN~1.TXT'],
                                 [entry.name for entry in files])
                self.assertEqual([False, False],
                                 [entry.directory for entry in files])
                # Many clusters of one sector: the whole chain is followed.
                self.assertEqual(LARGE, volume.front(files[0], len(LARGE)))
                self.assertEqual(LARGE[:700], volume.front(files[0], 700))

    def test_deleted_files_are_gone(self) -> None:
        volume = self.make(16, 16 * MIB)
        self.run_tool('mdel', '-i', str(self.path),
                      '::/EFI/debian/grubx64.efi')
        vendor, = volume.entries(next(
            entry for entry in volume.root() if entry.name == 'EFI'))
        self.assertEqual(['ALONGN~1.TXT'],
                         [entry.name for entry in volume.entries(vendor)])

    def test_no_volume(self) -> None:
        for content in (b'', bytes(512), bytes(510) + b'\x55\xaa',
                        b'\xff' * 510 + b'\x55\xaa'):
            with self.subTest(content=content[:8]):
                self.assertRaises(
                    fat.BadVolume, fat.FatVolume,
                    lambda at, length, c=content: c[at:at + length])

    def test_a_chain_in_a_circle_ends(self) -> None:
        volume = self.make(16, 16 * MIB)
        top = next(entry for entry in volume.root() if entry.name == 'EFI')
        table_at = int.from_bytes(self.read(14, 2), 'little') * 512
        with open(self.path, 'r+b') as stored:
            stored.seek(table_at + 2 * top.cluster)
            stored.write(top.cluster.to_bytes(2, 'little'))
        self.assertLessEqual(len(list(volume.entries(top))), 256 * 16)
