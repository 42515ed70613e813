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

import os

from ironic_imagedeploy.agent.boot import image_tree
from ironic_imagedeploy.agent.boot import kernel_options
from tests.unit.agent import trees


class OfImageTest(trees.TreeTestCase):

    def options(self, text):
        self.put('etc/default/grub', text)
        return kernel_options.of_image(self.tree)

    def test_nothing(self):
        self.assertEqual((), kernel_options.of_image(self.tree))

    def test_both_variables(self):
        self.assertEqual(
            ('console=ttyS0,115200n8', 'net.ifnames=0', 'quiet', 'splash'),
            self.options('GRUB_TIMEOUT=0\n'
                         '# GRUB_CMDLINE_LINUX="commented"\n'
                         'GRUB_CMDLINE_LINUX_DEFAULT="quiet splash"\n'
                         'GRUB_CMDLINE_LINUX=\'console=ttyS0,115200n8 '
                         'net.ifnames=0\'\n'))

    def test_later_files_win(self):
        self.put('etc/default/grub.d/50-cloud.cfg',
                 'GRUB_CMDLINE_LINUX_DEFAULT="console=tty1"\n')
        self.put('etc/default/grub.d/README', 'GRUB_CMDLINE_LINUX=no')
        self.assertEqual(('a', 'console=tty1'), self.options(
            'GRUB_CMDLINE_LINUX=a\nGRUB_CMDLINE_LINUX_DEFAULT="quiet"'))

    def test_what_is_appended(self):
        self.put('etc/default/grub.d/a.cfg', 'GRUB_CMDLINE_LINUX+=" b=1"')
        self.assertEqual(('a', 'b=1', 'quiet'), self.options(
            'GRUB_CMDLINE_LINUX=a\nGRUB_CMDLINE_LINUX_DEFAULT+=quiet'))

    def test_what_has_the_value_before_in_it(self):
        self.put('etc/default/grub.d/kdump-tools.cfg',
                 'GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT '
                 'crashkernel=192M"\n')
        self.assertEqual(('b', 'a', 'quiet', 'crashkernel=192M'),
                         self.options(
            'GRUB_CMDLINE_LINUX=a\nGRUB_CMDLINE_LINUX_DEFAULT=quiet\n'
            'GRUB_CMDLINE_LINUX="b ${GRUB_CMDLINE_LINUX}"'))

    def test_what_doubles_at_each_line(self):
        line = 'GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX$GRUB_CMDLINE_LINUX"\n'
        self.assertEqual((), self.options(
            'GRUB_CMDLINE_LINUX=aaaaaaaa\n' + 100 * line))
        self.assertIn('a value of more than 4096', self.log.output)

    def test_nothing_is_evaluated(self):
        for text, reason in (
                ('GRUB_CMDLINE_LINUX="$(touch /pwned)"', 'to be expanded'),
                ('GRUB_CMDLINE_LINUX="`touch /pwned`"', 'backquote'),
                ('GRUB_CMDLINE_LINUX="a\nreboot"', 'not closed'),
                ('GRUB_CMDLINE_LINUX=a; reboot', 'operator ;'),
                ('GRUB_CMDLINE_LINUX="$GRUB_CMDLINE b"', 'expanded')):
            self.assertEqual(('quiet',), self.options(
                f'{text}\nGRUB_CMDLINE_LINUX_DEFAULT=quiet'), text)
            self.assertIn(reason, self.log.output)
            self.assertIn('Line 1 of /etc/default/grub', self.log.output)

    def test_unsafe_characters(self):
        self.assertEqual(('a', 'z'), self.options(
            "GRUB_CMDLINE_LINUX=\"a b=\\$(x) c='d e=\\`x\\` f=\\\\ "
            "g=\x1b[2J h=\N{LATIN SMALL LETTER U WITH DIAERESIS} z\""))
        for word in ("'b=$(x)'", r"'g=\x1b[2J'", r"'h=\xfc'"):
            self.assertIn(f'The kernel option {word}', self.log.output)

    def test_what_we_say_ourselves(self):
        self.assertEqual(('rw', 'rootflags=subvol=@'), self.options(
            'GRUB_CMDLINE_LINUX="root=/dev/sda1 ro rw rootflags=subvol=@ '
            'BOOT_IMAGE=/x initrd=/y"'))

    def test_quoted_values(self):
        self.assertEqual(('dyndbg=file a.c +p', 'quiet'), self.options(
            r'GRUB_CMDLINE_LINUX="dyndbg=\"file a.c +p\" quiet"'))

    def test_too_long(self):
        self.assertEqual((), self.options(
            f'GRUB_CMDLINE_LINUX="{"a " * 1100}"'))
        self.assertIn('more than 2048 bytes', self.log.output)
        self.assertEqual(('x' * 2048,), kernel_options.safe('x' * 2048, '/y'))
        self.assertEqual((), kernel_options.safe('x' * 2049, '/y'))
        self.assertIn('/y of the image has more', self.log.output)

    def test_a_flood(self):
        self.assertEqual((), self.options(
            f'GRUB_CMDLINE_LINUX={"a" * 4097}'))
        self.assertIn('more than 4096 characters', self.log.output)
        with self.assertRaisesRegex(image_tree.UnsafePath, '65536 bytes'):
            self.options('\n' * (1 << 17))
        for number in range(65):
            self.put(f'etc/default/grub.d/{number}.cfg')
        with self.assertRaisesRegex(image_tree.UnsafePath, '64 entries'):
            self.options('')

    def test_kernel_cmdline(self):
        self.put('etc/kernel/cmdline', 'root=UUID=x ro console=ttyS0\n')
        self.assertEqual(('console=ttyS0',),
                         kernel_options.of_image(self.tree))

    def test_comments_of_kernel_cmdline(self):
        self.put('etc/kernel/cmdline',
                 '# console of the rack; single or rescue when it is lost\n'
                 'console=ttyS0,115200n8 quiet\n#debug\n  # emergency\n'
                 'a#b\n')
        self.assertEqual(('console=ttyS0,115200n8', 'quiet', 'a#b'),
                         kernel_options.of_image(self.tree))

    def test_kernel_cmdline_of_the_vendor(self):
        self.put('usr/lib/kernel/cmdline', '# vendor\nvendor\n')
        self.assertEqual(('vendor',), kernel_options.of_image(self.tree))
        self.put('etc/kernel/cmdline', '# nothing\n')
        self.assertEqual((), kernel_options.of_image(self.tree))

    def test_absolute_link_to_the_command_line_of_the_vendor(self):
        self.put('usr/lib/kernel/cmdline', 'vendor')
        self.link('etc/kernel/cmdline', '/usr/lib/kernel/cmdline')
        self.assertEqual(('vendor',), kernel_options.of_image(self.tree))
        self.put('usr/lib/kernel/cmdline', '\n' * (1 << 17))
        with self.assertRaisesRegex(image_tree.UnsafePath, '65536 bytes'):
            kernel_options.of_image(self.tree)

    def test_kernel_cmdline_that_is_not_a_file(self):
        self.put('usr/lib/kernel/cmdline', 'vendor')
        self.link('etc/kernel/cmdline', '/dev/null')
        self.assertEqual(('vendor',), kernel_options.of_image(self.tree))
        (self.top / 'dev').mkdir()
        os.mkfifo(self.top / 'dev/null')
        self.assertEqual(('vendor',), kernel_options.of_image(self.tree))
        self.assertIn('/etc/kernel/cmdline of the image: expected a file, '
                      'found a named pipe: it is not used', self.log.output)

    def test_kernel_cmdline_that_is_a_directory(self):
        (self.top / 'etc/kernel/cmdline').mkdir(parents=True)
        self.assertEqual((), kernel_options.of_image(self.tree))
        self.assertIn('found a directory', self.log.output)

    def test_absolute_link_to_the_defaults_of_the_vendor(self):
        self.put('usr/etc/grub', 'GRUB_CMDLINE_LINUX=a')
        self.link('etc/default/grub', '/usr/etc/grub')
        self.assertEqual(('a',), kernel_options.of_image(self.tree))

    def test_absolute_link_to_more_defaults(self):
        self.put('usr/etc/grub.d/a.cfg', 'GRUB_CMDLINE_LINUX=a')
        self.link('etc/default/grub.d', '/usr/etc/grub.d')
        self.assertEqual(('a',), kernel_options.of_image(self.tree))

    def test_more_defaults_that_are_a_file(self):
        self.put('etc/default/grub.d')
        self.assertEqual(('a',), self.options('GRUB_CMDLINE_LINUX=a'))

    def test_links_to_the_outside(self):
        self.secret.write_text('GRUB_CMDLINE_LINUX=secret')
        outside = f'../../../{self.secret.name}'
        for target in (str(self.secret), outside, 'grub'):
            for path in ('etc/default/grub', 'etc/kernel/cmdline',
                         'etc/default/grub.d/a.cfg'):
                (self.top / path).unlink(missing_ok=True)
                self.link(path, target)
            self.assertEqual((), kernel_options.of_image(self.tree), target)
