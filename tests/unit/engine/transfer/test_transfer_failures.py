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
import hashlib
import threading
import time
import typing

from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import exceptions
from tests.unit.engine import base
from tests.unit.engine import memory
from tests.unit.engine import qcow2_builder as qcow2
from tests.unit.engine import recording
from tests.unit.engine import transfers

KIB = base.KIB
MIB = base.MIB
Action = recording.Action
source_bytes = transfers.source_bytes
Target = recording.RecordingTarget
transfer = engine.transfer

WIPED = transfers.wiped(4 * MIB)
FINISHED = transfers.finished(4 * MIB)


class FailureTest(transfers.TransferTestCase):
    """Whatever fails, the disk boots nothing and no thread is left."""

    def failure(self, error: typing.Any, inspection: engine.Inspection,
                target: Target | None = None, **options: typing.Any
                ) -> BaseException:
        """The error that a transfer ended with."""
        target = target or Target(inspection.accepted().virtual_size)
        with self.assertRaises(error) as caught:
            transfer(inspection, target, **options)
        self.assert_no_threads()
        self.assert_boots_nothing(target)
        self.assertEqual([], target.of_kind('reread_partitions'))
        return caught.exception

    def test_a_wrong_checksum(self) -> None:
        expected = engine.Checksum('sha256', '0' * 64)
        inspection = self.qcow2(checksum=expected)
        target = Target(5 * MIB)
        error = self.failure(exceptions.ChecksumMismatch, inspection, target)
        self.assert_complete(error)
        actual = hashlib.sha256(source_bytes(inspection)).hexdigest()
        self.assertEqual((f'sha256 {"0" * 64}', actual),
                         (error.expected, error.found))
        # All of it was written but the ends, and flushed before.
        self.assert_same(self.disk[MIB:-MIB], target.disk[MIB:-MIB])
        self.assertEqual('flush', target.log[-1].kind)

    def test_one_bit_that_changed_on_the_way(self) -> None:
        inspection = self.qcow2()
        source = transfers.source_of(inspection)
        expected = engine.Checksum(
            'sha512', hashlib.sha512(source.content).hexdigest())
        changed = bytearray(source.content)
        changed[self.places['data-7']] ^= 1
        source.streamed = changed
        inspection = dataclasses.replace(
            inspection, expectation=engine.Expectation(checksum=expected))
        self.failure(exceptions.ChecksumMismatch, inspection)

    def test_a_stream_that_ends_early(self) -> None:
        content = transfers.noise(4 * MIB)
        for length in (0, 1, MIB, 2 * MIB + 7, 4 * MIB - 1):
            with self.subTest(length=length):
                error = self.failure(
                    exceptions.SourceTruncated,
                    self.raw(content=content, streamed=content[:length]))
                self.assert_complete(error)

    def test_a_stream_that_goes_on(self) -> None:
        content = transfers.noise(4 * MIB)
        self.failure(exceptions.SourceError,
                     self.raw(content=content, streamed=content + b'x'))

    def test_a_table_that_changed_since_it_was_read(self) -> None:
        for place in ('l1', 'l2-0'):
            with self.subTest(place=place):
                inspection = self.qcow2()
                source = transfers.source_of(inspection)
                changed = bytearray(source.content)
                changed[self.places[place] + 7] ^= 0x80
                source.streamed = changed
                error = self.failure(exceptions.SourceChanged, inspection)
                self.assert_complete(error)

    def test_a_source_that_fails_at_any_byte(self) -> None:
        failure = exceptions.SourceTimeout('memory', expected='bytes',
                                           found='none', fix='Wait.')
        for fail_at in (0, 1, 100, MIB, 2 * MIB + 1, 4 * MIB):
            with self.subTest(fail_at=fail_at):
                inspection = self.raw(failure=failure, fail_at=fail_at)
                self.assertIs(failure, self.failure(
                    exceptions.SourceTimeout, inspection))
                self.assertEqual([1], [
                    stream.closed for stream
                    in transfers.source_of(inspection).streams])

    def test_a_source_that_does_not_open(self) -> None:
        inspection = self.raw()
        failure = exceptions.SourceError('memory', expected='a stream',
                                         found='none', fix='Ask again.')

        class Closed(memory.MemorySource):
            def open_stream(self) -> typing.NoReturn:
                raise failure

        inspection.source._source = Closed(source_bytes(inspection))
        self.assertIs(failure, self.failure(exceptions.SourceError,
                                            inspection))

    def test_a_cluster_that_cannot_be_decoded(self) -> None:
        for compression in ('zlib', 'zstd'):
            for workers in (1, 2, 4):
                builder = qcow2.Builder(5 * MIB, compression=compression)
                qcow2.fill(builder, 'dc')
                file = builder.build()
                bad = [index for index in range(builder.clusters)
                       if f'compressed-{index}' in builder.places][-1]
                at = builder.places[f'compressed-{bad}']
                file[at:at + 8] = b'\xff' * 8
                error = self.failure(
                    exceptions.ImageRefused,
                    engine.inspect(memory.MemorySource(file)),
                    workers=workers)
                self.assertEqual('corrupt', error.findings[0].code)
                self.assertIn(str(at), str(error))

    def test_every_action_of_the_target_may_fail_once(self) -> None:
        good = Target(4 * MIB)
        transfer(self.raw(), good, workers=1, read_back='full')
        self.assertGreater(len(good.log), 14)
        for number in range(len(WIPED) - 1, len(good.log)):
            with self.subTest(number=number, action=good.log[number]):
                target = Target(4 * MIB)
                target.fail_nth(number)
                with self.assertRaises(exceptions.TargetError) as caught:
                    transfer(self.raw(), target, workers=1,
                             read_back='full')
                self.assert_complete(caught.exception)
                self.assert_no_threads()
                self.assert_boots_nothing(target)

    def test_zeroing_that_fails_once_is_done_by_writing(self) -> None:
        for number, action in enumerate(WIPED):
            if action.kind != 'zero':
                continue
            with self.subTest(number=number):
                target = Target(4 * MIB)
                target.fail_nth(number)
                inspection = self.raw()
                transfer(inspection, target, workers=1)
                self.assert_same(source_bytes(inspection), target.disk)

    def test_a_target_that_dies_never_gets_the_first_sector(self) -> None:
        """What is not on it when it dies is not on it later."""
        good = Target(4 * MIB)
        transfer(self.raw(), good, workers=1)
        front = good.log.index(FINISHED[-2])
        for number in range(front + 1):
            with self.subTest(number=number, action=good.log[number]):
                target = Target(4 * MIB)
                target.fail_nth(number, then_works=False)
                with self.assertRaises(exceptions.TargetError) as caught:
                    transfer(self.raw(), target, workers=1)
                self.assertIn(str(good.log[number].start),
                              str(caught.exception))
                self.assert_no_threads()
                if number:
                    self.assert_holds(target.disk[:512], 0)
                if len(WIPED) - 3 < number < front - 1:
                    self.assert_holds(target.disk[512:MIB], 0)

    def test_a_sector_that_dies_while_the_ends_are_written(self) -> None:
        """Every other sector of both ends is wiped, and it is said loudly."""
        for sector in (0, 1, 2, 33, 1000, 2047, 6 * 1024 + 5, 8191):
            with self.subTest(sector=sector):
                bad = sector * 512
                target = Target(4 * MIB)

                def fault(action: Action, target: Target = target,
                          bad: int = bad) -> None:
                    if (action.changes and action.start <= bad < action.end
                            and Action('write', 2 * MIB, MIB) in target.log):
                        target.fail(action)

                target.fault = fault
                with self.assertRaises(
                        exceptions.TargetMayBoot) as caught:
                    transfer(self.raw(), target, workers=1)
                self.assert_boots_nothing(target)
                self.assertIn('MAY BOOT', str(caught.exception))
                self.assertIn(f'write at byte {bad}',
                              caught.exception.found)
                self.assertIn('when it was wiped', caught.exception.found)

    def test_ends_that_are_lost_are_each_wiped_on_their_own(self) -> None:
        for lost in (range(0, MIB), range(3 * MIB, 4 * MIB)):
            target = Target(4 * MIB)

            def fault(action: Action, target: Target = target,
                      lost: range = lost) -> None:
                if action.changes and action.start in lost:
                    target.fail(action)

            target.fault = fault
            with self.assertRaises(exceptions.TargetMayBoot):
                target.wipe_ends()
            self.assertLess(len(target.log), 100)
            other = (target.disk[3 * MIB:] if 0 in lost
                     else target.disk[:MIB])
            self.assert_holds(other, 0)

    def test_the_first_error_is_told_when_the_wipe_fails_too(self) -> None:
        good = Target(4 * MIB)
        transfer(self.raw(), good, workers=1)
        for error in (KeyError('the first'), KeyboardInterrupt()):
            for number in range(len(good.log) - len(FINISHED) - 1,
                                len(good.log)):
                with self.subTest(number=number):
                    target = Target(4 * MIB)

                    def fault(action: Action, target: Target = target,
                              number: int = number,
                              error: BaseException = error) -> None:
                        if len(target.log) - 1 == number:
                            raise error
                        if len(target.log) - 1 > number:
                            target.fail(action)

                    target.fault = fault
                    with self.assertRaises(
                            exceptions.TargetMayBoot) as caught:
                        transfer(self.raw(), target, workers=1)
                    self.assertIs(error, caught.exception.__cause__)
                    self.assertIn(str(error) or 'KeyboardInterrupt',
                                  caught.exception.found)

    def test_a_wipe_that_is_interrupted_may_boot(self) -> None:
        target = Target(4 * MIB)

        def fault(action: Action) -> None:
            if FINISHED[-2] in target.log:
                raise KeyboardInterrupt

        target.fault = fault
        with self.assertRaises(exceptions.TargetMayBoot) as caught:
            transfer(self.raw(), target, workers=1)
        self.assertIn('KeyboardInterrupt', caught.exception.found)

    def test_a_write_that_fails_at_any_byte(self) -> None:
        for start in range(MIB, 4 * MIB, 500 * KIB):
            for workers in (1, 4):
                target = Target(5 * MIB)

                def fault(action: Action, target: Target = target,
                          start: int = start) -> None:
                    if (action.changes and action.start <= start < action.end
                            and len(target.log) > 3):
                        target.fail(action)

                target.fault = fault
                self.failure(exceptions.TargetError, self.qcow2(), target,
                             workers=workers)

    def test_nothing_is_written_after_the_first_error(self) -> None:
        target = Target(40 * MIB)
        target.fail_nth(10, then_works=False)
        self.failure(exceptions.TargetError, self.raw(40 * MIB), target,
                     workers=1)
        self.assertEqual(11, len(target.log))

    def test_nothing_is_written_after_the_transfer_returned(self) -> None:
        released = threading.Event()
        target = Target(40 * MIB)

        def fault(action: Action) -> None:
            if action.kind == 'write' and action.start >= 5 * MIB:
                if action.start == 5 * MIB:
                    released.set()
                    target.fail(action)
                released.wait(10)

        target.fault = fault
        self.failure(exceptions.TargetError, self.raw(40 * MIB), target,
                     workers=4)
        written = len(target.log)
        time.sleep(0.05)
        self.assertEqual(written, len(target.log))

    def test_progress_that_raises_at_any_call(self) -> None:
        for error in (RuntimeError('no'), KeyboardInterrupt()):
            for number in range(20):
                told: list[engine.Progress] = []

                def tell(progress: engine.Progress,
                         told: list[engine.Progress] = told,
                         number: int = number,
                         error: BaseException = error) -> None:
                    told.append(progress)
                    if len(told) == number + 1:
                        raise error

                target = Target(5 * MIB)
                try:
                    transfer(self.qcow2(), target, progress=tell)
                except type(error) as caught:
                    self.assertIs(error, caught)
                    self.assert_no_threads()
                    self.assertEqual([], [
                        action for action in target.of_kind('write')
                        if action.start < MIB])
                else:
                    self.assertLessEqual(len(told), number)
                    break
            self.assertGreaterEqual(number, 3)
            self.assertEqual('finish', told[-1].phase)

    def test_an_interrupt_does_not_wait_for_a_silent_source(self) -> None:
        silence = threading.Event()
        self.addCleanup(silence.set)

        class Silent(memory.MemorySource):
            def open_stream(self) -> typing.Any:
                stream = super().open_stream()
                stream.readinto = self.listen
                return stream

            def listen(self, buffer: memoryview) -> int:
                silence.wait(30)
                return 0

        inspection = self.raw()
        inspection.source._source = Silent(source_bytes(inspection))
        told: list[engine.Progress] = []

        def interrupt(progress: engine.Progress) -> None:
            told.append(progress)
            if len(told) == 2:
                raise KeyboardInterrupt

        target = Target(4 * MIB)
        with self.assertRaises(KeyboardInterrupt):
            transfer(inspection, target, progress=interrupt)
        self.assertFalse(silence.is_set())
        self.assert_boots_nothing(target)

    def test_the_same_inspection_can_be_tried_again(self) -> None:
        inspection = self.qcow2()
        target = Target(5 * MIB)
        target.fail_nth(9)
        self.failure(exceptions.TargetError, inspection, target)
        target.fault = lambda action: None
        transfer(inspection, target)
        self.assert_same(self.disk, target.disk)
