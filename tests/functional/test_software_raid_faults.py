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

"""A disk of a software RAID fails while it gets its boot loader.

A loop device stands for the array, which is not at fault here; a real one, and
members that fail, need modules that few kernels of test machines have.
"""

import shutil
import subprocess
from unittest import mock

from ironic_imagedeploy.agent.boot import software_raid
from ironic_imagedeploy.agent import sysfs
from tests.functional import partition_images
from tests.support import disks
from tests.support.faults import cuts
from tests.support.faults import disk as faulty
from tests.support.faults import firmware
from tests.support.faults import rules
from tests.support.faults import table
from tests.support import images

MIB = partition_images.MIB
_SIZE = 16 * MIB
#: A BIOS boot partition, from 1 MiB on, and the member.
_TABLE = ('label: gpt\n'
          'size=2MiB, type=21686148-6449-6E6F-744E-656564454649\n'
          'type=A19D880F-05FC-4D3B-A006-743F0F84911E\n')


class FaultyDiskTest(partition_images.PartitionImageTestCase):
    """Two disks with the boot code of a former system."""

    SIZE = 128 * MIB

    def setUp(self) -> None:
        super().setUp()
        self.enterContext(mock.patch.dict(
            partition_images.SIZES, ext4=16 * MIB))
        former = self.directory / 'former'
        disks.fill(former, _SIZE, 0)
        subprocess.run(['sfdisk', '-q', former], input=_TABLE, text=True,
                       check=True)
        with former.open('r+b') as file:
            file.write(images.BOOT_CODE)
        self.former = former
        self.disks = [self.serve(number) for number in range(2)]
        devices = tuple(disk.device for disk in self.disks)
        self.enterContext(mock.patch.object(
            software_raid, 'find', autospec=True,
            return_value=software_raid.Array(
                device=self.device, uuid='5e4f7c2a:0a1b2c3d:11223344:aabbccdd',
                disks=devices)))
        self.enterContext(mock.patch.multiple(
            sysfs, is_array=lambda device: device == self.device,
            members=lambda _: [f'{device}p2' for device in devices]))
        self.use(partition_images.debian, disk_label='gpt')

    def serve(self, number: int) -> faulty.FaultyDisk:
        backing = self.directory / f'disk{number}'
        shutil.copyfile(self.former, backing)
        disk = faulty.FaultyDisk(backing, self.directory)
        self.addCleanup(disk.close)
        disk.on_close(subprocess.run, ['partx', '-d', disk.device])
        disks.run('partx', '-a', disk.device)
        return disk

    def attempt(self, *wanted: rules.Rule, number: int
                ) -> tuple[str, list[list[firmware.Start]]]:
        """Deploy while that goes wrong with a disk.

        :returns: the error, empty without one, and what starts then.
        """
        for disk in self.disks:
            shutil.copyfile(self.former, disk.backing)
            disks.run('blockdev', '--flushbufs', disk.device)
        self.disks[number].set_rules(*wanted)
        try:
            command = self.write_image(root_mb=20)
        finally:
            self.disks[number].set_rules()
        error = command['command_error']
        return error.serialize()['details'] if error else '', [
            [*firmware.starts(cuts.Medium(disk.backing))]
            for disk in self.disks]

    def check(self, fault: str, *wanted: rules.Rule, survives: bool = False
              ) -> None:
        """Let that go wrong with each of the disks.

        :param survives: whether the deployment may end well.
        """
        for number, disk in enumerate(self.disks):
            with self.subTest(fault, number=number):
                before = self.backing.read_bytes()
                error, starts = self.attempt(*wanted, number=number)
                # The former system is whole while the array is as it was.
                half = sum(starts, []) if error and not (
                    'MAY BOOT' in error
                    or before == self.backing.read_bytes()) else []
                lost = not error and not all(starts)
                table.add(table.Row(
                    'raid', fault, tries=1, refused=int(bool(error)),
                    survived=int(not error and not lost), lost=int(lost),
                    half=len(half)))
                self.assertEqual([], half)
                self.assertFalse(lost)
                if error or not survives:
                    self.assertIn(disk.device, error)

    def test_one_place(self) -> None:
        for place, at in (('boot sector', 0), ('core of grub2', MIB + 4096)):
            self.check(
                f'EIO of writing the {place} of a disk',
                rules.Rule('write', 'fail', start=at, end=at + 512))

    def test_flush(self) -> None:
        for skip in range(3):
            self.check('EIO of a flush of a disk', rules.Rule(
                'flush', 'fail', skip=skip))

    def test_a_disk_that_drops_out(self) -> None:
        for kind in ('write', 'all'):
            for skip in (0, 1, 2, 5):
                self.check('a disk drops out', rules.Rule(
                    kind, 'fail', skip=skip), survives=skip > 1)

    def test_a_slow_disk(self) -> None:
        self.check('a slow disk', rules.Rule('all', 'delay', seconds=0.05),
                   survives=True)
