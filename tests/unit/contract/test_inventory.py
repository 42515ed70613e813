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

import typing
import unittest

from ironic_imagedeploy.contract import inventory
from ironic_imagedeploy.engine import hardware
from tests.unit.contract import inventories

AHCI, CARD, XHCI = inventories.AHCI, inventories.CARD, inventories.XHCI
DISK, STICK = inventories.DISK, inventories.STICK
INVENTORY = inventories.INVENTORY
PLUGIN_DATA = inventories.PLUGIN_DATA


class InventoryTest(unittest.TestCase):

    def devices(self, told: typing.Any = None, beside: typing.Any = None
                ) -> tuple[hardware.Device, ...]:
        return inventory.devices(INVENTORY if told is None else told,
                                 PLUGIN_DATA if beside is None else beside)

    def test_devices(self) -> None:
        self.assertEqual((inventories.CONTROLLER, inventories.NETWORK),
                         self.devices())

    def test_without_the_collector(self) -> None:
        self.assertEqual(
            ['pci:v00008086d00001521sv*sd*bc*sc*i*'],
            [device.alias for device in self.devices(beside={})])

    def test_the_disk_for_the_image(self) -> None:
        """Only where there is no other that it could be."""
        other = {**AHCI, 'product_id': '0097', 'bus': '0000:02:00.0'}
        path = '/dev/disk/by-path/pci-0000:02:00.0-sas-phy0'
        for disks, roots in (
                ([DISK, {**DISK, 'name': '/dev/sdb'}], [True]),
                ([DISK, {**DISK, 'by_path': path}], [None, None]),
                ([DISK, STICK], [None]), ([STICK], []), ([], []),
                ([DISK, {'name': '/dev/md0', 'by_path': None}], [None])):
            found = self.devices({'disks': disks}, {
                'pci_devices': [AHCI, other, XHCI]})
            self.assertEqual(roots, [each.is_root for each in found])

    def test_cards_of_virtio(self) -> None:
        """Their numbers are not those of PCI."""
        card = {'name': 'eth0', 'vendor': '0x1af4', 'product': '0x0001',
                'driver': 'virtio_net'}
        for address in ('virtio0', '0000:00:03.0', None):
            self.assertEqual((), self.devices(
                {'interfaces': [{**card, 'pci_address': address}]}, {}))

    def test_cards_without_a_class(self) -> None:
        for vendor in ('0x10ec', '0x1af3', '0x1af5', '0x8086'):
            found, = self.devices({'interfaces': [{
                **CARD, 'vendor': vendor}]}, {})
            self.assertEqual(
                f'pci:v0000{vendor[2:].upper()}d00001521sv*sd*bc*sc*i*',
                found.alias)

    def test_the_same_device_counts_once(self) -> None:
        found = self.devices({'interfaces': [
            CARD, {**CARD, 'name': 'eno2'}]})
        self.assertEqual(['eno1'], [each.name for each in found])

    def test_names_that_nobody_told(self) -> None:
        found = self.devices({'disks': [{**DISK, 'name': None}],
                              'interfaces': [{**CARD, 'name': ''}]})
        self.assertEqual(['a disk', 'a network card'],
                         [each.name for each in found])

    def test_no_more_than_are_looked_at(self) -> None:
        disks = [{'name': str(number)} for number in range(300)]
        for place, count in ((255, 1), (256, 0)):
            self.assertEqual(count, len(self.devices({
                'disks': [*disks[:place], DISK]})))
        path = 'pci-0000:00:17.0'
        for length, count in ((256, 1), (257, 0)):
            self.assertEqual(count, len(self.devices({
                'disks': [{**DISK, 'by_path': path.rjust(length, '/')}]})))

    def test_drivers(self) -> None:
        for driver, found in (('virtio-net', 'virtio_net'), ('', ''),
                              ('x' * 56, 'x' * 56), ('x' * 57, ''),
                              (None, ''), (5, '')):
            device, = self.devices({'interfaces': [{
                **CARD, 'driver': driver}]})
            self.assertEqual(found, device.driver)

    def test_of_a_bmc(self) -> None:
        """It tells neither where devices are, nor numbers of their class."""
        self.assertEqual((), self.devices({
            'interfaces': [{'name': 'NIC.1', 'mac_address': 'x'}],
            'disks': [{'size': 1}], 'pci_devices': [{
                'class': 'NetworkController', 'product_id': '0x1521',
                'vendor_id': '0x8086', 'subsystem_id': '0x0'}]}, {}))

    def test_nonsense(self) -> None:
        """Whoever had the node could tell anything."""
        for wrong in (5, 'x', [], {}, [5], [{}], {'x': 5}, True,
                      [{'bus': []}], [{'by_path': 5}], [[]]):
            for name in ('disks', 'interfaces', 'pci_devices'):
                self.devices({**INVENTORY, name: wrong}, PLUGIN_DATA)
                self.devices(INVENTORY, {name: wrong})
            self.devices(wrong, wrong)
            for kind in (DISK, CARD, AHCI):
                for name in kind:
                    self.devices({'disks': [{**DISK, name: wrong}],
                                  'interfaces': [{**CARD, name: wrong}]},
                                 {'pci_devices': [{**AHCI, name: wrong}]})
        found = self.devices({
            **INVENTORY, 'disks': [{**DISK, 'name': '\x1b[2J' * 999}],
            'interfaces': [{**CARD, 'driver': '../x'}] * 9999})
        self.assertEqual(2, len(found))
        self.assertTrue(all(each.name.isprintable() and len(each.name) < 65
                            for each in found))
        self.assertEqual(64, len(found[0].name))
        self.assertEqual('', found[1].driver)
