#!/usr/bin/env python3
#
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

from ironic_imagedeploy.agent import config_drive
from ironic_imagedeploy.agent import deploy_step
from ironic_imagedeploy.agent import order as orders
from tests.support import ramdisk

URL = 'http://192.0.2.1/images/disk.qcow2'
SHA512 = 'ab' * 64
MD5 = 'cd' * 16


class ArgumentsTestCase(ramdisk.AgentTestCase):

    def read(self, **given):
        """Arguments of the step, beside those of the node."""
        return deploy_step.Arguments.read(self.node, {
            'image_url': URL, **given})

    def order(self, **given):
        return self.read(**given).order(self.node)

    def assert_refused(self, expected, found, name, **given):
        with self.assertRaises(deploy_step.InvalidArgument) as caught:
            self.order(**given)
        error = caught.exception
        self.assertEqual(
            (f'stream_image: {name}', expected, found),
            (error.subject, error.expected, error.found))
        self.assertIn('The disk was not touched', error.fix)


class ImageTest(ArgumentsTestCase):

    def test_its_name_is_that_of_the_file(self):
        for url, name in ((URL, 'disk.qcow2'), (f'{URL}?x=/y', 'disk.qcow2'),
                          ('http://192.0.2.1', 'image'),
                          ('http://192.0.2.1/', 'image')):
            order = self.order(image_url=url)
            self.assertEqual((name, [url], (url,)), (
                order.image_info['id'], order.image_info['urls'],
                order.download.urls))

    def test_schemes(self):
        for url in ('HTTP://192.0.2.1/x', 'https://192.0.2.1/x',
                    'oci://192.0.2.1/x'):
            self.assertEqual(url, self.read(image_url=url).image_url)
        expected = ('a URL that begins with http or https or oci, which the '
                    'node can read')
        self.assert_refused(expected, "the scheme 'ftp'", 'image_url',
                            image_url='ftp://192.0.2.1/x')
        self.assert_refused(expected, f"the scheme '{'x' * 20}'",
                            'image_url', image_url=f'{"x" * 21}://y')
        self.assert_refused(expected, 'something else', 'image_url',
                            image_url='http:192.0.2.1')
        self.assert_refused('a URL that begins with http or https or oci',
                            'none', 'image_url', image_url='')
        self.assert_refused(
            'a URL that begins with http or https, which the node can read',
            "the scheme 'oci'", 'manifest_url', manifest_root='0' * 64,
            manifest_url='oci://192.0.2.1/x')

    def test_the_longest(self):
        longest = URL.ljust(8192, 'x')
        self.assertEqual(longest, self.read(image_url=longest).image_url)
        self.assert_refused('8192 printable characters at most',
                            'something else', 'image_url',
                            image_url=longest + 'x')

    def test_kinds(self):
        for given, kind in (({}, 'whole-disk'), ({'image_type': ''},
                                                 'whole-disk'),
                            ({'image_type': 'partition'}, 'partition')):
            self.assertEqual(kind, self.read(**given).image_type)
        self.assert_refused('one of whole-disk, partition', "'kernel'",
                            'image_type', image_type='kernel')

    def test_what_is_not_given_is_that_of_the_node(self):
        self.node['instance_info'] = {
            'image_source': 'http://192.0.2.2/', 'image_type': 'partition',
            'image_disk_format': 'raw', 'configdrive': 'its drive',
            'checksum': 'nobody asks for this'}
        found = deploy_step.Arguments.read(self.node, {'image_url': None})
        self.assertEqual(
            ('http://192.0.2.2/', 'partition', 'raw', 'its drive', None),
            (found.image_url, found.image_type, found.disk_format,
             found.configdrive, found.checksum))
        found = self.read(image_type='whole-disk', disk_format='qcow2',
                          configdrive='drive')
        self.assertEqual((URL, 'whole-disk', 'qcow2', 'drive'), (
            found.image_url, found.image_type, found.disk_format,
            found.configdrive))

    def test_a_node_without_anything(self):
        self.node['instance_info'] = None
        self.assertIsNone(self.read().checksum)


