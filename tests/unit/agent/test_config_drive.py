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
import json
import pathlib
import tempfile
import unittest

from ironic_imagedeploy.agent import config_drive
from tests.support import disks


class BuildTest(unittest.TestCase):

    def built(self, parts, **node):
        """The files of a config drive, by their paths."""
        encoded = config_drive.build(parts, node)
        with tempfile.TemporaryDirectory() as folder:
            image = pathlib.Path(folder, 'image')
            image.write_bytes(gzip.decompress(base64.b64decode(encoded)))
            self.size = image.stat().st_size
            self.assertEqual('config-2', disks.run(
                'blkid', '-p', '-s', 'LABEL', '-o', 'value', image).lower())
            disks.run('mcopy', '-s', '-i', image, '::/openstack', folder)
            top = pathlib.Path(folder, 'openstack')
            return {str(path.relative_to(top)): path.read_bytes()
                    for path in top.rglob('*') if path.is_file()}

    def test_parts(self):
        files = self.built({
            'meta_data': {'hostname': 'a'}, 'user_data': 'text ä',
            'network_data': {'links': []}, 'vendor_data': {'x': 1}},
            uuid='the-uuid', name='node')
        self.assertEqual(8, len(files))
        self.assertEqual(
            {'uuid': 'the-uuid', 'name': 'node', 'hostname': 'a'},
            json.loads(files['latest/meta_data.json']))
        self.assertEqual('text ä', files['latest/user_data'].decode())
        self.assertEqual({'x': 1},
                         json.loads(files['2012-08-10/vendor_data2.json']))

    def test_metadata_say_who_it_is(self):
        files = self.built({'meta_data': {'uuid': 'other'}}, uuid='the-uuid')
        self.assertEqual({'uuid': 'other'},
                         json.loads(files['latest/meta_data.json']))
        files = self.built({'user_data': {'ignition': {}}}, uuid='the-uuid')
        self.assertEqual({'latest/meta_data.json', 'latest/user_data',
                          '2012-08-10/meta_data.json',
                          '2012-08-10/user_data'}, set(files))

    def test_what_is_empty_is_not_there(self):
        files = self.built({'user_data': '', 'network_data': None,
                            'vendor_data': {}}, uuid='the-uuid')
        self.assertEqual({'latest/meta_data.json',
                          '2012-08-10/meta_data.json'}, set(files))

    def test_metadata_that_are_text(self):
        files = self.built({'meta_data': '{"x": 1}'}, uuid='the-uuid')
        self.assertEqual(b'{"x": 1}', files['latest/meta_data.json'])

    def test_it_is_not_larger_than_it_has_to_be(self):
        for size in (0, 100, 700 << 10, 1 << 20):
            files = self.built({'user_data': 'x' * size}, uuid='the-uuid')
            self.assertEqual(size, len(files.get('latest/user_data', b'')))
            self.assertLess(self.size, 2 * size + (5 << 18))

    def test_a_file_has_room_for_what_the_file_system_adds(self):
        parts = {name: 'x' * (4096 + 600_000 * number)
                 for number, name in enumerate((
                     'network_data', 'user_data', 'vendor_data'))}
        files = self.built(parts, uuid='the-uuid')
        self.assertEqual(parts['user_data'].encode(),
                         files['latest/user_data'])

    def test_much_data_has_room(self):
        files = self.built({'user_data': 'x' * (5 << 20)}, uuid='the-uuid')
        self.assertEqual(5 << 20, len(files['latest/user_data']))
