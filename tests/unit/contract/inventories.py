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

"""An inventory as ironic-python-agent 13 tells it."""

from ironic_imagedeploy.engine import hardware

AHCI = {'vendor_id': '8086', 'product_id': 'a102', 'class': '010601',
        'revision': '31', 'bus': '0000:00:17.0', 'numa_node_id': '-1'}
IGB = {'vendor_id': '8086', 'product_id': '1521', 'class': '020000',
       'revision': '01', 'bus': '0000:01:00.0', 'numa_node_id': '-1'}
XHCI = {'vendor_id': '8086', 'product_id': 'a12f', 'class': '0c0330',
        'revision': '31', 'bus': '0000:00:14.0', 'numa_node_id': '-1'}
DISK = {'name': '/dev/sda', 'size': 1 << 40,
        'by_path': '/dev/disk/by-path/pci-0000:00:17.0-ata-1'}
STICK = {'name': '/dev/sdb', 'size': 1 << 34,
         'by_path': '/dev/disk/by-path/pci-0000:00:14.0-usb-0:1:1.0-scsi'}
CARD = {'name': 'eno1', 'mac_address': '52:54:00:12:34:56',
        'vendor': '0x8086', 'product': '0x1521', 'driver': 'igb',
        'pci_address': '0000:01:00.0'}
INVENTORY = {'disks': [DISK], 'interfaces': [CARD], 'cpu': {'count': 8}}
#: With the collector pci-devices.
PLUGIN_DATA = {'pci_devices': [AHCI, IGB, XHCI], 'root_disk': DISK}
CONTROLLER = hardware.Device(
    kind=hardware.Kind.DISK, name='/dev/sda', is_root=True,
    alias='pci:v00008086d0000A102sv*sd*bc01sc06i01')
NETWORK = hardware.Device(
    kind=hardware.Kind.NETWORK, name='eno1', driver='igb',
    alias='pci:v00008086d00001521sv*sd*bc02sc00i00')
