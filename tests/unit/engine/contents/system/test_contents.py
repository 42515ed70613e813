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

import collections
import mmap
import random

from ironic_imagedeploy.engine import budget
from ironic_imagedeploy.engine.contents import partitions
from ironic_imagedeploy.engine.contents.system import contents
from tests.support import boot_files
from tests.unit.engine import base
from tests.unit.engine import disks
from tests.unit.engine import good_systems
from tests.unit.engine import system_disks
from tests.unit.engine import systems

#: Name, kernel, root in the menu, consoles, agents and growth.
FOUND = {
    'debian': ('debian 12', '6.1.0-13-amd64',
               f'PARTUUID={systems.PARTUUID.format(3)}',
               'tty0 ttyS0,115200', 'cloud-init', 'cloud-init with growpart'),
    'ubuntu': ('ubuntu 24.04', '6.8.0-31-generic', 'LABEL=cloudimg-rootfs',
               'tty1 ttyS0', 'cloud-init', 'cloud-init with growpart'),
    'fedora': ('fedora 39', '6.5.6-300.fc39.x86_64',
               f'UUID={systems.ROOT_UUID}', 'tty1 ttyS0,115200n8',
               'cloud-init', 'cloud-init with growpart'),
    'centos': ('centos 9', '5.14.0-391.el9.x86_64',
               f'UUID={systems.ROOT_UUID}', 'tty0 ttyS0,115200n8',
               'cloud-init', 'cloud-init with growpart'),
    'suse': ('opensuse 15.5', '5.14.21-150500.55-default',
             f'UUID={systems.ROOT_UUID}', 'ttyS0,115200 tty0', 'cloud-init',
             'kiwi-repart'),
    'alpine': ('alpine 3.19.1', '6.6.14-0-lts', 'LABEL=/',
               'ttyS0,115200 tty0', 'tiny-cloud', 'tiny-cloud'),
    'arch': ('arch ', '6.7.4-arch1-1',
             f'PARTUUID={systems.PARTUUID.format(2)}', '', 'cloud-init',
             'cloud-init with growpart'),
    'unified_arch': ('arch ', '6.7.4-arch1-1',
                     f'PARTUUID={systems.PARTUUID.format(2)}', '',
                     'cloud-init', 'cloud-init with growpart'),
    'logical': ('centos 9', '5.14.0-391.el9.x86_64',
                '/dev/mapper/rhel--x-root--1', 'tty0', 'cloud-init',
                'cloud-init with growpart'),
    'rocky': ('rocky 9.5', good_systems.ROCKY, good_systems.LOGICAL,
              'tty0 ttyS0,115200n8', 'cloud-init',
              'cloud-init with growpart'),
    'rhel': ('rhel 9.4', good_systems.RHEL, f'UUID={systems.ROOT_UUID}',
             'tty0 ttyS0,115200n8', 'cloud-init', 'cloud-init with growpart'),
    'leap': ('opensuse-leap 15.6', good_systems.LEAP,
             f'UUID={systems.ROOT_UUID}', 'ttyS0,115200 tty0', 'cloud-init',
             'kiwi-repart'),
    'microos': ('opensuse-microos 20241125', good_systems.MICROOS,
                f'UUID={systems.ROOT_UUID}', 'ttyS0,115200 tty0',
                'ignition combustion', 'growpart-generator'),
    'coreos': ('fedora 39', '6.5.11-300.fc39.x86_64', '', '', 'ignition',
               'coreos-growpart'),
    'flatcar': ('flatcar 3815.2.2', '', '', '', 'ignition',
                'extend-filesystems')}


class ContentsTestCase(base.EngineTestCase):

    def disk(self, parts: list[systems.Part]) -> mmap.mmap:
        path = system_disks.disk(self.directory, parts)
        with path.open('r+b') as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)

    def read(self, disk: mmap.mmap | bytes,
             drawn: budget.Budget | None = None,
             table: partitions.PartitionTable | None = None
             ) -> contents.Contents:
        def read(offset: int, length: int) -> bytes:
            return disk[offset:offset + length]
        return contents.read(
            read, len(disk), table or partitions.read_table(read, len(disk)),
            drawn or budget.Budget())


