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

from ironic_imagedeploy.engine.sources import chunked_stream
from tests.unit.engine import manifests

MIB = 1 << 20


class ChunkedStreamTest(unittest.TestCase):
    """A file of five whole chunks and a part of one."""

    def setUp(self) -> None:
        super().setUp()
        self.manifest = manifests.built(manifests.CONTENT)
        self.filled: list[tuple[int, int, int]] = []
        self.views: list[memoryview] = []
        self.stream = chunked_stream.ChunkedStream(self.manifest, self.fill)

    def fill(self, index: int, view: memoryview, last: int) -> None:
        self.assertIs(int, type(last))
        self.filled.append((index, len(view), last))
        self.views.append(view)
        start, end = self.manifest.bounds(index)
        view[:] = manifests.CONTENT[start:end]

    def read(self, size: int) -> list[int]:
        """Counts of bytes, with buffers of a size; the bytes are right."""
        counts, whole = [], bytearray()
        buffer = memoryview(bytearray(size))
        while count := self.stream.readinto(buffer):
            counts.append(count)
            whole += buffer[:count]
        self.assertEqual(0, self.stream.readinto(buffer))
        self.assertEqual(manifests.CONTENT, bytes(whole))
        self.assertEqual(
            [*[(index, MIB, 5) for index in range(5)], (5, 700, 5)],
            self.filled)
        return counts

    def test_chunks_go_where_they_are_wanted(self) -> None:
        buffer = memoryview(bytearray(MIB))
        self.stream.readinto(buffer)
        self.assertIs(buffer.obj, self.views[0].obj)
        for size in (MIB, MIB + 1, 3 * MIB):
            self.setUp()
            self.assertEqual([MIB] * 5 + [700], self.read(size))

    def test_chunks_in_small_pieces(self) -> None:
        size = MIB // 2 + 1
        self.assertEqual([size, MIB - size] * 5 + [700], self.read(size))
        # One buffer does for all of them.
        self.assertEqual(1, len({id(view.obj) for view in self.views[:5]}))

    def test_small_pieces_of_the_last_chunk(self) -> None:
        self.assertEqual([600] * 1747 + [376], self.read(600)[:1748])

    def test_a_chunk_and_its_last_byte(self) -> None:
        self.assertEqual([MIB - 1, 1] * 5 + [700], self.read(MIB - 1))

    def test_nothing_of_a_chunk_is_given_after_it_was_closed(self) -> None:
        buffer = memoryview(bytearray(10))
        self.stream.readinto(buffer)
        self.stream.close()
        self.stream.readinto(buffer)
        self.assertEqual(manifests.CONTENT[MIB:MIB + 10], bytes(buffer))
