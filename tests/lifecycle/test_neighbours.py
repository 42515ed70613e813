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

"""Nodes that write the same image at once, with two conductors."""

import concurrent.futures
import json

from ironic_imagedeploy.contract import neighbours
from tests.lifecycle import base
from tests.support.simulation import agent

_SEEDS = 1


class NeighboursTest(base.LifeCycleTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.site = base.cloud().site
        self.subjects: list[base.Subject] = []

    def enrol(self, count: int, **fields: object) -> list[base.Subject]:
        """New nodes, available; whichever conductor has them."""
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            added = list(pool.map(
                lambda _: base.Subject.enrol(
                    'imagedeploy', agent.Behaviour(), **fields),
                range(count)))
        for subject in added:
            self.addCleanup(base.remove, subject)
        self.subjects += added
        return added

    def write(self, subjects: list[base.Subject]
              ) -> list[neighbours.Neighbours]:
        """Let them begin at once: what each of them was told."""
        with concurrent.futures.ThreadPoolExecutor(len(subjects)) as pool:
            list(pool.map(base.Subject.write, subjects))
        told = [each.machine.writes[-1].neighbours for each in subjects]
        self.assertNotIn(None, told)
        return told

    def assert_admitted(self, one: neighbours.Neighbours,
                        others: list[neighbours.Neighbours]) -> None:
        """Each ticket of a node is one to another of these."""
        for peer in one.peers:
            self.assertEqual(1, sum(
                neighbours.holder(peer.ticket, each.ticket_key) is not None
                for each in others))

    def finish(self) -> None:
        for subject in self.subjects:
            subject.machine.held = False
        for subject in self.subjects:
            subject.settle('active', timeout=90)

    def test_at_once(self) -> None:
        subjects = self.enrol(12)
        self.assertEqual(2, len({each.conductor() for each in subjects}))
        told = self.write(subjects)
        alone = sum(not each.peers for each in told)
        # Two conductors may begin with the same node each.
        self.assertIn(alone, range(_SEEDS, 2 * _SEEDS + 1))
        self.assertEqual(12, len({each.ticket_key for each in told}))
        self.assertEqual(
            {base.cloud().fleet.certificate},
            {peer.certificate for each in told for peer in each.peers})

        later, = self.write(self.enrol(1))
        self.assertEqual(neighbours.MOST_PEERS, len(later.peers))
        self.assert_admitted(later, told)

        mortal = self.site.conductors[1]
        mortal.stop()
        mortal.start()
        mortal.wait_until_ready()
        after, = self.write(self.enrol(1))
        self.assertEqual(neighbours.MOST_PEERS, len(after.peers))
        self.assert_admitted(after, [*told, later])

        self.finish()
        left = json.dumps([each.node()['driver_internal_info']['imagedeploy']
                           for each in self.subjects])
        for word in ('ticket', 'member', 'CERTIFICATE', 'manifest'):
            self.assertNotIn(word, left)
        self.assertIn('report', left)
        # None of those is still there.
        alone, = self.write(self.enrol(1))
        self.assertEqual((), alone.peers)
        self.finish()
