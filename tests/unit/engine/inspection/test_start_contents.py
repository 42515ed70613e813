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

"""What is found about the contents of a system that are known."""

import typing
import unittest

from ironic_imagedeploy.engine.contents import partitions
from ironic_imagedeploy.engine.contents.system import contents as _contents
from ironic_imagedeploy.engine.contents.system import first_boot
from ironic_imagedeploy.engine.contents.system import fstab
from ironic_imagedeploy.engine.contents.system import growth
from ironic_imagedeploy.engine.contents.system import installed_kernels
from ironic_imagedeploy.engine.contents.system import leftovers
from ironic_imagedeploy.engine.contents.system import loaders
from ironic_imagedeploy.engine.contents.system import menus
from ironic_imagedeploy.engine.contents.system import network
from ironic_imagedeploy.engine.contents.system import unified_kernels
from ironic_imagedeploy.engine.contents.system import volumes
from ironic_imagedeploy.engine import findings
from ironic_imagedeploy.engine.inspection.checks import start

MIB = 1 << 20
LINUX = '0fc63daf-8483-4772-8e79-3d69d8477de4'
UUIDS = [f'0123abcd-000{number}' for number in range(5)]
MISSING = 'abcd0123-ffff'


def partition(number: int, kind: str = LINUX) -> partitions.Partition:
    return partitions.Partition(number=number, start=number * MIB,
                                length=MIB, type=kind, name=f'part{number}')


def volume(number: int, **values: typing.Any) -> volumes.Volume:
    """The file system of a partition."""
    return volumes.Volume(**{
        'number': number, 'start': number * MIB, 'length': MIB,
        'kind': 'ext4', 'uuid': UUIDS[number], 'label': f'label{number}',
        'partition': partition(number), **values})


def lines(*options: str) -> tuple[menus.CommandLine, ...]:
    return tuple(menus.CommandLine.parse('grub.cfg', each)
                 for each in options)


class ContentsTestCase(unittest.TestCase):
    """A disk with two partitions, the last of which is the root."""

    def setUp(self) -> None:
        super().setUp()
        self.volumes = [volume(1), volume(2)]
        self.partitions = [partition(1), partition(2)]

    def found(self, *, partition_image: bool = False, **contents: typing.Any
              ) -> list[findings.Finding]:
        table = partitions.PartitionTable(
            kind='gpt', sector_size=512, boot_code=True,
            partitions=tuple(self.partitions))
        return list(start.check(_contents.Contents(**{
            'root': self.volumes[-1], 'volumes': tuple(self.volumes),
            'has_root': True, 'growth': ('growpart',), **contents}),
            None if partition_image else table))

    def codes(self, **contents: typing.Any) -> list[tuple[str, str]]:
        return [(each.code, each.case) for each in self.found(**contents)]

    def assert_said(self, code: str, found: str, case: str = '',
                    data: dict[str, object] | None = None,
                    **contents: typing.Any) -> None:
        said = self.found(**contents)
        self.assertEqual([(code, case, found)], [
            (each.code, each.case, each.found) for each in said])
        self.assertEqual(data or {}, dict(said[0].data))

    def mounts(self, *written: str) -> tuple[fstab.Mount, ...]:
        return tuple(fstab.parse('\n'.join(written).encode()))


class NothingTest(ContentsTestCase):

    def test_of_what_cannot_be_told_nothing_is_said(self) -> None:
        for partition_image in (False, True):
            self.assertEqual([], self.found(partition_image=partition_image))
        self.assertEqual([], self.found(growth=None))

    def test_no_system(self) -> None:
        self.assertEqual([], self.found(
            root=None, is_dirty=True, growth=(),
            leftovers=leftovers.Leftovers(machine_id=True)))


