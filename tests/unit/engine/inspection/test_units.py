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

from ironic_imagedeploy import engine
from ironic_imagedeploy.engine.contents import sectors
from tests.unit.engine import base
from tests.unit.engine import disks
from tests.unit.engine.inspection import verdicts
from tests.unit.engine import memory
from tests.unit.engine import volumes

MIB = base.MIB


class UnitTest(verdicts.VerdictTestCase):
    """What is in the partitions tells the sectors of the disk."""

    def ext4(self) -> bytes:
        """A file system whose blocks suit any sectors."""
        return volumes.ext4(self.directory / 'root', volumes.BOOTABLE, '-b',
                            '4096').read_bytes()

    def mbr(self, sector_size: int, *contents: bytes) -> bytearray:
        """A disk with an MBR, on which these begin at each 32 MiB."""
        step = 32 * MIB // sector_size
        disk = disks.mbr(
            32 * MIB * (len(contents) + 1), [
                (0, 0x83, number * step, 16 * MIB // sector_size)
                for number in range(1, len(contents) + 1)],
            boot_code=b'\xeb')
        for number, content in enumerate(contents, 1):
            start = 32 * MIB * number
            disk[start:start + len(content)] = content
        return disk

    def gpt(self, content: bytes, sector_size: int) -> bytearray:
        """A disk with a GPT, on which that begins at 1 MiB."""
        per_mib = MIB // sector_size
        disk = disks.gpt(20 * MIB, [disks.Entry(per_mib, 17 * per_mib - 1)],
                         sector_size=sector_size, boot_code=b'\xeb')
        disk[MIB:MIB + len(content)] = content
        return disk

    def test_the_sectors_of_an_mbr(self) -> None:
        for sector_size, other in ((512, 4096), (4096, 512)):
            for contents in ((self.ext4(),), (b'?' * 512, self.ext4())):
                disk = self.mbr(sector_size, *contents)
                for content in (disk, self.qcow2(disk)):
                    inspection = self.assert_accepted(content)
                    self.assertEqual(sector_size, inspection.sector_size)
                    self.assertEqual(
                        [(32 * MIB * number, 16 * MIB)
                         for number in range(1, len(contents) + 1)],
                        [(partition.start, partition.length)
                         for partition in inspection.partitions])
                    self.assert_refused(
                        'sector-size', content, 'an MBR for sectors of '
                        f'{sector_size} bytes', sector_size=other)
                    self.assert_accepted(content, sector_size=sector_size)

    def test_an_mbr_of_which_nothing_tells(self) -> None:
        for disk in (self.mbr(512, bytes(512)), self.mbr(4096, b'?' * 512)):
            self.assertIsNone(self.assert_accepted(disk).sector_size)
            self.assert_accepted(disk, sector_size=4096)

    def test_a_compressed_mbr_has_no_size_that_is_known(self) -> None:
        inspection = engine.inspect(memory.MemorySource(
            gzip.compress(self.mbr(512, self.ext4()), 1)))
        self.assertEqual(('accept', None),
                         (inspection.verdict, inspection.virtual_size))

    def test_file_systems_that_larger_sectors_do_not_take(self) -> None:
        exfat, ntfs = bytearray(MIB), bytearray(MIB)
        for volume, name in ((exfat, b'EXFAT   '), (ntfs, b'NTFS    ')):
            volume[:11] = b'\xeb\x52\x90' + name
            volume[510:512] = b'\x55\xaa'
        exfat[108], ntfs[11:13] = 9, (512).to_bytes(2, 'little')
        for content, name in (
                (disks.fat(self.directory / 'fat', 16 * MIB, {}), 'vfat'),
                (bytes(exfat), 'exfat'), (bytes(ntfs), 'ntfs'),
                (volumes.ext4(self.directory / 'root', {}, '-b', '1024'
                              ).read_bytes(), 'ext4')):
            with self.subTest(name=name):
                finding = self.assert_refused(
                    'sector-size', self.gpt(content, 4096), 'partition 1')
                self.assertEqual(name, finding.data['file_system'])
                self.assertIn('4096', finding.fix)
                self.assert_accepted(self.gpt(content, 512))

    def test_fronts_that_are_cut_off(self) -> None:
        """A part of a boot sector at the end of the disk tells no unit."""
        for name in (b'EXFAT   ', b'NTFS    '):
            front = b'\xeb\x52\x90' + name
            disk = bytes(1024) + front
            self.assertEqual(
                (name.decode().strip().lower(), None),
                sectors.file_system(lambda offset, length, disk=disk:
                                    disk[offset:offset + length], 1024))

    def test_file_systems_for_larger_sectors(self) -> None:
        for content in (
                self.ext4(), disks.fat(self.directory / 'fat', 16 * MIB, {},
                                       bits=12, sector_size=4096)):
            for sector_size in (512, 4096):
                self.assert_accepted(self.gpt(content, sector_size),
                                     sector_size=sector_size)

    def test_a_file_system_for_sectors_that_are_larger_still(self) -> None:
        """The table is for others then, but it may take these."""
        for content, sector_size, cases in (
                (self.ext4(), 1024, ['']),
                (volumes.ext4(self.directory / 'root', {}, '-b', '1024'
                              ).read_bytes(), 2048, ['', 'file-system'])):
            findings = self.inspect(self.gpt(content, 512),
                                    sector_size=sector_size).findings
            self.assertEqual(
                [('sector-size', case) for case in cases],
                [(finding.code, finding.case) for finding in findings])
