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

import hashlib
import subprocess
from unittest import mock

from ironic.common import exception
from ironic.common import states
from ironic.drivers.modules import agent
from ironic.drivers.modules import agent_client

from tests.unit.conductor import partition_images

UUIDS = {'root uuid': 'e5354339', 'efi system partition uuid': None}


class DeploymentTest(partition_images.DeploymentTestCase):

    def test_order(self):
        self.provide('boot/vmlinuz-6.1', 'usr/sbin/grub-install')
        node = self.deploy()
        self.assertIsNone(node.last_error)
        self.assertEqual(states.DEPLOYWAIT, node.provision_state)
        self.reboot.assert_called_once()
        info = node.instance_info
        self.assertEqual(
            ('partition', 10240, 512, 2048, False),
            (info['image_type'], info['root_mb'], info['swap_mb'],
             info['ephemeral_mb'], info['preserve_ephemeral']))

    def test_no_boot_loader_and_no_kernel(self):
        self.provide('etc/hostname')
        node = self.deploy()
        self.assertEqual(states.DEPLOYFAIL, node.provision_state)
        self.assertIn('no-bootloader', node.last_error)
        self.reboot.assert_not_called()

    def test_larger_than_its_partition(self):
        self.provide('boot/vmlinuz-6.1', 'usr/sbin/grub-install')
        image = self.web / 'root.qcow2'
        subprocess.run(['qemu-img', 'resize', '-q', image, '11G'], check=True)
        digest = hashlib.sha256(image.read_bytes()).hexdigest()
        self.node.instance_info = {**self.node.instance_info,
                                   'image_os_hash_value': digest}
        self.node.save()
        node = self.deploy()
        self.assertIn('too-large', node.last_error)
        self.assertIn('root_gb=10', node.last_error)


class BootLoaderTest(partition_images.PartitionImageTestCase):

    def setUp(self):
        super().setUp()
        self.provide('boot/vmlinuz-6.1', 'usr/sbin/grub-install')
        self.boot_to_disk = self.patched(agent, 'set_boot_to_disk')
        self.told = self.patched(agent_client.AgentClient,
                                 'get_partition_uuids')
        self.install = self.patched(agent_client.AgentClient,
                                    'install_bootloader')
        self.install.return_value = {'command_status': 'SUCCEEDED'}

    def patched(self, owner, name):
        patcher = mock.patch.object(owner, name, autospec=True)
        self.addCleanup(patcher.stop)
        return patcher.start()

    def configure(self, **uuids):
        self.told.return_value = {'command_result': uuids}
        with self.task(shared=False) as task:
            task.driver.deploy.prepare_instance_to_boot(
                task, 'e5354339', None)

    def test_ours_is_not_asked_for_again(self):
        self.configure(**UUIDS, bootloader='i386-pc')
        self.install.assert_not_called()
        self.boot_to_disk.assert_called_once_with(mock.ANY, 'bios')

    def test_stock_agent_installs_its_own(self):
        self.configure(**UUIDS)
        self.install.assert_called_once()
        self.boot_to_disk.assert_called_once_with(mock.ANY, 'bios')

    def test_stock_agent_that_refuses(self):
        self.install.return_value = {
            'command_status': 'FAILED', 'command_error': {
                'message': 'disabled', 'details': 'CVE-2026-43003'}}
        error = self.assertRaises(exception.InstanceDeployFailure,
                                  self.configure, **UUIDS)
        self.assertIn('Failed to install a bootloader', str(error))

    def test_whole_disk_images_of_a_bios_are_as_ever(self):
        self.use()
        self.configure(**UUIDS, bootloader='i386-pc')
        self.told.assert_not_called()

    def test_whole_disk_images_on_a_software_raid(self):
        self.use()
        self.node.properties = {**self.node.properties,
                                'capabilities': 'boot_mode:uefi'}
        self.node.save()
        self.configure(bootloader='uefi')
        self.install.assert_not_called()
        self.boot_to_disk.assert_called_once_with(mock.ANY, 'uefi')

    def test_whole_disk_images_on_a_disk(self):
        self.use()
        self.node.properties = {**self.node.properties,
                                'capabilities': 'boot_mode:uefi'}
        self.node.save()
        self.configure()
        self.install.assert_called_once()
