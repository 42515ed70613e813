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

import unittest

from ironic.common import exception

from ironic_imagedeploy.conductor import node_fields
from tests.unit.conductor import unsaved

URL = 'the UUID of an image, or a URL'
LINE = 'text of 8192 printable characters at most'
NAME = 'a name of 255 printable characters at most'
COUNT = 'a whole number from 0 to 999999999'
HINTS = 'an object with hints'
SECRET = 'http://user:53cret@192.0.2.1/'


class NodeFieldsTest(unittest.TestCase):

    def assert_usable(self, name, *values, place='instance_info'):
        for value in values:
            node_fields.check(unsaved.node(**{place: {name: value}}))

    def assert_refused(self, name, expected, values, *,
                       place='instance_info'):
        """Each of these values, by what it is said to be."""
        option = {'instance_info': '--instance-info',
                  'properties': '--property'}[place]
        for value, found in values:
            with self.assertRaises(exception.InvalidParameterValue) as caught:
                node_fields.check(unsaved.node(**{place: {name: value}}))
            self.assertIn(
                f'node {unsaved.NODE_ID}: the image is refused: '
                f'field-invalid: The field {name} in {place} cannot be used. '
                f'Expected {expected}, found {found}. openstack baremetal '
                f'node set {option} {name}=VALUE {unsaved.NODE_ID}',
                str(caught.exception))
            self.assertNotIn('53cret', str(caught.exception))

    def test_lines(self):
        for name in ('image_checksum', 'kernel_checksum', 'ramdisk_checksum',
                     'image_os_hash_value', 'kernel_append_params',
                     'image_request_authorization_secret',
                     'image_pull_secret'):
            self.assert_usable(name, None, '', 'x', 'x' * 8192, SECRET)
            self.assert_refused(name, LINE, (
                ('x' * 8193, '8193 characters'),
                ('a\n', 'control characters in it'), (5, 'a number'),
                (0, 'a number'), (1.5, 'a number'), (False, 'true or false'),
                ([], 'a list'), ({}, 'an object'), (b'', 'something else')))

    def test_names(self):
        for name in ('image_os_hash_algo', 'image_disk_format', 'image_type',
                     'image_download_source'):
            self.assert_usable(name, None, '', 'x' * 255, 'a:b', 'a//b')
            self.assert_refused(name, NAME, (
                ('x' * 256, '256 characters'), (5, 'a number'),
                ('\0', 'control characters in it'), (SECRET, 'a URL')))

    def test_urls(self):
        for name in ('image_source', 'kernel', 'ramdisk'):
            self.assert_usable(name, None, '', 'x', SECRET, 'x' * 8192)
            self.assert_refused(name, URL, (
                ('x' * 8193, '8193 characters'), ({}, 'an object')))
            self.assertRaises(exception.InvalidParameterValue,
                              self.assert_usable, name, 'http://[x')

    def test_counts(self):
        for name in ('root_gb', 'swap_mb', 'ephemeral_gb'):
            self.assert_usable(name, None, '', 0, 1, 10 ** 9 - 1, '0',
                               '9' * 9, ' 7 ')
            self.assert_refused(name, COUNT, (
                (-1, 'a number out of that range'),
                (10 ** 9, 'a number out of that range'),
                ('9' * 10, 'text that is not such a number'),
                ('-1', 'text that is not such a number'),
                (' ', 'text that is not such a number'),
                ('\u0661', 'text that is not such a number'),
                (SECRET, 'text that is not such a number'),
                (True, 'true or false'), (1.0, 'a number'), ([], 'a list')))

    def test_hints(self):
        for place in ('instance_info', 'properties'):
            self.assert_usable('root_device', None, {}, {'size': 1},
                               place=place)
            self.assert_refused('root_device', HINTS, (
                ('size=1', 'text'), (5, 'a number'), ([], 'a list')),
                place=place)

    def test_properties(self):
        self.assert_usable('cpu_arch', None, '', 'x86_64', place='properties')
        self.assert_refused('cpu_arch', NAME, ((SECRET, 'a URL'),),
                            place='properties')
        self.assert_usable('capabilities', 'a:b', place='properties')
        self.assert_refused('capabilities', LINE, (({}, 'an object'),),
                            place='properties')

    def test_the_first_that_cannot_be_used(self):
        with self.assertRaises(exception.InvalidParameterValue) as caught:
            node_fields.check(unsaved.node(
                instance_info={'image_source': 'x', 'kernel': 5,
                               'root_gb': 'x'}, properties={'cpu_arch': 5}))
        self.assertIn('The field kernel in', str(caught.exception))

    def test_processor(self):
        for stated, found in (({}, None), ({'cpu_arch': ''}, None),
                              ({'cpu_arch': 'aarch64'}, 'aarch64')):
            self.assertEqual(found, node_fields.processor(
                unsaved.node(properties=stated)))
