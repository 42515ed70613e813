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
import random
import unittest

from ironic_imagedeploy.engine import bmap
from ironic_imagedeploy.engine import checksum
from ironic_imagedeploy.engine import exceptions

SIZE = 100 * 4096 + 7
VALUE = hashlib.sha256(b'range').hexdigest()
CHECKSUM = checksum.Checksum('sha256', VALUE)
RANGES = (bmap.Range(0, 4096, CHECKSUM),
          bmap.Range(5 * 4096, 9 * 4096, CHECKSUM),
          bmap.Range(99 * 4096, SIZE, CHECKSUM))
GOOD = bmap.Bmap(SIZE, 4096, RANGES)

#: Version 1.3 as bmaptool 1.0 wrote it.
OLD = b"""<?xml version="1.0" ?>
<!-- a comment -->
<bmap version="1.3">
    <ImageSize> 20000 </ImageSize>
    <BlockSize> 4096 </BlockSize>
    <BlocksCount> 5 </BlocksCount>
    <MappedBlocksCount> 3    </MappedBlocksCount>
    <BmapFileSHA1> 0000000000000000000000000000000000000000 </BmapFileSHA1>
    <BlockMap>
        <Range sha1="da39a3ee5e6b4b0d3255bfef95601890afd80709"> 0-1 </Range>
        <Range sha1="da39a3ee5e6b4b0d3255bfef95601890afd80709"> 4 </Range>
    </BlockMap>
</bmap>
"""


def sealed(content: bytes, algorithm: str = 'sha256') -> bytes:
    """The block map with its own checksum in place of the old one."""
    digits = hashlib.new(algorithm).digest_size * 2
    found = [line for line in content.split(b'\n') if b'BmapFile' in line][0]
    old = found.split()[1]
    content = content.replace(old, b'0' * digits, 1)
    value = hashlib.new(algorithm, content).hexdigest().encode()
    return content.replace(b'0' * digits, value, 1)


