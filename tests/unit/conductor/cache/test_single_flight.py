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

import concurrent.futures
import threading
import unittest

from ironic_imagedeploy.conductor.cache import single_flight


class SingleFlightTest(unittest.TestCase):

    def setUp(self):
        self.flights = single_flight.SingleFlight()
        self.started, self.going = threading.Event(), threading.Event()
        self.calls = []

    def action(self):
        self.calls.append(threading.get_ident())
        self.started.set()
        self.assertTrue(self.going.wait(10))
        return object()

    def together(self, action, count=5):
        """Have that many threads ask for it while the first is at it."""
        with concurrent.futures.ThreadPoolExecutor(count) as pool:
            first = pool.submit(self.flights.do, 'key', action)
            self.assertTrue(self.started.wait(10))
            others = [pool.submit(self.flights.do, 'key', action)
                      for _ in range(count - 1)]
            waited = concurrent.futures.wait(others, 0.05)
            self.assertEqual(set(), waited.done)
            self.going.set()
            return [first, *others]

    def test_one_execution_for_all_who_come_meanwhile(self):
        outcomes = {future.result() for future in self.together(self.action)}
        self.assertEqual(1, len(outcomes))
        self.assertEqual(1, len(self.calls))

    def test_one_failure_for_all(self):
        def fail():
            self.action()
            raise ValueError('once')

        errors = {future.exception() for future in self.together(fail)}
        self.assertEqual(1, len(errors))
        self.assertEqual(1, len(self.calls))

    def test_again_when_it_is_over(self):
        self.going.set()
        first = self.flights.do('key', self.action)
        self.assertIsNot(first, self.flights.do('key', self.action))

    def test_keys_do_not_wait_for_each_other(self):
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            pool.submit(self.flights.do, 'key', self.action)
            self.assertTrue(self.started.wait(10))
            self.assertEqual(1, self.flights.do('another', lambda: 1))
            self.going.set()
