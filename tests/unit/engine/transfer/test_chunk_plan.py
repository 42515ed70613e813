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

from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine import extent as _extent
from ironic_imagedeploy.engine.formats import base as formats
from ironic_imagedeploy.engine.transfer import buffers
from ironic_imagedeploy.engine.transfer import chunk_plan
from tests.unit.engine import base
from tests.unit.engine import manifests
from tests.unit.engine import memory
from tests.unit.engine import transfers

KIB = base.KIB
MIB = base.MIB
COMPRESSED = _extent.ExtentKind.COMPRESSED
DATA = _extent.ExtentKind.DATA
ZERO = _extent.ExtentKind.ZERO
OLD = 0xa5


class PlanTestCase(base.EngineTestCase):

    def plan(self, content: bytes, extents: list[tuple[int, int]], *,
             kind: _extent.ExtentKind = DATA, lanes: int = 4
             ) -> chunk_plan.ChunkPlan:
        """The plan for extents of the file, one after the other on the disk.

        :param extents: offset in the file, and length.
        """
        self.content = content
        self.image = formats.MappedImage(memory.MemorySource(content))
        self.image.format_name = 'made'
        for offset, length in extents:
            self.image.map.append(length, kind, offset, length)
        return chunk_plan.ChunkPlan(
            self.image, manifests.built(content), lanes=lanes)

    def expected(self) -> bytes:
        """The disk, one extent after the other."""
        return b''.join(
            self.content[extent.source_offset:extent.source_end]
            if extent.kind is DATA else bytes(extent.length)
            for extent in self.image.extents())

    def written(self, plan: chunk_plan.ChunkPlan, disk: bytearray
                ) -> bytearray:
        """The disk after the plan is carried out."""
        for zeroes in plan.zeroes():
            disk[zeroes.start:zeroes.end] = bytes(zeroes.length)
        before: set[int] = set()
        for run in plan.runs():
            self.assertEqual(sorted({*run.chunks}), run.chunks)
            if run.extents[0].kind is DATA:
                # No run begins before the next one, nor has its chunks.
                self.assertLess(max(run.chunks), run.next)
                self.assertTrue(before.isdisjoint(run.chunks))
                before |= {*run.chunks}
            for part in run.extents:
                self.assertLessEqual({*range(
                    part.source_offset // MIB, -(-part.source_end // MIB))},
                    {*run.chunks})
                disk[part.start:part.end] = self.content[
                    part.source_offset:part.source_end]
        return disk


class ChunkPlanTest(PlanTestCase):

    def test_every_byte_is_written_or_zeroed(self) -> None:
        """Whatever is zero, and wherever extents and runs begin and end."""
        dice = random.Random(7)
        for _ in range(25):
            size = dice.randrange(1, 9 * MIB)
            content = bytearray(size)
            for _ in range(dice.randrange(60)):
                start = dice.randrange(size)
                part = dice.randbytes(dice.choice((1, 5000, 70000, 600000)))
                content[start:start + len(part)] = part[:size - start]
            ends = sorted({0, size, *(
                dice.randrange(size) for _ in range(dice.randrange(40)))})
            extents = [(low, high - low) for low, high in zip(
                ends, ends[1:], strict=False)]
            dice.shuffle(extents)
            with self.subTest(size=size):
                plan = self.plan(bytes(content), extents)
                self.assert_same(self.expected(), self.written(
                    plan, bytearray([OLD]) * size))
                self.assertEqual(size, plan.data_size + plan.zero_size)
                self.assertEqual(plan.zero_size, sum(
                    zeroes.length for zeroes in plan.zeroes()))

    def test_zeroes_that_only_the_map_tells_of(self) -> None:
        """Without another byte of their chunk nobody would see a lie."""
        content = bytearray(3 * MIB)
        content[MIB:MIB + 300 * KIB] = transfers.noise(300 * KIB)
        for extent in ((MIB + 400 * KIB, 200 * KIB),
                       (MIB + 400 * KIB, 2 * MIB - 400 * KIB),
                       (0, MIB + 100), (MIB // 2, MIB)):
            plan = self.plan(bytes(content), [extent])
            self.assertEqual([1], [chunk for run in plan.runs()
                                   for chunk in run.chunks])
            self.assert_same(self.expected(), self.written(
                self.plan(bytes(content), [extent]),
                bytearray([OLD]) * extent[1]))

    def test_what_is_there_is_left_out(self) -> None:
        dice = random.Random(8)
        content = dice.randbytes(20 * MIB)
        plan = self.plan(content, [(0, len(content))])
        self.assertEqual((20 * MIB, 20 * MIB, 0), (
            plan.stored_size, plan.data_size, plan.reused))
        plan.skip({3, 4, 9, 19, 0})
        self.assertEqual((17 * MIB, 17 * MIB), (plan.stored_size,
                                                plan.data_size))
        disk = bytearray([OLD]) * len(content)
        for index in (3, 4, 9):
            disk[index * MIB:(index + 1) * MIB] = content[
                index * MIB:(index + 1) * MIB]
        self.assert_same(content, self.written(plan, disk))
        self.assertEqual(3 * MIB, plan.reused)
        self.assertEqual({0, 18, 19}, plan.ends)
        chunks = [index for run in plan.runs() for index in run.chunks]
        self.assertEqual([index for index in range(20)
                          if index not in (3, 4, 9)], chunks)

    def test_more_is_left_out_than_there_was_for_the_disk(self) -> None:
        content = random.Random(8).randbytes(8 * MIB)
        plan = self.plan(content, [(0, MIB), (3 * MIB, 100),
                                   (6 * MIB, 2 * MIB)])
        plan.skip({2, 3, 4, 5})
        self.assertEqual((4 * MIB, 0), (plan.stored_size, plan.data_size))
        plan.skip({2, 3, 4, 5, 1})
        self.assertEqual(0, plan.stored_size)

    def test_what_is_on_the_disk_already(self) -> None:
        content = random.Random(8).randbytes(6 * MIB)
        asked: list[tuple[int, int]] = []

        def on_disk(start: int, end: int) -> bool:
            asked.append((start, end))
            return 2 * MIB <= start < end <= 4 * MIB

        plan = self.plan(content, [(700, 6 * MIB - 700)])
        plan.skip(set(), on_disk)
        kept = [(part.source_offset, part.source_end, part.start)
                for run in plan.runs() for part in run.extents]
        # Cut where chunks end; the disk is 700 bytes before the file.
        ends = [700, *(index * MIB for index in range(1, 7))]
        parts = list(zip(ends, ends[1:], strict=False))
        self.assertEqual([(low - 700, high - 700) for low, high in parts],
                         asked)
        self.assertEqual([(low, high, low - 700) for low, high in parts
                          if low != 3 * MIB], kept)
        self.assertEqual(MIB, plan.reused)

    def test_clusters_that_are_on_the_disk_already(self) -> None:
        clusters = [(index * 300 * KIB, 300 * KIB) for index in range(30)]
        plan = self.plan(random.Random(8).randbytes(9 * MIB), clusters,
                         kind=COMPRESSED)
        plan.skip({4}, lambda start, end: start == 17 * 300 * KIB
                  and end == 18 * 300 * KIB)
        kept = {part.start // (300 * KIB) for run in plan.runs()
                for part in run.extents}
        self.assertEqual({index for index in range(30) if index != 17
                          and index * 300 // 1024 != 4}, kept)
        self.assertEqual((30 - len(kept)) * 300 * KIB, plan.reused)

    def test_chunks_of_the_ends(self) -> None:
        content = random.Random(8).randbytes(9 * MIB)
        for kind, ends in ((DATA, {0, 7, 8}), (COMPRESSED, {0, 7})):
            plan = self.plan(content, [(0, 2 * MIB), (2 * MIB, 4 * MIB),
                                       (7 * MIB, 2 * MIB)], kind=kind)
            self.assertEqual(ends, plan.ends)

    def test_a_run_is_not_too_long(self) -> None:
        content = b'1' * (12 * MIB)
        with mock.patch.multiple(chunk_plan, MOST=3 * MIB, LEAST=2 * MIB):
            for lanes, lengths in ((1, [3, 3, 3, 2, 1]),
                                   (2, [3, 2, 2, 2, 2, 1])):
                self.assertEqual(lengths, [
                    len(run.chunks) for run in self.plan(
                        content, [(0, 12 * MIB)], lanes=lanes).runs()])
            plan = self.plan(content, [(5 * MIB + 9, 100), (11 * MIB, 5)],
                             lanes=1)
            self.assertEqual(
                [([5], 8), ([11], 13)],
                [(run.chunks, run.next) for run in plan.runs()])

    def test_runs_get_shorter_towards_the_end(self) -> None:
        plan = self.plan(b'1' * (80 * MIB), [(0, 80 * MIB)], lanes=2)
        lengths = [len(run.chunks) for run in plan.runs()]
        self.assertEqual(80, sum(lengths))
        self.assertEqual(lengths, sorted(lengths, reverse=True))
        self.assertEqual(20, lengths[0])
        self.assertLessEqual(lengths[-1], 4)

    def test_a_cluster_across_the_end_of_a_run(self) -> None:
        """It belongs to the run that it begins in."""
        plan = self.plan(b'1' * (16 * MIB), [
            (0, 100), (4 * MIB - 100, 200), (4 * MIB + 100, 100)],
            kind=COMPRESSED)
        first, second = plan.runs()
        self.assertEqual(([0, 3, 4], 4), (first.chunks, first.next))
        self.assertEqual([4], second.chunks)
        self.assertEqual((set(), {4}), (first.shared, second.shared))
        self.assertEqual([False, True, True], [
            first.is_shared(3), first.is_shared(4), second.is_shared(4)])

    def test_too_many_clusters_in_one_place(self) -> None:
        plan = self.plan(b'1' * (8 * MIB), [(MIB, 512)] * 20000)
        with self.assertRaises(exceptions.ImageRefused) as caught:
            list(plan.runs())
        self.assertEqual('corrupt', caught.exception.findings[0].code)

    def test_many_clusters_make_a_short_run(self) -> None:
        for length in (512, 500):
            extents = [(index * length, length) for index in range(20000)]
            random.Random(1).shuffle(extents)
            plan = self.plan(random.Random(2).randbytes(10 * MIB), extents)
            self.assert_same(self.expected(), self.written(
                plan, bytearray([OLD]) * (20000 * length)))
            self.assertLessEqual(
                max(len(run.extents) for run in plan.runs()), 16384)

    def test_chunks_in_flight_are_bounded(self) -> None:
        plan = self.plan(b'1' * MIB, [(0, MIB)])
        held = [plan.pool.take(0) for _ in range(8)]
        self.assertLessEqual(
            sum(len(chunk.memory) for chunk in held), 32 * MIB)
        plan.stop()
        for _ in range(2):
            self.assertRaises(buffers.Stopped, plan.pool.take, 0)
