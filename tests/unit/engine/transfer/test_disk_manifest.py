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
import typing
from unittest import mock

from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.formats import base as formats
from ironic_imagedeploy.engine import manifest
from ironic_imagedeploy.engine.transfer import disk_manifest
from tests.unit.engine import base
from tests.unit.engine import manifests
from tests.unit.engine import memory
from tests.unit.engine import qcow2_builder as qcow2
from tests.unit.engine import transfers

KIB = base.KIB
MIB = base.MIB


class DiskManifestTestCase(transfers.TransferTestCase):

    def opened(self, file: bytes | bytearray) -> formats.MappedImage:
        """The image in a file."""
        self.source = memory.MemorySource(bytes(file))
        image = engine.inspect(self.source, engine.Expectation()).accepted()
        assert isinstance(image, formats.MappedImage)
        return image

    def made(self, file: bytes | bytearray) -> manifest.Manifest:
        """The manifest of the disk, decoded from its only encoding."""
        found = disk_manifest.make(self.opened(file), self.source,
                                   manifests.sha512(bytes(file)))
        self.assert_no_threads()
        return manifest.Manifest.decode(
            found.encode(), checksum=manifests.sha512(bytes(file)))

    def assert_made(self, builder: qcow2.Builder, **last: typing.Any
                    ) -> None:
        """It is the manifest of a raw file with the same bytes."""
        found = self.made(builder.build(**last))
        expected = manifests.built(bytes(builder.disk))
        self.assertEqual(expected.size, found.size)
        self.assertEqual(expected.digests, found.digests)
        self.assertEqual(expected.zero_map, found.zero_map)


class DiskManifestTest(DiskManifestTestCase):

    def test_all_kinds_of_clusters(self) -> None:
        for seed in range(4):
            with self.subTest(seed=seed):
                self.assert_made(qcow2.fill(qcow2.Builder(
                    5 * MIB + 512 * seed, seed=seed), 'dcczZ.'))

    def test_clusters_of_any_size(self) -> None:
        for bits in (9, 12, 21):
            with self.subTest(bits=bits):
                self.assert_made(qcow2.fill(qcow2.Builder(
                    9 * MIB if bits == 21 else 3 * MIB, seed=bits,
                    cluster_bits=bits), 'ccd.'))

    def test_zstd(self) -> None:
        self.assert_made(qcow2.fill(qcow2.Builder(
            3 * MIB, seed=5, compression='zstd'), 'ccz'))

    def test_a_disk_smaller_than_a_cluster(self) -> None:
        builder = qcow2.Builder(MIB + 512, seed=2)
        for index in range(builder.clusters):
            builder.compressed(index, qcow2.text(builder.dice, 65536))
        self.assert_made(builder, last='compressed')

    def test_an_empty_disk(self) -> None:
        builder = qcow2.Builder(70 * MIB)
        builder.zero(0)
        found = self.made(builder.build())
        self.assertTrue(all(map(found.is_zero, range(70))))

    def test_two_chunks_at_a_time(self) -> None:
        builder = qcow2.fill(qcow2.Builder(4 * MIB, seed=6), 'c')
        together = threading.Barrier(2, timeout=10)
        hashed = disk_manifest._hashed

        def slow(*arguments: typing.Any) -> typing.Any:
            together.wait()
            return hashed(*arguments)

        with mock.patch.object(disk_manifest, '_hashed', slow):
            self.assert_made(builder)

    def test_few_chunks_are_ahead(self) -> None:
        """The extents of each are held, however large the disk is."""
        image = self.opened(
            qcow2.fill(qcow2.Builder(9 * MIB, seed=6), 'c').build())
        resumed, full = threading.Event(), threading.Event()
        ahead: list[int] = []
        chunks, hashed = disk_manifest._chunks, disk_manifest._hashed

        def counted(*arguments: typing.Any) -> typing.Iterator[typing.Any]:
            for start, extents in chunks(*arguments):
                ahead.append(start // MIB)
                if len(ahead) == 5:
                    full.set()
                yield start, extents

        def slow(*arguments: typing.Any) -> typing.Any:
            resumed.wait(30)
            return hashed(*arguments)

        with mock.patch.multiple(disk_manifest, _chunks=counted,
                                 _hashed=slow):
            making = threading.Thread(target=disk_manifest.make, args=(
                image, self.source, manifests.sha512(b'')))
            making.start()
            self.assertTrue(full.wait(10))
            making.join(0.1)
            self.assertEqual([*range(5)], ahead)
            resumed.set()
            making.join(30)
        self.assertEqual([*range(9)], ahead)

    def test_a_cluster_that_cannot_be_decoded(self) -> None:
        builder = qcow2.Builder(8 * MIB, seed=1)
        for index in range(builder.clusters):
            builder.compressed(index, qcow2.text(builder.dice, 65536))
        file = builder.build()
        for index in range(40, 60):
            place = builder.places[f'compressed-{index}']
            file[place:place + 64] = b'\xff' * 64
        with self.assertRaisesRegex(exceptions.ImageRefused, 'corrupt'):
            self.made(file)
        self.assert_no_threads()


class UseTest(DiskManifestTestCase):
    """Whether it is worth the work."""

    def is_of_use(self, kinds: str, size: int = 3 * MIB) -> bool:
        return disk_manifest.is_of_use(self.opened(
            qcow2.fill(qcow2.Builder(size, seed=1), kinds).build()))

    def test_compressed(self) -> None:
        self.assertTrue(self.is_of_use('dcz'))

    def test_not_compressed(self) -> None:
        self.assertFalse(self.is_of_use('dz.'))

    def test_raw(self) -> None:
        image = self.raw().accepted()
        self.assertFalse(disk_manifest.is_of_use(image))

    def test_little_that_becomes_much(self) -> None:
        builder = qcow2.Builder(64 * MIB)
        for index in range(builder.clusters):
            builder.compressed(index, bytes([index & 1 or 2]) * 65536)
        image = self.opened(builder.build())
        ratio = 64 * MIB // self.source.size
        for most, expected in ((ratio, False), (ratio + 1, True)):
            with mock.patch.object(disk_manifest, '_MOST_RATIO', most):
                self.assertEqual(expected, disk_manifest.is_of_use(image))
