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

"""What is found about kernels and devices that are known."""

import typing
import unittest

from ironic_imagedeploy.engine.contents.system import contents as _contents
from ironic_imagedeploy.engine.contents.system import installed_kernels
from ironic_imagedeploy.engine.contents.system import modules
from ironic_imagedeploy.engine import findings
from ironic_imagedeploy.engine import hardware
from ironic_imagedeploy.engine.inspection.checks import drivers

DISK, NETWORK = hardware.Kind.DISK, hardware.Kind.NETWORK
ERROR, WARNING = findings.Severity.ERROR, findings.Severity.WARNING
NONE: frozenset[str] = frozenset()


def device(alias: str = 'pci:a', kind: hardware.Kind = DISK,
           **values: typing.Any) -> hardware.Device:
    return hardware.Device(kind=kind, alias=alias, **{
        'name': f'name of {alias}', 'driver': 'ahci', **values})


def kernel(by_device: dict[str, frozenset[str]] | None = None, *,
           drivers: typing.Iterable[str] | None = (),
           is_certain: bool = False, **values: typing.Any
           ) -> installed_kernels.InstalledKernel:
    """A kernel that knows of these devices, and has these drivers."""
    return installed_kernels.InstalledKernel(**{
        'path': 'boot/vmlinuz', 'version': '6.1', 'initramfs': 'boot/initrd',
        'drivers': None if drivers is None else frozenset(drivers),
        'devices': None if by_device is None else modules.Drivers(
            by_device=by_device, is_certain=is_certain), **values})


def found(kernels: typing.Sequence[installed_kernels.InstalledKernel] | None,
          *devices: hardware.Device, **contents: typing.Any
          ) -> list[findings.Finding]:
    return list(drivers.check(_contents.Contents(
        kernels=None if kernels is None else tuple(kernels), **contents),
        devices))


class MissingTest(unittest.TestCase):

    def test_what_is_said(self) -> None:
        finding, = found([kernel({'pci:a': NONE})], device())
        self.assertEqual(
            ('driver-missing', '', WARNING,
             'a driver for pci:a, which name of pci:a needs', 'none in 6.1',
             {'device': 'name of pci:a', 'alias': 'pci:a', 'driver': 'ahci',
              'version': '6.1'}),
            (finding.code, finding.case, finding.severity, finding.expected,
             finding.found, dict(finding.data)))

    def test_when_it_is_missing(self) -> None:
        for made, driver, is_missing in (
                (kernel({'pci:a': NONE}), 'ahci', True),
                (kernel({'pci:a': NONE}, drivers=['ahci']), 'ahci', False),
                (kernel({'pci:a': NONE}, drivers=['nvme']), 'ahci', True),
                (kernel({'pci:a': frozenset({'ahci'})}), 'ahci', False),
                (kernel({}), 'ahci', False),
                (kernel({'pci:a': NONE}, drivers=None), 'ahci', False),
                (kernel(None), 'ahci', False),
                (kernel({'pci:a': NONE}), '', False),
                (kernel({'pci:a': NONE}, is_certain=True), '', True),
                (kernel({'pci:a': NONE}, is_certain=True, drivers=['ahci']),
                 'ahci', False)):
            with self.subTest(made=made, driver=driver):
                said = found([made], device(driver=driver))
                self.assertEqual(is_missing, bool(said))
                if said and not driver:
                    self.assertIsNone(said[0].data['driver'])

    def test_one_of_each_kind_and_the_disk_for_the_image_first(self) -> None:
        known = dict.fromkeys(('a', 'b', 'c', 'd'), NONE)
        said = found([kernel(known)], device('a'), device('b', NETWORK),
                     device('c', is_root=True), device('d', NETWORK))
        self.assertEqual(
            [('', 'c', ERROR), ('network', 'b', WARNING)],
            [(each.case, each.data['alias'], each.severity)
             for each in said])
        for kind, case in ((DISK, ''), (NETWORK, 'network')):
            finding, = found([kernel(known)], device('a', kind))
            self.assertEqual(case, finding.case)

    def test_an_older_kernel(self) -> None:
        newest = kernel({'a': NONE})
        root = device('a', is_root=True)
        for older, severity in (
                ([], ERROR), ([kernel(drivers=['nvme'])], ERROR),
                ([kernel(drivers=['ahci'])], WARNING),
                ([kernel(drivers=None)], WARNING),
                ([kernel(drivers=['nvme']), kernel(drivers=['ahci'])],
                 WARNING)):
            self.assertEqual([severity], [
                each.severity for each in found([newest, *older], root)])
        # What has no name cannot be looked for in the older one.
        certain = kernel({'a': NONE}, is_certain=True)
        unnamed = device('a', is_root=True, driver='')
        self.assertEqual([WARNING], [each.severity for each in found(
            [certain, kernel(drivers=['nvme'])], unnamed)])
        self.assertEqual([ERROR], [each.severity for each in found(
            [certain], unnamed)])

    def test_no_kernel(self) -> None:
        for kernels in (None, []):
            self.assertEqual([], found(kernels, device(), firmware_missing=(
                'a',), initramfs_lacks=(_contents.MDADM,)))

    def test_firmware(self) -> None:
        for names, expected in (
                (('a.fw',), 'a.fw in /lib/firmware'),
                (('a.fw', 'b.fw', 'c.fw'),
                 'a.fw or b.fw in /lib/firmware')):
            finding, = found([kernel()], firmware_missing=names)
            self.assertEqual(
                ('firmware-missing', expected, {'file': 'a.fw'}),
                (finding.code, finding.expected, dict(finding.data)))


