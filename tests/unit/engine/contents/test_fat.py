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

import random
import struct

from ironic_imagedeploy.engine import budget
from ironic_imagedeploy.engine.contents import fat
from ironic_imagedeploy.engine import exceptions
from tests.unit.engine import base
from tests.unit.engine import disks

KIB = base.KIB
MIB = base.MIB
#: Size and parameters of volumes of each kind.
KINDS = ((4 * MIB, 12, 512), (32 * MIB, 16, 512), (40 * MIB, 32, 512),
         (64 * MIB, 16, 4096))


class FatTestCase(base.EngineTestCase):

    def made(self, size: int, bits: int, sector_size: int,
             files: dict[str, bytes]) -> bytes:
        return disks.fat(self.directory / 'volume', size, files, bits=bits,
                         sector_size=sector_size)

    def opened(self, volume: bytes | bytearray) -> fat.FatVolume:
        return fat.FatVolume(
            lambda offset, length: bytes(volume[offset:offset + length]),
            budget.Budget())


class ReadTest(FatTestCase):

    def test_where_an_entry_is(self) -> None:
        for size, bits, sector_size in KINDS:
            with self.subTest(bits=bits, sector_size=sector_size):
                content = self.made(size, bits, sector_size, {
                    '/EFI/BOOT/BOOTX64.EFI': b'x', '/loader.conf': b'x',
                    **{f'/a long name {number}': b'' for number in range(
                        100)}, '/last': b'x'})
                volume = self.opened(content)
                for name, kind in ((b'EFI        ', 0x10),
                                   (b'LAST       ', 0x20)):
                    at = volume.find(name)
                    assert at is not None
                    self.assertEqual(name, content[at:at + 11])
                    self.assertEqual(kind, content[at + 11] & 0x30)
                self.assertIsNone(volume.find(b'BOOT       '))

    def test_a_label_is_not_an_entry(self) -> None:
        content = bytearray(self.made(4 * MIB, 12, 512, {'/EFI': b'x'}))
        volume = self.opened(content)
        at = volume.find(b'EFI        ')
        assert at is not None
        content[at + 11] = 0x08
        self.assertIsNone(volume.find(b'EFI        '))

    def test_files_in_directories(self) -> None:
        content = random.Random(1).randbytes(70 * KIB)
        files = {'/EFI/BOOT/BOOTX64.EFI': content,
                 '/EFI/debian/grubx64.efi': b'grub',
                 '/EFI/debian/a long name of a file.txt': b'long',
                 '/readme.txt': b'', '/noext': b'x'}
        for size, bits, sector_size in KINDS:
            with self.subTest(bits=bits, sector_size=sector_size):
                volume = self.opened(self.made(size, bits, sector_size,
                                               files))
                root = {entry.name: entry for entry in volume.root()}
                self.assertEqual({'EFI', 'README.TXT', 'NOEXT'}, set(root))
                self.assertTrue(root['EFI'].directory)
                self.assertFalse(root['NOEXT'].directory)
                vendors = {entry.name: entry for entry
                           in volume.entries(root['EFI'])}
                self.assertEqual({'BOOT', 'DEBIAN'}, set(vendors))
                boot, = volume.entries(vendors['BOOT'])
                self.assertEqual(('BOOTX64.EFI', False, len(content)), (
                    boot.name, boot.directory, boot.size))
                for length in (0, 1, 512, 5000, 70 * KIB):
                    self.assertEqual(content[:length],
                                     volume.front(boot, length))
                self.assertEqual(content, volume.front(boot, MIB))
                names = {entry.name: entry for entry
                         in volume.entries(vendors['DEBIAN'])}
                self.assertEqual(
                    {'GRUBX64.EFI', 'A LONG NAME OF A FILE.TXT'}, set(names))
                long = names['A LONG NAME OF A FILE.TXT']
                self.assertTrue(long.is_called('a long name of a file.txt'))
                self.assertTrue(long.is_called('ALONGN~1.TXT'))
                self.assertFalse(long.is_called('GRUBX64.EFI'))
                self.assertEqual(b'long', volume.front(long, 10))

    def test_a_directory_of_several_clusters(self) -> None:
        files = {f'/EFI/F{number}': b'' for number in range(300)}
        for size, bits, sector_size in KINDS[:3]:
            volume = self.opened(self.made(size, bits, sector_size, files))
            folder, = volume.root()
            self.assertEqual(
                {f'F{number}' for number in range(300)},
                {entry.name for entry in volume.entries(folder)})

    def test_a_fat32_of_few_clusters(self) -> None:
        """As mkfs.vfat makes it; mcopy puts no files into so small a one."""
        content = random.Random(5).randbytes(70 * KIB)
        volume = bytearray(self.made(40 * MIB, 32, 512, {
            '/EFI/BOOT/BOOTX64.EFI': content}))
        struct.pack_into('<I', volume, 32, 32 * MIB // 512)
        opened = self.opened(volume[:32 * MIB])
        top, = opened.root()
        boot, = opened.entries(top)
        program, = opened.entries(boot)
        self.assertEqual('BOOTX64.EFI', program.name)
        self.assertEqual(content, opened.front(program, MIB))

    def test_deleted_files_and_labels_are_not_there(self) -> None:
        self.made(32 * MIB, 16, 512, {'/GONE': b'x', '/HERE': b'x'})
        base.run('mdel', '-i', self.directory / 'volume', '::GONE')
        base.run('mlabel', '-i', self.directory / 'volume', '::LABEL')
        volume = (self.directory / 'volume').read_bytes()
        self.assertEqual(['HERE'], [
            entry.name for entry in self.opened(volume).root()])


class DamageTest(FatTestCase):

    def test_what_is_no_volume(self) -> None:
        dice = random.Random(2)
        for volume in (b'', bytes(511), bytes(512), b'\xff' * 512,
                       dice.randbytes(510) + b'\x55\xaa',
                       bytes(510) + b'\x55\xaa'):
            with self.assertRaises(exceptions.BadContent):
                self.opened(volume)

    def test_impossible_parameters(self) -> None:
        good = self.made(4 * MIB, 12, 512, {})
        for form, offset, value in (
                ('<H', 11, 0), ('<H', 11, 513), ('<H', 11, 8192),
                ('<B', 13, 0), ('<B', 13, 3), ('<H', 14, 0), ('<B', 16, 0),
                ('<H', 19, 1), ('<H', 22, 0xffff)):
            with self.subTest(offset=offset, value=value):
                volume = bytearray(good)
                struct.pack_into(form, volume, offset, value)
                with self.assertRaises(exceptions.BadContent):
                    self.opened(volume)

    def test_more_clusters_than_a_fat16_has(self) -> None:
        """Neither Linux nor firmware takes it for a FAT32."""
        volume = bytearray(self.made(40 * MIB, 32, 512, {}))
        struct.pack_into('<H', volume, 22, 512)
        with self.assertRaises(exceptions.BadContent) as caught:
            self.opened(volume)
        self.assertIn('FAT16', caught.exception.found)

    def test_a_volume_without_a_fat(self) -> None:
        volume = bytearray(self.made(40 * MIB, 32, 512, {}))
        struct.pack_into('<I', volume, 36, 0)
        with self.assertRaises(exceptions.BadContent):
            self.opened(volume)

    def test_clusters_in_a_circle(self) -> None:
        for size, bits, sector_size in KINDS[:3]:
            volume = bytearray(self.made(
                size, bits, sector_size,
                {f'/EFI/F{number}': b'' for number in range(300)}))
            opened = self.opened(volume)
            folder, = opened.root()
            reserved, = struct.unpack_from('<H', volume, 14)
            at = reserved * 512 + folder.cluster * bits // 8
            if bits == 12:
                word = folder.cluster << 4 * (folder.cluster % 2)
                mask = 0xf if folder.cluster % 2 else 0xf000
                old, = struct.unpack_from('<H', volume, at)
                struct.pack_into('<H', volume, at, old & mask | word)
            else:
                struct.pack_into({16: '<H', 32: '<I'}[bits], volume, at,
                                 folder.cluster)
            with self.assertRaises(exceptions.BadContent) as caught:
                list(self.opened(volume).entries(folder))
            self.assertIn('follows itself', caught.exception.found)

    def test_a_directory_in_itself(self) -> None:
        volume = self.opened(self.made(4 * MIB, 12, 512, {'/EFI/X': b'x'}))
        folder, = volume.root()
        self.assertEqual(1, len(list(volume.entries(folder))))
        with self.assertRaises(exceptions.BadContent) as caught:
            volume.entries(folder)
        self.assertIn('two places', caught.exception.found)

    def test_damage_gives_an_error_or_entries(self) -> None:
        dice = random.Random(4)
        for size, bits, sector_size in KINDS[:3]:
            good = self.made(size, bits, sector_size,
                             {'/EFI/BOOT/BOOTX64.EFI': b'x' * 9000})
            front = bytearray(good[:2 * MIB])
            for _ in range(300):
                at = dice.choice((
                    dice.randrange(11, 90), dice.randrange(len(front)),
                    dice.randrange(512, 4096)))
                old = front[at:at + 4]
                front[at:at + 4] = dice.randbytes(4)
                try:
                    volume = self.opened(front)
                    for entry in volume.root():
                        volume.front(entry, 1024)
                        for inner in volume.entries(entry):
                            volume.front(inner, 1024)
                except exceptions.BadContent:
                    pass
                front[at:at + 4] = old
