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


from ironic_imagedeploy.agent import order
from ironic_imagedeploy.contract import report
from ironic_imagedeploy import engine
from tests.support import ramdisk
from tests.unit.contract import before


class ConductorsTest(ramdisk.AgentTestCase):
    """Orders of this release, of the one before, and of a later one."""

    def setUp(self):
        super().setUp()
        self.sent = {**before.ORDER, 'checksum': 'sha512:' + self.image_info()[
            'os_hash_value']}
        # Of a partition image.
        del self.sent['boot_files']
        self.node['driver_internal_info'] = {'imagedeploy': self.sent}

    def test_before(self):
        told = self.written(os_hash_value='0' * 128,
                            disk_format=None)
        self.assert_written()
        self.assertEqual('sample', told['imagedeploy']['read_back'])
        self.assertEqual(told['imagedeploy'],
                         report.checked(told['imagedeploy']))

    def test_this(self):
        self.sent['version'] = 1
        self.written()
        self.assert_written()

    def test_later(self):
        self.sent['version'] = 2
        self.assertIn('Update ironic-imagedeploy in the deploy ramdisk',
                      self.failed())
        self.assert_untouched()


class ReadTest(ramdisk.AgentTestCase):

    def read(self, **info):
        """The order for an image that is described like that."""
        return order.WriteOrder.read(self.node, self.image_info(**info))

    def test_secrets_are_not_shown(self):
        self.assertNotIn('secret', repr(self.read(
            image_request_authorization='c2VjcmV0',
            image_server_auth_strategy='http_basic',
            image_server_user='user', image_server_password='secret',
            configdrive='secret').download))

    def test_a_checksum_is_required(self):
        with engine.open_target(str(self.disk)) as target:
            self.assertTrue(self.read().expectation(target).require_checksum)

    def test_an_array_has_room_for_what_starts_it(self):
        is_array = self.patched(order.sysfs, 'is_array')
        for answer, room in ((True, order.software_raid.ESP_SIZE),
                             (False, None)):
            is_array.return_value = answer
            with (self.subTest(answer),
                  engine.open_target(str(self.disk)) as target):
                self.assertEqual(
                    room, self.read().expectation(target).raid_esp)

    def test_a_conductor_that_asks_for_the_boot_loader(self):
        self.assertFalse(self.read().own_boot_loader)
        self.node['driver_internal_info'] = {
            'imagedeploy': {'own_boot_loader': True}}
        self.assertTrue(self.read().own_boot_loader)

    def test_sizes(self):
        read = self.read(image_type='partition', root_mb='8')
        self.assertEqual(8 << 20, read.partition_sizes.root_bytes)

    def test_partitions(self):
        self.assertIsNone(self.read().partitions)
        self.assertEqual(
            order.PartitionSizes(root=8, swap=1, ephemeral=2,
                                 ephemeral_format='ext4',
                                 preserve_ephemeral=True),
            self.read(image_type='partition', root_mb='8', swap_mb=1,
                      ephemeral_mb=2, ephemeral_format='ext4',
                      preserve_ephemeral=True).partitions)
