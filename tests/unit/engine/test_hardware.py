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

import pathlib

from ironic_imagedeploy.engine import hardware
from tests.unit.engine import base

Device = hardware.Device
DISK, NETWORK = hardware.Kind.DISK, hardware.Kind.NETWORK
AHCI = 'pci:v00008086d0000A102sv000015D9sd00000884bc01sc06i01'
IGB = 'pci:v00008086d00001521sv000015D9sd00001521bc02sc00i00'
NVME = 'pci:v0000144Dd0000A808sv0000144Dsd0000A801bc01sc08i02'
#: Devices with what they are named by, and their drivers.
DEVICES = {
    'pci0000:00/0000:00:1f.2': (AHCI, 'ahci'),
    'pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0':
        ('scsi:t-0x00', 'sd'),
    'pci0000:00/0000:00:1c.0':
        ('pci:v00008086d0000A110sv0sd0bc06sc04i00', 'pcieport'),
    'pci0000:00/0000:00:1c.0/0000:01:00.0': (IGB, 'igb'),
    'pci0000:00/0000:00:04.0':
        ('pci:v00001AF4d00001042sv00001AF4sd00000002bc01sc00i00',
         'virtio-pci'),
    'pci0000:00/0000:00:04.0/virtio1': ('virtio:d00000002v00001AF4',
                                        'virtio_blk')}
CLASSES = {
    'block/sda': 'pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0/'
                 'block/sda',
    'block/sda1': 'pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0/'
                  'block/sda/sda1',
    'block/vda': 'pci0000:00/0000:00:04.0/virtio1/block/vda',
    'block/loop0': 'virtual/block/loop0', 'net/lo': 'virtual/net/lo',
    'net/eno1': 'pci0000:00/0000:00:1c.0/0000:01:00.0/net/eno1'}


class DevicesTest(base.EngineTestCase):

    def make(self) -> pathlib.Path:
        """A sysfs with :data:`DEVICES`."""
        sysfs = self.directory / 'sys'
        for path, (alias, driver) in DEVICES.items():
            folder = sysfs / 'devices' / path
            folder.mkdir(parents=True)
            (folder / 'modalias').write_text(alias + '\n')
            target = sysfs / 'bus/any/drivers' / driver
            target.mkdir(parents=True)
            (folder / 'driver').symlink_to(target)
        module = sysfs / 'module/igb'
        module.mkdir(parents=True)
        (sysfs / 'bus/any/drivers/igb/module').symlink_to(module)
        for name, path in CLASSES.items():
            folder = sysfs / 'devices' / path
            folder.mkdir(parents=True, exist_ok=True)
            if 'virtual' not in path and name != 'block/sda1':
                (folder / 'device').symlink_to(folder.parents[1])
            link = sysfs / 'class' / name
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(folder)
        return sysfs

    def test_what_needs_a_driver(self) -> None:
        self.assertEqual({
            Device(kind=DISK, alias=AHCI, name='sda', driver='ahci',
                   is_root=None),
            Device(kind=DISK, name='vda', driver='virtio_blk',
                   alias='virtio:d00000002v00001AF4', is_root=None),
            Device(kind=DISK, name='vda', driver='virtio_pci',
                   alias=DEVICES['pci0000:00/0000:00:04.0'][0],
                   is_root=None),
            Device(kind=NETWORK, alias=IGB, name='eno1', driver='igb')},
            {*hardware.devices(self.make())})

    def roots(self, sysfs: pathlib.Path, device: str) -> set[str]:
        """Names of what the disk for an image hangs on."""
        return {f'{found.name} {found.driver}'
                for found in hardware.devices(sysfs, root=device)
                if found.is_root}

    def test_the_disk_for_an_image(self) -> None:
        sysfs = self.make()
        self.assertEqual(set(), self.roots(sysfs, ''))
        self.assertEqual(set(), self.roots(sysfs, '/dev/sdb'))
        self.assertEqual({'sda ahci'}, self.roots(sysfs, '/dev/sda'))
        self.assertEqual({'vda virtio_blk', 'vda virtio_pci'},
                         self.roots(sysfs, '/dev/vda'))

    def test_a_partition_for_an_image(self) -> None:
        sysfs = self.make()
        (sysfs / 'class/block/sda1/partition').write_text('1\n')
        self.assertEqual({'sda ahci'}, self.roots(sysfs, '/dev/sda1'))

    def test_an_array_for_an_image(self) -> None:
        sysfs = self.make()
        folder = sysfs / 'devices/virtual/block/md127/slaves'
        folder.mkdir(parents=True)
        (sysfs / 'class/block/md127').symlink_to(folder.parent)
        for name in ('sda', 'vda', 'md127'):
            (folder / name).symlink_to(sysfs / 'class/block' / name)
        self.assertEqual(
            {'sda ahci', 'vda virtio_blk', 'vda virtio_pci'},
            self.roots(sysfs, '/dev/md127'))

    def test_an_nvme_disk_of_several_controllers(self) -> None:
        sysfs = self.make()
        controller = sysfs / 'devices/pci0000:00/0000:00:05.0'
        (controller / 'nvme/nvme0').mkdir(parents=True)
        (controller / 'modalias').write_text(NVME)
        (sysfs / 'bus/any/drivers/nvme').mkdir()
        (controller / 'driver').symlink_to(sysfs / 'bus/any/drivers/nvme')
        subsystem = (sysfs / 'devices/virtual/nvme-subsystem/nvme-subsys0')
        disk = subsystem / 'nvme0n1'
        disk.mkdir(parents=True)
        (disk / 'device').symlink_to(subsystem)
        (subsystem / 'nvme0').symlink_to(controller / 'nvme/nvme0')
        (sysfs / 'class/block/nvme0n1').symlink_to(disk)
        self.assertEqual({'nvme0n1 nvme'},
                         self.roots(sysfs, '/dev/nvme0n1'))

    def test_no_sysfs(self) -> None:
        self.assertEqual((), hardware.devices(self.directory / 'none'))

    def test_this_machine(self) -> None:
        for device in hardware.devices():
            self.assertTrue(device.name and device.driver)
