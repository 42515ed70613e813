#!/usr/bin/env python3
#
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
import tempfile
import unittest
from unittest import mock

from ironic_python_agent import config  # noqa: F401 (before errors)
from ironic_python_agent import errors

from ironic_imagedeploy.agent.boot import grub

EFI = grub.platform_of('uefi', 'x86_64')
#: In the place of grub-mkimage: notes its arguments, and gives back the
#: commands that the program begins with.
PROGRAM = """#!/bin/sh
PATH=/bin
echo "$@" >$PLACE/arguments
while [ $1 != -c ]; do shift; done
early=$2
while [ $1 != -o ]; do shift; done
echo made >$2
cat $early >>$2
"""


class GrubTestCase(unittest.TestCase):
    """A ramdisk with all modules, and something in place of the program."""

    def setUp(self):
        super().setUp()
        self.top = pathlib.Path(self.enterContext(
            tempfile.TemporaryDirectory()))
        self.enterContext(mock.patch.object(grub, '_LIBRARY', str(self.top)))
        self.enterContext(mock.patch.dict('os.environ', {
            'PATH': f'{self.top}/bin', 'PLACE': str(self.top)}))
        for name in ('grub-mkimage', 'mcopy'):
            self.program(name)
        for platform in (grub.BIOS, EFI):
            for name in (*grub._MODULES, *grub._HELPFUL, *grub._RAID, 'ext2',
                         'xfs', 'btrfs'):
                self.put(platform, f'{name}.mod')
        self.put(grub.BIOS, 'boot.img')

    def program(self, name):
        file = self.top / 'bin' / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(PROGRAM)
        file.chmod(0o755)
        return file

    def put(self, platform, name):
        folder = pathlib.Path(platform.directory)
        folder.mkdir(exist_ok=True)
        (folder / name).touch()

    def remove(self, platform, name):
        pathlib.Path(platform.directory, name).unlink()


class PlatformTest(unittest.TestCase):

    def test_those_that_boot(self):
        for boot_mode, arch, name, suffix in (
                ('bios', 'x86_64', 'i386-pc', ''),
                ('uefi', 'x86_64', 'x86_64-efi', 'x64'),
                ('uefi', 'aarch64', 'arm64-efi', 'aa64')):
            found = grub.platform_of(boot_mode, arch)
            self.assertEqual((name, suffix, f'/usr/lib/grub/{name}'),
                             (found.name, found.suffix, found.directory))

    def test_others(self):
        for boot_mode, arch in (
                ('bios', 'aarch64'), ('bios', 'ppc64le'), ('bios', 'x86_65'),
                ('uefi', 'ppc64le'), ('any', 'x86_64'), ('zzz', 'x86_64'),
                ('', 'aarch64'), ('zzz', 'aarch64')):
            with self.subTest(boot_mode, arch=arch), self.assertRaisesRegex(
                    errors.DeploymentError, 'expected a node of x86_64 or '
                    'aarch64 with UEFI, or of x86_64 with BIOS; found '
                    f'{arch} with {boot_mode}'):
                grub.platform_of(boot_mode, arch)


class CheckTest(GrubTestCase):

    def assert_refused(self, missing, platform, **options):
        with self.assertRaisesRegex(
                errors.DeploymentError, f'modules for {platform.name}, .*'
                f'found no {missing}'):
            grub.check(platform, **options)

    def test_all_is_there(self):
        for platform in (grub.BIOS, EFI):
            grub.check(platform)
            grub.check(platform, raid=True)

    def test_modules(self):
        for name in ('normal', 'linux', 'part_gpt', 'ext2', 'xfs', 'btrfs'):
            for platform in (grub.BIOS, EFI):
                self.remove(platform, f'{name}.mod')
                self.assert_refused(f'{platform.directory}/{name}.mod',
                                    platform)
                self.put(platform, f'{name}.mod')

    def test_modules_for_a_software_raid(self):
        self.remove(EFI, 'raid5rec.mod')
        grub.check(EFI)
        self.assert_refused(f'{EFI.directory}/raid5rec.mod', EFI, raid=True)

    def test_what_a_bios_reads_first(self):
        self.remove(grub.BIOS, 'boot.img')
        grub.check(EFI)
        self.assert_refused(f'{grub.BIOS.directory}/boot.img', grub.BIOS)

    def test_the_program_has_one_of_two_names(self):
        made = self.program('grub2-mkimage')
        (self.top / 'bin/grub-mkimage').unlink()
        grub.check(EFI)
        made.unlink()
        self.assert_refused('grub-mkimage', EFI)
        self.assert_refused('grub-mkimage', grub.BIOS)

    def test_mtools_are_for_uefi(self):
        (self.top / 'bin/mcopy').unlink()
        grub.check(grub.BIOS)
        self.assert_refused('mcopy', EFI)


