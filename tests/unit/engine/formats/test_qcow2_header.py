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
from unittest import mock

from ironic_imagedeploy.engine.codecs import libraries
from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine import findings
from ironic_imagedeploy.engine.formats import qcow2_header
from ironic_imagedeploy.engine.formats import raw
from tests.unit.engine import base
from tests.unit.engine import memory
from tests.unit.engine import qcow2_builder as qcow2

MIB = base.MIB


class HeaderTestCase(base.EngineTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.builder = qcow2.fill(qcow2.Builder(3 * MIB))
        self.file = self.builder.build()
        self.findings: list[findings.Finding] = []

    def read(self, file: bytes | bytearray) -> qcow2_header.Header:
        # Any image does: it gives the source and takes the warnings.
        image = raw.RawImage(memory.MemorySource(file))
        image.findings = self.findings
        return qcow2_header.read(image)

    def patched(self, **fields: int) -> bytearray:
        return qcow2.patched(self.file, **fields)

    def extended(self, length: int) -> bytearray:
        """The file with an extension of that length in its header."""
        file = self.patched(header_length=112)
        struct.pack_into('>II', file, 112, 0x12345678, length)
        return file

    def assert_refused(self, code: str, file: bytes | bytearray
                       ) -> findings.Finding:
        with self.assertRaises(exceptions.ImageRefused) as caught:
            self.read(file)
        finding, = caught.exception.findings
        self.assertEqual(code, finding.code)
        self.assert_complete(finding)
        self.assertTrue(finding.message)
        return finding


class FieldsTest(HeaderTestCase):

    def test_version_3(self) -> None:
        header = self.read(self.file)
        self.assertEqual(
            (3, 0, 16, 3 * MIB, 0, 1, self.builder.places['l1'], 0, 0, 0),
            (header.version, header.backing_file_offset,
             header.cluster_bits, header.size, header.crypt_method,
             header.l1_size, header.l1_table_offset, header.nb_snapshots,
             header.incompatible_features, header.compression_type))
        self.assertEqual((65536, False, 8192, 1), (
            header.cluster_size, header.extended_l2, header.l2_entries,
            header.l1_entries_needed))
        self.assertEqual([], self.findings)

    def test_version_2_has_no_features(self) -> None:
        builder = qcow2.Builder(MIB, version=2)
        builder.data(0, b'x' * 65536)
        header = self.read(qcow2.patched(
            builder.build(), incompatible_features=0xff,
            header_length=0xffffffff, compression_type=0xff))
        self.assertEqual((2, 72, 0, 0), (
            header.version, header.header_length,
            header.incompatible_features, header.compression_type))

    def test_zstd(self) -> None:
        builder = qcow2.Builder(MIB, compression='zstd')
        self.assertEqual(1, self.read(builder.build()).compression_type)

    def test_subclusters_halve_the_entries_of_a_table(self) -> None:
        builder = qcow2.Builder(MIB, extended_l2=True)
        header = self.read(builder.build())
        self.assertTrue(header.extended_l2)
        self.assertEqual(4096, header.l2_entries)

    def test_tables_that_a_size_needs(self) -> None:
        for size, needed in ((1, 1), (512 * MIB, 1), (512 * MIB + 1, 2),
                             (1 << 40, 2048)):
            with self.subTest(size=size):
                header = self.read(self.patched(size=size, l1_size=2048))
                self.assertEqual(needed, header.l1_entries_needed)

    def test_a_short_header_means_zlib(self) -> None:
        file = self.patched(header_length=104, compression_type=1)
        self.assertEqual(0, self.read(file).compression_type)

    def test_what_reading_does_not_need_is_not_judged(self) -> None:
        self.read(self.patched(compatible_features=(1 << 64) - 1,
                               autoclear_features=(1 << 64) - 1))

    def test_refcounts_may_be_missing(self) -> None:
        self.read(self.patched(refcount_table_offset=0,
                               refcount_table_clusters=0))

    def test_extensions(self) -> None:
        for length in (0, 1, 8, 300, 65536 - 112 - 16):
            with self.subTest(length=length):
                self.read(self.extended(length))

    def test_extensions_of_version_2_are_not_looked_at(self) -> None:
        builder = qcow2.Builder(MIB, version=2)
        file = builder.build()
        file[72:200] = b'\xff' * 128
        self.read(file)


class RefusalTest(HeaderTestCase):

    def test_a_file_that_ends_in_the_header(self) -> None:
        for length in (4, 71, 72, 103):
            with self.subTest(length=length):
                self.assert_refused('truncated', self.file[:length])

    def test_versions(self) -> None:
        for version in (0, 1, 4, 0xffffffff):
            finding = self.assert_refused(
                'format-unsupported', self.patched(version=version))
            self.assertIn(str(version), finding.found)

    def test_header_lengths(self) -> None:
        for length in (0, 72, 103, 105, 108, 0xffffffff):
            with self.subTest(length=length):
                self.assert_refused('corrupt',
                                    self.patched(header_length=length))

    def test_a_backing_file(self) -> None:
        for offset in (1, 112, 1 << 63):
            self.assert_refused('backing-file',
                                self.patched(backing_file_offset=offset))

    def test_a_data_file(self) -> None:
        self.assert_refused('data-file',
                            self.patched(incompatible_features=1 << 2))

    def test_unknown_features(self) -> None:
        for bit in range(5, 64):
            finding = self.assert_refused(
                'unknown-feature',
                self.patched(incompatible_features=1 << bit))
            self.assertIn(f'{1 << bit:#x}', finding.found)

    def test_encryption(self) -> None:
        for method, name in ((1, 'AES'), (2, 'LUKS'), (3, '3'),
                             (0xffffffff, '4294967295')):
            finding = self.assert_refused('encrypted',
                                          self.patched(crypt_method=method))
            self.assertIn(name, finding.found)

    def test_encryption_of_version_2(self) -> None:
        builder = qcow2.Builder(MIB, version=2)
        self.assert_refused('encrypted', qcow2.patched(
            builder.build(), crypt_method=1))

    def test_a_mark_of_corruption(self) -> None:
        self.assert_refused('corrupt',
                            self.patched(incompatible_features=1 << 1))

    def test_a_compression_that_contradicts_its_feature_bit(self) -> None:
        for features, compression in ((0, 1), (1 << 3, 0), (0, 255)):
            with self.subTest(features=features, compression=compression):
                self.assert_refused('corrupt', self.patched(
                    incompatible_features=features, header_length=112,
                    compression_type=compression))

    def test_an_unknown_compression(self) -> None:
        for compression in (2, 3, 255):
            finding = self.assert_refused('unknown-feature', self.patched(
                incompatible_features=1 << 3, header_length=112,
                compression_type=compression))
            self.assertIn(str(compression), finding.found)

    def test_zstd_on_a_machine_without(self) -> None:
        file = qcow2.Builder(MIB, compression='zstd').build()
        with mock.patch.object(libraries, 'zstd_available', autospec=True,
                               return_value=False):
            finding = self.assert_refused('format-unsupported', file)
        self.assertIn('pip install backports.zstd', finding.fix)

    def test_cluster_bits(self) -> None:
        for bits in (0, 8, 22, 64, 0xffffffff):
            finding = self.assert_refused('corrupt',
                                          self.patched(cluster_bits=bits))
            self.assertIn(str(bits), finding.found)

    def test_subclusters_of_less_than_a_sector(self) -> None:
        builder = qcow2.Builder(MIB, cluster_bits=12, extended_l2=True)
        self.assert_refused('corrupt', builder.build())

    def test_a_disk_of_nothing(self) -> None:
        self.assert_refused('corrupt', self.patched(size=0))

    def test_a_level_1_table_that_is_too_small(self) -> None:
        for size, entries in ((3 * MIB, 0), (512 * MIB + 1, 1),
                              (1 << 63, 1), ((1 << 64) - 1, 0xffffffff)):
            with self.subTest(size=size):
                self.assert_refused('corrupt', self.patched(
                    size=size, l1_size=entries))

    def test_a_level_1_table_that_is_too_large(self) -> None:
        """More than QEMU's own limit of 32 MiB."""
        reach = 512 * MIB
        entries = (32 << 20) // 8
        self.assert_refused('corrupt', self.patched(
            size=(entries + 1) * reach, l1_size=0xffffffff))

    def test_a_level_1_table_out_of_place(self) -> None:
        for offset in (0, 1, 512, 65535, 65536 * 3 + 8, (1 << 64) - 1):
            with self.subTest(offset=offset):
                self.assert_refused('corrupt', self.patched(
                    l1_table_offset=offset))

    def test_more_entries_than_any_disk_needs(self) -> None:
        for entries in ((32 << 20) // 8 + 1, 0x7fffffff, 0xffffffff):
            self.assert_refused('corrupt', self.patched(l1_size=entries))

    def test_tables_outside_of_the_file(self) -> None:
        for fields in ({'l1_size': 1 << 20}, {'l1_table_offset': 1 << 40},
                       {'refcount_table_offset': 1 << 40},
                       {'refcount_table_clusters': 128},
                       {'nb_snapshots': 1, 'snapshots_offset': 1 << 40}):
            with self.subTest(**fields):
                self.assert_refused('truncated', self.patched(**fields))

    def test_refcounts_that_cannot_be(self) -> None:
        for fields in ({'refcount_order': 7}, {'refcount_order': 1 << 31},
                       {'refcount_table_offset': 0},
                       {'refcount_table_offset': 65537},
                       {'refcount_table_clusters': 129},
                       {'refcount_table_clusters': 0xffffffff}):
            with self.subTest(**fields):
                self.assert_refused('corrupt', self.patched(**fields))

    def test_snapshots_that_cannot_be(self) -> None:
        for fields in ({'nb_snapshots': 65537},
                       {'nb_snapshots': 1, 'snapshots_offset': 1}):
            with self.subTest(**fields):
                self.assert_refused('corrupt', self.patched(**fields))

    def test_a_header_of_more_than_a_cluster(self) -> None:
        self.assert_refused('corrupt', self.patched(header_length=1 << 20))

    def test_extensions_that_leave_the_first_cluster(self) -> None:
        for length in (65536 - 112, 65536, 0xffffffff):
            with self.subTest(length=length):
                self.assert_refused('corrupt', self.extended(length))


class WarningTest(HeaderTestCase):

    def assert_warned(self, code: str, file: bytes | bytearray) -> None:
        self.read(file)
        finding, = self.findings
        self.assertEqual((code, findings.Severity.WARNING),
                         (finding.code, finding.severity))
        self.assert_complete(finding)

    def test_snapshots(self) -> None:
        self.assert_warned('internal-snapshot',
                           self.patched(nb_snapshots=3))

    def test_an_image_that_was_not_closed(self) -> None:
        self.assert_warned('dirty', self.patched(incompatible_features=1))
