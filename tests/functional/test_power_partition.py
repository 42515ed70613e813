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

"""The power fails while a partition image is written, with its boot loader."""

import pathlib
import shutil
import subprocess
from unittest import mock

from tests.functional import partition_images
from tests.support.faults import cuts
from tests.support.faults import deployed
from tests.support.faults import disk as faulty
from tests.support.faults import firmware
from tests.support.faults import power
from tests.support.faults import systems
from tests.support.faults import table

MIB = partition_images.MIB


class PartitionPowerTestCase(partition_images.PartitionImageTestCase):
    """The agent, with a disk that records what reaches it."""

    SIZE = 128 * MIB

    def setUp(self) -> None:
        super().setUp()
        self.enterContext(mock.patch.dict(
            partition_images.SIZES, ext4=16 * MIB))
        if lacking := systems.lacking():
            self.skipTest(f'needs the package {lacking}')

    def _attach(self) -> str:
        self.faulty = faulty.FaultyDisk(self.backing, self.directory,
                                        sector_size=self.SECTOR_SIZE)
        self.addCleanup(self.faulty.close)
        self.faulty.on_close(subprocess.run, [
            'partx', '-d', self.faulty.device])
        return self.faulty.device

    def deploy(self, name: str, **info: object) -> deployed.DeployedSystem:
        """Deploy the image; the system that is on the disk then."""
        self.written(root_mb=20, **info)
        path = self.directory / name
        shutil.copy(self.backing, path)
        first, end = (
            int(pathlib.Path('/sys/class/block', pathlib.Path(
                self.partition()).name, number).read_text()) * 512
            for number in ('start', 'size'))
        esp = None
        root = (first, first + end)
        needed = []
        if self.standby.partition_uuids['partitions'].get(
                'efi system partition'):
            esp = int(pathlib.Path('/sys/class/block', pathlib.Path(
                self.partition('efi system partition')).name, 'start'
            ).read_text()) * 512
        else:
            needed = [(0, 440), (512, MIB)]
            if core := self.standby.partition_uuids['partitions'].get(
                    'BIOS Boot partition'):
                at = int(pathlib.Path('/sys/class/block', pathlib.Path(
                    core).name, 'start').read_text()) * 512
                needed = [(0, 440), (at, at + MIB)]
        # What is small is compared first.
        return deployed.DeployedSystem(name, path, esp, [*needed, root])

    def check(self, name: str, *old: deployed.DeployedSystem,
              **info: object) -> None:
        """Deploy, and judge each state that a power cut may leave.

        :param old: what may be on the disk before.
        """
        began = len(self.faulty.recording().epochs)
        before = self.directory / 'before'
        shutil.copy(self.backing, before)
        new = self.deploy('NEW', **info)
        made = self.faulty.recording().since(began)
        medium = cuts.Medium(before)
        verdicts = power.Verdicts([medium], [new, *old], self.SECTOR_SIZE)
        cuts.replay(made, medium, verdicts.judge, sectors=firmware.sectors(
            self.SIZE, self.SECTOR_SIZE), sector_size=self.SECTOR_SIZE,
            effort=table.effort() / 3)
        table.add(verdicts.row('power', name))
        self.assertEqual([], [str(half) for half in verdicts.halves[:20]],
                         f'{len(verdicts.halves)} of {verdicts.tries}')
        self.assertGreater(verdicts.counts['NEW'], 0, verdicts.counts)
        self.assertGreater(verdicts.counts[power.NOTHING], 100)

    def again(self, name: str, boot_mode: str = 'bios', **info: object
              ) -> None:
        self.use(partition_images.debian, boot_mode=boot_mode)
        old = self.deploy('OLD', **{
            **info, 'preserve_ephemeral': False})
        self.use(partition_images.debian, lambda tree: partition_images.put(
            tree, 'boot/vmlinuz-6.2', b'a newer kernel'),
            boot_mode=boot_mode)
        self.check(name, old, **info)


class NewTest(PartitionPowerTestCase):
    """A disk that was never used."""

    def test_bios(self):
        self.use(partition_images.debian)
        self.check('partition image, BIOS, MBR')

    def test_bios_with_gpt(self):
        self.use(partition_images.debian, disk_label='gpt')
        self.check('partition image, BIOS, GPT')

    def test_uefi(self):
        self.use(partition_images.debian, boot_mode='uefi')
        self.check('partition image, UEFI')


class AgainTest(PartitionPowerTestCase):
    """A disk with another system in the same places."""

    def test_bios(self):
        self.again('partition image over another, BIOS')

    def test_uefi(self):
        self.again('partition image over another, UEFI', 'uefi')

    def test_bios_with_an_ephemeral_partition_that_stays(self):
        self.again('rebuild with preserve_ephemeral, BIOS',
                   ephemeral_mb=16, ephemeral_format='ext4',
                   preserve_ephemeral=True)

    def test_uefi_with_an_ephemeral_partition_that_stays(self):
        self.again('rebuild with preserve_ephemeral, UEFI', 'uefi',
                   ephemeral_mb=16, ephemeral_format='ext4',
                   preserve_ephemeral=True)


class LargeSectorsTest(PartitionPowerTestCase):
    """Sectors of 4096 bytes, which no BIOS starts from."""

    SECTOR_SIZE = 4096

    def test_over_another_system(self):
        self.again('partition image over another, UEFI, 4096', 'uefi')

    def test_with_an_ephemeral_partition_that_stays(self):
        self.again('rebuild with preserve_ephemeral, UEFI, 4096', 'uefi',
                   ephemeral_mb=16, ephemeral_format='ext4',
                   preserve_ephemeral=True)
