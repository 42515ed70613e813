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


import pathlib
import subprocess
import tempfile
import unittest

from ironic_imagedeploy.cmd import imagedeploy
from ironic_imagedeploy.cmd import remedies
from ironic_imagedeploy import engine
from tests.unit.engine import disks

MIB = 1 << 20


class RemediesTest(unittest.TestCase):
    """What to do is told in options and with the file's name."""

    def setUp(self) -> None:
        super().setUp()
        self.directory = pathlib.Path(self.enterContext(
            tempfile.TemporaryDirectory()))
        self.use('check', 'x')

    def use(self, *words: str) -> None:
        """Take the options of another command."""
        self.arguments = imagedeploy.parser().parse_args(words)

    def fix(self, code: str, name: str, content: bytes | bytearray,
            **expectation: object) -> str:
        """The remedy for the finding of that code about a file."""
        path = self.directory / name
        path.write_bytes(content)
        with engine.open_source(str(path)) as source:
            inspection = remedies.with_remedies(
                engine.inspect(source, engine.Expectation(**expectation)),
                str(path), self.arguments)
        return next(finding.fix for finding in inspection.findings
                    if finding.code == code)

    def made(self, form: str, *options: str) -> bytes:
        """An image that qemu-img makes."""
        path = self.directory / 'made'
        subprocess.run(['qemu-img', 'create', '-q', '-f', form, *options,
                        path, '2M'], check=True)
        return path.read_bytes()

    def test_formats(self) -> None:
        vmdk = self.made('vmdk')
        fix = self.fix('format-not-permitted', 'a disk.vmdk', vmdk)
        self.assertIn(f"convert --permit vmdk '{self.directory}/a disk.vmdk' "
                      'NEW.qcow2', fix)
        self.assertIn('--permit vmdk', fix)
        self.assertEqual(
            'Say its real format, --disk-format vmdk --permit vmdk',
            self.fix('format-mismatch', 'disk', vmdk, disk_format='raw'))
        self.assertEqual(
            'Say its real format, --disk-format qcow2', self.fix(
                'format-mismatch', 'disk', self.made('qcow2'),
                disk_format='raw'))
        self.assertIn('byte for byte: --disk-format raw', self.fix(
            'format-mismatch', 'disk', disks.gpt(MIB, []),
            disk_format='qcow2'))
        self.assertIn(f'qemu-img convert -O qcow2 {self.directory}/d NEW',
                      self.fix('format-mismatch', 'd', self.made('qed'),
                               disk_format='qcow2'))

    def test_what_the_disk_is(self) -> None:
        disk = disks.gpt(MIB, [])
        for code, expectation, option in (
                ('image-type-mismatch', {'image_type': 'partition'},
                 '--image-type whole-disk'),
                ('image-type-mismatch', {'has_kernel': True},
                 '--kernel-beside'),
                ('no-esp', {'boot_mode': 'uefi'}, '--boot-mode bios'),
                ('no-bios-boot', {'boot_mode': 'bios'},
                 '--boot-mode uefi')):
            self.assertIn(option, self.fix(code, 'disk', disk,
                                           **expectation))

    def test_the_name_of_a_file_by_url(self) -> None:
        path = self.directory / 'disk'
        path.write_bytes(self.made('vmdk'))
        with engine.open_source(path.as_uri()) as source:
            inspection = engine.inspect(source)
            for given, name in ((path.as_uri(), str(path)),
                                ('https://example.com/disk', 'FILE')):
                self.assertIn(f'vmdk {name} NEW', remedies.with_remedies(
                    inspection, given, self.arguments).findings[0].fix)

    def test_options_of_other_commands_are_not_named(self) -> None:
        root = self.directory / 'root'
        with root.open('wb') as file:
            file.truncate(8 * MIB)
        subprocess.run(['mkfs.ext4', '-q', '-F', root], check=True)
        for words, option in (
                (('check', 'x'), '--kernel-beside'),
                (('upload', 'x'), '--kernel and --ramdisk'),
                (('write', 'x', 'y'), None)):
            self.use(*words)
            fix = self.fix('no-bootloader', 'copy', root.read_bytes(),
                           image_type='partition', boot_mode='bios')
            with self.subTest(words[0]):
                self.assertEqual(option is not None, '--' in fix, fix)
                self.assertIn(option or '', fix)
        self.use('upload', 'x', '--kernel', 'k', '--ramdisk', 'r')
        self.assertIn('Leave out --kernel and --ramdisk', self.fix(
            'image-type-mismatch', 'disk', disks.gpt(MIB, []),
            has_kernel=True))
        self.use('convert', 'x', 'y')
        self.assertNotIn('--', self.fix(
            'image-type-mismatch', 'disk', disks.gpt(MIB, []),
            image_type='partition'))
