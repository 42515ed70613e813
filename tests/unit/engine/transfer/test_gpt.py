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

import gzip
import pathlib
import tempfile
import unittest

from ironic_imagedeploy import engine
from tests.unit.engine import base
from tests.unit.engine import disks
from tests.unit.engine import recording

MIB = 1 << 20
FLUSH = ('flush', 0, 0)


class ContainerTest(unittest.TestCase):
    """Files that are no disk, and have no GPT to repair."""

    def repair(self, content: bytes) -> bool:
        path = pathlib.Path(self.enterContext(
            tempfile.TemporaryDirectory()), 'disk')
        path.write_bytes(content)
        with engine.open_target(str(path)) as target:
            return engine.repair_gpt(target)

    def assert_refused(self, content: bytes, name: str) -> None:
        with self.assertRaises(engine.exceptions.TargetError) as caught:
            self.repair(content)
        self.assertEqual(f'a file of the format {name}',
                         caught.exception.found)

    def test_told_by_its_first_bytes(self) -> None:
        self.assert_refused(b'QFI\xfb\0\0\0\3' + bytes(MIB), 'qcow2')

    def test_told_by_its_last_bytes(self) -> None:
        for size in (MIB, MIB + 512, 3 * MIB + 512):
            self.assert_refused(bytes(size) + b'conectix' + bytes(504), 'vhd')

    def test_told_by_the_only_bytes(self) -> None:
        self.assert_refused(b'koly' + bytes(508), 'dmg')

    def test_a_compressed_file(self) -> None:
        self.assert_refused(gzip.compress(b'disk'), 'gz')

    def test_a_disk_without_a_gpt(self) -> None:
        for size in (1, 511, 512, MIB):
            self.assertFalse(self.repair(bytes(size)))

    def test_a_disk_whose_boot_code_is_like_a_container(self) -> None:
        for sector_size, entries in ((512, 32), (4096, 4)):
            disk = disks.gpt(
                MIB, sector_size=sector_size, boot_code=b'QFI\xfb',
                first_usable=2 + entries,
                last_usable=MIB // sector_size - 2 - entries)
            with self.subTest(sector_size):
                self.assertFalse(self.repair(disk))


class Disk(recording.RecordingTarget):
    """Reads nothing outside of itself, nor where nothing is asked for."""

    def read(self, offset: int, length: int,
             memory: memoryview | None = None) -> memoryview:
        return super().read(offset, length) if length else memoryview(b'')


class RepairTest(base.EngineTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.disk = self.made()

    def made(self, **fields: int) -> bytearray:
        """A disk with a GPT as programs make it."""
        return disks.gpt(4 * MIB, [disks.Entry(2048, 4095)], first_usable=34,
                         last_usable=4 * MIB // 512 - 34, **fields)

    def target(self, size: int, disk: bytes | bytearray
               ) -> recording.RecordingTarget:
        target = Disk(size)
        target.disk[:len(disk)] = disk
        return target

    def changes(self, target: recording.RecordingTarget) -> list[
            tuple[object, ...]]:
        return [tuple(action) for action in target.of_kind('write', 'flush')]

    def test_one_half_is_whole_at_every_moment(self) -> None:
        target = self.target(6 * MIB, self.disk)
        self.assertIs(True, engine.repair_gpt(target))
        end = 6 * MIB
        self.assertEqual(
            [('write', end - 33 * 512, 32 * 512), ('write', end - 512, 512),
             FLUSH, ('write', 512, 512), FLUSH, ('write', 0, 512), FLUSH],
            self.changes(target))

    def test_disks_of_less_than_a_sector(self) -> None:
        for size in (1, 511, 512, 1000):
            self.assertIs(False, engine.repair_gpt(
                self.target(size, bytes(size))))

    def test_a_whole_one_stays(self) -> None:
        target = self.target(4 * MIB, self.disk)
        self.assertIs(False, engine.repair_gpt(target))
        self.assertEqual([], self.changes(target))

    def test_entries_that_are_not_on_the_disk(self) -> None:
        damaged = bytearray(self.disk)
        damaged[512:1024] = self.made(entries_at=1 << 20)[512:1024]
        path = pathlib.Path(self.save('disk', damaged))
        with engine.open_target(str(path)) as target:
            self.assertTrue(engine.repair_gpt(target))
        self.assert_same(self.disk, path.read_bytes())

    def test_no_half_is_good(self) -> None:
        self.disk[600] ^= 1
        self.disk[-430] ^= 1
        with self.assertRaises(engine.exceptions.TargetError) as caught:
            engine.repair_gpt(self.target(4 * MIB, self.disk))
        self.assert_complete(caught.exception)
        self.assertIn('recording', str(caught.exception))
        self.assertIsInstance(caught.exception.__cause__,
                              engine.exceptions.BadContent)
        self.assertEqual(caught.exception.__cause__.found,
                         caught.exception.found)
