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

from ironic_imagedeploy.engine.contents import mbr
from tests.unit.engine import base
from tests.unit.engine.contents import partition_tables

MIB = base.MIB
SECTOR = 512
START = 2048 * SECTOR


class ChainLoadersTest(partition_tables.PartitionsTestCase):
    """What parted writes starts what is in the bootable partition."""

    def made(self, label: str, *commands: str) -> bytearray:
        path = self.directory / 'disk'
        with path.open('wb') as file:
            file.truncate(8 * MIB)
        base.run('parted', '-s', path, 'mklabel', label, *commands)
        return bytearray(path.read_bytes())

    def test_nothing_to_start(self) -> None:
        part = 'mkpart', 'primary', 'ext4', '1MiB', '7MiB'
        for disk in (self.made('msdos', *part),
                     self.made('msdos', *part, 'set', '1', 'boot', 'on')):
            self.assertTrue(mbr.has_boot_code(disk[:SECTOR]))
            self.assertFalse(self.table(disk).boot_code)

    def test_a_boot_sector_in_the_partition(self) -> None:
        disk = self.made('msdos', 'mkpart', 'primary', 'ext4', '1MiB', '7MiB',
                         'set', '1', 'boot', 'on')
        disk[START:START + 2] = b'\xeb\x3c'
        self.assertFalse(self.table(disk).boot_code)
        disk[START + 510:START + 512] = b'\x55\xaa'
        self.assertTrue(self.table(disk).boot_code)
        # It is not the one that is started.
        disk[446] = 0
        self.assertFalse(self.table(disk).boot_code)

    def test_a_fat_that_boots_nothing(self) -> None:
        disk = self.made('msdos', 'mkpart', 'primary', 'fat32', '1MiB',
                         '7MiB', 'set', '1', 'boot', 'on')
        volume = self.directory / 'volume'
        with volume.open('wb') as file:
            file.truncate(6 * MIB)
        base.run('mkfs.vfat', volume)
        disk[START:START + 6 * MIB] = volume.read_bytes()
        self.assertFalse(self.table(disk).boot_code)

    def test_a_gpt_over_it(self) -> None:
        disk = self.made('gpt')
        disk[:440] = self.made('msdos')[:440]
        self.assertFalse(self.table(disk).boot_code)

    def test_another_boot_loader(self) -> None:
        disk = self.made('msdos', 'mkpart', 'primary', 'ext4', '1MiB', '7MiB')
        disk[300] = 1
        self.assertTrue(self.table(disk).boot_code)
