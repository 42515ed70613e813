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
import struct
import typing

from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine import extent as _extent
from ironic_imagedeploy.engine import findings
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

COPIED = qcow2.COPIED
FLAG = 1 << 62


def opened(file: bytes | bytearray) -> _qcow2.Qcow2Image:
    """The reader of a file."""
    return _qcow2.Qcow2Image(memory.MemorySource(file))


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

    def test_granularity(self) -> None:
        for bits, extended_l2, granularity in (
                (9, False, 512), (16, False, 65536), (16, True, 2048),
                (14, True, 512), (21, True, 65536)):
            image = opened(qcow2.Builder(
                MIB, cluster_bits=bits, extended_l2=extended_l2).build())
            self.assertEqual((granularity, extended_l2),
                             (image.granularity, image.has_subclusters))

    def test_only_tables_are_read(self) -> None:
        builder = qcow2.fill(qcow2.Builder(6 * MIB, cluster_bits=12), 'dc.')
        source = memory.MemorySource(builder.build())
        _qcow2.Qcow2Image(source)
        self.assertLessEqual(sum(length for _, length in source.reads),
                             4096 * 6)

    def test_neighbouring_tables_are_read_at_once(self) -> None:
        builder = qcow2.Builder(4 * MIB, cluster_bits=9)
        for index in range(builder.clusters):
            builder.zero(index)
        builder.dice.shuffle = lambda items: None  # type: ignore
        source = memory.MemorySource(builder.build())
        image = _qcow2.Qcow2Image(source)
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


class TablesTestCase(base.EngineTestCase):
    """Has an image whose tables can be changed."""

    def use(self, builder: qcow2.Builder) -> None:
        """Give it clusters of data, and one that is compressed."""
        self.builder = builder
        for index in range(0, builder.clusters, 50):
            builder.data(index, bytes([index % 256]) * builder.cluster_size)
        builder.compressed(1, bytes(builder.cluster_size))
        self.file = builder.build()
        self.data = builder.places['data-0']

    def l1(self, number: int, entry: int) -> bytearray:
        """The file with another entry in the level 1 table."""
        changed = bytearray(self.file)
        struct.pack_into('>Q', changed,
                         self.builder.places['l1'] + number * 8, entry)
        return changed

    def l2(self, index: int, entry: int, bitmap: int | None = None
           ) -> bytearray:
        """The file with another entry for a cluster."""
        changed = bytearray(self.file)
        size = 16 if self.builder.extended_l2 else 8
        table = self.builder.places[f'l2-{index // self.builder.l2_entries}']
        at = table + index % self.builder.l2_entries * size
        struct.pack_into('>Q', changed, at, entry)
        if bitmap is not None:
            struct.pack_into('>Q', changed, at + 8, bitmap)
        return changed

    def assert_refused(self, code: str, file: bytes | bytearray) -> None:
        with self.assertRaises(exceptions.ImageRefused) as caught:
            opened(file)
        finding, = caught.exception.findings
        self.assertEqual((code, findings.Severity.ERROR),
                         (finding.code, finding.severity))
        self.assert_complete(finding)

    def assert_read(self, file: bytes | bytearray) -> None:
        self.assertEqual([], opened(file).findings)