class DecodeTest(unittest.TestCase):

    def assert_refused(self, content: bytes, words: str) -> None:
        with self.assertRaisesRegex(exceptions.InvalidBmap, words):
            bmap.Bmap.decode(content)

    def changed(self, old: str, new: str) -> bytes:
        """A block map that was made so, with the right checksum."""
        encoded = GOOD.encode()
        self.assertIn(old.encode(), encoded)
        return sealed(encoded.replace(old.encode(), new.encode(), 1))

    def test_there_and_back(self) -> None:
        self.assertEqual(GOOD, bmap.Bmap.decode(GOOD.encode()))
        self.assertTrue(GOOD.proven)
        self.assertEqual(5 * 4096 + 4096 + 7, GOOD.listed_size)

    def test_sealed_does_what_it_says(self) -> None:
        self.assertEqual(GOOD.encode(), sealed(GOOD.encode()))

    def test_an_old_version(self) -> None:
        found = bmap.Bmap.decode(sealed(OLD, 'sha1'))
        self.assertEqual([(0, 8192), (16384, 20000)], [
            (listed.start, listed.end) for listed in found.ranges])
        self.assertEqual('sha1', found.ranges[0].checksum.algorithm)
        self.assert_refused(OLD, 'of the block map itself')

    def test_versions_without_checksums(self) -> None:
        for version in (b'1.0', b'1.1', b'1.2'):
            content = OLD.replace(b'1.3', version)
            found = bmap.Bmap.decode(content)
            self.assertFalse(found.proven)
            self.assertIsNone(found.ranges[0].checksum)

    def test_what_was_2_0_is_called_1_4_in_some(self) -> None:
        self.assertEqual(RANGES, bmap.Bmap.decode(
            self.changed('version="2.0"', 'version="1.4"')).ranges)

    def test_newer_minor_versions(self) -> None:
        self.assertEqual(GOOD, bmap.Bmap.decode(
            self.changed('version="2.0"', 'version="2.7"')))

    def test_other_versions(self) -> None:
        for version in ('', '3.0', '0.9', '2', 'x', '2.0.0', '99999.0'):
            self.assert_refused(
                self.changed('version="2.0"', f'version="{version}"'),
                'version 1.0 to 2')

    def test_every_byte_counts(self) -> None:
        encoded = GOOD.encode()
        for at in range(0, len(encoded), 3):
            damaged = bytearray(encoded)
            damaged[at] ^= 2
            self.assertRaises(exceptions.InvalidBmap, bmap.Bmap.decode,
                              bytes(damaged))

    def test_every_truncation(self) -> None:
        encoded = GOOD.encode().rstrip()
        for length in range(len(encoded)):
            self.assertRaises(exceptions.InvalidBmap, bmap.Bmap.decode,
                              encoded[:length])

    def test_numbers_that_contradict_each_other(self) -> None:
        for old, new, words in (
                ('> 409607 <', f'> {1 << 63} <', 'a disk of'),
                ('> 409607 <', f'> {"9" * 5000} <', 'long|number'),
                ('> 409607 <', '> -1 <', 'a number'),
                ('> 409607 <', '> 0x10 <', 'a number'),
                ('> 409607 <', '> ٣ <', 'a number'),
                ('> 409607 <', '> 0 <', 'a disk of 1'),
                ('<BlockSize> 4096', '<BlockSize> 0', 'power of two'),
                ('<BlockSize> 4096', '<BlockSize> 4097', 'power of two'),
                ('<BlockSize> 4096', '<BlockSize> 256', 'power of two'),
                ('<BlockSize> 4096', f'<BlockSize> {1 << 40}', 'power of'),
                ('<BlocksCount> 101', '<BlocksCount> 102', '101 blocks'),
                ('Count> 7 <', 'Count> 8 <', 'that are listed'),
                ('> 5-8 <', '> 5-200 <', 'blocks from'),
                ('> 5-8 <', '> 8-5 <', 'blocks from'),
                ('> 5-8 <', '> 0 <', 'blocks from'),
                ('> 5-8 <', '> x <', 'blocks from'),
                ('> 5-8 <', '> 5-8-9 <', 'blocks from'),
                ('> sha256 <', '> crc32 <', 'a checksum'),
                ('> sha256 <', '> md5 <', 'a checksum'),
                (f'chksum="{VALUE}"', 'chksum="abc"', 'a checksum'),
                ('<BlockSize> 4096 </BlockSize>', '', 'BlockSize')):
            with self.subTest(old=old, new=new):
                self.assert_refused(self.changed(old, new), words)

    def test_a_map_that_lists_nothing(self) -> None:
        # A write by it would leave an empty disk, and call that proven.
        self.assert_refused(bmap.Bmap(SIZE, 4096, ()).encode(),
                            'blocks that are listed')

    def test_hostile_xml(self) -> None:
        entities = b'<!DOCTYPE bmap [<!ENTITY a "aaaaaaaaaa">]>'
        for content, words in (
                (b'', 'XML'), (b'bmap', 'XML'), (b'<a/>', 'elements'),
                (b'\0' * 1000, 'XML'),
                (b'<?xml version="1.0" encoding="foo"?><bmap/>', 'XML'),
                (b'<?xml version="1.0" encoding="hex"?><bmap/>', 'XML'),
                (b'<?xml version="1.0" encoding="big5"?><bmap/>', 'XML'),
                (GOOD.encode().replace(b'<bmap', entities + b'<bmap'),
                 'document type'),
                (b'<bmap version="2.0">' + b'<a>' * 10000, 'elements'),
                (b'<bmap version="2.0"><ImageSize>' + b'1' * 100000,
                 'short texts'),
                (self.changed('<BlockSize> 4096 </BlockSize>',
                              '<BlockSize> 4096 </BlockSize>' * 2),
                 'one BlockSize'),
                (b'<bmap version="1.2"><BlockMap>' + b'<Range/>' * (
                    bmap._MOST_ELEMENTS), 'at most 262144 elements'),
                (bytes(bmap.MOST_BYTES + 1), 'at most')):
            with self.subTest(content=content[:60]):
                self.assert_refused(content, words)

    def test_no_secret_of_the_file_in_an_error(self) -> None:
        with self.assertRaises(exceptions.InvalidBmap) as caught:
            bmap.Bmap.decode(b'<bmap version="\x1b[2J' + b'x' * 5000 + b'"/>')
        self.assertLess(len(str(caught.exception)), 3000)
        self.assertNotIn('\x1b', str(caught.exception))


class RangeDigestsTest(unittest.TestCase):

    def test_ranges_in_pieces_of_any_size(self) -> None:
        content = random.Random(3).randbytes(SIZE)
        for piece in (1000, 4096, 50_000, SIZE):
            digests = bmap.RangeDigests(RANGES, 'sha256')
            found = []
            for start in range(0, SIZE, piece):
                found += digests.update(
                    memoryview(content)[start:start + piece])
            self.assertEqual(SIZE, digests.position)
            self.assertEqual(
                [(listed, hashlib.sha256(
                    content[listed.start:listed.end]).hexdigest())
                 for listed in RANGES], found)

    def test_nothing_is_listed(self) -> None:
        digests = bmap.RangeDigests((), 'sha256')
        self.assertEqual([], list(digests.update(memoryview(b'abc'))))
