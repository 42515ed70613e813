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
import random
import typing

from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine import manifest
from tests.unit.engine import base
from tests.unit.engine import manifests
from tests.unit.engine import memory
from tests.unit.engine import qcow2_builder as qcow2
from tests.unit.engine import recording
from tests.unit.engine import transfers

KIB = base.KIB
MIB = base.MIB
SIZE = 40 * MIB


class DiskReuseTestCase(transfers.TransferTestCase):
    """Compressed images with a manifest of their disk, too."""

    def setUp(self) -> None:
        super().setUp()
        self.contents = self.made_contents(7)
        self.target = recording.RecordingTarget(SIZE)

    def made_contents(self, seed: int) -> dict[int, bytes]:
        """Clusters of a disk, by their index."""
        dice = random.Random(seed)
        return {index: qcow2.text(dice, 64 * KIB)
                for index in range(SIZE // (64 * KIB)) if index % 160 < 150}

    def build(self, kinds: str = 'c') -> None:
        """The file with these contents, in the sequence of the disk."""
        builder = qcow2.Builder(SIZE, seed=3)
        builder.dice.shuffle = lambda items: None  # type: ignore[assignment]
        for index, content in self.contents.items():
            if kinds[index % len(kinds)] == 'c':
                builder.compressed(index, content)
            else:
                builder.data(index, content)
        self.file = bytes(builder.build())
        self.disk = bytes(builder.disk)

    def write(self, disk: manifest.Manifest | None = None,
              **options: typing.Any) -> engine.Report:
        """Write the image to the target, by both manifests."""
        if disk is None:
            disk = dataclasses.replace(manifests.built(self.disk),
                                       checksum=manifests.sha512(self.file))
        source = engine.ChunkedSource(
            manifests.built(self.file), memory.MemorySource(self.file),
            disk=disk)
        report = engine.transfer(
            engine.inspect(source, engine.Expectation()), self.target,
            **options)
        self.assert_no_threads()
        self.assert_same(self.disk, self.target.disk)
        return report

    def fetched(self, report: engine.Report) -> int:
        return sum(source.bytes for source in report.sources)


class DiskReuseTest(DiskReuseTestCase):

    def test_all_of_it_is_there(self) -> None:
        self.build()
        first = self.write()
        self.assertEqual(0, first.reused)
        again = self.write()
        # What is left: tables, both ends, and what shares a chunk with them.
        self.assertLess(self.fetched(again), 7 * MIB)
        self.assertGreater(again.reused, self.fetched(first) - 9 * MIB)
        self.assertEqual('chunks', again.verified_by)

    def test_what_changed_is_fetched(self) -> None:
        for kinds in ('c', 'ccd'):
            with self.subTest(kinds=kinds):
                self.contents = self.made_contents(7)
                self.target = recording.RecordingTarget(SIZE)
                self.build(kinds)
                self.write()
                least = self.fetched(self.write())
                for index in (290, 291, 420):
                    self.contents[index] = qcow2.text(
                        random.Random(index), 64 * KIB)
                self.build(kinds)
                report = self.write()
                self.assertGreater(report.reused, 8 * MIB)
                self.assertLess(self.fetched(report), least + 10 * MIB)

    def test_one_bit_of_the_disk(self) -> None:
        self.build()
        self.write()
        least = self.fetched(self.write())
        for at in (5 * MIB, 17 * MIB - 1, 30 * MIB + 12345):
            with self.subTest(at=at):
                self.target.disk[at] ^= 0x10
                # A MiB of the disk is less of the file, in two chunks of
                # it at most, whatever ends in the second or begins there.
                self.assertLessEqual(self.fetched(self.write()),
                                     least + 2 * MIB)

    def test_zeroes_of_the_image_are_made(self) -> None:
        self.build()
        self.write()
        hole = next(index for index in range(200, 400)
                    if index not in self.contents)
        self.target.disk[hole * 64 * KIB + 5] = 1
        self.write()

    def test_something_else_is_on_the_disk(self) -> None:
        self.build()
        report = self.write()
        self.assertEqual(0, report.reused)

    def test_a_file_in_another_order(self) -> None:
        """The disk tells, whatever file it was written from."""
        self.build()
        self.write()
        builder = qcow2.Builder(SIZE, seed=9, compression='zstd')
        for index, content in self.contents.items():
            builder.compressed(index, content)
        self.file = bytes(builder.build())
        self.assertGreater(self.write().reused, 0)

    def test_clusters_in_any_order(self) -> None:
        for seed in range(3):
            builder = qcow2.fill(qcow2.Builder(12 * MIB, seed=seed),
                                 'ccccdzZ.')
            self.file, self.disk = bytes(builder.build()), bytes(builder.disk)
            self.target = recording.RecordingTarget(12 * MIB)
            self.write()
            self.target.disk[6 * MIB + seed] ^= 1
            self.write()

    def test_it_is_told_as_written(self) -> None:
        self.build()
        self.write()
        told: list[int] = []
        self.write(written=told.append)
        self.assertEqual(len(set(told)), len(told))
        self.assertGreater(len(told), 10)

    def test_a_journal_beside_it(self) -> None:
        self.build()
        folder = self.directory / 'journals'
        self.write(journals=str(folder))
        self.assertGreater(self.write(journals=str(folder)).reused, 8 * MIB)

    def test_a_manifest_of_another_disk(self) -> None:
        self.build()
        with self.assertRaisesRegex(exceptions.InvalidManifest,
                                    f'a disk of {SIZE} bytes'):
            self.write(manifests.built(self.disk[:-MIB]))
        self.assert_boots_nothing(self.target)

    def test_no_look_at_a_new_file(self) -> None:
        self.build()
        self.target.created = True
        self.write()
        self.assertEqual([], [
            action for action in self.target.of_kind('read')])