class RefusalTest(TablesTestCase):
    """Tables that contradict themselves or the file."""

    def setUp(self) -> None:
        super().setUp()
        self.use(qcow2.Builder(MIB, cluster_bits=12, seed=5))

    def test_the_unchanged_file_is_read(self) -> None:
        self.assert_read(self.file)

    def test_a_level_1_table_outside_of_the_file(self) -> None:
        for offset in (len(self.file), 1 << 40, (1 << 64) - 4096):
            with self.subTest(offset=offset):
                self.assert_refused('truncated', qcow2.patched(
                    self.file, l1_table_offset=offset))

    def test_reserved_bits_of_level_1(self) -> None:
        good = COPIED | self.builder.places['l2-0']
        self.assert_read(self.l1(0, good))
        for bit in (*range(9), *range(56, 63)):
            with self.subTest(bit=bit):
                self.assert_refused('corrupt', self.l1(0, good | 1 << bit))

    def test_a_level_2_table_out_of_line(self) -> None:
        for step in (512, 1024, 2048):
            self.assert_refused('corrupt', self.l1(
                0, COPIED | self.builder.places['l2-0'] + step))

    def test_a_level_2_table_outside_of_the_file(self) -> None:
        end = len(self.file) + -len(self.file) % 4096
        for offset in (end, 1 << 40, (1 << 56) - 4096):
            with self.subTest(offset=offset):
                self.assert_refused('truncated',
                                    self.l1(0, COPIED | offset))

    def test_one_level_2_table_used_twice(self) -> None:
        builder = qcow2.Builder(4 * MIB, cluster_bits=12)
        builder.data(0, bytes(4096))
        builder.data(600, bytes(4096))
        self.use(builder)
        self.assert_refused('corrupt', self.l1(
            1, COPIED | self.builder.places['l2-0']))

    def test_a_header_as_level_2_table(self) -> None:
        """Offset 0 is nothing; a small cluster may lie in the header."""
        self.assert_read(self.l1(0, COPIED))
        self.use(qcow2.Builder(100 * 512, cluster_bits=9))
        self.assert_refused('corrupt', self.l1(0, COPIED | 1))

    def test_reserved_bits_of_level_2(self) -> None:
        self.assert_read(self.l2(0, COPIED | self.data))
        for bit in (*range(1, 9), *range(56, 62)):
            with self.subTest(bit=bit):
                self.assert_refused('corrupt', self.l2(
                    0, COPIED | self.data | 1 << bit))

    def test_data_out_of_line(self) -> None:
        for step in (512, 1024, 2048):
            self.assert_refused('corrupt', self.l2(
                0, COPIED | self.data + step))

    def test_data_outside_of_the_file(self) -> None:
        end = len(self.file) + -len(self.file) % 4096
        for offset in (end, 1 << 40, (1 << 56) - 4096):
            with self.subTest(offset=offset):
                self.assert_refused('truncated',
                                    self.l2(0, COPIED | offset))

    def test_data_that_the_end_of_the_file_cuts(self) -> None:
        builder = qcow2.Builder(MIB, cluster_bits=12)
        builder.data(builder.clusters - 1, b'x' * 4096)
        file = builder.build(last='data')
        self.assert_read(file)
        self.assert_refused('truncated', file[:-1])

    def test_data_in_a_table(self) -> None:
        self.use(qcow2.Builder(4 * MIB, cluster_bits=12))
        for name in ('l1', 'l2-0', 'l2-1', 'refcounts'):
            self.assert_refused('corrupt', self.l2(
                7, COPIED | self.builder.places[name]))

    def refcounts(self, *entries: int) -> bytearray:
        """The file with a table of refcount blocks."""
        changed = bytearray(self.file)
        struct.pack_into(f'>{len(entries)}Q', changed,
                         self.builder.places['refcounts'], *entries)
        return changed

    def test_data_in_a_refcount_block(self) -> None:
        self.assert_refused('corrupt', self.refcounts(self.data))

    def test_refcount_blocks_out_of_place(self) -> None:
        free = len(self.file)
        self.file += bytes(4096)
        self.assert_read(self.refcounts(0, free, 0))
        for entries in ((1,), (free + 512,), (free, free),
                        (self.builder.places['l1'],), (1 << 63 | free + 1,)):
            with self.subTest(entries=entries):
                self.assert_refused('corrupt', self.refcounts(*entries))
        for entry in (len(self.file), 1 << 40, 1 << 63 | free):
            with self.subTest(entry=entry):
                self.assert_refused('truncated', self.refcounts(entry))

    def test_tables_on_top_of_each_other(self) -> None:
        places = self.builder.places
        self.assert_refused('corrupt', qcow2.patched(
            self.file, refcount_table_offset=places['l1']))
        self.assert_refused('corrupt', self.l1(
            0, COPIED | places['refcounts']))

    def test_zero_flags_of_version_2(self) -> None:
        self.use(qcow2.Builder(MIB, cluster_bits=12, version=2))
        self.assert_read(self.l2(0, 0))
        self.assert_refused('corrupt', self.l2(0, 1))
        self.assert_refused('corrupt', self.l2(0, COPIED | self.data | 1))

    def test_a_zero_flag_of_version_3(self) -> None:
        for entry in (1, COPIED | self.data | 1, 1 << 40 | 1):
            extent = next(opened(self.l2(0, entry)).extents())
            self.assertEqual(Extent(0, 4096, ZERO), extent)

    def test_compressed_and_copied(self) -> None:
        entry = FLAG | self.builder.places['compressed-1']
        self.assert_read(self.l2(1, entry))
        self.assert_refused('corrupt', self.l2(1, COPIED | entry))

    def test_compressed_outside_of_the_file(self) -> None:
        self.assert_read(self.l2(1, FLAG | len(self.file) - 1))
        for offset in (len(self.file), len(self.file) + 1, 1 << 40):
            with self.subTest(offset=offset):
                self.assert_refused('truncated', self.l2(1, FLAG | offset))

    def test_compressed_in_a_table(self) -> None:
        for name in ('l1', 'l2-0'):
            for step in (0, 7, 4095):
                with self.subTest(name=name, step=step):
                    self.assert_refused('corrupt', self.l2(
                        1, FLAG | self.builder.places[name] + step))

    def test_compressed_in_the_header(self) -> None:
        for offset in (0, 1, 4095):
            self.assert_refused('corrupt', self.l2(1, FLAG | offset))

    def test_entries_after_the_end_of_the_disk_do_not_matter(self) -> None:
        self.use(qcow2.Builder(100 * 4096, cluster_bits=12))
        self.assert_read(self.l2(100, (1 << 64) - 1))

    def test_tables_after_the_end_of_the_disk_do_not_matter(self) -> None:
        changed = self.l1(1, (1 << 64) - 1)
        self.assert_read(qcow2.patched(changed, l1_size=2))


