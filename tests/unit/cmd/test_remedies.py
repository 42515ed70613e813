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

    def fix(self, code: str, name: str, content: bytes | bytearray,
            **expectation: object) -> str:
        """The remedy for the finding of that code about a file."""
        path = self.directory / name
        path.write_bytes(content)
        with engine.open_source(str(path)) as source:
            inspection = remedies.with_remedies(
                engine.inspect(source, engine.Expectation(**expectation)),
                str(path))
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
        self.assertIn(f"qemu-img convert -O qcow2 '{self.directory}/a disk."
                      "vmdk' NEW", fix)
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
                self.assertIn(f'-O qcow2 {name} NEW', remedies.with_remedies(
                    inspection, given).findings[0].fix)
