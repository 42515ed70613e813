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

import dataclasses

from ironic_python_agent import errors

from ironic_imagedeploy.agent.boot import image_tree
from ironic_imagedeploy.agent.boot import menu
from tests.support import boot_files
from tests.unit.agent import trees

UUID = 'e5354339-96af-4ba7-92c7-3cb3985f6ecd'
PARTITION = '601a114d-01'


class FindEntriesTest(trees.TreeTestCase):

    def entries(self):
        return menu.find_entries(self.tree)

    def kernels(self):
        return [entry.kernel for entry in self.entries()]

    def test_newest_first(self):
        versions = ('6.1.0-9-amd64', '6.1.0-10-amd64', '6.1.0-rc3-amd64',
                    '5.10.0-30-amd64', '6.12.3+deb13-amd64')
        for version in versions:
            self.put(f'boot/vmlinuz-{version}')
        self.put('boot/vmlinuz-0-rescue-0123456789abcdef')
        self.assertEqual(
            [f'/boot/vmlinuz-{version}' for version in (
                '6.12.3+deb13-amd64', '6.1.0-10-amd64', '6.1.0-9-amd64',
                '6.1.0-rc3-amd64', '5.10.0-30-amd64',
                '0-rescue-0123456789abcdef')], self.kernels())

    def test_initramfs_of_each_distribution(self):
        for kernel, initramfs in (
                ('vmlinuz-6.1', 'initrd.img-6.1'),
                ('vmlinuz-6.2', 'initramfs-6.2.img'),
                ('Image-6.3', 'initrd-6.3'),
                ('vmlinuz-6.5-lts', 'initramfs-6.5-lts'),
                ('kernel-6.6', 'initrd-6.6.img'),
                ('vmlinuz-6.7', 'initrd-6.7.gz')):
            self.put(f'boot/{kernel}')
            self.put(f'boot/{initramfs}')
        self.put('boot/vmlinuz-6.8')
        self.put('boot/initrd.img-6.8.old')
        self.assertEqual(
            [('/boot/initrd-6.7.gz',), ('/boot/initrd-6.6.img',),
             ('/boot/initramfs-6.5-lts',), ('/boot/initrd-6.3',),
             ('/boot/initramfs-6.2.img',), ('/boot/initrd.img-6.1',), ()],
            [entry.initramfs for entry in self.entries()])

    def test_what_does_not_boot_comes_last(self):
        """Kernels that were replaced, half installed, or for a debugger."""
        for kernel in ('vmlinuz-6.4.0-default', 'vmlinux-6.4.0-default.xz',
                       'vmlinuz-6.4.0-default.old',
                       'vmlinuz-6.12.0.dpkg-new'):
            self.put(f'boot/{kernel}')
        self.assertEqual(
            ['/boot/vmlinuz-6.12.0.dpkg-new', '/boot/vmlinuz-6.4.0-default',
             '/boot/vmlinuz-6.4.0-default.old'], self.kernels())
        self.put('boot/initrd-6.4.0-default')
        self.assertEqual('/boot/vmlinuz-6.4.0-default', self.kernels()[0])

    def test_kernel_without_a_version(self):
        self.put('boot/vmlinuz')
        self.put('boot/initrd')
        entry, = self.entries()
        self.assertEqual(('/boot/vmlinuz', ('/boot/initrd',)),
                         (entry.kernel, entry.initramfs))
        self.put('boot/vmlinuz-6.1')
        self.assertEqual(['/boot/vmlinuz-6.1'], self.kernels())

    def test_entries_of_the_boot_loader_specification(self):
        self.put('boot/vmlinuz-6.6.9')
        self.put('boot/initramfs-6.6.9.img')
        self.put('boot/loader/entries/abc-6.6.9.conf',
                 'title Fedora Linux\nversion 6.6.9\n# a comment\n'
                 'linux /vmlinuz-6.6.9\ninitrd /initramfs-6.6.9.img '
                 '\noptions root=UUID=old ro rhgb $tuned_params\n')
        entry, = self.entries()
        self.assertEqual(
            menu.Entry(version='6.6.9', kernel='/boot/vmlinuz-6.6.9',
                       initramfs=('/boot/initramfs-6.6.9.img',),
                       options=('rhgb',)), entry)

    def test_entries_without_options_of_their_own(self):
        self.put('boot/vmlinuz-6.6.9')
        self.put('etc/default/grub', 'GRUB_CMDLINE_LINUX=console=ttyS0')
        self.put('boot/loader/entries/a.conf',
                 'linux /boot/vmlinuz-6.6.9\noptions $kernelopts')
        entry, = self.entries()
        self.assertEqual(('console=ttyS0',), entry.options)

    def test_options_of_an_entry_are_all_that_it_has(self):
        self.put('boot/vmlinuz-6.6.9')
        self.put('etc/default/grub', 'GRUB_CMDLINE_LINUX=console=ttyS0')
        for line, options in (('options rhgb\n', ('rhgb',)),
                              ('', ('console=ttyS0',)),
                              ('options rhgb $kernelopts\n',
                               ('console=ttyS0', 'rhgb'))):
            self.put('boot/loader/entries/a.conf',
                     f'linux /boot/vmlinuz-6.6.9\n{line}')
            entry, = self.entries()
            self.assertEqual(options, entry.options)

    def test_entries_with_variables(self):
        """As tuned and grubby leave them on Red Hat."""
        for path in ('boot/vmlinuz-5.14', 'boot/initramfs-5.14.img'):
            self.put(path)
        self.put('etc/default/grub', 'GRUB_CMDLINE_LINUX=console=ttyS0')
        self.put('boot/loader/entries/a.conf',
                 'version\t5.14\nlinux \t /vmlinuz-5.14\n'
                 'initrd /initramfs-5.14.img $tuned_initrd\n'
                 'options $kernelopts $tuned_params crashkernel=256M\n')
        self.assertEqual(
            [menu.Entry(version='5.14', kernel='/boot/vmlinuz-5.14',
                        initramfs=('/boot/initramfs-5.14.img',),
                        options=('console=ttyS0', 'crashkernel=256M'))],
            self.entries())

    def test_entries_behind_absolute_links(self):
        self.put('boot/vmlinuz-6.6.9')
        self.put('usr/share/a.conf', 'linux /vmlinuz-6.6.9\noptions a')
        self.link('usr/entries/a.conf', '/usr/share/a.conf')
        self.link('usr/entries/b.conf', '/dev/null')
        (self.top / 'usr/entries/c.conf').mkdir()
        self.link('boot/loader/entries', '/usr/entries')
        entry, = self.entries()
        self.assertEqual(('a',), entry.options)

    def test_absurd_entries(self):
        self.put('boot/vmlinuz-6.1')
        for number, text in enumerate((
                'linux /../../../etc/shadow', 'linux /nowhere', 'title x',
                "linux /boot/vmlinuz-6.1'\nreboot", b'\xff\xfe\x00'
                b'linux /boot/vmlinuz-6.1', 'linux /boot/vmlinuz-6.1\n'
                'initrd /nowhere', 'linux /boot/$(reboot)')):
            self.put(f'boot/loader/entries/{number}.conf', text)
        self.put('boot/loader/entries/v.conf', 'linux /boot/vmlinuz-6.1\n'
                 f'version 1\';reboot;{"9" * 9000}\noptions a;b\'c d')
        entry, = self.entries()
        self.assertEqual('/boot/vmlinuz-6.1', entry.version)
        self.assertEqual(('d',), entry.options)

    def test_a_flood_of_entries(self):
        self.put('boot/vmlinuz-6.1')
        path = 'boot/loader/entries/0.conf'
        self.put(path, 'linux /boot/vmlinuz-6.1\n'
                 + 'initrd /boot/vmlinuz-6.1\n' * 600)
        entry, = self.entries()
        self.assertEqual(16, len(entry.initramfs))
        self.put(path, '\n' * (1 << 15))
        with self.assertRaisesRegex(image_tree.UnsafePath, '16384 bytes'):
            self.entries()
        for number in range(256):
            self.put(f'boot/loader/entries/{number + 1}.conf')
        with self.assertRaisesRegex(image_tree.UnsafePath, '256 entries'):
            self.entries()

    def test_no_kernel(self):
        self.put('boot/config-6.1')
        (self.top / 'boot/vmlinuz-6.1').touch()
        self.assertEqual([], self.entries())

    def test_hostile_kernels(self):
        self.put("boot/vmlinuz-6.1'; reboot; '")
        self.put('boot/vmlinuz-6.2 {')
        self.link('boot/vmlinuz-6.3', '/dev/sda')
        self.put('boot/vmlinuz-6.0')
        self.assertEqual(['/boot/vmlinuz-6.0'], self.kernels())
        self.assertIn('unsafe characters', self.log.output)

    def test_absolute_links_stay_inside_of_the_image(self):
        self.put('usr/lib/modules/6.1/vmlinuz')
        self.put('usr/lib/modules/6.1/initrd')
        self.link('boot/vmlinuz-6.1', '/usr/lib/modules/6.1/vmlinuz')
        self.link('boot/initrd.img-6.1', '/../usr/lib/modules/6.1/initrd')
        entry, = menu.find_entries(self.tree)
        self.assertEqual(
            ('6.1', '/usr/lib/modules/6.1/vmlinuz',
             ('/usr/lib/modules/6.1/initrd',)),
            (entry.version, entry.kernel, entry.initramfs))

    def test_absolute_links_of_an_entry(self):
        self.put('usr/lib/modules/6.1/vmlinuz')
        self.link('boot/linux', '/usr/lib/modules/6.1/vmlinuz')
        self.put('boot/loader/entries/a.conf', 'linux /boot/linux\n')
        self.assertEqual(['/usr/lib/modules/6.1/vmlinuz'], self.kernels())

    def test_an_absolute_link_to_a_name_that_no_menu_can_have(self):
        self.put("usr/lib/a'b")
        self.link('boot/vmlinuz-6.1', "/usr/lib/a'b")
        self.assertEqual([], self.entries())

    def test_boot_that_is_a_link_to_the_outside(self):
        self.link('boot', '/proc')
        self.assertEqual([], self.entries())

    def test_boot_that_is_an_absolute_link(self):
        self.put('opt/boot/vmlinuz-6.1')
        self.put('opt/boot/initrd.img-6.1')
        self.put('opt/boot/loader/entries/a.conf',
                 'version 6.2\nlinux /vmlinuz-6.2\n'
                 'initrd /initrd-6.2\n')
        self.put('opt/boot/vmlinuz-6.2')
        self.put('opt/boot/initrd-6.2')
        self.link('boot', '/opt/boot')
        self.assertEqual(
            [('/opt/boot/vmlinuz-6.2', ('/opt/boot/initrd-6.2',)),
             ('/opt/boot/vmlinuz-6.1', ('/opt/boot/initrd.img-6.1',))],
            [(entry.kernel, entry.initramfs) for entry in self.entries()])

    def test_an_initramfs_that_is_none(self):
        """The kernel is started without it."""
        self.put('boot/vmlinuz-6.1')
        self.link('boot/initrd.img-6.1', '/gone')
        (self.top / 'boot/initrd-6.1').mkdir()
        entry, = self.entries()
        self.assertEqual((), entry.initramfs)
        self.assertIn('expected a file, found a directory', self.log.output)

    def test_not_more_than_a_menu_can_hold(self):
        for number in range(100):
            self.put(f'boot/vmlinuz-{number}')
        kernels = self.kernels()
        self.assertEqual((32, '/boot/vmlinuz-99'), (len(kernels), kernels[0]))


