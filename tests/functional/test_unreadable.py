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

"""Images that a server does not give, or whose tables are far away."""

import functools
import pathlib

from tests.functional import base
from tests.functional import faults
from tests.support import disks
from tests.support import images
from tests.support import web

MIB = base.MIB
redirecting = faults.redirecting
refusing = faults.refusing
serve = faults.serve
serving = faults.serving


class NeverBegunTest(faults.FaultTestCase):
    """What ends a write before the disk is touched."""

    def test_refused_by_the_server(self) -> None:
        for status, words in ((404, 'not found'), (401, 'permission'),
                              (403, 'permission'), (500, 'out of order'),
                              (410, 'not found'), (204, '204')):
            with self.subTest(status):
                self.assert_never_begins(refusing(status), words)

    def test_page_instead_of_the_image(self) -> None:
        self.assert_never_begins(refusing(200), 'not-an-image', status=4)

    def test_empty_file(self) -> None:
        (self.shared / 'empty').touch()
        self.assert_never_begins(serve, 'not-an-image', status=4,
                                 url=self.server.url('empty'))

    def test_nobody_listens(self) -> None:
        self.assert_never_begins(serve, 'refused',
                                 url='http://127.0.0.1:9/image')

    def test_no_length(self) -> None:
        self.assert_never_begins(serving(
            ranges=False, stop_after=MIB, headers={'Content-Length': None}),
            'length')

    def test_compressed_on_the_way(self) -> None:
        self.assert_never_begins(serving(
            headers={'Content-Encoding': 'gzip'}), 'Content-Encoding')

    def test_range_of_other_bytes(self) -> None:
        size = self.image.stat().st_size
        self.assert_never_begins(serving(headers={
            'Content-Range': f'bytes 512-{MIB + 511}/{size}'}),
            'Content-Range')

    def test_redirect_loop(self) -> None:
        self.assert_never_begins(redirecting(self.server.url('image')),
                                 'redirect')

    def test_redirect_to_a_file(self) -> None:
        self.assert_never_begins(redirecting('file:///etc/passwd'))

    def test_garbage(self) -> None:
        self.assert_never_begins(faults.garbage)

    def test_silence(self) -> None:
        self.assert_never_begins(faults.silence, 'stopped answering')

    def test_truncated_file(self) -> None:
        short = self.shared / 'short'
        short.write_bytes(self.image.read_bytes()[:2 * MIB])
        self.assert_never_begins(serve, 'truncated', status=4,
                                 url=self.server.url('short'))

    def test_certificate_that_nobody_vouches_for(self) -> None:
        server = web.Server(self.shared, context=web.self_signed(
            self.directory))
        self.addCleanup(server.stop)
        self.assert_never_begins(serve, 'certificate',
                                 url=server.url('image'))

    def test_no_secret_is_told(self) -> None:
        address = self.server.url('image').replace(
            '//', '//admin:hunter2@') + '?signature=hunter3'
        self.server.answer = refusing(403)
        nobody = address.replace(f':{self.server.server_port}/', ':9/')
        for outcome in (self.execute('check', address, '--json'),
                        self.execute('check', address, '--debug'),
                        self.invoke('check', nobody, '--debug')):
            self.assertEqual(3, outcome.status)
            self.assertIn('127.0.0.1', outcome.stderr)
            self.assertNotIn('hunter', outcome.stdout + outcome.stderr)


class TablesTest(faults.FaultTestCase):
    """An image whose tables lie far from its front."""

    @classmethod
    def make_image(cls, image: pathlib.Path) -> None:
        images.make_mixed(image, 4 * MIB, 'cluster_size=512', seed=8)
        disks.run('qemu-img', 'resize', '-q', '-f', 'qcow2', image,
                  str(16 * MIB))
        images.qemu_io(image, 'write -P 5 10M 3M')
        cls.raw = images.as_raw(image)

    def test_read_by_ranges(self) -> None:
        self.server.answer = serve
        self.assert_status(0, self.write())
        self.assert_written(self.raw, self.target)
        self.assertGreater(len(self.server.requests), 2)

    def test_no_ranges(self) -> None:
        # All of it is within what may be held in memory.
        self.assert_identical(serving(ranges=False))

    def test_flipped_between_the_tables_and_the_stream(self) -> None:
        self.server.answer = serve
        self.assert_status(0, self.invoke('check',
                                          self.server.url('image')))
        reads = len(self.server.requests)
        stored = bytearray(self.image.read_bytes())
        stored[self.last_table()] ^= 0x80
        self.assert_fails(web.since(reads, serving(content=bytes(stored))),
                          'the image changed')

    def last_table(self) -> int:
        """Offset in the file of the level 2 table that is read last."""
        stored = self.image.read_bytes()
        level1 = int.from_bytes(stored[40:48], 'big')
        entries = [int.from_bytes(stored[at:at + 8], 'big') & (1 << 56) - 512
                   for at in range(level1, level1 + 8 * 512, 8)]
        return max(entries)


class FarTablesTest(faults.FaultTestCase):
    """No ranges, and tables beyond what may be held."""

    @classmethod
    def make_image(cls, image: pathlib.Path) -> None:
        images.create(image, 4 * MIB, 'cluster_size=512')
        images.write_table(image)
        images.qemu_io(image, 'write -P 1 1M 3M')
        disks.run('qemu-img', 'resize', '-q', '-f', 'qcow2', image,
                  str(64 * MIB))
        images.qemu_io(image, 'write -P 5 10M 30M')
        disks.run('qemu-img', 'resize', '-q', '-f', 'qcow2', image,
                  str(256 * MIB))

    @functools.cached_property
    def target(self) -> base.Disk:
        return self.disk(256 * MIB)

    def test_refused_with_the_remedy(self) -> None:
        self.assert_never_begins(serving(ranges=False),
                                 'server that answers range requests')
