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

import dataclasses
import os
import threading
import time
from unittest import mock

from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.transfer import meter as meters
from ironic_imagedeploy.engine.transfer import scan
from tests.unit.engine import base
from tests.unit.engine import recording

MIB = base.MIB


@dataclasses.dataclass
class ByteLook:
    """A look for one byte of the disk."""

    index: int
    byte: int = recording.OLD
    length: int = 1

    def is_there(self, target: recording.RecordingTarget, memory: memoryview
                 ) -> bool:
        return target.read(self.index, 1, memory)[0] == self.byte


class ScanTest(base.EngineTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.target = recording.RecordingTarget(MIB)
        self.meter = meters.Meter()

    def present(self, looks, meter=None, workers=3) -> set[int]:
        found = scan.present(self.target, looks, memory_size=4096,
                             meter=meter or self.meter, workers=workers)
        self.assert_no_threads()
        return found

    def test_what_is_there_is_found(self) -> None:
        self.target.disk[5:9] = b'new!'
        self.assertEqual(
            {0, 1, 2, 3, 4, 9}, self.present(map(ByteLook, range(10))))

    def test_no_memory_for_a_thread(self) -> None:
        for left in range(3):
            with (self.subTest(left), self.few_threads(left),
                  self.assertRaises(exceptions.OutOfMemory)):
                self.present(map(ByteLook, range(10)))
            self.assert_no_threads()

    def test_progress(self) -> None:
        told = []
        self.present(map(ByteLook, range(10)), meters.Meter(told.append))
        self.assertEqual(10, told[-1].done)

    def test_nothing_to_look_at(self) -> None:
        self.assertEqual(set(), self.present([]))

    def test_looks_are_taken_one_by_one(self) -> None:
        taken = []

        def looks():
            for index in range(100):
                taken.append(index)
                yield ByteLook(index)

        def fault(action: recording.Action) -> None:
            self.assertLessEqual(len(taken), action.start + 3)
        self.target.fault = fault
        self.assertEqual(100, len(self.present(looks())))

    def test_several_at_one_time(self) -> None:
        together = threading.Barrier(3, timeout=10)
        self.target.fault = lambda action: together.wait() and None
        self.assertEqual({0, 1, 2}, self.present(map(ByteLook, range(3))))

    def test_as_many_as_are_asked_for(self) -> None:
        running: set[int] = set()

        def fault(action: recording.Action) -> None:
            thread = threading.current_thread()
            self.assertTrue(thread.daemon, 'keeps a program alive')
            self.assertEqual('scan', thread.name)
            running.add(threading.get_ident())
        self.target.fault = fault
        self.present(map(ByteLook, range(100)), workers=1)
        self.assertEqual(1, len(running))

    def test_two_for_each_processor(self) -> None:
        with mock.patch.object(os, 'sched_getaffinity', autospec=True,
                               return_value={5, 6}):
            together = threading.Barrier(4, timeout=10)
            self.target.fault = lambda action: together.wait() and None
            self.assertEqual(set(range(4)), self.present(
                map(ByteLook, range(4)), workers=None))

    def test_what_cannot_be_read_is_not_there(self) -> None:
        def fault(action: recording.Action) -> None:
            if action.start in (2, 3):
                self.target.fail(action)
        self.target.fault = fault
        for workers in (1, 3):
            told = []
            self.assertEqual({0, 1, 4, 5}, self.present(
                map(ByteLook, range(6)), meters.Meter(told.append), workers))
            self.assertEqual(4, told[-1].done)

    def test_a_dying_disk_is_not_looked_at_for_long(self) -> None:
        self.target.fault = self.target.fail
        self.assertEqual(set(), self.present(map(ByteLook, range(10_000))))
        self.assertLess(len(self.target.of_kind('read')), 10)
        self.target.log.clear()
        self.present(map(ByteLook, range(10_000)), workers=1)
        # Four may fail.
        self.assertEqual(5, len(self.target.of_kind('read')))

    def test_the_first_error_is_raised(self) -> None:
        both, errors = threading.Barrier(2, timeout=10), []

        class Broken(Exception):
            pass

        def fault(action: recording.Action) -> None:
            both.wait()
            if action.start:
                while not errors:
                    time.sleep(0.001)
                # The other one is in time to be first.
                time.sleep(0.05)
            errors.append(Broken(action.start))
            raise errors[-1]
        self.target.fault = fault
        with self.assertRaises(Broken) as caught:
            self.present(map(ByteLook, range(2)), workers=2)
        self.assertEqual((0,), caught.exception.args)

    def test_any_other_error_is_raised(self) -> None:
        def looks():
            yield ByteLook(0)
            raise exceptions.TooFragmented(expected='few', found='many')
        with self.assertRaises(exceptions.TooFragmented):
            self.present(looks())

    def test_stopped_by_whoever_watches(self) -> None:
        class Stop(Exception):
            pass

        def tell(progress: meters.Progress) -> None:
            raise Stop()

        def looks():
            # Without an end: only a stop ends it.
            while True:
                yield ByteLook(0)

        self.target.fault = lambda action: time.sleep(0.05)
        with self.assertRaises(Stop):
            self.present(looks(), meters.Meter(tell))
        # Its caller may close the target.
        self.assert_no_threads()
