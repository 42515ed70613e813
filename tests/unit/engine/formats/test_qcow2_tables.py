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

import struct

from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine import extent as _extent
from ironic_imagedeploy.engine import findings
from ironic_imagedeploy.engine.formats import qcow2 as _qcow2
from tests.unit.engine import base
from tests.unit.engine import memory
from tests.unit.engine import qcow2_builder as qcow2

MIB = base.MIB
Extent = _extent.Extent
ZERO = _extent.ExtentKind.ZERO

COPIED = qcow2.COPIED
FLAG = 1 << 62


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
            _qcow2.Qcow2Image(memory.MemorySource(file)).read_map()
        finding, = caught.exception.findings
        self.assertEqual((code, findings.Severity.ERROR),
                         (finding.code, finding.severity))
        self.assert_complete(finding)

    def assert_read(self, file: bytes | bytearray) -> None:
        image = _qcow2.Qcow2Image(memory.MemorySource(file))
        image.read_map()
        self.assertEqual([], image.findings)


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
            image = _qcow2.Qcow2Image(memory.MemorySource(
                self.l2(0, entry)))
            image.read_map()
            self.assertEqual(Extent(0, 4096, ZERO), next(image.extents()))

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
