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

from oslo_concurrency import processutils
from oslo_config import cfg
from oslo_config import fixture

from ironic_python_agent import config  # noqa: F401 (before efi_utils)
from ironic_python_agent import efi_utils
from ironic_python_agent import errors

from ironic_imagedeploy.agent.boot import grub
from ironic_imagedeploy.agent.boot import nvram
from ironic_imagedeploy.agent import sysfs
from tests.unit.agent import trees

PLATFORM = grub.platform_of('uefi', 'x86_64')


class BootEntryTestCase(trees.TreeTestCase):

    def setUp(self):
        super().setUp()
        for name in ('get_boot_records', 'remove_boot_record',
                     'add_boot_record'):
            patcher = mock.patch.object(efi_utils, name, autospec=True)
            setattr(self, name, patcher.start())
            self.addCleanup(patcher.stop)


class BootEntryTest(BootEntryTestCase):

    def test_only_one_of_the_label(self):
        self.get_boot_records.return_value = iter([
            ('0000', 'ironic1', 'HD', 'HD(1,GPT,old)'),
            ('0001', 'UEFI PXEv4', 'PciRoot', 'PciRoot(0x0)'),
            ('0002', 'ironic1', 'HD', 'HD(2,GPT,older)')])
        nvram.add_boot_entries([sysfs.Partition('/dev/nvme0n1', 1)],
                              PLATFORM)
        self.assertEqual([mock.call('0000'), mock.call('0002')],
                         self.remove_boot_record.mock_calls)
        self.add_boot_record.assert_called_once_with(
            '/dev/nvme0n1', 1, r'\EFI\BOOT\BOOTX64.EFI', 'ironic1')

    def test_each_half_of_a_mirror(self):
        self.get_boot_records.return_value = iter([
            ('0000', 'ironic1', 'HD', 'HD(1,GPT,old)'),
            ('0001', 'ironic1 (RAID, part0)', 'HD', 'HD(2,GPT,old)'),
            ('0002', 'ironic10', 'HD', 'HD(2,GPT,other)')])
        nvram.add_boot_entries([
            sysfs.Partition('/dev/sda', 2), sysfs.Partition('/dev/sdb', 3)],
            PLATFORM)
        self.assertEqual([mock.call('0000'), mock.call('0001')],
                         self.remove_boot_record.mock_calls)
        self.assertEqual(
            [mock.call('/dev/sdb', 3, r'\EFI\BOOT\BOOTX64.EFI',
                       'ironic1 (RAID, part1)'),
             mock.call('/dev/sda', 2, r'\EFI\BOOT\BOOTX64.EFI',
                       'ironic1 (RAID, part0)')],
            self.add_boot_record.mock_calls)

    def test_firmware_that_takes_none(self):
        self.get_boot_records.return_value = []
        self.add_boot_record.side_effect = (
            processutils.ProcessExecutionError(stderr='no space'))
        with self.assertRaisesRegex(errors.DeploymentError, 'no space'):
            nvram.add_boot_entries([sysfs.Partition('/dev/sda', 1)],
                                  PLATFORM)


class ImageTest(BootEntryTestCase):
    """Programs of an image, on both halves of a mirror."""

    HALVES = (sysfs.Partition('/dev/sda', 2), sysfs.Partition('/dev/sdb', 3))

    def setUp(self):
        super().setUp()
        self.conf = self.useFixture(fixture.Config(cfg.CONF))
        self.get_boot_records.return_value = [
            ('0000', 'debian (RAID, part0)', 'HD', 'HD(1,GPT,old)'),
            ('0001', 'ironic1', 'HD', 'HD(2,GPT,old)')]

    def add(self):
        nvram.add_entries_of_image(self.HALVES, str(self.top))

    def test_a_program(self):
        self.put('EFI/BOOT/BOOTX64.EFI').chmod(0o755)
        self.add()
        self.assertEqual(
            [mock.call('/dev/sdb', 3, r'\EFI\BOOT\BOOTX64.EFI',
                       'ironic1 (RAID, part1)'),
             mock.call('/dev/sda', 2, r'\EFI\BOOT\BOOTX64.EFI',
                       'ironic1 (RAID, part0)')],
            self.add_boot_record.mock_calls)
        self.remove_boot_record.assert_not_called()

    def test_what_the_image_says(self):
        self.put('EFI/debian/BOOTX64.CSV',
                 'shimx64.efi,debian,,It is\n'.encode('utf-16'))
        self.add()
        self.assertEqual(
            [mock.call('/dev/sdb', 3, r'\EFI\debian\shimx64.efi',
                       'debian (RAID, part1)'),
             mock.call('/dev/sda', 2, r'\EFI\debian\shimx64.efi',
                       'debian (RAID, part0)')],
            self.add_boot_record.mock_calls)
        self.remove_boot_record.assert_called_once_with('0000')

    def test_no_program(self):
        self.put('EFI/debian/grub.cfg')
        with self.assertRaisesRegex(errors.DeploymentError,
                                    'expected a program for UEFI'):
            self.add()

    def test_firmware_that_takes_none(self):
        self.put('EFI/BOOT/BOOTX64.EFI').chmod(0o755)
        self.add_boot_record.side_effect = (
            processutils.ProcessExecutionError(stderr='no space'))
        with self.assertRaisesRegex(errors.DeploymentError, 'no space'):
            self.add()
        self.conf.config(ignore_bootloader_failure=True)
        self.add()
        self.assertIn('no space', self.log.output)

    def test_what_the_image_says_makes_no_sense(self):
        for text in (b'shimx64.efi', b'\xff'):
            self.put('EFI/debian/BOOTX64.CSV', text)
            with (self.subTest(text), self.assertRaisesRegex(
                    errors.DeploymentError, 'could not be added')):
                self.add()
