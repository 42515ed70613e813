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

import unittest

from ironic_imagedeploy.contract import names


class NamesTest(unittest.TestCase):

    def test_who_deploys_a_node(self):
        for interface, info, ours in (
                ('imagedeploy', None, True), ('direct', {}, False),
                (None, {}, False), ('a', {}, False), ('z', None, False),
                ('', {'deploy_interface': None}, False),
                ('direct', {'deploy_interface': 'imagedeploy'}, True),
                ('imagedeploy', {'deploy_interface': 'direct'}, False)):
            self.assertEqual(ours, names.is_ours(interface, info))
