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

import errno
import os
import pathlib
import shutil
import subprocess
from unittest import mock

from oslo_config import cfg
from oslo_config import fixture

from ironic_python_agent import errors
from ironic_python_agent import raid_utils

from ironic_imagedeploy.agent.boot import bios
from ironic_imagedeploy.agent.boot import grub
from ironic_imagedeploy.agent.boot import software_raid
from ironic_imagedeploy.agent import commands
from ironic_imagedeploy.agent import sysfs
from ironic_imagedeploy.engine.contents import partitions
from tests.unit.agent import block_devices

MIB = 1 << 20
UEFI = grub.platform_of('uefi', 'x86_64')
UUID = '5e4f7c2a:0a1b2c3d:11223344:aabbccdd'
RAID = 'A19D880F-05FC-4D3B-A006-743F0F84911E'
#: What mdadm says of an array that ironic-python-agent made.
EXPORT = ('MD_LEVEL=raid1\nMD_DEVICES=2\nMD_METADATA=1.2\n'
          f'MD_UUID={UUID}\nMD_NAME=md0\nMD_DEVICE_dev_vda1_ROLE=0\n'
          'MD_DEVICE_dev_vda1_DEV=/dev/vda1\n')


class FindTest(block_devices.SysfsTestCase):

    def find(self, export=EXPORT, device='/dev/md127'):
        with mock.patch.object(commands, 'run', autospec=True,
                               return_value=export):
            return software_raid.find(device)

    def assert_refused(self, reason, export=EXPORT):
        with self.assertRaisesRegex(errors.DeploymentError, reason):
            self.find(export)

    def test_an_array(self):
        found = self.find()
        self.assertEqual(('/dev/nvme0n1', '/dev/vda'), found.disks)
        self.assertEqual('mduuid/5e4f7c2a0a1b2c3d11223344aabbccdd',
                         found.grub_name)
        self.assertEqual((f'rd.md.uuid={UUID}',), found.kernel_options)

    def test_a_disk(self):
        self.assertIsNone(self.find(device='/dev/vda'))

    def test_what_grub_does_not_read(self):
        self.assert_refused("metadata 1.x, found '0.90'",
                            EXPORT.replace('1.2', '0.90'))
        self.assert_refused("metadata 1.x, found 'none'",
                            'MD_LEVEL=raid1\nMD_CONTAINER=/dev/md/imsm0\n')
        self.assert_refused('No boot loader', EXPORT.replace(UUID, '$(x)'))

    def test_on_whole_disks(self):
        member = self.links / 'md127/slaves/vda1'
        member.rename(member.with_name('vda'))
        self.assert_refused(
            'expected partitions as its members, found /dev/vda')

    def test_without_members(self):
        for member in (self.links / 'md127/slaves').iterdir():
            member.unlink()
        self.assert_refused('found none')


class CompleteTest(block_devices.SysfsTestCase):

    bad = None

    def setUp(self):
        super().setUp()
        for name in ('vda1', 'nvme0n1p2'):
            folder = self.links / 'md127/md' / f'dev-{name}'
            folder.mkdir()
            (folder / 'state').write_text('in_sync\n')
            (folder / 'bad_blocks').write_text('')
            (self.links / name / 'content').write_bytes(b'')
        self.flushed = []
        self.enterContext(mock.patch.multiple(
            software_raid.os, open=self.open, fsync=self.fsync))
        with mock.patch.object(commands, 'run', autospec=True,
                               return_value=EXPORT):
            self.array = software_raid.find('/dev/md127')

    def open(self, path, flags, *, opened=os.open, **options):
        if options:
            return opened(path, flags, **options)
        self.flushed.append(path)
        return opened(self.links / pathlib.Path(path).name / 'content', flags)

    def fsync(self, descriptor, *, fsync=os.fsync):
        if self.flushed[-1] == self.bad:
            raise OSError(errno.EIO, 'Input/output error')
        fsync(descriptor)

    def lose(self, name='nvme0n1p2'):
        (self.links / 'md127/md' / f'dev-{name}/state').write_text('faulty\n')

    def test_nothing_is_lost(self):
        self.array.check_members()
        self.assertEqual(['/dev/nvme0n1p2', '/dev/vda1'], self.flushed)
        with software_raid.complete('/dev/md127'):
            pass

    def test_a_disk_that_falls_out(self):
        self.lose()
        with self.assertRaisesRegex(
                errors.DeploymentError,
                '/dev/nvme0n1 fell out of the software RAID /dev/md127 .*'
                'expected 2 disks in it, found 1'):
            self.array.check_members()

    def test_a_disk_that_does_not_flush(self):
        self.bad = '/dev/vda1'
        with self.assertRaisesRegex(
                errors.DeploymentError,
                '/dev/vda of the software RAID /dev/md127 may lose what it '
                'took: .*found Input/output error. Replace the disk'):
            self.array.check_members()

    def test_a_disk_with_sectors_that_were_not_written(self):
        (self.links / 'md127/md/dev-vda1/bad_blocks').write_text('4096 8\n')
        with self.assertRaisesRegex(
                errors.DeploymentError,
                '/dev/vda of the software RAID /dev/md127 is not complete'):
            self.array.check_members()

    def test_a_disk_that_is_gone(self):
        shutil.rmtree(self.links / 'md127/md/dev-vda1')
        (self.links / 'vda1').unlink()
        with self.assertRaisesRegex(errors.DeploymentError,
                                    '/dev/vda1 fell out'):
            self.array.check_members()

    def test_meanwhile(self):
        with (self.assertRaisesRegex(errors.DeploymentError,
                                     '/dev/vda fell out'),
              software_raid.complete('/dev/md127')):
            self.lose('vda1')

    def test_one_that_was_out_before(self):
        self.lose()
        with software_raid.complete('/dev/md127'):
            pass

    def test_no_array(self):
        with software_raid.complete('/dev/vda'):
            pass


