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

"""What may fail around a node while it is deployed."""

import concurrent.futures
import time

import requests

from tests.lifecycle import base
from tests.support import commands
from tests.support.faults import table


class FaultTest(base.LifeCycleTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.site = base.cloud().site
        self.mortal = self.site.conductors[1]
        self.addCleanup(self._revive)

    def _revive(self) -> None:
        self.site.start_database()
        self.mortal.start()
        commands.wait_for(
            'return of the conductor',
            lambda: len(self.site.alive()) == len(self.site.conductors),
            timeout=60)

    def finish(self, subject: base.Subject) -> None:
        """Let it write to the end."""
        subject.machine.held = False
        subject.settle('active', timeout=90)

    def assert_one_write(self, fault: str, pair: base.Pair) -> None:
        """The node was written once, as with direct, and nobody holds it."""
        self.assert_alike(pair)
        self.assertEqual(1, len(pair.ours.machine.writes))
        self.assertIsNone(pair.ours.node()['reservation'])
        table.add(table.Row('process', fault, tries=1, survived=1))

    def test_conductor_is_killed_and_comes_back(self) -> None:
        pair = self.together(self.mortal.address)
        pair.each(base.Subject.write)
        self.mortal.kill()
        self.mortal.start()
        self.mortal.wait_until_ready()
        pair.each(self.finish)
        self.assert_one_write('conductor killed and started again', pair)

    def test_database_is_gone_for_a_while(self) -> None:
        pair = self.pair()
        pair.each(base.Subject.write)
        self.site.stop_database()
        time.sleep(3)
        self.site.start_database()
        pair.each(self.finish)
        self.assert_one_write('database gone for three seconds', pair)

    def test_two_orders_for_one_node(self) -> None:
        pair = self.pair()

        def order_twice(subject: base.Subject) -> None:
            subject.machine.held = True
            subject.api.set(subject.uuid, instance_info={
                'image_source': base.cloud().image})
            with concurrent.futures.ThreadPoolExecutor() as pool:
                errors = [done.exception() for done in [
                    pool.submit(subject.api.provision, subject.uuid, 'active')
                    for _ in range(2)]]
            self.assertEqual(
                1, sum(isinstance(error, requests.HTTPError)
                       for error in errors), errors)
            subject.wait_for_write()
        pair.each(order_twice)
        pair.each(self.finish)
        self.assert_one_write('two orders for one node', pair)
