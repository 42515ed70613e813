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


import threading
import unittest

from ironic_imagedeploy.agent.neighbours import store as stores
from tests.unit.agent.neighbours import images

MIB = images.MIB


def bits(store):
    return int.from_bytes(store.news(None, 0)[1], 'little')


class MemoryTest(unittest.TestCase):

    def test_the_last_ones_that_there_is_room_for(self):
        store = stores.ChunkStore(images.MANIFEST, memory=2 * MIB + 5000)
        images.filled(store, 0, 1, 4)
        self.assertEqual(0b10011, bits(store))
        images.filled(store, 3)
        self.assertEqual(0b11010, bits(store))
        self.assertIsNone(store.get(0))
        for index in (1, 3, 4):
            self.assertEqual(images.chunk(index), bytes(store.get(index)))

    def test_the_same_one_twice(self):
        store = stores.ChunkStore(images.MANIFEST, memory=2 * MIB)
        images.filled(store, 0, 0, 1)
        self.assertEqual(0b11, bits(store))
        images.filled(store, 3)
        self.assertEqual(0b1010, bits(store))

    def test_room_for_exactly_so_many(self):
        store = images.filled(stores.ChunkStore(
            images.MANIFEST, memory=2 * MIB), 0, 1)
        self.assertEqual(0b11, bits(store))

    def test_all_is_forgotten_in_the_end(self):
        store = images.filled(stores.ChunkStore(
            images.MANIFEST, memory=8 * MIB), 0, 1)
        store.close()
        self.assertIsNone(store.get(0))
        images.filled(store, 3)
        self.assertIsNone(store.get(3))

    def test_more_than_a_byte_of_chunks(self):
        image = bytes(range(1, 251)) * (20 * MIB // 250)
        manifest = images.manifest_of(image)
        store = stores.ChunkStore(manifest, memory=64 * MIB)
        for index in (0, 7, 8, 15, 17):
            start, end = manifest.bounds(index)
            store.verified(index, memoryview(image)[start:end])
        self.assertEqual(b'\x81\x81\2', store.news(None, 0)[1])
        self.assertEqual([0, 7, 8, 15, 17], [
            index for index in range(40) if store.has(index)])

    def test_no_room(self):
        store = images.filled(
            stores.ChunkStore(images.MANIFEST, memory=MIB - 1), 0, 1)
        self.assertEqual(0, bits(store))

    def test_zeroes_are_not_kept(self):
        store = images.filled(
            stores.ChunkStore(images.MANIFEST, memory=8 * MIB), 2, 3)
        self.assertEqual(0b1000, bits(store))

    def test_a_copy(self):
        content = bytearray(images.chunk(0))
        store = stores.ChunkStore(images.MANIFEST, memory=8 * MIB)
        store.verified(0, memoryview(content))
        content[:] = bytes(len(content))
        self.assertEqual(images.chunk(0), bytes(store.get(0)))

    def test_indexes_that_do_not_exist(self):
        store = stores.ChunkStore(images.MANIFEST, memory=8 * MIB)
        for index in (-1, 5, 8, 1 << 40):
            self.assertFalse(store.has(index))
            self.assertIsNone(store.get(index))


class DiskTest(unittest.TestCase):

    def setUp(self):
        #: The zeroes of the image are not on the disk yet.
        self.disk = bytearray(images.IMAGE)
        self.disk[MIB + (16 << 10):MIB + (48 << 10)] = b'x' * (32 << 10)
        self.reads = []
        self.store = images.filled(
            stores.ChunkStore(images.MANIFEST, memory=2 * MIB), 0, 1)
        self.enterContext(self.store.disk(
            self.read, memory=0, held=frozenset({0, 4})))

    def read(self, start, length):
        self.reads.append(start)
        return memoryview(bytearray(self.disk[start:start + length]))

    def test_what_is_written_is_read_back(self):
        images.filled(self.store, 1, 3)
        self.assertEqual(0b1, bits(self.store))
        for index in (1, 3):
            self.store.written(index)
        self.assertEqual(0b1011, bits(self.store))
        self.assertEqual(images.chunk(3), bytes(self.store.get(3)))
        self.assertEqual(images.chunk(1), bytes(self.store.get(1)))
        self.assertEqual([3 * MIB, MIB], self.reads)

    def test_ends_are_given_from_memory(self):
        images.filled(self.store, 4)
        self.assertEqual(0b10001, bits(self.store))
        self.assertEqual(images.chunk(4), bytes(self.store.get(4)))
        self.assertEqual([], self.reads)

    def test_zeroes_and_chunks_without_a_disk_are_not_noted(self):
        self.store.written(2)
        self.assertEqual(0b1, bits(self.store))
        store = stores.ChunkStore(images.MANIFEST, memory=8 * MIB)
        store.written(1)
        self.assertEqual(0, bits(store))

    def test_a_chunk_that_is_on_the_disk_stays_when_memory_is_short(self):
        store = images.filled(stores.ChunkStore(
            images.MANIFEST, memory=8 * MIB), 1, 3)
        with store.disk(self.read, memory=MIB, held=frozenset()):
            self.assertEqual(0b1000, bits(store))
            store.written(1)
            store.written(3)
            images.filled(store, 0)
            self.assertEqual(0b1011, bits(store))
            self.assertEqual(images.chunk(3), bytes(store.get(3)))
        # The disk is another one's now.
        self.assertEqual(0b1, bits(store))
        self.assertIsNone(store.get(3))
        self.assertEqual(images.chunk(0), bytes(store.get(0)))

    def test_news_of_the_end(self):
        store = stores.ChunkStore(images.MANIFEST, memory=8 * MIB)
        with store.disk(self.read, memory=MIB, held=frozenset()):
            version, _ = store.news(None, 0)
        self.assertEqual((version + 1, b'\0'), store.news(version, 0))

    def test_nothing_is_read_once_it_is_closed(self):
        self.store.written(3)
        self.store.close()
        self.assertIsNone(self.store.get(3))
        self.assertEqual([], self.reads)

    def test_a_disk_that_cannot_be_read(self):
        def read(start, length):
            raise ZeroDivisionError

        store = stores.ChunkStore(images.MANIFEST, memory=0)
        with store.disk(read, memory=0, held=frozenset()):
            store.written(3)
            self.assertRaises(ZeroDivisionError, store.get, 3)

    def test_nothing_is_read_after_the_end(self):
        reading, go_on = threading.Event(), threading.Event()

        def read(start, length):
            reading.set()
            self.assertTrue(go_on.wait(10))
            return self.read(start, length)
        store = stores.ChunkStore(images.MANIFEST, memory=0)
        context = store.disk(read, memory=0, held=frozenset())
        context.__enter__()
        store.written(1)
        reader = threading.Thread(target=store.get, args=(1,))
        reader.start()
        self.assertTrue(reading.wait(10))
        closing = threading.Thread(target=context.__exit__,
                                   args=(None, None, None))
        closing.start()
        closing.join(0.1)
        self.assertTrue(closing.is_alive())
        go_on.set()
        closing.join(10)
        self.assertFalse(closing.is_alive())
        self.assertIsNone(store.get(1))
        self.assertEqual(0, bits(store))
        reader.join()
        self.assertEqual([MIB], self.reads)


class NewsTest(unittest.TestCase):

    def test_are_waited_for(self):
        store = stores.ChunkStore(images.MANIFEST, memory=8 * MIB)
        version, found = store.news(None, 10)
        self.assertEqual(b'\0', found)
        self.assertEqual((version, None), store.news(version, 0.01))
        timer = threading.Timer(0.05, images.filled, (store, 3))
        timer.start()
        self.addCleanup(timer.join)
        self.assertEqual((version + 1, b'\x08'), store.news(version, 10))