class KernelsTest(ContentsTestCase):

    def kernel(self, *drivers: str, arch: str | None = 'x86_64',
               version: str = '6.1') -> installed_kernels.InstalledKernel:
        return installed_kernels.InstalledKernel(
            path='boot/vmlinuz', version=version, arch=arch,
            drivers=frozenset(drivers))

    def test_drivers_of_servers(self) -> None:
        virtual = self.kernel('virtio_blk')
        for kernels, is_virtual in (
                (None, False), ((), False), ((virtual,), True),
                ((self.kernel('virtio_blk', 'ahci'),), False),
                ((self.kernel('tg3'),), False),
                ((virtual, self.kernel('ahci')), False),
                ((self.kernel(arch='riscv64'),), False),
                ((self.kernel(arch=None),), False),
                ((self.kernel(arch='aarch64'),), True),
                ((installed_kernels.InstalledKernel(
                    path='x', arch='x86_64'),), False)):
            with self.subTest(kernels=kernels):
                self.assertEqual(
                    [('kernel-for-virtual-machines', '')]
                    if is_virtual else [], self.codes(kernels=kernels))
        self.assert_said(
            'kernel-for-virtual-machines', 'none of them in 6.2',
            data={'version': '6.2'},
            kernels=(self.kernel(version='6.2'), virtual))


class NamesTest(ContentsTestCase):

    def test_a_menu(self) -> None:
        self.assert_said(
            'unstable-device-name', 'root=/dev/sda2', 'menu',
            {'device': '/dev/sda2'}, command_lines=lines(
                'root=LABEL=label2', 'root=/dev/sda2', 'root=/dev/vda2'))
        self.assertEqual([], self.codes(
            partition_image=True, command_lines=lines('root=/dev/sda2')))

    def test_the_table_of_file_systems(self) -> None:
        self.assert_said(
            'unstable-device-name', '/dev/sdb1 for /data in /etc/fstab',
            data={'device': '/dev/sdb1'}, table=self.mounts(
                'LABEL=label2 / ext4', '/dev/sda1 /a ext4 nofail',
                '/dev/sdb1 /data ext4', '/dev/sdc1 /c ext4'))


class DevicesTest(ContentsTestCase):

    def test_a_menu(self) -> None:
        for name in (f'UUID={MISSING}', f'PARTUUID={MISSING}',
                     'LABEL=other', 'PARTLABEL=other'):
            self.assert_said(
                'device-missing', f'root={name}', 'menu', {'device': name},
                command_lines=lines(f'root=UUID={UUIDS[2]}', f'root={name}',
                                    'root=LABEL=another'))
        for name in (f'UUID={UUIDS[1].upper()}', 'LABEL=label1', 'UUID=short',
                     'PARTLABEL=part2', 'LABEL=what\\x20ever',
                     '/dev/mapper/other'):
            with self.subTest(name):
                self.assertEqual([], self.codes(
                    command_lines=lines(f'root={name}')))

    def test_the_table_of_file_systems(self) -> None:
        self.assert_said(
            'device-missing', f'UUID={MISSING} for /data in /etc/fstab',
            data={'device': f'UUID={MISSING}'}, table=self.mounts(
                f'UUID={UUIDS[2]} / ext4', f'UUID={MISSING} /a ext4 noauto',
                'LABEL=data /srv ext4', f'UUID={MISSING} /data ext4',
                f'UUID={MISSING} /more ext4'))

    def test_what_a_loader_looks_for(self) -> None:
        good = loaders.Search(path='/a', uuids=(MISSING, UUIDS[2]))
        bad = loaders.Search(path='/grub.cfg', uuids=(MISSING, MISSING[:9]))
        for case, contents in (
                ('loader', {'searches': (good, bad)}),
                ('kernel', {'kernel_search': bad})):
            self.assert_said(
                'device-missing', f'a search for {MISSING} in /grub.cfg',
                case, {'device': f'UUID={MISSING}'}, **contents)
        self.assertEqual([], self.codes(searches=(good,),
                                        kernel_search=good))

    def test_only_where_each_uuid_is_known(self) -> None:
        bios, swap = partitions.BIOS_BOOT, LINUX
        for kind, more, is_known in (
                (LINUX, {}, True), (LINUX, {'kind': 'ntfs'}, False),
                (LINUX, {'uuid': ''}, False),
                (LINUX, {'kind': 'lvm'}, True),
                (LINUX, {'kind': 'lvm', 'unread': 'damaged'}, False),
                (LINUX, {'kind': 'lvm', 'uuid': ''}, True),
                (swap, {'kind': 'swap'}, True),
                (bios, {'kind': None}, True),
                (bios, {'kind': 'ntfs', 'uuid': ''}, False),
                (LINUX, {'kind': None}, False), ('0x05', {}, False)):
            self.partitions[0] = partition(1, kind)
            self.volumes[0] = volume(1, partition=self.partitions[0], **more)
            with self.subTest(kind=kind, more=more):
                self.assertEqual(
                    [('device-missing', 'menu')] if is_known else [],
                    self.codes(command_lines=lines(f'root=UUID={MISSING}')))

    def test_a_partition_that_was_not_looked_at(self) -> None:
        self.partitions.insert(0, partition(0))
        self.assertEqual([], self.codes(
            command_lines=lines(f'root=UUID={MISSING}')))
        # A logical volume is none of the partitions.
        self.volumes.insert(0, volume(3, logical=('group', 'name')))
        self.assertEqual([], self.codes(
            command_lines=lines(f'root=UUID={MISSING}')))


