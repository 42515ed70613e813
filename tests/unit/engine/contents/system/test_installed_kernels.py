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

from ironic_imagedeploy.engine.contents.system import installed_kernels
from ironic_imagedeploy.engine.contents.system import unified_kernels
from tests.support import boot_files
from tests.unit.engine import base
from tests.unit.engine import disks
from tests.unit.engine import system_disks
from tests.unit.engine import systems
from tests.unit.engine import volumes

VERSION = '6.1.0-13-amd64'


class InstalledKernelsTest(base.EngineTestCase):

    def read(self, tree: volumes.Tree
             ) -> tuple[installed_kernels.InstalledKernel, ...]:
        return installed_kernels.read(system_disks.files(self.directory, tree))

    def test_a_kernel(self) -> None:
        found, = self.read({**systems.kernel(VERSION, ('ahci', 'snd-hda')),
                            'lib': 'usr/lib'})
        self.assertEqual(installed_kernels.InstalledKernel(
            path=f'boot/vmlinuz-{VERSION}', version=VERSION, arch='x86_64',
            initramfs=f'boot/initrd.img-{VERSION}',
            modules=f'usr/lib/modules/{VERSION}',
            drivers=frozenset({'ahci', 'snd_hda', 'ext4'}),
            built_in=frozenset({'ext4'})), found)

    def test_lists_of_modules(self) -> None:
        for listed, names in (
                ('kernel/a-b.ko.xz: kernel/c.ko\n/x/d.ko:\ne.ko: f.ko',
                 {'a_b', 'd', 'e'}),
                ('a.ko', {'a'}), ('x.ko/y: z\nkernel/z\n.ko:\n', set()),
                (''.join(f'{number}.ko:\n' for number in range(20_000)),
                 {*map(str, range(20_000))}),
                (''.join(f'{number}.ko:\n' for number in range(20_001)),
                 None)):
            found, = self.read({
                'boot/vmlinuz-6': b'x', 'lib/modules/6/modules.builtin': b'',
                'lib/modules/6/modules.dep': listed.encode()})
            self.assertEqual(names, found.drivers)

    def test_signatures(self) -> None:
        for content, signed in (
                (disks.program(0x8664, signed=True), True),
                (disks.program(0x8664), False), (boot_files.bzimage(), None)):
            found, = self.read({'boot/vmlinuz-6': content})
            self.assertIs(signed, found.is_signed)

    def test_the_newest_first(self) -> None:
        versions = ('6.9.1-1', '6.10.0-2', '6.10.0-10', '5.99.0-1')
        tree: dict[str, bytes | str | None] = {}
        for version in versions:
            tree |= systems.kernel(version)
        tree |= {'boot/vmlinuz': 'vmlinuz-6.9.1-1',
                 'boot/vmlinuz-0-rescue-0123': boot_files.bzimage()}
        self.assertEqual(
            ['6.10.0-10', '6.10.0-2', '6.9.1-1', '5.99.0-1'],
            [kernel.version for kernel in self.read(tree)])

    def test_names_without_a_version(self) -> None:
        found, = self.read({
            'boot/vmlinuz-virt': boot_files.bzimage(version='6.6.1-0-virt'),
            'boot/initramfs-virt': b'x',
            **systems.modules('lib/modules/6.6.1-0-virt', ['ahci'])})
        self.assertEqual(
            ('6.6.1-0-virt', 'boot/initramfs-virt',
             'lib/modules/6.6.1-0-virt'),
            (found.version, found.initramfs, found.modules))

    def test_a_kernel_among_its_modules(self) -> None:
        folder = f'usr/lib/modules/{VERSION}'
        found, = self.read({f'{folder}/vmlinuz': boot_files.bzimage(),
                            **systems.modules(folder, ['ahci'])})
        self.assertEqual(f'{folder}/vmlinuz', found.path)

    def test_a_kernel_of_an_entry(self) -> None:
        """As kernel-install puts it on the EFI system partition."""
        folder = f'ffff/{VERSION}'
        entry = (f'title Debian\nversion {VERSION}\noptions root=x\n'
                 f'linux /{folder}/linux\n'
                 'initrd /amd-ucode.img\n'
                 f'initrd /{folder}/initrd.img-{VERSION}\n')
        for point in ('boot', 'efi', 'boot/efi'):
            with self.subTest(point):
                found, = self.read({
                    f'{point}/loader/entries/ffff-{VERSION}.conf':
                        entry.encode(),
                    f'{point}/loader/entries/gone.conf': b'linux /gone\n',
                    f'{point}/{folder}/linux': boot_files.bzimage(),
                    f'{point}/{folder}/initrd.img-{VERSION}': b'x',
                    f'usr/lib/modules/{VERSION}/vmlinuz':
                        boot_files.bzimage(),
                    **systems.modules(f'usr/lib/modules/{VERSION}',
                                      ['ahci'])})
                self.assertEqual(
                    (f'{point}/{folder}/linux', VERSION,
                     f'{point}/{folder}/initrd.img-{VERSION}',
                     f'usr/lib/modules/{VERSION}'),
                    (found.path, found.version, found.initramfs,
                     found.modules))

    def test_an_entry_with_several_initramfs(self) -> None:
        """Which of them has the drivers is not told."""
        found, = self.read({
            'efi/loader/entries/a.conf':
                b'linux /a/linux\ninitrd /a/one\ninitrd /a/two\n',
            'efi/a/linux': boot_files.bzimage(), 'efi/a/one': b'x',
            'efi/a/two': b'x'})
        self.assertEqual(('efi/a/linux', '6.1.0-13-amd64', ''),
                         (found.path, found.version, found.initramfs))

    def test_a_path_that_leads_elsewhere(self) -> None:
        self.assertEqual((), self.read({
            'efi/loader/entries/a.conf': b'linux /../boot/linux\n',
            'boot/linux': boot_files.bzimage()}))

    def test_a_unified_kernel(self) -> None:
        files = system_disks.files(self.directory, {
            **systems.modules(f'usr/lib/modules/{VERSION}', ['ahci']),
            f'usr/lib/modules/{VERSION}/vmlinuz': boot_files.bzimage(
                version=VERSION),
            'efi/efi/linux/a.efi': systems.unified(
                'root=x', VERSION, initramfs=boot_files.archive({
                    'usr/lib/modules/x/ahci.ko': bytes(70_000)}))})
        found, = installed_kernels.read(
            files, (), unified_kernels.read(files, ['efi']))
        self.assertEqual(
            ('efi/efi/linux/a.efi', VERSION, 'x86_64', {'ahci', 'ext4'}),
            (found.path, found.version, found.arch, found.drivers))
        self.assertEqual((frozenset({'nvme'}),), installed_kernels.lacking(
            files, found, [frozenset({'ahci'}), frozenset({'nvme'})]))

    def test_the_same_kernel_by_itself(self) -> None:
        files = system_disks.files(self.directory, {
            **systems.kernel(VERSION),
            'efi/efi/linux/a.efi': systems.unified('root=x', VERSION),
            'efi/efi/linux/b.efi': systems.unified('root=x', '6.2.0')})
        self.assertEqual(
            ['efi/efi/linux/b.efi', f'boot/vmlinuz-{VERSION}'],
            [kernel.path for kernel in installed_kernels.read(
                files, (), unified_kernels.read(files, ['efi']))])

    def test_what_is_not_told(self) -> None:
        found, = self.read({'boot/vmlinuz-1': b'x'})
        self.assertEqual(
            (None, '', '', None, '1'),
            (found.arch, found.initramfs, found.modules, found.drivers,
             found.version))
        found, = self.read({
            'boot/vmlinuz-1': b'x', 'lib/modules/1/modules.dep': b''})
        self.assertEqual(('lib/modules/1', None),
                         (found.modules, found.drivers))
        self.assertEqual((), self.read({'etc/x': b''}))
