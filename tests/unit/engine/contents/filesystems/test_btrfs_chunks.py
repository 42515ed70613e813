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
import unittest

from ironic_imagedeploy.engine import budget
from ironic_imagedeploy.engine.contents.filesystems import btrfs_chunks
from ironic_imagedeploy.engine import exceptions

MIB = 1 << 20
_RAID0, _RAID1, _DUP = 8, 16, 32


def item(length: int, *stripes: tuple[int, int], kind: int = 0) -> bytes:
    """An item of a chunk, with devices and places of its stripes."""
    return struct.pack('<QQQQIIIHH', length, 2, 65536, kind, 4096, 4096, 4096,
                       len(stripes), 0) + b''.join(
        struct.pack('<QQ16x', *stripe) for stripe in stripes)


class ChunksTest(unittest.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.chunks = btrfs_chunks.Chunks(1, budget.Budget().draw)

    def assert_outside(self, place: int) -> None:
        with self.assertRaises(exceptions.UnreadableContent):
            self.chunks.place(place)

    def test_places(self) -> None:
        for start, stored in ((8 * MIB, item(4 * MIB, (1, 64 * MIB))),
                              (MIB, item(MIB, (1, 5 * MIB), (1, 9 * MIB),
                                         kind=_DUP)),
                              (12 * MIB, item(MIB, (2, 0), (1, MIB),
                                              kind=_RAID1))):
            self.assertEqual(len(stored), self.chunks.add(start, stored))
        for logical, place in ((MIB, 5 * MIB), (2 * MIB - 1, 6 * MIB - 1),
                               (8 * MIB, 64 * MIB), (12 * MIB + 1, MIB + 1),
                               (12 * MIB - 1, 68 * MIB - 1)):
            self.assertEqual(place, self.chunks.place(logical))
        for logical in (0, MIB - 1, 2 * MIB, 13 * MIB, 1 << 62):
            self.assert_outside(logical)

    def test_what_one_device_has_not(self) -> None:
        self.chunks.add(0, item(MIB, (2, MIB)))
        self.chunks.add(MIB, item(MIB, (1, MIB), (2, MIB), kind=_RAID0))
        for logical in (0, MIB):
            self.assert_outside(logical)

    def test_damage(self) -> None:
        stored = item(MIB, (1, MIB))
        for length in (0, btrfs_chunks.LEAST - 1, len(stored) - 1):
            with self.assertRaises(exceptions.UnreadableContent):
                self.chunks.add(0, stored[:length])

    def test_too_many(self) -> None:
        stored = item(1, (1, 0))
        with self.assertRaises(exceptions.UnreadableContent):
            for start in range(1 << 15):
                self.chunks.add(start, stored)
