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

import dataclasses
import hashlib
import random
import struct
import unittest

from ironic_imagedeploy.engine import checksum
from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine import manifest
from tests.unit.engine import manifests

MIB = 1 << 20
HEAD = 104
CONTENT = manifests.CONTENT


class ScaleTest(unittest.TestCase):

    def test_the_manifest_of_any_file_is_bounded(self) -> None:
        for size, chunk_size, zero_block in (
                (1, MIB, 16384), (64 << 30, MIB, 16384),
                ((64 << 30) + 1, 2 * MIB, 32768),
                ((128 << 30) + 1, 4 * MIB, 65536),
                (manifest.LARGEST, 4 * MIB, 65536)):
            with self.subTest(size=size):
                self.assertEqual(
                    (chunk_size, zero_block), (
                        manifest.chunk_size_for(size),
                        manifest.zero_block_for(size)))
                count = -(-size // chunk_size)
                made = manifest.Manifest(
                    size=size, chunk_size=chunk_size, zero_block=zero_block,
                    checksum=manifests.sha512(b''),
                    zero_map=bytes(-(-size // zero_block // 8)),
                    digests=b'x' * 32 * count)
                self.assertLessEqual(made.encoded_size, manifest.MOST_BYTES)
                self.assertEqual(made.encoded_size, len(made.encode()))

    def test_a_file_that_is_fetched_here_and_there(self) -> None:
        for size, chunk_size in (
                (1, 256 << 10), (16 << 30, 256 << 10),
                ((16 << 30) + 1, 512 << 10), ((32 << 30) + 1, MIB),
                ((64 << 30) + 1, 2 * MIB), (manifest.LARGEST, 4 * MIB)):
            with self.subTest(size=size):
                self.assertEqual(chunk_size, manifest.chunk_size_for(
                    size, finer=True))

    def test_a_file_is_not_cut_finer_than_its_manifest_may_be(self) -> None:
        with self.assertRaisesRegex(exceptions.InvalidManifest, 'at most'):
            manifest.Manifest(
                size=manifest.LARGEST, chunk_size=MIB, zero_block=4096,
                checksum=manifests.sha512(b''),
                zero_map=bytes(manifest.LARGEST // 4096 // 8),
                digests=bytes(manifest.LARGEST // MIB * 32))


class ZeroesTest(unittest.TestCase):

    def test_ranges_with_data(self) -> None:
        made = manifests.built(CONTENT)
        block = made.zero_block
        self.assertEqual(
            [(0, block), (70_000 // block * block, 70_000 // block * block
                          + block),
             (2 * MIB - block, 2 * MIB + block), (5 * MIB, 5 * MIB + 700)],
            list(made.data_ranges(0, len(CONTENT))))

    def test_ranges_within_what_is_asked_for(self) -> None:
        made = manifests.built(CONTENT)
        for start, end, expected in (
                (2 * MIB - 3, 2 * MIB + 3, [(2 * MIB - 3, 2 * MIB + 3)]),
                (3 * MIB, 4 * MIB, []), (5, 5, []), (5, 6, [(5, 6)]),
                (5 * MIB + 9, len(CONTENT), [(5 * MIB + 9, 5 * MIB + 700)])):
            with self.subTest(start=start, end=end):
                self.assertEqual(expected,
                                 list(made.data_ranges(start, end)))

    def test_small_gaps_are_taken_along(self) -> None:
        made = manifests.built(CONTENT)
        self.assertEqual(
            [(0, 70_000 // made.zero_block * made.zero_block
              + made.zero_block)],
            list(made.data_ranges(0, MIB, gap=MIB)))

    def test_chunks_of_zeroes(self) -> None:
        made = manifests.built(CONTENT)
        self.assertEqual(
            [False, False, False, True, True, False],
            [made.is_zero(index) for index in range(made.count)])

    def test_ranges_of_any_file(self) -> None:
        chance = random.Random(5)
        for _ in range(30):
            size = chance.randrange(1, 3 * MIB)
            content = manifests.image(size, {
                chance.randrange(size): b'\1' for _ in
                range(chance.randrange(40))})[:size]
            made = manifests.built(content)
            block = made.zero_block
            start, end = sorted(chance.choices(range(size + 1), k=2))
            ranges = list(made.data_ranges(start, end))
            self.assertEqual(ranges, sorted(ranges))
            left = bytearray(content[start:end])
            last = start - 1
            for first, after in ranges:
                self.assertLess(last, first)
                self.assertTrue(any(content[
                    first // block * block:-(-after // block) * block]))
                left[first - start:after - start] = bytes(after - first)
                last = after
            self.assertFalse(any(left))


class VerificationTest(unittest.TestCase):

    def test_other_bytes_do_not_match(self) -> None:
        made = manifests.built(CONTENT)
        chunk = bytearray(CONTENT[:MIB])
        chunk[MIB // 2] ^= 1
        self.assertFalse(made.matches(0, memoryview(chunk)))
        self.assertFalse(made.matches(1, CONTENT[:MIB]))
        self.assertFalse(made.matches(0, CONTENT[:MIB - 1]))
        self.assertFalse(made.matches(0, CONTENT[:MIB + 1]))

    def test_data_that_the_map_calls_zero_is_found(self) -> None:
        made = manifests.built(CONTENT)
        wrong = bytearray(made.zero_map)
        wrong[0] |= 1
        lying = dataclasses.replace(made, zero_map=bytes(wrong))
        chunk = bytearray(MIB)
        for start, end in lying.data_ranges(0, MIB):
            chunk[start:end] = CONTENT[start:end]
        self.assertFalse(lying.matches(0, memoryview(chunk)))


class EncodingTest(unittest.TestCase):

    def _refused(self, encoded: bytes, expected: str, **known) -> None:
        with self.assertRaisesRegex(exceptions.InvalidManifest, expected):
            manifest.Manifest.decode(encoded, **known)

    def _patched(self, offset: int, piece: bytes) -> bytes:
        encoded = bytearray(manifests.built(CONTENT).encode())
        encoded[offset:offset + len(piece)] = piece
        return bytes(encoded)

    def test_there_and_back(self) -> None:
        made = manifests.built(CONTENT)
        encoded = made.encode()
        self.assertEqual(made, manifest.Manifest.decode(
            encoded, root=made.root, size=len(CONTENT),
            checksum=manifests.sha512(CONTENT)))
        self.assertEqual(made.root, hashlib.sha256(encoded).hexdigest())
        self.assertEqual(len(encoded), made.encoded_size)

    def test_the_layout_is_the_one_that_is_documented(self) -> None:
        made = manifests.built(CONTENT)
        self.assertEqual(
            b'imgchunk' + bytes([0, 1, 20, made.zero_block.bit_length() - 1])
            + bytes(4) + struct.pack('>Q', len(CONTENT))
            + b'sha512'.ljust(16, b'\0') + hashlib.sha512(CONTENT).digest()
            + made.zero_map + made.digests, made.encode())

    def test_every_truncation_is_refused(self) -> None:
        encoded = manifests.built(CONTENT).encode()
        for length in range(len(encoded)):
            self._refused(encoded[:length], 'bytes, so that it is truncated')
        self._refused(encoded + b'\0', 'bytes')

    def test_every_flipped_bit_has_another_root(self) -> None:
        made = manifests.built(CONTENT)
        for at in range(made.encoded_size):
            encoded = bytearray(made.encode())
            encoded[at] ^= 1
            self._refused(bytes(encoded), 'the root', root=made.root)

    def test_another_file(self) -> None:
        self._refused(CONTENT[:1000], 'another file')
        self._refused(b'', 'at least 104 bytes')
        self._refused(bytes(manifest.MOST_BYTES + 1), 'at most')

    def test_other_versions(self) -> None:
        for version in (0, 2, 65535):
            self._refused(self._patched(8, struct.pack('>H', version)),
                          f'version {version}')

    def test_hostile_scales(self) -> None:
        for offset, what in ((10, 'chunk'), (11, 'zero block')):
            for bits in (0, 9, 23, 63, 64, 255):
                self._refused(self._patched(offset, bytes([bits])), what)

    def test_an_absurd_scale_is_told_by_its_power(self) -> None:
        for offset in (10, 11):
            with self.assertRaises(exceptions.InvalidManifest) as caught:
                manifest.Manifest.decode(self._patched(offset, b'\xff'))
            self.assertEqual('at least 2 to the power of 255',
                             caught.exception.found)

    def test_hostile_sizes(self) -> None:
        for size in (0, 1, 1 << 41, 1 << 62, 1 << 63, (1 << 64) - 1):
            with self.subTest(size=size):
                self._refused(self._patched(16, struct.pack('>Q', size)),
                              'bytes')

    def test_what_has_another_encoding(self) -> None:
        for offset, piece in (
                (12, b'\0\0\0\1'), (24, b'SHA512'), (24, b'sha-512'),
                (24, b'sha512\0x'), (24, b'sha512 ')):
            with self.subTest(piece=piece):
                self._refused(self._patched(offset, piece),
                              'only encoding|known algorithm')
        made = dataclasses.replace(
            manifests.built(CONTENT),
            checksum=checksum.Checksum('md5', '0' * 32))
        encoded = bytearray(made.encode())
        encoded[60] = 1
        self._refused(bytes(encoded), 'only encoding')

    def test_unknown_algorithms(self) -> None:
        for name in (b'', b'crc32', b'\xff' * 16, b'shake_128'):
            self._refused(self._patched(24, name.ljust(16, b'\0')),
                          'known algorithm')

    def test_blocks_after_the_image(self) -> None:
        made = manifests.built(bytes(10) + b'x')
        self._refused(
            made.encode()[:HEAD] + b'\x80' + made.digests, 'blocks after it')

    def test_a_zero_chunk_has_the_digest_of_zeroes(self) -> None:
        made = manifests.built(CONTENT)
        digests = bytearray(made.digests)
        digests[3 * 32] ^= 1
        self._refused(made.encode()[:-len(digests)] + digests,
                      'chunk 3 to be zero')

    def test_a_chunk_with_the_digest_of_zeroes_is_zero(self) -> None:
        made = manifests.built(CONTENT)
        zero_map = bytearray(made.zero_map)
        zero_map[len(zero_map) * 7 // 10] = 0
        self._refused(
            made.encode()[:HEAD] + zero_map + made.digests, 'to be zero')

    def test_the_manifest_of_another_image(self) -> None:
        encoded = manifests.built(CONTENT).encode()
        self._refused(encoded, 'of an image of 7 bytes', size=7)
        self._refused(encoded, 'the image with sha512',
                      checksum=manifests.sha512(b'x'))
        self._refused(
            encoded, 'the image with md5',
            checksum=checksum.Checksum('md5', '0' * 32))

    def test_noise(self) -> None:
        encoded = manifests.built(CONTENT).encode()
        chance = random.Random(12)
        for _ in range(3000):
            noisy = bytearray(encoded)
            for _ in range(chance.randrange(1, 4)):
                noisy[chance.randrange(HEAD + 60)] = chance.randrange(256)
            try:
                made = manifest.Manifest.decode(bytes(noisy))
            except exceptions.InvalidManifest:
                continue
            self.assertEqual(bytes(noisy), made.encode())

    def test_a_repr_is_short(self) -> None:
        self.assertLess(len(repr(manifests.built(CONTENT))), 400)
