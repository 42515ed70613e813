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

from ironic_imagedeploy.engine import budget
from ironic_imagedeploy.engine.contents import fat
from ironic_imagedeploy.engine.contents import fat_files
from ironic_imagedeploy.engine import exceptions
from tests.unit.engine import base
from tests.unit.engine import disks

MIB = base.MIB
_PROGRAM = 'efi/boot/bootx64.efi'
FILES = {
    '/EFI/BOOT/BOOTX64.EFI': random.Random(1).randbytes(70_000),
    '/EFI/debian/grub.cfg': b'search.fs_uuid x\n',
    '/loader/entries/a-name-that-is-long.conf': b'title x\n',
    '/empty': b''}


class FatFilesTest(base.EngineTestCase):

    def opened(self, volume: bytes | bytearray) -> fat_files.FatFiles:
        return fat_files.FatFiles(fat.FatVolume(
            lambda offset, length: bytes(volume[offset:offset + length]),
            budget.Budget()))

    def made(self, bits: int = 16) -> bytes:
        return disks.fat(self.directory / 'volume', 40 * MIB, FILES,
                         bits=bits)

    def test_as_mtools_reads_it(self) -> None:
        for bits in (16, 32):
            files = self.opened(self.made(bits))
            for path in FILES:
                read = self.directory / 'read'
                base.run('mcopy', '-n', '-o', '-i', self.directory / 'volume',
                         f'::{path}', read)
                content = read.read_bytes()
                for length in (0, 5, 4096, 1 << 30):
                    self.assertEqual(content[:length],
                                     files.front(path, length))
                self.assertEqual(content, b''.join(files.pieces(path)))

    def test_paths(self) -> None:
        files = self.opened(self.made())
        for path in ('', '/', 'efi', 'EFI/Debian/GRUB.CFG', '/loader/',
                     'loader/entries/A-NAME~1.CON', 'empty'):
            self.assertTrue(files.exists(path), path)
        for path in ('efi/none', 'empty/x', 'none/x', '..', 'loader/entrie'):
            self.assertFalse(files.exists(path), path)
            self.assertIsNone(files.front(path, 9))
        self.assertIsNone(files.front('efi', 9))
        self.assertIsNone(files.front('', 9))
        for path, names in (
                ('', ['efi', 'empty', 'loader']), ('efi/', ['boot', 'debian']),
                ('loader/entries', ['a-name-that-is-long.conf']),
                ('empty', []), ('none', [])):
            self.assertEqual(names, files.list(path))
            self.assertEqual(names, files.list(path))

    def test_a_large_file_between_others(self) -> None:
        """Never much of it at once."""
        path = self.directory / 'volume'
        noise = random.Random(2).randbytes(300_000)
        disks.fat(path, 34 * MIB, {f'/{name}': noise for name in 'abcdefghij'},
                  bits=16)
        for name in 'aceg':
            base.run('mdel', '-i', path, f'::{name}')
        content = random.Random(3).randbytes(3 * MIB)
        large = self.directory / 'large'
        large.write_bytes(content)
        base.run('mcopy', '-i', path, large, '::')
        files = self.opened(path.read_bytes())
        pieces = [*files.pieces('large')]
        self.assertEqual(content, b''.join(pieces))
        self.assertGreater(len(pieces), 4)
        self.assertLessEqual(max(map(len, pieces)), MIB)
        self.assertEqual(content[:2 * MIB], files.front('large', 2 * MIB))
        self.assertEqual([], [*files.pieces('none')])

    def test_a_file_whose_clusters_go_in_a_circle(self) -> None:
        volume = bytearray(self.made())
        entry = volume.index(b'BOOTX64 EFI')
        first = int.from_bytes(volume[entry + 26:entry + 28], 'little')
        volume[entry + 28:entry + 32] = (1 << 30).to_bytes(4, 'little')
        reserved = int.from_bytes(volume[14:16], 'little')
        for length in (1, 2, 7):
            at = reserved * 512 + 2 * (first + length)
            volume[at:at + 2] = (first + 1).to_bytes(2, 'little')
            for read in (lambda files: files.front(_PROGRAM, 1 << 30),
                         lambda files: list(files.pieces(_PROGRAM))):
                with self.assertRaises(
                        exceptions.UnreadableContent) as caught:
                    read(self.opened(volume))
                self.assertIn('follows itself', str(caught.exception))
            volume[at:at + 2] = (first + length + 1).to_bytes(2, 'little')

    def test_a_file_that_ends_too_early(self) -> None:
        volume = bytearray(self.made())
        at = volume.index(b'BOOTX64 EFI')
        volume[at + 28:at + 32] = (1 << 30).to_bytes(4, 'little')
        with self.assertRaises(exceptions.UnreadableContent):
            self.opened(volume).front(_PROGRAM, 1 << 20)
        with self.assertRaises(exceptions.UnreadableContent) as caught:
            list(self.opened(volume).pieces(_PROGRAM))
        self.assertIn('that ends after 71680', str(caught.exception))

    def test_damage(self) -> None:
        dice = random.Random(4)
        front = bytearray(self.made()[:MIB])
        outcomes = set()
        for _ in range(500):
            at = dice.choice((dice.randrange(11, 90), dice.randrange(
                len(front)), dice.randrange(512, 4096)))
            old = front[at:at + 4]
            front[at:at + 4] = dice.randbytes(4)
            try:
                files = self.opened(front)
                for path in FILES:
                    files.front(path, 100_000)
                    files.list(path.rpartition('/')[0])
                outcomes.add('read')
            except (exceptions.BadContent,
                    exceptions.UnreadableContent) as error:
                outcomes.add(type(error).__name__)
            front[at:at + 4] = old
        self.assertEqual({'read', 'BadContent', 'UnreadableContent'},
                         outcomes)
