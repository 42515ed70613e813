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

import random
from unittest import mock

from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import extent
from ironic_imagedeploy.engine.transfer import held_ends
from ironic_imagedeploy.engine.transfer import meter
from ironic_imagedeploy.engine.transfer import reuse
from tests.unit.engine import base
from tests.unit.engine import manifests
from tests.unit.engine import qcow2_builder as qcow2
from tests.unit.engine import recording
from tests.unit.engine import transfers

KIB = base.KIB
MIB = base.MIB


class ReuseTestCase(transfers.TransferTestCase):
    """Finds what there is of an image on a disk."""

    def prepare(self, inspection: engine.Inspection, disk: bytes | bytearray,
                *, size: int | None = None) -> None:
        """The disk that an image is to be written to."""
        self.image = inspection.accepted()
        self.file = transfers.source_bytes(inspection)
        self.manifest = manifests.built(self.file)
        self.target = recording.RecordingTarget(size or len(disk))
        self.target.disk[:len(disk)] = disk
        self.held = held_ends.HeldEnds(self.image.virtual_size)

    def find(self) -> set[int]:
        found = reuse.find(self.image, self.manifest, self.target, self.held,
                           meter.Meter(), workers=2)
        self.assert_no_threads()
        self.assertFalse(any(action.changes for action in self.target.log))
        return found

    def bytes_read(self) -> int:
        return sum(action.length for action in self.target.of_kind('read'))


