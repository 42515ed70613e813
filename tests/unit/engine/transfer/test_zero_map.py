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

"""Zero maps that lie, and zeroes that another attempt counts on."""

import dataclasses
import random

from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine import manifest as _manifest
from tests.unit.engine import base
from tests.unit.engine import manifests
from tests.unit.engine import memory
from tests.unit.engine import qcow2_builder as qcow2
from tests.unit.engine import recording
from tests.unit.engine import transfers

KIB = base.KIB
MIB = base.MIB


class _InOrder(random.Random):
    """Dice that leave the clusters of a file in their sequence."""

    def shuffle(self, x: object) -> None:
        return


def small_clusters(size: int, seed: int) -> qcow2.Builder:
    """A qcow2 of small clusters, many of them zeroes.

    Those of the ends of the disk are the first ones of the file, and all
    others in any order.
    """
    builder = qcow2.Builder(size, cluster_bits=14, seed=seed)
    builder.dice = _InOrder(seed)
    end = 2 * MIB // builder.cluster_size
    middle = list(range(end, builder.clusters - end))
    dice = random.Random(seed)
    dice.shuffle(middle)
    for index in (*range(end), *range(builder.clusters - end,
                                      builder.clusters), *middle):
        content = dice.choice([bytes(16 * KIB), dice.randbytes(16 * KIB),
                               dice.randbytes(4 * KIB) + bytes(12 * KIB)])
        builder.data(index, content)
    return builder


class LyingTest(transfers.TransferTestCase):
    """One bit of the map of a file is another one."""

    def lies(self, file: bytes) -> list[_manifest.Manifest]:
        """Manifests that say zero of a block that is not, or contradict."""
        manifest = manifests.built(file)
        lies = []
        for bit in range(-(-len(file) // manifest.zero_block)):
            zero_map = bytearray(manifest.zero_map)
            zero_map[bit // 8] ^= 1 << bit % 8
            try:
                lies.append(dataclasses.replace(
                    manifest, zero_map=bytes(zero_map)))
            except exceptions.InvalidManifest:
                continue
        return lies

    def assert_seen(self, file: bytes, disk: bytes) -> None:
        """Each lie is refused, or changes nothing."""
        refused = 0
        for manifest in self.lies(file):
            target = recording.RecordingTarget(len(disk))
            try:
                source = engine.ChunkedSource(
                    manifest, memory.MemorySource(file))
                inspection = engine.inspect(source, engine.Expectation())
                engine.transfer(inspection, target)
            except exceptions.ChunkMismatch:
                refused += 1
                continue
            self.assert_same(disk, target.disk)
        self.assertGreater(refused, 0)

    def test_raw(self) -> None:
        content = bytearray(transfers.noise(5 * MIB))
        transfers.partition_table(content)
        for start in (MIB + 200 * KIB, 2 * MIB + 64 * KIB, 4 * MIB - 80 * KIB):
            content[start:start + 160 * KIB] = bytes(160 * KIB)
        self.assert_seen(bytes(content), bytes(content))

    def test_plain_clusters(self) -> None:
        builder = small_clusters(6 * MIB, seed=1)
        self.assert_seen(bytes(builder.build()), bytes(builder.disk))


class ContinuedTest(transfers.TransferTestCase):
    """A write that fails, and is continued by its journal."""

    def attempt(self, file: bytes, target: recording.RecordingTarget
                ) -> engine.Report:
        return engine.transfer(
            engine.inspect(engine.ChunkedSource(
                manifests.built(file), memory.MemorySource(file)),
                engine.Expectation()),
            target, journals=str(self.directory / 'journals'))

    def continued(self, seed: int, *, disturbed: bool) -> int:
        """Bytes that the second attempt reuses; the disk is right then."""
        builder = small_clusters(12 * MIB, seed)
        file, disk = bytes(builder.build()), bytes(builder.disk)
        target = recording.RecordingTarget(len(disk))

        def fault(action: recording.Action) -> None:
            if len(target.of_kind('write')) > 250 + 50 * seed:
                target.fail(action)
        target.fault = fault
        with self.assertRaises(exceptions.TargetError):
            self.attempt(file, target)
        target.fault = lambda action: None
        for start in range(2 * MIB, 10 * MIB, 16 * KIB):
            if disturbed and not any(disk[start:start + 16 * KIB]):
                target.disk[start:start + 16 * KIB] = b'x' * 16 * KIB
        report = self.attempt(file, target)
        self.assert_same(disk, target.disk)
        return report.reused

    def test_zeroes_in_small_clusters(self) -> None:
        self.assertGreater(sum(self.continued(seed, disturbed=False)
                               for seed in range(4)), 0)

    def test_somebody_wrote_where_they_are(self) -> None:
        for seed in range(4):
            self.continued(seed, disturbed=True)
