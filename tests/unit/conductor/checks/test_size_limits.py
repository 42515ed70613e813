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

from oslo_utils import units

from ironic.common import exception

from ironic_imagedeploy.conductor.checks import size_limits
from ironic_imagedeploy.conductor import images
from tests.unit.conductor import base


class LimitsTest(base.ConductorTestCase):

    def limit(self, properties=(), **info):
        self.node.properties = dict(properties)
        self.node.instance_info = info
        found = size_limits.of_image(self.for_node())
        return found and found.size / units.Gi

    def for_node(self, role=images.DISK):
        return images.InstanceImage(
            node=self.node, href='http://127.0.0.1/image', glance=None,
            declared=images.DeclaredImage(), role=role)

    def hinted(self, hint):
        return self.limit({'root_device': {'size': hint}, 'local_gb': 1})

    def test_a_kernel_is_on_no_disk(self):
        self.assertEqual(7, self.limit(root_gb=7))
        self.assertIsNone(size_limits.of_image(self.for_node('kernel')))

    def test_nothing_known(self):
        self.assertIsNone(self.limit())
        self.assertIsNone(self.limit({'local_gb': 0}, root_gb=0))

    def test_local_gb_as_inspection_rounds_it(self):
        self.assertEqual(12, self.limit({'local_gb': 10}))
        self.assertEqual(12, self.limit({'local_gb': '10'}))

    def test_root_gb(self):
        self.assertEqual(7, self.limit({'local_gb': 10}, root_gb=7))
        self.assertEqual(12, self.limit({'local_gb': 10}, root_gb='70'))

    def test_hints_that_name_the_size(self):
        for hint in (100, '100', '== 100', '<= 100', '< 100',
                     '<or> 10 <or> 100', '<range-in> [ 10 100 ]'):
            self.assertEqual(100, self.hinted(hint), hint)

    def test_hints_that_do_not(self):
        for hint in ('>= 100', '> 100', '= 100'):
            self.assertIsNone(self.hinted(hint), hint)
        self.assertIsNone(self.limit({'root_device': {'serial': '1'},
                                      'local_gb': 1}))

    def test_hint_of_the_instance(self):
        self.assertEqual(20, self.limit(
            {'root_device': {'size': 10}}, root_device={'size': 20}))

    def test_hint_that_makes_no_sense(self):
        self.assertRaises(exception.InvalidParameterValue, self.hinted,
                          'large')

    def test_what_to_set(self):
        for properties, info, command in (
                ({}, {'root_gb': 1}, '--instance-info root_gb=4'),
                ({'local_gb': 1}, {}, '--property local_gb=4'),
                ({'root_device': {'size': 1}}, {},
                 '--property root_device=\'{"size": ">= 4"}\''),
                ({}, {'root_device': {'size': 1}},
                 '--instance-info root_device=\'{"size": ">= 4"}\'')):
            self.node.properties, self.node.instance_info = properties, info
            image = self.for_node()
            finding = size_limits.of_image(image).exceeded(
                image, 'an image', 3 * units.Gi + 1)
            self.assertIn(f'openstack baremetal node set {command} '
                          f'{self.node.uuid}', finding.fix)
            self.assertIn('an image of 3221225473 bytes', finding.found)
