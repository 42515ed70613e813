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
import unittest
from unittest import mock

from ironic_python_agent import errors
from ironic_python_agent import raid_utils

from ironic_imagedeploy.agent import order
from ironic_imagedeploy.contract import policy
from ironic_imagedeploy.contract import report
from ironic_imagedeploy import engine
from tests.support import ramdisk
from tests.unit.contract import before

POLICY = policy.Policy(
    permitted_formats=('raw',), read_back='none', workers=0,
    insecure_checksums_permitted=False, minimum_speed=7)


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


class DownloadTest(unittest.TestCase):

    def read(self, checksum=None, **info):
        return order.Download.read({'urls': ['http://x/y'], **info}, checksum,
                                   POLICY)

    def test_what_the_operator_asks_for(self):
        self.assertEqual(7, self.read().minimum_speed)
        self.assertEqual(0, order.Download(urls=()).minimum_speed)

    def test_whether_a_checksum_tells_the_image(self):
        for algorithm, strong in (('sha512', True), ('sha256', True),
                                  ('sha1', False), ('md5', False)):
            value = hashlib.new(algorithm, b'').hexdigest()
            self.assertEqual(strong, self.read(engine.Checksum(
                algorithm, value)).checksum_stated)
        self.assertFalse(self.read().checksum_stated)
        self.assertFalse(order.Download(urls=()).checksum_stated)

    def test_logins(self):
        named = {'image_server_user': 'user', 'image_server_password': 'word'}
        for strategy, info, login in (
                ('http_basic', named, ('user', 'word')),
                ('http_basic', {}, ('', '')),
                ('noauth', named, None), ('a', named, None),
                (None, named, None)):
            self.assertEqual(login, self.read(
                image_server_auth_strategy=strategy, **info).login)
        self.assertIsNone(self.read(**named).login)

    def test_proxies(self):
        proxies = {'http': 'http://192.0.2.1'}
        for given, expected in ((proxies, proxies), (None, {}), ({}, {})):
            self.assertEqual(expected, self.read(proxies=given).proxies)
        self.assertEqual('x', self.read(no_proxy='x').no_proxy)


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
        for answer, room in ((True, raid_utils.ESP_SIZE_MIB << 20),
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
        self.assertEqual(order.PartitionSizes(
            root=8, swap=0, ephemeral=0, ephemeral_format=None,
            preserve_ephemeral=False), read.partition_sizes)
        self.assertEqual(read.partition_sizes, order.PartitionSizes(root=8))

    def test_a_root_of_no_known_size(self):
        for info in ({}, {'root_mb': None}, {'root_mb': 'x'}):
            with self.assertRaisesRegex(
                    errors.DeploymentError,
                    'root partition is not known: expected root_gb'):
                self.read(image_type='partition', **info)

    def test_manifests(self):
        """None for those who hash the whole file; both for chunks."""
        remote = {'url': 'http://192.0.2.1/', 'root': '0' * 64, 'size': 1}
        for verify, expected in (('chunks', (True, True)),
                                 ('both', (True, False)),
                                 ('file', (False, False))):
            self.node['driver_internal_info'] = {'imagedeploy': {
                'verify': verify, 'manifest': remote,
                'disk_manifest': remote}}
            read = self.read()
            self.assertEqual(expected, (read.manifest is not None,
                                        read.disk_manifest is not None))

    def test_formats(self):
        for given, sent, expected in (('qcow2', 'raw', 'qcow2'),
                                      (None, 'raw', 'raw'),
                                      ('qcow2', None, 'qcow2')):
            self.node['driver_internal_info'] = {
                'imagedeploy': {'disk_format': sent} if sent else {}}
            self.assertEqual(expected,
                             self.read(disk_format=given).disk_format)

    def test_an_image_of_no_kind_is_one_of_a_whole_disk(self):
        for kind in ('whole-disk', 'a', 'z', ''):
            self.assertIsNone(self.read(image_type=kind).partitions)

    def test_checksums(self):
        """That of the conductor comes first, and a multihash next."""
        md5 = {'checksum': 'ab' * 16}
        nothing = {'os_hash_algo': None, 'os_hash_value': None}
        for info, algorithm in (
                (md5, 'sha512'), (md5 | nothing, 'md5'),
                (md5 | {'os_hash_algo': None}, 'md5'),
                (md5 | {'os_hash_value': ''}, 'md5')):
            self.assertEqual(algorithm, self.read(**info).checksum.algorithm)
        self.assertIsNone(self.read(**nothing).checksum)
        self.node['driver_internal_info'] = {'imagedeploy': {
            'checksum': before.SHA512}}
        self.assertEqual(engine.Checksum.parse(before.SHA512),
                         self.read(**md5).checksum)

    def test_a_checksum_that_is_none(self):
        with self.assertRaisesRegex(
                errors.DeploymentError,
                'The image the-image has no usable checksum: '):
            self.read(os_hash_value='x')

    def test_the_agent_sees_that_there_is_a_checksum(self):
        source = mock.Mock(spec=engine.Source)
        read = self.read(os_hash_algo=None, os_hash_value=None)
        for declared, expected in ((None, None), (engine.Checksum.parse(
                before.SHA512), 'sha512')):
            read.image_info.pop('os_hash_algo', None)
            source.declared_checksum = declared
            read.state_checksum(source)
            self.assertEqual(expected, read.image_info.get('os_hash_algo'))

    def test_a_checksum_that_is_stated_stays(self):
        read = self.read()
        stated = dict(read.image_info)
        read.state_checksum(mock.Mock(spec=engine.Source))
        self.assertEqual(stated, read.image_info)

    def test_what_the_image_has_to_be(self):
        self.node['driver_internal_info'] = {'imagedeploy': {
            'decompression_memory': 3, 'insecure_checksums_permitted': True,
            'permitted_formats': ['raw', 'qcow2']}}
        with engine.open_target(str(self.disk)) as target:
            whole = self.read().expectation(target)
            part = self.read(image_type='partition', root_mb=8).expectation(
                target, 0)
        self.assertEqual(
            ('qcow2', 'whole-disk', True, ('raw', 'qcow2'), 3 << 20,
             ramdisk.DISK_SIZE, 512, 'bios', 'x86_64', False, False),
            (whole.disk_format, whole.image_type, whole.permit_weak,
             whole.permitted, whole.decompression_memory, whole.disk_size,
             whole.sector_size, whole.boot_mode, whole.arch,
             whole.secure_boot, whole.has_kernel))
        self.assertEqual(('partition', 0), (part.image_type, part.disk_size))

    def test_a_kernel_that_comes_with_it(self):
        self.node['driver_internal_info'] = {'imagedeploy': before.ORDER}
        with engine.open_target(str(self.disk)) as target:
            self.assertTrue(self.read().expectation(target).has_kernel)

    def test_what_is_asked_of_its_system(self):
        """Nothing where nobody wants to know how it starts."""
        devices = self.patched(order.devices, 'devices')
        for sent, expected in (
                ({}, (True, True, devices.return_value)),
                ({'start_judged': True},
                 (False, True, devices.return_value)),
                ({'start_findings': 'off'}, (False, False, ()))):
            self.node['driver_internal_info'] = {'imagedeploy': sent}
            with self.subTest(sent), engine.open_target(
                    str(self.disk)) as target:
                found = self.read().expectation(target)
                self.assertEqual(expected, (found.contents, found.initramfs,
                                            found.devices))
        devices.assert_called_with(root=str(self.disk))

    def test_secure_boot(self):
        firmware = self.patched(order.firmware, 'boots_securely')
        for known, expected in ((True, True), (False, False), (None, False)):
            firmware.return_value = known
            with engine.open_target(str(self.disk)) as target:
                self.assertIs(expected, self.read().expectation(
                    target).secure_boot)

    def test_partitions(self):
        self.assertIsNone(self.read().partitions)
        self.assertEqual(
            order.PartitionSizes(root=8, swap=1, ephemeral=2,
                                 ephemeral_format='ext4',
                                 preserve_ephemeral=True),
            self.read(image_type='partition', root_mb='8', swap_mb=1,
                      ephemeral_mb=2, ephemeral_format='ext4',
                      preserve_ephemeral=True).partitions)