class GrowthTest(ContentsTestCase):

    def test_nothing_that_grows(self) -> None:
        self.assert_said('root-does-not-grow', 'none', growth=())

    def test_a_partition_after_the_root(self) -> None:
        root = self.volumes[0]
        for grows in ((), ('growpart',), None):
            self.assert_said('root-not-last', 'partition 2 after it',
                             data={'partition': 2}, root=root, growth=grows)
        self.assertIn('partition 1,', self.found(root=root)[0].expected)

    def test_where_it_does_not_matter(self) -> None:
        for contents in ({'has_root': False},
                         {'root': volume(1, logical=('group', 'name'))}):
            self.assertEqual([], self.codes(**{
                'root': self.volumes[0], 'growth': (), **contents}))

    def test_what_grows_instead(self) -> None:
        root = self.volumes[0]
        for device, option, grows, is_good in (
                ('LABEL=label2', 'x-growpart.grow', (growth.GENERATOR,), True),
                ('LABEL=label2', 'x-growpart.grow', None, True),
                ('LABEL=label2', 'x-growpart.grow', ('growpart',), False),
                ('LABEL=label1', 'x-growpart.grow', (growth.GENERATOR,),
                 False),
                ('LABEL=nowhere', 'x-growpart.grow', (growth.GENERATOR,),
                 False),
                ('LABEL=label2', 'defaults', (growth.GENERATOR,), False)):
            with self.subTest(device=device, option=option, grows=grows):
                self.assertEqual(
                    [] if is_good else [('root-not-last', '')], self.codes(
                        root=root, growth=grows,
                        table=self.mounts(f'{device} /var xfs {option}')))


class ConsoleTest(ContentsTestCase):

    def test_consoles(self) -> None:
        for options, case in (
                ('console=ttyS0', 'speed'), ('console=ttyS0,115200', ''),
                ('console=ttyS0 console=ttyS1,9600n8', ''),
                ('console=hvc0', ''), ('console=ttyAMA0', 'speed'),
                ('console=ttyS0 console=tty0', None), ('console=tty', None),
                ('console=ttyS0 console=tty1', None), ('', None)):
            with self.subTest(options):
                self.assertEqual(
                    [] if case is None else [('serial-console-only', case)],
                    self.codes(command_lines=lines(options)))
        self.assert_said('serial-console-only', 'console=ttyS0 console=ttyS1',
                         'speed', command_lines=lines(
                             'console=ttyS0 console=ttyS1', 'console=tty0'))


