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

"""The programs in an ESP tell which processors the image is for."""

import pathlib
import struct
import subprocess
import tempfile
import unittest

from ironic_imagedeploy.engine import boot_programs
from ironic_imagedeploy.engine import partitions

MIB = 1 << 20


def program(machine: int) -> bytes:
    """The front of a PE program."""
    return (b'MZ' + bytes(0x3a) + struct.pack('<I', 0x80) + bytes(0x40)
            + b'PE\0\0' + struct.pack('<H', machine) + bytes(500))


class ArchitecturesTestCase(unittest.TestCase):

    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.volume = self.folder / 'esp'
        with open(self.volume, 'wb') as volume:
            volume.truncate(16 * MIB)
        self.tool('mkfs.vfat', self.volume)
        self.reads = 0

    def tool(self, *command: object) -> None:
        subprocess.run([str(word) for word in command], check=True,
                       stdout=subprocess.DEVNULL)

    def put(self, path: str, content: bytes) -> None:
        source = self.folder / 'file'
        source.write_bytes(content)
        self.tool('mcopy', '-i', self.volume, source, f'::{path}')

    def architectures(self) -> set[str] | None:
        start = 3 * MIB
        disk = bytes(start) + self.volume.read_bytes()

        def read(offset: int, length: int) -> bytes:
            self.reads += 1
            return disk[offset:offset + length]
        return boot_programs.architectures(read, partitions.Partition(
            number=1, start=start, length=16 * MIB, type=partitions.ESP))

    def test_nothing_in_it(self) -> None:
        self.assertEqual(set(), self.architectures())

    def test_no_file_system(self) -> None:
        self.volume.write_bytes(bytes(16 * MIB))
        self.assertIsNone(self.architectures())

    def test_each_processor(self) -> None:
        self.tool('mmd', '-i', self.volume, '::/EFI', '::/EFI/BOOT',
                  '::/EFI/vendor', '::/other')
        self.put('/EFI/BOOT/BOOTX64.EFI', program(0x8664))
        self.put('/other/BOOTIA32.EFI', program(0x14c))
        self.put('/EFI/BOOT/notes.txt', program(0x5064))
        self.assertEqual({'x86_64'}, self.architectures())
        self.put('/EFI/vendor/grubaa64.efi', program(0xaa64))
        self.assertEqual({'x86_64', 'aarch64'}, self.architectures())

    def test_what_is_no_program_does_not_count(self) -> None:
        self.tool('mmd', '-i', self.volume, '::/EFI', '::/EFI/BOOT')
        self.put('/EFI/BOOT/BOOTX64.EFI', b'#!/bin/sh\n')
        self.put('/EFI/BOOT/EMPTY.EFI', b'')
        self.assertEqual(set(), self.architectures())

    def test_few_reads(self) -> None:
        self.tool('mmd', '-i', self.volume, '::/EFI', '::/EFI/BOOT')
        for number in range(20):
            self.put(f'/EFI/BOOT/P{number}.EFI', program(0x8664))
        self.assertEqual({'x86_64'}, self.architectures())
        self.assertLessEqual(self.reads, 4)


class CanonicalTestCase(unittest.TestCase):

    def test_names(self) -> None:
        for name, canonical in (('x86_64', 'x86_64'), ('AMD64', 'x86_64'),
                                ('arm64', 'aarch64'), ('i386', 'i686'),
                                ('s390x', 's390x')):
            self.assertEqual(canonical, boot_programs.canonical(name))