class DistributionsTest(ContentsTestCase):

    def test_each(self) -> None:
        for name, make in good_systems.ALL.items():
            with self.subTest(name):
                found = self.read(self.disk(make()))
                assert found.system and found.first_boot and found.growth
                kernels = found.kernels or ()
                self.assertEqual(FOUND[name], (
                    f'{found.system.id} {found.system.version}',
                    ' '.join(kernel.version for kernel in kernels),
                    ' '.join(found.root_names), ' '.join(found.consoles),
                    ' '.join(found.first_boot.agents),
                    ' '.join(found.growth)))
                self.assertTrue(found.has_fallback)
                self.assertEqual((), found.unread)
                self.assertFalse(found.is_dirty)
                for kernel in kernels:
                    self.assertEqual('x86_64', kernel.arch)
                    self.assertIn('ahci', kernel.drivers or ())

    def test_a_root_in_a_logical_volume(self) -> None:
        found = self.read(self.disk(systems.logical()))
        self.assertEqual('centos', found.system and found.system.id)
        self.assertEqual(('rhel-x', 'root-1'),
                         found.root and found.root.logical)
        self.assertEqual(('/dev/mapper/rhel--x-root--1',), found.root_names)
        self.assertEqual('5.14.0-391.el9.x86_64',
                         found.kernels and found.kernels[0].version)
        self.assertEqual((), found.unread)

    def test_a_partition_image(self) -> None:
        root = systems.debian()[-1]
        path = system_disks.disk(self.directory, [root])
        found = self.read(path.read_bytes()[1 << 20:-(1 << 20)])
        self.assertEqual('debian', found.system and found.system.id)
        self.assertIsNone(found.volumes[0].number)
        self.assertIsNone(found.has_fallback)

    def test_far_from_the_bound(self) -> None:
        drawn = budget.Budget()
        self.read(self.disk(systems.fedora()), drawn)
        drawn.draw(budget.ENTRIES * 9 // 10)


class UnreadTest(ContentsTestCase):

    def test_no_system(self) -> None:
        found = self.read(self.disk([systems.esp('x')]))
        self.assertIsNone(found.root)
        self.assertIsNone(found.system)
        self.assertEqual(1, len(found.volumes))
        self.assertEqual((), found.consoles)

    def test_logical_volumes(self) -> None:
        disk = self.disk([systems.esp('x'), systems.BIOS_PART])
        at = 35 << 20
        disk[at + 0x218:at + 0x220] = b'LVM2 001'
        self.assertEqual(1, len(self.read(disk).unread))
        self.assertIn('partition 2: ', self.read(disk).unread[0])

    def test_partitions_that_nobody_looks_at(self) -> None:
        for disk, unread in (
                (disks.mbr(4 << 20, [(0, 0x05, 2048, 4096)]),
                 'partition 1: others are in it'),
                (disks.gpt(4 << 20, [
                    disks.Entry(2048 + number, 2048 + number)
                    for number in range(33)]),
                 'partitions after the first 32')):
            self.assertEqual((unread,), self.read(bytes(disk)).unread)

    def test_a_file_system_without_a_partition(self) -> None:
        disk = b'hsqs'.ljust(1 << 20, b'\0')
        self.assertEqual(('the squashfs file system: a squashfs',),
                         self.read(disk).unread)

    def test_too_much_work(self) -> None:
        """What was found until then is kept."""
        disk = self.disk(systems.debian())
        found = self.read(disk, budget.Budget(entries=1500))
        self.assertEqual('debian', found.system and found.system.id)
        self.assertIsNone(found.can_log_in)
        self.assertIn('the rest: ', found.unread[-1])

    def test_damage(self) -> None:
        """Whatever changes: an answer, and why a part of it is missing."""
        outcomes: collections.Counter[str] = collections.Counter()
        for name in ('debian', 'fedora', 'centos', 'arch'):
            disk = self.disk(good_systems.ALL[name]())
            places: list[int] = []

            def read(offset: int, length: int, disk: mmap.mmap = disk,
                     places: list[int] = places) -> bytes:
                part = disk[offset:offset + length]
                places.extend(offset + at for at, byte in enumerate(part)
                              if byte)
                return part

            table = partitions.read_table(read, len(disk))
            contents.read(read, len(disk), table, budget.Budget())
            dice = random.Random(name)
            for _ in range(60):
                at = dice.choice(places)
                old = disk[at:at + 4]
                disk[at:at + 4] = dice.choice((
                    dice.randbytes(4), b'\xff' * 4, bytes(4)))
                found = self.read(disk, table=table)
                outcomes['unread' if found.unread else 'read'] += 1
                disk[at:at + 4] = old
        self.assertGreater(outcomes['read'], 20, outcomes)
        self.assertGreater(outcomes['unread'], 5, outcomes)


class SecretsTest(ContentsTestCase):

    def test_none_is_shown(self) -> None:
        secret = b'TOP-SECRET-1234'
        tree = {'etc/shadow': b'root:' + secret + b':1:0:::::\n',
                'etc/ssh/ssh_host_rsa_key': secret,
                'root/.bash_history': secret,
                'var/lib/dhcp/dhclient.leases': secret,
                'boot/vmlinuz-9': boot_files.bzimage(version='9')}
        found = self.read(self.disk(systems.changed(systems.debian(), tree)))
        self.assertTrue(found.can_log_in)
        self.assertTrue(found.leftovers and found.leftovers.host_keys)
        self.assertNotIn(secret.decode(), repr(found))
