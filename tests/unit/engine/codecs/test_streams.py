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

import bz2
from collections.abc import Iterator
import gzip
import itertools
import lzma
import random
import sys
from unittest import mock
import zlib

from ironic_imagedeploy.engine.codecs import compressions
from ironic_imagedeploy.engine.codecs import errors
from ironic_imagedeploy.engine.codecs import streams
from tests.unit.engine import base

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

KIB = base.KIB
MIB = base.MIB
PACK = {'gz': gzip.compress, 'xz': lzma.compress, 'bz2': bz2.compress,
        'zstd': zstd.compress}
#: A frame of zstd that holds no data.
SKIPPABLE = b'\x5a\x2a\x4d\x18' + (12).to_bytes(4, 'little') + bytes(12)


def decoder(name: str) -> streams.Decoder:
    """What unpacks that kind."""
    return streams.Decoder(compressions.COMPRESSIONS[name])


def feed(name: str, stored: bytes, step: int = MIB) -> Iterator[bytes]:
    """Unpack a file that comes in steps of so many bytes."""
    unpacker = decoder(name)
    for start in range(0, len(stored), step):
        yield from unpacker.decode(memoryview(stored)[start:start + step])
    unpacker.finish()


def zst(content: bytes, log: int) -> bytes:
    """A frame with a window of that many bits."""
    frame = zstd.ZstdCompressor(options={
        zstd.CompressionParameter.window_log: log})
    return frame.compress(content) + frame.flush()


