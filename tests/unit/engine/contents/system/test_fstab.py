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

import random
import unittest

from ironic_imagedeploy.engine.contents import partitions
from ironic_imagedeploy.engine.contents.system import fstab
from ironic_imagedeploy.engine.contents.system import volumes

UUID = '6d1f2b3c-0000-4000-8000-00000000000a'
ROOT = volumes.Volume(
    number=3, length=1 << 20, kind='ext4', uuid=UUID, label='root',
    partition=partitions.Partition(
        number=3, start=0, length=1 << 20, type='x', name='the root',
        uuid='aabbccdd-03'))
OTHER = volumes.Volume(number=13, length=1 << 20)


class DeviceTest(unittest.TestCase):

    def test_which_volume(self) -> None:
        for name in (f'UUID={UUID}', f'UUID="{UUID.upper()}"', 'LABEL=root',
                     f'/dev/disk/by-uuid/{UUID}', 'PARTUUID=AABBCCDD-03',
                     'PARTLABEL=the root', '/dev/vda3', '/dev/nvme0n1p3',
                     '/dev/mmcblk0p3', '/dev/disk/by-partlabel/the root'):
            self.assertIs(ROOT, fstab.device(name).find([OTHER, ROOT]), name)
        for name in ('UUID=', 'LABEL=', 'LABEL=ROOT', 'PARTUUID=', '/dev/sda',
                     'PARTLABEL=', '/dev/sda1', '/dev/mapper/root', 'tmpfs',
                     '/dev/sda99999999999999999999'):
            self.assertIsNone(fstab.device(name).find([OTHER, ROOT]), name)

    def test_names_that_change(self) -> None:
        for name in ('/dev/sda', '/dev/sdaa12', '/dev/vda1', '/dev/hda1',
                     '/dev/xvda', '/dev/nvme0n1p2', '/dev/mmcblk0p1',
                     '/dev/disk/by-id/ata-sda1', '/dev/disk/by-id/wwn-0x5-1',
                     '/dev/disk/by-path/pci-0000:00:05.0-part3'):
            self.assertTrue(fstab.device(name).changes, name)
        for name in (f'UUID={UUID}', '/dev/disk/by-id/dm-name-x', '/dev/sr0',
                     '/dev/mapper/vg-root', '/dev/md0', '/dev/zram0',
                     '/dev/root', 'sda1', 'LABEL=/dev/sda1'):
            self.assertFalse(fstab.device(name).changes, name)


class TableTest(unittest.TestCase):

    def test_lines(self) -> None:
        found = [*fstab.parse(
            b'# comment\n\n UUID=x\t/  ext4\tdefaults,noatime 0 1\n'
            b'/dev/sdb1 /mnt/a\\040b vfat noauto\n/swapfile none swap\n'
            b'one two\n')]
        self.assertEqual(
            [('UUID=x', '/', 'ext4', ('defaults', 'noatime'), False),
             ('/dev/sdb1', '/mnt/a b', 'vfat', ('noauto',), True),
             ('/swapfile', 'none', 'swap', (), False)],
            [(mount.device.name, mount.point, mount.kind, mount.options,
              mount.is_optional) for mount in found])

    def test_subvolumes(self) -> None:
        for options, found in (
                ('rw,subvolid=256,subvol=/@/home', '/@/home'),
                ('subvol=@', '@'), ('subvol=a,subvol=b', 'b'),
                ('defaults', ''), ('x-subvol=a', '')):
            mount, = fstab.parse(f'UUID=x /home btrfs {options}\n'.encode())
            self.assertEqual(found, mount.subvolume)

    def test_any_bytes(self) -> None:
        dice = random.Random(1)
        for _ in range(500):
            for mount in fstab.parse(dice.choice((b'', b'/dev/sda1 / ext4 '))
                                     + dice.randbytes(200) * 3):
                mount.device.find([ROOT])
        self.assertLessEqual(len([*fstab.parse(b'a / b\n' * 100_000)]), 200)