class ProcessorTest(trees.TreeTestCase):

    def test_processors(self):
        self.put('boot/vmlinuz-6.1')
        for content, arch in ((boot_files.arm64(), 'aarch64'),
                              (boot_files.bzimage(), 'x86_64')):
            self.put('boot/vmlinuz-6.2', content)
            entries = menu.find_entries(self.tree)
            menu.check_processor(self.tree, entries, arch)
            other = {'aarch64': 'x86_64', 'x86_64': 'aarch64'}[arch]
            with self.assertRaisesRegex(
                    errors.DeploymentError, f'/boot/vmlinuz-6.2 .*expected '
                    f'{other}, found {arch}'):
                menu.check_processor(self.tree, entries, other)
            # One that is not the first is left to whoever chooses it.
            menu.check_processor(self.tree, entries[::-1], other)


class PrintableTest(trees.TreeTestCase):

    def test_names_of_kernels(self):
        for version, name in (('6.1.0-13-amd64', '6.1.0-13-amd64'),
                              ("6.1';reboot", 'of unknown version'),
                              ('', 'of unknown version')):
            self.assertEqual(name, menu.printable(version))


class WriteTest(trees.TreeTestCase):

    ENTRY = menu.Entry(
        version='6.1', kernel='/boot/vmlinuz-6.1', options=('a=b;c', 'd e'),
        initramfs=('/boot/early', '/boot/initrd.img-6.1'))

    def test_menu(self):
        self.assertEqual(f'''\
# Written by ironic-imagedeploy; update-grub replaces it.
set default=0
set timeout=5
search --no-floppy --fs-uuid --hint=$root --set=root {UUID}

menuentry 'Linux 6.1' {{
  linux '/boot/vmlinuz-6.1' root=UUID={UUID} ro 'a=b;c' 'd e'
  initrd '/boot/early' '/boot/initrd.img-6.1'
}}
''', menu.write([self.ENTRY], uuid=UUID, partition_uuid=PARTITION))

    def test_kernel_without_an_initramfs(self):
        """It does not look for file systems by their UUID."""
        alone = dataclasses.replace(self.ENTRY, initramfs=())
        text = menu.write([alone], uuid=UUID, partition_uuid=PARTITION)
        self.assertIn(f"  linux '/boot/vmlinuz-6.1' root=UUID={UUID} "
                      f"root=PARTUUID={PARTITION} ro 'a=b;c' 'd e'\n}}\n",
                      text)
        self.assertIn(f'--set=root {UUID}\n', text)

    def test_subvolume(self):
        text = menu.write([self.ENTRY], uuid=UUID,
                          partition_uuid=PARTITION, prefix='/@')
        self.assertIn("linux '/@/boot/vmlinuz-6.1' root=", text)
        self.assertIn("initrd '/@/boot/early' '/@/boot/initrd", text)

    def test_uuid_that_is_none(self):
        for uuid in ('', 'x; reboot', '$(x)', "a'b", 'a\nb'):
            for uuids in ((uuid, PARTITION), (UUID, uuid)):
                with self.assertRaisesRegex(errors.DeploymentError,
                                            'no usable'):
                    menu.write([self.ENTRY], uuid=uuids[0],
                               partition_uuid=uuids[1])

    def test_words_that_cannot_be_quoted(self):
        for prefix in ("/'", '/\n', '/\x1b'):
            with self.assertRaisesRegex(errors.DeploymentError, 'cannot be'):
                menu.write([self.ENTRY], uuid=UUID,
                           partition_uuid=PARTITION, prefix=prefix)
