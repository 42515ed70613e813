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

"""Raw images that are compressed as a whole, by the usual programs."""

import hashlib
import pathlib
import shutil
import subprocess
import tempfile
import typing

from tests.functional import base
from tests.functional import memory
from tests.support import disks
from tests.support import images
from tests.support import web

MIB = base.MIB
SIZE = 40 * MIB + 512
#: Bytes after which the server drops the connection.
DROP = 3 * MIB
SUFFIX = {'gzip': 'gz', 'xz': 'xz', 'bzip2': 'bz2', 'zstd': 'zst'}


def pack(path: pathlib.Path, tool: str, *options: str) -> pathlib.Path:
    """Compress a file by a program; its own stays."""
    packed = path.with_name(f'{path.name}.{SUFFIX[tool]}')
    with packed.open('wb') as file:
        subprocess.run([tool, '-c', '-q', *options, path], check=True,
                       stdout=file, timeout=600)
    return packed


class PackedTestCase(base.FunctionalTestCase):

    shared: typing.ClassVar[pathlib.Path]
    packed: typing.ClassVar[dict[str, pathlib.Path]]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.shared = disks.make_directory()
        cls.addClassCleanup(shutil.rmtree, cls.shared)
        cls.guest = cls.shared / 'guest.raw'
        images.make_guest(cls.guest, SIZE, seed=31)
        cls.packed = {tool: pack(cls.guest, tool, '-1') for tool in SUFFIX
                      if shutil.which(tool)}

    guest: typing.ClassVar[pathlib.Path]

    def serve(self) -> web.Server:
        server = web.Server(self.shared)
        self.addCleanup(server.stop)
        return server


class WriteTest(PackedTestCase):

    def test_onto_a_disk(self) -> None:
        self.assertEqual(set(SUFFIX), set(self.packed))
        for tool, packed in self.packed.items():
            for sector_size in (512, 4096):
                with self.subTest(tool=tool, sector_size=sector_size):
                    disk = self.disk(48 * MIB, sector_size=sector_size)
                    outcome = self.execute(
                        'write', packed, disk.device, '--verify', 'full',
                        '--checksum', disks.checksum(packed), '--json')
                    self.assert_status(0, outcome)
                    self.assert_written(self.guest, disk)
                    self.assertEqual(SIZE, outcome.json['virtual_size'])
                    self.assertEqual(packed.stat().st_size,
                                     outcome.json['bytes_read'])
                    self.assert_status(0, self.execute('verify', packed,
                                                       disk.device))

    def test_the_same_as_the_program_gives(self) -> None:
        for tool, packed in self.packed.items():
            with self.subTest(tool):
                target = self.directory / f'{tool}.raw'
                self.assert_status(0, self.execute('write', packed, target))
                expected = hashlib.sha256(subprocess.run(
                    [tool, '-dc', packed], check=True, capture_output=True
                ).stdout).hexdigest()
                self.assertEqual(f'sha256:{expected}',
                                 disks.checksum(target, 'sha256'))

    def test_from_a_server_that_drops_the_connection(self) -> None:
        for tool, packed in self.packed.items():
            server = self.serve()
            server.answer = lambda exchange: exchange.serve(stop_after=DROP)
            with self.subTest(tool):
                disk = self.disk(48 * MIB)
                outcome = self.execute(
                    'write', server.url(packed.name), disk.device, '--json',
                    '--checksum', disks.checksum(packed))
                self.assert_status(0, outcome)
                self.assertGreaterEqual(outcome.json['resumes'], 1)
                self.assert_written(self.guest, disk)

    def test_from_a_server_without_ranges(self) -> None:
        server = self.serve()
        server.answer = lambda exchange: exchange.serve(ranges=False)
        disk = self.disk(48 * MIB)
        packed = self.packed['xz']
        self.assert_status(0, self.execute(
            'write', server.url(packed.name), disk.device))
        self.assert_written(self.guest, disk)

    def test_check_and_map(self) -> None:
        for tool, packed in self.packed.items():
            with self.subTest(tool):
                outcome = self.execute('check', packed, '--json')
                self.assert_status(0, outcome)
                self.assertEqual('raw', outcome.json['format'])
                self.assertEqual(
                    {'gzip': 'gz', 'bzip2': 'bz2'}.get(tool, tool),
                    outcome.json['compression'])
                outcome = self.execute('map', packed)
                self.assert_status(0, outcome)
                self.assertIn('shows only when it is unpacked',
                              outcome.stdout)
                for option in (['--json'], ['--svg', self.directory / 'svg']):
                    self.assert_status(0, self.execute('map', packed,
                                                       *option))


