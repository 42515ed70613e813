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

from collections.abc import Mapping
import gzip
import pathlib
import typing

from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import hardware
from tests.support import boot_files
from tests.unit.engine import base
from tests.unit.engine import system_disks
from tests.unit.engine import systems
from tests.unit.engine import volumes

FOLDER = 'usr/lib/modules/6.1.0-13-amd64'
ALIAS = 'pci:v00001234d00000001sv*sd*bc01sc04i00'
DISK, NETWORK = hardware.Kind.DISK, hardware.Kind.NETWORK


def device(kind: hardware.Kind = DISK, **values: typing.Any
           ) -> hardware.Device:
    return hardware.Device(kind=kind, **{
        'alias': ALIAS, 'name': 'sda', 'driver': 'arcmsr', **values})


class DriversTestCase(base.EngineTestCase):

    def look(self, tree: volumes.Tree, *devices: hardware.Device,
             **expectation: typing.Any) -> engine.Inspection:
        """The inspection of a system, whose modules drive nothing."""
        path = system_disks.disk(self.directory, systems.changed(
            systems.debian(), {f'{FOLDER}/modules.alias': b'', **tree}))
        return self.inspect(path, *devices, **expectation)

    def inspect(self, path: pathlib.Path, *devices: hardware.Device,
                **expectation: typing.Any) -> engine.Inspection:
        with engine.open_source(str(path)) as source:
            return engine.inspect(source, engine.Expectation(
                devices=devices, **expectation))


class DriversTest(DriversTestCase):
    """The image against a machine."""

    def found(self, tree: volumes.Tree, *devices: hardware.Device
              ) -> list[tuple[str, str, str]]:
        """Codes, cases and severities, alike with and without all else."""
        found = []
        for contents in (False, True):
            inspection = self.look(tree, *devices, contents=contents)
            found.append([(each.code, each.case, str(each.severity))
                          for each in inspection.findings])
        self.assertEqual(*found)
        return found[0]

    def test_a_driver_that_is_missing(self) -> None:
        self.assertEqual([('driver-missing', '', 'warning')],
                         self.found({}, device()))
        self.assertEqual([('driver-missing', 'network', 'warning')],
                         self.found({}, device(NETWORK)))

    def test_the_disk_for_the_image(self) -> None:
        root = device(is_root=True)
        self.assertEqual([('driver-missing', '', 'error')],
                         self.found({}, root))
        # It is told of, and not of another one.
        inspection = self.look({}, device(alias='virtio:d2', name='vda'),
                               root)
        finding, = inspection.findings
        self.assertIn('which sda needs', finding.expected)
        self.assertEqual('refuse', inspection.verdict)

    def test_an_older_kernel_has_the_driver(self) -> None:
        older = systems.kernel('5.10.0-9-amd64', ['arcmsr'])
        root = device(is_root=True)
        self.assertEqual([('driver-missing', '', 'warning')],
                         self.found(older, root))
        other = systems.kernel('5.10.0-9-amd64', ['ahci'])
        self.assertEqual([('driver-missing', '', 'error')],
                         self.found(other, root))
        # What cannot be told of the older one refuses nothing.
        self.assertEqual([('driver-missing', '', 'warning')], self.found({
            'boot/vmlinuz-5.10.0-9-amd64': b'MZ'}, root))

    def test_a_driver_that_is_built_in(self) -> None:
        self.assertEqual([], self.found({}, device(driver='ext4',
                                                   is_root=True)))

    def test_a_device_whose_driver_nobody_knows(self) -> None:
        unknown = device(driver='', is_root=True)
        self.assertEqual([], self.found({}, unknown))
        built_in = {f'{FOLDER}/modules.builtin.modinfo':
                    b'nvme.alias=pci:v*d*sv*sd*bc01sc08i02*\0'}
        self.assertEqual([('driver-missing', '', 'error')],
                         self.found(built_in, unknown))
        self.assertEqual([], self.found(built_in, device(
            driver='', alias='pci:v00001234d*sv*sd*bc01sc08i02')))

    def test_nothing_tells(self) -> None:
        path = system_disks.disk(self.directory, systems.debian())
        self.assertEqual((), self.inspect(path, device(is_root=True)
                                          ).findings)

    def test_nothing_else_is_looked_at(self) -> None:
        inspection = self.look({}, device())
        contents = inspection.contents
        assert contents is not None
        self.assertTrue(contents.kernels)
        self.assertIsNone(contents.first_boot)
        self.assertFalse(inspection.start_judged)
        self.assertTrue(self.look({}, contents=True).start_judged)


