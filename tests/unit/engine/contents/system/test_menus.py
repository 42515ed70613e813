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

from ironic_imagedeploy.engine.contents.system import menus
from tests.unit.engine import base
from tests.unit.engine import system_disks
from tests.unit.engine import systems
from tests.unit.engine import volumes


class MenusTest(base.EngineTestCase):

    def read(self, tree: volumes.Tree) -> list[tuple[str, ...]]:
        return [line.options for line in menus.read(
            system_disks.files(self.directory, tree))]

    def test_grub(self) -> None:
        self.assertEqual([('root=UUID=x', 'ro', 'quiet')], self.read(
            systems.grub('root=UUID=x ro quiet')))
        self.assertEqual(
            [('root=/dev/sda1', 'ro'), ('root=/dev/sda2',)], self.read({
                'boot/grub2/grub.cfg':
                    b'set default=0\nset rootdev=/dev/sda1\n'
                    b'  linuxefi (hd0)/vmlinuz root=$rootdev ro $extra\n'
                    b'  linux16 /vmlinuz root="/dev/sda2"\n'
                    b'  # linux /vmlinuz root=/dev/sda3\n'}))

    def test_entries(self) -> None:
        self.assertEqual([('root=UUID=x', 'quiet')], self.read({
            'boot/loader/entries/a.conf': systems.entry('root=UUID=x quiet'),
            'boot/loader/entries/readme': b'options no',
            'boot/grub2/grub.cfg': b'blscfg\n'}))

    def test_options_in_the_environment_of_grub(self) -> None:
        self.assertEqual([('root=UUID=x', 'ro', 'more')], self.read({
            'boot/loader/entries/a.conf': systems.entry('$kernelopts more'),
            'boot/grub2/grubenv': b'# GRUB Environment Block\n'
                                  b'kernelopts=root=UUID=x ro \n###'}))

    def test_extlinux(self) -> None:
        self.assertEqual([('root=UUID=x', 'modules=ext4')], self.read({
            'boot/extlinux.conf': b'LABEL virt\n LINUX vmlinuz\n'
                                  b' APPEND root=UUID=x modules=ext4\n'}))

    def test_what_menus_are_made_with(self) -> None:
        tree: volumes.Tree = {'etc/default/grub': (
            b'GRUB_CMDLINE_LINUX="console=ttyS0"\n'
            b"GRUB_CMDLINE_LINUX_DEFAULT='quiet splash'\n")}
        self.assertEqual([('console=ttyS0', 'quiet', 'splash')],
                         self.read(tree))
        self.assertEqual([('root=LABEL=x',)], self.read({
            **tree, **systems.grub('root=LABEL=x')}))
        self.assertEqual([], self.read({'etc/x': b''}))

    def test_values(self) -> None:
        line = menus.CommandLine(path='x', options=(
            'console=tty0', 'consoleblank=0', 'console=ttyS0,115200', 'ro'))
        self.assertEqual(('tty0', 'ttyS0,115200'), line.values('console'))
        self.assertEqual((), line.values('root'))

    def test_variables_that_grow(self) -> None:
        line = b'linux /x ' + b'$a' * 60_000 + b'\n'
        found = self.read({'boot/grub/grub.cfg':
                           b'set a=' + b'x' * 60_000 + b'\n' + line * 2})
        self.assertLessEqual(len(''.join(found[0])), 2048)

    def test_any_bytes(self) -> None:
        dice = random.Random(2)
        good = systems.grub('root=UUID=x ro "a b"')['boot/grub/grub.cfg']
        for _ in range(40):
            text = bytearray(good * 3)
            for _ in range(dice.choice((1, 30))):
                text[dice.randrange(len(text))] = dice.choice(
                    b'"\'$\\\n\0\xff{}')
            self.read({'boot/grub/grub.cfg': bytes(text),
                       'boot/grub/grubenv': dice.randbytes(1024),
                       'boot/loader/entries/a.conf': bytes(text)})
