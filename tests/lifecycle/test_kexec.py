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

"""Nodes whose system is started without a second start of the firmware."""

from tests.lifecycle import base
from tests.support.simulation import agent

_ASKED = ['get_deploy_steps', 'execute_deploy_step write_image',
          'get_partition_uuids']


class KexecTest(base.LifeCycleTestCase):

    def enrol(self, **driver_info: object) -> base.Subject:
        """A node, by default one that is started as always."""
        subject = base.Subject.enrol(
            'imagedeploy', agent.Behaviour(),
            **({'driver_info': driver_info} if driver_info else {}))
        self.addCleanup(base.remove, subject)
        return subject

    def handover(self, subject: base.Subject) -> dict[str, object]:
        """What the node says of it."""
        found: dict[str, object] = subject.node()['driver_internal_info'][
            'imagedeploy'].get('handover', {})
        return found

    def test_the_rest_is_as_always(self) -> None:
        usual, ours = self.enrol(), self.enrol(imagedeploy_kexec=True)
        usual.deploy()
        ours.deploy()
        self.assertEqual([*_ASKED, 'sync'], usual.machine.asked)
        self.assertEqual([*_ASKED, 'load_kernel', 'start_kernel'],
                         ours.machine.asked)
        self.assertEqual({**usual.trace(), 'asked': None},
                         {**ours.trace(), 'asked': None})
        self.assertEqual({}, self.handover(usual))
        self.assertEqual({'way': 'kexec', 'kernel': '/boot/vmlinuz'},
                         self.handover(ours))
        for subject in (usual, ours):
            subject.order('rebuild')
            subject.settle('active')
        self.assertEqual(2, ours.machine.boots)
        self.assertEqual('start_kernel', ours.machine.asked[-1])
        for subject in (usual, ours):
            subject.api.provision(subject.uuid, 'deleted')
            subject.settle('available')
        self.assertEqual({**usual.trace(), 'asked': None},
                         {**ours.trace(), 'asked': None})

    def test_operator_who_wants_a_hard_reset(self) -> None:
        ours = self.enrol(imagedeploy_kexec=True,
                          deploy_forces_oob_reboot=True)
        ours.deploy()
        self.assertEqual([*_ASKED, 'sync'], ours.machine.asked)
        self.assertEqual({
            'way': 'firmware',
            'reason': 'driver_info has deploy_forces_oob_reboot'},
            self.handover(ours))
