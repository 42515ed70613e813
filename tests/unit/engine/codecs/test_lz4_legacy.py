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

from ironic_imagedeploy.engine.codecs import errors
from ironic_imagedeploy.engine.codecs import lz4_legacy
from ironic_imagedeploy.engine.codecs import magic


def frame(*blocks: bytes) -> bytes:
    return magic.LZ4_LEGACY + b''.join(
        len(each).to_bytes(4, 'little') + each for each in blocks)


def freely(steps: int) -> None:
    """Draw from a budget that has no end."""


def decoded(stored: bytes, length: int) -> tuple[bytes, bytes]:
    """What pieces of that length decode to, and what follows."""
    part, found = lz4_legacy.LegacyFrame(freely), b''
    for at in range(0, len(stored), length):
        data = stored[at:at + length]
        while not part.eof:
            found += part.decompress(data, 7)
            data = b''
            if part.needs_input:
                break
        if part.eof:
            return found, part.unused_data + stored[at + length:]
    return found, b''


class BlockTest(unittest.TestCase):

    def test_literals_and_matches(self) -> None:
        for stored, content in (
                (b'\x10a', b'a'), (b'\xf0\x00' + b'x' * 15, b'x' * 15),
                (b'\x1fa\x01\x00\xff\x05\x10b', b'a' * 280 + b'b'),
                (b'\x24ab\x02\x00\x10c', b'ab' * 5 + b'c')):
            self.assertEqual(content, lz4_legacy.block(stored, freely))

    def test_work_is_drawn_as_it_is_done(self) -> None:
        # The shortest sequences: a match of four bytes for three.
        sequences = 1 << 20
        stored = b'\x10a\x01\x00' + b'\x00\x01\x00' * (sequences - 2) + (
            b'\x10b')
        drawn: list[int] = []
        lz4_legacy.block(stored, drawn.append)
        self.assertLess(max(drawn), sequences >> 6)
        self.assertLessEqual(sequences, sum(drawn))
        self.assertLess(sum(drawn), sequences + max(drawn))

        def refuse(steps: int) -> None:
            if len(told) == 3:
                raise OverflowError
            told.append(steps)

        told: list[int] = []
        # Its damage would show later.
        with self.assertRaises(OverflowError):
            lz4_legacy.block(stored[:-1], refuse)

    def test_damage(self) -> None:
        for stored in (b'', b'\x20a', b'\x10a\x00', b'\xf0', b'\xf0\xff\xff',
                       b'\x14a\x00\x00\x10b', b'\x14a\x02\x00\x10b',
                       b'\x14a\x01', b'\x14a\x01\x00'):
            with self.assertRaises(errors.DecodeError, msg=stored):
                lz4_legacy.block(stored, freely)

    def test_a_bomb(self) -> None:
        bomb = b'\x1fa\x01\x00' + b'\xff' * 40_000 + b'\x00\x10b'
        with self.assertRaises(errors.DecodeError):
            lz4_legacy.block(bomb, freely)
        with self.assertRaises(errors.DecodeError):
            lz4_legacy.block(b'\x50hello', freely, 4)

    def test_any_bytes(self) -> None:
        dice = random.Random(1)
        for _ in range(2000):
            try:
                found = lz4_legacy.block(dice.randbytes(60), freely,
                                         4096)
                self.assertLessEqual(len(found), 4096)
            except errors.DecodeError:
                continue


class LegacyFrameTest(unittest.TestCase):

    def test_blocks(self) -> None:
        zeroes = b'\x1f\x00\x01\x00' + b'\xff' * 200 + b'\x00\x10\x00'
        expected = b'a' + lz4_legacy.block(zeroes, freely) * 3
        for length in (1, 3, 1000):
            self.assertEqual((expected, b''), decoded(
                frame(b'\x10a', zeroes, zeroes, zeroes), length))

    def test_what_follows(self) -> None:
        for length in (1, 3, 1000):
            for rest in (bytes(8), magic.LZ4_LEGACY + b'\x01\x00\x00\x00'):
                self.assertEqual((b'a', rest), decoded(
                    frame(b'\x10a') + rest, length))
