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

import types
import unittest

from ironic.common import exception

from ironic_imagedeploy.conductor import checksums
from ironic_imagedeploy import engine

SHA512 = 'ab' * 64
MD5 = 'cd' * 16
URL = 'http://192.0.2.1/image'


def node(order=None, **info):
    return types.SimpleNamespace(
        uuid='the-node', instance_info=info,
        driver_internal_info={'imagedeploy': order} if order else {})


class StatedTest(unittest.TestCase):

    def test_what_the_user_states(self):
        for order, found in (
                (None, ('sha512', SHA512)), ({}, ('sha512', SHA512)),
                ({'checksum': f'sha512:{SHA512}'}, ('sha512', SHA512)),
                ({'checksum_is_ours': True, 'checksum': 'sha512:0'},
                 ('sha512', SHA512)),
                ({'checksum_is_ours': True, 'checksum': 'sha512:zz'},
                 ('sha512', SHA512)),
                ({'checksum_is_ours': False,
                  'checksum': f'sha512:{SHA512}'}, ('sha512', SHA512)),
                ({'checksum_is_ours': True,
                  'checksum': f'sha512:{SHA512}'}, (None, None))):
            self.assertEqual(found, checksums.stated(node(
                order, image_os_hash_algo='sha512',
                image_os_hash_value=SHA512)), order)

    def test_a_multihash_comes_first(self):
        for info, algorithm in (
                ({}, None), ({'image_checksum': MD5}, 'md5'),
                ({'image_os_hash_algo': 'sha512', 'image_checksum': MD5},
                 'md5'),
                ({'image_os_hash_value': SHA512, 'image_checksum': MD5},
                 'md5'),
                ({'image_os_hash_algo': 'sha512', 'image_checksum': MD5,
                  'image_os_hash_value': SHA512}, 'sha512')):
            found = checksums.of_node(node(**info), URL)
            self.assertEqual(algorithm, found and found.algorithm, info)


class NotUsableTest(unittest.TestCase):

    def refused(self, href=URL, role=None, **values):
        with self.assertRaises(exception.InvalidParameterValue) as caught:
            checksums.declared(node(), href, role=role, **{
                'algorithm': None, 'value': None, 'other': None, **values})
        return str(caught.exception)

    def test_what_to_set(self):
        for role, words in (
                (None, ('The checksum of the image is not usable',
                        '--instance-info image_os_hash_algo=sha512 '
                        '--instance-info image_os_hash_value=SHA512 '
                        'the-node')),
                ('kernel', ('The checksum of the kernel is not usable',
                            '--instance-info kernel_checksum=sha512:SHA512 '
                            'the-node'))):
            told = self.refused(other='x', role=role)
            for each in words:
                self.assertIn(each, told)

    def test_what_may_have_a_secret(self):
        for values in ({'other': 'ftp://user:53cret@192.0.2.1/'},
                       {'algorithm': 'ftp://53cret', 'value': 'x'},
                       {'algorithm': 'sha512', 'value': 'ftp://53cret'}):
            told = self.refused(**values)
            self.assertNotIn('53cret', told)
            self.assertIn('a URL in its place', told)
        self.assertNotIn('a URL in its place', self.refused(other='x'))

    def test_none(self):
        self.assertIsNone(checksums.declared(
            node(), URL, algorithm='sha512', value='', other=None))


class GivenTest(unittest.TestCase):

    def test_an_image_by_url(self):
        both = {'image_os_hash_algo': 'sha512', 'image_os_hash_value': SHA512}
        for info, is_given in (
                ({'image_source': URL}, False),
                ({'image_source': URL.upper()}, False),
                ({'image_source': 'https://192.0.2.1/'}, False),
                ({'image_source': URL, 'image_checksum': MD5}, True),
                ({'image_source': URL, **both}, True),
                ({'image_source': URL, 'image_os_hash_algo': 'x'}, False),
                ({'image_source': URL, 'image_os_hash_value': 'x'}, False),
                ({'image_source': 'file:///x'}, True),
                ({'image_source': 'oci://x/y'}, True),
                ({'image_source': None}, True), ({}, True)):
            if is_given:
                checksums.check_given(node(**info))
                continue
            with self.assertRaisesRegex(
                    exception.InvalidParameterValue, 'checksum-missing: '
                    'Nothing states what the image must be'):
                checksums.check_given(node(**info))

    def test_a_kernel_by_url(self):
        for href, info, is_given in (
                (URL, {}, False), (URL.upper(), {}, False),
                (URL, {'kernel_checksum': MD5}, True),
                (URL, {'ramdisk_checksum': MD5}, False),
                ('file:///x', {}, True)):
            if is_given:
                checksums.check_boot_file(node(**info), 'kernel', href)
                continue
            with self.assertRaisesRegex(
                    exception.InvalidParameterValue,
                    'Expected kernel_checksum in instance_info'):
                checksums.check_boot_file(node(**info), 'kernel', href)
        self.assertEqual('sha512', engine.Checksum('sha512', SHA512
                                                   ).algorithm)
