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

import os
import threading
import unittest
import unittest.mock

from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.transfer import threads
from tests.unit.engine import base


class CountTest(unittest.TestCase):

    def test_as_many_for_each_processor_and_not_too_many(self) -> None:
        for processors, each, expected in (
                (1, 3, 3), (2, 3, 6), (2, 2, 4), (6, 3, 16), (64, 2, 16)):
            with self.subTest(processors=processors, each=each), \
                    unittest.mock.patch.object(
                        os, 'sched_getaffinity',
                        return_value=set(range(processors))) as asked:
                self.assertEqual(expected, threads.count(each))
                # Of this program, which has others than the machine.
                asked.assert_called_once_with(0)


class StartTest(base.EngineTestCase):

    def test_it_runs(self) -> None:
        ran: list[bool] = []
        thread = threading.Thread(target=lambda: ran.append(True))
        threads.start(thread)
        thread.join(10)
        self.assertEqual([True], ran)

    def test_no_memory_for_one_more(self) -> None:
        with self.few_threads(0), self.assertRaises(
                exceptions.OutOfMemory) as caught:
            threads.start(threading.Thread(target=print))
        self.assert_complete(caught.exception)
