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

    def test_a_file_that_ends_too_early(self) -> None:
        volume = bytearray(self.made())
        at = volume.index(b'BOOTX64 EFI')
        volume[at + 28:at + 32] = (1 << 30).to_bytes(4, 'little')
        with self.assertRaises(exceptions.UnreadableContent):
            self.opened(volume).front('efi/boot/bootx64.efi', 1 << 20)

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
