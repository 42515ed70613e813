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
import zlib

from ironic_imagedeploy.engine import exceptions
from tests.unit.engine import base
from tests.unit.engine.formats import vmdk_made

field = vmdk_made.field
patched = vmdk_made.patched
with_footer = vmdk_made.with_footer
KIB = base.KIB
MIB = base.MIB
SECTOR = 512
GRAIN = 64 * KIB
AT_END = (1 << 64) - 1
SPARSE = 'subformat=monolithicSparse'
STREAM = 'subformat=streamOptimized'


class ReadTest(vmdk_made.VmdkTestCase):

    def test_what_qemu_img_makes(self) -> None:
        for options in (SPARSE, STREAM, f'{SPARSE},zeroed_grain=on',
                        f'{SPARSE},adapter_type=lsilogic',
                        f'{SPARSE},compat6=on', f'{SPARSE},hwversion=14'):
            for size in (5 * MIB, GRAIN, GRAIN + 512, 40 * 512):
                with self.subTest(options=options, size=size):
                    disk = self.disk(size)
                    self.assert_same_disk(disk, self.convert(disk, options))

    def test_several_tables(self) -> None:
        disk = self.disk(34 * MIB)
        for options in (SPARSE, STREAM):
            self.assert_same_disk(disk, self.convert(disk, options))

    def test_the_last_word_in_a_footer(self) -> None:
        self.assert_same_disk(self.guest, with_footer(
            self.convert(self.guest, STREAM)))

    def test_grains_that_are_not_there_are_zero(self) -> None:
        guest = bytearray(self.guest)
        guest[3 * GRAIN:4 * GRAIN] = bytes(GRAIN)
        self.assert_same_disk(guest, self.entry(self.sparse, 3, 0))

    def test_a_zeroed_grain(self) -> None:
        guest = bytearray(self.guest)
        guest[3 * GRAIN:4 * GRAIN] = bytes(GRAIN)
        flags = field(self.sparse, 'flags')
        self.assert_same_disk(guest, patched(
            self.entry(self.sparse, 3, 1), flags=flags | 4))

    def test_a_stream_of_grains_that_is_written_by_hand(self) -> None:
        """Every grain of zeroes is stored, at every level."""
        file = self.convert(self.guest, STREAM)
        table = self.tables(file)[0]
        for level, index in enumerate((5, 6, 7, 8)):
            file += bytes(-len(file) % SECTOR)
            at = len(file) // SECTOR
            packed = zlib.compress(self.guest[index * GRAIN:][:GRAIN],
                                   level * 3)
            file += struct.pack('<QI', index * 128, len(packed)) + packed
            struct.pack_into('<I', file, table * SECTOR + index * 4, at)
        self.assert_same_disk(self.guest, file)


