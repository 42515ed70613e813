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

from unittest import mock

from ironic_imagedeploy.agent.boot import efi_loaders
from ironic_imagedeploy.agent.boot import grub
from ironic_imagedeploy.engine.contents import filesystems
from tests.support import boot_files
from tests.unit.agent import trees

efi_program = boot_files.efi_program
PLATFORM = grub.platform_of('uefi', 'x86_64')
SHIM = 'usr/lib/shim/shimx64.efi.signed'
GRUB = 'usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed'


class SignedTest(trees.TreeTestCase):

    def signed(self):
        return efi_loaders.signed(self.tree, PLATFORM, 'x86_64')

    def test_both_or_none(self):
        self.assertIsNone(self.signed())
        self.put(SHIM, efi_program('shim'))
        self.assertIsNone(self.signed())
        self.put(GRUB, efi_program('grub2'))
        self.assertEqual(
            {'BOOTX64.EFI': efi_program('shim'),
             'grubx64.efi': efi_program('grub2'),
             'grub.efi': efi_program('grub2')}, self.signed().files)

    def test_ubuntu(self):
        self.link(SHIM, '/etc/alternatives/shimx64.efi.signed')
        self.put(f'{SHIM}.latest', efi_program('shim'))
        self.put(GRUB, efi_program('grub2'))
        self.assertEqual(efi_program('shim'),
                         self.signed().files['BOOTX64.EFI'])

    def test_suse(self):
        self.put('usr/share/efi/x86_64/shim.efi', efi_program('shim'))
        self.put('usr/share/efi/x86_64/grub.efi', efi_program('grub2'))
        self.assertEqual('image', self.signed().origin)

    def test_fedora(self):
        folder = 'boot/efi/EFI/fedora'
        self.put(f'{folder}/shimx64.efi', efi_program('shim'))
        self.put(f'{folder}/grubx64.efi', efi_program('grub2'))
        self.assertEqual(efi_program('shim'),
                         self.signed().files['BOOTX64.EFI'])

    def test_what_is_no_program(self):
        self.put(GRUB, efi_program('grub2'))
        for content in (b'', b'#!/bin/sh\n', b'MZ', efi_program('', 0xaa64)):
            self.put(SHIM, content)
            self.assertIsNone(self.signed())

    def test_links_to_the_outside_and_huge_files(self):
        self.put(GRUB, efi_program('grub2'))
        self.link(SHIM, str(self.secret))
        self.assertIsNone(self.signed())
        (self.top / SHIM).unlink()
        with self.put(SHIM, efi_program('shim')).open('r+b') as file:
            file.truncate(1 << 40)
        self.assertIsNone(self.signed())
        self.assertIn('more than 16777216 bytes', self.log.output)


class OwnTest(trees.TreeTestCase):

    def test_names(self):
        for arch, name in (('x86_64', 'BOOTX64.EFI'),
                           ('aarch64', 'BOOTAA64.EFI')):
            programs = efi_loaders.own(grub.platform_of('uefi', arch), b'x')
            self.assertEqual(('ramdisk', {name: b'x'}),
                             (programs.origin, programs.files))


class HasSignedTest(trees.TreeTestCase):
    """The same of an image that is not written yet."""

    def has_signed(self, *paths, vendors=()):
        files = mock.Mock(spec=filesystems.FileSystem)
        files.exists.side_effect = lambda path: path in paths
        files.list.side_effect = lambda path: (
            list(vendors) if path == 'boot/efi/EFI' else [])
        return efi_loaders.has_signed(files, PLATFORM, 'x86_64')

    def test_both_or_none(self):
        for paths, found in (((), False), ((SHIM,), False), ((GRUB,), False),
                             ((SHIM, GRUB), True),
                             ((f'{SHIM}.previous', GRUB), True),
                             ((f'{SHIM}.other', GRUB), False)):
            self.assertEqual(found, self.has_signed(*paths))

    def test_of_a_vendor(self):
        paths = [f'boot/efi/EFI/fedora/{name}x64.efi'
                 for name in ('shim', 'grub')]
        for crowd, found in (((), True), (('x',) * 15, True),
                             (('x',) * 16, False)):
            self.assertEqual(found, self.has_signed(
                *paths, vendors=(*crowd, 'fedora')))


class VendorsTest(trees.TreeTestCase):

    def test_of_the_release_and_of_what_is_installed(self):
        self.put('etc/os-release', 'NAME=x\nID=linuxmint\n'
                 'ID_LIKE="almalinux debian"\n')
        self.put('boot/efi/EFI/fedora/shimx64.efi')
        self.put('boot/efi/EFI/boot/bootx64.efi')
        self.assertEqual(['fedora', 'linuxmint', 'almalinux', 'debian'],
                         efi_loaders.vendors(self.tree))

    def test_hostile_names(self):
        self.put('etc/os-release', 'ID="../../etc .. . a/b BOOT $(x)"\n'
                 "ID_LIKE='\\x; Debian debian con NUL.x'\n")
        self.assertEqual(['debian'], efi_loaders.vendors(self.tree))

    def test_a_crowd(self):
        for number in range(17):
            self.put(f'boot/efi/EFI/vendor{number}/shimx64.efi')
        self.put('etc/os-release', 'ID=' + ' '.join(
            f'id{number}' for number in range(99)).join('""'))
        self.assertEqual([f'id{number}' for number in range(16)],
                         efi_loaders.vendors(self.tree))
        self.assertIn('more than 16 entries', self.log.output)

    def test_release_that_is_outside(self):
        self.link('etc/os-release', str(self.secret))
        self.put('usr/lib/os-release', 'ID=debian')
        self.assertEqual(['debian'], efi_loaders.vendors(self.tree))