class ConfigurationTest(unittest.TestCase):

    def test_early(self):
        self.assertEqual('search.fs_uuid 1-2 root hd0\n'
                         'set prefix=($root)/boot/grub\n',
                         grub.early_configuration('1-2', '/boot/grub', 'hd0'))
        self.assertEqual('search.fs_uuid 1-2 root \n'
                         'set prefix=($root)/boot/grub\n',
                         grub.early_configuration('1-2', '/boot/grub'))

    def test_of_an_esp_on_the_disk_of_the_root(self):
        self.assertEqual(
            "regexp --set 1:disk '^([^,]+),' $root\n"
            'search.fs_uuid 1-2 root $disk,gpt2\n'
            'set prefix=($root)/boot/grub\n'
            'configfile $prefix/grub.cfg\n',
            grub.esp_configuration('1-2', '/boot/grub', '', 'gpt2'))

    def test_of_an_esp_beside_an_array(self):
        self.assertEqual(
            'search.fs_uuid 1-2 root mduuid/12,gpt2\n'
            'set prefix=($root)/boot/grub\n'
            'configfile $prefix/grub.cfg\n',
            grub.esp_configuration('1-2', '/boot/grub', 'mduuid/12', 'gpt2'))


class MakeImageTest(GrubTestCase):

    def make(self, platform, kind='ext4', **options):
        """The program, and the arguments of the one that makes it."""
        made = grub.make_image(platform, kind, 'early\n', '(,gpt1)/boot',
                               **options)
        return made, (self.top / 'arguments').read_text().split()

    def test_what_it_begins_with(self):
        made, arguments = self.make(EFI)
        self.assertEqual(b'made\nearly\n', made)
        self.assertEqual(
            ['-O', 'x86_64-efi', '-d', EFI.directory, '-p', '(,gpt1)/boot',
             '-c'], arguments[:7])

    def test_modules(self):
        for platform, kind, options, more in (
                (grub.BIOS, 'ext4', {}, {'ext2', 'biosdisk'}),
                (EFI, 'xfs', {}, {'xfs', 'fat'}),
                (EFI, 'btrfs', {'raid': True}, {'btrfs', 'fat', *grub._RAID}),
                (grub.BIOS, 'xfs', {'raid': True}, {
                    'xfs', 'biosdisk', *grub._RAID})):
            _, arguments = self.make(platform, kind, **options)
            self.assertEqual({*grub._MODULES, *grub._HELPFUL, *more},
                             set(arguments[10:]))

    def test_modules_that_it_can_do_without(self):
        self.remove(EFI, 'gfxterm.mod')
        _, arguments = self.make(EFI)
        self.assertNotIn('gfxterm', arguments)
        self.assertIn('gfxmenu', arguments)

    def test_the_program_of_red_hat(self):
        self.program('grub2-mkimage')
        (self.top / 'bin/grub-mkimage').unlink()
        self.assertEqual(b'made\nearly\n', self.make(EFI)[0])

    def test_a_ramdisk_that_has_none(self):
        (self.top / 'bin/grub-mkimage').unlink()
        with self.assertRaisesRegex(errors.DeploymentError,
                                    'has no program grub-mkimage'):
            self.make(EFI)

    def test_nothing_is_left(self):
        place = self.enterContext(tempfile.TemporaryDirectory())
        with mock.patch.object(tempfile, 'tempdir', place):
            self.make(EFI)
        self.assertEqual([], os.listdir(place))
