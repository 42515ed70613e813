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

import gzip
import lzma
import re

from ironic_imagedeploy.engine.contents import kernels
from ironic_imagedeploy.engine.contents import signatures
from tests.unit.cmd import program
from tests.unit.engine import systems
from tests.unit.engine import volumes

MIB = program.MIB
#: Moves a cursor, names a window, turns the direction of the text around.
TEXT = '\x1b[2J\x1b]0;x\x07\x9b31m\u202e\u2028'
HOSTILE = TEXT.encode() + b'\xff\xfe\0'
CONTROLS = re.compile('[\0-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e]')
ENTRY = b'menuentry "a" {\n'
DEEP = b'[' * 100_000
MENUS = {
    'submenus': b'submenu "a" {\n' * 255 + b'}\n' * 255,
    'too many submenus': b'submenu "a" {\n' * 300,
    'braces': b'}\n' * 8000,
    'a long line': b'linux ' + b'a' * (250 << 10),
    'a long default': b'set default="' + b'0>' * 7000 + b'"\n' + ENTRY + b'}',
    'a variable in itself': b'set a=$a$a\n' + (
        ENTRY + b'linux $a root=$a\n}\n') * 100,
    'UTF-16': 'menuentry "a" {\nlinux /x root=y\n}\n'.encode('utf-16'),
    'other menus': b'source /boot/grub/grub.cfg\n' * 8000}
CONFIGURATION = {
    'anchors': b'a: &a [x,x,x]\n' + b''.join(
        b'b%d: &b%d [*a,*b%d,*b%d]\n' % (number, number, number - 1,
                                         number - 1)
        for number in range(1, 2000)) + b'datasource_list: *b1999\n',
    'deep': b'datasource_list: ' + DEEP, 'no end': b'{' + b',   ' * 60_000,
    'lists': b'datasource_list: [\n' * 8000,
    'items': b'datasource_list:\n' + b'- A\n' * 8000}
#: Each begins as an archive does, with one file or none.
FIELDS = b'00000001' * 6
END = b'070701' + b'0' * 88 + b'0000000b' + b'0' * 8 + b'TRAILER!!!\0\0\0\0'
RAMDISKS = {
    'end': END, 'half of the end': END[:50], 'garbage': END + b'\xde\xad' * 50,
    'no end': b'070701' + FIELDS + b'ffffffff' + b'0' * 32 + b'00000002'
              + b'0' * 8 + b'a\0',
    'no name': b'070701' + FIELDS + b'0' * 56,
    'a sign': b'070701' + FIELDS + b'0' * 40 + b'-0000002' + b'0' * 8 + b'a\0',
    'gzip in gzip': gzip.compress(gzip.compress(END)),
    'half of a gzip': gzip.compress(END)[:-6],
    'half of an xz': lzma.compress(END * 100)[:-20],
    'many parts': gzip.compress(END) * 1500,
    'lz4': b'\x02\x21\x4c\x18\xff\xff\xff\xff' + HOSTILE,
    'zstd': b'\x28\xb5\x2f\xfd' + b'\xff' * 99}


class HostileSystemTest(program.CommandTestCase):
    """Whatever is in an image: an answer, in words that can be printed."""

    def check(self, *options: str) -> None:
        for form in ((), ('--json',)):
            status = self.run_main('check', self.image, *options, *form)
            self.assertIn(status, (0, 4), self.err)
            shown = self.out + self.err
            self.assertNotRegex(shown, CONTROLS)
            self.assertLess(len(shown), 100_000)

    def check_system(self, tree: volumes.Tree) -> None:
        self.image.unlink()
        volumes.ext4(self.image, {
            'etc/os-release': b'ID=debian\nVERSION_ID=12\n',
            'usr/bin/cloud-init': b'x', 'usr/bin/growpart': b'x',
            **systems.kernel('6.1.0-1'), **tree}, size=32 << 20)
        self.check()

    def test_text_for_a_terminal(self) -> None:
        self.check_system({
            'etc/os-release': b'ID="%b"\nPRETTY_NAME="%b"\nVERSION_ID=%b\n' % (
                HOSTILE, HOSTILE, HOSTILE),
            'etc/fstab': b'LABEL=\\033[2J / ext4 subvol=\\033 0 1\n'
                         b'/dev/sda1 /\\000\\777 ext4\\033 x 0 0\n',
            'boot/grub/grub.cfg': ENTRY + b'search --fs-uuid %b\nlinux '
            b'/boot/vmlinuz root=/dev/sda%b console=%b\n}\n' % (
                (HOSTILE,) * 3),
            f'boot/loader/entries/{TEXT}.conf':
                b'linux /%b\nversion %b\noptions root=%b\n' % (
                    (HOSTILE,) * 3),
            'etc/ssh/ssh_host_\xe4_key': b'x', f'boot/vmlinuz-9{TEXT}': b'x',
            f'home/{TEXT}/.bash_history': b'x', f'lib/modules/{TEXT}/x': b'x',
            f'etc/init.d/growroot-{TEXT}': b'x',
            f'etc/netplan/{TEXT}.yaml':
                b'match:\n  macaddress: "00:11:22:33:44:55"\n',
            f'var/lib/dhcp/{TEXT}.leases': b'x',
            f'etc/cloud/cloud.cfg.d/{TEXT}.cfg':
                b'datasource_list: [ %b, A ]\n' % HOSTILE})

    def test_menus(self) -> None:
        for name, menu in MENUS.items():
            with self.subTest(name):
                self.check_system({
                    'boot/grub/grub.cfg': menu,
                    'boot/grub/grubenv': b'saved_entry=' + b'x>' * 2000})
        self.check_system({
            f'boot/loader/entries/{number:04}.conf':
                b'linux /boot/vmlinuz-6.1.0-1\noptions root=UUID=%d\n' % number
            for number in range(800)})

    def test_configuration(self) -> None:
        for name, content in CONFIGURATION.items():
            with self.subTest(name):
                self.check_system({
                    'etc/cloud/cloud.cfg': content,
                    **{f'etc/cloud/cloud.cfg.d/{number}.cfg': content
                       for number in range(20)}})

    def test_links(self) -> None:
        """In circles, out of the image, to what never ends."""
        self.check_system({
            'etc/os-release': '../etc/os-release', 'etc/ssh': '/proc/self',
            'usr/lib/os-release': '/etc/os-release', 'etc/cloud': 'cloud',
            'etc/shadow': '../../../../../../etc/shadow', 'etc/netplan': '.',
            'etc/machine-id': '/dev/zero', 'etc/fstab': '//../boot',
            'boot/loader/entries/a.conf': '../../../../etc/passwd'})

    def test_initramfs(self) -> None:
        for name, content in RAMDISKS.items():
            with self.subTest(name):
                self.image.write_bytes(content)
                self.check('--image-type', 'ramdisk')

    def test_compressions(self) -> None:
        """All that are told by name are documented."""
        for name, magic in (*signatures.COMPRESSIONS.items(),
                            *kernels.INITRAMFS_COMPRESSIONS.items()):
            with self.subTest(name):
                self.image.write_bytes(magic + bytes(MIB))
                self.check()
                self.check('--image-type', 'ramdisk')
