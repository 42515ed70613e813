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
import subprocess

from oslo_utils import units

from ironic.common import exception

from tests.support import images
from tests.unit.conductor import base
from tests.unit.conductor.cache import cached


class LimitTest(cached.CacheTestCase):
    """A file of some MiB with a disk of 4 GiB in it."""

    def setUp(self):
        super().setUp()
        disk = self.directory / 'disk'
        disk.write_bytes(self.guest.read_bytes()[:units.Mi]
                         + os.urandom(9 * units.Mi))
        os.truncate(disk, 4 * units.Gi)
        self.large = images.convert(disk, self.web / 'large.qcow2')
        self.glance.register(self.large)

    def limit(self, properties=None, **info):
        self.node.properties = {**self.node.properties, **(properties or {})}
        self.node.instance_info = {**self.node.instance_info, **info}
        self.node.save()

    def assert_refused(self, server, *, most, words='too-large'):
        """The node is refused the image, and not much of it is read."""
        sent = self.transferred(server)
        error = self.assertRaises(exception.InvalidParameterValue,
                                  self.provide)
        self.assertIn(words, str(error))
        self.assertEqual(1, str(error).count('too-large'))
        self.assertLessEqual(sum(sent), most)
        self.assertFalse(os.path.lexists(self.instance()))

    def test_no_download_of_what_does_not_fit(self):
        for properties, info, words in (
                ({}, {'root_gb': 3}, 'root_gb=3 in instance_info'),
                ({}, {'root_device': {'size': '<= 3'}}, 'hint size'),
                ({'root_device': {'size': 3}}, {}, 'hint size'),
                ({'local_gb': 1}, {}, 'local_gb=1 in properties')):
            self.use(base.IMAGE_ID)
            self.node.properties = {'cpu_arch': 'x86_64',
                                    'capabilities': 'boot_mode:bios'}
            self.limit(properties, **info)
            self.assert_refused(self.glance, most=4 * units.Mi, words=words)
            self.assertEqual([], self.masters())

    def test_min_disk(self):
        self.glance.register(self.large, min_disk=40)
        self.limit({'local_gb': 30})
        self.assert_refused(self.glance, most=4 * units.Mi,
                            words='min_disk=40')
        self.assertEqual([], self.masters())

    def test_no_download_from_a_web_server(self):
        self.config(image_download_source='local', group='agent')
        self.image = self.large.read_bytes()
        self.use(self.server.url('large.qcow2'), root_gb=3)
        self.assert_refused(self.server, most=4 * units.Mi)

    def test_no_download_from_a_server_without_ranges(self):
        """The header tells, where the tables come last."""
        noise = self.directory / 'noise'
        noise.write_bytes(os.urandom(24 * units.Mi))
        grown = images.convert(noise, self.directory / 'grown.qcow2')
        subprocess.run(['qemu-img', 'resize', '-q', grown, '1T'], check=True)
        self.glance.register(grown)
        self.glance.answer = lambda exchange: exchange.serve(ranges=False)
        self.limit(root_gb=3)
        self.assert_refused(self.glance, most=12 * units.Mi)
        self.assertEqual([], self.masters())

    def test_each_node_by_its_own_limit(self):
        self.limit(root_gb=3)
        self.assertRaises(exception.InvalidParameterValue, self.provide)
        larger = self.another_node(instance_info={
            'image_source': base.IMAGE_ID, 'root_gb': 4})
        self.provide(larger)
        self.assert_provided(larger, self.large.read_bytes())
        self.assert_refused(self.glance, most=0)
