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

"""What may happen to the conductor while a node is being deployed."""

from tests.lifecycle import base
from tests.support import commands
from tests.support.simulation import agent
from tests.support.simulation import site


class ConductorTest(base.LifeCycleTestCase):
    """One of two conductors ends, and comes back."""

    def setUp(self) -> None:
        super().setUp()
        self.site = base.cloud().site
        self.mortal = self.site.conductors[1]
        self.addCleanup(self._revive)

    def test_restart_while_nodes_write(self) -> None:
        pair = self.together(self.mortal.address)
        pair.each(base.Subject.write)
        self.mortal.stop()
        self.mortal.start()

        def finish(subject: base.Subject) -> None:
            subject.machine.held = False
            subject.settle('active', timeout=90)
        pair.each(finish)
        self.assert_alike(pair)
        self.assertEqual(1, len(pair.ours.machine.writes))

    def test_takeover(self) -> None:
        active = self.together(self.mortal.address)
        writing = self.together(self.mortal.address)
        active.each(base.Subject.deploy)
        writing.each(base.Subject.write)
        self.mortal.kill()
        heir = self.site.conductors[0]

        def finish(subject: base.Subject) -> None:
            subject.machine.held = False
            subject.settle('active', timeout=90)
            self.assertEqual(heir.address, subject.conductor())
        writing.each(finish)
        self.assert_alike(writing)
        self.assertEqual(1, len(writing.ours.machine.writes))

        def taken_over(subject: base.Subject) -> None:
            commands.wait_for(
                'take-over', lambda: self._takeovers(heir, subject.uuid),
                timeout=60, interval=0.5)
            self.assertEqual('active', subject.wait('active')[
                'provision_state'])
        active.each(taken_over)
        self.assert_alike(active)

    def test_ramdisk_without_our_agent_side_is_permitted(self) -> None:
        self.mortal.configure('[imagedeploy]\nrequire_agent = false\n')
        self.addCleanup(self.mortal.configure, '')
        self._revive()
        pair = self.together(self.mortal.address, agent.Behaviour(ours=False))
        pair.each(base.Subject.deploy)
        self.assert_alike(pair)
        self.assertFalse(pair.ours.machine.writes[0].ours)
        self.assertNotIn('report', pair.ours.node()[
            'driver_internal_info']['imagedeploy'])

    def _takeovers(self, heir: site.Conductor, node: str) -> bool:
        return any(f'taking over node {node}' in line.lower()
                   for line in heir.log.read_text().splitlines())

    def _revive(self) -> None:
        self.mortal.start()
        commands.wait_for(
            'return of the conductor',
            lambda: len(self.site.alive()) == len(self.site.conductors),
            timeout=60)
        self.mortal.wait_until_ready()
