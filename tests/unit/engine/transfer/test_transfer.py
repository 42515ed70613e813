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
from tests.unit.engine import recording
from tests.unit.engine import transfers

KIB = base.KIB
MIB = base.MIB
Action = recording.Action
source_bytes = transfers.source_bytes
Target = recording.RecordingTarget
transfer = engine.transfer
compare = engine.compare

WIPED = transfers.wiped(4 * MIB)
MIDDLE = [Action('write', MIB, MIB), Action('write', 2 * MIB, MIB),
          Action('flush')]
FINISHED = transfers.finished(4 * MIB)


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
            [*WIPED, Action('drop_cache'), Action('read', 0, MIB),
             Action('read', 3 * MIB, MIB), *MIDDLE, Action('drop_cache'),
             Action('read', MIB, MIB), Action('read', 2 * MIB, MIB),
             *transfers.finished(4 * MIB, verified=True),
             Action('reread_partitions')],
            target.log)

    def test_ends_first_and_last_and_never_in_between(self) -> None:
        target = Target(5 * MIB)
        transfer(self.qcow2(), target)
        self.assert_same(self.disk, target.disk)
        changes = [action for action in target.log if action.changes]
        self.assertEqual([action for action in transfers.wiped(5 * MIB)
                          if action.changes], changes[:4])
        self.assertEqual(transfers.finished(5 * MIB)[::2], changes[-3:])
        for action in changes[4:-3]:
            self.assertGreaterEqual(action.start, MIB)
            self.assertLessEqual(action.end, 4 * MIB)

    def test_every_byte_between_is_written_or_zeroed_once(self) -> None:
        target = Target(5 * MIB)
        transfer(self.qcow2(), target)
        changes = [action for action in target.log if action.changes]
        reached = MIB
        for action in sorted(changes[4:-3], key=lambda each: each.start):
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
            for action in target.of_kind('zero')[4:]])

    def test_many_zeroes_in_the_data_are_zeroed(self) -> None:
        target = Target(4 * MIB)
        transfer(self.raw(content=bytes(4 * MIB)), target)
        self.assertEqual(
            {(MIB, 2 * MIB), (2 * MIB, 3 * MIB)},
            {(action.start, action.end)
             for action in target.of_kind('zero')[4:]})
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

        inspection = self.qcow2()
        transfer(inspection, Target(5 * MIB), read_back='full',
                 progress=tell)
        self.assertEqual({threading.current_thread()}, threads)
        phases = [progress.phase for progress in told]
        self.assertEqual(['write', 'read-back', 'finish'], sorted(
            set(phases) - {'zero'}, key=phases.index))
        for phase in ('write', 'read-back'):
            of_phase = [progress for progress in told
                        if progress.phase == phase]
            done = [progress.done for progress in of_phase]
            self.assertEqual(sorted(done), done)
            self.assertEqual((0, of_phase[0].total), (done[0], done[-1]))
        self.assertEqual(data_of(inspection), told[0].total)

    def test_the_backup_of_a_gpt_is_where_the_disk_ends(self) -> None:
        base.run('sgdisk', '-o', path := self.save('gpt', bytes(8 * MIB)))
        with engine.open_source(path) as source:
            inspection = engine.inspect(source)
            for more, expected in ((0, False), (511, False), (512, True),
                                   (8 * MIB, True)):
                report = transfer(inspection, Target(8 * MIB + more))
                self.assertIs(expected, report.backup_gpt_misplaced)

    def test_sample_reads_a_sixteenth_back(self) -> None:
        inspection = self.raw(36 * MIB)
        target = Target(36 * MIB)
        transfer(inspection, target, read_back='sample')
        # The first ones see that the ends are wiped.
        reads = target.of_kind('read')[2:]
        self.assertEqual([
            Action('read', 35 * MIB, MIB), Action('read', 512, MIB - 512),
            Action('read', 0, 512)], reads[-3:])
        self.assertEqual(34 // 16, len(reads) - 3)


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
        compared = [progress for progress in told
                    if progress.phase != 'zero']
        self.assertEqual({('compare', data_of(self.inspection))}, {
            (progress.phase, progress.total) for progress in compared})

    def test_the_last_call_tells_the_end(self) -> None:
        for seconds in (0, 0.02, 0.2):
            told: list[engine.Progress] = []

            def tell(progress: engine.Progress,
                     told: list[engine.Progress] = told,
                     seconds: float = seconds) -> None:
                told.append(progress)
                time.sleep(seconds)

            self.compare(progress=tell)
            self.assertEqual(data_of(self.inspection), told[-1].done)


def data_of(inspection: engine.Inspection) -> int:
    """Bytes of the disk that the file stores something for."""
    return sum(extent.length for extent in inspection.accepted().extents()
               if extent.kind is not engine.ExtentKind.ZERO)
