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
Target = recording.RecordingTarget
transfer = engine.transfer
compare = engine.compare

WIPED = [Action('zero', 0, MIB), Action('zero', 3 * MIB, MIB),
         Action('flush')]
MIDDLE = [Action('write', MIB, MIB), Action('write', 2 * MIB, MIB),
          Action('flush')]
FINISHED = [Action('write', 3 * MIB, MIB), Action('flush'),
            Action('write', 0, MIB), Action('flush')]


class OrderTest(transfers.TransferTestCase):

    def test_the_whole_log_of_a_raw_image(self) -> None:
        target = Target(4 * MIB)
        transfer(self.raw(), target, workers=1)
        self.assertEqual(
            [*WIPED, *MIDDLE, *FINISHED, Action('reread_partitions')],
            target.log)

    def test_the_whole_log_with_read_back(self) -> None:
        target = Target(4 * MIB)
        transfer(self.raw(), target, workers=1, read_back='full')
        self.assertEqual(
            [*WIPED, *MIDDLE, Action('drop_cache'),
             Action('read', MIB, MIB), Action('read', 2 * MIB, MIB),
             *FINISHED, Action('drop_cache'), Action('read', 0, MIB),
             Action('read', 3 * MIB, MIB), Action('reread_partitions')],
            target.log)

    def test_ends_first_and_last_and_never_in_between(self) -> None:
        target = Target(5 * MIB)
        transfer(self.qcow2(), target)
        self.assert_same(self.disk, target.disk)
        changes = [action for action in target.log if action.changes]
        self.assertEqual([Action('zero', 0, MIB),
                          Action('zero', 4 * MIB, MIB)], changes[:2])
        self.assertEqual([Action('write', 4 * MIB, MIB),
                          Action('write', 0, MIB)], changes[-2:])
        for action in changes[2:-2]:
            self.assertGreaterEqual(action.start, MIB)
            self.assertLessEqual(action.end, 4 * MIB)

    def test_every_byte_between_is_written_or_zeroed_once(self) -> None:
        target = Target(5 * MIB)
        transfer(self.qcow2(), target)
        changes = [action for action in target.log if action.changes]
        reached = MIB
        for action in sorted(changes[2:-2], key=lambda each: each.start):
            self.assertEqual(reached, action.start)
            reached = action.end
        self.assertEqual(4 * MIB, reached)

    def test_zeroes_of_the_map_are_zeroed_and_not_written(self) -> None:
        inspection = self.qcow2()
        target = Target(5 * MIB)
        transfer(inspection, target)
        image = inspection.accepted()
        wanted = [
            (max(extent.start, MIB), min(extent.end, 4 * MIB))
            for extent in image.extents()
            if extent.kind is engine.ExtentKind.ZERO
            and extent.end > MIB and extent.start < 4 * MIB]
        self.assertGreater(len(wanted), 5)
        self.assertEqual(wanted, [
            (action.start, action.end)
            for action in target.of_kind('zero')[2:]])

    def test_many_zeroes_in_the_data_are_zeroed(self) -> None:
        target = Target(4 * MIB)
        transfer(self.raw(content=bytes(4 * MIB)), target)
        self.assertEqual(
            {(MIB, 2 * MIB), (2 * MIB, 3 * MIB)},
            {(action.start, action.end)
             for action in target.of_kind('zero')[2:]})
        self.assert_holds(target.disk, 0)

    def test_a_larger_disk_keeps_what_lies_beyond_but_its_end(self) -> None:
        for larger in (512, MIB // 2, MIB, 3 * MIB):
            with self.subTest(larger=larger):
                inspection = self.qcow2()
                target = Target(5 * MIB + larger)
                transfer(inspection, target)
                self.assert_same(self.disk, target.disk[:5 * MIB])
                self.assert_holds(
                    target.disk[5 * MIB:-MIB], recording.OLD)
                self.assert_holds(
                    target.disk[max(5 * MIB, target.size - MIB):], 0)

    def test_every_small_size(self) -> None:
        for size in (512, 4 * KIB, MIB - 512, MIB, MIB + 512, 2 * MIB - 512,
                     2 * MIB, 2 * MIB + 512, 3 * MIB + 512):
            for read_back in ('none', 'sample', 'full'):
                with self.subTest(size=size, read_back=read_back):
                    inspection = self.raw(size)
                    target = Target(size)
                    transfer(inspection, target, read_back=read_back)
                    self.assert_same(source_bytes(inspection), target.disk)

    def test_a_target_that_cannot_zero(self) -> None:
        target = Target(5 * MIB, fast_zero=False)
        report = transfer(self.qcow2(), target)
        self.assert_same(self.disk, target.disk)
        self.assertEqual([], target.of_kind('zero'))
        self.assertGreater(report.zeroes_written, 2 * MIB)


class ReportTest(transfers.TransferTestCase):

    def test_figures(self) -> None:
        inspection = self.qcow2()
        report = transfer(inspection, Target(5 * MIB), read_back='sample')
        zeroes = sum(
            extent.length for extent in inspection.accepted().extents()
            if extent.kind is engine.ExtentKind.ZERO)
        self.assertEqual(
            ('memory', 'qcow2', 5 * MIB, inspection.source.size,
             5 * MIB - zeroes, zeroes, 0, 0, 'sample'),
            (report.source, report.format, report.virtual_size,
             report.bytes_read, report.bytes_written, report.bytes_zeroed,
             report.zeroes_written, report.resumes, report.read_back))
        self.assertIn(report.bottleneck, ('network', 'decode', 'disk'))
        self.assertGreater(report.seconds, 0)

    def test_the_checksum_is_that_of_the_stored_bytes(self) -> None:
        inspection = self.qcow2()
        report = transfer(inspection, Target(5 * MIB))
        self.assertEqual(
            ('sha256', hashlib.sha256(source_bytes(inspection)).hexdigest(),
             False),
            (report.checksum.algorithm, report.checksum.value,
             report.checksum.verified))

    def test_an_expected_checksum_is_verified(self) -> None:
        for algorithm in ('md5', 'sha1', 'sha256', 'sha512', 'sha3_256'):
            with self.subTest(algorithm=algorithm):
                stored = source_bytes(self.qcow2())
                expected = engine.Checksum(
                    algorithm, hashlib.new(algorithm, stored).hexdigest())
                report = transfer(self.qcow2(checksum=expected),
                                  Target(5 * MIB))
                self.assertEqual(
                    (expected.algorithm, expected.value, True),
                    (report.checksum.algorithm, report.checksum.value,
                     report.checksum.verified))

    def test_progress_goes_through_the_phases_on_one_thread(self) -> None:
        told: list[engine.Progress] = []
        threads = set()

        def tell(progress: engine.Progress) -> None:
            told.append(progress)
            threads.add(threading.current_thread())

        transfer(self.qcow2(), Target(5 * MIB), read_back='full',
                 progress=tell)
        self.assertEqual({threading.current_thread()}, threads)
        phases = [progress.phase for progress in told]
        self.assertEqual(['write', 'read-back', 'finish'],
                         sorted(set(phases), key=phases.index))
        for phase in ('write', 'read-back'):
            of_phase = [progress for progress in told
                        if progress.phase == phase]
            done = [progress.done for progress in of_phase]
            self.assertEqual(sorted(done), done)
            self.assertEqual((0, of_phase[0].total), (done[0], done[-1]))
        self.assertEqual(5 * MIB, told[0].total)

    def test_sample_reads_a_sixteenth_back(self) -> None:
        inspection = self.raw(36 * MIB)
        target = Target(36 * MIB)
        transfer(inspection, target, read_back='sample')
        reads = target.of_kind('read')
        self.assertEqual([Action('read', 0, MIB),
                          Action('read', 35 * MIB, MIB)], reads[-2:])
        self.assertEqual(34 // 16, len(reads) - 2)


class RefusalTest(transfers.TransferTestCase):

    def test_a_refused_image_touches_nothing(self) -> None:
        inspection = engine.inspect(memory.MemorySource(bytes(MIB)))
        target = Target(MIB)
        for call in (transfer, compare):
            self.assertRaises(exceptions.ImageRefused, call, inspection,
                              target)
        self.assertEqual([], target.log)
        self.assert_untouched(target)

    def test_a_target_that_is_too_small(self) -> None:
        target = Target(5 * MIB - 512)
        for call in (transfer, compare):
            with self.assertRaises(exceptions.TargetTooSmall) as caught:
                call(self.qcow2(), target)
            self.assert_complete(caught.exception)
        self.assertEqual([], target.log)

    def test_a_target_with_other_sectors(self) -> None:
        disk = bytearray(8 * MIB)
        base.run('sgdisk', '-o', '-n', '1:2048:+1M',
                 path := self.save('gpt', disk))
        with engine.open_source(path) as source:
            inspection = engine.inspect(source)
            target = Target(8 * MIB, sector_size=4096)
            for call in (transfer, compare):
                with self.assertRaises(
                        exceptions.SectorSizeMismatch) as caught:
                    call(inspection, target)
                self.assert_complete(caught.exception)
            self.assertEqual([], target.log)
            # A file has the sectors that its user gives it.
            target.fixed_sectors = False  # type: ignore[misc]
            transfer(inspection, target)

    def test_an_unknown_read_back_touches_nothing(self) -> None:
        target = Target(4 * MIB)
        with self.assertRaises((KeyError, ValueError)):
            transfer(self.raw(), target, read_back='some')
        self.assert_untouched(target)


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
        inspection.expectation = engine.Expectation(checksum=expected)
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
        for number in range(len(good.log)):
            with self.subTest(number=number, action=good.log[number]):
                target = Target(4 * MIB)
                target.fail_nth(number)
                with self.assertRaises(exceptions.TargetError) as caught:
                    transfer(self.raw(), target, workers=1,
                             read_back='full')
                self.assert_complete(caught.exception)
                self.assert_no_threads()
                if number < len(WIPED):
                    self.assertEqual([], target.of_kind('write'))
                else:
                    self.assert_boots_nothing(target)

    def test_a_target_that_dies_never_gets_the_front(self) -> None:
        """What it takes before is no more than the back."""
        good = Target(4 * MIB)
        transfer(self.raw(), good, workers=1)
        front = good.log.index(Action('write', 0, MIB))
        for number in range(front + 1):
            with self.subTest(number=number, action=good.log[number]):
                target = Target(4 * MIB)
                target.fail_nth(number, then_works=False)
                with self.assertRaises(exceptions.TargetError) as caught:
                    transfer(self.raw(), target, workers=1)
                self.assertIn(str(good.log[number].start),
                              caught.exception.expected)
                self.assert_no_threads()
                if number:
                    self.assert_holds(target.disk[:MIB], 0)

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
                    with self.assertRaises(type(error)) as caught:
                        transfer(self.raw(), target, workers=1)
                    self.assertIs(error, caught.exception)

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


class ReadBackTest(transfers.TransferTestCase):
    """A disk that does not hold what it was given."""

    def assert_found(self, target: Target, read_back: str = 'full') -> None:
        with self.assertRaises(exceptions.ReadBackMismatch) as caught:
            transfer(self.qcow2(), target, read_back=read_back)
        self.assert_complete(caught.exception)
        self.assert_boots_nothing(target)
        self.assert_no_threads()

    def forget(self, target: Target, start: int, length: int,
               value: int = 0x77) -> None:
        """Let the disk lose what is written there; zeroes it keeps."""
        def fault(action: Action) -> None:
            if action.kind in ('read', 'drop_cache') and any(
                    target.disk[start:start + length]):
                target.disk[start:start + length] = bytes([value]) * length
        target.fault = fault

    def test_one_byte_of_data(self) -> None:
        inspection = self.qcow2()
        extent = next(
            extent for extent in inspection.accepted().extents()
            if extent.kind is not engine.ExtentKind.ZERO
            and extent.start > MIB)
        target = Target(5 * MIB)
        self.forget(target, extent.start + 5, 1,
                    self.disk[extent.start + 5] ^ 1)
        self.assert_found(target)

    def test_the_front(self) -> None:
        for read_back in ('sample', 'full'):
            target = Target(5 * MIB)
            self.forget(target, 100, 7)
            self.assert_found(target, read_back)

    def test_the_back(self) -> None:
        for read_back in ('sample', 'full'):
            target = Target(5 * MIB)
            self.forget(target, 5 * MIB - 70000, 70000)
            self.assert_found(target, read_back)

    def test_a_disk_that_only_pretends_to_zero(self) -> None:
        class Lazy(Target):
            def _zero_fast(self, offset: int, length: int) -> bool:
                if len(self.log) > 3 and MIB <= offset < 4 * MIB:
                    self._note('zero', offset, length)
                    return True
                return super()._zero_fast(offset, length)

        self.assert_found(Lazy(5 * MIB))

    def test_ends_that_cannot_be_read_back(self) -> None:
        for error in (None, KeyboardInterrupt()):
            for start in (0, 3 * MIB):
                target = Target(4 * MIB)

                def fault(action: Action, target: Target = target,
                          start: int = start,
                          error: BaseException | None = error) -> None:
                    if action == Action('read', start, MIB):
                        if error:
                            raise error
                        target.fail(action)

                target.fault = fault
                with self.assertRaises(
                        (exceptions.TargetError, KeyboardInterrupt)):
                    transfer(self.raw(), target, read_back='full')
                self.assert_boots_nothing(target)

    def test_without_read_back_nothing_is_read(self) -> None:
        target = Target(5 * MIB)
        transfer(self.qcow2(), target)
        self.assertEqual([], target.of_kind('read', 'drop_cache'))


class CompareTest(transfers.TransferTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.inspection = self.qcow2()
        self.target = Target(6 * MIB)
        self.target.disk[:5 * MIB] = self.disk

    def compare(self, **options: typing.Any) -> engine.Report:
        return compare(self.inspection, self.target, **options)

    def test_an_equal_disk(self) -> None:
        report = self.compare()
        self.assertEqual(
            ('full', 5 * MIB, self.inspection.source.size, 5 * MIB),
            (report.read_back, report.virtual_size, report.bytes_read,
             report.bytes_written + report.bytes_zeroed))

    def test_the_target_is_only_read(self) -> None:
        self.compare()
        self.assertEqual({'drop_cache', 'read'},
                         {action.kind for action in self.target.log})
        self.assertEqual('drop_cache', self.target.log[0].kind)

    def test_one_byte_in_each_kind_of_extent(self) -> None:
        places = [(extent.start, extent.end - 1) for extent
                  in self.inspection.accepted().extents()]
        for at in sorted({place for pair in places[:12] + places[-6:]
                          for place in pair}):
            with self.subTest(at=at):
                self.target.disk[at] ^= 0x40
                with self.assertRaises(
                        exceptions.ReadBackMismatch) as caught:
                    self.compare()
                self.assert_complete(caught.exception)
                self.assert_no_threads()
                self.target.disk[at] ^= 0x40

    def test_what_lies_beyond_the_image_does_not_matter(self) -> None:
        self.target.disk[5 * MIB:] = b'x' * MIB
        self.compare()

    def test_another_file_than_the_checksum_says(self) -> None:
        self.inspection = self.qcow2(
            checksum=engine.Checksum('sha256', '0' * 64))
        self.assertRaises(exceptions.ChecksumMismatch, self.compare)

    def test_a_target_that_cannot_be_read(self) -> None:
        self.target.fail_nth(20)
        self.assertRaises(exceptions.TargetError, self.compare)
        self.assert_no_threads()

    def test_progress(self) -> None:
        told: list[engine.Progress] = []
        self.compare(progress=told.append)
        self.assertEqual({'compare'}, {progress.phase for progress in told})
        self.assertEqual({5 * MIB}, {progress.total for progress in told})

    def test_the_last_call_tells_the_end(self) -> None:
        for seconds in (0, 0.02, 0.2):
            told: list[engine.Progress] = []

            def tell(progress: engine.Progress,
                     told: list[engine.Progress] = told,
                     seconds: float = seconds) -> None:
                told.append(progress)
                time.sleep(seconds)

            self.compare(progress=tell)
            self.assertEqual(5 * MIB, told[-1].done)


def source_bytes(inspection: engine.Inspection) -> bytes | bytearray:
    """The stored bytes of an image."""
    return transfers.source_of(inspection).content
