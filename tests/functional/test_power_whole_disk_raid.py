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

"""The power fails while an image of a whole disk goes to a software RAID.

An array needs modules of the kernel that few machines of tests have, and so
does a FAT. Here a loop device stands for the array, an EFI system partition
for its mirror, and mtools copy the files.
"""

import pathlib
import shutil
import subprocess
import typing

from oslo_concurrency import processutils

from ironic_python_agent import config  # noqa: F401 (before raid_utils)
from ironic_python_agent import raid_utils
from ironic_python_agent import utils

from ironic_imagedeploy.agent.boot import software_raid
from ironic_imagedeploy.agent import sysfs
from tests.functional import partition_images
from tests.support import disks
from tests.support.faults import cuts
from tests.support.faults import deployed
from tests.support.faults import disk as faulty
from tests.support.faults import firmware
from tests.support.faults import power
from tests.support.faults import systems
from tests.support.faults import table
from tests.support import images

MIB = partition_images.MIB
_ESP_MIB = 36
#: Of a disk of the array: what ironic-python-agent leaves for an ESP.
_TABLE = ('label: gpt\nstart=38MiB, '
          'type=A19D880F-05FC-4D3B-A006-743F0F84911E\n')
_DISK_SIZE = 48 * MIB
_FILES = {'EFI/debian/grub.cfg': b'a menu\n' * 99,
          'EFI/debian/BOOTX64.CSV': 'shimx64.efi,debian\n'.encode('utf-16'),
          'EFI/Linux/system.efi': bytes(range(256)) * (MIB >> 7),
          'loader/loader.conf': b'timeout 0\n'}


class WholeDiskPowerTest(partition_images.PartitionImageTestCase):
    """The agent, with a disk of an array that records what reaches it."""

    SIZE = 64 * MIB

    def setUp(self) -> None:
        super().setUp()
        if lacking := systems.lacking():
            self.skipTest(f'needs the package {lacking}')
        member = self.directory / 'member'
        disks.fill(member, _DISK_SIZE, 0)
        images.fill_esp(member, start=MIB, size=16 * MIB)
        subprocess.run(['sfdisk', '-q', member], input=_TABLE, text=True,
                       check=True)
        self.faulty = faulty.FaultyDisk(member, self.directory)
        self.addCleanup(self.faulty.close)
        self.faulty.on_close(subprocess.run,
                             ['partx', '-d', self.faulty.device])
        disks.run('partx', '-a', self.faulty.device)
        self.mirror = f'{self.faulty.device}p2'
        self.is_mirrored = False
        self.power_fails = False
        self.execute = utils.execute
        self.mounted: dict[str, str] = {}
        self.patched(utils, 'execute', self._execute)
        for owner, name, stand_in in (
                (raid_utils, 'ESP_SIZE_MIB', _ESP_MIB),
                (software_raid, '_ESP_MIB', _ESP_MIB),
                (raid_utils, 'find_esp_raid', self._find_mirror),
                (raid_utils, 'get_next_free_raid_device',
                 lambda: self.mirror),
                (sysfs, 'is_array', lambda device: device == self.device),
                (sysfs, 'members', lambda _: [f'{self.faulty.device}p1']),
                (sysfs, 'holders', self._holders),
                (software_raid, 'find', lambda _: software_raid.Array(
                    device=self.device, uuid='',
                    disks=(self.faulty.device,)))):
            self.patched(owner, name, stand_in)
        self.node['properties'] = {'capabilities': 'boot_mode:uefi'}
        self.node['driver_internal_info'] = {
            'imagedeploy': {'own_boot_loader': True}}

    def _find_mirror(self) -> str | None:
        return self.mirror if self.is_mirrored else None

    def _holders(self, partition: str) -> list[str]:
        return [partition] if partition == self._find_mirror() else []

    def _execute(self, *command: typing.Any, **options: typing.Any
                 ) -> tuple[str, str]:
        """What the kernel does is done by mtools, and for this disk alone."""
        match command:
            case 'mdadm', '--create', *_:
                if self.power_fails:
                    raise processutils.ProcessExecutionError('no power')
                self.is_mirrored = True
                return '', ''
            case 'partprobe', *_:
                return self.execute('partx', '-u', self.faulty.device)
            case 'blkid', '-l', *_:
                return f'{self.mirror}: ', ''
            case 'mount', device, place, *_:
                self.mounted[place] = device
                if device != self.mirror:
                    disks.run('mcopy', '-s', '-n', '-i', device, '::*', place)
                return '', ''
            case 'umount', place:
                if (device := self.mounted.pop(place)) == self.mirror:
                    disks.run('mcopy', '-s', '-n', '-i', device,
                              *map(str, pathlib.Path(place).iterdir()), '::')
                return '', ''
        return self.execute(*command, **options)

    def use_system(self, name: str) -> None:
        """Deploy that system, with more files in its ESP."""
        self.guest = self.directory / 'guest'
        self.guest.write_bytes(systems.make('both', name).content)
        start = systems.LAYOUTS['both'].esp.start * systems.SECTOR
        esp = f'{self.guest}@@{start}'
        disks.run('mmd', '-i', esp, '::EFI/debian', '::EFI/Linux', '::loader')
        file = self.directory / 'file'
        for path, content in _FILES.items():
            file.write_bytes(name.encode() + content)
            disks.run('mcopy', '-i', esp, file, f'::{path}')
        self.image = images.convert(self.guest,
                                    self.directory / 'disk.qcow2')

    def deploy(self, name: str) -> deployed.DeployedSystem:
        """Deploy a system; the disk of the array as it is then."""
        self.use_system(name)
        self.written(image_type='whole-disk')
        self.assertEqual('uefi', self.standby.partition_uuids['bootloader'])
        path = self.directory / name
        shutil.copy(self.faulty.backing, path)
        for file, content in _FILES.items():
            self.assertEqual(name.encode() + content, subprocess.run(
                ['mtype', '-i', f'{path}@@{MIB}', f'::{file}'], check=True,
                capture_output=True).stdout)
        return deployed.DeployedSystem(name, path, MIB, [])

    def check(self, name: str, *old: deployed.DeployedSystem) -> None:
        """Deploy, and judge each state that a power cut may leave.

        :param old: what may be on the disk before.
        """
        began = len(self.faulty.recording().epochs)
        before = self.directory / 'before'
        shutil.copy(self.faulty.backing, before)
        new = self.deploy('NEW')
        medium = cuts.Medium(before)
        verdicts = power.Verdicts([medium], [new, *old])
        cuts.replay(self.faulty.recording().since(began), medium,
                    verdicts.judge, effort=table.effort() / 3,
                    sectors=[*firmware.sectors(_DISK_SIZE), MIB])
        table.add(verdicts.row('power', name))
        self.assertEqual([], [str(half) for half in verdicts.halves[:20]],
                         f'{len(verdicts.halves)} of {verdicts.tries}')
        self.assertGreater(verdicts.counts['NEW'], 0, verdicts.counts)
        self.assertGreater(verdicts.counts[power.NOTHING], 50)

    def test_new_array(self) -> None:
        """Where a partition will be, a former system had its own."""
        self.check('whole disk on a software RAID')

    def test_half_of_a_mirror_that_was_not_made(self) -> None:
        self.power_fails = True
        self.use_system('OLD')
        self.assertIn('made to boot', self.failed(image_type='whole-disk'))
        self.power_fails = False
        self.deploy('NEW')

    def test_over_another_system(self) -> None:
        self.check('whole disk on a software RAID, over another',
                   self.deploy('OLD'))
