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

import os
import pathlib
import struct
import subprocess
import tempfile
import unittest
from unittest import mock

from ironic_python_agent import errors

from ironic_imagedeploy.agent.boot import bios
from ironic_imagedeploy.agent.boot import grub

MIB = 1 << 20
SECTOR = 512
MSDOS = 'label: dos\nstart=2048, size=2048, type=83, bootable\n'
GPT = ('label: gpt\nstart=2048, size=2048, '
       'type=21686148-6449-6E6F-744E-656564454649\nstart=4096, size=2048\n')


class InstallTest(unittest.TestCase):

    def setUp(self):
        super().setUp()
        self.boot = pathlib.Path(grub.BIOS.directory, 'boot.img')
        if not self.boot.exists():
            self.skipTest('needs the package grub-pc-bin')
        directory = self.enterContext(tempfile.TemporaryDirectory())
        self.disk = pathlib.Path(directory, 'disk')
        # 456 sectors behind the first one, at 0x8200
        self.core = (os.urandom(SECTOR - 12)
                     + struct.pack('<QHH', 2, 456, 0x820)
                     + os.urandom(200_000))

    def partitioned(self, table):
        self.disk.write_bytes(b'\xa5' * (4 * MIB))
        subprocess.run(['sfdisk', '-q', '--wipe', 'never', self.disk],
                       input=table, text=True, check=True)
        return self.disk.read_bytes()

    def test_gap_of_an_mbr(self):
        before = self.partitioned(MSDOS)
        bios.install(str(self.disk), self.core)
        after = self.disk.read_bytes()
        self.assert_core_at(1, after)
        self.assertEqual(before[440:512], after[440:512])
        self.assertEqual(before[MIB:], after[MIB:])
        self.assertEqual('msdos', bios.table_name(str(self.disk)))

    def test_bios_boot_partition(self):
        before = self.partitioned(GPT)
        bios.install(str(self.disk), self.core)
        after = self.disk.read_bytes()
        self.assert_core_at(2048, after)
        self.assertEqual(before[440:MIB], after[440:MIB])
        self.assertEqual(before[2 * MIB:], after[2 * MIB:])
        self.assertEqual('gpt', bios.table_name(str(self.disk)))

    def assert_core_at(self, sector, disk):
        """As grub-bios-setup writes it."""
        boot = bytearray(self.boot.read_bytes())
        self.assertEqual(boot[:3], disk[:3])
        self.assertEqual((sector, 0xff, b'\x90\x90'), (
            struct.unpack_from('<Q', disk, 0x5c)[0], disk[0x64],
            disk[0x66:0x68]))
        self.assertEqual(boot[0x68:0x1b8], disk[0x68:0x1b8])
        found = disk[sector * SECTOR:][:len(self.core)]
        self.assertEqual((sector + 1, 456, 0x820),
                         struct.unpack_from('<QHH', found, 0x1f4))
        self.assertEqual(self.core[:0x1f4], found[:0x1f4])
        self.assertEqual(self.core[SECTOR:], found[SECTOR:])

    def assert_refused(self, reason, core=None):
        before = self.disk.read_bytes()
        with self.assertRaisesRegex(errors.DeploymentError, reason):
            bios.install(str(self.disk), core or self.core)
        self.assertEqual(before, self.disk.read_bytes())

    def test_too_large(self):
        self.partitioned(MSDOS)
        self.assert_refused(f'at least {MIB} bytes', bytes(MIB))
        self.assert_refused(f'found {MIB - SECTOR}$', bytes(MIB - 511))

    def test_one_that_just_fits(self):
        for table, most, sector in ((MSDOS, MIB - SECTOR, 1),
                                    (GPT, MIB, 2048)):
            before = self.partitioned(table)
            self.core = self.core.ljust(most, b'x')
            bios.install(str(self.disk), self.core)
            self.core = self.core[:200_000]
            after = self.disk.read_bytes()
            self.assert_core_at(sector, after)
            end = sector * SECTOR + most
            self.assertEqual(before[end:], after[end:])

    def test_no_more_than_whole_sectors(self):
        before = self.partitioned(GPT)
        for size, rest in ((2048, 0), (2047, 1), (1537, 511)):
            bios.install(str(self.disk), self.core[:size])
            after = self.disk.read_bytes()[MIB:]
            self.assertEqual(bytes(rest), after[size:2048])
            self.assertEqual(before[MIB + 2048:MIB + 4096],
                             after[2048:4096])

    def test_what_cannot_be_written(self):
        self.partitioned(MSDOS)
        with (mock.patch.object(os, 'fsync', autospec=True,
                                side_effect=OSError(5, 'Input/output error')),
              self.assertRaisesRegex(
                  errors.DeploymentError, 'grub2 cannot be written to '
                  f'{self.disk}: Input/output error')):
            bios.install(str(self.disk), self.core)

    def test_what_the_disk_has_not_kept(self):
        fsync = os.fsync
        for at, start in ((0, 0), (511, 0), (SECTOR, SECTOR),
                          (SECTOR + 200_000, SECTOR)):
            def lose(disk, at=at):
                fsync(disk)
                os.pwrite(disk, b'\x5a', at)
            self.partitioned(MSDOS)
            with (self.subTest(at), mock.patch.object(os, 'fsync', lose),
                  self.assertRaisesRegex(
                      errors.DeploymentError, f'grub2 is not on {self.disk}: '
                      f'expected what was written from byte {start} on')):
                bios.install(str(self.disk), self.core, verify=True)
        self.partitioned(MSDOS)
        with mock.patch.object(os, 'posix_fadvise', autospec=True) as advise:
            bios.install(str(self.disk), self.core, verify=True)
        advise.assert_called_once_with(mock.ANY, 0, 0, os.POSIX_FADV_DONTNEED)

    def test_the_boot_code_comes_last(self):
        """It leads to a core that is on the medium."""
        before, seen = self.partitioned(MSDOS), []
        real = os.fsync

        def fsync(disk):
            real(disk)
            content = self.disk.read_bytes()
            seen.append((content[:440] != before[:440],
                         content[SECTOR:MIB] != before[SECTOR:MIB]))

        with mock.patch.object(os, 'fsync', fsync):
            bios.install(str(self.disk), self.core)
        self.assertEqual([(False, True), (True, True)], seen)

    def test_a_disk_that_takes_a_few_bytes_at_a_time(self):
        self.partitioned(MSDOS)
        real = os.pwrite
        with mock.patch.object(os, 'pwrite', lambda disk, view, start: real(
                disk, view[:70_000], start)):
            bios.install(str(self.disk), self.core)
        self.assert_core_at(1, self.disk.read_bytes())

    def test_gpt_without_a_bios_boot_partition(self):
        self.partitioned('label: gpt\nstart=2048, size=2048\n')
        self.assert_refused('found a GPT without one')

    def test_no_partition_table(self):
        self.disk.write_bytes(bytes(MIB))
        self.assert_refused('no partition table')


class CheckTest(unittest.TestCase):

    def test_sectors(self):
        bios.check('/dev/sda', 512)
        for size in (4096, 256):
            with self.assertRaisesRegex(
                    errors.DeploymentError, 'No BIOS boots from /dev/sda: '
                    f'expected sectors of 512 bytes, found {size}'):
                bios.check('/dev/sda', size)
