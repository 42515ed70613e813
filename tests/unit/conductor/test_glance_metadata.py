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
from keystoneauth1 import exceptions as keystone_exceptions

from ironic_imagedeploy.conductor import glance
from ironic_imagedeploy.conductor import images

IMAGE_ID = '1be26c0b-03f2-4d2e-ae87-c02d7f33c781'
SHA512 = 'ab' * 64
RECORD = {'disk_format': 'qcow2', 'checksum': 'cd' * 16, 'properties': {}}


def declared(record=RECORD, role='disk', **more):
    """What Glance declares when it shows that."""
    def show(href):
        if isinstance(record, Exception):
            raise record
        return {**record, **more}

    return glance.declared(types.SimpleNamespace(show=show),
                           types.SimpleNamespace(uuid='the-node'), IMAGE_ID,
                           role)


class DeclaredTest(unittest.TestCase):

    def test_little(self):
        found = declared()
        self.assertEqual(
            ('qcow2', 'md5', None, False, None, 0, {}, None, {}, {}),
            (found.disk_format, found.checksum.algorithm, found.size,
             found.public, found.container_format, found.min_disk,
             found.architectures, found.firmware_type, found.boot_files,
             found.start_findings))
        self.assertEqual([], found.instance_info['image_tags'])

    def test_much(self):
        properties = {
            'hash_value': SHA512, 'hw_architecture': 'x86_64',
            'architecture': '', 'hw_firmware_type': 'uefi',
            'kernel_id': 'k', 'ramdisk_id': None,
            'imagedeploy_start_findings': 'off',
            'imagedeploy_start_findings_muted': ''}
        found = declared(
            hash_algo=None, os_hash_algo='sha512', size=7, min_disk='3',
            visibility='public', container_format='bare', tags=['x'],
            properties=properties)
        self.assertEqual(
            (SHA512, 7, True, 'bare', 3, {'hw_architecture': 'x86_64'},
             'uefi', {'kernel': 'k'},
             {'imagedeploy_start_findings': 'off',
              'imagedeploy_start_findings_muted': ''}),
            (found.checksum.value, found.size, found.public,
             found.container_format, found.min_disk, found.architectures,
             found.firmware_type, found.boot_files, found.start_findings))
        self.assertEqual(
            {'image_checksum': 'cd' * 16, 'image_os_hash_algo': 'sha512',
             'image_os_hash_value': SHA512,
             'image_container_format': 'bare', 'image_tags': ['x'],
             'image_properties': properties}, found.instance_info)

    def test_who_may_read_it(self):
        for visibility in ('private', 'shared', 'community', 'z', None):
            self.assertFalse(declared(visibility=visibility).public)

    def test_names_of_a_multihash(self):
        """Ironic and openstacksdk call it by different names."""
        for record in ({'os_hash_value': SHA512},
                       {'properties': {'hash_value': SHA512}}):
            found = declared(os_hash_algo='sha512', **record)
            self.assertEqual(SHA512, found.checksum.value)

    def test_what_is_not_usable(self):
        for role, name in (('disk', 'image'), ('kernel', 'kernel')):
            with self.assertRaisesRegex(
                    exception.InvalidParameterValue,
                    f'The checksum of the {name} is not usable'):
                declared(checksum='x', role=role)


class FailuresTest(unittest.TestCase):

    def refused(self, error, role=images.DISK):
        with self.assertRaises(exception.InvalidParameterValue) as caught:
            declared(error, role)
        return str(caught.exception)

    def test_no_such_image(self):
        for error in (exception.ImageNotFound(image_id='x'),
                      exception.ImageUnacceptable(image_id='x', reason='y')):
            told = self.refused(error)
            for words in (f'glance:{IMAGE_ID}', 'image-not-found',
                          f'openstack image show {IMAGE_ID}.'):
                self.assertIn(words, told)
        self.assertIn(f'kernel glance:{IMAGE_ID}', self.refused(
            exception.ImageNotFound(image_id='x'), 'kernel'))

    def test_no_answer(self):
        for error in (exception.GlanceConnectionFailed(
                endpoint='x', reason='y'),
                keystone_exceptions.ConnectFailure('z'),
                glance.sdk_exceptions.SDKException('w')):
            self.assertIn('image-unreadable: Glance does not tell',
                          self.refused(error))
