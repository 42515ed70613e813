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

from collections.abc import Mapping
from typing import cast

from ironic_imagedeploy.engine import budget
from ironic_imagedeploy.engine.contents.system import default_entry
from ironic_imagedeploy.engine.contents.system import root as _root
from ironic_imagedeploy.engine.contents.system import volumes as _volumes
from ironic_imagedeploy.engine import exceptions
from tests.unit.engine import base
from tests.unit.engine import system_disks
from tests.unit.engine import systems
from tests.unit.engine import volumes

KERNEL: volumes.Tree = {'boot/vmlinuz': b'MZ', 'boot/initrd.img': b'x'}
FEDORA = b'load_env\nset default="${saved_entry}"\nblscfg\n'
DESCRIBED: volumes.Tree = {
    'boot/vmlinuz-6': b'MZ', 'boot/initramfs-6.img': b'x',
    'boot/grub2/grub.cfg': FEDORA}


class FindTest(base.EngineTestCase):

    def find(self, tree: volumes.Tree, *points: str
             ) -> default_entry.DefaultEntry:
        volume = _volumes.Volume(length=0)
        return default_entry.find(_root.Root(
            volume=volume, files=_root.MountedFiles(
                system_disks.files(self.directory, tree), '', {},
                budget.Budget()),
            points=cast(Mapping[str, _volumes.Volume],
                        dict.fromkeys(points, volume))))

    def assert_unclear(self, tree: volumes.Tree, reason: str) -> None:
        with self.assertRaises(exceptions.UnreadableContent) as caught:
            self.find(tree)
        self.assertIn(reason, str(caught.exception))

    def menu(self, text: str) -> volumes.Tree:
        return {**KERNEL, 'boot/grub/grub.cfg': text.encode()}

    def test_grub(self) -> None:
        self.assertEqual(default_entry.DefaultEntry(
            menu='boot/grub/grub.cfg', kernel='boot/vmlinuz',
            initramfs=('boot/initrd.img',),
            command_line='root=UUID=x ro quiet'),
            self.find({**KERNEL, **systems.grub('root=UUID=x ro quiet')}))

    def test_boot_on_a_volume_of_its_own(self) -> None:
        tree = {**self.menu('menuentry a {\nlinux /vmlinuz root=x\n}\n'),
                'vmlinuz': b'MZ of the root'}
        self.assertEqual('vmlinuz', self.find(tree).kernel)
        self.assertEqual('boot/vmlinuz', self.find(tree, 'boot').kernel)

    def test_variables(self) -> None:
        found = self.find(self.menu(
            'set rootdev=/dev/vda1\nmenuentry a {\n'
            "linux /vmlinuz root=$rootdev $vt_handoff 'dyndbg=a b'\n}\n"))
        self.assertEqual('root=/dev/vda1 "dyndbg=a b"', found.command_line)
        self.assertEqual((), found.initramfs)

    def test_a_kernel_that_only_the_loader_knows(self) -> None:
        for words in ('$kernel', '$kernel /boot/vmlinuz root=x', '"" root=x'):
            self.assert_unclear(self.menu(
                f'menuentry a {{\nlinux {words}\n}}\n'), "names ''")

    def test_entry_by_its_file(self) -> None:
        found = self.find({
            **DESCRIBED, 'boot/loader/entries/a-6.conf':
                systems.entry('$kernelopts quiet $tuned_params'),
            'boot/loader/entries/a-0-rescue.conf':
                systems.entry('root=UUID=y'),
            'boot/grub2/grubenv': b'kernelopts=root=UUID=x ro\n'})
        self.assertEqual(default_entry.DefaultEntry(
            menu='boot/loader/entries/a-6.conf', kernel='boot/vmlinuz-6',
            initramfs=('boot/initramfs-6.img',),
            command_line='root=UUID=x ro quiet'), found)

    def test_saved_entry_by_its_file(self) -> None:
        tree = {**DESCRIBED, **{
            f'boot/loader/entries/{name}.conf': systems.entry(
                f'root=UUID={name}') for name in 'ab'}}
        self.assert_unclear(tree, '2 entries')
        found = self.find({**tree,
                           'boot/grub2/grubenv': b'saved_entry=b\n'})
        self.assertEqual('root=UUID=b', found.command_line)

    def test_entry_on_an_efi_system_partition(self) -> None:
        found = self.find({
            'efi/a/linux': b'MZ', 'efi/loader/loader.conf': b'default a*\n',
            'efi/loader/entries/b.conf': b'linux /b\noptions root=x\n',
            'efi/loader/entries/a-1.conf':
                b'linux /a/linux\noptions root=x\n'})
        self.assertEqual('efi/a/linux', found.kernel)

    def test_nothing_is_guessed(self) -> None:
        for text, reason in (
                ('menuentry a {\nlinux /vmlinuz ro\n}\n', 'no root'),
                ('menuentry a {\nlinux /vmlinuz root=$x/y\n}\n', 'expands'),
                ('menuentry a {\nlinux /other root=x\n}\n', 'not there'),
                ('menuentry a {\nlinux (hd0)/vmlinuz root=x\n}\n',
                 'not there'),
                ('menuentry a {\nlinux /../vmlinuz root=x\n}\n',
                 'not there'),
                ('menuentry a {\nlinux /vmlinuz root=x\ninitrd /y\n}\n',
                 'not there'),
                ('menuentry a {\nlinux /vmlinuz root=x\x07\n}\n',
                 'not printable'),
                (f'menuentry a {{\nlinux /vmlinuz root={"x" * 2100}\n}}\n',
                 'too long'),
                (f'set a={"x" * 2000}\nmenuentry a {{\n'
                 f'linux /vmlinuz root={"$a" * 900}\n}}\n', 'too long'),
                (f'set a={"x" * 2000}\nmenuentry a {{\n'
                 f'linux /vmlinuz root=x {"$a " * 60000}\n}}\n',
                 'too long'),
                ('configfile /other\n', 'without its default entry')):
            with self.subTest(text[:60]):
                self.assert_unclear(self.menu(text), reason)

    def test_entry_for_one_start(self) -> None:
        self.assert_unclear({
            **self.menu('load_env\nmenuentry a {\nlinux /vmlinuz root=x\n}'),
            'boot/grub/grubenv': b'next_entry=a\n'}, 'one start only')

    def test_no_menu(self) -> None:
        self.assert_unclear(KERNEL, 'no menu')