class HeaderTest(vmdk_made.VmdkTestCase):

    def test_fields_out_of_range(self) -> None:
        for name, values in (
                ('version', (0, 4, 0xffffffff)),
                ('capacity', (0, (1 << 36) + 1, AT_END)),
                ('grain_size', (0, 1, 4, 100, 8192, AT_END)),
                ('num_gtes_per_gt', (0, 511, 1024, 0xffffffff)),
                ('line_ends', (0, 0x0a0a0a0a)),
                ('flags', (1 << 16, 1 << 17, 3 << 16))):
            for value in values:
                with self.subTest(name=name, value=value):
                    self.assert_refused('corrupt', patched(
                        self.sparse, **{name: value}))

    def test_a_capacity_that_the_descriptor_does_not_state(self) -> None:
        for capacity in (5 * 2048 - 1, 5 * 2048 + 1):
            self.assert_refused('corrupt', patched(self.sparse,
                                                   capacity=capacity))

    def test_a_compression_that_is_none(self) -> None:
        file = self.convert(self.guest, STREAM)
        for compression in (0, 2, 0xffff):
            self.assert_refused('corrupt', patched(file,
                                                   compression=compression))

    def test_a_file_that_ends_in_the_header(self) -> None:
        self.assertEqual('refuse',
                         self.inspect(self.sparse[:511]).verdict)
        self.assert_refused('truncated', self.sparse[:1000])

    def test_a_descriptor_that_is_not_in_the_file(self) -> None:
        for fields in ({'descriptor_offset': 0}, {'descriptor_size': 0},
                       {'descriptor_size': 129},
                       {'descriptor_size': AT_END}):
            self.assert_refused('external-extent',
                                patched(self.sparse, **fields), 'DESCRIPTOR')
        self.assert_refused('corrupt', patched(
            self.sparse, descriptor_offset=1 << 40))

    def test_a_part_of_an_image_in_several_files(self) -> None:
        path = self.directory / 'split.vmdk'
        base.run('qemu-img', 'create', '-q', '-f', 'vmdk', '-o',
                 'subformat=twoGbMaxExtentSparse', path, '4M')
        part = path.with_name('split-s001.vmdk').read_bytes()
        self.assert_refused('external-extent', part, 'a part of an image',
                            'qemu-img convert -O qcow2 DESCRIPTOR NEW')
        self.assert_refused('external-extent', path.read_bytes(),
                            'twoGbMaxExtentSparse', 'FILE NEW')

    def test_a_directory_outside_of_the_file(self) -> None:
        for offset in (len(self.sparse) // 512, 1 << 40, AT_END - 1):
            self.assert_refused('corrupt', patched(self.sparse,
                                                   gd_offset=offset))

    def test_data_that_begins_after_the_end_of_the_file(self) -> None:
        for offset in (len(self.sparse) // 512 + 1, 1 << 40):
            self.assert_refused('corrupt', patched(self.sparse,
                                                   overhead=offset))


class FooterTest(vmdk_made.VmdkTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.stream = with_footer(self.convert(self.guest, STREAM))

    def footer(self, **fields: int) -> bytearray:
        """The image with other values in its footer."""
        footer = patched(self.stream[-1024:-512], **fields)
        return self.stream[:-1024] + footer + self.stream[-512:]

    def test_no_footer(self) -> None:
        self.assert_refused('corrupt', self.stream[:-1536])
        self.assert_refused('corrupt', self.stream + bytes(512))
        self.assert_refused('truncated', self.stream[:1536])

    def test_a_footer_that_points_to_another(self) -> None:
        self.assert_refused('corrupt', self.footer(gd_offset=AT_END))

    def test_a_footer_without_its_markers(self) -> None:
        file = self.footer()
        for at, kind in ((-1536, 0), (-1536, 2), (-512, 3), (-512, 1)):
            changed = bytearray(file)
            struct.pack_into('<I', changed, len(changed) + at + 12, kind)
            with self.subTest(at=at, kind=kind):
                self.assert_refused('corrupt', changed, 'marker')

    def test_a_footer_counts_alone(self) -> None:
        self.assert_refused('corrupt', self.footer(capacity=7))
        self.assert_refused('corrupt', self.footer(grain_size=3))
        self.assert_refused('corrupt', self.footer(version=9))

    def test_a_footer_that_contradicts_the_header(self) -> None:
        """Who takes one and who takes the other would see two disks."""
        header = self.stream
        for fields in ({'capacity': field(header, 'capacity') - 1},
                       {'capacity': field(header, 'capacity') + 128},
                       {'grain_size': 64}, {'version': 1},
                       {'descriptor_offset':
                        field(header, 'descriptor_offset') + 1},
                       {'flags': field(header, 'flags') ^ 1}):
            with self.subTest(fields=fields):
                self.assert_refused('corrupt', self.footer(**fields),
                                    'in the footer')

    def test_a_footer_in_an_image_without(self) -> None:
        """What follows a header with a directory is not looked at."""
        file = self.convert(self.guest, STREAM)
        end = self.stream[-1536:]
        self.assert_same_disk(self.guest, file + end)


class GrainTest(vmdk_made.VmdkTestCase):

    def test_a_table_that_is_used_twice(self) -> None:
        file = self.convert(self.disk(34 * MIB), SPARSE)
        at = field(file, 'gd_offset') * SECTOR
        file[at + 4:at + 8] = file[at:at + 4]
        self.assert_refused('corrupt', file, 'second use')

    def test_a_table_outside_of_the_file(self) -> None:
        at = field(self.sparse, 'gd_offset') * SECTOR
        for sector in (len(self.sparse) // 512, 0xffffffff):
            changed = bytearray(self.sparse)
            struct.pack_into('<I', changed, at, sector)
            self.assert_refused('truncated', changed)

    def test_a_grain_outside_of_the_file(self) -> None:
        for file in (self.sparse, self.convert(self.guest, STREAM)):
            for sector in (-(-len(file) // 512), 0xffffffff):
                self.assert_refused('truncated',
                                    self.entry(file, 9, sector))

    def test_a_grain_over_a_table(self) -> None:
        for file in (self.sparse, self.convert(self.guest, STREAM)):
            header = [field(file, name) for name in (
                'descriptor_offset', 'gd_offset', 'rgd_offset')]
            for sector in (*header, header[0] + 1, *self.tables(file),
                           self.tables(file)[0] + 3):
                if sector:
                    with self.subTest(sector=sector):
                        self.assert_refused('corrupt', self.entry(
                            file, 7, sector), 'over a table')

    def test_a_redundant_directory_outside_of_the_file(self) -> None:
        self.assert_refused('corrupt', patched(
            self.sparse, rgd_offset=len(self.sparse)))

    def test_more_tables_than_any_disk_has(self) -> None:
        sectors = 1 << 36
        self.sparse = self.descriptor('RW 10240', f'RW {sectors}')
        self.assert_refused('too-fragmented', patched(
            self.sparse, capacity=sectors, grain_size=8))

    def test_packed_grains_that_are_damaged(self) -> None:
        file = self.convert(self.guest, STREAM)
        index, sector = self.last_grain(file)
        at = sector * SECTOR
        good, = struct.unpack_from('<I', file, at + 8)
        for name, change in (
                ('another sector', struct.pack('<QI', index * 128 + 1,
                                               good)),
                ('nothing', struct.pack('<QI', index * 128, 0)),
                ('too much', struct.pack('<QI', index * 128, 1 << 20)),
                ('too little', struct.pack('<QI', index * 128, 20)),
                ('no stream', struct.pack('<QI', index * 128, good)
                 + b'\xff' * 8)):
            changed = bytearray(file)
            changed[at:at + len(change)] = change
            with self.subTest(name=name):
                image = self.inspect(changed).accepted()
                extent = next(extent for extent in image.extents()
                              if extent.source_offset == at)
                stored = changed[at:extent.source_end]
                with self.assertRaises(
                        exceptions.ImageRefused) as caught:
                    image.decode(extent, stored)
                self.assertEqual('corrupt',
                                 caught.exception.findings[0].code)
                self.assertIn(str(at), str(caught.exception))

    def test_a_short_stream(self) -> None:
        file = self.convert(self.guest, STREAM)
        index, sector = self.last_grain(file)
        packed = zlib.compress(b'x' * 1000)
        change = struct.pack('<QI', index * 128, len(packed)) + packed
        file[sector * SECTOR:sector * SECTOR + len(change)] = change
        image = self.inspect(file).accepted()
        with self.assertRaises(exceptions.ImageRefused):
            image.read(index * GRAIN, 512)

    def test_damaged_ones_are_read_or_refused(self) -> None:
        self.guest = self.disk(MIB)
        self.sparse = self.convert(self.guest, SPARSE)
        for file in (self.sparse, self.convert(self.guest, STREAM),
                     with_footer(self.convert(self.guest, STREAM))):
            real = (field(file, 'gd_offset') if field(file, 'gd_offset')
                    != AT_END else field(file[-1024:], 'gd_offset'))
            table, = struct.unpack_from('<I', file, real * SECTOR)
            self.damage(file, [
                (0, 80), (512, 900), (real * SECTOR, real * SECTOR + 8),
                (table * SECTOR, table * SECTOR + 320),
                (len(file) - 1024, len(file) - 940)], 120)
