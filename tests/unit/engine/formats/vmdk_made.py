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

import re
import struct

from tests.unit.engine.formats import qemu_made

SECTOR = 512
AT_END = (1 << 64) - 1
#: Fields of the header.
FIELDS = {'version': ('<I', 4), 'flags': ('<I', 8), 'capacity': ('<Q', 12),
          'grain_size': ('<Q', 20), 'descriptor_offset': ('<Q', 28),
          'descriptor_size': ('<Q', 36), 'num_gtes_per_gt': ('<I', 44),
          'rgd_offset': ('<Q', 48), 'gd_offset': ('<Q', 56),
          'overhead': ('<Q', 64),
          'line_ends': ('<I', 73), 'compression': ('<H', 77)}
SPARSE = 'subformat=monolithicSparse'


def patched(file: bytearray, **fields: int) -> bytearray:
    """The image with other values in its header."""
    changed = bytearray(file)
    for name, value in fields.items():
        form, offset = FIELDS[name]
        struct.pack_into(form, changed, offset, value)
    return changed


def field(file: bytearray, name: str) -> int:
    """A value of the header."""
    form, offset = FIELDS[name]
    value: int = struct.unpack_from(form, file, offset)[0]
    return value


def with_footer(file: bytearray) -> bytearray:
    """The image as VMware's tools write it, with its last word at the end."""
    header = bytes(file[:SECTOR])
    marker = struct.pack('<QII', 1, 0, 3).ljust(SECTOR, b'\0')
    changed = patched(file, gd_offset=AT_END)
    changed += bytes(-len(changed) % SECTOR)
    return changed + marker + header + bytes(SECTOR)


class VmdkTestCase(qemu_made.QemuMadeTestCase):

    form = 'vmdk'

    def setUp(self) -> None:
        super().setUp()
        self.guest = self.disk()
        self.sparse = self.convert(self.guest, SPARSE)

    def tables(self, file: bytearray) -> list[int]:
        """Where its grain tables are, in sectors."""
        at = field(file, 'gd_offset') * SECTOR
        reach = field(file, 'grain_size') * 512
        count = -(-field(file, 'capacity') // reach)
        return list(struct.unpack_from(f'<{count}I', file, at))

    def entry(self, file: bytearray, index: int, value: int) -> bytearray:
        """The image with another entry in its first grain table."""
        changed = bytearray(file)
        struct.pack_into('<I', changed,
                         self.tables(file)[0] * SECTOR + index * 4, value)
        return changed

    def last_grain(self, file: bytearray) -> tuple[int, int]:
        """Which is the last one of the disk, and its sector in the file.

        Nothing looks at it before it is written.
        """
        grains = struct.unpack_from('<80I', file,
                                    self.tables(file)[0] * SECTOR)
        return max((index, sector) for index, sector in enumerate(grains)
                   if sector)

    def descriptor(self, pattern: str, text: str, count: int = 1
                   ) -> bytearray:
        """The sparse image with a change in its descriptor."""
        start = field(self.sparse, 'descriptor_offset') * SECTOR
        size = field(self.sparse, 'descriptor_size') * SECTOR
        old = bytes(self.sparse[start:start + size]).rstrip(b'\0')
        new, changes = re.subn(pattern.encode(), text.encode('latin-1'), old,
                               count=count, flags=re.MULTILINE)
        self.assertTrue(changes, pattern)
        changed = bytearray(self.sparse)
        changed[start:start + size] = new.ljust(size, b'\0')
        return changed
