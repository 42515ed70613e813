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
from ironic_imagedeploy.engine.codecs import lzo
from tests.unit.engine.codecs import lzo_streams

LIMIT = 4096
MIX, MIXED, END = lzo_streams.MIX, lzo_streams.MIXED, lzo_streams.END
literals = lzo_streams.literals


class DecompressTest(unittest.TestCase):

    def test_what_linux_wrote(self) -> None:
        for stored, content in (
                (MIX, MIXED), (b'\x1bhello lzo\n' + END, b'hello lzo\n'),
                (MIX + b'rest', MIXED)):
            self.assertEqual(content, lzo.decompress(stored, len(content)))

    def test_each_instruction(self) -> None:
        front = random.Random(1).randbytes(40_000)
        begin = literals(front)
        for name, code, content in (
                # Three after four literals or more, from 2049 bytes on.
                ('far', b'\x04\1', front[-(0x801 + 1 + 4):][:3]),
                # Length in the upper bits, distance 1 + 2 + (5 << 3).
                ('short', b'\xc8\5', front[-43:][:7]),
                ('near', b'\x26\x28\0', front[-11:][:8]),
                ('near and long', b'\x20\0\1\x28\0',
                 (front[-11:] * 40)[:255 + 34]),
                ('farthest', b'\x13\x28\0', front[-16394:][:5]),
                ('beyond', b'\x1b\x28\0', front[-32778:][:5]),
                ('literals after it', b'\xc9\5z', front[-43:][:7] + b'z'),
                ('two after it', b'\xc9\5z\x08\1',
                 front[-43:][:7] + b'z' + front[-43:][1:3])):
            with self.subTest(name):
                decoded = lzo.decompress(begin + code + END, 50_000)
                self.assertEqual(front, decoded[:len(front)])
                self.assertEqual(content, decoded[len(front):])

    def test_no_more_than_the_limit(self) -> None:
        for stored in (MIX, literals(bytes(5000)) + END,
                       b'\x12a\x20' + bytes(60_000) + b'\1\0\0' + END):
            with self.assertRaises(errors.DecodeError) as caught:
                lzo.decompress(stored, LIMIT - 1)
            self.assertIn('goes on after 4095', caught.exception.found)

    def test_streams_without_an_end(self) -> None:
        for length in range(len(MIX)):
            with self.assertRaises(errors.DecodeError):
                lzo.decompress(MIX[:length], LIMIT)

    def test_a_match_before_the_first_byte(self) -> None:
        for code in (b'\x04\1', b'\xc8\5', b'\x26\x28\0', b'\x1b\x28\0'):
            with self.assertRaises(errors.DecodeError) as caught:
                lzo.decompress(b'\x15abcd' + code + END, LIMIT)
            self.assertIn('before the first byte', caught.exception.found)

    def test_damage(self) -> None:
        dice = random.Random(2)
        for _ in range(5000):
            stored = bytearray(MIX)
            for _ in range(dice.choice((1, 3, 20))):
                stored[dice.randrange(len(stored))] = dice.randrange(256)
            try:
                decoded = lzo.decompress(bytes(stored), LIMIT)
            except errors.DecodeError:
                continue
            self.assertLessEqual(len(decoded), LIMIT)
