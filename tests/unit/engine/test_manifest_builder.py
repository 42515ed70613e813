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

import hashlib
import threading
import unittest

from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine import manifest
from ironic_imagedeploy.engine import manifest_builder
from tests.unit.engine import manifests

MIB = 1 << 20
CONTENT = manifests.CONTENT


class BuilderTest(unittest.TestCase):

    def test_every_chunk_has_its_digest(self) -> None:
        made = manifests.built(CONTENT)
        self.assertEqual((MIB, 6), (made.chunk_size, made.count))
        for index in range(made.count):
            start, end = made.bounds(index)
            self.assertEqual(hashlib.sha256(CONTENT[start:end]).digest(),
                             made.digest(index))
            self.assertTrue(made.matches(index, CONTENT[start:end]))
        self.assertEqual((5 * MIB, len(CONTENT)), made.bounds(5))

    def test_the_pieces_that_a_file_comes_in_do_not_matter(self) -> None:
        self.assertEqual(1, len({
            manifests.built(CONTENT, pieces).root
            for pieces in (70_001, MIB, 3 * MIB, len(CONTENT))}))

    def test_the_buffer_of_the_caller_may_change(self) -> None:
        buffer = bytearray(MIB)
        with manifest_builder.Builder(8 * MIB) as builder:
            for value in range(8):
                buffer[:] = bytes([value]) * MIB
                builder.update(memoryview(buffer))
            made = builder.finish(manifests.sha512(b'any'))
        self.assertEqual(
            [hashlib.sha256(bytes([value]) * MIB).digest()
             for value in range(8)],
            [made.digest(index) for index in range(8)])

    def test_bytes_that_are_put_where_they_are_hashed(self) -> None:
        left = memoryview(CONTENT)
        with manifest_builder.Builder(len(CONTENT)) as builder:
            while room := builder.room:
                count = min(len(room), 65_537, len(left))
                room[:count] = left[:count]
                builder.advance(count)
                left = left[count:]
            made = builder.finish(manifests.sha512(CONTENT))
        self.assertEqual(manifests.built(CONTENT).root, made.root)

    def test_smaller_chunks(self) -> None:
        with manifest_builder.Builder(len(CONTENT), finer=True) as builder:
            builder.update(memoryview(CONTENT))
            made = builder.finish(manifests.sha512(CONTENT))
        whole = manifests.built(CONTENT)
        self.assertEqual((256 << 10, 21), (made.chunk_size, made.count))
        self.assertEqual(whole.zero_map, made.zero_map)
        for index in range(made.count):
            start, end = made.bounds(index)
            self.assertTrue(made.matches(index, CONTENT[start:end]))
        self.assertEqual(made, manifest.Manifest.decode(made.encode()))

    def test_an_empty_file(self) -> None:
        made = manifests.built(b'')
        self.assertEqual((0, 0), (made.size, made.count))
        self.assertEqual(made, manifest.Manifest.decode(made.encode()))

    def test_a_file_of_another_size_is_not_taken(self) -> None:
        with manifest_builder.Builder(10) as builder:
            builder.update(memoryview(b'123456789'))
            self.assertRaises(ValueError, builder.finish,
                              manifests.sha512(b''))
            self.assertRaises(ValueError, builder.update, memoryview(b'12'))

    def test_a_file_that_is_too_large_has_none(self) -> None:
        manifest_builder.Builder(manifest.LARGEST).close()
        self.assertRaises(exceptions.InvalidManifest, manifest_builder.Builder,
                          manifest.LARGEST + 1)

    def test_no_thread_is_left(self) -> None:
        before = threading.active_count()
        manifests.built(CONTENT)
        with manifest_builder.Builder(8 * MIB) as builder:
            builder.update(memoryview(bytes(3 * MIB)))
        self.assertEqual(before, threading.active_count())