class RefusedTest(PackedTestCase):

    def test_a_window_that_is_too_long(self) -> None:
        disk = self.disk(48 * MIB)
        packed = self.directory / 'packed'
        for tool, option in (('zstd', '--long=28'),
                             ('xz', '--lzma2=preset=0,dict=129MiB')):
            with self.subTest(tool):
                # By a file's size zstd would choose a smaller window.
                with self.guest.open('rb') as guest, packed.open('wb') as out:
                    subprocess.run([tool, '-c', '-q', option], check=True,
                                   stdin=guest, stdout=out)
                outcome = self.execute('write', packed, disk.device)
                self.assert_status(4, outcome)
                self.assertIn('memory', outcome.stderr)
                self.assert_untouched(disk)

    def test_a_wrong_checksum(self) -> None:
        disk = self.disk(48 * MIB)
        outcome = self.execute('write', self.packed['gzip'], disk.device,
                               '--checksum', 'sha256:' + '0' * 64)
        self.assert_status(6, outcome)
        self.assert_boots_nothing(disk)

    def test_a_file_that_ends_early(self) -> None:
        for tool, packed in self.packed.items():
            with self.subTest(tool):
                disk = self.disk(48 * MIB)
                short = self.directory / 'short'
                short.write_bytes(packed.read_bytes()[:-20])
                outcome = self.execute('write', short, disk.device)
                self.assert_status(4, outcome)
                self.assertIn('truncated', outcome.stderr)
                self.assert_boots_nothing(disk)
                target = self.directory / 'target'
                self.assert_status(4, self.execute('write', short, target))
                self.assertFalse(target.exists())

    def test_a_disk_that_is_too_small(self) -> None:
        disk = self.disk(32 * MIB)
        for packed in self.packed.values():
            outcome = self.execute('write', packed, disk.device)
            self.assert_status(5, outcome)

    def test_a_container_in_it(self) -> None:
        inner = images.convert(self.guest, self.directory / 'disk.qcow2')
        disk = self.disk(48 * MIB)
        for tool in self.packed:
            with self.subTest(tool):
                outcome = self.execute('write', pack(inner, tool, '-1'),
                                       disk.device)
                self.assert_status(4, outcome)
                self.assertIn('format-unsupported', outcome.stderr)
                self.assert_untouched(disk)


class MemoryTest(base.FunctionalTestCase):
    """512 MiB, with the largest windows that are unpacked."""

    def check(self, tool: str, *options: str) -> None:
        guest = memory.make_large(self.directory / 'guest', 512 * MIB,
                                  400 * MIB)
        packed = pack(guest, tool, *options)
        server = web.Server(self.directory)
        self.addCleanup(server.stop)
        with tempfile.NamedTemporaryFile(dir=self.directory) as target:
            target.truncate(512 * MIB)
            with self.attached(pathlib.Path(target.name)) as device:
                peak = memory.measure(
                    base.PROGRAM, 'write', server.url(packed.name), device,
                    '--verify', 'full')
            self.assertLess(peak, memory.BOUND)
            self.assertGreater(peak, 16 * MIB, 'nothing was measured')
            self.assertEqual('', disks.run('cmp', guest, target.name))

    def test_gzip(self) -> None:
        self.check('gzip', '-1')

    def test_xz(self) -> None:
        self.check('xz', '-T1', '--lzma2=preset=0,dict=8MiB')

    def test_xz_with_the_dictionary_of_9(self) -> None:
        self.check('xz', '-T1', '--lzma2=preset=0,dict=64MiB')

    def test_zstd(self) -> None:
        self.check('zstd', '-1', '--zstd=wlog=23')

    def test_zstd_with_a_long_window(self) -> None:
        self.check('zstd', '-1', '--long=25')
