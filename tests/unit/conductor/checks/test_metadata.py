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

from ironic.common import exception

from ironic_imagedeploy.conductor.checks import acceptance
from tests.unit.conductor import base


class ObjectionsTest(base.ConductorTestCase):

    def check(self, **metadata):
        self.glance.register(self.qcow2, **metadata)
        self.use(base.IMAGE_ID)
        with self.task() as task:
            acceptance.check_image(task)

    def refusal(self, *words, **metadata):
        error = self.assertRaises(exception.InvalidParameterValue,
                                  self.check, **metadata)
        for word in words:
            self.assertIn(word, str(error))

    def test_containers_that_are_no_disks(self):
        for container in ('ova', 'docker', 'aki'):
            self.refusal('container-format',
                         f'found container_format={container}',
                         'openstack image create --disk-format qcow2 '
                         '--container-format bare',
                         container_format=container)
        # What the file is shows from its bytes.
        self.check(container_format='ovf')

    def test_processor(self):
        for name in ('hw_architecture', 'architecture'):
            self.refusal('arch-mismatch', f'Expected {name}=x86_64',
                         f'found {name}=aarch64',
                         f'openstack image set --property {name}=x86_64 '
                         f'{base.IMAGE_ID}', **{name: 'aarch64'})
            self.check(**{name: 'AMD64'})

    def test_other_names_of_a_processor(self):
        self.node.properties = {**self.node.properties, 'cpu_arch': 'i686'}
        self.node.save()
        for name in ('i386', 'i586', 'I686'):
            self.check(hw_architecture=name)

    def test_processor_that_is_not_known(self):
        self.node.properties = {'capabilities': 'boot_mode:bios'}
        self.node.save()
        self.check(hw_architecture='aarch64')
        self.node.properties = {**self.node.properties, 'cpu_arch': ''}
        self.node.save()
        self.check(hw_architecture='aarch64')

    def test_firmware(self):
        self.node.properties = {**self.node.properties,
                                'capabilities': 'cpu_vt:true,boot_mode:bios'}
        self.node.save()
        self.refusal('firmware-mismatch', 'Expected hw_firmware_type=bios',
                     'found hw_firmware_type=uefi',
                     'openstack baremetal node set --property '
                     f'capabilities=cpu_vt:true,boot_mode:uefi '
                     f'{self.node.uuid}',
                     'openstack image set --property hw_firmware_type=bios '
                     + base.IMAGE_ID, hw_firmware_type='uefi')
        self.check(hw_firmware_type='bios')

    def test_capabilities_are_quoted_for_the_shell(self):
        self.node.properties = {'capabilities': 'boot_mode:bios,a:$(reboot)'}
        self.node.save()
        self.refusal("'capabilities=a:$(reboot),boot_mode:uefi'",
                     hw_firmware_type='uefi')

    def test_min_disk(self):
        self.node.properties = {**self.node.properties, 'local_gb': 10}
        self.node.save()
        self.check(min_disk=12)
        self.refusal('too-large', 'local_gb=10 in properties',
                     'found min_disk=13',
                     'openstack baremetal node set --property local_gb=13 '
                     + self.node.uuid, 'openstack image set --min-disk 0 '
                     + base.IMAGE_ID, min_disk=13)

    def test_size(self):
        self.refusal('truncated', f'Expected {len(self.image) + 1} bytes',
                     f'found {len(self.image)} bytes',
                     'openstack image create', size=len(self.image) + 1)

    def test_everything_at_once(self):
        self.refusal('format-mismatch', 'container-format', 'arch-mismatch',
                     'firmware-mismatch', disk_format='raw',
                     container_format='ova', hw_architecture='arm64',
                     hw_firmware_type='uefi')

    def test_images_of_other_sources_have_no_metadata(self):
        self.use(image_properties={'hw_architecture': 'aarch64'})
        with self.task() as task:
            acceptance.check_image(task)
