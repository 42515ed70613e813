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

import dataclasses
import pathlib
import typing

from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import catalogue
from ironic_imagedeploy.engine import hardware
from ironic_imagedeploy.engine import start_policy
from tests.unit.engine import base
from tests.unit.engine import disks
from tests.unit.engine import good_systems
from tests.unit.engine import system_disks
from tests.unit.engine import systems
from tests.unit.engine import volumes

MIB = base.MIB
Part = systems.Part


class StartTestCase(base.EngineTestCase):

    def inspect(self, parts: list[Part]) -> engine.Inspection:
        return self.look(system_disks.disk(self.directory, parts))

    def look(self, path: pathlib.Path, **expectation: typing.Any
             ) -> engine.Inspection:
        with engine.open_source(str(path)) as source:
            return engine.inspect(source, engine.Expectation(
                **{'contents': True, **expectation}))

    def codes(self, parts: list[Part]) -> list[str]:
        """Codes of the findings, none of which refuses."""
        inspection = self.inspect(parts)
        self.assertEqual('accept', inspection.verdict)
        for finding in inspection.findings:
            self.assert_complete(finding)
            self.assertEqual(catalogue.Topic.START,
                             catalogue.ENTRIES[finding.code].topic)
        return [finding.code for finding in inspection.findings]

    def changed(self, tree: volumes.Tree, parts: list[Part] | None = None,
                number: int = -1) -> list[str]:
        """Codes for a good system with other files."""
        return self.codes(systems.changed(parts or systems.debian(), tree,
                                          number))


class GoodTest(StartTestCase):
    """A false alarm about an image that starts is a defect."""

    def test_each_distribution(self) -> None:
        for name, make in good_systems.ALL.items():
            path = system_disks.disk(self.directory, make())
            for mode in ('uefi', 'bios', None):
                with self.subTest(name=name, mode=mode):
                    self.assertEqual((), self.look(
                        path, boot_mode=mode, arch='x86_64').findings)

    def test_nothing_is_looked_at_unless_asked_for(self) -> None:
        path = system_disks.disk(self.directory, systems.changed(
            systems.debian(), {'etc/machine-id': b'0' * 32}))
        with engine.open_source(str(path)) as source:
            inspection = engine.inspect(source)
        self.assertIsNone(inspection.contents)
        self.assertIsNone(inspection.to_dict()['contents'])
        self.assertEqual((), inspection.findings)

    def test_a_system_that_is_not_known(self) -> None:
        ntfs = bytearray(4096)
        ntfs[3:11], ntfs[510:512] = b'NTFS    ', b'\x55\xaa'
        path = system_disks.disk(self.directory, [
            systems.esp('Microsoft'), systems.BIOS_PART])
        with path.open('r+b') as file:
            file.seek(35 * MIB)
            file.write(ntfs)
        inspection = self.look(path)
        self.assertEqual((), inspection.findings)
        self.assertIsNone(inspection.contents and inspection.contents.root)

    def test_names_that_only_look_wrong(self) -> None:
        for line in ('/dev/sdb1 /data ext4 noauto', '/dev/vdb none swap '
                     'defaults,nofail', '/dev/sr0 /media/cd iso9660 ro',
                     '/dev/mapper/vg-data /data xfs', '#/dev/sda1 / ext4',
                     'UUID=0123 /data ext4 x-systemd.automount',
                     'LABEL=data /data ext4', 'tmpfs /tmp tmpfs'):
            with self.subTest(line):
                fstab = systems.debian()[-1].tree['etc/fstab']
                assert isinstance(fstab, bytes)
                self.assertEqual([], self.changed(
                    {'etc/fstab': fstab + systems.text(line + '\n')}))

    def test_a_label_of_the_root(self) -> None:
        for name, codes in (
                ('LABEL=nowhere', ['device-missing']),
                ('PARTLABEL=nowhere', ['device-missing']),
                ('/dev/disk/by-label/nowhere', ['device-missing']),
                ('LABEL=$label', []), ('/dev/mapper/nowhere', [])):
            with self.subTest(name):
                self.assertEqual(codes, self.changed(
                    systems.grub(f'root={name} console=tty0')))

    def test_the_kernel_option_that_disables_cloud_init(self) -> None:
        codes = self.changed({
            **systems.grub('console=tty0 cloud-init=disabled'),
            **systems.cloud_init('')})
        self.assertIn('no-first-boot-agent', codes)

    def test_what_lies_where_nobody_looks(self) -> None:
        """A UUID may be that of a logical volume."""
        parts = systems.debian()
        parts.insert(0, dataclasses.replace(systems.BIOS_PART,
                                            type=disks.LINUX))
        fstab = f'UUID={systems.BOOT_UUID} /data ext4 defaults\n'
        self.assertEqual([], self.changed(
            {'etc/fstab': systems.text(fstab)}, parts))

    def test_host_keys_that_cloud_init_replaces(self) -> None:
        tree = {'etc/ssh/ssh_host_rsa_key': b'x'}
        self.assertEqual([], self.changed(tree))
        self.assertEqual(['host-keys-left'], self.changed(
            {**tree, **systems.cloud_init('ssh_deletekeys: false\n')}))


