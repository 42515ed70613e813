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
import random

from tests.support import boot_files
from tests.unit.engine import base
from tests.unit.engine.inspection import verdicts
from tests.unit.engine import volumes

MIB = base.MIB


class RootTest(verdicts.VerdictTestCase):
    """The root file system of a partition image."""

    def test_no_bootloader(self) -> None:
        for make in (volumes.ext4, volumes.xfs, volumes.btrfs):
            content = make(self.directory / 'root', {
                'etc/fstab': b'', 'boot/grub': None}).read_bytes()
            self.assert_refused('no-bootloader', content, 'grub2', 'none',
                                'an initramfs with it', image_type='partition')
            self.assert_accepted(content, 'no-bootloader')
            self.assert_refused('no-bootloader', content, boot_mode='bios')

    def test_a_kernel_is_enough_and_needed(self) -> None:
        """The ramdisk has grub2, and makes a menu of what it finds."""
        content = volumes.ext4(self.directory / 'root', {
            'boot/vmlinuz-6.1': b'MZ'}).read_bytes()
        self.assert_accepted(content, image_type='partition')
        for more in ({}, {'boot/bzImage': b'MZ'}, {'vmlinuz-6.1': b'MZ'},
                     {'usr/lib/modules/6.1/vmlinuz': b'MZ'}):
            content = volumes.ext4(self.directory / 'root', {
                'usr/sbin/grub2-install': b'#!', **more}).read_bytes()
            self.assert_refused(
                'no-bootloader', content, 'grub2, but no such kernel',
                '/boot/vmlinuz-VERSION', image_type='partition')

    def test_the_processor_of_its_kernels(self) -> None:
        arm = {'boot/vmlinuz-6.1': boot_files.arm64()}
        for make in (volumes.ext4, volumes.xfs, volumes.btrfs):
            for tree, arch, other in (
                    ({'boot/vmlinuz-6.1': boot_files.bzimage()}, 'x86_64',
                     'aarch64'),
                    (arm, 'aarch64', 'x86_64'),
                    ({'boot/vmlinuz-6.1': gzip.compress(boot_files.arm64())},
                     'aarch64', 'amd64')):
                content = make(self.directory / 'root', tree).read_bytes()
                for declared in ('partition', None):
                    self.assert_accepted(content, arch=arch,
                                         image_type=declared)
                    self.assert_refused('arch-mismatch', content, arch,
                                        arch=other, image_type=declared)
        both = volumes.ext4(self.directory / 'root', {
            **arm, 'boot/vmlinuz-6.2': boot_files.bzimage()}).read_bytes()
        for arch in ('x86_64', 'aarch64'):
            self.assert_accepted(both, arch=arch)

    def test_a_processor_that_cannot_be_judged(self) -> None:
        for make in (volumes.ext4, volumes.xfs, volumes.btrfs):
            content = make(self.directory / 'root', volumes.BOOTABLE
                           ).read_bytes()
            self.assert_accepted(content, 'arch-unknown', arch='x86_64',
                                 image_type='partition')
        self.assert_accepted(
            volumes.ext4(self.directory / 'root', {}).read_bytes(),
            has_kernel=True, arch='x86_64', image_type='partition')

    def test_features_that_grub_does_not_read(self) -> None:
        for name in ('inline_data', 'ea_inode', 'casefold'):
            content = volumes.ext4(self.directory / 'root', volumes.BOOTABLE,
                                   '-O', name).read_bytes()
            self.assert_refused('file-system-unsupported', content,
                                f'ext4 without {name}', f'-O ^{name}',
                                image_type='partition')
            self.assert_accepted(content, 'file-system-unsupported')

    def test_features_that_some_grub_reads(self) -> None:
        for size, warnings in (('1024', ['grub-dependent']), ('4096', [])):
            findings = self.assert_accepted(
                volumes.ext4(self.directory / 'root', volumes.BOOTABLE,
                             '-t', 'ext4', '-O', 'bigalloc', '-b', size
                             ).read_bytes(),
                *warnings, image_type='partition').findings
            self.assertEqual(len(warnings), str(findings).count(
                'ext4 without bigalloc'))

    def test_bootloader_unknown(self) -> None:
        content = bytearray(volumes.ext4(
            self.directory / 'root', {}, '-O', '^metadata_csum',
            size=64 * MIB).read_bytes())
        for feature, words in ((4, 'journal'), (1 << 20, '0x100000')):
            odd = content.copy()
            odd[1024 + 0x60:1024 + 0x64] = (
                int.from_bytes(odd[1024 + 0x60:1024 + 0x64], 'little')
                | feature).to_bytes(4, 'little')
            inspection = self.assert_accepted(
                odd, 'bootloader-unknown', image_type='partition')
            self.assertIn(words, str(inspection.findings[0]))

    def test_bootloader_unknown_behind_the_front_of_a_packed_file(
            self) -> None:
        noise = random.Random(1).randbytes(17 * MIB)
        content = volumes.ext4(
            self.directory / 'root', {'0': noise, **volumes.BOOTABLE},
            size=64 * MIB).read_bytes()
        self.assert_accepted(content, image_type='partition')
        self.assert_packed_accepted(content, 'bootloader-unknown',
                                    image_type='partition')

    def test_lines_of_fstab_that_a_deployment_changes(self) -> None:
        table = ('LABEL=cloudimg-rootfs / ext4 discard 0 1\n'
                 'LABEL=BOOT /boot ext4 defaults 0 2\n'
                 'LABEL=data /srv ext4 nofail 0 2\n'
                 'LABEL=UEFI /boot/efi vfat umask=0077 0 1\n'
                 'UUID=5f-1 none swap sw 0 0\n')
        content = volumes.ext4(self.directory / 'root', {
            **volumes.BOOTABLE, 'etc/fstab': table.encode()}, '-L',
            'cloudimg-rootfs').read_bytes()
        for mode, esp in (
                ('bios', 'gets nofail;'),
                ('uefi', 'gets the EFI system partition of the disk;'),
                (None, 'with UEFI, nofail with BIOS;')):
            inspection = self.assert_accepted(
                content, 'fstab-adapted', image_type='partition',
                boot_mode=mode)
            found = inspection.findings[0].found
            self.assertIn('/boot of LABEL=BOOT gets nofail; '
                          '/boot/efi of LABEL=UEFI gets ', found)
            self.assertIn(esp, found)
            self.assertTrue(found.endswith(
                'none of UUID=5f-1 gets the swap space of the disk, or '
                'nofail without one'), found)

    def test_an_fstab_that_stays(self) -> None:
        for make, label in ((volumes.ext4, '-L'), (volumes.xfs, '-L'),
                            (volumes.btrfs, '-L')):
            content = make(self.directory / 'root', {
                **volumes.BOOTABLE, 'etc/fstab': b'LABEL=top / auto\n'
                b'LABEL=top /home auto subvol=home\n'}, label, 'top'
                ).read_bytes()
            self.assert_accepted(content, image_type='partition')

    def test_file_system_unsupported(self) -> None:
        path = self.directory / 'root'
        path.touch()
        ntfs, exfat, physical, swap = (bytearray(MIB) for _ in range(4))
        # Their boot sectors look like partition tables that are damaged.
        for volume, name in ((ntfs, b'NTFS    '), (exfat, b'EXFAT   ')):
            volume[:11] = b'\xeb\x52\x90' + name
            volume[440:512] = b'\xff' * 70 + b'\x55\xaa'
        physical[0x218:0x220] = b'LVM2 001'
        swap[0xff6:0x1000] = b'SWAPSPACE2'
        with path.open('r+b') as file:
            file.truncate(8 * MIB)
        base.run('mkfs.vfat', path)
        for content, found in (
                (path.read_bytes(), 'vfat'), (ntfs, 'ntfs'),
                (exfat, 'exfat'),
                (physical, 'LVM'), (swap, 'swap')):
            with self.subTest(found=found):
                self.assert_refused('file-system-unsupported', content,
                                    'ext4', found, image_type='partition')
                inspection = self.assert_accepted(content,
                                                  'file-system-unsupported')
                self.assertEqual('partition', inspection.image_type)

    def test_file_systems_of_archives(self) -> None:
        erofs = bytearray(MIB)
        erofs[0x400:0x404] = b'\xe2\xe1\xf5\xe0'
        for content, found in (
                (b'hsqs' + bytes(MIB), 'squashfs'), (erofs, 'erofs'),
                (b'\x45\x3d\xcd\x28' + bytes(MIB), 'cramfs'),
                (b'-rom1fs-' + bytes(MIB), 'romfs')):
            for declared in (None, 'partition'):
                with self.subTest(found=found, declared=declared):
                    self.assert_refused('file-system-unsupported', content,
                                        found, image_type=declared)

    def test_whether_it_has_a_kernel(self) -> None:
        """Where a boot menu may name one that is not there: unknown."""
        for tree, has_kernel in (
                ({'boot/vmlinuz-6.1': b'MZ'}, True), ({'boot': None}, False),
                ({'boot/loader/entries/a.conf': b'linux /linux',
                  'boot/linux': b''}, None)):
            content = bytearray(volumes.ext4(
                self.directory / 'root', tree, '-O', '^metadata_csum'
                ).read_bytes())
            for dirty in (0, 4):
                content[1024 + 0x60] |= dirty
                self.assertIs(None if dirty else has_kernel, self.inspect(
                    content, has_kernel=True).has_kernel)

    def test_a_file_system_that_cannot_be_mounted(self) -> None:
        content = bytearray(volumes.ext4(
            self.directory / 'root', volumes.BOOTABLE, '-t', 'ext4'
            ).read_bytes())
        for cut in (MIB, len(content) - 512):
            for declared in ('partition', None):
                self.assert_refused('truncated', content[:cut],
                                    str(len(content)), image_type=declared)
        content[1024 + 0x78] ^= 1
        self.assert_refused('corrupt', content, 'superblock',
                            image_type='partition')
        self.assert_accepted(content, 'corrupt')