class DecoderTestCase(base.EngineTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.dice = random.Random(11)
        self.content = (self.dice.randbytes(300 * KIB) + bytes(MIB)
                        + b'abc' * 100 * KIB + self.dice.randbytes(7))

    def kinds(self) -> Iterator[tuple[str, bytes]]:
        """Each kind, and the content packed by it."""
        for name in compressions.COMPRESSIONS:
            with self.subTest(name):
                yield name, PACK[name](self.content)

    def assert_unpacked(self, name: str, stored: bytes, step: int = MIB,
                        expected: bytes | None = None) -> None:
        expected = self.content if expected is None else expected
        self.assert_same(expected, b''.join(feed(name, stored, step)))

    def assert_damaged(self, name: str, stored: bytes) -> None:
        """Damaged, and not just incomplete."""
        with self.assertRaises(errors.DecodeError) as caught:
            for _ in feed(name, stored):
                pass
        self.assertNotIsInstance(caught.exception, errors.IncompleteError)


class GoodTest(DecoderTestCase):

    def test_all_are_supported_here(self) -> None:
        self.assertEqual({'gz', 'xz', 'bz2', 'zstd'},
                         set(compressions.COMPRESSIONS))

    def test_whole_and_in_small_steps(self) -> None:
        for name, stored in self.kinds():
            for step in (len(stored), 64 * KIB, 4099):
                self.assert_unpacked(name, stored, step)

    def test_byte_by_byte(self) -> None:
        content = self.dice.randbytes(2000) + bytes(50000)
        for name in compressions.COMPRESSIONS:
            with self.subTest(name):
                self.assert_unpacked(name, PACK[name](content) * 3, 1,
                                     content * 3)

    def test_pieces_are_small(self) -> None:
        for name in compressions.COMPRESSIONS:
            with self.subTest(name):
                pieces = list(feed(name, PACK[name](bytes(8 * MIB))))
                self.assertLessEqual(max(map(len, pieces)), streams.PIECE)
                self.assertGreater(min(map(len, pieces)), 0)
                self.assertEqual(8 * MIB, sum(map(len, pieces)))

    def test_nothing_is_unpacked_ahead(self) -> None:
        """One piece of a bomb costs no more than a piece."""
        for name in compressions.COMPRESSIONS:
            with self.subTest(name):
                stored = PACK[name](bytes(64 * MIB))
                taken = list(itertools.islice(
                    decoder(name).decode(stored), 3))
                self.assertLessEqual(sum(map(len, taken)),
                                     3 * streams.PIECE)

    def test_parts_follow_each_other(self) -> None:
        for name in compressions.COMPRESSIONS:
            parts = [self.content[start:start + 100 * KIB] for start in range(
                0, len(self.content), 100 * KIB)]
            with self.subTest(name):
                self.assert_unpacked(name, b''.join(
                    PACK[name](part) for part in parts), 1009)

    def test_empty_parts_between(self) -> None:
        for name, stored in self.kinds():
            empty = PACK[name](b'')
            self.assert_unpacked(name, empty * 3 + stored + empty)

    def test_nothing_in_it(self) -> None:
        for name in compressions.COMPRESSIONS:
            with self.subTest(name):
                self.assert_unpacked(name, PACK[name](b''), expected=b'')

    def test_sizes_at_the_edge_of_a_piece(self) -> None:
        for name in compressions.COMPRESSIONS:
            for size in (streams.PIECE - 1, streams.PIECE,
                         streams.PIECE + 1, 2 * streams.PIECE):
                content = self.dice.randbytes(1000).ljust(size, b'.')
                with self.subTest(name=name, size=size):
                    self.assert_unpacked(name, PACK[name](content) * 2, 100,
                                         content * 2)

    def test_padding(self) -> None:
        gz, xz = gzip.compress(self.content), lzma.compress(self.content)
        for step in (MIB, len(gz) - 1, len(gz), 4099):
            for count in (1, 511, 10000):
                self.assert_unpacked('gz', gz + bytes(count), step)
        for count in (4, 8, 4096):
            self.assert_unpacked('xz', xz + bytes(count))
            self.assert_unpacked('xz', xz + bytes(count) + xz, 1001,
                                 self.content * 2)

    def test_skippable_frames(self) -> None:
        frame = zstd.compress(self.content)
        for step in (MIB, 7):
            self.assert_unpacked(
                'zstd', SKIPPABLE + frame + SKIPPABLE + frame + SKIPPABLE,
                step, self.content * 2)

    def test_the_largest_settings_that_are_allowed(self) -> None:
        self.assert_unpacked('xz', lzma.compress(self.content, preset=9))
        self.assert_unpacked('bz2', bz2.compress(self.content, 9))
        self.assert_unpacked('zstd', zstd.compress(self.content, 19))

    def test_header_fields_of_gzip(self) -> None:
        """Extra field, name, comment, header CRC (RFC 1952, 2.3.1)."""
        plain = gzip.compress(self.content, mtime=0)
        fields = {4: b'\3\0abc', 8: b'disk.raw\0', 16: b'n' * 70000 + b'\0'}
        for flags in range(0, 32, 2):
            head = bytes([*plain[:3], flags, *plain[4:10]]) + b''.join(
                field for bit, field in fields.items() if flags & bit)
            if flags & 2:
                head += (zlib.crc32(head) & 0xffff).to_bytes(2, 'little')
            for step in (MIB, 11, 14):
                with self.subTest(flags=flags, step=step):
                    self.assert_unpacked('gz', head + plain[10:], step)


class BadTest(DecoderTestCase):

    def test_truncated_anywhere(self) -> None:
        content = self.dice.randbytes(700) + bytes(3000)
        for name in compressions.COMPRESSIONS:
            stored = PACK[name](content)
            for end in range(len(stored)):
                with self.subTest(name=name, end=end), \
                        self.assertRaises(errors.IncompleteError):
                    list(feed(name, stored[:end]))

    def test_truncated_in_the_second_part(self) -> None:
        for name, stored in self.kinds():
            for missing in (1, 5, len(stored) // 2, len(stored) - 1):
                with self.assertRaises(errors.IncompleteError):
                    list(feed(name, (stored * 2)[:-missing]))

    def test_garbage_after_it(self) -> None:
        for name in ('xz', 'zstd'):
            self.assert_damaged(name, PACK[name](self.content)
                                + b'garbage that follows it')

    def test_garbage_instead(self) -> None:
        for name in compressions.COMPRESSIONS:
            with self.subTest(name):
                self.assert_damaged(name, self.dice.randbytes(4096))

    def test_any_bit(self) -> None:
        """Nobody takes other bytes for the content, at the least."""
        for name in compressions.COMPRESSIONS:
            stored = PACK[name](self.content[:290 * KIB])
            if name == 'zstd':
                stored = zstd.compress(self.content[:290 * KIB], options={
                    zstd.CompressionParameter.checksum_flag: 1})
            for _ in range(60):
                changed = bytearray(stored)
                changed[self.dice.randrange(
                    10, len(changed))] ^= 1 << self.dice.randrange(8)
                with self.subTest(name), \
                        self.assertRaises(errors.DecodeError):
                    list(feed(name, bytes(changed)))

    def test_flags_of_gzip_that_nobody_knows(self) -> None:
        for flag in (0x20, 0x40, 0x80):
            stored = bytearray(gzip.compress(b'x' * 5000))
            stored[3] |= flag
            self.assert_damaged('gz', stored)

    def test_wrong_checks_at_the_end_of_gzip(self) -> None:
        stored = bytearray(gzip.compress(self.content))
        for place in range(-8, 0):
            changed = stored.copy()
            changed[place] ^= 0x10
            self.assert_damaged('gz', bytes(changed))

    def test_padding_that_is_none(self) -> None:
        gz, xz = gzip.compress(self.content), lzma.compress(self.content)
        self.assert_damaged('gz', gz + bytes(512) + gz)
        self.assert_damaged('xz', xz + bytes(3))
        self.assert_damaged('xz', xz + bytes(6) + xz)
        self.assert_damaged('xz', bytes(4) + xz)
        self.assert_damaged('zstd', zstd.compress(self.content) + bytes(4))

    def test_padding_without_an_end(self) -> None:
        with mock.patch.object(streams, '_MOST_PADDING', 100):
            for name in ('gz', 'xz'):
                stored = PACK[name](self.content) + bytes(100)
                self.assert_unpacked(name, stored)
                self.assert_damaged(name, stored + bytes(4))

    def test_a_row_of_nothing(self) -> None:
        for name in compressions.COMPRESSIONS:
            with self.subTest(name):
                self.assert_damaged(name, PACK[name](b'') * 1100)

    def test_windows_that_take_too_much_memory(self) -> None:
        xz = lzma.compress(b'a', filters=[
            {'id': lzma.FILTER_LZMA2, 'dict_size': 192 * MIB}])
        for name, stored in (('xz', xz), ('zstd', zst(self.content, 28))):
            with self.subTest(name), \
                    self.assertRaises(errors.WindowTooLarge):
                list(feed(name, stored))

    def test_the_bound_is_the_caller_s(self) -> None:
        for log, memory in ((23, 8 * MIB), (24, 20 * MIB), (27, 128 * MIB)):
            stored = zst(self.content, log)
            for limit in (memory, (1 << log) - 1):
                unpacker = streams.Decoder(
                    compressions.COMPRESSIONS['zstd'], limit)
                with self.subTest(log=log, limit=limit):
                    if limit == memory:
                        self.assert_same(self.content, b''.join(
                            unpacker.decode(stored)))
                    else:
                        self.assertRaises(errors.WindowTooLarge, list,
                                          unpacker.decode(stored))


class TailTest(DecoderTestCase):
    """Bytes after the last part, which gzip and bzip2 leave out."""

    TAILS = (b'x', b'FWx0' + bytes(12), b'{ "metadata_version": "1.1" }' * 20,
             b'\x1f\0', b'BZx')

    def left_out(self, name: str, stored: bytes, step: int) -> int:
        unpacker = decoder(name)
        content = b''.join(piece for start in range(0, len(stored), step)
                           for piece in unpacker.decode(
                               stored[start:start + step]))
        unpacker.finish()
        self.assert_same(self.content, content)
        return unpacker.left_out

    def test_tails(self) -> None:
        for name in ('gz', 'bz2'):
            stored = PACK[name](self.content)
            for tail in self.TAILS:
                for step in (MIB, len(stored), len(stored) + 1, 4099):
                    with self.subTest(name=name, tail=tail[:5], step=step):
                        self.assertEqual(len(tail), self.left_out(
                            name, stored + tail, step))

    def test_padding_before_it(self) -> None:
        stored = PACK['gz'](self.content)
        for tail in self.TAILS:
            for count in (1, 8, 4099):
                self.assertEqual(len(tail), self.left_out(
                    'gz', stored + bytes(count) + tail, 1 << 16))

    def test_the_first_byte_of_a_part(self) -> None:
        """A file that was cut, rather than one with a tail."""
        for name, tail in (('gz', b'\x1f'), ('bz2', b'BZ')):
            with self.assertRaises(errors.IncompleteError):
                self.left_out(name, PACK[name](self.content) + tail, 4099)

    def test_nothing_is_left_out_of_a_good_file(self) -> None:
        for name, stored in self.kinds():
            self.assertEqual(0, self.left_out(name, stored, 4099))
        self.assertEqual(0, self.left_out(
            'gz', PACK['gz'](self.content) + bytes(512), 4099))

    def test_more_than_a_tail(self) -> None:
        """A damaged header would hide the members that follow it."""
        for name in ('gz', 'bz2'):
            stored = PACK[name](self.content)
            self.assert_damaged(name, stored + b'x' * (
                streams.MOST_LEFT_OUT + 1))

    def test_a_member_after_padding(self) -> None:
        stored = PACK['gz'](self.content)
        self.assert_damaged('gz', stored + bytes(3) + stored)
