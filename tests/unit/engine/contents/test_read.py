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

from ironic_imagedeploy.engine.contents import read as _read

DISK = random.Random(1).randbytes(10_000)


class ReadTest(unittest.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.log: list[tuple[int, int]] = []
        self.dice = random.Random(2)

    def read(self, offset: int, length: int) -> bytes:
        self.log.append((offset, length))
        return DISK[offset:offset + length]

    def assert_same(self, read: _read.Read, content: bytes) -> None:
        for _ in range(300):
            offset = self.dice.randrange(len(content) + 50)
            length = self.dice.randrange(len(content))
            self.assertEqual(content[offset:offset + length],
                             read(offset, length), (offset, length))

    def test_part(self) -> None:
        self.assert_same(_read.part(self.read, 1000, 5000), DISK[1000:6000])

    def test_cached(self) -> None:
        for start, length in ((0, 10_000), (1000, 4096), (1000, 5000)):
            self.log.clear()
            self.assert_same(_read.cached(self.read, start, length,
                                          block=512),
                             DISK[start:start + length])
            self.assertEqual(len(self.log), len({*self.log}))
            self.assertLessEqual(max(map(sum, self.log)), start + length)

    def test_joined(self) -> None:
        parts = [(5000, 700), (0, 1), (100, 3000), (9000, 500)]
        self.assert_same(
            _read.joined(self.read, parts),
            b''.join(DISK[start:start + length] for start, length in parts))
        self.assertEqual(b'', _read.joined(self.read, [])(0, 9))
