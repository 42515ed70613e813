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

from ironic_imagedeploy.engine.contents.system import network
from tests.unit.engine import base
from tests.unit.engine import system_disks
from tests.unit.engine import systems
from tests.unit.engine import volumes

MAC = '52:54:00:12:34:56'
PINNED = {
    'etc/udev/rules.d/70-persistent-net.rules':
        f'SUBSYSTEM=="net", ATTR{{address}}=="{MAC}", NAME="eth0"',
    'etc/sysconfig/network-scripts/ifcfg-eth0': f'HWADDR={MAC}',
    'etc/netplan/01.yaml':
        f'network:\n  ethernets:\n    a:\n      match:\n'
        f'        macaddress: "{MAC}"',
    'etc/systemd/network/10.network': f'[Match]\nName=x\nMACAddress={MAC}',
    'etc/systemd/network/10-eth0.link':
        f'[Match]\nMACAddress={MAC}\n[Link]\nName=eth0',
    'etc/NetworkManager/system-connections/a.nmconnection':
        f'[ethernet]\nmac-address={MAC.upper()}'}
FREE = {
    'etc/sysconfig/network-scripts/ifcfg-eth0': 'DEVICE=eth0\n#HWADDR=' + MAC,
    'etc/sysconfig/network-scripts/ifcfg-lo': f'HWADDR={MAC}',
    'etc/netplan/50-cloud-init.yaml':
        '# This file is generated from information provided by the '
        f'datasource.\nnetwork:\n  macaddress: "{MAC}"',
    'etc/systemd/network/10.network': '[Match]\nName=en*',
    'etc/systemd/network/20.network': '[Match]\nName=x\n\n[Link]\n'
                                      f'MACAddress={MAC}',
    'etc/netplan/02.yaml': 'network:\n  ethernets:\n    a:\n'
                           f'      macaddress: {MAC}',
    'etc/network/interfaces': 'auto lo\niface lo inet loopback\n'
                              f'iface a inet dhcp\n hwaddress {MAC}',
    'etc/NetworkManager/system-connections/a.nmconnection':
        f'[ethernet]\ncloned-mac-address={MAC}'}


#: Netplan by another key than the first; whether it is for one card.
NETPLAN = {
    f'    a:\n      match:\n        name: "en*"\n        macaddress: {MAC}':
        True,
    f'    a:\n      match:\n        driver: [x]\n\n        # \n'
    f"        macaddress: '{MAC}'": True,
    f'    a: {{match: {{name: "en*", "macaddress": "{MAC}"}}, dhcp4: true}}':
        True,
    f'    a:\n      match:\n        name: "en*"\n      macaddress: {MAC}':
        False,
    f'    a: {{match: {{name: "en*"}}, macaddress: "{MAC}"}}': False,
    f'    a:\n      match:\n        name: x\n    b:\n        macaddress: '
    f'{MAC}': False}


class NetworkTest(base.EngineTestCase):

    def read(self, tree: volumes.Tree) -> network.Network:
        return network.read(system_disks.files(self.directory, tree))

    def test_for_one_card_only(self) -> None:
        for path, text in PINNED.items():
            self.assertEqual((path,), self.read(
                {path: systems.text(text)}).pinned)

    def test_netplan_by_several_keys(self) -> None:
        for text, is_pinned in NETPLAN.items():
            found = self.read({'etc/netplan/1.yaml': systems.text(
                f'network:\n  ethernets:\n{text}\n')})
            self.assertEqual(is_pinned, bool(found.pinned), text)

    def test_for_any(self) -> None:
        found = self.read({path: systems.text(text)
                           for path, text in FREE.items()})
        self.assertEqual((), found.pinned)
        self.assertEqual({'ifcfg', 'netplan', 'networkd', 'NetworkManager',
                          'ifupdown'}, {*found.kinds})

    def test_none(self) -> None:
        self.assertEqual(network.Network(), self.read({'etc/x': b''}))

    def test_old_names(self) -> None:
        for path, text in (
                ('etc/network/interfaces', 'auto lo\niface eth0 inet dhcp'),
                ('etc/network/interfaces.d/a', 'allow-hotplug eth1'),
                ('etc/sysconfig/network-scripts/ifcfg-eth0', 'DEVICE="eth0"'),
                ('etc/systemd/network/10.network', '[Match]\nName=eth0'),
                ('etc/netplan/01.yaml',
                 'network:\n  ethernets:\n    eth0:\n      dhcp4: true'),
                ('etc/NetworkManager/system-connections/a.nmconnection',
                 '[connection]\ninterface-name=eth0')):
            found = self.read({path: systems.text(text)}).named
            self.assertEqual([path], [path for path, _ in found], path)
            self.assertRegex(found[0][1], 'eth[01]')

    def test_other_names(self) -> None:
        for path, text in (
                ('etc/network/interfaces', 'auto eno1\niface en* inet dhcp\n'
                 '# auto eth0\niface ethernet inet dhcp'),
                ('etc/sysconfig/network-scripts/ifcfg-eth0', 'NAME=eth0'),
                ('etc/systemd/network/10.network',
                 '[Match]\nName=eth*\n[Link]\nName=eth0'),
                ('etc/netplan/01.yaml', 'network:\n  ethernets:\n    eth0:\n'
                 '      match: {name: "en*"}'),
                ('etc/NetworkManager/system-connections/a.nmconnection',
                 '[connection]\nid=eth0')):
            self.assertEqual((), self.read(
                {path: systems.text(text)}).named, path)

    def test_who_renames_cards(self) -> None:
        systemd: volumes.Tree = {'usr/lib/systemd/systemd': b'x'}
        self.assertTrue(self.read(systemd).are_renamed)
        for tree in ({}, {**systemd, 'etc/systemd/network/99-default.link':
                          '/dev/null'},
                     {**systemd, 'etc/udev/rules.d/80-net-setup-link.rules':
                      '/dev/null'},
                     {**systemd, 'etc/udev/rules.d/80-net-name-slot.rules':
                      b''}):
            self.assertFalse(self.read(tree).are_renamed, tree)
