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

from tests.unit.engine import base
from tests.unit.engine.formats import qemu_made

MIB = base.MIB
#: Fields of the header.
FIELDS = {'version': ('<I', 68), 'image_type': ('<I', 76),
          'map_at': ('<I', 340), 'data_at': ('<I', 344),
          'sector_size': ('<I', 360), 'size': ('<Q', 368),
          'block_size': ('<I', 376), 'block_extra': ('<I', 380),
          'blocks': ('<I', 384), 'allocated': ('<I', 388)}
LINK, PARENT = 424, 440
UNALLOCATED, DISCARDED = 0xffffffff, 0xfffffffe


def patched(file: bytearray, **fields: int) -> bytearray:
    """The image with other values in its header."""
    changed = bytearray(file)
    for name, value in fields.items():
        form, offset = FIELDS[name]
        struct.pack_into(form, changed, offset, value)
    return changed


class VdiImageTest(qemu_made.QemuMadeTestCase):

    form = 'vdi'

    def setUp(self) -> None:
        super().setUp()
        self.guest = self.disk()
        self.file = self.convert(self.guest)
        self.map_at, self.data_at = struct.unpack_from('<II', self.file, 340)

    def block(self, index: int, value: int) -> bytearray:
        """The image with another entry in its map."""
        changed = bytearray(self.file)
        struct.pack_into('<I', changed, self.map_at + index * 4, value)
        return changed

    def test_what_qemu_img_makes(self) -> None:
        for options in ('', 'static=on'):
            for size in (MIB, 3 * MIB, 5 * MIB + 512, 40 * 512):
                with self.subTest(options=options, size=size):
                    disk = self.disk(size)
                    self.assert_same_disk(disk, self.convert(disk, options))

    def test_blocks_in_any_order(self) -> None:
        entries = struct.unpack_from('<5I', self.file, self.map_at)
        shuffled = entries[::-1]
        changed = bytearray(self.file)
        struct.pack_into('<5I', changed, self.map_at, *shuffled)
        for new, old in zip(entries, shuffled, strict=True):
            changed[self.data_at + old * MIB:self.data_at + (old + 1) * MIB
                    ] = self.file[self.data_at + new * MIB:
                                  self.data_at + (new + 1) * MIB]
        self.assert_same_disk(self.guest, changed)

    def test_blocks_that_are_not_there_are_zero(self) -> None:
        for value in (UNALLOCATED, DISCARDED):
            guest = bytearray(self.guest)
            guest[2 * MIB:3 * MIB] = bytes(MIB)
            self.assert_same_disk(guest, self.block(2, value))

    def test_more_blocks_than_the_disk_needs(self) -> None:
        self.assert_same_disk(self.guest, patched(self.file, blocks=100))

    def test_an_image_that_needs_another(self) -> None:
        for kind in (3, 4):
            self.assert_refused('backing-file',
                                patched(self.file, image_type=kind))
        for at in (LINK, PARENT):
            changed = bytearray(self.file)
            changed[at] = 1
            self.assert_refused('backing-file', changed)

    def test_fields_out_of_range(self) -> None:
        for field, values in (
                ('version', (0, 0x10000, 0x20001)),
                ('sector_size', (0, 4096)),
                ('block_size', (0, 512, 1 << 21)), ('block_extra', (1, 512)),
                ('size', (0, 2, 4 * MIB + 100, 6 * MIB, 1 << 62,
                          (1 << 64) - 1)),
                ('blocks', (0, 4, 1 << 20, 0xffffffff)),
                ('map_at', (0, 8, 513)),
                ('data_at', (0, 513, 512)), ('allocated', (0, 4))):
            for value in values:
                with self.subTest(field=field, value=value):
                    self.assert_refused('corrupt', patched(
                        self.file, **{field: value}))

    def test_a_block_that_is_used_twice(self) -> None:
        first, = struct.unpack_from('<I', self.file, self.map_at)
        self.assert_refused('corrupt', self.block(3, first), str(first))

    def test_blocks_that_were_never_allocated(self) -> None:
        for value in (5, 1000, DISCARDED - 1):
            self.assert_refused('corrupt', self.block(3, value), str(value))

    def test_parts_outside_of_the_file(self) -> None:
        self.assert_refused('truncated', self.file[:-MIB])
        self.assert_refused('truncated', self.file[:self.map_at + 4])
        self.assert_refused('truncated', patched(
            self.file, map_at=1 << 30, data_at=1 << 31))

    def test_a_huge_count_costs_nothing(self) -> None:
        inspection = self.inspect(patched(self.file, allocated=0xffffffff))
        self.assertEqual('accept', inspection.verdict)

    def test_damaged_ones_are_read_or_refused(self) -> None:
        file = self.convert(self.disk(2 * MIB + 512))
        self.damage(file, [(64, 80), (340, 512),
                           (self.map_at, self.map_at + 12)], 200)
