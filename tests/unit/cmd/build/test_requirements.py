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

from ironic_imagedeploy.cmd.build import recipes
from ironic_imagedeploy.cmd.build import requirements
from ironic_imagedeploy.cmd.images import programs

PROGRAMS = ('disk-image-create', 'debootstrap', 'qemu-img', 'mkfs.ext4',
            'fstrim', 'losetup', 'sudo', 'tar', 'kpartx', 'dmsetup',
            'mkfs.vfat')


class RequirementsTest(unittest.TestCase):
    """A machine of which a test says what it has."""

    def setUp(self) -> None:
        super().setUp()
        self.folder = pathlib.Path(self.enterContext(
            tempfile.TemporaryDirectory()))
        for name in PROGRAMS:
            self.program(name)
        self.enterContext(mock.patch.dict(os.environ, {
            'PATH': str(self.folder)}))
        self.enterContext(mock.patch.object(requirements, '_SBIN', ''))
        self.misc = self.listed('_DEVICES', '236 device-mapper\n')
        self.systems = self.listed('_FILE_SYSTEMS', '\tvfat\n')
        self.enterContext(mock.patch.object(
            requirements, '_MODULES', str(self.folder / 'modules')))
        self.machine = self.enterContext(mock.patch(
            'platform.machine', autospec=True, return_value='x86_64'))
        self.name = self.enterContext(mock.patch(
            'socket.gethostname', autospec=True, return_value='localhost'))
        exists = os.path.exists
        self.keys = True
        self.enterContext(mock.patch(
            'os.path.exists', autospec=True, side_effect=lambda path: (
                self.keys if str(path).startswith('/usr/share/keyrings')
                else exists(path))))

    def program(self, name: str) -> None:
        path = self.folder / name
        path.write_text('#!/bin/sh\n')
        path.chmod(0o755)

    def listed(self, name: str, content: str) -> pathlib.Path:
        path = self.folder / name
        path.write_text(content)
        self.enterContext(mock.patch.object(requirements, name, str(path)))
        return path

    def missing(self, **options: object) -> programs.ProgramError:
        with self.assertRaises(programs.ProgramError) as caught:
            requirements.require(recipes.Recipe(
                **{'system': 'debian', **options}))
        return caught.exception

    def test_nothing_is_missing(self) -> None:
        requirements.require(recipes.Recipe(system='debian'))

    def test_all_that_is_missing_at_once(self) -> None:
        for name in ('disk-image-create', 'debootstrap', 'kpartx'):
            (self.folder / name).unlink()
        error = self.missing()
        self.assertIn('pip install diskimage-builder', error.fix)
        self.assertIn('apt install debootstrap kpartx', error.fix)

    def test_keys_of_the_archive(self) -> None:
        """debootstrap would go on without a signature."""
        self.keys = False
        self.assertIn('apt install debian-archive-keyring',
                      self.missing().fix)
        self.assertIn('apt install ubuntu-keyring',
                      self.missing(system='ubuntu').fix)
        with mock.patch.dict(os.environ, {'DIB_APT_KEYRING': '/my.gpg'}):
            requirements.require(recipes.Recipe(system='debian'))

    def test_each_system_has_programs_of_its_own(self) -> None:
        (self.folder / 'debootstrap').unlink()
        error = self.missing(system='rocky')
        self.assertEqual('apt install podman.', error.fix)
        self.program('podman')
        requirements.require(recipes.Recipe(system='rocky'))

    def test_a_partition_image_takes_no_device_mapper(self) -> None:
        (self.folder / 'kpartx').unlink()
        self.misc.write_text('')
        requirements.require(recipes.Recipe(
            system='debian', image_type='partition'))
        self.assertIn('device mapper', self.missing().found)

    def test_a_module_would_do(self) -> None:
        self.misc.write_text('')
        folder = self.folder / 'modules' / os.uname().release
        folder.mkdir(parents=True)
        (folder / 'modules.dep').write_text(
            'kernel/drivers/md/dm-mod.ko.xz: kernel/lib/x.ko\n')
        requirements.require(recipes.Recipe(system='debian'))
        (folder / 'modules.dep').write_text(
            'kernel/drivers/md/other.ko: kernel/drivers/md/dm-mod.ko\n')
        self.missing()

    def test_vfat_for_uefi_only(self) -> None:
        self.systems.write_text('ext4\n')
        (self.folder / 'mkfs.vfat').unlink()
        requirements.require(recipes.Recipe(system='debian',
                                            firmware='bios'))
        error = self.missing(firmware='uefi')
        self.assertIn('dosfstools', error.fix)
        self.assertIn('vfat', error.found)

    def test_a_host_name_that_does_not_resolve(self) -> None:
        # A label is 63 characters at most: nobody is asked for such a name.
        self.name.return_value = 'x' * 64
        for image_type in ('whole-disk', 'partition'):
            error = self.missing(image_type=image_type)
            self.assertIn(f"does not resolve, '{'x' * 64}'", error.found)
            self.assertIn(f'"127.0.1.1 {"x" * 64}" to /etc/hosts', error.fix)

    def test_another_processor(self) -> None:
        self.machine.return_value = 'aarch64'
        self.assertIn('qemu-user-static', self.missing().fix)
        self.program('qemu-x86_64-static')
        requirements.require(recipes.Recipe(system='debian'))
