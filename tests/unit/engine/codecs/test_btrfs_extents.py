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
import unittest
import zlib

from ironic_imagedeploy.engine.codecs import btrfs_extents
from ironic_imagedeploy.engine.codecs import errors
from ironic_imagedeploy.engine.codecs import libraries
from tests.unit.engine.codecs import lzo_streams
from tests.unit.engine.codecs import plain

KIB = 1 << 10
SECTOR = 4096
ZLIB, LZO, ZSTD = 1, 2, 3
_HELLO = b'\x1bhello lzo\n' + lzo_streams.END


def segments(*parts: bytes) -> bytes:
    """Segments of LZO, as btrfs puts them one after the other."""
    stored = bytearray(4)
    for part in parts:
        if SECTOR - len(stored) % SECTOR < 4:
            stored += bytes(SECTOR - len(stored) % SECTOR)
        stored += len(part).to_bytes(4, 'little') + part
    stored[:4] = len(stored).to_bytes(4, 'little')
    return bytes(stored)


class BtrfsExtentsTest(unittest.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.content = b'some words ' * 700

    def decode(self, compression: int, stored: bytes, size: int) -> bytes:
        return btrfs_extents.decode(compression, stored, size, SECTOR)

    def test_all_kinds(self) -> None:
        frames = {ZLIB: zlib.compress(self.content)}
        if libraries.zstd_available():
            frames[ZSTD] = libraries.zstd.compress(self.content)
        for compression, stored in frames.items():
            for size in (100, len(self.content), 8192):
                with self.subTest(compression=compression, size=size):
                    # The rest of a block is zeroes, on both sides.
                    self.assertEqual(
                        self.content[:size].ljust(size, b'\0'),
                        self.decode(compression, stored + bytes(99), size))

    def test_segments(self) -> None:
        extent = segments(lzo_streams.MIX, lzo_streams.MIX, _HELLO)
        self.assertEqual(
            (lzo_streams.MIXED * 2 + b'hello lzo\n').ljust(12288, b'\0'),
            self.decode(LZO, extent + bytes(500), 12288))

    def test_no_length_crosses_a_sector(self) -> None:
        content = random.Random(1).randbytes(4080 - 4 - 4 - 3)
        for less in range(12):
            part = content[:len(content) - less]
            extent = segments(
                lzo_streams.literals(part) + lzo_streams.END, _HELLO)
            self.assertEqual(part + b'hello lzo\n', self.decode(
                LZO, extent, len(part) + 10))

    def test_damage(self) -> None:
        dice = random.Random(3)
        extent = segments(lzo_streams.MIX, _HELLO)
        for compression, stored in ((LZO, extent),
                                    (ZLIB, zlib.compress(self.content))):
            for _ in range(2000):
                bad = bytearray(stored)
                for _ in range(dice.choice((1, 5))):
                    bad[dice.randrange(len(bad))] = dice.randrange(256)
                try:
                    self.assertEqual(8192, len(self.decode(
                        compression, bytes(bad), 8192)))
                except errors.DecodeError:
                    continue

    def test_what_cannot_be_decoded(self) -> None:
        for compression, stored, size in (
                (ZLIB, b'x' * 100, 4096), (ZSTD, b'x' * 100, 4096),
                (LZO, b'\xff' * 100, 4096), (4, b'', 4096), (0, b'', 4096),
                (ZLIB, zlib.compress(b''), 128 * KIB + 1)):
            with self.assertRaises(errors.DecodeError):
                self.decode(compression, stored, size)

    def test_a_bomb(self) -> None:
        stored = zlib.compress(bytes(100 << 20))
        self.assertEqual(bytes(4096), self.decode(ZLIB, stored, 4096))

    def test_without_a_decoder(self) -> None:
        plain.remove(self, 'backports', 'compression')
        with self.assertRaises(errors.DecodeError) as caught:
            self.decode(ZSTD, b'', 4096)
        self.assertIn('no decoder', caught.exception.found)

    def test_steps(self) -> None:
        self.assertEqual(5000, btrfs_extents.steps(LZO, 5000))
        self.assertLess(btrfs_extents.steps(ZLIB, 128 * KIB), 1000)
