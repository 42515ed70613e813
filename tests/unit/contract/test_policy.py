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


import json
import unittest

from ironic_imagedeploy.contract import policy
from ironic_imagedeploy.engine import start_policy

CONDUCTOR = policy.Policy(permitted_formats=('vmdk',), read_back='sample',
                          insecure_checksums_permitted=True, workers=3)
AGENT = policy.Policy(permitted_formats=('raw',), read_back='none',
                      insecure_checksums_permitted=False, workers=2)


class PolicyTest(unittest.TestCase):

    def test_conductor_decides(self):
        self.assertEqual(CONDUCTOR, AGENT.updated(CONDUCTOR.to_dict()))

    def test_a_release_that_sends_less_or_more(self):
        updated = AGENT.updated({'read_back': 'full', 'workers': None,
                                 'invented': 1})
        self.assertEqual(('full', 2), (updated.read_back, updated.workers))

    def test_findings_about_the_start(self):
        start = start_policy.StartPolicy(
            mode='refuse', raised=('no-login',), muted=('hibernated',))
        sent = CONDUCTOR.starting(start)
        self.assertEqual(start, AGENT.updated(
            json.loads(json.dumps(sent.to_dict()))).start)
        self.assertEqual(start_policy.StartPolicy(), AGENT.start)
