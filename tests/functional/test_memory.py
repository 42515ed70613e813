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

"""The memory of a write is bounded, whatever the size of the image.

The whole promise, 8 GiB of disk with 5 GiB of data, takes minutes and some
GiB of temporary space: set IMAGEDEPLOY_LARGE=1 for it.
"""


from array import array
import os
import pathlib

from tests.functional import base
from tests.functional import memory
from tests.support import disks
from tests.support import images
from tests.support import web

BOUND = memory.BOUND
make_large = memory.make_large
measure = memory.measure
MIB = base.MIB
GIB = 1 << 30


class MemoryTestCase(base.FunctionalTestCase):
    """Measures the installed program in a process of its own."""

    def check(self, virtual_size: int, data_size: int, *options: str
              ) -> None:
        """Write such a qcow2 from a web server in little memory."""
        guest = make_large(self.directory / 'guest', virtual_size, data_size)
        image = images.convert(guest, self.directory / 'image',
                               ','.join(options), compress=bool(options))
        self.write(guest, image, '--checksum', disks.checksum(image))

    def write(self, guest: pathlib.Path, image: pathlib.Path, *how: str
              ) -> None:
        """Write an image from a web server in little memory.

        :param guest: disk that is in it.
        :param how: options that say what is verified.
        """
        server = web.Server(self.directory)
        self.addCleanup(server.stop)
        target = self.directory / 'target'
        with target.open('wb') as file:
            file.truncate(guest.stat().st_size)
        with self.attached(target) as device:
            peak = measure(base.PROGRAM, 'write', server.url(image.name),
                           device, '--verify', 'full', *how)
        self.assertLess(peak, BOUND)
        self.assertGreater(peak, 16 * MIB, 'nothing was measured')
        self.assertEqual('', disks.run('cmp', guest, target))


class ModerateTest(MemoryTestCase):
    """1 GiB of disk, up to 600 MiB of data."""

    def test_uncompressed(self) -> None:
        self.check(GIB, 600 * MIB)

    def test_zlib(self) -> None:
        self.check(GIB, 100 * MIB, 'compression_type=zlib')

    def test_zstd(self) -> None:
        self.check(GIB, 600 * MIB, 'compression_type=zstd')

    def test_largest_clusters(self) -> None:
        self.check(GIB, 150 * MIB, 'compression_type=zstd',
                   'cluster_size=2097152')

    def test_smallest_clusters(self) -> None:
        self.check(GIB, 24 * MIB, 'compression_type=zstd', 'cluster_size=512')


class ManifestTest(MemoryTestCase):
    """The same by a manifest: lanes, their buffers, and chunks kept."""

    def check(self, virtual_size: int, data_size: int, *options: str
              ) -> None:
        guest = make_large(self.directory / 'guest', virtual_size, data_size)
        image = guest
        if options:
            image = images.convert(guest, self.directory / 'image',
                                   ','.join(options), compress=True)
        manifest = self.directory / 'manifest'
        disks.run(base.PROGRAM, 'manifest', image, '-o', manifest)
        self.write(guest, image, '--manifest', str(manifest))

    def test_raw(self) -> None:
        self.check(GIB, 600 * MIB)

    def test_zlib(self) -> None:
        self.check(GIB, 100 * MIB, 'compression_type=zlib')

    def test_zstd(self) -> None:
        self.check(GIB, 600 * MIB, 'compression_type=zstd')

    def test_largest_clusters(self) -> None:
        self.check(GIB, 150 * MIB, 'compression_type=zstd',
                   'cluster_size=2097152')


class TablesTest(MemoryTestCase):
    """Disks with tables for millions of clusters."""

    def look(self, size: str, expected: int) -> str:
        """Check a disk whose clusters each have their own place."""
        image = self.directory / 'image'
        disks.run('qemu-img', 'create', '-q', '-f', 'qcow2', '-o',
                  'preallocation=metadata,cluster_size=256k', image, size)
        scatter(image)
        said = self.directory / 'said'
        peak = measure('sh', '-c', f'exec "$0" check --json "$1" >{said}',
                       base.PROGRAM, image, status=expected)
        self.assertLess(peak, BOUND)
        self.assertGreater(peak, 16 * MIB, 'nothing was measured')
        return said.read_text()

    def test_in_pieces(self) -> None:
        self.assertIn('"virtual_size": 1099511627776', self.look('1T', 0))

    def test_in_too_many_pieces(self) -> None:
        self.assertIn('"code": "too-complex"', self.look('12T', 4))


class LargeTest(MemoryTestCase):
    """8 GiB of disk, 5 GiB of data."""

    def setUp(self) -> None:
        if not os.environ.get('IMAGEDEPLOY_LARGE'):
            self.skipTest('takes minutes; IMAGEDEPLOY_LARGE=1 asks for it')
        super().setUp()

    def test_zlib(self) -> None:
        self.check(8 * GIB, 5 * GIB, 'compression_type=zlib')

    def test_zstd(self) -> None:
        self.check(8 * GIB, 5 * GIB, 'compression_type=zstd')


def scatter(image: pathlib.Path) -> None:
    """Swap neighbours in the level 2 tables, so that nothing joins."""
    with image.open('r+b') as file:
        header = file.read(48)
        cluster = 1 << int.from_bytes(header[20:24], 'big')
        tables = array('Q')
        file.seek(int.from_bytes(header[40:48], 'big'))
        tables.frombytes(file.read(8 * int.from_bytes(header[36:40], 'big')))
        tables.byteswap()
        for table in tables:
            offset = table & 0x00fffffffffffe00
            file.seek(offset)
            entries = array('Q', file.read(cluster))
            entries[::2], entries[1::2] = entries[1::2], entries[::2]
            file.seek(offset)
            file.write(entries)
