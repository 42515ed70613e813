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

import concurrent.futures
import random
import time
import typing
import unittest
from unittest import mock
import zlib

from ironic_imagedeploy.engine.codecs import clusters
from ironic_imagedeploy.engine.codecs import errors
from ironic_imagedeploy.engine.codecs import libraries
from tests.unit.engine.codecs import plain
from tests.unit.engine import qcow2_builder as qcow2

SIZE = 64 << 10


class InflateTests:
    """One kind of clusters, without the libraries that are missing."""

    missing: tuple[str, ...] = ()

    def setUp(self) -> None:
        super().setUp()
        plain.remove(self, *self.missing)
        self.dice = random.Random(7)
        self.content = qcow2.text(self.dice, SIZE)

    def inflate(self, stored: typing.Any, size: int = SIZE) -> bytes:
        decoded: bytes = clusters.inflate(stored, size)
        return decoded

    def assert_not_decoded(self, stored: bytes) -> None:
        with self.assertRaises(errors.DecodeError) as caught:
            self.inflate(stored)
        self.assertTrue(caught.exception.found)

    def test_a_stream(self) -> None:
        self.assertEqual(self.content,
                         self.inflate(qcow2.deflate(self.content)))

    def test_kinds_of_bytes(self) -> None:
        stored = qcow2.deflate(self.content)
        for kind in (bytes, bytearray, memoryview):
            with self.subTest(kind=kind.__name__):
                self.assertEqual(self.content, self.inflate(kind(stored)))

    def test_what_follows_the_stream_is_ignored(self) -> None:
        stored = qcow2.deflate(self.content)
        for rest in (b'\0' * 511, b'\xff' * 511, stored):
            self.assertEqual(self.content, self.inflate(stored + rest))

    def test_every_level_and_window(self) -> None:
        for level in range(10):
            for window in (9, 12, 15):
                coder = zlib.compressobj(level, zlib.DEFLATED, -window)
                stored = coder.compress(self.content) + coder.flush()
                self.assertEqual(self.content, self.inflate(stored),
                                 (level, window))

    def test_a_stream_that_gives_more(self) -> None:
        self.assert_not_decoded(qcow2.deflate(bytes(64 << 20)))
        self.assert_not_decoded(qcow2.deflate(self.content + b'x'))

    def test_a_stream_that_gives_less(self) -> None:
        self.assert_not_decoded(qcow2.deflate(self.content[:-1]))
        self.assert_not_decoded(qcow2.deflate(b''))

    def test_a_stream_that_is_cut_off(self) -> None:
        stored = qcow2.deflate(self.content)
        for length in (0, 1, 2, 100, len(stored) // 2, len(stored) - 100):
            with self.subTest(length=length):
                self.assert_not_decoded(stored[:length])

    def test_bytes_that_are_no_stream(self) -> None:
        self.assert_not_decoded(b'\xff' * 512)
        self.assert_not_decoded(bytes(512))
        self.assert_not_decoded(zlib.compress(self.content))

    def test_damage_gives_an_error_or_bytes(self) -> None:
        stored = qcow2.deflate(self.content)
        for _ in range(500):
            damaged = bytearray(stored)
            damaged[self.dice.randrange(len(stored))] ^= (
                1 << self.dice.randrange(8))
            try:
                self.assertEqual(SIZE, len(self.inflate(damaged)))
            except errors.DecodeError:
                pass

    def test_noise_gives_an_error_or_bytes(self) -> None:
        for _ in range(500):
            try:
                decoded = self.inflate(self.dice.randbytes(200), 512)
                self.assertEqual(512, len(decoded))
            except errors.DecodeError:
                pass


class LibdeflateTest(InflateTests, unittest.TestCase):
    """With libdeflate, and isal for what that refuses."""


class IsalTest(InflateTests, unittest.TestCase):
    """With isal alone."""

    missing = ('deflate',)

    def test_libdeflate_is_not_used(self) -> None:
        self.assertIsNone(libraries.deflate)


class PlainInflateTest(InflateTests, unittest.TestCase):
    """With zlib alone."""

    missing = ('deflate', 'isal', 'backports', 'compression')

    def test_isal_is_not_used(self) -> None:
        self.assertIs(zlib, libraries.isal)


class ZstdTests:
    """Frames of zstd, without the libraries that are missing."""

    missing: tuple[str, ...] = ()

    def setUp(self) -> None:
        super().setUp()
        plain.remove(self, *self.missing)
        self.dice = random.Random(8)
        self.content = qcow2.text(self.dice, SIZE)

    def assert_not_decoded(self, stored: bytes) -> None:
        with self.assertRaises(errors.DecodeError) as caught:
            clusters.unzstd(stored, SIZE)
        self.assertTrue(caught.exception.found)

    def test_frames(self) -> None:
        for frames in (1, 2, 5, 100):
            with self.subTest(frames=frames):
                self.assertEqual(self.content, clusters.unzstd(
                    qcow2.zstd_frames(self.content, frames), SIZE))

    def test_kinds_of_bytes(self) -> None:
        stored = qcow2.zstd_frames(self.content, 3)
        for kind in (bytes, bytearray, memoryview):
            with self.subTest(kind=kind.__name__):
                self.assertEqual(self.content,
                                 clusters.unzstd(kind(stored), SIZE))

    def test_an_empty_frame_between(self) -> None:
        half = SIZE // 2
        stored = b''.join(qcow2.zstd.compress(part) for part in (
            self.content[:half], b'', self.content[half:]))
        self.assertEqual(self.content, clusters.unzstd(stored, SIZE))

    def test_what_follows_the_frames_is_ignored(self) -> None:
        stored = qcow2.zstd_frames(self.content, 2)
        for rest in (b'\0' * 511, b'\xff' * 511, stored):
            self.assertEqual(self.content,
                             clusters.unzstd(stored + rest, SIZE))

    def test_frames_that_give_more(self) -> None:
        self.assert_not_decoded(qcow2.zstd.compress(bytes(64 << 20)))
        self.assert_not_decoded(qcow2.zstd.compress(self.content + b'x'))
        self.assert_not_decoded(qcow2.zstd_frames(self.content + b'xy', 2))

    def test_frames_that_give_less(self) -> None:
        self.assert_not_decoded(b'')
        self.assert_not_decoded(qcow2.zstd.compress(b''))
        self.assert_not_decoded(qcow2.zstd.compress(self.content[:-1]))
        self.assert_not_decoded(qcow2.zstd_frames(self.content[:-1], 3))

    def test_a_frame_that_is_cut_off(self) -> None:
        stored = qcow2.zstd_frames(self.content, 2)
        for length in (1, 4, 100, len(stored) // 2, len(stored) - 1):
            with self.subTest(length=length):
                self.assert_not_decoded(stored[:length])

    def test_bytes_that_are_no_frame(self) -> None:
        self.assert_not_decoded(b'\xff' * 512)
        self.assert_not_decoded(bytes(512))
        self.assert_not_decoded(
            qcow2.zstd.compress(self.content[:100]) + bytes(512))

    def test_damage_gives_an_error_or_bytes(self) -> None:
        stored = qcow2.zstd_frames(self.content, 3)
        for _ in range(500):
            damaged = bytearray(stored)
            damaged[self.dice.randrange(len(stored))] ^= (
                1 << self.dice.randrange(8))
            try:
                self.assertEqual(SIZE, len(clusters.unzstd(damaged, SIZE)))
            except errors.DecodeError:
                pass

    def test_many_empty_frames_do_not_take_long(self) -> None:
        frame = qcow2.zstd.compress(b'')
        began = time.monotonic()
        self.assert_not_decoded(frame * ((1 << 20) // len(frame)))
        self.assertLess(time.monotonic() - began, 30)

    def test_a_large_window_is_refused(self) -> None:
        """It would take that much memory in each thread."""
        packer = qcow2.zstd.ZstdCompressor(options={
            qcow2.zstd.CompressionParameter.window_log: 27})
        self.assert_not_decoded(packer.compress(self.content)
                                + packer.flush())

    def test_threads_do_not_disturb_each_other(self) -> None:
        contents = [qcow2.text(self.dice, SIZE) for _ in range(200)]
        stored = [qcow2.zstd.compress(content) for content in contents]
        with concurrent.futures.ThreadPoolExecutor(8) as threads:
            self.assertEqual(contents, list(threads.map(
                clusters.unzstd, stored, [SIZE] * len(stored))))


class ZstandardTest(ZstdTests, unittest.TestCase):
    """With zstandard, and the other for what that does not take."""

    def test_the_usual_frame_needs_nothing_else(self) -> None:
        self.enterContext(mock.patch.object(libraries, 'zstd', None))
        stored = qcow2.zstd.compress(self.content)
        for rest in (b'', bytes(511), stored):
            self.assertEqual(self.content,
                             clusters.unzstd(stored + rest, SIZE))

    def test_many_by_one_call(self) -> None:
        contents = [self.dice.randbytes(SIZE // 2) * 2 for _ in range(20)]
        stored = [memoryview(qcow2.zstd.compress(content) + bytes(511))
                  for content in contents]
        with (mock.patch.object(clusters, 'unzstd', None),
              mock.patch.object(libraries, 'zstd', None)):
            decoded = clusters.unzstd_together(stored, SIZE)
        assert decoded is not None
        self.assertEqual(contents, [*map(bytes, decoded)])

    def test_of_many_one_is_not_as_usual(self) -> None:
        stored = qcow2.zstd.compress(self.content)
        packer = qcow2.zstd.ZstdCompressor()
        unsized = packer.compress(self.content) + packer.flush()
        for odd in (stored[:-100], unsized, b'',
                    qcow2.zstd.compress(self.content[1:])):
            self.assertIsNone(clusters.unzstd_together(
                [stored, odd, stored], SIZE))

    def test_of_none_at_all(self) -> None:
        # zstandard would end this process.
        self.assertIsNone(clusters.unzstd_together([], SIZE))

    def test_damage_does_not_last(self) -> None:
        stored = qcow2.zstd.compress(self.content)
        self.assert_not_decoded(stored[:-100])
        self.assertEqual(self.content, clusters.unzstd(stored, SIZE))

    def test_a_frame_that_looks_back_beyond_its_window(self) -> None:
        """It is for the other, which finds other bytes there."""
        packer = qcow2.zstd.ZstdCompressor(options={
            qcow2.zstd.CompressionParameter.window_log: 16})
        packer.set_pledged_input_size(SIZE)
        noise = self.dice.randbytes(SIZE - 2048)
        content = noise + noise[:2048]
        frame = b''.join([
            packer.compress(content[start:start + 8192], packer.FLUSH_BLOCK)
            for start in range(0, SIZE, 8192)] + [packer.flush()])
        self.assertEqual(content, clusters.unzstd(frame, SIZE))
        # The same blocks, with a window of 1 KiB up to one of 32 MiB.
        for window in range(16):
            stored = frame[:4] + bytes([0x40, window << 3]) + frame[5:]
            found = self.verdict(stored)
            with mock.patch.object(libraries, 'zstandard', None):
                self.assertEqual(self.verdict(stored), found)

    def verdict(self, stored: bytes) -> bytes | str:
        try:
            return clusters.unzstd(stored, SIZE)
        except errors.DecodeError as error:
            return str(error)


class PlainZstdTest(ZstdTests, unittest.TestCase):
    """With Python's own, or its backport, alone."""

    missing = ('zstandard',)

    def test_none_by_one_call(self) -> None:
        self.assertIsNone(clusters.unzstd_together(
            [qcow2.zstd.compress(self.content)], SIZE))

    def test_zstandard_is_not_used(self) -> None:
        self.assertIsNone(libraries.zstandard)
