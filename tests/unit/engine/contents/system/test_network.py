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


class NetworkTest(base.EngineTestCase):

    def read(self, tree: volumes.Tree) -> network.Network:
        return network.read(system_disks.files(self.directory, tree))

    def test_for_one_card_only(self) -> None:
        for path, text in PINNED.items():
            self.assertEqual((path,), self.read(
                {path: systems.text(text)}).pinned)

    def test_for_any(self) -> None:
        found = self.read({path: systems.text(text)
                           for path, text in FREE.items()})
        self.assertEqual((), found.pinned)
        self.assertEqual({'ifcfg', 'netplan', 'networkd', 'NetworkManager',
                          'ifupdown'}, {*found.kinds})

    def test_none(self) -> None:
        self.assertEqual(network.Network(), self.read({'etc/x': b''}))
