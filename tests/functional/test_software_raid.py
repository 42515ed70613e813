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

"""What gets grub2 where the root is in a software RAID.

An array needs a module of the kernel that few machines of tests have. Here a
loop device stands for it: what grub2 and a kernel make of the real one is
seen when the lab deploys to one.
"""

import subprocess
from unittest import mock

from ironic_python_agent import config  # noqa: F401 (before raid_utils)
from ironic_python_agent import raid_utils

from ironic_imagedeploy.agent.boot import software_raid
from ironic_imagedeploy.agent import sysfs
from ironic_imagedeploy import engine
from tests.functional import base
from tests.functional import partition_images
from tests.functional.partition_images import put
from tests.support import disks
from tests.support import images

MIB = base.MIB
UUID = '5e4f7c2a:0a1b2c3d:11223344:aabbccdd'
OPTION = f'rd.md.uuid={UUID}'
RAID = 'A19D880F-05FC-4D3B-A006-743F0F84911E'


class SoftwareRaidTest(partition_images.PartitionImageTestCase):

    def on_disks(self, *tables: str) -> list[str]:
        """Let the array have its members on disks with these tables."""
        members = []
        for number, table in enumerate(tables):
            backing = self.directory / f'member{number}'
            disks.fill(backing, 16 * MIB, 0)
            subprocess.run(['sfdisk', '-q', backing], input=table, text=True,
                           check=True)
            device = disks.attach(backing)
            self.addCleanup(disks.run, 'losetup', '-d', device)
            self.addCleanup(subprocess.run, ['partx', '-d', device],
                            capture_output=True)
            members.append(device)
        self.enterContext(mock.patch.object(
            software_raid, 'find', autospec=True,
            return_value=software_raid.Array(
                device=self.device, uuid=UUID, disks=tuple(members))))
        return members

    def core(self, device: str, start: int) -> bytes:
        """The core of grub2 that the first sector leads to."""
        first = disks.first_bytes(device, 16 * MIB)
        self.assertEqual(start, int.from_bytes(first[0x5c:0x64], 'little'))
        self.assertEqual(b'\x55\xaa', first[510:512])
        return first[start * 512:]

    def test_grub_on_each_disk(self):
        members = self.on_disks(
            'label: dos\nstart=2048, type=fd\n',
            f'label: gpt\nstart=8MiB, type={RAID}\n')
        self.use(partition_images.debian, disk_label='gpt')
        self.written()
        on_mbr, on_gpt = self.core(members[0], 1), self.core(members[1], 2048)
        # The same but for where it is; the array itself has none.
        self.assertEqual(on_mbr[512:80 << 10], on_gpt[512:80 << 10])
        self.assertNotEqual(bytes(512), on_mbr[512:1024])
        self.assertEqual(bytes(440), disks.first_bytes(self.device, 440))
        self.assertIn(f" ro '{OPTION}' 'console=ttyS0", self.menu())

    def test_no_disk_starts_the_former_system_meanwhile(self):
        members = self.on_disks(*[
            f'label: gpt\nsize=4MiB, type=U\nstart=8MiB, type={RAID}\n'] * 2)
        for member in members:
            disks.run('partx', '-a', member)
            disks.run('mkfs.vfat', f'{member}p1')
            with open(member, 'r+b') as disk:
                disk.write(images.BOOT_CODE)
        self.enterContext(mock.patch.multiple(
            sysfs, is_array=lambda device: device == self.device,
            members=lambda _: [f'{member}p2' for member in members]))
        transfer, seen = engine.transfer, []

        def write(*arguments, **options):
            seen.extend(disks.first_bytes(member, 5 * MIB)
                        for member in members)
            return transfer(*arguments, **options)

        self.use(partition_images.debian, disk_label='gpt')
        with mock.patch.object(engine, 'transfer', write):
            self.written()
        for content in seen:
            self.assertFalse(any(content[:440]))
            self.assertEqual(b'EFI PART', content[512:520])
            self.assertFalse(any(content[MIB:]))
        self.assertEqual(2, len(seen))

    def test_the_mirror_of_the_esp_is_made_before_it_is_filled(self):
        members = self.on_disks(*[
            f'label: gpt\nsize=4MiB, type=U\nstart=8MiB, type={RAID}\n'] * 2)
        for member in members:
            disks.run('partx', '-a', member)
        backing = self.directory / 'mirror'
        disks.fill(backing, 16 * MIB, 0)
        mirror = disks.attach(backing)
        self.addCleanup(disks.run, 'losetup', '-d', mirror)

        def prepare(device, holders, esp, boot_mode):
            self.assertEqual('', disks.run('mdir', '-b', '-i', esp, '::'))
            disks.run('mkfs.vfat', mirror)
            return mirror

        self.enterContext(mock.patch.object(
            raid_utils, 'prepare_boot_partitions_for_softraid', prepare))
        self.enterContext(mock.patch.object(
            sysfs, 'members', autospec=True,
            return_value=[f'{member}p1' for member in members]))
        self.use(partition_images.debian, boot_mode='uefi')
        self.written()
        self.assertIn('::/EFI/BOOT/BOOTX64.EFI', disks.run(
            'mdir', '-b', '-i', mirror, '::EFI/BOOT'))

    def test_options_of_a_later_menu(self):
        self.on_disks('label: dos\nstart=2048, type=fd\n')
        defaults = 'etc/default/grub'
        for dracut, expected in ((False, 0), (True, 1)):
            self.use(partition_images.debian, *([lambda tree: put(
                tree, 'usr/lib/dracut/dracut.conf.d/x', b'')] * dracut))
            self.written()
            with self.root() as root:
                text = root.read(defaults).decode()
            self.assertEqual(expected, text.count(OPTION))
            self.assertEqual('console=ttyS0,115200n8' + f' {OPTION}' * dracut,
                             subprocess.run(
                ['sh', '-c', text + 'echo "$GRUB_CMDLINE_LINUX"'],
                capture_output=True, text=True, check=True).stdout.strip())

    def test_a_disk_without_room(self):
        self.on_disks('label: dos\nstart=2048, type=fd\n')
        self.use(partition_images.debian, boot_mode='uefi')
        self.assertIn('has no place for the boot loader x86_64-efi',
                      self.failed())
        self.assertEqual(bytes(MIB), disks.first_bytes(self.device, MIB))
