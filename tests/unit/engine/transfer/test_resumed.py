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

"""Writes to a target that holds some of the image already."""

import random
import typing

from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import exceptions
from tests.unit.engine import base
from tests.unit.engine import manifests
from tests.unit.engine import memory
from tests.unit.engine import qcow2_builder as qcow2
from tests.unit.engine import recording
from tests.unit.engine import transfers

MIB = base.MIB


class ResumedTestCase(transfers.TransferTestCase):
    """Images with a manifest."""

    def setUp(self) -> None:
        super().setUp()
        self.folder = self.directory / 'journals'

    def chunked(self, file: bytes | bytearray) -> engine.Inspection:
        """An image whose chunks prove themselves."""
        self.origin = memory.MemorySource(bytes(file))
        return engine.inspect(
            engine.ChunkedSource(manifests.built(bytes(file)), self.origin),
            engine.Expectation())

    def transfer(self, inspection: engine.Inspection,
                 target: recording.RecordingTarget, **options: typing.Any
                 ) -> engine.Report:
        return engine.transfer(inspection, target,
                               journals=str(self.folder), **options)

    def assert_no_journal(self) -> None:
        self.assertEqual([], [*self.folder.glob('*')])


class RebuildTest(ResumedTestCase):
    """A raw image."""

    def setUp(self) -> None:
        super().setUp()
        self.content = bytearray(transfers.noise(24 * MIB))
        transfers.partition_table(self.content)
        self.content[10 * MIB:13 * MIB] = bytes(3 * MIB)
        self.target = recording.RecordingTarget(26 * MIB)

    def written_between(self) -> int:
        return sum(action.length for action in self.target.of_kind('write')
                   if MIB <= action.start < 22 * MIB)

    def test_only_what_changed_is_fetched(self) -> None:
        self.transfer(self.chunked(self.content), self.target)
        self.assert_same(self.content, self.target.disk[:24 * MIB])
        self.content[5 * MIB + 7] ^= 1
        self.content[15 * MIB:16 * MIB] = random.Random(1).randbytes(MIB)
        self.target.log.clear()
        report = self.transfer(self.chunked(self.content), self.target)
        self.assert_same(self.content, self.target.disk[:24 * MIB])
        # Two that changed, and three with bytes of the ends.
        self.assertEqual(5 * MIB, report.sources[0].bytes)
        self.assertEqual(16 * MIB, report.reused)
        self.assertEqual(2 * MIB, self.written_between())
        self.assertEqual('chunks', report.verified_by)
        self.assert_no_journal()

    def test_ends_are_wiped_before_anything_is_read(self) -> None:
        self.transfer(self.chunked(self.content), self.target)
        self.target.log.clear()
        self.transfer(self.chunked(self.content), self.target)
        wiped = transfers.wiped(26 * MIB)
        self.assertEqual(wiped, self.target.log[:len(wiped)])
        ends = [action for action in self.target.of_kind('write')
                if action.start < MIB or action.start >= 22 * MIB + 4096]
        self.assertEqual((0, 512), (ends[-1].start, ends[-1].length))

    def test_zeroes_are_made(self) -> None:
        self.transfer(self.chunked(self.content), self.target)
        self.target.disk[11 * MIB] = 1
        self.transfer(self.chunked(self.content), self.target)
        self.assert_same(self.content, self.target.disk[:24 * MIB])

    def test_a_disk_of_something_else(self) -> None:
        report = self.transfer(self.chunked(self.content), self.target)
        self.assertEqual(0, report.reused)
        self.assertEqual(21 * MIB, report.sources[0].bytes)

    def test_read_back(self) -> None:
        self.transfer(self.chunked(self.content), self.target)
        report = self.transfer(self.chunked(self.content), self.target,
                               read_back='full')
        self.assertEqual(18 * MIB, report.reused)

    def test_the_whole_file_is_read_to_be_hashed(self) -> None:
        self.transfer(self.chunked(self.content), self.target)
        report = self.transfer(self.chunked(self.content), self.target,
                               verify_file=True)
        self.assertEqual(0, report.reused)
        self.assertEqual(24 * MIB, report.bytes_read)

    def test_it_is_told_as_written(self) -> None:
        self.transfer(self.chunked(self.content), self.target)
        told: list[int] = []
        self.transfer(self.chunked(self.content), self.target,
                      written=told.append)
        self.assertEqual(len(set(told)), len(told))
        self.assertLessEqual({*range(1, 22)} - {10, 11, 12}, set(told))

    def test_a_write_that_failed_goes_on(self) -> None:
        inspection = self.chunked(self.content)
        for failing in (28, 20, 26, 25):
            self.target.log.clear()
            self.target.fail_nth(failing, then_works=False)
            with self.assertRaises(exceptions.TargetError):
                self.transfer(inspection, self.target)
        self.target.fault = lambda action: None
        report = self.transfer(self.chunked(self.content), self.target)
        self.assertGreater(report.reused, 0)
        self.assert_same(self.content, self.target.disk[:24 * MIB])


