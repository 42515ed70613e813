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

import ctypes
import threading
import unittest

from ironic_imagedeploy.engine.transfer import buffers


class BufferPoolTest(unittest.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.pool = buffers.BufferPool()

    def take_all(self) -> list[buffers.Chunk]:
        return [self.pool.take(number) for number in range(buffers.CHUNKS)]

    def test_the_memory_is_bounded(self) -> None:
        """Below the 128 MiB that a whole transfer may use."""
        self.assertLessEqual(buffers.CHUNKS * buffers.CHUNK_SIZE, 32 << 20)

    def test_chunks_are_apart_from_each_other(self) -> None:
        chunks = self.take_all()
        for number, chunk in enumerate(chunks):
            chunk.memory[:] = bytes([number]) * buffers.CHUNK_SIZE
        for number, chunk in enumerate(chunks):
            self.assertEqual(buffers.CHUNK_SIZE,
                             bytes(chunk.memory).count(number))

    def test_memory_is_aligned_for_direct_io(self) -> None:
        for chunk in self.take_all():
            address = ctypes.addressof(
                ctypes.c_char.from_buffer(chunk.memory))
            self.assertEqual(0, address % 4096)

    def test_a_chunk_starts_empty_at_its_position(self) -> None:
        chunk = self.pool.take(5000)
        chunk.length = 100
        self.assertEqual((5000, 5100), (chunk.position, chunk.end))
        chunk.release()
        for _ in range(buffers.CHUNKS):
            chunk = self.pool.take(7000)
            self.assertEqual((7000, 0, 7000),
                             (chunk.position, chunk.length, chunk.end))

    def test_a_view_is_by_offsets_in_the_file(self) -> None:
        chunk = self.pool.take(4999)
        chunk.memory[:6] = b'abcdef'
        chunk.length = 6
        for start in range(6):
            for end in range(start, 6):
                self.assertEqual(b'abcdef'[start:end],
                                 chunk.view(4999 + start, 4999 + end))

    def test_the_last_who_holds_it_gives_it_back(self) -> None:
        chunk, *_ = self.take_all()
        chunk.hold()
        chunk.hold()
        chunk.release()
        chunk.release()
        taken: list[buffers.Chunk] = []
        waiting = threading.Thread(
            target=lambda: taken.append(self.pool.take(9)))
        waiting.start()
        waiting.join(0.05)
        self.assertTrue(waiting.is_alive(), 'given while it was held')
        chunk.release()
        waiting.join(10)
        self.assertEqual([chunk], taken)

    def test_whoever_asked_is_told_when_it_is_free(self) -> None:
        chunk, *_ = self.take_all()
        told: list[buffers.Chunk] = []
        for _ in range(2):
            # It can be taken again by then.
            chunk.when_free(lambda: told.append(self.pool.take(5)))
            chunk.hold()
            chunk.release()
            self.assertEqual([], told)
            chunk.release()
            self.assertEqual([chunk], told)
            told.clear()
        chunk.release()
        self.assertEqual([], told)

    def test_one_that_was_never_taken_is_empty(self) -> None:
        chunk = buffers.Chunk(self.pool, 4096)
        self.assertEqual((0, 0, 4096), (chunk.position, chunk.end,
                                        len(chunk.memory)))

    def test_all_who_wait_are_woken_by_a_stop(self) -> None:
        self.take_all()
        raised: list[type[BaseException]] = []

        def take() -> None:
            try:
                self.pool.take(0)
            except buffers.Stopped as stopped:
                raised.append(type(stopped))

        waiting = [threading.Thread(target=take, daemon=True)
                   for _ in range(3)]
        for thread in waiting:
            thread.start()
        self.pool.stop()
        for thread in waiting:
            thread.join(10)
        self.assertEqual([buffers.Stopped] * 3, raised)
