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

from ironic_imagedeploy.agent import firmware
from ironic_imagedeploy.engine import hardware
from tests.support import ramdisk
from tests.unit.engine import system_disks
from tests.unit.engine import systems

MIB = ramdisk.MIB
FOLDER = 'usr/lib/modules/6.1.0-13-amd64'
ALIAS = 'pci:v00001234d00000001sv00000000sd00000000bc01sc04i00'


class FindingsTest(ramdisk.AgentTestCase):
    """A machine whose disk hangs on a controller of its own."""

    def setUp(self) -> None:
        super().setUp()
        self.disk.write_bytes(ramdisk.OLD * (64 * MIB))
        self.sysfs = self.directory / 'sys'
        self.patched(hardware, 'SYSFS', self.sysfs)
        self.add('pci0000:00/0000:00:05.0', 'block', self.disk.name, ALIAS,
                 'arcmsr')

    def add(self, path: str, kind: str, name: str, alias: str, driver: str
            ) -> None:
        """Add a device to the machine."""
        device = self.sysfs / 'devices' / path
        (device / kind / name).mkdir(parents=True)
        (device / 'modalias').write_text(alias)
        (self.sysfs / 'drivers' / driver).mkdir(parents=True)
        (device / 'driver').symlink_to(self.sysfs / 'drivers' / driver)
        (device / kind / name / 'device').symlink_to(device)
        link = self.sysfs / 'class' / kind / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(device / kind / name)

    def use(self, drivers: tuple[str, ...], **tree: bytes) -> None:
        """Have an image with a kernel that has these drivers."""
        folder = self.directory / 'made'
        folder.mkdir()
        self.made = system_disks.disk(folder, systems.changed(
            systems.debian(), {
                **systems.kernel('6.1.0-13-amd64', drivers),
                f'{FOLDER}/modules.alias': ''.join(
                    f'alias pci:v00001234d*sv*sd*bc01sc04i* {driver}\n'
                    for driver in drivers if driver == 'arcmsr').encode(),
                **tree}))
        self.image.write_bytes(self.made.read_bytes())

    def order(self, **policy: typing.Any) -> None:
        """Let the conductor order something."""
        self.node['driver_internal_info'] = {'imagedeploy': policy}

    def untouched(self) -> bool:
        """Whether the disk is what it was."""
        return self.disk.read_bytes().count(ramdisk.OLD) == 64 * MIB

    def warnings(self) -> dict[str, dict[str, str]]:
        """Warnings of a write that succeeds, by their codes."""
        report = self.written(disk_format='raw')['imagedeploy']
        self.assertFalse(self.untouched())
        return {each['code']: each for each in report['warnings']}

    def test_a_disk_that_the_kernel_does_not_find(self) -> None:
        self.use(('ahci',))
        details = self.failed(disk_format='raw')
        self.assertIn('driver-missing: The kernel in the image does not find '
                      f'the disk. Expected a driver for {ALIAS}, which disk '
                      'needs, found none in 6.1.0-13-amd64', details)
        self.assertTrue(self.untouched())

    def test_what_the_operator_wants(self) -> None:
        self.use(('ahci',))
        for policy in ({'start_findings': 'off'},
                       {'start_findings_muted': ['driver-missing']}):
            self.order(**policy)
            self.assertNotIn('driver-missing', self.warnings())

    def test_a_disk_that_the_kernel_finds(self) -> None:
        self.use(('arcmsr', 'ahci'))
        self.assertEqual({}, self.warnings())

    def test_a_network_card(self) -> None:
        self.add('pci0000:00/0000:00:06.0', 'net', 'eno1',
                 ALIAS.replace('bc01sc04', 'bc02sc00'), 'sfc')
        self.use(('arcmsr', 'ahci'))
        warning = self.warnings()['driver-missing']
        self.assertEqual('The kernel in the image does not find a network '
                         'card.', warning['message'])
        self.assertIn('eno1', warning['expected'])
        # Beside the report, which is logged as what the command gave.
        self.assertIn(f'{self.server.url("disk.qcow2")}: driver-missing: '
                      'The kernel', self.log.output)

    def test_what_the_conductor_has_judged(self) -> None:
        """It is not told twice; what it could not see is told here."""
        self.use(('arcmsr', 'ahci'), **{'etc/machine-id': b'0' * 32})
        self.assertEqual({'machine-id-left'}, {*self.warnings()})
        self.order(start_judged=True)
        self.assertEqual({}, self.warnings())

    def test_what_the_operator_raised(self) -> None:
        self.use(('arcmsr', 'ahci'), **{'etc/machine-id': b'0' * 32})
        self.order(start_findings_raised=['machine-id-left'])
        self.assertIn('machine-id-left', self.failed(disk_format='raw'))
        self.assertTrue(self.untouched())

    def test_secure_boot(self) -> None:
        """What the firmware does counts, whatever the node's fields say."""
        self.use(('arcmsr', 'ahci'))
        self.node['properties'] = {'capabilities': 'boot_mode:uefi'}
        variables = self.directory / 'sys/firmware/efi/efivars'
        variables.mkdir(parents=True)
        self.patched(firmware, 'ROOT', self.directory)
        state = variables / ('SecureBoot-8be4df61-93ca-11d2-aa0d-'
                             '00e098032b8c')
        state.write_bytes(b'\6\0\0\0\1')
        self.assertIn('unsigned-loader', self.failed(disk_format='raw'))
        self.assertTrue(self.untouched())
        state.write_bytes(b'\6\0\0\0\0')
        self.assertEqual({}, self.warnings())
