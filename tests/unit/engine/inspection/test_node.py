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


from ironic_imagedeploy.engine import start_policy
from tests.unit.engine import base
from tests.unit.engine import disks
from tests.unit.engine.inspection import verdicts
from tests.unit.engine import volumes

MIB = base.MIB


class NodeTest(verdicts.VerdictTestCase):
    """What the image is refused for on one node."""

    def test_file_system_that_larger_sectors_do_not_take(self) -> None:
        for make, small, large, fix in (
                (volumes.ext4, ('-b', '2048'), ('-b', '4096'), '-b 4096'),
                (volumes.xfs, ('-s', 'size=512'), ('-s', 'size=4096'),
                 '-s size=4096')):
            content = make(self.directory / 'root', volumes.BOOTABLE, *small
                           ).read_bytes()
            self.assert_refused('sector-size', content, '4096', fix,
                                image_type='partition', sector_size=4096)
            self.assert_accepted(content, image_type='partition',
                                 sector_size=512)
            self.assert_accepted(
                make(self.directory / 'root', volumes.BOOTABLE, *large
                     ).read_bytes(), image_type='partition',
                sector_size=4096)
        self.assert_accepted(
            volumes.btrfs(self.directory / 'root', volumes.BOOTABLE
                          ).read_bytes(), image_type='partition',
            sector_size=4096)

    def test_too_large(self) -> None:
        for content in (self.disk(), self.qcow2(self.disk())):
            self.assert_refused('too-large', content, str(20 * MIB),
                                str(20 * MIB - 512),
                                disk_size=20 * MIB - 512)
            self.assert_accepted(content, disk_size=20 * MIB)
        root = volumes.ext4(self.directory / 'root',
                            volumes.BOOTABLE).read_bytes()
        self.assert_refused('too-large', root, 'a larger root partition',
                            image_type='partition', disk_size=10 * MIB)

    def test_sector_size(self) -> None:
        for ours, theirs in ((512, 4096), (4096, 512)):
            disk = self.disk(sector_size=ours)
            self.assert_refused('sector-size', disk, str(ours), str(theirs),
                                sector_size=theirs)
            self.assert_accepted(disk, sector_size=ours)
        self.assert_accepted(
            disks.mbr(MIB, [(0, 0x83, 1, 5)], boot_code=b'\xeb'),
            sector_size=4096)

    def test_the_sector_size_of_an_mbr_is_told_by_its_content(self) -> None:
        volume = volumes.ext4(self.directory / 'root', volumes.BOOTABLE
                              ).read_bytes()
        for ours, theirs in ((512, 4096), (4096, 512)):
            start, length = 2048 * ours, len(volume)
            disk = disks.mbr(start + length, [
                (0x80, 0x83, 2048, length // ours)])
            disk[start:] = volume
            self.assert_refused('sector-size', disk, str(ours), str(theirs),
                                sector_size=theirs)
            self.assertEqual((ours, start), (
                self.inspect(disk).sector_size,
                self.inspect(disk).partitions[0].start))

    def test_file_systems_for_smaller_sectors_than_their_table(self) -> None:
        """As images are made in a file and put on another kind of disk."""
        disk = self.disk(sector_size=4096)
        table = self.inspect(disk).table
        assert table is not None
        for partition in table.partitions:
            disk = self.disk(sector_size=4096)
            volume = disks.fat(self.directory / 'fat', partition.length, {},
                               bits=12)
            disk[partition.start:partition.end] = volume
            self.assert_refused('sector-size', disk, 'vfat',
                                f'partition {partition.number}')

    def test_a_disk_that_is_smaller_than_the_table_says(self) -> None:
        """Linux takes no GPT whose last usable sector is not there."""
        disk = disks.gpt(8 * MIB, [disks.Entry(2048, 4095)])[:2 * MIB]
        for limit in (None, 8 * MIB):
            inspection = self.inspect(disk, disk_size=limit)
            self.assertEqual('accept', inspection.verdict)
        self.assert_refused('too-large', disk, str(8 * MIB - 512),
                            disk_size=4 * MIB)

    def test_no_esp(self) -> None:
        program = {'/EFI/BOOT/BOOTX64.EFI': disks.program(0x8664)}
        for content in (self.disk(), self.disk(esp={}),
                        disks.mbr(MIB, [(0, 0x83, 1, 5)])):
            self.assert_refused('no-esp', content, boot_mode='uefi')
        self.assert_accepted(self.disk(esp=program), boot_mode='uefi')

    def test_what_is_found_instead_of_a_program_that_firmware_starts(
            self) -> None:
        shim = {'/EFI/debian/shimx64.efi': disks.program(0x8664)}
        no_fat = self.disk(esp=shim)
        no_fat[MIB:MIB + 512] = bytes(512)
        for content, arch, name, words in (
                (self.disk(), None, 'BOOTX64.EFI', 'found none'),
                (self.disk(esp={}), 'aarch64', 'BOOTAA64.EFI',
                 'one with no program for EFI'),
                (self.disk(esp=shim), 'x86_64', 'BOOTX64.EFI',
                 'one with EFI/DEBIAN/SHIMX64.EFI'),
                (self.disk(esp={
                    '/EFI/BOOT/BOOTX64.EFI': disks.program(0xaa64)}), None,
                 'BOOTX64.EFI', 'one with EFI/BOOT/BOOTX64.EFI (an EFI '
                 'program for aarch64)'),
                (no_fat, None, 'BOOTX64.EFI',
                 'one with no FAT volume (no boot sector)')):
            self.assert_refused('no-esp', content, f'EFI/BOOT/{name}', words,
                                boot_mode='uefi', arch=arch)
            self.assertNotIn('uefi', self.inspect(content).boot_modes)

    def test_no_bios_boot(self) -> None:
        for content in (self.disk(boot_code=b''),
                        disks.mbr(MIB, [(0, 0x83, 1, 5)])):
            self.assert_refused('no-bios-boot', content, boot_mode='bios')
        self.assert_accepted(self.disk(boot_code=b'\xeb\x63'),
                             boot_mode='bios')

    def test_arch_mismatch(self) -> None:
        disk = self.disk(esp={
            '/EFI/BOOT/BOOTAA64.EFI': disks.program(0xaa64)})
        self.assert_refused('arch-mismatch', disk, 'aarch64', 'x86_64',
                            boot_mode='uefi', arch='amd64')
        self.assert_accepted(disk, boot_mode='uefi', arch='arm64')

    def test_arch_is_judged_without_a_boot_mode(self) -> None:
        for machine, name, other in ((0xaa64, 'BOOTAA64', 'x86_64'),
                                     (0x8664, 'BOOTX64', 'aarch64')):
            disk = self.disk(esp={
                f'/EFI/BOOT/{name}.EFI': disks.program(machine)})
            self.assert_refused('arch-mismatch', disk, other, arch=other)
        for arch in ('x86_64', 'i386', 'amd64'):
            self.assert_accepted(self.disk(), arch=arch)
            self.assert_accepted(self.disk(), arch=arch, boot_mode='bios')
        # Its 32-bit programs do not keep BIOS from booting it.
        both = self.disk(boot_code=b'\xeb', esp={
            '/EFI/BOOT/BOOTIA32.EFI': disks.program(0x14c)})
        self.assert_accepted(both, arch='x86_64')
        self.assert_refused('arch-mismatch', both, arch='x86_64',
                            boot_mode='uefi')

    def test_a_processor_without_a_name(self) -> None:
        disk = self.disk(esp={
            '/EFI/vendor/x.efi': disks.program(0x1f0),
            '/EFI/vendor/BOOT.CSV': 'x.efi,vendor,,\n'.encode('utf-16')})
        finding = self.assert_refused('arch-mismatch', disk, 'unknown',
                                      arch='x86_64')
        self.assertIsNone(finding.data['arch'])

    def test_an_arch_that_cannot_be_judged(self) -> None:
        self.assert_accepted(self.disk(), 'arch-unknown', arch='aarch64')
        broken = self.disk(esp={'/EFI/BOOT/BOOTX64.EFI': b'MZ'})
        broken[MIB:MIB + 512] = bytes(512)
        self.assert_accepted(broken, 'not-bootable', arch='x86_64')

    def test_what_nothing_boots(self) -> None:
        for content in (self.disk(boot_code=b''),
                        self.disk(boot_code=b'', esp={}),
                        disks.mbr(MIB, [(0, 0x83, 1, 5)])):
            self.assert_accepted(content, 'not-bootable')
            self.assert_accepted(content, 'not-bootable', arch='x86_64')
            self.assert_refused('no-bios-boot', content, boot_mode='bios')
            self.assert_refused('no-esp', content, boot_mode='uefi')

    def test_several_at_once(self) -> None:
        inspection = self.inspect(
            self.disk(sector_size=4096), disk_size=MIB, sector_size=512,
            boot_mode='uefi', require_checksum=True, image_type='partition')
        self.assertEqual(
            ['checksum-missing', 'image-type-mismatch', 'too-large',
             'sector-size', 'no-esp'],
            [finding.code for finding in inspection.findings])

    def test_secure_boot(self) -> None:
        for signed, found in ((True, []), (False, ['unsigned-loader'])):
            disk = self.disk(esp={'/EFI/BOOT/BOOTX64.EFI': disks.program(
                0x8664, signed=signed)})
            for expectation, codes in (
                    ({'secure_boot': True, 'arch': 'x86_64'}, found),
                    ({'secure_boot': True}, found), ({}, [])):
                inspection = self.inspect(disk, boot_mode='uefi',
                                          **expectation)
                self.assertEqual(codes, [
                    each.code for each in inspection.findings])
                self.assertEqual('refuse' if codes else 'accept',
                                 inspection.verdict)
            muted = self.inspect(
                disk, boot_mode='uefi', secure_boot=True,
                start_policy=start_policy.StartPolicy(
                    muted=('unsigned-loader',)))
            self.assertEqual((), muted.findings)
