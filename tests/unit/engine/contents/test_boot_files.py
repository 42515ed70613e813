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

from ironic_imagedeploy.engine.contents import boot_files
from ironic_imagedeploy.engine.contents import filesystems
from tests.unit.engine import base
from tests.unit.engine import volumes


class BootFilesTest(base.EngineTestCase):

    def found(self, tree: volumes.Tree) -> tuple[bool, bool]:
        """Whether there are grub2 and a kernel."""
        content = volumes.ext4(self.directory / 'root', tree,
                               size=base.MIB).read_bytes()
        found = boot_files.boot_files(filesystems.open_file_system(
            'ext4', lambda offset, length: content[offset:offset + length],
            len(content)))
        return found.grub, found.kernel

    def test_grub(self) -> None:
        for tree in (
                {'usr/sbin/grub-install': b''},
                {'usr/sbin/grub2-install': b''},
                {'usr/bin/grub2-install': b'', 'usr/sbin': 'bin'},
                {'sbin/grub-install': b''},
                {'usr/lib/grub/i386-pc/kernel.img': b''},
                {'boot/grub/grub.cfg': b''}, {'boot/grub2/grubenv': b''}):
            with self.subTest(tree=tree):
                self.assertEqual((True, False), self.found(tree))

    def test_kernels(self) -> None:
        for tree in (
                {'boot/vmlinuz-6.1.0-1-amd64': b''}, {'boot/vmlinuz': b''},
                {'boot/kernel-6.6-gentoo': b''}, {'boot/Image-5.3': b''},
                {'usr/vmlinuz-1': b'', 'boot/vmlinuz': '/usr/vmlinuz-1'},
                {'boot/loader/entries/a.conf': b'linux /vmlinuz-6.8\n',
                 'boot/vmlinuz-6.8': '/usr/lib/linux', 'usr/lib/linux': b''},
                {'boot/loader/entries/a.conf': b'linux /boot/m/linux\n',
                 'boot/m/linux': b''},
                {'boot/loader/entries/a.conf': b'linux /m/linux\n'
                 b'initrd /m/initrd $tuned_initrd\n',
                 'boot/m/linux': b'', 'boot/m/initrd': b''}):
            with self.subTest(tree=tree):
                self.assertEqual((False, True), self.found(tree))

    def test_what_is_neither(self) -> None:
        for tree in (
                {}, {'boot/grub': None, 'usr/lib/grub': None},
                {'boot/loader/entries/readme': b'linux /x\n', 'x': b''},
                {'boot/loader/entries/a.conf': b''},
                {'boot/loader/entries/a.conf': b'linux /gone\n'},
                {'boot/loader/entries/a.conf': b'linux /x\ninitrd /y\n',
                 'boot/x': b''},
                {"boot/vmlinuz-6.1'; reboot; '": b'', 'boot/vmlinuz': None},
                {'vmlinuz': 'boot/vmlinuz-gone'},
                {'boot/vmlinuz': 'vmlinuz-gone'},
                {'boot/initrd.img-6.1': b'', 'boot/config-6.1': b''},
                {'boot/vmlinux-6.4.0-default.xz': b''},
                {'usr/lib/modules/6.8.0/vmlinuz': b''},
                {'vmlinuz-6.1': b'', 'Images': None, 'boot/bzImage': b''},
                {'usr/lib/grub': b'a file'}):
            with self.subTest(tree=tree):
                self.assertEqual((False, False), self.found(tree))