class ChecksumTest(ArgumentsTestCase):

    def test_values(self):
        for given, algorithm in (
                ({'checksum': f'sha512:{SHA512}'}, 'sha512'),
                ({'checksum': SHA512}, 'sha512'),
                ({'checksum': SHA512, 'checksum_algorithm': 'sha512'},
                 'sha512'),
                # What the value itself says is nearer.
                ({'checksum': f'sha512:{SHA512}',
                  'checksum_algorithm': 'md5'}, 'sha512'),
                ({'checksum': MD5}, 'md5')):
            order = self.order(**given)
            self.assertEqual(algorithm, order.checksum.algorithm)
            self.assertEqual(algorithm == 'sha512',
                             order.download.checksum_stated)
        order = self.order()
        self.assertIsNone(order.checksum)
        self.assertFalse(order.download.checksum_stated)

    def test_those_of_the_node(self):
        for info, found in (
                ({'image_os_hash_value': SHA512,
                  'image_os_hash_algo': 'sha512', 'image_checksum': MD5},
                 (SHA512, 'sha512')),
                ({'image_os_hash_value': '', 'image_checksum': MD5},
                 (MD5, None)),
                ({'image_os_hash_algo': 'sha512'}, (None, None)),
                ({'image_checksum': ''}, (None, None))):
            self.node['instance_info'] = info
            read = self.read()
            self.assertEqual(found, (read.checksum, read.checksum_algorithm))
            self.assertEqual(MD5, self.read(checksum=MD5).checksum)

    def test_a_list_of_the_largest_size(self):
        line = f'{SHA512}  disk.qcow2\n'.encode()
        for size, is_read in ((1 << 20, True), ((1 << 20) + 1, False)):
            (self.directory / 'SUMS').write_bytes(
                line.rjust(size, b'\n'))
            given = {'checksum': self.server.url('SUMS'),
                     'image_url': self.server.url('disk.qcow2')}
            if is_read:
                self.assertEqual(SHA512, self.order(**given).checksum.value)
            else:
                self.assert_refused(
                    'a value of sha512 or sha256, or a file that has one for '
                    'the image', f'a file of {size} bytes', 'checksum',
                    **given)

    def test_a_list_has_names_as_they_are(self):
        (self.directory / 'SUMS').write_text(
            f'{"0" * 128}  disk%201.raw\n{SHA512}  disk 1.raw\n')
        self.assertEqual(SHA512, self.order(
            image_url=self.server.url('images/disk%201.raw'),
            checksum=self.server.url('SUMS')).checksum.value)

    def test_roots_of_manifests(self):
        order = self.order(manifest_url='http://192.0.2.1/m',
                           manifest_root='AB' * 32)
        self.assertEqual(
            ('http://192.0.2.1/m', 'ab' * 32, None),
            (order.manifest.url, order.manifest.root, order.manifest.size))
        self.assertIsNone(self.order().manifest)
        for given in ({'manifest_url': 'http://192.0.2.1/m'},
                      {'manifest_url': 'http://192.0.2.1/m',
                       'manifest_root': 7}):
            self.assert_refused('64 hexadecimal digits, with manifest_url',
                                'something else', 'manifest_root', **given)
        self.assert_refused('a URL that begins with http or https', 'none',
                            'manifest_url', manifest_root='ab' * 32)


class PartitionsTest(ArgumentsTestCase):

    def sizes(self, **info):
        self.node['instance_info'] = {'root_gb': 1, **info}
        return self.order(image_type='partition').partitions

    def test_sizes(self):
        self.assertEqual(
            orders.PartitionSizes(root=10240, swap=20, ephemeral=30720,
                                  ephemeral_format='xfs'),
            self.sizes(root_gb=10, swap_mb='20', ephemeral_gb=' 30 ',
                       ephemeral_format='xfs'))
        self.assertEqual(orders.PartitionSizes(root=0),
                         self.sizes(root_gb='0', swap_mb='',
                                    ephemeral_gb=None))

    def test_limits(self):
        most = 10 ** 9 - 1
        for value in (most, str(most)):
            self.assertEqual(most, self.sizes(swap_mb=value).swap)
        for value in (most + 1, str(most + 1), -1, '-1', '1.5', 1.0, True,
                      '\N{ARABIC-INDIC DIGIT ONE}', [1]):
            self.node['instance_info'] = {'root_gb': 1, 'swap_mb': value}
            with self.subTest(value):
                self.assert_refused('a whole number in instance_info',
                                    'something else', 'swap_mb',
                                    image_type='partition')

    def test_what_is_preserved(self):
        for value in (True, 'True', 'true', '1'):
            self.assertIs(True, self.sizes(
                preserve_ephemeral=value).preserve_ephemeral)
        for value in (False, 'False', '', None, '0', 2):
            self.assertIs(False, self.sizes(
                preserve_ephemeral=value).preserve_ephemeral)

    def test_those_of_a_whole_disk_image_are_not_read(self):
        self.node['instance_info'] = {'root_gb': 'x'}
        self.assertIsNone(self.order().partitions)


class ConfigDriveTest(ArgumentsTestCase):

    def test_as_it_is(self):
        for given, found in (('drive', 'drive'), ('', None), (None, None),
                             ({}, None)):
            self.assertEqual(found, self.read(configdrive=given).configdrive)

    def test_parts(self):
        parts = {name: {} for name in config_drive.FILES}
        for given in (parts, {'user_data': 'x'}):
            drive = gzip.decompress(base64.b64decode(
                self.read(configdrive=given).configdrive))
            self.assertIn(b'CONFIG-2', drive.upper())

    def test_others(self):
        self.patched(deploy_step, '_LONGEST_CONFIG_DRIVE', 5)
        self.assertEqual('12345', self.read(configdrive='12345').configdrive)
        for given in ('123456', 'ä', 7, ['x'], {'user_data': '', 'other': 1}):
            self.assert_refused(
                'base64, a URL, or an object with some of meta_data, '
                'network_data, user_data, vendor_data', 'something else',
                'configdrive', configdrive=given)


class PolicyTest(ArgumentsTestCase):

    def test_what_is_given_comes_before_the_options(self):
        self.conf.config(group='imagedeploy', workers=7, read_back='none')
        policy = self.read(policy={
            'read_back': 'full', 'permitted_formats': ['raw', 'qcow2']}
            ).policy
        self.assertEqual(
            (7, 'full', ('raw', 'qcow2')),
            (policy.workers, policy.read_back, policy.permitted_formats))
        self.assertEqual((7, 'none'), (self.read().policy.workers,
                                       self.read().policy.read_back))

    def test_names_are_cut(self):
        with self.assertRaises(deploy_step.InvalidArgument) as caught:
            self.read(policy={'x' * 41: 1})
        self.assertEqual(f"'{'x' * 40}'", caught.exception.found)
        self.assertTrue(caught.exception.expected.startswith('some of '))
