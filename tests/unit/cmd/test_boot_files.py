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

import json
import lzma
import pathlib

from tests.support import boot_files
from tests.support import schema
from tests.unit.cmd import program
from tests.unit.engine import volumes

VERSION = boot_files.KERNEL_VERSION
INITRAMFS = boot_files.archive({'init': b'x'})


class BootFilesTest(program.CommandTestCase):

    def check(self, *, kernel: bytes = boot_files.bzimage(),
              ramdisk: bytes = INITRAMFS, version: str = VERSION
              ) -> tuple[int, list[str]]:
        """The status, and codes of what was found about the set."""
        root = volumes.ext4(self.directory / 'root.raw', {
            'etc/fstab': b'', 'etc/os-release': b'ID=debian\n',
            f'usr/lib/modules/{version}/modules.dep': b''})
        for name, content in (('vmlinuz', kernel), ('initrd', ramdisk)):
            (self.directory / name).write_bytes(content)
        status = self.run_main(*self.arguments(root))
        self.told = json.loads(self.out)
        schema.check(tuple(map(str, self.arguments(root))), self.out)
        return status, [each['code'] for each in self.told['findings']]

    def arguments(self, root: pathlib.Path) -> list[object]:
        return ['check', root, '--image-type', 'partition', '--json',
                '--kernel', self.directory / 'vmlinuz',
                '--ramdisk', self.directory / 'initrd']

    def test_a_set(self) -> None:
        status, codes = self.check()
        self.assertEqual(0, status, codes)
        self.assertNotIn('no-bootloader', codes)
        self.assertNotIn('modules-missing', codes)
        self.assertEqual(VERSION, self.told['boot_files']['kernel']['version'])
        self.assertEqual('cpio', self.told['boot_files']['ramdisk']['format'])

        self.run_main(*(each for each in self.arguments(
            self.directory / 'root.raw') if each != '--json'))
        self.assertIn('  system       debian\n', self.out)
        self.assertRegex(self.out, f'\n  kernel +bzImage, .*{VERSION}, ')
        self.assertRegex(self.out, r'\n  initramfs +cpio, 512 B\n')

    def test_modules_of_another_kernel(self) -> None:
        status, codes = self.check(version='5.10.0-9-amd64')
        self.assertEqual(0, status)
        self.assertIn('modules-missing', codes)

    def test_files_that_are_something_else(self) -> None:
        for wrong, code in (({'kernel': b'x' * 99}, 'not-a-kernel'),
                            ({'ramdisk': b'x' * 99}, 'not-an-initramfs'),
                            ({'ramdisk': INITRAMFS[:150]}, 'truncated'),
                            ({'ramdisk': lzma.compress(bytes(999))},
                             'not-an-initramfs')):
            status, codes = self.check(**wrong)
            self.assertEqual(4, status)
            self.assertIn(code, codes)

    def test_one_without_the_other(self) -> None:
        self.assertEqual(2, self.run_main('check', self.image, '--kernel',
                                          self.image))
        self.assertIn('--kernel and --ramdisk go together', self.err)
