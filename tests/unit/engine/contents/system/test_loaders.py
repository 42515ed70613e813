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

from ironic_imagedeploy.engine.contents.system import loaders
from tests.unit.engine import base
from tests.unit.engine import system_disks


class LoadersTest(base.EngineTestCase):

    def test_loaders(self) -> None:
        files = system_disks.files(self.directory, {
            'boot/grub2/i386-pc/core.img': b'x',
            'esp/efi/boot/bootx64.efi': b'x', 'esp/efi/boot/fbx64.efi': b'x',
            'esp/efi/debian/shimx64.efi': b'x',
            'esp/efi/debian/grubx64.efi': b'x',
            'esp/efi/debian/bootx64.csv': b'x',
            'esp/efi/linux/one.efi': b'x'})
        self.assertEqual(
            ('grub2 (BIOS)', 'EFI/boot/bootx64.efi', 'EFI/debian/grubx64.efi',
             'EFI/debian/shimx64.efi'), loaders.read(files, ['esp']))
        self.assertTrue(loaders.has_fallback(files, ['esp']))

    def test_as_many_as_anybody_reads(self) -> None:
        files = system_disks.files(self.directory, {
            f'esp/efi/x/grub{number}.efi': b'x' for number in range(80)})
        self.assertEqual(64, len(loaders.read(files, ['esp'])))

    def test_none(self) -> None:
        files = system_disks.files(self.directory, {
            'boot/grub/grub.cfg': b'x', 'esp/efi/debian/shimx64.efi': b'x'})
        self.assertEqual((), loaders.read(files, []))
        self.assertFalse(loaders.has_fallback(files, ['esp']))

    def test_software_raid(self) -> None:
        program = b'MZ' + bytes(5000) + b'mdraid1x\0'
        for content, reads in ((program, True), (program[:5000], False)):
            files = system_disks.files(self.directory, {
                'esp/EFI/debian/grubx64.efi': content,
                'esp/EFI/debian/shimx64.efi': program})
            for paths, found in (
                    (['EFI/debian/shimx64.efi', 'EFI/debian/grubx64.efi'],
                     reads), (['grub2 (BIOS)'], None)):
                self.assertEqual(found, loaders.reads_raid(
                    files, ['esp'], paths))

    def test_searches(self) -> None:
        stubs = {
            'debian': b'search.fs_uuid 1f2e-3 root hd0,gpt1 \n'
                      b"set prefix=($root)'/boot/grub'\n",
            'fedora': b'search --no-floppy --root-dev-only --fs-uuid '
                      b'--set=dev 2a-3b\nsearch -u --set=root "4c-5d"\n'
                      b'# search.fs_uuid 6e-7f root\n',
            'opensuse': b'search --label --set=root ROOT\nsearch.fs_uuid\n'
                        b'set btrfs_relative_path="yes"\n'}
        files = system_disks.files(self.directory, {
            **{f'esp/EFI/{name}/grub.cfg': stub
               for name, stub in stubs.items()},
            'esp/EFI/without/grub.cfg': stubs['debian']})
        self.assertEqual([
            ('EFI/debian/grub.cfg', ('1f2e-3',)),
            ('EFI/fedora/grub.cfg', ('2a-3b', '4c-5d'))], [
                (search.path, search.uuids) for search in loaders.searches(
                    files, ['esp'], [f'EFI/{name}/grubx64.efi'
                                     for name in stubs])])
