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

import lzma
import random
import sys
import typing
import unittest

from ironic_imagedeploy.engine.codecs import errors
from ironic_imagedeploy.engine.codecs import windows

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MIB = 1 << 20


def xz(size: int, **properties: typing.Any) -> bytes:
    """A stream whose dictionary has that many bytes."""
    return lzma.compress(b'a' * 100, filters=[
        *properties.pop('before', ()),
        {'id': lzma.FILTER_LZMA2, 'dict_size': size, **properties}])


def zst(content: bytes, *, sized: bool = True, **parameters: int) -> bytes:
    """A frame, with or without the size of its content in its header."""
    packer = zstd.ZstdCompressor(options={
        getattr(zstd.CompressionParameter, name): value
        for name, value in parameters.items()})
    if sized:
        packer.set_pledged_input_size(len(content))
    return packer.compress(content) + packer.flush()


class XzDictionaryTest(unittest.TestCase):

    def test_sizes(self) -> None:
        for size in (4096, 6144, 8192, MIB, 3 * MIB // 2, 8 * MIB,
                     64 * MIB, 96 * MIB, 128 * MIB):
            self.assertEqual(size, windows.xz_dictionary(xz(size)))

    def test_presets(self) -> None:
        for preset, size in ((0, 256 << 10), (6, 8 * MIB), (9, 64 * MIB)):
            self.assertEqual(size, windows.xz_dictionary(
                lzma.compress(b'a' * 100, preset=preset)))

    def test_a_filter_before(self) -> None:
        for before in ({'id': lzma.FILTER_X86},
                       {'id': lzma.FILTER_DELTA, 'dist': 4}):
            self.assertEqual(MIB, windows.xz_dictionary(
                xz(MIB, before=[before])))

    def test_a_header_that_is_not_complete(self) -> None:
        stored = xz(MIB)
        whole = 12 + (stored[12] + 1) * 4
        for length in range(whole):
            self.assertIsNone(windows.xz_dictionary(stored[:length]), length)
        self.assertEqual(MIB, windows.xz_dictionary(stored[:whole]))

    def test_a_stream_without_blocks(self) -> None:
        self.assertEqual(0, windows.xz_dictionary(lzma.compress(b'')))

    def test_noise(self) -> None:
        """Any header gives an answer; the decoder judges it."""
        dice = random.Random(5)
        self.assertEqual(0, windows.xz_dictionary(dice.randbytes(100)))
        for _ in range(2000):
            header = xz(MIB)[:12] + dice.randbytes(1024)
            self.assertGreaterEqual(windows.xz_dictionary(header) or 0, 0)


class ZstdWindowTest(unittest.TestCase):

    def test_windows(self) -> None:
        for log in (10, 17, 20, 25, 27):
            self.assertEqual(1 << log, windows.zstd_window(
                zst(b'a' * 1000, sized=False, window_log=log)))

    def test_a_mantissa(self) -> None:
        header = zst(b'a' * 1000, sized=False, window_log=20)
        self.assertEqual(MIB + 3 * MIB // 8, windows.zstd_window(
            header[:5] + bytes([header[5] | 3]) + header[6:]))

    def test_a_single_segment(self) -> None:
        for size in (1, 255, 256, 1000, 65791, 65792, 200000):
            self.assertEqual(size, windows.zstd_window(zst(bytes(size))))

    def test_a_header_that_is_not_complete(self) -> None:
        stored = zst(bytes(200000))
        for length in range(9):
            self.assertIsNone(windows.zstd_window(stored[:length]), length)

    def test_frames_without_data(self) -> None:
        self.assertEqual(0, windows.zstd_window(
            b'\x5a\x2a\x4d\x18' + bytes(4)))


class BoundedPartTest(unittest.TestCase):

    def part(self, limit: int) -> windows.BoundedPart:
        return windows.BoundedPart(lzma.LZMADecompressor,
                                   windows.xz_dictionary, limit)

    def test_the_bound(self) -> None:
        self.assertEqual(b'a' * 100, self.part(MIB).decompress(xz(MIB), 100))
        with self.assertRaises(errors.WindowTooLarge) as caught:
            self.part(MIB).decompress(xz(2 * MIB), 100)
        self.assertEqual((f'{MIB} bytes at most', f'{2 * MIB} bytes'),
                         (caught.exception.expected, caught.exception.found))

    def test_byte_by_byte(self) -> None:
        part = self.part(MIB)
        content = b''.join(part.decompress(bytes([byte]), 100)
                           for byte in xz(MIB))
        self.assertEqual((b'a' * 100, True), (content, part.eof))

    def test_a_header_without_an_end(self) -> None:
        part = windows.BoundedPart(lzma.LZMADecompressor, lambda _: None, 1)
        with self.assertRaises(errors.DecodeError):
            for _ in range(100):
                part.decompress(bytes(100), 100)
