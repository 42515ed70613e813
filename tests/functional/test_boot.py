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

"""Machines boot what the agent deployed, and what that makes of itself.

They take minutes, so they run when IMAGEDEPLOY_BOOT is set only: tools/boot.sh
does so.
"""

import os
import pathlib
import shutil

from ironic_imagedeploy.agent.boot import grub
from tests.functional import arm_system
from tests.functional import partition_images
from tests.functional import virtual_machine
from tests.support import debian_system
from tests.support import disks

MIB = partition_images.MIB
#: Says which menu the kernel was started from.
OWN_MENU = 'menu.by=update-grub'
LOOK = 'cat /proc/cmdline; mokutil --sb-state; dmesg | grep -i "secure boot"'
UPDATE = ('sed -i \'s/^GRUB_CMDLINE_LINUX_DEFAULT=.*'
          f'/GRUB_CMDLINE_LINUX_DEFAULT="{OWN_MENU}"/\' /etc/default/grub\n'
          'update-grub && echo updated')


class BootTestCase(partition_images.PartitionImageTestCase):
    """A disk with Debian, and a computer that it is the disk of."""

    SIZE = 2048 * MIB
    #: What boots it.
    MACHINE: type[virtual_machine.Machine]
    BOOT_MODE = 'uefi'

    def setUp(self) -> None:
        if not os.environ.get('IMAGEDEPLOY_BOOT'):
            self.skipTest('takes minutes: set IMAGEDEPLOY_BOOT=1')
        if lacking := self.MACHINE.missing():
            self.skipTest(f'no {lacking}')
        # The home directory, and the cache in it, is another one below.
        self.system = self.make_system()
        super().setUp()

    def make_system(self) -> pathlib.Path:
        """The image that is deployed."""
        return debian_system.image()

    def deploy(self, *, without: str = '', **capabilities: str) -> str:
        """Write the image, for that machine.

        :param without: a file that is taken out of the image.
        :returns: whose EFI programs, or grub2, boot it.
        """
        if without:
            raw = self.directory / 'root.raw'
            disks.run('qemu-img', 'convert', '-O', 'raw', self.system, raw)
            disks.run('debugfs', '-w', '-R', f'rm {without}', raw)
            disks.run('qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', raw,
                      self.image)
            raw.unlink()
        else:
            shutil.copy(self.system, self.image)
        self.node['properties'] = {'capabilities': ','.join(
            f'{name}:{value}' for name, value in {
                'boot_mode': self.BOOT_MODE, **capabilities}.items())}
        report = self.written(root_mb=1800)['imagedeploy']['bootloader']
        os.sync()
        self.computer = self.MACHINE(self.directory,
                                     pathlib.Path(self.backing))
        return report['origin']

    def assert_updates_its_menu(self) -> str:
        """It boots with our menu, makes its own, and boots with that.

        :returns: what the system said last.
        """
        said = self.computer.run(f'{LOOK}\n{UPDATE}')
        self.assertIn('BOOT_IMAGE=/boot/vmlinuz-', said)
        self.assertIn(' quiet', said)
        self.assertIn('updated', said)
        said = self.computer.run(LOOK)
        self.assertIn(OWN_MENU, said)
        return said


class SecureBootTest(BootTestCase):
    """Firmware that starts only what is signed."""

    MACHINE = virtual_machine.SecureMachine

    def test_debian(self):
        self.assertEqual('image', self.deploy())
        said = self.assert_updates_its_menu()
        self.assertIn('SecureBoot enabled', said)
        said = self.computer.run(
            f'{LOOK}\nfindmnt -n -o FSTYPE /boot/efi\n'
            'grub-install && ls /boot/efi/EFI/debian && efibootmgr')
        self.assertIn('vfat', said)
        self.assertIn('shimx64.efi', said)
        said = self.computer.run(f'{LOOK}\nefibootmgr')
        self.assertRegex(said, r'(?s)BootCurrent: (\d+)\n.*Boot\1\* debian')
        self.assertIn('SecureBoot enabled', said)
        self.assertIn(OWN_MENU, said)

    def test_programs_that_nobody_signed(self):
        """The proof that it is the signatures which count."""
        self.assertEqual('ramdisk', self.deploy(
            without='/usr/lib/shim/shimx64.efi.signed'))
        self.computer.wait_for('Access Denied')


class BiosBootTest(BootTestCase):

    MACHINE = virtual_machine.BiosMachine
    BOOT_MODE = 'bios'

    def test_msdos(self):
        self.assertEqual('ramdisk', self.deploy())
        self.assert_updates_its_menu()
        before = disks.first_bytes(self.backing, MIB)
        said = self.computer.run(
            'grub-install /dev/disk/by-id/virtio-system && echo installed')
        self.assertIn('installed', said)
        self.assertNotEqual(before, disks.first_bytes(self.backing, MIB))
        self.assertIn(OWN_MENU, self.computer.run(LOOK))

    def test_gpt(self):
        self.deploy(disk_label='gpt')
        self.assert_updates_its_menu()


class ArmBootTestCase(BootTestCase):
    """A server of aarch64."""

    MACHINE = virtual_machine.ArmMachine

    def make_system(self) -> pathlib.Path:
        self.arm = arm_system.system()
        return self.arm.image

    def setUp(self) -> None:
        super().setUp()
        self.machine.architecture = 'aarch64'
        self.patched(grub, '_LIBRARY', str(self.arm.modules.parent))


class ArmBootTest(ArmBootTestCase):
    """Its firmware starts anything."""

    def test_grub2_of_the_ramdisk(self):
        self.assertEqual('ramdisk', self.deploy(
            without='/usr/lib/shim/shimaa64.efi.signed'))
        self.assertIn('console=ttyAMA0', self.computer.run(LOOK))


class SecureArmBootTest(ArmBootTestCase):
    """Its firmware starts only what is signed."""

    MACHINE = virtual_machine.SecureArmMachine

    def test_grub2_of_the_ramdisk(self):
        self.deploy(without='/usr/lib/shim/shimaa64.efi.signed')
        self.computer.wait_for('Access Denied')

    def test_debian(self):
        self.assertEqual('image', self.deploy())
        self.assertIn('Secure boot enabled', self.computer.run(LOOK))
