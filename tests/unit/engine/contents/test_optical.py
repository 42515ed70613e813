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

import struct

from ironic_imagedeploy.engine.contents import optical
from tests.unit.engine import base
from tests.unit.engine import volumes


class OpticalTest(base.EngineTestCase):

    def is_volume(self, content: bytes | bytearray) -> bool:
        return optical.is_volume(
            lambda offset, length: bytes(content[offset:offset + length]))

    def made(self, *options: str) -> bytearray:
        tree = volumes.plant(self.directory / 'tree', volumes.BOOTABLE)
        base.run('xorriso', '-as', 'mkisofs', '-quiet', *options, '-o',
                 self.directory / 'disc', tree)
        return bytearray((self.directory / 'disc').read_bytes())

    def test_discs(self) -> None:
        for options in ((), ('-R',), ('-J', '-R'), ('-iso-level', '3'),
                        ('-R', '-partition_offset', '16')):
            with self.subTest(options=options):
                self.assertTrue(self.is_volume(self.made(*options)))

    def test_udf(self) -> None:
        for sector in (512, 2048, 4096):
            content = bytearray(2 * base.MIB)
            content[256 * sector:256 * sector + 16] = struct.pack(
                '<H10xI', 2, 256)
            self.assertTrue(self.is_volume(content))

    def test_letters_alone(self) -> None:
        content = bytearray(base.MIB)
        self.assertFalse(self.is_volume(content))
        content[0x8000:0x8007] = b'\1CD001\1'
        self.assertFalse(self.is_volume(content))

    def test_a_descriptor_without_its_directory(self) -> None:
        disc = self.made()
        for at, change in ((0x8000 + 158, b'\xff\xff\xff\xff'),
                           (0x8000 + 128, b'\0\0'), (0x8000 + 156, b'\0'),
                           (0x8000 + 166, b'\xff')):
            changed = disc.copy()
            changed[at:at + len(change)] = change
            self.assertFalse(self.is_volume(changed))
        self.assertFalse(self.is_volume(disc[:0x9000]))
