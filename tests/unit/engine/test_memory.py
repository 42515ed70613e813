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

import unittest

from ironic_imagedeploy.engine import memory

MIB = 1 << 20


class MemoryTest(unittest.TestCase):

    def test_equal(self) -> None:
        for kind in (bytes, bytearray, memoryview):
            self.assertTrue(memory.equal(b'abc', kind(b'abc')))
            self.assertFalse(memory.equal(kind(b'abc'), b'abd'))
            self.assertFalse(memory.equal(kind(b'abc'), b'ab'))

    def test_is_zero(self) -> None:
        for length in (1, 2, 512, MIB, MIB + 1, 3 * MIB):
            content = bytearray(length)
            self.assertTrue(memory.is_zero(memoryview(content)))
            for at in (0, length // 2, length - 1):
                with self.subTest(length=length, at=at):
                    content[at] = 1
                    self.assertFalse(memory.is_zero(memoryview(content)))
                    content[at] = 0

    def test_nothing_is_zero(self) -> None:
        self.assertTrue(memory.is_zero(memoryview(b'')))

    def test_zero_map(self) -> None:
        content = bytearray(9 * 512 + 1)
        self.assertEqual(b'\xff\3', memory.zero_map(memoryview(content), 512))
        content[0] = content[2 * 512 - 1] = content[-1] = 1
        self.assertEqual(b'\xfc\1', memory.zero_map(memoryview(content), 512))
        self.assertEqual(b'', memory.zero_map(memoryview(b''), 512))