class PolicyTest(StartTestCase):

    def found(self, **expectation: typing.Any) -> list[tuple[str, str]]:
        """Codes and severities for a system with two warnings."""
        path = system_disks.disk(self.directory, systems.changed(
            systems.debian(), {'root/.bash_history': b'ls\n',
                               'etc/machine-id': b'0' * 32}))
        return [(finding.code, str(finding.severity))
                for finding in self.look(path, **expectation).findings]

    def test_severities(self) -> None:
        for policy, found in (
                ({}, [('machine-id-left', 'warning'),
                      ('traces-left', 'warning')]),
                ({'mode': 'refuse', 'muted': ('traces-left',)},
                 [('machine-id-left', 'error')]),
                ({'raised': ('traces-left',)},
                 [('machine-id-left', 'warning'), ('traces-left', 'error')])):
            self.assertEqual(found, self.found(
                start_policy=start_policy.StartPolicy(**policy)))

    def test_only_devices(self) -> None:
        device = hardware.Device(kind=hardware.Kind.DISK, name='sda',
                                 alias='pci:v00001234d*', driver='x')
        self.assertEqual([], self.found(contents=False, devices=(device,)))


class BadTest(StartTestCase):

    def test_a_kernel_for_virtual_machines(self) -> None:
        cloud = systems.kernel('6.1.0-13-cloud-amd64', systems.VIRTUAL)
        without = dict.fromkeys(systems.kernel('6.1.0-13-amd64'))
        self.assertEqual(['kernel-for-virtual-machines'],
                         self.changed({**without, **cloud}))
        # Another one is there, too.
        self.assertEqual([], self.changed(cloud))
        # Nothing tells.
        self.assertEqual([], self.changed({
            **without, 'boot/vmlinuz-1': cloud[
                'boot/vmlinuz-6.1.0-13-cloud-amd64']}))

    def test_names_that_change(self) -> None:
        for tree in (
                systems.grub('root=/dev/vda1 ro'),
                {'etc/fstab': b'/dev/sda1 / ext4 defaults 0 1\n'},
                {'etc/fstab': b'/dev/nvme0n1p3 / ext4 defaults 0 1\n'}):
            self.assertEqual(['unstable-device-name'], self.changed(tree))

    def test_devices_that_are_nowhere(self) -> None:
        for name in (f'UUID={systems.BOOT_UUID}', 'UUID=AAAA-BBBB',
                     f'PARTUUID={systems.PARTUUID.format(9)}'):
            for tree in (systems.grub(f'root={name} ro'),
                         {'etc/fstab': systems.text(f'{name} / ext4\n')}):
                with self.subTest(tree=tree):
                    self.assertEqual(['device-missing'], self.changed(tree))

    def test_a_loader_that_does_not_find_its_menu(self) -> None:
        for uuids, codes in (
                ([systems.BOOT_UUID], ['device-missing']),
                ([systems.ROOT_UUID], []), (['x'], []),
                ([systems.BOOT_UUID, systems.ROOT_UUID], []),
                (['AAAA-BBBB', systems.BOOT_UUID], ['device-missing'])):
            esp = systems.esp('debian')
            esp.tree['EFI/debian/grub.cfg'] = systems.text(''.join(
                f'search.fs_uuid {uuid} root\n' for uuid in uuids))
            with self.subTest(uuids=uuids):
                parts = [esp if part.type == esp.type else part
                         for part in systems.debian()]
                found = self.codes(parts)
                self.assertEqual(codes, found)

    def test_a_loader_that_does_not_find_the_kernel(self) -> None:
        options = f'linux /boot/vmlinuz root=UUID={systems.ROOT_UUID} ro'
        good, bad = (f'search --no-floppy --fs-uuid --set=root {uuid}'
                     for uuid in (systems.ROOT_UUID, systems.BOOT_UUID))
        for menu, codes in (
                (f'menuentry a {{\n{bad}\n{options}\n}}\n',
                 ['device-missing']),
                (f'{bad}\nmenuentry a {{\n{options}\n}}\n',
                 ['device-missing']),
                (f'menuentry a {{\nif x; then\n{bad}\nelse\n{good}\nfi\n'
                 f'{options}\n}}\n', []),
                # Only a font is looked for there.
                (f'{bad}\nmenuentry a {{\n{good}\n{options}\n}}\n', []),
                (f'menuentry a {{\n{good}\n{options}\n}}\n'
                 f'menuentry b {{\n{bad}\n{options}\n}}\n', []),
                (f'set default="$other"\nmenuentry a {{\n{bad}\n{options}\n'
                 '}\n', []),
                ('menuentry a {\nsearch --fs-uuid --set=root $uuid\n'
                 f'{options}\n}}\n', [])):
            with self.subTest(menu):
                self.assertEqual(codes, self.changed({
                    'boot/grub/grub.cfg': systems.text(menu)}))

    def test_consoles(self) -> None:
        for options, codes in (
                ('console=ttyS0', ['serial-console-only']),
                ('console=ttyS0,115200 console=ttyS1',
                 ['serial-console-only']),
                ('console=ttyAMA0', ['serial-console-only']), ('', []),
                ('console=tty0 console=ttyS0', []), ('console=ttyS0 '
                                                     'console=tty1', [])):
            with self.subTest(options):
                self.assertEqual(codes, self.changed(systems.grub(
                    f'root=UUID={systems.ROOT_UUID} {options}')))

    def test_network(self) -> None:
        self.assertEqual(['network-pinned'], self.changed({
            'etc/udev/rules.d/70-persistent-net.rules':
                b'ATTR{address}=="52:54:00:12:34:56", NAME="eth0"\n'}))

    def test_agents(self) -> None:
        without = dict.fromkeys(
            [*systems.cloud_init(), 'etc/cloud/cloud.cfg.d/90_dpkg.cfg'])
        growroot = {'usr/lib/dracut/modules.d/50growroot/x': b''}
        self.assertEqual(['no-first-boot-agent', 'no-login'],
                         self.changed({**without, **growroot}))
        self.assertEqual(['no-first-boot-agent'], self.changed({
            **without, **growroot, 'root/.ssh/authorized_keys': b'ssh-rsa'}))
        self.assertEqual(
            ['no-first-boot-agent', 'no-login', 'root-does-not-grow'],
            sorted(self.changed(without)))

    def test_data_sources(self) -> None:
        path = 'etc/cloud/cloud.cfg.d/99.cfg'
        for sources, codes in (
                (b'[ Ec2, None ]', ['no-config-drive-source']),
                (b'[]', ['no-config-drive-source']), (b'[OpenStack]', []),
                (b'[ NoCloud, ConfigDrive ]', [])):
            self.assertEqual(codes, self.changed(
                {path: b'datasource_list: ' + sources + b'\n'}))

    def test_data_source_of_the_kernel_options(self) -> None:
        root = f'root=PARTUUID={systems.PARTUUID.format(3)} console=tty0'
        for option, codes in (('ds=openstack', []), ('ci.ds=configdrive', []),
                              ('', ['no-config-drive-source'])):
            with self.subTest(option):
                self.assertEqual(codes, self.changed({
                    'usr/lib/cloud-init/ds-identify': b'x',
                    'etc/cloud/cloud.cfg.d/99.cfg':
                    b'datasource_list: [ NoCloud ]\n',
                    **systems.grub(f'{root} {option}')}))

    def test_leftovers(self) -> None:
        for tree, code in (
                ({'etc/machine-id': b'0123456789abcdef' * 2},
                 'machine-id-left'),
                ({'var/lib/dhcp/dhclient.leases': b'lease {'}, 'traces-left'),
                ({'root/.bash_history': b'ls\n'}, 'traces-left')):
            self.assertEqual([code], self.changed(tree))

    def test_room_to_grow(self) -> None:
        swap = Part(kind='ext4', uuid=systems.BOOT_UUID, tree={})
        self.assertEqual(['root-not-last'],
                         self.codes([*systems.debian(), swap]))
        self.assertEqual(['root-does-not-grow'], self.changed(
            {'usr/bin/growpart': None}))

    def test_what_grows_instead_of_the_root(self) -> None:
        """A partition behind it that does not is in its way."""
        *parts, root, last = good_systems.microos()
        table = root.tree['etc/fstab']
        assert isinstance(table, bytes)
        self.assertEqual(['root-not-last'], self.changed(
            {'etc/fstab': table.replace(b'x-growpart.grow,', b'')},
            [*parts, root, last], number=-2))
        self.assertEqual(['root-not-last'], self.changed(
            {'usr/lib/systemd/system-generators/growpart-generator.sh': None},
            [*parts, root, last], number=-2))
        swap = Part(kind='ext4', uuid=systems.BOOT_UUID, tree={})
        self.assertEqual(['root-not-last'],
                         self.codes([*parts, root, last, swap]))

    def test_a_serial_console_as_it_is_published(self) -> None:
        self.assertEqual(['serial-console-only'],
                         self.codes(good_systems.rocky_as_published()))

    def test_no_fallback(self) -> None:
        self.assertEqual(['no-fallback-loader'], self.changed({
            'EFI/BOOT/BOOTX64.EFI': None,
            'EFI/debian/BOOTX64.CSV': 'shimx64.efi,x,,\n'.encode('utf-16')},
            number=1))

    def test_a_running_system(self) -> None:
        path = system_disks.disk(self.directory, systems.debian())
        with path.open('r+b') as file:
            file.seek(36 * MIB + 1024)
            superblock = bytearray(file.read(1024))
            superblock[0x60] |= 4
            superblock[0x64 + 1] &= ~4
            file.seek(36 * MIB + 1024)
            file.write(superblock)
        self.assertEqual(['file-system-in-use'], [
            finding.code for finding in self.look(path).findings])

    def test_a_machine_that_hibernates(self) -> None:
        parts = [*systems.debian()[:2], dataclasses.replace(
            systems.BIOS_PART, type=disks.LINUX), systems.debian()[2]]
        path = system_disks.disk(self.directory, parts)
        with path.open('r+b') as file:
            file.seek(36 * MIB + 0x40c)
            file.write(bytes(range(16)))
            file.seek(36 * MIB + 0xff6)
            file.write(b'S1SUSPEND\0')
        self.assertIn('hibernated', [
            finding.code for finding in self.look(path).findings])