class RawTest(ReuseTestCase):
    """The disk is the file."""

    def setUp(self) -> None:
        super().setUp()
        self.content = bytearray(transfers.noise(40 * MIB))
        self.content[10 * MIB:12 * MIB] = bytes(2 * MIB)
        self.content[20 * MIB + 4096:21 * MIB] = bytes(MIB - 4096)

    def raw_on(self, disk: bytes | bytearray, **sizes: int) -> None:
        self.prepare(self.raw(content=bytes(self.content)), disk, **sizes)

    def test_all_but_the_ends_and_zeroes(self) -> None:
        self.raw_on(self.content)
        self.assertEqual({*range(1, 39)} - {10, 11}, self.find())
        # All of it once, but for the ends and the zeroes.
        self.assertEqual(36 * MIB, self.bytes_read())

    def test_one_bit(self) -> None:
        for at in (5 * MIB, 6 * MIB - 1, 20 * MIB, 21 * MIB - 1):
            with self.subTest(at=at):
                changed = bytearray(self.content)
                changed[at] ^= 0x10
                self.raw_on(changed)
                self.assertEqual({*range(1, 39)} - {10, 11, at // MIB},
                                 self.find())

    def test_a_wiped_disk(self) -> None:
        wiped = bytearray(self.content)
        wiped[:MIB] = wiped[-MIB:] = bytes(MIB)
        self.raw_on(wiped)
        self.assertEqual(36, len(self.find()))

    def test_a_larger_disk(self) -> None:
        self.raw_on(self.content, size=45 * MIB)
        self.assertEqual(36, len(self.find()))

    def test_another_system_is_looked_at_in_few_places(self) -> None:
        with mock.patch.object(reuse, '_STRETCHES', 4):
            self.raw_on(random.Random(7).randbytes(40 * MIB))
            self.assertEqual(set(), self.find())
        self.assertEqual(4 * MIB, self.bytes_read())

    def test_what_is_known_is_not_looked_at(self) -> None:
        self.raw_on(self.content)
        known = frozenset(range(5, 30))
        found = reuse.find(self.image, self.manifest, self.target, self.held,
                           meter.Meter(), known=known)
        self.assertEqual({*range(1, 39)} - known, found)
        self.assertEqual(13 * MIB, self.bytes_read())

    def test_zeroes_are_no_chunk(self) -> None:
        self.raw_on(bytes(40 * MIB))
        self.assertEqual(set(), self.find())

    def test_written_in_part(self) -> None:
        disk = bytearray([recording.OLD]) * (40 * MIB)
        disk[MIB:9 * MIB] = self.content[MIB:9 * MIB]
        self.raw_on(disk)
        with mock.patch.object(reuse, '_STRETCHES', 4):
            self.assertEqual(set(range(1, 9)), self.find())
        # The last stretches have nothing, nor are they neighbours.
        self.assertLess(self.bytes_read(), 22 * MIB)

    def test_each_chunk_of_a_small_image_is_looked_at(self) -> None:
        self.raw_on(random.Random(7).randbytes(40 * MIB))
        self.assertEqual(set(), self.find())
        self.assertEqual(36 * MIB, self.bytes_read())

    def test_neighbours_of_what_is_there_are_looked_at(self) -> None:
        disk = bytearray([recording.OLD]) * (40 * MIB)
        disk[20 * MIB:21 * MIB] = self.content[20 * MIB:21 * MIB]
        self.raw_on(disk)
        with mock.patch.object(reuse, '_STRETCHES', 8):
            self.assertEqual({20}, self.find())
        # The sample of each stretch of five, and three stretches around it.
        samples = [1, 5, 12, 15, 20, 25, 30, 35]
        others = [index for index in range(15, 30) if index != 20]
        self.assertEqual(
            sorted(samples + others),
            sorted(action.start // MIB
                   for action in self.target.of_kind('read')))

    def test_a_stretch_whose_sample_changed(self) -> None:
        changed = bytearray(self.content)
        changed[20 * MIB] ^= 1
        self.raw_on(changed)
        with mock.patch.object(reuse, '_STRETCHES', 4):
            self.assertEqual({*range(1, 39)} - {10, 11, 20}, self.find())

    def test_an_end_in_the_middle_of_a_chunk(self) -> None:
        del self.content[-MIB // 2 - 700:]
        self.raw_on(self.content, size=41 * MIB)
        # 39.5 MiB less 700: what is held begins in chunk 38.
        self.assertEqual({*range(1, 38)} - {10, 11}, self.find())

    def test_a_bad_sector(self) -> None:
        self.raw_on(self.content)

        def fault(action: recording.Action) -> None:
            if action.start <= 5 * MIB + 512 < action.end:
                self.target.fail(action)
        self.target.fault = fault
        self.assertEqual({*range(1, 39)} - {5, 10, 11}, self.find())

    def test_an_image_of_ends_only(self) -> None:
        self.content = bytearray(transfers.noise(2 * MIB))
        self.raw_on(self.content)
        self.assertEqual(set(), self.find())


class ClustersTest(ReuseTestCase):
    """The disk is in another order than the file."""

    def inspected(self, kinds: str, seed: int, size: int = 12 * MIB,
                  **options: int) -> engine.Inspection:
        """An image whose clusters are in any order, with empty ends."""
        builder = qcow2.Builder(size, seed=seed, **options)
        clusters, held = builder.clusters, MIB // builder.cluster_size + 8
        qcow2.fill(builder, kinds)
        for index in (*range(held), *range(clusters - held, clusters)):
            builder.zero(index)
        file = builder.build()
        self.disk = builder.disk
        return engine.inspect(transfers.memory.MemorySource(file),
                              engine.Expectation())

    def assert_true(self, found: set[int]) -> None:
        """Every byte of the disk that these chunks store is on it."""
        for index in found:
            start, end = self.manifest.bounds(index)
            for each in self.image.by_source():
                if each.source_offset < end and each.source_end > start:
                    self.assertGreaterEqual(each.start, MIB)
            read = bytearray(end - start)
            for each in self.image.by_source():
                low = max(each.source_offset, start)
                high = min(each.source_end, end)
                if low < high:
                    at = each.start + low - each.source_offset
                    read[low - start:high - start] = self.target.disk[
                        at:at + high - low]
            self.assert_same(read, self.file[start:end])

    def test_plain_clusters(self) -> None:
        self.prepare(self.inspected('d', 3), self.disk)
        found = self.find()
        self.assertGreater(len(found), 4)
        self.assert_true(found)

    def test_nothing_is_found_where_nothing_is(self) -> None:
        self.prepare(self.inspected('d', 3), bytes([recording.OLD])
                     * (12 * MIB))
        self.assertEqual(set(), self.find())

    def test_clusters_smaller_than_a_sector_of_the_disk(self) -> None:
        inspection = self.inspected('d', 4, 6 * MIB, cluster_bits=9)
        self.prepare(inspection, self.disk)
        self.target.sector_size = 4096
        self.assert_true(self.find())

    def test_all_kinds_of_clusters(self) -> None:
        for seed in range(6):
            with self.subTest(seed=seed):
                inspection = self.inspected('d' * 60 + 'zZ.', seed)
                disk = bytearray(self.disk)
                # Some of it is gone.
                for at in random.Random(seed).sample(range(12 * MIB), 3):
                    disk[at] ^= 1
                self.prepare(inspection, disk)
                self.assert_true(self.find())

    def test_compressed_clusters(self) -> None:
        inspection = self.inspected('c', 5)
        self.prepare(inspection, self.disk)
        self.assertEqual(set(), self.find())
        self.assertEqual([], self.target.log)


class Fragments:
    """An image whose map is what a hostile one might be."""

    def __init__(self, *extents: extent.Extent) -> None:
        self.extents = extents

    def by_source(self):
        return iter(self.extents)


class HostileMapTest(base.EngineTestCase):

    def looks(self, *extents: extent.Extent) -> list[reuse.ChunkLook]:
        content = transfers.noise(8 * MIB)
        return list(reuse.looks(
            Fragments(*extents), manifests.built(content),
            held_ends.HeldEnds(64 * MIB)))

    def data(self, start: int, offset: int, length: int) -> extent.Extent:
        return extent.Extent(start, length, extent.ExtentKind.DATA, offset,
                             length)

    def test_one_place_of_the_file_at_two_of_the_disk(self) -> None:
        with self.assertRaises(reuse._Overlapping):
            self.looks(self.data(2 * MIB, 0, 4 * MIB),
                       self.data(9 * MIB, MIB, MIB))

    def test_bytes_that_nobody_names(self) -> None:
        looks = self.looks(self.data(2 * MIB, 100, 4 * MIB - 101))
        self.assertEqual([1, 2], [look.index for look in looks])

    def test_held_bytes(self) -> None:
        looks = self.looks(self.data(MIB - 1, 0, MIB),
                           self.data(3 * MIB, MIB, MIB),
                           self.data(63 * MIB - 1, 2 * MIB, MIB))
        self.assertEqual([1], [look.index for look in looks])

    def test_the_end_of_the_file(self) -> None:
        looks = self.looks(self.data(2 * MIB, 7 * MIB, MIB + 1))
        self.assertEqual([7], [look.index for look in looks])


class ChunkLookTest(base.EngineTestCase):

    def test_zeroes_that_nobody_names(self) -> None:
        content = bytearray(transfers.noise(4 * MIB))
        content[MIB + 512 * KIB:2 * MIB] = bytes(512 * KIB)
        manifest = manifests.built(bytes(content))
        target = recording.RecordingTarget(32 * MIB)
        target.disk[5 * MIB:5 * MIB + 512 * KIB] = content[
            MIB:MIB + 512 * KIB]
        look, = reuse.looks(
            Fragments(extent.Extent(5 * MIB, 512 * KIB,
                                    extent.ExtentKind.DATA, MIB, 512 * KIB)),
            manifest, held_ends.HeldEnds(32 * MIB))
        memory = memoryview(bytearray([1]) * MIB)
        self.assertTrue(look.is_there(target, memory))
        target.disk[5 * MIB] ^= 1
        self.assertFalse(look.is_there(target, memory))