class FirstBootTest(ContentsTestCase):

    def test_agents(self) -> None:
        for agents, can_log_in, codes in (
                (('glean',), False, []), ((), None, ['no-first-boot-agent']),
                ((), True, ['no-first-boot-agent']),
                ((), False, ['no-first-boot-agent', 'no-login'])):
            self.assertEqual([(code, '') for code in codes], self.codes(
                first_boot=first_boot.FirstBoot(agents=agents),
                can_log_in=can_log_in))
        self.assertEqual([], self.codes(can_log_in=False))

    def test_data_sources(self) -> None:
        for agents, sources, found in (
                (('cloud-init',), ('NoCloud', 'Ec2'), 'NoCloud, Ec2'),
                (('cloud-init',), (), 'none'), (('cloud-init',), None, None),
                (('cloud-init',), ('Ec2', 'ConfigDrive'), None),
                (('cloud-init',), ('OPENSTACK',), None),
                (('glean',), ('Ec2',), None),
                (('cloud-init', 'glean'), ('Ec2',), None)):
            with self.subTest(agents=agents, sources=sources):
                self.assertEqual([found] if found else [], [
                    each.found for each in self.found(
                        first_boot=first_boot.FirstBoot(
                            agents=agents, data_sources=sources))])


class LeftoversTest(ContentsTestCase):

    def test_host_keys(self) -> None:
        left = leftovers.Leftovers(host_keys=('etc/a', 'etc/b'))
        self.assert_said('host-keys-left', '/etc/a', leftovers=left)
        for deletes, codes in ((True, []), (False, [('host-keys-left', '')])):
            self.assertEqual(codes, self.codes(
                leftovers=left, first_boot=first_boot.FirstBoot(
                    agents=('cloud-init',), deletes_host_keys=deletes)))

    def test_traces(self) -> None:
        self.assert_said('machine-id-left', 'one that is set',
                         leftovers=leftovers.Leftovers(machine_id=True))
        self.assert_said('traces-left', '/a, /b, /c',
                         leftovers=leftovers.Leftovers(
                             leases=('a', 'b'), histories=('c', 'd')))
        self.assertEqual([], self.codes(leftovers=leftovers.Leftovers()))

    def test_a_network_for_one_card(self) -> None:
        self.assert_said('network-pinned', '/etc/a', data={'path': '/etc/a'},
                         network=network.Network(pinned=('etc/a', 'etc/b')))

    def test_names_that_cards_do_not_get(self) -> None:
        known: dict[str, typing.Any] = {
            'network': network.Network(
                named=(('etc/net', 'eth0'), ('etc/net', 'eth1')),
                are_renamed=True),
            'first_boot': first_boot.FirstBoot(),
            'command_lines': lines('ro', 'quiet')}
        self.assertIn(('network-old-name', ''), self.codes(**known))
        finding, = [each for each in self.found(**known)
                    if each.code == 'network-old-name']
        self.assertEqual(
            ('eth0 in /etc/net', {'path': '/etc/net', 'name': 'eth0'}),
            (finding.found, dict(finding.data)))
        for changed in (
                {'network': None}, {'first_boot': None},
                {'first_boot': first_boot.FirstBoot(agents=('glean',))},
                {'network': network.Network(are_renamed=True)},
                {'network': network.Network(named=(('etc/net', 'eth0'),))},
                {'command_lines': None}, {'command_lines': ()},
                {'command_lines': lines('ro', 'net.ifnames=0')},
                {'unified_kernels': (unified_kernels.UnifiedKernel(
                    path='a'),)}):
            with self.subTest(changed=changed):
                self.assertNotIn(('network-old-name', ''), self.codes(
                    **{**known, **changed}))


class StateTest(ContentsTestCase):

    def test_a_system_in_use(self) -> None:
        self.assertEqual([('file-system-in-use', '')],
                         self.codes(is_dirty=True))
        self.volumes[0] = volume(1, kind='swap', is_suspended=True)
        self.assertEqual([('hibernated', '')], self.codes())

    def test_a_loader_that_firmware_does_not_find(self) -> None:
        for has_fallback, names, is_bad in (
                (False, ('grub', 'shimx64.efi'), True), (None, ('a.efi',),
                                                         False),
                (True, ('a.efi',), False), (False, ('grub',), False),
                (False, None, False)):
            self.assertEqual(
                [('no-fallback-loader', '')] if is_bad else [],
                self.codes(has_fallback=has_fallback, loaders=names))
