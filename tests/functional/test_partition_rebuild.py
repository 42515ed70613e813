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

"""The agent writes a partition image again: what is there stays there."""

import pathlib
import random
import time

from ironic_imagedeploy.agent import order
from ironic_imagedeploy.contract import names
from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import checksum
from ironic_imagedeploy.engine.formats import base as formats
from ironic_imagedeploy.engine import manifest_builder
from ironic_imagedeploy.engine.transfer import disk_manifest
from tests.functional import partition_images
from tests.support import disks
from tests.support import images
from tests.support import web

MIB = 1 << 20


def noise() -> bytes:
    """40 MiB that compress to half."""
    dice = random.Random(4)
    return b''.join(dice.randbytes(512) + bytes([index % 255]) * 512
                    for index in range(40 * 1024))


def put_noise(tree: pathlib.Path) -> None:
    """Put a file into the image."""
    partition_images.put(tree, 'usr/lib/noise', noise())


class PartitionRebuildTest(partition_images.PartitionImageTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.journals = self.directory / 'journals'
        self.patched(order, 'JOURNALS', str(self.journals))

    def order_disk_manifest(self) -> None:
        """Let it have one of the disk in the image, too."""
        with engine.open_source(str(self.image)) as source:
            image = engine.inspect(source, engine.Expectation()).accepted()
            assert isinstance(image, formats.MappedImage)
            made = disk_manifest.make(
                image, source,
                checksum.Checksum.parse(disks.checksum(self.image)))
        path = self.directory / 'disk-manifest'
        path.write_bytes(made.encode())
        self.node['driver_internal_info'][names.KEY]['disk_manifest'] = {
            'url': self.server.url('disk-manifest'), 'root': made.root,
            'size': path.stat().st_size}

    def order_manifest(self) -> None:
        """Let the conductor have a manifest of the image."""
        path = self.directory / 'manifest'
        content = self.image.read_bytes()
        with manifest_builder.Builder(len(content)) as builder:
            builder.update(memoryview(content))
            made = builder.finish(checksum.Checksum.parse(
                disks.checksum(self.image)))
        path.write_bytes(made.encode())
        self.node['driver_internal_info'][names.KEY] = {'manifest': {
            'url': self.server.url('manifest'), 'root': made.root,
            'size': path.stat().st_size}}

    def until_something_is_logged(self, exchange: web.Exchange) -> None:
        """Serve slowly, and nothing more once a journal has entries."""
        write = exchange.wfile.write

        def is_logged() -> bool:
            return any(path.stat().st_size > 500
                       for path in self.journals.iterdir())

        def slow(content: bytes) -> int:
            time.sleep(0.1)
            if is_logged():
                raise ConnectionResetError()
            return write(content)
        if is_logged():
            exchange.refuse(404)
        else:
            exchange.wfile.write = slow
            exchange.serve()

    def assert_root_is_whole(self) -> None:
        """The file system is as it was made, but for the boot files."""
        disks.run('e2fsck', '-fn', self.partition())
        place = self.directory / 'mounted'
        place.mkdir(exist_ok=True)
        disks.run('mount', '-o', 'ro', self.partition(), place)
        try:
            self.assertTrue(noise() == (place / 'usr/lib/noise').read_bytes(),
                            'the file differs')
        finally:
            disks.run('umount', place)

    def test_the_same_place(self) -> None:
        self.use(partition_images.debian, put_noise)
        self.order_manifest()
        first = self.written()[names.KEY]
        self.assertEqual(0, first['reused'])
        self.assert_root_is_whole()
        for sizes in ({}, {'swap_mb': 16}):
            # In an MBR the swap is before the root, which it moves.
            report = self.written(**sizes)[names.KEY]
            if sizes:
                self.assertEqual(0, report['reused'])
            else:
                self.assertGreater(report['reused'], 20 * MIB)
            self.assert_root_is_whole()

    def test_compressed(self) -> None:
        self.use(partition_images.debian, put_noise)
        images.convert(self.guest, self.image, compress=True)
        self.order_manifest()
        self.written()
        self.assertEqual(0, self.written()[names.KEY]['reused'])
        self.order_disk_manifest()
        report = self.written()[names.KEY]
        self.assertGreater(report['reused'], 10 * MIB)
        self.assert_root_is_whole()

    def test_failed_before_the_end(self) -> None:
        self.use(partition_images.debian, put_noise)
        images.convert(self.guest, self.image, compress=True)
        self.order_manifest()
        self.written()
        self.assertEqual([], [*self.journals.iterdir()])
        # All of it is forgotten, too.
        disks.run('dd', 'if=/dev/zero', f'of={self.partition()}', 'bs=1M',
                  'count=60', 'oflag=direct', 'status=none')
        self.server.answer = self.until_something_is_logged
        self.failed()
        self.assertEqual(1, len([*self.journals.iterdir()]))
        self.server.answer = web.Exchange.serve
        report = self.written()[names.KEY]
        self.assertGreater(report['reused'], MIB)
        self.assert_root_is_whole()
        self.assertEqual([], [*self.journals.iterdir()])
