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
import functools

from ironic_python_agent import config  # noqa: F401 (before errors)
from ironic_python_agent import errors

from ironic_imagedeploy.agent.boot import bios
from ironic_imagedeploy.agent.boot import grub
from ironic_imagedeploy.agent.boot import grub_reader
from ironic_imagedeploy.agent.boot import install
from ironic_imagedeploy.agent.boot import separate_kernel
from ironic_imagedeploy.agent.boot import software_raid
from ironic_imagedeploy.agent import partition_devices
from ironic_imagedeploy.agent import partitioning
from ironic_imagedeploy.agent import twins
from ironic_imagedeploy import engine
from tests.support import boot_files
from tests.support import disks
from tests.support import images
from tests.support import ramdisk
from tests.unit.agent.boot import mounting
from tests.unit.contract import before

MIB = ramdisk.MIB
UUID = '11111111-2222-4333-8444-555555555555'
PARTITION_UUID = 'aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee'
INSTALLED = {'platform': 'i386-pc', 'menu': '/boot/grub/grub.cfg'}


class PartitionImageTestCase(ramdisk.AgentTestCase):
    """A disk whose partition is a file, and steps that are noted."""

    def setUp(self):
        super().setUp()
        disks.fill(self.disk, 64 * MIB, ramdisk.OLD[0])
        self.root = self.directory / 'root'
        self.use()
        self.steps = []
        self.noted(grub, 'check')
        self.noted(bios, 'check')
        self.noted(grub_reader, 'check_image')
        self.noted(partitioning, 'make', self.made)
        self.noted(install, 'install', lambda *_, verify: dict(INSTALLED))
        self.patched(partition_devices, 'partition_uuid'
                     ).return_value = PARTITION_UUID
        self.twins = self.patched(twins, 'find')
        self.twins.return_value = []
        self.transfer = self.patched(engine, 'transfer')
        self.transfer.side_effect = self.transferred

    transferred = staticmethod(engine.transfer)

    def use(self, kernel='boot/vmlinuz-6.1'):
        """Deploy an image with that file."""
        tree = self.directory / 'tree'
        (tree / kernel).parent.mkdir(parents=True)
        (tree / kernel).write_bytes(boot_files.bzimage())
        self.guest = mounting.make(self.directory / 'guest', tree, '-U',
                                   UUID, '-L', 'the-root')
        self.image = images.convert(self.guest, self.directory / 'disk.qcow2')

    def noted(self, owner, name, answer=None):
        new = self.patched(owner, name)

        def call(*arguments, **named):
            self.steps.append(f'{owner.__name__.split(".")[-1]}.{name}')
            return answer and answer(*arguments, **named)

        new.side_effect = call

    def made(self, order, device):
        disks.fill(self.root, order.partition_sizes.root_bytes,
                   ramdisk.OLD[0])
        return partition_devices.Partitions.of(
            {'partitions': {'root': str(self.root)}})

    def image_info(self, **info):
        return super().image_info(**{
            'image_type': 'partition', 'root_mb': 32, **info})

    def assert_wiped(self):
        content = self.root.read_bytes()
        self.assertFalse(any(content[:MIB]) or any(content[-MIB:]))


class WriteTest(PartitionImageTestCase):

    def test_what_is_written(self):
        report = self.written()['imagedeploy']
        content = self.root.read_bytes()
        self.assertEqual(32 * MIB, len(content))
        self.assertTrue(content.startswith(self.guest.read_bytes()))
        self.assertEqual(INSTALLED, report['bootloader'])
        self.assertEqual([], report['warnings'])
        self.assertEqual('boot', report['phases'][-1]['name'])

    def test_all_is_looked_at_before_the_disk_is_touched(self):
        self.written()
        self.assertEqual(
            ['grub.check', 'bios.check', 'grub_reader.check_image',
             'partitioning.make', 'install.install'], self.steps)
        self.assertEqual((grub.BIOS, False), (
            grub.check.call_args.args[0], grub.check.call_args.kwargs['raid']))
        bios.check.assert_called_once_with(str(self.disk), 512)

    def test_what_the_boot_loader_is_told(self):
        self.written()
        disk, platform, arch, install_kernel = install.install.call_args.args
        self.assertEqual(install.Disk(
            device=str(self.disk), root=str(self.root), kind='ext4',
            uuid=UUID, partition_uuid=PARTITION_UUID, label='the-root',
            has_twin=False), disk)
        self.assertEqual((grub.BIOS, 'x86_64', separate_kernel.no_kernel),
                         (platform, arch, install_kernel))
        self.assertIs(False, install.install.call_args.kwargs['verify'])

    def test_the_boot_loader_is_read_back_as_the_image_is(self):
        self.conf.config(group='imagedeploy', read_back='sample')
        self.written()
        self.assertIs(True, install.install.call_args.kwargs['verify'])
        partition_devices.partition_uuid.assert_called_with(str(self.root))

    def test_what_the_agent_tells(self):
        self.written()
        answer = self.agent.execute_command('standby.get_partition_uuids')
        self.assertEqual(
            {'partitions': {'root': str(self.root)}, 'root uuid': UUID,
             'bootloader': 'i386-pc'}, answer.serialize()['command_result'])

    def test_uefi(self):
        self.node['properties'] = {'capabilities': 'boot_mode:uefi'}
        self.conf.config(group='disk_utils', efi_system_partition_size=8)
        self.written()
        self.assertNotIn('bios.check', self.steps)
        self.assertEqual('x86_64-efi', install.install.call_args.args[1].name)

    def test_a_twin(self):
        self.twins.return_value = [twins.Twin('/dev/sdb', f'UUID={UUID}')]
        report = self.written()['imagedeploy']
        self.assertTrue(install.install.call_args.args[0].has_twin)
        warning, = report['warnings']
        self.assertEqual('twin', warning['code'])
        self.assertIn(str(self.disk), warning['message'])
        inspection, device = self.twins.call_args.args
        self.assertEqual(('ext4', str(self.disk)),
                         (inspection.file_system, device))

    def test_how_it_is_written(self):
        for sent, expected in (
                ({'read_back': 'sample'}, ('sample', None, False)),
                ({'read_back': 'full', 'workers': 2, 'verify': 'both'},
                 ('full', 2, True)),
                ({'read_back': 'none', 'workers': 1, 'verify': 'file'},
                 ('none', 1, False))):
            self.node['driver_internal_info'] = {'imagedeploy': sent}
            self.written()
            named = self.transfer.call_args.kwargs
            self.assertEqual(expected, (named['read_back'], named['workers'],
                                        named['verify_file']))


