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

"""The fast copier against the slow one, and both against QEMU.

The images are made by hand, with what qemu-img itself never writes; what
their guests see is known from the making.
"""

import random
from unittest import mock

from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.transfer import chunk_plan
from tests.unit.engine import base
from tests.unit.engine import manifests
from tests.unit.engine import memory
from tests.unit.engine import qcow2_builder as qcow2
from tests.unit.engine import recording
from tests.unit.engine import reference

KIB = base.KIB
MIB = base.MIB
#: Sizes of small disks for small clusters, whose tables would be many.
_SIZES = {9: 300 * KIB, 10: 600 * KIB, 11: 900 * KIB, 12: 2 * MIB}


class OracleTest(base.EngineTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.journals = str(self.directory / 'journals')

    def assert_all_agree(self, builder: qcow2.Builder,
                         last: str | None = None) -> None:
        """Ours, the slow one and QEMU give what the guest sees."""
        file = builder.build(last=last)
        dice = builder.dice
        source = memory.MemorySource(
            file, step=dice.choice((1 << 30, 100003, 4096 * 7)))
        inspection = engine.inspect(source, engine.Expectation(
            disk_format='qcow2'))
        self.assert_same(builder.disk,
                         reference.copy(inspection.accepted(), source))
        target = recording.RecordingTarget(
            builder.size + dice.choice((0, 512, MIB, 3 * MIB)))
        engine.transfer(inspection, target, workers=dice.randint(1, 4))
        self.assert_same(builder.disk, target.disk[:builder.size])
        engine.compare(inspection, target)
        self.assert_same(builder.disk, self.qemu(file))
        self.assert_chunks_agree(builder, bytes(file))

    def assert_chunks_agree(self, builder: qcow2.Builder, file: bytes
                            ) -> None:
        """So does ours by chunks, also when it goes on where it failed."""
        dice = builder.dice
        source = engine.ChunkedSource(manifests.built(file),
                                      memory.MemorySource(file))
        inspection = engine.inspect(source, engine.Expectation(
            disk_format='qcow2'))
        target = recording.RecordingTarget(builder.size)
        broken = recording.RecordingTarget(builder.size)
        written: list[int] = []
        with mock.patch.multiple(chunk_plan, LEAST=MIB,
                                 MOST=dice.choice((1, 2, 64)) * MIB):
            report = engine.transfer(inspection, target,
                                     workers=dice.randint(1, 4))
            broken.fail_nth(dice.randrange(len(target.log)), then_works=False)
            engine.compare(inspection, target)
            with self.assertRaises(exceptions.TargetError):
                engine.transfer(inspection, broken, written=written.append,
                                journals=self.journals)
            broken.fault = lambda action: None
            engine.transfer(inspection, broken, journals=self.journals)
        self.assertEqual('chunks', report.verified_by)
        self.assert_same(builder.disk, target.disk)
        self.assert_same(builder.disk, broken.disk)
        self.assertEqual(len(written), len(set(written)))

    def qemu(self, file: bytes | bytearray) -> bytes:
        """The raw image that qemu-img converts it to."""
        path = self.save('odd.qcow2', file)
        raw = self.directory / 'raw'
        base.run('qemu-img', 'convert', '-f', 'qcow2', '-O', 'raw', path,
                 raw)
        return raw.read_bytes()

    def test_version_2(self) -> None:
        for seed in range(8):
            with self.subTest(seed=seed):
                self.assert_all_agree(random_image(seed, version=2))

    def test_version_3(self) -> None:
        for seed in range(12):
            with self.subTest(seed=seed):
                self.assert_all_agree(random_image(seed))

    def test_zstd(self) -> None:
        for seed in range(12):
            with self.subTest(seed=seed):
                self.assert_all_agree(random_image(seed, compression='zstd'))

    def test_subclusters(self) -> None:
        for seed in range(12):
            with self.subTest(seed=seed):
                self.assert_all_agree(random_image(
                    seed, extended_l2=True,
                    compression=('zlib', 'zstd')[seed % 2]))

    def test_every_cluster_size(self) -> None:
        for bits in range(9, 22):
            with self.subTest(bits=bits):
                self.assert_all_agree(random_image(bits, cluster_bits=bits))

    def test_only_compressed_clusters(self) -> None:
        """They share sectors and lie across the ends of chunks."""
        for seed in range(6):
            builder = qcow2.Builder(
                6 * MIB, compression=('zlib', 'zstd')[seed % 2], seed=seed,
                cluster_bits=(12, 16, 18)[seed % 3])
            file = qcow2.fill(builder, 'c').build()
            self.assertGreater(len(file), 2 * MIB)
            self.assert_all_agree(builder)

    def test_tables_at_the_end(self) -> None:
        for seed in range(6):
            with self.subTest(seed=seed):
                self.assert_all_agree(random_image(seed), 'l1')

    def test_a_file_that_ends_with_a_compressed_cluster(self) -> None:
        """Inside of a sector, and with it."""
        for seed in range(4):
            for last in ('compressed', 'sector'):
                for compression in ('zlib', 'zstd'):
                    with self.subTest(seed=seed, last=last):
                        builder = random_image(seed, compression=compression)
                        while not builder.compressed(0, qcow2.text(
                                builder.dice, builder.cluster_size)):
                            pass
                        self.assert_all_agree(builder, last)

    def test_a_file_that_ends_with_a_part_of_the_last_cluster(self) -> None:
        for seed in range(8):
            with self.subTest(seed=seed):
                builder = random_image(seed)
                builder.data(builder.clusters - 1,
                             builder.dice.randbytes(builder.cluster_size))
                self.assert_all_agree(builder, 'data')

    def test_a_compressed_cluster_at_the_end_of_the_disk(self) -> None:
        for seed in range(6):
            builder = qcow2.Builder(MIB + 512 * (seed + 1), seed=seed)
            for index in (0, builder.clusters - 1):
                builder.compressed(index, qcow2.text(
                    builder.dice, builder.cluster_size))
            self.assert_all_agree(builder)

    def test_the_smallest_disk(self) -> None:
        builder = qcow2.Builder(512)
        builder.data(0, bytes(range(256)) * 256)
        self.assert_all_agree(builder)

    def test_an_empty_disk(self) -> None:
        for extended_l2 in (False, True):
            self.assert_all_agree(qcow2.Builder(
                3 * MIB, extended_l2=extended_l2))


class RawTest(base.EngineTestCase):

    def test_any_size(self) -> None:
        dice = random.Random(4)
        for _ in range(20):
            content = bytes(16) + dice.randbytes(
                dice.randrange(496, 5 * MIB))
            source = memory.MemorySource(content,
                                         step=dice.randrange(5000, MIB))
            inspection = engine.inspect(source, engine.Expectation(
                disk_format='raw'))
            self.assert_same(content, reference.copy(
                inspection.accepted(), source))
            target = recording.RecordingTarget(len(content) + 4096)
            engine.transfer(inspection, target, read_back='full')
            self.assert_same(content, target.disk[:len(content)])


def random_image(seed: int, *, cluster_bits: int | None = None,
                 version: int = 3, extended_l2: bool = False,
                 compression: str = 'zlib') -> qcow2.Builder:
    """A disk of random size with clusters of all kinds."""
    dice = random.Random(seed)
    if cluster_bits is None:
        cluster_bits = dice.choice(
            (14, 16, 16, 18, 21) if extended_l2 else
            (9, 10, 12, 14, 16, 16, 18, 21))
    cluster = 1 << cluster_bits
    most = max(_SIZES.get(cluster_bits, 4 * MIB), 3 * cluster)
    size = dice.randrange(cluster, most) // 512 * 512
    builder = qcow2.Builder(
        size, cluster_bits=cluster_bits, version=version, seed=seed,
        extended_l2=extended_l2, compression=compression)
    kinds = {2: 'ddcc..'}.get(version, 'dcczZ.')
    return qcow2.fill(builder, kinds + 'sss' * extended_l2)
