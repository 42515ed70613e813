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

from ironic_imagedeploy.engine.contents.system import unified_kernels
from ironic_imagedeploy.engine import exceptions
from tests.support import boot_files
from tests.unit.engine import base
from tests.unit.engine import disks
from tests.unit.engine import system_disks
from tests.unit.engine import systems

UnifiedKernel = unified_kernels.UnifiedKernel


def addon(options: str, version: str = '', *, signed: bool = False) -> bytes:
    """An addon with kernel options."""
    return boot_files.efi_sections({
        '.sbat': b'sbat,1\n', **({'.uname': version.encode()}
                                 if version else {}),
        '.cmdline': options.encode()}, signed=signed)


class UnifiedKernelsTest(base.EngineTestCase):

    def read(self, **programs: bytes) -> tuple[UnifiedKernel, ...]:
        files = system_disks.files(self.directory, {
            f'esp/efi/linux/{name}.efi': content
            for name, content in programs.items()})
        return unified_kernels.read(files, ['esp', 'boot/efi'])

    def test_a_kernel(self) -> None:
        self.assertEqual((UnifiedKernel(
            path='esp/efi/linux/a.efi', arch='x86_64', version='6.7.4-arch1-1',
            options='root=UUID=1 quiet', is_signed=False),), self.read(
                a=systems.unified('root=UUID=1 quiet', '6.7.4-arch1-1')))

    def test_without_options(self) -> None:
        found, = self.read(a=systems.unified(None, ''))
        self.assertEqual(('', ''), (found.version, found.options))

    def test_options_that_are_far_away(self) -> None:
        program = bytearray(systems.unified('root=x', '6'))
        at = program.index(b'.cmdline')
        struct.pack_into('<I', program, at + 20, 1 << 30)
        found, = self.read(a=bytes(program))
        self.assertIsNone(found.options)

    def test_its_initramfs(self) -> None:
        program = systems.unified('root=x', '6', initramfs=b'070701' * 99)
        found, = self.read(a=program)
        assert found.initramfs
        start, length = found.initramfs
        self.assertEqual(b'070701' * 99, program[start:start + length])

    def test_a_version_that_only_the_kernel_tells(self) -> None:
        found, = self.read(a=systems.unified(
            'root=x', '', linux=boot_files.bzimage(version='6.1.0-9')))
        self.assertEqual('6.1.0-9', found.version)

    def test_the_only_program(self) -> None:
        """Firmware starts it without a boot loader."""
        files = system_disks.files(self.directory, {
            'esp/efi/boot/BOOTX64.EFI': systems.unified('root=x', '6'),
            'esp/efi/boot/other.efi': disks.program(0x8664)})
        self.assertEqual(['esp/efi/boot/BOOTX64.EFI'], [
            found.path for found in unified_kernels.read(files, ['esp'])])

    def test_a_partition_of_their_own(self) -> None:
        files = system_disks.files(self.directory, {
            'boot/EFI/Linux/a.efi': systems.unified('root=x', '6')})
        found, = unified_kernels.read(files, ['efi'])
        self.assertEqual('boot/EFI/Linux/a.efi', found.path)

    def options(self, addons: dict[str, bytes], name: str = 'a.efi',
                version: str = '6.7') -> str | None:
        """Options of a kernel with these files on its partition."""
        files = system_disks.files(self.directory, {
            f'esp/efi/linux/{name}': systems.unified('root=x', version),
            **{f'esp/{path}': content for path, content in addons.items()}})
        found, = unified_kernels.read(files, ['esp'])
        return found.options

    def test_options_of_addons(self) -> None:
        """Those for all come before its own, each by name."""
        self.assertEqual('root=x quiet console=tty0 console=ttyS0 ro', (
            self.options({
                'efi/linux/a.efi.extra.d/b.addon.efi': addon('ro'),
                'efi/linux/a.efi.extra.d/a.addon.efi': addon('console=ttyS0'),
                'loader/addons/y.addon.efi': addon('console=tty0'),
                'loader/addons/x.ADDON.efi': addon('quiet')})))

    def test_a_root_that_only_an_addon_names(self) -> None:
        files = system_disks.files(self.directory, {
            'boot/EFI/Linux/a.efi': systems.unified(None, '6'),
            'boot/loader/addons/a.addon.efi': addon('root=UUID=1')})
        found, = unified_kernels.read(files, ['efi'])
        self.assertEqual('root=UUID=1', found.options)

    def test_tries_that_are_left(self) -> None:
        """They are no part of the name of the folder."""
        for name in ('a+3.efi', 'a+0-3.efi'):
            self.assertEqual('root=x ro', self.options(
                {'efi/linux/a.efi.extra.d/b.addon.efi': addon('ro')}, name))
        self.assertEqual('root=x', self.options(
            {'efi/linux/a.efi.extra.d/b.addon.efi': addon('ro')}, 'a+x.efi'))

    def test_addons_for_other_kernels(self) -> None:
        for content in (addon('ro', '6.8'), systems.unified('ro', '6.7'),
                        b'MZ'):
            self.assertEqual('root=x', self.options(
                {'loader/addons/a.addon.efi': content}))
        self.assertEqual('root=x', self.options({
            'efi/linux/b.efi.extra.d/a.addon.efi': addon('ro'),
            'loader/addons/a.efi': addon('ro')}))
        self.assertEqual('root=x ro', self.options(
            {'loader/addons/a.addon.efi': addon('ro', '6.7')}))

    def test_options_of_an_addon_that_are_far_away(self) -> None:
        program = bytearray(addon('ro'))
        at = program.index(b'.cmdline')
        struct.pack_into('<I', program, at + 20, 1 << 30)
        self.assertIsNone(self.options(
            {'loader/addons/a.addon.efi': bytes(program)}))

    def test_an_initramfs_that_addons_go_on_with(self) -> None:
        files = system_disks.files(self.directory, {
            'esp/efi/linux/a.efi': systems.unified(
                'root=x', '6', initramfs=b'070701' * 99),
            'esp/loader/addons/a.addon.efi': boot_files.efi_sections(
                {'.initrd': b'070701' * 99})})
        found, = unified_kernels.read(files, ['esp'])
        self.assertIsNone(found.initramfs)

    def test_signatures(self) -> None:
        files = system_disks.files(self.directory, {
            'esp/efi/linux/a.efi': systems.unified('root=x', '6', signed=True),
            'esp/loader/addons/a.addon.efi': addon('ro', signed=True),
            'esp/loader/addons/b.addon.efi': addon('quiet'),
            'esp/loader/addons/c.addon.efi': addon('debug', '7')})
        found, = unified_kernels.read(files, ['esp'])
        self.assertIs(True, found.is_signed)
        self.assertEqual(('esp/loader/addons/b.addon.efi',),
                         found.unsigned_addons)

    def test_many_addons(self) -> None:
        with self.assertRaises(exceptions.UnreadableContent):
            self.options({
                f'loader/addons/{number:03}.addon.efi': addon(f'a{number}')
                for number in range(40)})

    def test_other_programs(self) -> None:
        self.assertEqual([None, None], [found.options for found in self.read(
            a=b'MZ', b=b'\x7fELF' + bytes(500))])
        self.assertEqual((), self.read())

    def test_any_bytes(self) -> None:
        dice = random.Random(1)
        for _ in range(20):
            program = bytearray(systems.unified('root=x', '6'))
            for _ in range(30):
                program[dice.randrange(512)] = dice.randrange(256)
            self.read(a=bytes(program))
