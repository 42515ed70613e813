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

import os

from oslo_utils import units

from ironic.common import exception

from ironic_imagedeploy.conductor.checks import acceptance
from tests.support import images
from tests.unit.conductor import base


class CommandsTest(base.ConductorTestCase):
    """Each refusal names the command that mends it."""

    def refusal(self, *commands):
        with self.task() as task:
            error = self.assertRaises(exception.InvalidParameterValue,
                                      acceptance.check_image, task)
        for command in commands:
            self.assertIn(command, str(error))
        return str(error)

    def node_set(self, *options):
        return ' '.join(['openstack baremetal node set', *options,
                         self.node.uuid])

    def of_glance(self, **metadata):
        self.glance.register(self.qcow2, **metadata)
        self.use(base.IMAGE_ID)

    def test_format_of_an_image_in_glance(self):
        self.of_glance(disk_format='raw')
        self.refusal('openstack image create --disk-format qcow2 '
                     '--container-format bare --file FILE NAME',
                     self.node_set('--instance-info image_source=ID'))

    def test_format_of_an_image_by_url(self):
        self.use(image_disk_format='raw')
        self.refusal(self.node_set('--instance-info image_disk_format=qcow2'))

    def test_format_that_is_not_permitted(self):
        self.config(permitted_formats=['raw'], group='imagedeploy')
        self.use(image_disk_format='raw')
        self.refusal('Use an image in one of the formats raw')

    def test_checksums(self):
        command = self.node_set(
            '--instance-info image_os_hash_algo=sha512',
            '--instance-info image_os_hash_value=SHA512')
        self.use(image_os_hash_algo=None, image_os_hash_value=None)
        self.refusal(command)
        self.use(image_os_hash_algo='md5', image_os_hash_value='0' * 32)
        self.refusal(command)
        self.use(image_os_hash_value='abc')
        self.refusal('checksum-invalid', command)
        self.of_glance(os_hash_algo=None, os_hash_value=None)
        self.refusal('openstack image create')

    def test_kernel_beside_a_whole_disk(self):
        self.of_glance(kernel_id='c6d2d0f5')
        self.as_partition()
        self.refusal('openstack image unset --property kernel_id '
                     + base.IMAGE_ID)
        self.use(kernel='http://kernel', ramdisk='http://ramdisk')
        self.as_partition()
        self.refusal('openstack baremetal node unset --instance-info kernel '
                     f'--instance-info ramdisk {self.node.uuid}')

    def test_image_type(self):
        self.of_glance(img_type='partition')
        self.as_partition()
        self.refusal('openstack image set --property img_type=whole-disk '
                     + base.IMAGE_ID)
        self.use(image_type='partition')
        self.as_partition()
        self.refusal(self.node_set('--instance-info image_type=whole-disk'))

    def test_boot_mode(self):
        self.use()
        self.node.properties = {'capabilities': 'boot_mode:uefi,a:b'}
        self.node.save()
        self.refusal(self.node_set('--property capabilities=a:b,'
                                   'boot_mode:bios'))

    def test_size(self):
        large = images.create(self.web / 'large', 3 * units.Gi)
        images.write_table(large)
        self.use(self.server.url('large'), root_gb=2)
        self.refusal('too-large', 'root_gb=2 in instance_info',
                     self.node_set('--instance-info root_gb=3'))

    def test_raw_is_what_nobody_knows(self):
        (self.web / 'noise').write_bytes(os.urandom(4096))
        self.use(self.server.url('noise'))
        self.refusal('If it is a disk byte for byte: ' + self.node_set(
            '--instance-info image_disk_format=raw'))

    def test_another_image(self):
        (self.web / 'page').write_bytes(b'<!DOCTYPE html>'
                                        + b'<p>Sorry.</p>' * 500)
        self.use(self.server.url('page'))
        self.refusal('not-an-image', self.node_set(
            '--instance-info image_source=URL',
            '--instance-info image_os_hash_algo=sha512',
            '--instance-info image_os_hash_value=SHA512'))

    def test_image_that_glance_does_not_have(self):
        self.use(base.IMAGE_ID)
        self.refusal('image-not-found',
                     f'openstack image show {base.IMAGE_ID}',
                     f'openstack image set --community {base.IMAGE_ID}')

    def test_image_that_is_not_active(self):
        self.of_glance(status='queued')
        self.refusal('image-not-found', 'active',
                     f'openstack image show {base.IMAGE_ID}')

    def test_checksum_file_whose_url_has_a_secret(self):
        self.use(image_os_hash_algo=None, image_os_hash_value=None,
                 image_checksum=self.server.url('gone?signature=secret'))
        self.assertNotIn('secret', self.refusal('checksum-invalid'))

    def as_partition(self):
        """As Ironic concludes at the start of a deployment."""
        self.node.driver_internal_info = {'is_whole_disk_image': False}
        self.node.save()


class ReadingTest(base.ConductorTestCase):
    """What the conductor reads of an image that the node fetches itself."""

    STORED = 48 << 20

    def setUp(self):
        super().setUp()
        noise = self.directory / 'noise'
        noise.write_bytes(self.guest.read_bytes()[:base.MIB]
                          + os.urandom(self.STORED))
        self.large = images.convert(noise, self.web / 'large.qcow2')

    def test_web_image(self):
        self.use(self.server.url('large.qcow2'))
        sent = self.transferred(self.server)
        with self.task() as task:
            acceptance.check_image(task)
        self.assertLess(0, sum(sent))
        self.assertLess(sum(sent), self.STORED / 20)

    def test_glance_image(self):
        self.glance.register(self.large)
        self.use(base.IMAGE_ID)
        sent = self.transferred(self.glance)
        with self.task() as task:
            acceptance.check_image(task)
        self.assertLess(sum(sent), self.STORED / 20)