class CompressedTest(ResumedTestCase):
    """A qcow2: the journal says what is there."""

    def setUp(self) -> None:
        super().setUp()
        builder = qcow2.Builder(32 * MIB, seed=3)
        for index in range(32, builder.clusters - 32):
            builder.compressed(index, qcow2.text(builder.dice, 65536))
        self.file = builder.build()
        self.disk = builder.disk
        self.target = recording.RecordingTarget(32 * MIB)

    def fail(self, number: int, **options: typing.Any) -> None:
        self.target.log.clear()
        self.target.fail_nth(number, then_works=False)
        with self.assertRaises(exceptions.TargetError):
            self.transfer(self.chunked(self.file), self.target, **options)
        self.target.fault = lambda action: None

    def test_goes_on(self) -> None:
        whole = self.transfer(self.chunked(self.file), self.target)
        self.assert_no_journal()
        self.target = recording.RecordingTarget(32 * MIB)
        self.fail(300)
        self.assertEqual(1, len([*self.folder.iterdir()]))
        report = self.transfer(self.chunked(self.file), self.target)
        self.assert_same(self.disk, self.target.disk)
        self.assertGreater(report.reused, MIB)
        self.assertLess(report.bytes_read, whole.bytes_read)
        self.assert_no_journal()

    def test_somebody_wrote_to_the_disk_in_between(self) -> None:
        self.fail(300)
        dice = random.Random(2)
        for at in dice.sample(range(2 * MIB, 30 * MIB), 20):
            self.target.disk[at] ^= 0xff
        self.transfer(self.chunked(self.file), self.target)
        self.assert_same(self.disk, self.target.disk)

    def test_another_disk(self) -> None:
        self.fail(300)
        self.target = recording.RecordingTarget(33 * MIB)
        report = self.transfer(self.chunked(self.file), self.target)
        self.assertEqual(0, report.reused)
        self.assert_same(self.disk, self.target.disk[:32 * MIB])

    def test_another_image_in_between(self) -> None:
        self.fail(300)
        content = bytearray(transfers.noise(8 * MIB))
        transfers.partition_table(content)
        self.transfer(self.chunked(content), self.target)
        self.assert_no_journal()

    def test_an_image_without_a_manifest_in_between(self) -> None:
        self.fail(300)
        self.transfer(self.raw(), self.target)
        self.assert_no_journal()

    def test_no_place_for_a_journal(self) -> None:
        self.folder.touch()
        with self.assertLogs('ironic_imagedeploy', 'WARNING'):
            report = self.transfer(self.chunked(self.file), self.target)
        self.assertEqual(0, report.reused)
        self.assert_same(self.disk, self.target.disk)

    def test_no_journal_unless_asked_for(self) -> None:
        engine.transfer(self.chunked(self.file), self.target)
        self.assertFalse(self.folder.exists())
