#!/usr/bin/env python3
#
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

import contextlib
import os
import pathlib
import subprocess
from unittest import mock

from ironic_python_agent import config  # noqa: F401 (before errors)
from ironic_python_agent import errors

from ironic_imagedeploy.agent.boot import bios
from ironic_imagedeploy.agent.boot import grub
from ironic_imagedeploy.agent.boot import grub_reader
from ironic_imagedeploy.agent.boot import install
from ironic_imagedeploy.agent.boot import menu
from ironic_imagedeploy.agent.boot import mounts
from ironic_imagedeploy.agent.boot import nvram
from ironic_imagedeploy.agent.boot import software_raid
from ironic_imagedeploy.agent import sysfs
from tests.support import boot_files
from tests.support import disks
from tests.unit.agent import trees

MIB = 1 << 20
UUID = '11111111-2222-4333-8444-555555555555'
PARTITION_UUID = 'aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee'
EFI = grub.platform_of('uefi', 'x86_64')
KERNEL = 'boot/vmlinuz-6.1'
ARRAY = software_raid.Array(
    device='/dev/md0', uuid='5e4f7c2a:0a1b2c3d:11223344:aabbccdd',
    disks=('/dev/sda', '/dev/sdb'))
OPTION = 'rd.md.uuid=5e4f7c2a:0a1b2c3d:11223344:aabbccdd'
SIGNED = ('usr/lib/shim/shimx64.efi.signed',
          'usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed')
FSTAB = 'LABEL=root / ext4 defaults 0 1\n'


class InstallTestCase(trees.TreeTestCase):
    """A tree that is mounted, on a disk with a table of partitions."""

    def setUp(self):
        super().setUp()
        self.put(KERNEL, boot_files.bzimage())
        self.put('boot/initrd.img-6.1')
        self.device = self.directory / 'disk'
        self.partition('gpt')
        self.steps = []
        for owner, name, answer in (
                (grub_reader, 'check', None), (bios, 'install', None),
                (nvram, 'add_boot_entries', None),
                (grub, 'make_image', b'the core')):
            self.noted(owner, name, answer)
        self.enterContext(mock.patch.object(
            mounts.Root, '_remount', lambda _, mode: self.steps.append(mode)))
        self.enterContext(mock.patch.object(mounts, 'mounted', self.mounted))
        self.enterContext(mock.patch.object(
            sysfs, 'partition', lambda device: sysfs.Partition(
                '/dev/sda', 3 if device.endswith('root') else 1)
            if 'disk' not in os.path.basename(device) else None))

    def noted(self, owner, name, answer):
        def call(*arguments, **named):
            self.steps.append(name)
            return answer

        self.enterContext(mock.patch.object(
            owner, name, autospec=True, side_effect=call))

    @contextlib.contextmanager
    def mounted(self, device, kind):
        self.steps.append((device, kind))
        root = mounts.Root(str(self.top), kind)
        try:
            yield root
        finally:
            root.close()

    def partition(self, label):
        disks.fill(self.device, 4 * MIB, 0)
        subprocess.run(['sfdisk', '-q', self.device], check=True, text=True,
                       input=f'label: {label}\nstart=2048\n')

    def esp(self):
        """An empty EFI system partition."""
        path = self.directory / 'esp'
        disks.fill(path, 16 * MIB, 0)
        disks.run('mkfs.vfat', path)
        return str(path)

    def files(self, esp):
        """What is in it, by its path."""
        names = disks.run('mdir', '-/', '-b', '-i', esp, '::EFI').split()
        return {name.removeprefix('::/EFI/'): disks.run(
            'mtype', '-i', esp, name) for name in names
            if not name.endswith('/')}

    def disk(self, **values):
        return install.Disk(**{
            'device': str(self.device), 'root': '/dev/root', 'kind': 'ext4',
            'uuid': UUID, 'partition_uuid': PARTITION_UUID, **values})

    def install(self, platform=grub.BIOS, *more, **values):
        return install.install(self.disk(**values), platform, 'x86_64', *more)

    def read(self, path):
        return (self.top / path).read_text()


