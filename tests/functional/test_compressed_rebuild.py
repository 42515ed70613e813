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

"""Rebuilds with images of qemu-img whose clusters are compressed."""

import dataclasses
import pathlib
import random

from ironic_imagedeploy import engine
from ironic_imagedeploy.engine.formats import base as formats
from ironic_imagedeploy.engine import manifest
from ironic_imagedeploy.engine import manifest_builder
from ironic_imagedeploy.engine.transfer import disk_manifest
from tests.functional import base
from tests.support import disks
from tests.support import images
from tests.support import web

MIB = base.MIB
SIZE = 256 * MIB


@dataclasses.dataclass(frozen=True)
class Stored:
    """An image with its two manifests, as a conductor has it."""

    path: pathlib.Path
    chunks: manifest.Manifest
    disk: manifest.Manifest

    @classmethod
    def of(cls, path: pathlib.Path) -> 'Stored':
        """The image in a file."""
        content = path.read_bytes()
        checksum = engine.Checksum.parse(disks.checksum(path))
        with manifest_builder.Builder(len(content), finer=True) as builder:
            builder.update(memoryview(content))
            chunks = builder.finish(checksum)
        with engine.open_source(str(path)) as source:
            image = engine.inspect(source, engine.Expectation()).accepted()
            assert isinstance(image, formats.MappedImage)
            return cls(path, chunks,
                       disk_manifest.make(image, source, checksum))


class CompressedRebuildTest(base.FunctionalTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.server = web.Server(self.directory)
        self.addCleanup(self.server.stop)
        self.guest = images.make_guest(self.directory / 'guest', SIZE,
                                       seed=31, label='gpt')
        self.target = self.disk(SIZE + 3 * MIB)

    def stored(self, kind: str, cluster: str = '64k') -> Stored:
        """The image of the guest, compressed in this way, in clusters."""
        path = self.directory / kind
        path.unlink(missing_ok=True)
        return Stored.of(images.convert(
            self.guest, path,
            f'compression_type={kind},cluster_size={cluster}', compress=True))

    def write(self, image: Stored) -> engine.Report:
        """Write the image to the disk, and compare that with the guest's."""
        with (engine.open_source(self.server.url(image.path.name)) as origin,
              engine.open_target(self.target.device) as target):
            report = engine.transfer(engine.inspect(
                engine.ChunkedSource(image.chunks, origin, disk=image.disk),
                engine.Expectation(checksum=image.chunks.checksum)), target)
        self.assert_written(self.guest, self.target)
        return report

    def change(self, seed: int, percent: int) -> None:
        """Change a part of the guest's disk, in files of 16 KiB to 2 MiB."""
        dice = random.Random(seed)
        left = SIZE * percent // 100
        with self.guest.open('r+b') as file:
            while left > 0:
                length = dice.choice((16, 64, 512, 2048)) << 10
                file.seek(dice.randrange(2 * MIB, SIZE - 4 * MIB) & ~0xfff)
                file.write(images.content(dice, length))
                left -= length

    def test_nothing_changed(self) -> None:
        # Clusters of 2 MiB span many chunks of the file.
        for kind, cluster in (('zlib', '64k'), ('zstd', '64k'),
                              ('zlib', '2M')):
            with self.subTest(kind=kind, cluster=cluster):
                image = self.stored(kind, cluster)
                self.write(image)
                report = self.write(image)
                size = image.path.stat().st_size
                self.assertGreater(report.reused, 0.75 * size)
                self.assertLess(report.bytes_read, 0.1 * size + 8 * MIB)

    def test_some_changed(self) -> None:
        for seed, kind in enumerate(('zlib', 'zstd')):
            with self.subTest(kind=kind):
                self.write(self.stored(kind))
                self.change(seed, 3)
                image = self.stored(kind)
                report = self.write(image)
                self.assertLess(report.bytes_read,
                                0.6 * image.path.stat().st_size)

    def test_another_compression_of_the_same_disk(self) -> None:
        self.write(self.stored('zlib'))
        image = self.stored('zstd')
        self.assertGreater(self.write(image).reused,
                           0.8 * image.path.stat().st_size)