class SubclusterRefusalTest(TablesTestCase):
    """Extended level 2 entries that contradict themselves."""

    def setUp(self) -> None:
        super().setUp()
        self.use(qcow2.Builder(4 * MIB, cluster_bits=14, extended_l2=True))

    def test_reserved_bits(self) -> None:
        for bit in (*range(9), *range(56, 62)):
            with self.subTest(bit=bit):
                self.assert_refused('corrupt', self.l2(
                    0, COPIED | self.data | 1 << bit, 1))

    def test_data_outside_of_the_file(self) -> None:
        self.assert_refused('truncated', self.l2(0, COPIED | 1 << 40, 1))

    def test_a_zero_flag(self) -> None:
        for entry in (1, COPIED | self.data | 1):
            self.assert_refused('corrupt', self.l2(0, entry, 0))

    def test_a_subcluster_that_is_zero_and_allocated(self) -> None:
        for bit in (0, 17, 31):
            self.assert_refused('corrupt', self.l2(
                0, COPIED | self.data, 1 << bit | 1 << bit + 32))

    def test_subclusters_that_are_nowhere(self) -> None:
        self.assert_refused('corrupt', self.l2(0, COPIED, 1))
        self.assert_read(self.l2(0, 0, 1 << 32))

    def test_a_compressed_cluster_with_subclusters(self) -> None:
        entry = FLAG | self.builder.places['compressed-1']
        self.assert_read(self.l2(1, entry, 0))
        self.assert_refused('corrupt', self.l2(1, entry, 1))
        self.assert_refused('corrupt', self.l2(1, entry, 1 << 32))

    def test_a_cluster_out_of_line(self) -> None:
        """By as much as a subcluster, which alone would do."""
        for step in (512, 1024, 8192):
            with self.subTest(step=step):
                self.assert_refused('corrupt', self.l2(
                    0, COPIED | self.data + step, 1))

    def test_a_cluster_that_is_not_used_may_be_cut_off(self) -> None:
        builder = qcow2.Builder(16384, cluster_bits=14, extended_l2=True)
        builder.subclusters(0, b'x' * 16384, allocated=0b111, zeroes=0)
        file = builder.build(last='data')
        self.assert_read(file[:-16384 + 3 * 512])
        self.assert_refused('truncated', file[:-16384 + 3 * 512 - 1])
