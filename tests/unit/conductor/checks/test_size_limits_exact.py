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

from oslo_utils import units

from ironic.common import exception

from ironic_imagedeploy.conductor.checks import size_limits
from ironic_imagedeploy import engine
from tests.unit.conductor import unsaved


def limit(properties, **info):
    return size_limits.of_image(unsaved.image(node=unsaved.node(
        properties=properties, instance_info=info)))


def hinted(size, **properties):
    return limit({'root_device': {'size': size}, **properties})


class LimitsTest(unittest.TestCase):

    def assert_limit(self, found, gib, setting, option):
        self.assertEqual(size_limits.Limit(
            size=gib * units.Gi, setting=setting, option=option), found)

    def test_of_the_user_of_the_node(self):
        for stated in (1, '1'):
            self.assert_limit(
                limit({'local_gb': 10}, root_gb=stated), 1,
                'root_gb=1 in instance_info', '--instance-info root_gb={}')

    def test_as_inspection_rounds(self):
        for stated in (1, '1'):
            self.assert_limit(
                limit({'local_gb': stated}), 3, 'local_gb=1 in properties',
                '--property local_gb={}')

    def test_the_narrowest(self):
        for local, root, found in ((5, 7, 7), (5, 8, 7), (4, 7, 6)):
            self.assertEqual(found * units.Gi, limit(
                {'local_gb': local}, root_gb=root).size)

    def test_hints(self):
        for properties, info, place in (
                ({'root_device': {'size': '<= 9'}}, {}, '--property'),
                ({'root_device': {'size': 1}},
                 {'root_device': {'size': '<= 9'}}, '--instance-info')):
            self.assert_limit(
                limit(properties, **info), 9,
                "the root device hint size '<= 9'",
                place + ' root_device=\'{{"size": ">= {}"}}\'')

    def test_the_largest_that_a_hint_permits(self):
        for size in ('<or> 9 <or> 10', '<or> 10 <or> 9',
                     '<range-in> [ 9 10 ]', ' s== 10', 's== 10'):
            self.assertEqual(10 * units.Gi, hinted(size).size, size)

    def test_hints_that_name_another_disk(self):
        for size in ('>= 9', '> 9', '!= 9'):
            self.assertIsNone(hinted(size, local_gb=1), size)
        self.assertIsNone(limit({'root_device': {'serial': '<= 9'},
                                 'local_gb': 1}))

    def test_nothing_known(self):
        for properties in ({}, {'local_gb': 0}, {'local_gb': ''},
                           {'local_gb': None}):
            self.assertIsNone(limit(properties, root_gb=0))
            self.assertIsNone(limit(properties))

    def test_hints_that_are_not_valid(self):
        self.assertRaises(exception.InvalidParameterValue, hinted, 'large')

    def test_a_boot_file_is_on_no_disk(self):
        self.assertIsNone(size_limits.of_image(unsaved.image(
            role='kernel', node=unsaved.node(
                instance_info={'root_gb': 1}))))


class ExceededTest(unittest.TestCase):

    def exceeded(self, size):
        return size_limits.Limit(
            size=units.Gi, setting='a setting', option='--a b={}').exceeded(
                unsaved.image(), 'a disk', size, 'or this:', 'that')

    def test_finding(self):
        self.assertEqual(engine.Finding(
            code='too-large', case='node', data={
                'limit': units.Gi, 'size': 2 * units.Gi, 'place': 'disk'},
            expected='1073741824 bytes at most, by a setting',
            found='a disk of 2147483648 bytes',
            fix='Use a smaller image, or a node with a larger disk, or, when '
                'it is larger than stated: openstack baremetal node set '
                f'--a b=2 {unsaved.NODE_ID} or this: that'),
            self.exceeded(2 * units.Gi))

    def test_the_command_gives_enough(self):
        for size, gib in ((2 * units.Gi, 2), (2 * units.Gi + 1, 3),
                          (3 * units.Gi - 1, 3)):
            self.assertIn(f'--a b={gib} ', self.exceeded(size).fix)