class WholeDiskTest(block_devices.SysfsTestCase):

    def setUp(self):
        super().setUp()
        self.conf = fixture.Config(cfg.CONF)
        self.conf.setUp()
        self.addCleanup(self.conf.cleanUp)

    def test_bios_does_not_read_an_array(self):
        with self.assertRaisesRegex(errors.DeploymentError,
                                    'from the software RAID /dev/md127'):
            software_raid.check_whole_disk('/dev/md127', 'bios')

    def test_what_boots(self):
        software_raid.check_whole_disk('/dev/md127', 'uefi')
        software_raid.check_whole_disk('/dev/vda', 'bios')
        self.conf.config(enable_bios_bootloader_install=True)
        software_raid.check_whole_disk('/dev/md127', 'bios')


class DisksTest(block_devices.SysfsTestCase):
    """Two disks with tables as ironic-python-agent makes them."""

    def array(self, *tables):
        disks = []
        for number, table in enumerate(tables):
            disk = pathlib.Path(self.links, f'disk{number}')
            with disk.open('wb') as file:
                file.truncate(700 * MIB)
            if table:
                subprocess.run(['sfdisk', '-q', disk], input=table, text=True,
                               check=True)
            disks.append(str(disk))
        return software_raid.Array(device='/dev/md0', uuid=UUID,
                                   disks=tuple(disks))

    def gpt(self, start):
        return f'label: gpt\nstart={start}MiB, type={RAID}\n'

    def assert_refused(self, platform, array, reason):
        with self.assertRaisesRegex(errors.DeploymentError, reason):
            array.check(platform)

    def test_room_for_a_mirror_of_the_esp(self):
        self.assertEqual(550 * MIB, software_raid.ESP_SIZE)
        self.array(self.gpt(551), self.gpt(551)).check(UEFI)
        self.assert_refused(
            UEFI, self.array(self.gpt(551), self.gpt(550)),
            'disk1 .* expected 550 MiB without a partition in a GPT, found '
            '549 MiB in a table of kind gpt')
        self.array(f'label: gpt\nsize=64MiB, type=U\ntype={RAID}\n').check(
            UEFI)

    def test_room_at_the_end(self):
        # The GPT takes 33 sectors there, and a partition begins at a MiB.
        self.array(f'label: gpt\nsize=148MiB, type={RAID}\n').check(UEFI)
        self.assert_refused(
            UEFI, self.array(f'label: gpt\nsize=149MiB, type={RAID}\n'),
            'found 549 MiB in a table of kind gpt')

    def test_room_for_grub(self):
        mbr = 'label: dos\nstart=2048, type=fd\n'
        self.array(self.gpt(8), mbr).check(grub.BIOS)
        self.assert_refused(grub.BIOS, self.array(self.gpt(2)),
                            'expected 2 MiB .* found 1 MiB')

    def test_other_boot_mode(self):
        self.assert_refused(
            UEFI, self.array('label: dos\nstart=2048, type=fd\n'),
            'found 0 MiB in a table of kind mbr')

    def test_no_table(self):
        self.assert_refused(UEFI, self.array(''), 'has no partition table')

    def test_damaged_table(self):
        array = self.array(self.gpt(551))
        with open(array.disks[0], 'r+b') as disk:
            for place in (512, 700 * MIB - 512):
                disk.seek(place + 8)
                disk.write(b'\xff')
        self.assert_refused(UEFI, array, 'disk0 cannot be used: expected')

    def test_bios_boot_partitions_are_made_once(self):
        array = self.array(self.gpt(8), 'label: dos\nstart=2048, type=fd\n')
        array.make_bios_boot_partitions()
        made = [bios.read_table(disk) for disk in array.disks]
        self.assertEqual([2, 1], [len(table.partitions) for table in made])
        array.make_bios_boot_partitions()
        self.assertEqual(made, [bios.read_table(disk)
                                for disk in array.disks])

    def test_boot_partition_that_cannot_be_made(self):
        with self.assertRaisesRegex(errors.DeploymentError,
                                    'disks of /dev/md0 cannot be made to '
                                    'boot'):
            self.array(self.gpt(1)).make_bios_boot_partitions()

    def test_mirror_of_the_esp(self):
        array = self.array(self.gpt(551), self.gpt(551))
        with mock.patch.object(
                raid_utils, 'prepare_boot_partitions_for_softraid',
                autospec=True, return_value='/dev/md1') as prepare:
            self.assertEqual('/dev/md1', array.mirror_esp('/dev/md0p1'))
        prepare.assert_called_once_with(
            '/dev/md0', list(array.disks), '/dev/md0p1', 'uefi')

    def test_a_new_partition_shows_no_former_file_system(self):
        array = self.array(self.gpt(551),
                           f'label: gpt\nsize=100MiB, type={RAID}\n',
                           'label: gpt\nsize=64MiB, type=U\n')
        # Where sgdisk makes a partition, as the agent lets it.
        starts = [512 * int(subprocess.run(
            ['sgdisk', '-F', disk], capture_output=True, text=True,
            check=True).stdout.split()[-1]) for disk in array.disks]
        former = b'\xa5' * 6 * MIB
        for disk, start in zip(array.disks, starts, strict=True):
            with open(disk, 'r+b') as file:
                file.seek(start)
                file.write(former)
        with mock.patch.object(
                raid_utils, 'prepare_boot_partitions_for_softraid',
                autospec=True, return_value='/dev/md1'):
            array.mirror_esp('/dev/md0p1')
        left = []
        for disk, start in zip(array.disks, starts, strict=True):
            with open(disk, 'rb') as file:
                file.seek(start)
                left.append(file.read(6 * MIB).count(0xa5) // MIB)
        # The last one has such a partition.
        self.assertEqual([2, 2, 6], left)

    def halves_left(self, holders, *names):
        """ESPs that stay when a mirror is made, by their disks.

        :param holders: arrays that the one of each disk is in.
        """
        array = self.array(*(
            f'label: gpt\nstart=551MiB, type={RAID}\n'
            f'start=1MiB, size=550MiB, type=U, name={name}\n'
            for name in names))
        with mock.patch.object(
                raid_utils, 'prepare_boot_partitions_for_softraid',
                autospec=True, return_value='/dev/md1'), \
                mock.patch.object(sysfs, 'partitions', autospec=True,
                                  side_effect=lambda disk: {2: f'{disk}p2'}), \
                mock.patch.object(sysfs, 'holders', autospec=True,
                                  side_effect=holders), \
                mock.patch.object(commands, 'run', autospec=True,
                                  side_effect=commands.run) as run:
            array.mirror_esp('/dev/md0p1')
        left = [bool(bios.read_table(disk).first(partitions.ESP))
                for disk in array.disks]
        self.assertEqual(
            [mock.call('partprobe', disk) for disk, stays in zip(
                array.disks, left, strict=True) if not stays],
            [call for call in run.mock_calls if 'partprobe' in call.args])
        return left

    def test_halves_of_a_mirror_that_was_not_made(self):
        self.assertEqual([False, True, False], self.halves_left(
            [[], []], 'uefi-holder-0', 'of-someone', 'uefi-holder-2'))

    def test_halves_of_a_mirror_stay(self):
        for holders in ([['/dev/md1'], ['/dev/md1']], [[], ['/dev/md1']]):
            self.assertEqual([True, True], self.halves_left(
                holders, 'uefi-holder-0', 'uefi-holder-1'))