class FailuresTest(PartitionImageTestCase):

    def test_a_boot_loader_that_fails(self):
        install.install.side_effect = errors.DeploymentError('no room')
        self.assertEqual('no room', self.failed())
        self.assert_wiped()

    def test_an_agent_that_fails(self):
        self.validated.side_effect = errors.DeploymentError('unusable')
        self.patched(self.standby, 'prepare_image'
                     ).side_effect = errors.DeploymentError('unusable')
        self.assertEqual('unusable', self.failed())
        self.assert_wiped()

    def assert_not_partitioned(self):
        self.assertNotIn('partitioning.make', self.steps)
        self.assertTrue(disks.holds(self.disk, 0, 64 * MIB, ramdisk.OLD[0]))

    def test_an_image_that_is_refused(self):
        self.assertIn('too-large', self.failed(root_mb=15))
        self.assert_not_partitioned()

    def test_another_file_system(self):
        disks.run('mkfs.vfat', '-C', self.directory / 'fat', '16384')
        self.image = images.convert(self.directory / 'fat',
                                    self.directory / 'disk.qcow2')
        self.failed()
        self.assert_not_partitioned()

    def test_a_sector_that_no_bios_boots_from(self):
        bios.check.side_effect = errors.DeploymentError('4096')
        self.assertEqual('4096', self.failed())
        self.assert_not_partitioned()

    def test_no_room(self):
        self.assertIn('expected at most 64 MiB, found 65 MiB',
                      self.failed(root_mb=62))
        self.assert_not_partitioned()

    def test_a_grub2_that_does_not_read_it(self):
        grub_reader.check_image.side_effect = errors.DeploymentError('dirs')
        self.assertEqual('dirs', self.failed())
        self.assert_not_partitioned()


class KernelTest(PartitionImageTestCase):
    """A kernel and an initramfs that come beside an image."""

    def setUp(self):
        super().setUp()
        self.checked = self.patched(separate_kernel.BootFiles, 'check')
        self.node['driver_internal_info'] = {'imagedeploy': {
            **before.ORDER, 'checksum': None}}

    def installer(self):
        self.written()
        return install.install.call_args.args[3]

    def test_an_image_without_one(self):
        disks.run('rm', '-r', self.directory / 'tree')
        self.use(kernel='etc/hostname')
        found = self.installer()
        self.assertIsInstance(found, functools.partial)
        self.assertEqual(('console=ttyS0', 'nofb'),
                         found.func.__self__.options)
        self.assertEqual((self.server.url('disk.qcow2'),),
                         found.keywords['download'].urls)
        self.checked.assert_called_once()

    def test_an_image_with_one(self):
        self.assertIs(separate_kernel.no_kernel, self.installer())
        self.checked.assert_not_called()


class ArrayTest(PartitionImageTestCase):
    """The same on a software RAID."""

    def setUp(self):
        super().setUp()
        self.array = self.patched(software_raid, 'find').return_value
        self.array.check_members.side_effect = (
            lambda: self.steps.append('members'))

    def test_its_members_are_looked_at(self):
        self.written()
        self.array.check.assert_called_once_with(grub.BIOS)
        self.assertIs(True, grub.check.call_args.kwargs['raid'])
        self.assertEqual(
            ['partitioning.make', 'members', 'install.install', 'members'],
            self.steps[-4:])
        self.assertIs(self.array, install.install.call_args.args[0].array)

    def test_a_disk_that_fell_out(self):
        for before_, after in ((0, 'x'), (1, 'y')):
            steps = iter([lambda: None] * before_)

            def check(steps=steps, after=after):
                if next(steps, None) is None:
                    raise errors.DeploymentError(after)

            self.array.check_members.side_effect = check
            with contextlib.suppress(FileNotFoundError):
                self.root.unlink()
            self.assertEqual(after, self.failed())
            self.assert_wiped()
