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

import pathlib
import re

from ironic.common import exception

from ironic_imagedeploy.conductor import node_fields
from ironic_imagedeploy.conductor import serving
from tests.unit.conductor import base

PAGE = (pathlib.Path(__file__).parents[3]
        / 'doc/source/admin/who-may-say-what.rst')
SECRET = 'http://user:53cret@192.0.2.1/?sig=53cret'
TEXTS = ('image_source', 'kernel', 'ramdisk', 'image_checksum',
         'kernel_checksum', 'ramdisk_checksum', 'image_os_hash_algo',
         'image_os_hash_value', 'image_disk_format', 'image_type',
         'image_download_source', 'image_request_authorization_secret',
         'image_pull_secret', 'kernel_append_params')
NUMBERS = ('root_gb', 'swap_mb', 'ephemeral_gb')


class NodeFieldsTest(base.ConductorTestCase):

    def assert_refused(self, place, name, value, *words):
        """By a shared validation and by a deployment, without a request."""
        self.use()
        self.node.properties = {'cpu_arch': 'x86_64'}
        setattr(self.node, place, {**getattr(self.node, place), name: value})
        self.node.save()
        self.server.requests.clear()
        with self.task() as task:
            for check in (task.driver.deploy.validate, serving.provide):
                error = self.assertRaises(exception.InvalidParameterValue,
                                          check, task)
                for word in ('field-invalid', f'{name} in {place}',
                             'openstack baremetal node set', *words):
                    self.assertIn(word, str(error))
                self.assertNotIn('53cret', str(error))
                self.assertTrue(str(error).isprintable())
        self.assertEqual([], self.server.requests)

    def test_other_kinds_of_json(self):
        for name in TEXTS:
            for value, found in ((5, 'a number'), (1.5, 'a number'),
                                 (True, 'true or false'), (['a'], 'a list'),
                                 ({'a': SECRET}, 'an object')):
                self.assert_refused('instance_info', name, value,
                                    f'found {found}')

    def test_text_that_nobody_can_show(self):
        for value, found in (('a\n\x1b[2J', 'control characters'),
                             ('\x00', 'control characters'),
                             ('x' * 9000, '9000 characters')):
            for name in TEXTS:
                self.assert_refused('instance_info', name, value, found)

    def test_numbers(self):
        for value in ('many', '1.5', '-1', -1, 1.5, True, [], {}, '10' * 99,
                      10 ** 400, ' ', '\u0661', SECRET):
            for name in NUMBERS:
                self.assert_refused('instance_info', name, value,
                                    'Expected a whole number')

    def test_limits(self):
        for name, value, is_usable in (
                ('root_gb', 0, True), ('root_gb', 10 ** 9 - 1, True),
                ('root_gb', 10 ** 9, False), ('root_gb', '9' * 9, True),
                ('root_gb', '9' * 10, False), ('root_gb', ' 7 ', True),
                ('kernel', 'x' * 8192, True), ('kernel', 'x' * 8193, False),
                ('image_checksum', 'x' * 8192, True),
                ('image_checksum', 'x' * 8193, False),
                ('image_type', 'x' * 255, True),
                ('image_type', 'x' * 256, False)):
            self.node.instance_info = {name: value}
            if is_usable:
                node_fields.check(self.node)
            else:
                self.assertRaises(exception.InvalidParameterValue,
                                  node_fields.check, self.node)

    def test_processor(self):
        for stated, found in (({}, None), ({'cpu_arch': ''}, None),
                              ({'cpu_arch': 'aarch64'}, 'aarch64')):
            self.node.properties = stated
            self.assertEqual(found, node_fields.processor(self.node))

    def test_the_page_tells_what_each_can_cause(self):
        known = {*node_fields._INSTANCE_INFO, *node_fields._PROPERTIES}
        self.assertLessEqual({*TEXTS, *NUMBERS}, known)
        self.assertLessEqual(known, set(re.findall(
            r'``(\w+)``', PAGE.read_text())))

    def test_properties(self):
        for value in (5, True, ['boot_mode:bios'], {'boot_mode': 'bios'}):
            self.assert_refused('properties', 'capabilities', value,
                                'Expected text')
        self.assert_refused('properties', 'cpu_arch', 'x86_64\n',
                            'control characters')

    def test_names_that_are_urls(self):
        for name in ('image_disk_format', 'image_type', 'image_os_hash_algo',
                     'image_download_source'):
            self.assert_refused('instance_info', name, SECRET,
                                'found a URL')

    def test_root_device_hints(self):
        for place in ('instance_info', 'properties'):
            for value in (5, True, 'size=1', SECRET, ['size']):
                self.assert_refused(place, 'root_device', value,
                                    'Expected an object')

    def test_addresses_that_are_no_urls(self):
        for name in ('image_source', 'kernel', 'ramdisk'):
            self.assert_refused('instance_info', name, 'http://[53cret')

    def test_usual_values(self):
        self.use(root_gb='10', swap_mb=0, ephemeral_gb=None, kernel='',
                 root_device={'size': '>= 1'}, image_type='whole-disk')
        self.node.properties = {'cpu_arch': 'x86_64', 'local_gb': '20'}
        node_fields.check(self.node)

    def test_a_url_in_the_place_of_a_checksum(self):
        other = SECRET.replace('http', 'ftp')
        for info in ({'image_os_hash_value': other},
                     {'image_os_hash_value': None, 'image_os_hash_algo': None,
                      'image_checksum': other}):
            self.use(**info)
            with self.task() as task:
                error = self.assertRaises(exception.InvalidParameterValue,
                                          task.driver.deploy.validate, task)
            self.assertIn('checksum-invalid', str(error))
            self.assertIn('a URL in its place', str(error))
            self.assertNotIn('53cret', str(error))
