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
import shutil
import subprocess
import tempfile
import unittest
from unittest import mock

from ironic_python_agent import errors

from ironic_imagedeploy.agent.boot import esp
from ironic_imagedeploy.agent import commands
from ironic_imagedeploy import engine

MIB = 1 << 20
PROGRAMS = esp.Programs('image', {
    'BOOTX64.EFI': os.urandom(100_000), 'grubx64.efi': os.urandom(100_000),
    'grub.efi': b'grub'})


class FillTest(unittest.TestCase):

    def setUp(self):
        super().setUp()
        folder = self.enterContext(tempfile.TemporaryDirectory())
        self.esp = pathlib.Path(folder, 'esp')
        with self.esp.open('wb') as file:
            file.truncate(16 * MIB)
        subprocess.run(['mkfs.vfat', self.esp], check=True,
                       capture_output=True)

    def files(self):
        found = subprocess.run(
            ['mdir', '-/', '-b', '-i', self.esp, '::EFI'], text=True,
            check=True, capture_output=True).stdout.split()
        return {name.removeprefix('::/'): subprocess.run(
            ['mtype', '-i', self.esp, name], check=True,
            capture_output=True).stdout
            for name in found if not name.endswith('/')}

    def test_programs_and_menus(self):
        esp.fill(str(self.esp), PROGRAMS, 'a menu', ['debian', 'alma'],
                 verify=True)
        self.assertEqual({
            **{f'EFI/BOOT/{name}': content
               for name, content in PROGRAMS.files.items()},
            **{f'EFI/{folder}/grub.cfg': b'a menu'
               for folder in ('BOOT', 'alma', 'debian')}}, self.files())

    def test_firmware_finds_it_when_all_of_it_is_on_the_medium(self):
        steps = []
        run, flush = commands.run, os.fsync

        def noted(program, *arguments):
            run(program, *arguments)
            steps.append((program, 'EFI/BOOT/BOOTX64.EFI' in self.files()))

        def flushed(file):
            flush(file)
            steps.append('flush')

        with mock.patch.object(commands, 'run', noted), \
                mock.patch.object(os, 'fsync', flushed):
            esp.fill(str(self.esp), PROGRAMS, 'a menu', ['debian'])
        self.assertEqual(
            [('mmd', False), 'flush', ('mcopy', False), ('mcopy', False),
             'flush', ('mren', True), 'flush'], steps)

    def test_what_the_disk_has_not_kept(self):
        esp.fill(str(self.esp), PROGRAMS, 'a menu', ['debian'], verify=True)
        kept = self.esp.read_bytes()
        for lost in (b'a menu', PROGRAMS.files['grubx64.efi'][-9:],
                     b'GRUBX64 EFI', b'EFI        '):
            at = kept.index(lost)
            flush, flushes = os.fsync, []

            def lose(file, at=at, flush=flush, flushes=flushes):
                flush(file)
                flushes.append(file)
                if len(flushes) == 3:
                    with self.esp.open('r+b') as disk:
                        disk.seek(at)
                        disk.write(b'\0')
            subprocess.run(['mkfs.vfat', self.esp], check=True,
                           capture_output=True)
            with (self.subTest(lost), mock.patch.object(os, 'fsync', lose),
                  self.assertRaisesRegex(
                      errors.DeploymentError,
                      f'boot loader is not on {self.esp}')):
                esp.fill(str(self.esp), PROGRAMS, 'a menu', ['debian'],
                         verify=True)

    def test_each_disk_of_a_mirror_is_read_back(self):
        other = self.esp.with_name('other')
        shutil.copy(self.esp, other)
        with engine.open_target(str(other)) as copy:
            with (mock.patch.object(type(copy), 'copies', [copy]),
                  self.assertRaisesRegex(errors.DeploymentError,
                                         f'is not on {other}')):
                esp.fill(str(self.esp), PROGRAMS, 'a menu', [], verify=True)
