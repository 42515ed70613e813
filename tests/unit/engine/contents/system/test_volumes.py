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

from ironic_imagedeploy.engine import budget
from ironic_imagedeploy.engine.contents import partitions
from ironic_imagedeploy.engine.contents.system import volumes
from tests.unit.engine import base
from tests.unit.engine import disks
from tests.unit.engine import system_disks
from tests.unit.engine import systems
from tests.unit.engine import volumes as _volumes

MIB = base.MIB
UUID = systems.ROOT_UUID


class VolumesTest(base.EngineTestCase):

    def whole(self) -> volumes.Volume:
        content = (self.directory / 'volume').read_bytes()
        return volumes.whole(
            lambda offset, length: content[offset:offset + length],
            len(content))

    def test_as_blkid_names_them(self) -> None:
        path = self.directory / 'volume'
        for make in (
                lambda: _volumes.ext4(path, {}, '-t', 'ext4', '-U', UUID, '-L',
                                      'one-two'),
                lambda: _volumes.ext4(path, {}, '-t', 'ext4', '-L', 'x' * 16),
                lambda: _volumes.xfs(path, {}, '-m', f'uuid={UUID}', '-L',
                                     'x' * 12),
                lambda: _volumes.btrfs(path, {}, '-U', UUID, '-L', 'b' * 200),
                lambda: disks.fat(path, 40 * MIB, {}, bits=32),
                lambda: disks.fat(path, 40 * MIB, {}, bits=16),
                lambda: disks.fat(path, 4 * MIB, {}, bits=12),
                self.make_swap):
            make()
            blkid = dict(line.split('=', 1) for line in base.run(
                'blkid', '-p', '-o', 'export', path).splitlines())
            found = self.whole()
            self.assertEqual(
                (blkid['TYPE'], blkid['UUID'], blkid.get('LABEL', '')),
                (found.kind, found.uuid, found.label))
            self.assertIsNone(found.number)

    def make_swap(self) -> None:
        path = self.directory / 'volume'
        path.write_bytes(bytes(MIB))
        base.run('mkswap', '-U', UUID, '-L', 'swap', path)

    def test_a_machine_that_hibernates(self) -> None:
        self.make_swap()
        self.assertFalse(self.whole().is_suspended)
        content = bytearray((self.directory / 'volume').read_bytes())
        content[0xff6:0x1000] = b'S1SUSPEND\0'
        (self.directory / 'volume').write_bytes(content)
        found = self.whole()
        self.assertTrue(found.is_suspended)
        self.assertEqual(('swap', UUID), (found.kind, found.uuid))

    def test_partitions(self) -> None:
        path = system_disks.disk(self.directory, systems.debian())
        content = path.read_bytes()

        def read(offset: int, length: int) -> bytes:
            return content[offset:offset + length]

        table = partitions.read_table(read, len(content))
        assert table
        found = [*volumes.find(read, table, budget.Budget())]
        self.assertEqual([(1, None), (2, 'vfat'), (3, 'ext4')], [
            (volume.number, volume.kind) for volume in found])
        self.assertEqual(['', systems.ESP_SERIAL, UUID],
                         [volume.uuid for volume in found])
        self.assertEqual(systems.ROOT, found[2].type)
        self.assertEqual(systems.PARTUUID.format(3),
                         found[2].partition and found[2].partition.uuid)

    def test_what_is_nothing(self) -> None:
        (self.directory / 'volume').write_bytes(bytes(MIB))
        found = self.whole()
        self.assertEqual((None, '', '', ''), (found.kind, found.uuid,
                                              found.label, found.type))