class BiosTest(InstallTestCase):

    def test_the_menu_and_the_core(self):
        self.assertEqual(
            {'platform': 'i386-pc', 'menu': '/boot/grub/grub.cfg',
             'origin': 'ramdisk', 'kernels': [f'/{KERNEL}'],
             'kernel_origin': 'image'}, self.install())
        self.assertIn(f"linux '/{KERNEL}' root=UUID={UUID} ro",
                      self.read('boot/grub/grub.cfg'))
        self.assertEqual([('/dev/root', 'ext4'), 'rw', 'ro', 'check',
                          'make_image', 'install'], self.steps)
        grub_reader.check.assert_called_once_with(
            '/dev/root', ['/boot/grub/grub.cfg', f'/{KERNEL}'])
        bios.install.assert_called_once_with(
            str(self.device), b'the core', verify=False)

    def test_where_the_core_looks(self):
        for label, name in (('gpt', 'gpt'), ('dos', 'msdos')):
            self.partition(label)
            self.install()
            grub.make_image.assert_called_with(
                grub.BIOS, 'ext4',
                f'search.fs_uuid {UUID} root $root\n'
                'set prefix=($root)/boot/grub\n',
                f'(,{name}3)/boot/grub', raid=False)

    def test_a_twin(self):
        self.install(has_twin=True)
        self.assertIn(f'root=PARTUUID={PARTITION_UUID}',
                      self.read('boot/grub/grub.cfg'))

    def test_the_menu_of_a_distribution(self):
        self.put('usr/sbin/grub2-install')
        self.assertEqual('/boot/grub2/grub.cfg', self.install()['menu'])
        os.unlink(self.top / 'usr/sbin/grub2-install')
        self.assertEqual('/boot/grub2/grub.cfg', self.install()['menu'])
        self.assertFalse((self.top / 'boot/grub').exists())

    def test_a_folder_that_is_a_link(self):
        (self.top / 'opt').mkdir()
        self.link('boot/grub', '/opt')
        self.assertEqual('/boot/grub/grub.cfg', self.install()['menu'])
        self.assertIn('/opt', grub.make_image.call_args.args[3])
        self.assertIn('menuentry', self.read('opt/grub.cfg'))

    def test_a_subvolume(self):
        with mock.patch.object(mounts, '_subvolume', autospec=True,
                               return_value='/@'):
            self.install()
        grub_reader.check.assert_called_once_with(
            '/dev/root', ['/@/boot/grub/grub.cfg', f'/@/{KERNEL}'])
        self.assertIn(f"linux '/@/{KERNEL}'", self.read('boot/grub/grub.cfg'))

    def test_a_kernel_of_another_processor(self):
        self.put(KERNEL, boot_files.arm64())
        with self.assertRaisesRegex(errors.DeploymentError,
                                    'another processor'):
            self.install()
        self.assertNotIn('rw', self.steps)

    def test_a_kernel_that_comes_beside_it(self):
        (self.top / KERNEL).unlink()
        entry = menu.Entry(version='7', kernel='/boot/x/kernel',
                           initramfs=(), options=('quiet',))
        found = self.install(grub.BIOS, lambda root: entry)
        self.assertEqual((['/boot/x/kernel'], 'beside'),
                         (found['kernels'], found['kernel_origin']))
        self.assertIn("linux '/boot/x/kernel'",
                      self.read('boot/grub/grub.cfg'))

    def test_no_kernel(self):
        (self.top / KERNEL).unlink()
        with self.assertRaisesRegex(errors.DeploymentError,
                                    'partition image has no kernel'):
            self.install()
        self.assertEqual('ro', self.steps[-1])

    def test_what_is_not_a_partition(self):
        with self.assertRaisesRegex(errors.DeploymentError,
                                    '/dev/disk is not a partition of a disk'):
            self.install(root='/dev/disk')


class UefiTest(InstallTestCase):

    def setUp(self):
        super().setUp()
        self.firmware = self.enterContext(mock.patch.object(
            install.os.path, 'exists', autospec=True, return_value=False))

    def test_the_grub2_of_the_ramdisk(self):
        esp = self.esp()
        found = self.install(EFI, esp=esp)
        self.assertEqual(('x86_64-efi', 'ramdisk'),
                         (found['platform'], found['origin']))
        self.assertEqual({'BOOT/BOOTX64.EFI', 'BOOT/grub.cfg'},
                         set(self.files(esp)))
        self.assertEqual('the core', self.files(esp)['BOOT/BOOTX64.EFI'])
        self.assertIn("regexp --set 1:disk '^([^,]+),' $root\n"
                      f'search.fs_uuid {UUID} root $disk,gpt3\n'
                      'set prefix=($root)/boot/grub\n',
                      self.files(esp)['BOOT/grub.cfg'])
        grub_reader.check.assert_called_once()
        bios.install.assert_not_called()
        nvram.add_boot_entries.assert_not_called()

    def test_the_programs_of_the_image(self):
        for path in SIGNED:
            self.put(path, boot_files.efi_program(path))
        self.put('etc/os-release', 'ID=debian\n')
        esp = self.esp()
        self.assertEqual('image', self.install(EFI, esp=esp)['origin'])
        self.assertEqual(
            {'BOOT/BOOTX64.EFI', 'BOOT/grubx64.efi', 'BOOT/grub.efi',
             'BOOT/grub.cfg', 'debian/grub.cfg'}, set(self.files(esp)))
        grub_reader.check.assert_not_called()
        grub.make_image.assert_not_called()

    def test_vendors_of_an_image_without_programs(self):
        self.put('etc/os-release', 'ID=debian\n')
        esp = self.esp()
        self.install(EFI, esp=esp)
        self.assertNotIn('debian/grub.cfg', self.files(esp))

    def test_the_firmware_learns_of_it(self):
        self.firmware.side_effect = lambda path: path == '/sys/firmware/efi'
        self.install(EFI, esp=self.esp())
        nvram.add_boot_entries.assert_called_once_with(
            [sysfs.Partition('/dev/sda', 1)], EFI)

    def test_no_esp(self):
        with self.assertRaisesRegex(errors.DeploymentError,
                                    'has no EFI system partition'):
            self.install(EFI)