class InitramfsTest(unittest.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.driver = frozenset({'nvme', 'ahci'})
        self.kernel = kernel({'a': self.driver, 'b': self.driver},
                             drivers=self.driver)

    def found(self, *devices: hardware.Device, others: int = 0,
              lacks: tuple[frozenset[str], ...] | None = None
              ) -> list[findings.Finding]:
        return found([self.kernel, *[kernel()] * others], *devices,
                     initramfs_lacks=(self.driver,) if lacks is None
                     else lacks)

    def test_what_is_said(self) -> None:
        finding, = self.found(device('a', is_root=True))
        self.assertEqual(
            ('initramfs-without-driver', ERROR,
             'ahci or nvme, for name of a', '/boot/initrd without it',
             {'device': 'name of a', 'alias': 'a', 'path': '/boot/initrd',
              'version': '6.1'}),
            (finding.code, finding.severity, finding.expected, finding.found,
             dict(finding.data)))

    def test_severities(self) -> None:
        for is_root, others, severities in (
                (True, 0, [ERROR]), (True, 1, [WARNING]),
                (None, 0, [WARNING]), (None, 1, [WARNING]), (False, 0, [])):
            self.assertEqual(severities, [each.severity for each in self.found(
                device('a', is_root=is_root), others=others)])

    def test_the_first_of_several(self) -> None:
        finding, = self.found(device('a', is_root=None),
                              device('b', is_root=True))
        self.assertEqual('b', finding.data['alias'])

    def test_what_it_does_not_lack(self) -> None:
        root = device('a', is_root=True)
        self.assertEqual([], self.found(root, lacks=(frozenset({'nvme'}),)))
        self.assertEqual([], self.found(device('c', is_root=True)))
        self.kernel = kernel(None)
        self.assertEqual([], self.found(root))

    def test_mdadm(self) -> None:
        for others, severity in ((0, ERROR), (1, WARNING)):
            finding, = self.found(others=others, lacks=(_contents.MDADM,))
            self.assertEqual(
                ('no-raid-support', '', severity, 'mdadm',
                 '/boot/initrd without it',
                 {'path': '/boot/initrd', 'version': '6.1'}),
                (finding.code, finding.case, finding.severity,
                 finding.expected, finding.found, dict(finding.data)))


class RaidTest(unittest.TestCase):

    def found(self, esp: int, room: int | None, reads: bool | None = None
              ) -> list[findings.Finding]:
        return list(drivers.check_raid(
            _contents.Contents(grub_reads_raid=reads), esp, room))

    def test_room_for_the_esp(self) -> None:
        self.assertEqual([], self.found(100, 100))
        finding, = self.found(101, 100)
        self.assertEqual(
            ('esp-too-large', '100 bytes at most', '101 bytes',
             {'limit': 100, 'size': 101}),
            (finding.code, finding.expected, finding.found,
             dict(finding.data)))

    def test_grub(self) -> None:
        self.assertEqual([], self.found(1, 1, True))
        finding, = self.found(1, 1, False)
        self.assertEqual(('no-raid-support', 'grub', WARNING), (
            finding.code, finding.case, finding.severity))

    def test_no_raid(self) -> None:
        self.assertEqual([], self.found(101, None, False))


class ModulesTest(unittest.TestCase):

    def found(self, version: str | None, *known: str) -> list[
            findings.Finding]:
        return list(drivers.check_modules(
            _contents.Contents(module_versions=known), version))

    def test_a_kernel_beside_the_image(self) -> None:
        for version, known, words in (
                ('6.1', ('6.0', '6.1'), None), (None, ('6.0',), None),
                ('', ('6.0',), None), ('6.1', (), 'none'),
                ('6.1', ('a', 'b', 'c', 'd'), 'a, b, c')):
            with self.subTest(version=version, known=known):
                said = self.found(version, *known)
                self.assertEqual([words] if words else [],
                                 [each.found for each in said])
                for each in said:
                    self.assertEqual(
                        ('modules-missing', '/lib/modules/6.1',
                         {'version': '6.1'}),
                        (each.code, each.expected, dict(each.data)))

    def test_modules_that_cannot_be_told(self) -> None:
        self.assertEqual([], list(drivers.check_modules(
            _contents.Contents(), '6.1')))