class PartitionImageTest(StartTestCase):

    def codes_of_root(self, tree: volumes.Tree) -> list[str]:
        root = systems.changed([systems.debian()[-1]], tree)[0]
        path = volumes.ext4(self.directory / 'root', root.tree)
        inspection = self.look(path, image_type='partition')
        self.assertEqual('accept', inspection.verdict)
        # Other checks tell what becomes of its fstab.
        return [finding.code for finding in inspection.findings
                if catalogue.ENTRIES[finding.code].topic
                is catalogue.Topic.START]

    def test_menus_are_written_anew(self) -> None:
        self.assertEqual([], self.codes_of_root({}))
        self.assertEqual([], self.codes_of_root({
            'etc/fstab': b'/dev/sda1 / ext4\nUUID=0123-4567 /x vfat\n',
            **systems.grub('root=/dev/vda1'), 'usr/bin/growpart': None}))

    def test_all_else_is_as_it_is(self) -> None:
        self.assertEqual(['machine-id-left'], self.codes_of_root(
            {'etc/machine-id': b'0123456789abcdef' * 2}))


class RecordTest(StartTestCase):

    def test_json(self) -> None:
        found = self.inspect(systems.debian()).to_dict()['contents']
        self.assertEqual({
            'id': 'debian', 'version': '12',
            'name': 'Debian GNU/Linux 12 (bookworm)'}, found['system'])
        self.assertEqual({
            'partition': 3, 'logical_volume': None, 'file_system': 'ext4',
            'named': [f'PARTUUID={systems.PARTUUID.format(3)}']},
            found['root'])
        self.assertEqual(['6.1.0-13-amd64'], [
            kernel['version'] for kernel in found['kernels']])
        self.assertEqual(['tty0', 'ttyS0,115200'], found['consoles'])
        self.assertEqual([], found['unread'])

    def test_no_password(self) -> None:
        found = str(self.inspect(systems.changed(systems.debian(), {
            'etc/fstab': b'//user:SECRET@server/x /x cifs password=SECRET\n',
            **systems.grub('root=LABEL=x rd.password=SECRET')})).to_dict())
        self.assertNotIn('SECRET', found)
