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
import typing

from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine import extent as _extent
from ironic_imagedeploy.engine.formats import qcow2 as _qcow2
from tests.unit.engine import base
from tests.unit.engine import memory
from tests.unit.engine import qcow2_builder as qcow2

KIB = base.KIB
MIB = base.MIB
CLUSTER = 64 * KIB
Extent = _extent.Extent
DATA = _extent.ExtentKind.DATA
COMPRESSED = _extent.ExtentKind.COMPRESSED
ZERO = _extent.ExtentKind.ZERO


def opened(file: bytes | bytearray) -> _qcow2.Qcow2Image:
    """The reader of a file."""
    image = _qcow2.Qcow2Image(memory.MemorySource(file))
    image.read_map()
    return image


class MapTest(base.EngineTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.dice = random.Random(2)

    def noise(self, length: int = CLUSTER) -> bytes:
        return self.dice.randbytes(length)

    def extents(self, builder: qcow2.Builder) -> list[Extent]:
        return list(opened(builder.build()).extents())

    def test_clusters_of_each_kind(self) -> None:
        builder = qcow2.Builder(6 * CLUSTER)
        builder.data(0, self.noise())
        builder.zero(1)
        builder.compressed(2, qcow2.text(self.dice, CLUSTER))
        builder.zero(3, allocated=True)
        builder.data(5, self.noise())
        extents = self.extents(builder)
        place = builder.places
        stored = extents[2].source_length
        self.assertEqual(
            [Extent(0, CLUSTER, DATA, place['data-0'], CLUSTER),
             Extent(CLUSTER, CLUSTER, ZERO),
             Extent(2 * CLUSTER, CLUSTER, COMPRESSED, place['compressed-2'],
                    stored),
             Extent(3 * CLUSTER, 2 * CLUSTER, ZERO),
             Extent(5 * CLUSTER, CLUSTER, DATA, place['data-5'], CLUSTER)],
            extents)
        self.assertEqual(0, extents[2].source_end % 512)

    def test_the_last_cluster_is_as_long_as_the_disk(self) -> None:
        for kind in ('data', 'compressed', 'zero', 'nothing'):
            builder = qcow2.Builder(2 * CLUSTER + 512)
            builder.data(0, self.noise())
            if kind == 'data':
                builder.data(2, self.noise())
            elif kind == 'compressed':
                builder.compressed(2, qcow2.text(self.dice, CLUSTER))
            elif kind == 'zero':
                builder.zero(2)
            last = self.extents(builder)[-1]
            with self.subTest(kind=kind):
                self.assertEqual(2 * CLUSTER + 512, last.end)

    def test_tables_that_are_not_there(self) -> None:
        builder = qcow2.Builder(MIB, cluster_bits=9)
        builder.data(0, self.noise(512))
        builder.data(2047, self.noise(512))
        self.assertEqual(
            [(0, 512, DATA), (512, MIB - 1024, ZERO),
             (MIB - 512, 512, DATA)],
            [extent[:3] for extent in self.extents(builder)])

    def test_subclusters(self) -> None:
        builder = qcow2.Builder(4 * CLUSTER, extended_l2=True)
        part = CLUSTER // 32
        builder.subclusters(0, self.noise(), allocated=0b0110, zeroes=0b1000)
        builder.subclusters(1, self.noise(), allocated=0, zeroes=1)
        builder.subclusters(2, self.noise(), allocated=1 << 31, zeroes=0)
        extents = self.extents(builder)
        first = builder.places['data-0'] + part
        last = builder.places['data-2'] + 31 * part
        self.assertEqual(
            [Extent(0, part, ZERO),
             Extent(part, 2 * part, DATA, first, 2 * part),
             Extent(3 * part, 2 * CLUSTER - 3 * part + 31 * part, ZERO),
             Extent(3 * CLUSTER - part, part, DATA, last, part),
             Extent(3 * CLUSTER, CLUSTER, ZERO)], extents)

    def test_has_subclusters(self) -> None:
        for bits, extended_l2 in ((9, False), (16, False), (16, True),
                                  (14, True), (21, True)):
            image = opened(qcow2.Builder(
                MIB, cluster_bits=bits, extended_l2=extended_l2).build())
            self.assertEqual(extended_l2, image.has_subclusters)

    def test_only_tables_are_read(self) -> None:
        builder = qcow2.fill(qcow2.Builder(6 * MIB, cluster_bits=12), 'dc.')
        source = memory.MemorySource(builder.build())
        _qcow2.Qcow2Image(source).read_map()
        self.assertLessEqual(sum(length for _, length in source.reads),
                             4096 * 6)

    def test_neighbouring_tables_are_read_at_once(self) -> None:
        builder = qcow2.Builder(4 * MIB, cluster_bits=9)
        for index in range(builder.clusters):
            builder.zero(index)
        builder.dice.shuffle = lambda items: None  # type: ignore
        source = memory.MemorySource(builder.build())
        image = _qcow2.Qcow2Image(source)
        image.read_map()
        self.assertEqual([Extent(0, 4 * MIB, ZERO)], list(image.extents()))
        # Header, its extensions, refcounts, level 1, all of level 2.
        self.assertEqual(5, len(source.reads))

    def test_a_huge_disk_of_nothing(self) -> None:
        file = qcow2.patched(
            qcow2.Builder(MIB, cluster_bits=21).build(last='l1'),
            size=1 << 50, l1_size=2048)
        file += bytes(2047 * 8)
        self.assertEqual([Extent(0, 1 << 50, ZERO)],
                         list(opened(file).extents()))

    def test_read_anywhere(self) -> None:
        for options in ({}, {'compression': 'zstd'}, {'extended_l2': True},
                        {'cluster_bits': 9}):
            builder = qcow2.Builder(MIB + 512, **options)
            qcow2.fill(builder, 'dczZ.' + 's' * ('extended_l2' in options))
            image = opened(builder.build())
            for _ in range(50):
                start = self.dice.randrange(MIB)
                length = self.dice.choice((1, 512, 5000, 200000))
                self.assertEqual(builder.disk[start:start + length],
                                 image.read(start, length))

    def test_more_parts_of_clusters_than_are_looked_at_together(self) -> None:
        for kinds in ('s', 'sd.', 'sc', 'ssssssssc'):
            builder = qcow2.Builder(12 * MIB + 512, cluster_bits=14,
                                    extended_l2=True)
            qcow2.fill(builder, kinds)
            image = opened(builder.build())
            end = 0
            for extent in image.extents():
                self.assertEqual(end, extent.start)
                end = extent.end
            self.assertEqual(12 * MIB + 512, end)
            self.assert_same(builder.disk, image.read(0, end))


class DecodeTest(base.EngineTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.builder = qcow2.Builder(CLUSTER + 512)
        for index in (0, 1):
            self.builder.compressed(index, qcow2.text(self.builder.dice,
                                                      CLUSTER))
        self.file = self.builder.build()

    def test_the_last_cluster_is_cut(self) -> None:
        image = opened(self.file)
        for extent in image.extents():
            stored = self.file[extent.source_offset:extent.source_end]
            self.assertEqual(
                self.builder.disk[extent.start:extent.end],
                image.decode(extent, stored))

    def test_what_was_read_is_decoded_once(self) -> None:
        image = opened(self.file)
        for start in (0, 100, 4096, 100):
            self.assertEqual(self.builder.disk[start:start + 10],
                             image.read(start, 10))
        source = typing.cast(memory.MemorySource, image.source)
        first = next(image.extents())
        place = (first.source_offset, first.source_length)
        self.assertEqual(1, source.reads.count(place))
        image.forget()
        image.read(0, 10)
        self.assertEqual(2, source.reads.count(place))

    def test_damage_is_told_with_its_place(self) -> None:
        image = opened(self.file)
        extent = next(image.extents())
        for stored in (b'', b'\xff' * 1000, qcow2.deflate(b'x' * 1000)):
            with self.assertRaises(exceptions.ImageRefused) as caught:
                image.decode(extent, stored)
            finding, = caught.exception.findings
            self.assertEqual('corrupt', finding.code)
            self.assertIn(str(extent.source_offset), finding.found)
            self.assert_complete(finding)
