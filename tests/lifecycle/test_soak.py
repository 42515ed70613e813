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

"""Deployments in a row: nothing grows in the conductors.

``LIFECYCLE_SOAK`` says how many: tools/soak.sh does so.
"""

import os

from tests.lifecycle import base
from tests.support.faults import usage
from tests.support.simulation import agent

_AT_ONCE = 4


class SoakTest(base.LifeCycleTestCase):

    def test_nothing_grows(self) -> None:
        wanted = int(os.environ.get('LIFECYCLE_SOAK', '0'))
        if not wanted:
            self.skipTest('takes long: set LIFECYCLE_SOAK=100')
        site = base.cloud().site
        subjects = [base.Subject.enrol('imagedeploy', agent.Behaviour(
            boot_seconds=0.1, write_seconds=0.2)) for _ in range(_AT_ONCE)]
        for subject in subjects:
            self.addCleanup(base.remove, subject)
        usages = []
        for number in range(wanted):
            subject = subjects[number % _AT_ONCE]
            subject.deploy()
            subject.api.provision(subject.uuid, 'deleted')
            subject.settle('available')
            usages.append(usage.look(
                [process for conductor in site.conductors
                 for process in conductor.processes()],
                *(conductor.home for conductor in site.conductors),
                *(site.state / 'http' / conductor.name
                  for conductor in site.conductors)))
        writes = sum(len(subject.machine.writes) for subject in subjects)
        print(f'{wanted} deployments\nfirst: {usages[0]}\n'
              f'third: {usages[wanted // 3]}\nlast: {usages[-1]}')
        self.assertEqual(wanted, writes)
        self.assertEqual([], usage.growth(usages, memory=24 << 20))
