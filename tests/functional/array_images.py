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

"""Deployments to a software RAID, inside of the machine of test_array_machine.

The agent makes the array, as it does in a ramdisk, of the machine's two disks.
These are recorded, and fail, outside: see :mod:`tests.support.faults.outside`.
"""

import os
import pathlib
import subprocess
import typing
from unittest import mock

from ironic_python_agent import config  # noqa: F401 (before raid_utils)
from ironic_python_agent import raid_utils

from ironic_imagedeploy.agent.boot import software_raid
from ironic_imagedeploy.agent import sysfs
from ironic_imagedeploy.engine.contents import partitions
from tests.functional import inside
from tests.functional import partition_images
from tests.support import commands
from tests.support import disks
from tests.support.faults import outside

MIB = partition_images.MIB
#: Bytes of each disk.
SIZE = 80 * MIB
DISKS = ('/dev/vda', '/dev/vdb')
#: MiB of an EFI system partition; a real one has 550.
_ESP = 16
_SECTOR = 512


class ArrayTestCase(partition_images.PartitionImageTestCase):
    """The agent on a machine with two disks, for one system."""

    def setUp(self) -> None:
        folder = os.environ.get(inside.INSIDE)
        if not folder:
            self.skipTest('for the machine of test_array_machine only')
        self.outside = outside.Orders(pathlib.Path(folder))
        self.outside.fill(0)
        self.look_again()
        super().setUp()
        self.enterContext(mock.patch.dict(
            partition_images.SIZES, ext4=16 * MIB))
        self.patched(raid_utils, 'ESP_SIZE_MIB', _ESP)
        self.patched(software_raid, '_ESP_MIB', _ESP)
        self.conf.config(efi_system_partition_size=_ESP,
                         group='disk_utils')
        self._arrays: dict[str, list[str]] = {}
        self.addCleanup(self.stop)

    def _replace_disk_tools(self) -> None:
        self.device = '/dev/md0'
        self.machine.set_disk(self.device)

    def look_again(self) -> None:
        """Let the kernel see that the disks were changed outside."""
        for disk in DISKS:
            disks.run('blockdev', '--flushbufs', disk)
            disks.run('blockdev', '--rereadpt', disk)

    def create(self) -> None:
        """Let the agent create the array, for what is used."""
        self.node['target_raid_config'] = {'logical_disks': [{
            'size_gb': 'MAX', 'raid_level': '1', 'controller': 'software',
            'physical_disks': [{'name': name} for name in DISKS]}]}
        self.machine.create_configuration(self.node, [])
        disks.run('mdadm', '--wait-clean', self.device)

    def stop(self) -> None:
        """Take the arrays apart, as before a machine is switched off."""
        disks.run('sync')
        for path in pathlib.Path('/sys/block').glob('md*/md'):
            device = f'/dev/{path.parent.name}'
            # One that fell out is a member again the next time.
            self._arrays.setdefault(device, sysfs.members(device))
            # Somebody, as udev, may still look at it.
            commands.wait_for(
                f'end of {device}', timeout=60,
                condition=lambda device=device: not subprocess.run(
                    ['mdadm', '--stop', device], capture_output=True
                ).returncode)

    def assemble(self) -> None:
        """Put together again what was taken apart."""
        for device, members in self._arrays.items():
            disks.run('mdadm', '--assemble', device, *members)

    def about(self, root: str) -> dict[str, typing.Any]:
        """Where on the disks the deployed system is, for each of them.

        :param root: the partition in the array that has it.
        :returns: first bytes of the ``esp``, ranges that are ``needed``
            beside it, and those of the ``array``.
        """
        places = _range(root)
        halves = {sysfs.disk_of(half): _range(half)[0]
                  for array in self._mirrors() for half in
                  sysfs.members(array)}
        array = []
        for member in sysfs.members(self.device):
            name = pathlib.Path(member).name
            begin = _range(member)[0] + _SECTOR * int(pathlib.Path(
                '/sys/block/md0/md', f'dev-{name}', 'offset').read_text())
            array.append([[begin + at for at in places]])
        return {'esp': [halves.get(disk) for disk in DISKS],
                'needed': [[] if halves else _grub(disk) for disk in DISKS],
                'array': array}

    def _mirrors(self) -> list[str]:
        """Arrays beside the one that has the system."""
        return [f'/dev/{path.parent.name}' for path in pathlib.Path(
            '/sys/block').glob('md*/md') if path.parent.name != 'md0']


def _range(partition: str) -> list[int]:
    """First byte of a partition on its disk, and the one after its last."""
    start, size = (_SECTOR * int(pathlib.Path(
        '/sys/class/block', pathlib.Path(partition).name, name).read_text())
        for name in ('start', 'size'))
    return [start, start + size]


def _grub(disk: str) -> list[list[int]]:
    """Ranges of a disk that a BIOS begins with: a boot sector, and a core."""
    with open(disk, 'rb') as file:
        def read(offset: int, length: int) -> bytes:
            file.seek(offset)
            return file.read(length)

        table = partitions.read_table(read, SIZE)
    assert table is not None
    core = table.first(partitions.BIOS_BOOT)
    return [[0, 440], [core.start, core.end] if core else [
        _SECTOR, min(each.start for each in table.partitions)]]