class InitramfsTest(DriversTestCase):
    """The initramfs against the disk for the image."""

    DRIVES = f'alias {ALIAS.replace("*", "0")} arcmsr\n'.encode()

    def codes(self, files: Mapping[str, bytes],
              tree: volumes.Tree | None = None,
              **expectation: typing.Any) -> list[tuple[str, str]]:
        """Codes and severities for an initramfs with these files."""
        root = device(alias=ALIAS.replace('*', '0'), is_root=True)
        inspection = self.look({
            'boot/initrd.img-6.1.0-13-amd64': gzip.compress(
                boot_files.archive(files)),
            f'{FOLDER}/modules.dep': b'kernel/drivers/arcmsr.ko:\n',
            f'{FOLDER}/modules.alias': self.DRIVES, **(tree or {})}, root,
            initramfs=True, **expectation)
        return [(each.code, str(each.severity))
                for each in inspection.findings]

    def test_without_the_driver(self) -> None:
        error = [('initramfs-without-driver', 'error')]
        self.assertEqual(error, self.codes({'init': b'x'}))
        self.assertEqual(error, self.codes({'lib/virtio_blk.ko': b'x'}))
        self.assertEqual([], self.codes({'lib/arcmsr.ko.xz': b'x'}))

    def test_a_driver_that_is_built_in(self) -> None:
        self.assertEqual([], self.codes({}, {
            f'{FOLDER}/modules.builtin': b'kernel/drivers/arcmsr.ko\n'}))

    def test_several_kernels(self) -> None:
        self.assertEqual(
            [('initramfs-without-driver', 'warning')],
            self.codes({}, systems.kernel('5.10.0-9-amd64', ['arcmsr'])))

    def test_what_cannot_be_read(self) -> None:
        for content in (b'nonsense', b'\x1f\x8b\x08nonsense', None):
            self.assertEqual([], self.codes({}, {
                'boot/initrd.img-6.1.0-13-amd64': content}))

    def test_other_disks(self) -> None:
        inspection = self.look({
            f'{FOLDER}/modules.alias': self.DRIVES}, device(
                alias=ALIAS.replace('*', '0')), initramfs=True)
        self.assertEqual((), inspection.findings)

    def test_one_of_the_disks(self) -> None:
        """Which of them is for the image, nothing tells."""
        unknown = device(alias=ALIAS.replace('*', '0'), is_root=None)
        initrd = 'boot/initrd.img-6.1.0-13-amd64'
        for files, found in (({'init': b'x'}, [
                ('initramfs-without-driver', 'warning')]),
                ({'lib/arcmsr.ko': b'x'}, [])):
            inspection = self.look({
                f'{FOLDER}/modules.dep': b'kernel/drivers/arcmsr.ko:\n',
                f'{FOLDER}/modules.alias': self.DRIVES,
                initrd: boot_files.archive(files)}, unknown, initramfs=True)
            self.assertEqual(found, [(each.code, str(each.severity))
                                     for each in inspection.findings])


class RaidTest(DriversTestCase):
    """A whole disk that is to be a software RAID."""

    def codes(self, files: Mapping[str, bytes], **expectation: typing.Any
              ) -> list[tuple[str, str]]:
        """Codes and cases for an initramfs with these files."""
        inspection = self.look({
            'boot/initrd.img-6.1.0-13-amd64': boot_files.archive(files)},
            initramfs=True, contents=True, **expectation)
        return [(each.code, each.case) for each in inspection.findings]

    def test_mdadm(self) -> None:
        mdadm = {'usr/sbin/mdadm': b'x'}
        for mode, more in (('bios', []), ('uefi', [('no-raid-support',
                                                    'grub')])):
            self.assertEqual(more, self.codes(
                mdadm, raid_esp=1 << 30, boot_mode=mode))
            self.assertEqual([('no-raid-support', ''), *more], self.codes(
                {}, raid_esp=1 << 30, boot_mode=mode))
        self.assertEqual([], self.codes({}))

    def test_a_large_esp(self) -> None:
        found = self.codes({'sbin/mdadm': b''}, raid_esp=16 << 20,
                           boot_mode='uefi')
        self.assertIn(('esp-too-large', ''), found)


class UnifiedKernelTest(DriversTestCase):
    """A system that has no other kernels."""

    FOLDER = 'usr/lib/modules/6.7.4-arch1-1'
    DRIVES = InitramfsTest.DRIVES

    def found(self, files: Mapping[str, bytes],
              tree: volumes.Tree) -> list[tuple[str, str]]:
        """Codes for these files of its initramfs, and these of the root."""
        program = systems.unified(
            'rw', '6.7.4-arch1-1', initramfs=gzip.compress(
                boot_files.archive(files)))
        esp, root = systems.unified_arch()
        path = system_disks.disk(self.directory, systems.changed(
            systems.changed([esp, root], tree), {
                'EFI/BOOT/BOOTX64.EFI': program,
                'EFI/Linux/arch-linux.efi': program}, 0))
        inspection = self.inspect(path, device(
            alias=ALIAS.replace('*', '0'), is_root=True), initramfs=True)
        contents = inspection.contents
        assert contents and contents.kernels
        self.assertEqual('6.7.4-arch1-1', contents.kernels[0].version)
        return [(each.code, str(each.severity))
                for each in inspection.findings]

    def test_a_driver_that_is_missing(self) -> None:
        self.assertEqual([('driver-missing', 'error')], self.found(
            {'init': b'x'}, {f'{self.FOLDER}/modules.alias': b''}))

    def test_an_initramfs_without_the_driver(self) -> None:
        tree = {f'{self.FOLDER}/modules.dep': b'kernel/arcmsr.ko:\n',
                f'{self.FOLDER}/modules.alias': self.DRIVES}
        self.assertEqual([('initramfs-without-driver', 'error')],
                         self.found({'init': b'x'}, tree))
        self.assertEqual([], self.found({'lib/arcmsr.ko.zst': b'x'}, tree))
