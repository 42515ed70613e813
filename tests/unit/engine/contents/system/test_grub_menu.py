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

import time
import unittest

from ironic_imagedeploy.engine.contents.system import grub_menu
from ironic_imagedeploy.engine import exceptions

#: As grub-mkconfig of Debian 12 writes it, with fewer words.
DEBIAN = """
if [ -s $prefix/grubenv ]; then
  set have_grubenv=true
  load_env
fi
if [ "${next_entry}" ] ; then
   set default="${next_entry}"
   set next_entry=
   save_env next_entry
   set boot_once=true
else
   set default="0"
fi
if [ x"${feature_menuentry_id}" = xy ]; then
  menuentry_id_option="--id"
else
  menuentry_id_option=""
fi
export menuentry_id_option
function savedefault {
  if [ -z "${boot_once}" ]; then
    saved_entry="${chosen}"
    save_env saved_entry
  fi
}
menuentry 'Debian' --class debian $menuentry_id_option 'gnulinux-simple-x' {
\tload_video
\tif [ x$grub_platform = xxen ]; then insmod xzio; insmod lzopio; fi
\techo\t'Loading Linux 6.1.0-9 ...'
\tlinux\t/boot/vmlinuz-6.1.0-9 root=UUID=x ro  quiet 'a b'
\tinitrd\t/boot/early.img /boot/initrd.img-6.1.0-9
}
submenu 'Advanced options' $menuentry_id_option 'gnulinux-advanced-x' {
\tmenuentry 'Debian, 6.1.0-9' $menuentry_id_option 'gnulinux-9-x' {
\t\tlinux\t/boot/vmlinuz-6.1.0-9 root=UUID=x ro
\t}
\tmenuentry 'Debian, 6.1.0-8' $menuentry_id_option 'gnulinux-8-x' {
\t\tlinux\t($root)/boot/vmlinuz-6.1.0-8 root=UUID=x ro
\t\tinitrd\t($root)/boot/initrd.img-6.1.0-8
\t}
}
menuentry 'UEFI Firmware Settings' $menuentry_id_option 'uefi-firmware' {
\tfwsetup
}
"""


class MenuTest(unittest.TestCase):

    def default(self, text: str, **environment: str) -> str:
        return grub_menu.parse(text).default(environment)

    def test_default_of_debian(self) -> None:
        menu = grub_menu.parse(DEBIAN)
        self.assertTrue(menu.loads_environment)
        self.assertFalse(menu.has_described)
        entry = menu.entry(menu.default({'saved_entry': '1>1'}))
        self.assertEqual(
            ('/boot/vmlinuz-6.1.0-9', 'root=UUID=x', 'ro', 'quiet', 'a b'),
            entry.kernel)
        self.assertEqual(('/boot/early.img', '/boot/initrd.img-6.1.0-9'),
                         entry.initramfs)

    def test_entry_by_number_name_and_identifier(self) -> None:
        menu = grub_menu.parse(DEBIAN)
        for default in ('1>1', 'Advanced options>Debian, 6.1.0-8',
                        'gnulinux-advanced-x>gnulinux-8-x'):
            with self.subTest(default):
                entry = menu.entry(default)
                self.assertEqual('/boot/vmlinuz-6.1.0-8', entry.kernel[0])
                self.assertEqual(('/boot/initrd.img-6.1.0-8',),
                                 entry.initramfs)

    def test_entries_that_start_no_kernel(self) -> None:
        menu = grub_menu.parse(DEBIAN)
        for default in ('1', '2', '3', 'Debian, 6.1.0-8', '', '0>0', '-1'):
            with (self.subTest(default),
                  self.assertRaises(exceptions.UnreadableContent)):
                menu.entry(default)

    def test_saved_default(self) -> None:
        text = 'load_env\nset default="${saved_entry}"\n'
        self.assertEqual('a', self.default(text, saved_entry='a'))
        self.assertEqual('0', self.default(text))
        self.assertEqual('0', self.default('', saved_entry='a'))

    def test_default_that_depends_on_the_machine(self) -> None:
        for text in ('if x\nset default=0\nelse\nset default=1\nfi\n',
                     'set default=$other\n'):
            with (self.subTest(text),
                  self.assertRaises(exceptions.UnreadableContent)):
                self.default(text)

    def test_entry_of_two_kernels(self) -> None:
        menu = grub_menu.parse('menuentry a {\nif x\nlinux /a\nelse\n'
                               'linux /b\nfi\n}\n')
        with self.assertRaises(exceptions.UnreadableContent):
            menu.entry('0')

    def test_scripts_that_are_no_menus(self) -> None:
        for text in ('}\n', 'menuentry a {\n', 'menuentry a {\n}\n' * 300):
            with (self.subTest(text[:20]),
                  self.assertRaises(exceptions.UnreadableContent)):
                grub_menu.parse(text)

    def test_a_line_without_an_end(self) -> None:
        began = time.process_time()
        for words in ('$' * 200_000, 'menuentry "' + 'x' * 200_000):
            with self.assertRaisesRegex(exceptions.UnreadableContent,
                                        'too long, 2000.. characters'):
                grub_menu.parse(words)
        self.assertLess(time.process_time() - began, 0.2)

    def test_described_entries(self) -> None:
        self.assertTrue(grub_menu.parse('insmod blscfg\nblscfg\n')
                        .has_described)