class FilesTest(InstallTestCase):
    """What is changed of the system beside its menu."""

    def test_the_table_of_file_systems(self):
        self.put('etc/fstab', FSTAB + 'UUID=old /boot/efi vfat defaults 0 2\n'
                 'UUID=old none swap sw 0 0\n')
        self.install(label='root', esp_uuid='12AB-CDEF', swap_uuid=UUID)
        table = self.read('etc/fstab')
        self.assertIn('12AB-CDEF', table)
        self.assertIn(f'UUID={UUID}', table)
        self.assertTrue((self.top / 'boot/efi').is_dir())
        self.assertIn('lines for this disk', self.log.output)

    def test_an_esp_without_a_usual_name(self):
        self.put('etc/fstab', FSTAB + 'UUID=old /boot/efi vfat defaults 0 2\n')
        self.install(label='root', esp_uuid="x' y")
        self.assertNotIn("x' y", self.read('etc/fstab'))

    def test_a_table_that_stays(self):
        for text in (FSTAB, None):
            if text is None:
                os.unlink(self.top / 'etc/fstab')
            else:
                self.put('etc/fstab', text)
            self.install(label='root')
            self.assertEqual(text is not None,
                             (self.top / 'etc/fstab').exists())
        self.assertNotIn('lines for this disk', self.log.output)

    def test_a_table_that_cannot_be_read(self):
        with self.put('etc/fstab').open('r+b') as file:
            file.truncate(1 << 30)
        self.install()
        self.assertIn('The table of file systems stays as it is',
                      self.log.output)

    def test_a_table_behind_a_link(self):
        self.put('usr/etc/fstab', 'UUID=old none swap sw 0 0\n')
        self.link('etc/fstab', '/usr/etc/fstab')
        self.install(swap_uuid=UUID)
        self.assertFalse((self.top / 'etc/fstab').is_symlink())
        self.assertIn(UUID, self.read('etc/fstab'))
        self.assertIn('UUID=old', self.read('usr/etc/fstab'))


class ArrayTest(InstallTestCase):
    """Options that an initramfs of dracut needs."""

    def setUp(self):
        super().setUp()
        self.enterContext(mock.patch.object(
            software_raid.Array, 'make_bios_boot_partitions', autospec=True,
            side_effect=lambda _: self.steps.append('partitions')))

    def test_each_disk_starts(self):
        self.install(array=ARRAY)
        self.assertEqual(
            [mock.call(disk, b'the core', verify=False)
             for disk in ('/dev/sda', '/dev/sdb')], bios.install.mock_calls)
        self.assertEqual(['make_image', 'partitions', 'install', 'install'],
                         self.steps[-4:])
        name = 'mduuid/5e4f7c2a0a1b2c3d11223344aabbccdd'
        self.assertEqual((f'({name},gpt3)/boot/grub', {'raid': True}), (
            grub.make_image.call_args.args[3],
            grub.make_image.call_args.kwargs))
        self.assertIn(OPTION, self.read('boot/grub/grub.cfg'))

    def defaults(self, text, *, array=ARRAY):
        self.put('usr/lib/dracut/x')
        if text is not None:
            self.put('etc/default/grub', text)
        self.install(array=array)
        path = self.top / 'etc/default/grub'
        return path.read_text() if path.exists() else None

    def test_a_later_menu_has_them_too(self):
        line = f'GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX {OPTION}"\n'
        for text, found in (('', line), ('A=b\n', f'A=b\n{line}'),
                            ('A=b', f'A=b\n{line}')):
            self.assertEqual(found, self.defaults(text))

    def test_who_needs_none(self):
        self.assertIsNone(self.defaults(None))
        self.assertEqual('A=b', self.defaults('A=b', array=None))
        pathlib.Path(self.top, 'usr/lib/dracut/x').unlink()
        pathlib.Path(self.top, 'usr/lib/dracut').rmdir()
        self.install(array=ARRAY)
        self.assertEqual('A=b', self.read('etc/default/grub'))
