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

from collections.abc import Callable
import threading

from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.transfer import held_ends
from ironic_imagedeploy.engine.transfer import meter
from ironic_imagedeploy.engine.transfer import read_back
from tests.unit.engine import base
from tests.unit.engine import recording
from tests.unit.engine import transfers

KIB = base.KIB
MIB = base.MIB
Action = recording.Action


class WriteLogTest(base.EngineTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.target = recording.RecordingTarget(4 * MIB)
        self.target.disk[:] = transfers.noise(4 * MIB)
        self.told: list[meter.Progress] = []
        self.meter = meter.Meter(self.told.append)

    def logged(self, mode: str, count: int = 64) -> read_back.WriteLog:
        """Log of pieces of 64 KiB, as they are on the disk."""
        log = read_back.WriteLog(mode)
        for start in range(0, count * 64 * KIB, 64 * KIB):
            log.wrote(start, memoryview(
                self.target.disk)[start:start + 64 * KIB])
        return log

    def test_nothing_is_read_for_none(self) -> None:
        self.logged('none').verify(self.target, self.meter)
        self.assertEqual([], self.target.log)

    def test_everything_is_read_for_full(self) -> None:
        self.logged('full').verify(self.target, self.meter)
        self.assertEqual(
            [Action('drop_cache'), *(
                Action('read', start, 64 * KIB)
                for start in range(0, 4 * MIB, 64 * KIB))], self.target.log)

    def test_one_of_sixteen_is_read_for_sample(self) -> None:
        self.logged('sample').verify(self.target, self.meter)
        self.assertEqual([number * 64 * KIB for number in (15, 31, 47, 63)],
                         [action.start for action
                          in self.target.of_kind('read')])

    def test_the_first_mib_of_sixteen_is_read_of_zeroes_for_sample(
            self) -> None:
        target = recording.RecordingTarget(36 * MIB)
        target.disk[:] = bytes(36 * MIB)
        log = read_back.WriteLog('sample')
        log.zeroed(MIB, 33 * MIB + 512)
        log.zeroed(35 * MIB, 100)
        log.verify(target, self.meter)
        self.assertEqual(
            [Action('drop_cache'), Action('read', MIB, MIB),
             Action('read', 17 * MIB, MIB), Action('read', 33 * MIB, MIB),
             Action('read', 35 * MIB, 100)], target.log)
        self.assertEqual(3 * MIB + 100, log.total)

    def test_a_difference_in_any_byte_is_found(self) -> None:
        log = self.logged('full', 3)
        for at in (0, 64 * KIB - 1, 64 * KIB, 192 * KIB - 1):
            with self.subTest(at=at):
                self.target.disk[at] ^= 1
                with self.assertRaises(
                        exceptions.ReadBackMismatch) as caught:
                    log.verify(self.target, self.meter)
                self.assert_complete(caught.exception)
                start = at - at % (64 * KIB)
                self.assertIn(f'{start} to {start + 64 * KIB - 1}',
                              caught.exception.expected)
                self.target.disk[at] ^= 1
        log.verify(self.target, self.meter)

    def test_zeroes_are_read_back_too(self) -> None:
        for mode, at in (('full', 3 * MIB), ('sample', 17)):
            log = read_back.WriteLog(mode)
            log.zeroed(0, 4 * MIB)
            self.target.disk[:] = bytes(4 * MIB)
            log.verify(self.target, self.meter)
            self.target.disk[at] = 1
            with self.subTest(mode=mode), self.assertRaises(
                    exceptions.ReadBackMismatch):
                log.verify(self.target, self.meter)

    def test_the_progress_ends_at_the_total(self) -> None:
        log = self.logged('full', count=32)
        log.zeroed(2 * MIB, 2 * MIB)
        self.target.disk[2 * MIB:] = bytes(2 * MIB)
        self.meter.enter('read-back', log.total)
        log.verify(self.target, self.meter)
        self.assertEqual(('read-back', 4 * MIB, 4 * MIB), self.told[-1][:3])

    def test_progress_is_told_of_each_kind(self) -> None:
        log = self.logged('full', count=1)
        log.zeroed(MIB, 512)
        self.target.disk[MIB:2 * MIB] = bytes(MIB)
        for total, told in ((64 * KIB, [0, 64 * KIB, 64 * KIB]),
                            (64 * KIB + 512, [0, 64 * KIB + 512])):
            self.told.clear()
            self.meter.enter('read-back', total)
            log.verify(self.target, self.meter)
            # Told when all is done, and not before half a second is over.
            self.assertEqual(told, [each.done for each in self.told])

    def test_zeroes_are_not_read_for_none(self) -> None:
        log = read_back.WriteLog('none')
        log.zeroed(0, 4 * MIB)
        self.assertEqual(0, log.total)
        log.verify(self.target, self.meter)
        self.assertEqual([], self.target.log)

    def test_writes_of_several_threads(self) -> None:
        log = read_back.WriteLog('full')

        def note(first: int) -> None:
            for start in range(first, 4 * MIB, 4 * KIB):
                log.wrote(start, memoryview(
                    self.target.disk)[start:start + KIB])

        threads = [threading.Thread(target=note, args=(index * KIB,))
                   for index in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        log.verify(self.target, self.meter)
        self.assertEqual(4096, len(self.target.of_kind('read')))
        self.target.disk[2 * MIB + 17] ^= 1
        self.assertRaises(exceptions.ReadBackMismatch, log.verify,
                          self.target, self.meter)


class EndsTest(base.EngineTestCase):

    def verify(self, size: int, other: int | None = None
               ) -> recording.RecordingTarget:
        """The target, all zeroes but for one byte, after it was read."""
        target = recording.RecordingTarget(size)
        target.disk[:] = bytes(size)
        if other is not None:
            target.disk[other] = 1
        read_back.verify_ends(target)
        return target

    def test_both_are_read_past_the_cache(self) -> None:
        for size in (2 * MIB + 512, MIB + 512, 2 * MIB):
            self.assertEqual(
                [Action('drop_cache'), Action('read', 0, MIB),
                 Action('read', size - MIB, MIB)], self.verify(size).log)

    def test_a_small_disk_is_read_once(self) -> None:
        for size in (MIB, MIB - 512, 512):
            self.assertEqual([Action('drop_cache'), Action('read', 0, size)],
                             self.verify(size).log)

    def test_what_lies_between_may_be_anything(self) -> None:
        for at in (MIB, 2 * MIB - 1):
            self.verify(3 * MIB, at)

    def test_a_byte_that_is_not_zero(self) -> None:
        for at, first in ((0, 0), (MIB - 1, 0), (2 * MIB, 2 * MIB),
                          (3 * MIB - 1, 2 * MIB)):
            with self.subTest(at=at), self.assertRaises(
                    exceptions.TargetError) as caught:
                self.verify(3 * MIB, at)
            self.assert_complete(caught.exception)
            self.assertIn(f'from byte {first} to {first + MIB - 1},',
                          caught.exception.expected)


class Mirror(recording.RecordingTarget):
    """A target whose bytes are on two others."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.members = [recording.RecordingTarget(size) for _ in range(2)]
        for number, member in enumerate(self.members):
            member.path = f'member {number}'
            member.disk[:] = bytes(size)

    @property
    def copies(self) -> list[recording.RecordingTarget]:
        return self.members


class MirrorTest(base.EngineTestCase):
    """Each disk of a mirror is read back, and named."""

    def setUp(self) -> None:
        super().setUp()
        self.target = Mirror(4 * MIB)

    def assert_found(self, kind: type[exceptions.ImageDeployError],
                     check: Callable[[], None]) -> None:
        check()
        for member in self.target.members:
            with self.subTest(member.path):
                member.disk[17] ^= 1
                with self.assertRaises(kind) as caught:
                    check()
                self.assertEqual(member.path, caught.exception.subject)
                member.disk[17] ^= 1
        self.assertEqual([], self.target.log)

    def test_bytes(self) -> None:
        log = read_back.WriteLog('full')
        log.wrote(0, memoryview(bytes(MIB)))
        self.assert_found(
            exceptions.ReadBackMismatch,
            lambda: log.verify(self.target, meter.Meter(None)))

    def test_zeroes(self) -> None:
        log = read_back.WriteLog('full')
        log.zeroed(0, MIB)
        self.assert_found(
            exceptions.ReadBackMismatch,
            lambda: log.verify(self.target, meter.Meter(None)))

    def test_ends(self) -> None:
        self.assert_found(exceptions.TargetError,
                          lambda: read_back.verify_ends(self.target))

    def test_held_ends(self) -> None:
        held = held_ends.HeldEnds(4 * MIB)
        for member in self.target.members:
            member.disk[4 * MIB - 1] = 1
            with self.subTest(member.path), self.assertRaises(
                    exceptions.ReadBackMismatch) as caught:
                held.write(self.target, verify=True)
            self.assertEqual(member.path, caught.exception.subject)
            member.disk[4 * MIB - 1] = 0
