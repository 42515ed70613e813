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

import base64
import gzip
import hashlib
import json
import pathlib
import typing

from tests.functional import partition_images
from tests.support import disks
from tests.support import images
from tests.support import ramdisk

MIB = partition_images.MIB


class DeployStepTestCase(partition_images.PartitionImageTestCase):
    """A node of custom-agent, whose disk is a loop device."""

    def setUp(self) -> None:
        super().setUp()
        self.node['deploy_interface'] = 'custom-agent'
        drive = hashlib.shake_256(b'config drive').digest(MIB // 2)
        self.drive = drive
        self.encoded = base64.b64encode(gzip.compress(drive)).decode()

    def stream(self, image_type: str, **info: typing.Any
               ) -> dict[str, typing.Any]:
        """Ask for the step as Metal3 does: what it gave."""
        digest = hashlib.sha512(self.image.read_bytes()).hexdigest()
        self.node['instance_info'] = {
            'image_source': self.server.url('disk.qcow2'),
            'image_os_hash_algo': 'sha512', 'image_os_hash_value': digest,
            'image_type': image_type, 'configdrive': self.encoded, **info}
        command = self.agent.execute_command(
            'deploy.execute_deploy_step', ports=[], node=self.node, step={
                'interface': 'deploy', 'step': 'stream_image',
                'priority': 80, 'args': {'policy': {'read_back': 'full'}}})
        ended = command.join().serialize()
        self.assertEqual('SUCCEEDED', ended['command_status'],
                         ended['command_error'])
        return ended['command_result']['deploy_result']['imagedeploy']

    def _last_partition(self) -> str:
        return max(map(str, pathlib.Path('/dev').glob(
            f'{pathlib.Path(self.device).name}p*')))

    def assert_config_drive(self, device: str) -> None:
        content = pathlib.Path(device).read_bytes()
        self.assertEqual(self.drive, content[:len(self.drive)])


class WholeDiskTest(DeployStepTestCase):

    SIZE = 96 * MIB

    def test_disk_and_config_drive(self) -> None:
        guest, _ = images.bootable(32 * MIB, seed=4)
        self.guest = self.directory / 'guest'
        self.guest.write_bytes(guest)
        images.partition(self.guest, 'gpt')
        self.image = images.convert(self.guest,
                                    self.directory / 'disk.qcow2')
        report = self.stream('whole-disk')
        self.assertEqual('full', report['read_back'])
        self.assertFalse(report['backup_gpt_misplaced'])
        disks.run('sgdisk', '--verify', self.device)
        start = disks.first_bytes(self.device, 32 * MIB)
        # Only the tables are others now: a partition came.
        self.assertEqual(self.guest.read_bytes()[34 * 512:31 * MIB],
                         start[34 * 512:31 * MIB])
        self.assert_config_drive(self._last_partition())


class PartsTest(DeployStepTestCase):
    """A config drive that Ironic has in parts, as from Metal3."""

    SIZE = 96 * MIB

    def test_it_is_made_of_them(self) -> None:
        guest, image = images.bootable(32 * MIB, seed=4)
        self.guest = self.directory / 'guest'
        self.guest.write_bytes(guest)
        images.partition(self.guest, 'gpt')
        self.image = images.convert(self.guest,
                                    self.directory / 'disk.qcow2')
        self.node['name'] = 'node-1'
        self.stream('whole-disk', configdrive={
            'meta_data': {'hostname': 'named'}, 'user_data': '#!/bin/sh\n',
            'network_data': {'links': []}})
        drive = self._last_partition()
        self.assertEqual('config-2', disks.run(
            'blkid', '-p', '-s', 'LABEL', '-o', 'value', drive).lower())
        for version in ('latest', '2012-08-10'):
            self.assertEqual(
                {'uuid': ramdisk.NODE_ID, 'name': 'node-1',
                 'hostname': 'named'}, json.loads(disks.run(
                     'mtype', '-i', drive,
                     f'::/openstack/{version}/meta_data.json')))
        self.assertEqual('#!/bin/sh', disks.run(
            'mtype', '-i', drive, '::/openstack/latest/user_data'))


class PartitionImageTest(DeployStepTestCase):

    #: Sizes of Ironic's users are in GiB.
    SIZE = 1400 * MIB

    def test_partitions_and_boot_loader(self) -> None:
        self.use(partition_images.debian)
        report = self.stream('partition', root_gb='1', swap_mb=16)
        self.assertEqual('i386-pc', report['bootloader']['platform'])
        self.assertIn('vmlinuz-6.1.0-10-amd64', self.menu())
        self.assert_config_drive(self.partition('configdrive'))
        self.assertEqual('swap', disks.run(
            'blkid', '-p', '-s', 'TYPE', '-o', 'value',
            self.partition('swap')))
