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

"""A machine whose other disk has a copy of the image, by UEFI."""

import pathlib
import shutil
import subprocess

from ironic_python_agent import config  # noqa: F401 (before the others)

from ironic_imagedeploy.agent.boot import grub
from ironic_imagedeploy.agent.boot import menu
from tests.functional import base
from tests.support import disks

MIB = base.MIB
UUID = 'e5354339-96af-4ba7-92c7-3cb3985f6ecd'
FIRMWARE = pathlib.Path('/usr/share/OVMF')
SIGNED = pathlib.Path('/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed')
FOLDER = '/boot/grub'
#: Seconds; it is emulated, on a machine that others use as well.
LONGEST = 300


class OwnDiskFirstTest(base.FunctionalTestCase):

    def setUp(self) -> None:
        super().setUp()
        if not (shutil.which('qemu-system-x86_64') and SIGNED.exists()
                and (FIRMWARE / 'OVMF_CODE_4M.fd').exists()):
            self.skipTest('no QEMU, no OVMF or no signed grub2')

    def disk(self, name: str, files: dict[str, bytes]) -> pathlib.Path:
        """A disk with these files in its ESP, whose root says its name."""
        disk, root, esp = (self.directory / f'{name}.{part}'
                           for part in ('disk', 'root', 'esp'))
        tree = self.directory / f'{name}.tree'
        (tree / 'boot/grub').mkdir(parents=True)
        entry = menu.Entry(version='1', kernel='/boot/vmlinuz-1',
                           initramfs=(), options=())
        head, _, _ = menu.write([entry], uuid=UUID, partition_uuid='1-2'
                                ).partition('menuentry')
        (tree / 'boot/grub/grub.cfg').write_text(
            f'{head}configfile ($root)/boot/next.cfg\n')
        (tree / 'boot/next.cfg').write_text(
            'serial\nterminal_output serial\n'
            f'echo "this is {name} in $root, $prefix"\nhalt\n')
        disks.fill(root, 64 * MIB, 0)
        disks.run('mke2fs', '-q', '-F', '-t', 'ext4', '-U', UUID, '-d', tree,
                  root)
        disks.fill(esp, 48 * MIB, 0)
        disks.run('mkfs.vfat', esp)
        for path, content in files.items():
            file = self.directory / f'{name}.esp.d' / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        if files:
            disks.run('mcopy', '-s', '-i', esp,
                      self.directory / f'{name}.esp.d/EFI', '::')
        disks.fill(disk, 120 * MIB, 0)
        subprocess.run(['sfdisk', '-q', disk], check=True, input=(
            b'label: gpt\nstart=1MiB, size=48MiB, type=uefi\n'
            b'start=50MiB, size=64MiB, type=linux\n'))
        with disk.open('r+b') as whole:
            for start, part in ((MIB, esp), (50 * MIB, root)):
                whole.seek(start)
                whole.write(part.read_bytes())
        return disk

    def started(self, files: dict[str, bytes]) -> str:
        """Words of the root that is started, where the first disk is a copy.

        :param files: in the ESP of the other one, which the firmware starts.
        """
        console = self.directory / 'console'
        shutil.copy(FIRMWARE / 'OVMF_VARS_4M.fd', self.directory / 'variables')
        command = ['qemu-system-x86_64', '-M', 'q35', '-accel', 'tcg', '-m',
                   '512', '-nodefaults', '-display', 'none', '-no-reboot',
                   '-serial', f'file:{console}', '-drive',
                   'if=pflash,format=raw,readonly=on,file='
                   f'{FIRMWARE / "OVMF_CODE_4M.fd"}', '-drive',
                   f'if=pflash,format=raw,file={self.directory}/variables']
        for index, (name, content) in enumerate((('copy', {}),
                                                 ('original', files))):
            command += ['-drive', f'if=none,id={name},format=raw,file='
                                  f'{self.disk(name, content)}',
                        '-device', f'virtio-blk-pci,drive={name},'
                                   f'bootindex={2 - index}']
        subprocess.run(command, check=True, timeout=LONGEST)
        return console.read_text(errors='replace')

    def test_the_grub2_of_the_ramdisk(self) -> None:
        program = grub.make_image(
            grub.platform_of('uefi', 'x86_64'), 'ext4',
            grub.early_configuration(UUID, FOLDER, '$root'),
            f'(,gpt2){FOLDER}')
        self.assertIn(f'this is original in hd1,gpt2, (hd1,gpt2){FOLDER}',
                      self.started({'EFI/BOOT/BOOTX64.EFI': program}))

    def test_the_signed_grub2_of_the_image(self) -> None:
        self.assertIn(f'this is original in hd1,gpt2, (hd1,gpt2){FOLDER}',
                      self.started({
                          'EFI/BOOT/BOOTX64.EFI': SIGNED.read_bytes(),
                          'EFI/debian/grub.cfg': grub.esp_configuration(
                              UUID, FOLDER, '', 'gpt2').encode()}))
