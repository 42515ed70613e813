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

from ironic_python_agent import errors
from ironic_python_agent.extensions import image

from ironic_imagedeploy.agent.boot import mirrored_esp
from ironic_imagedeploy.agent.boot import previous_system
from ironic_imagedeploy.agent.boot import software_raid
from ironic_imagedeploy.agent import handover
from ironic_imagedeploy.agent import order as orders
from ironic_imagedeploy.agent import sysfs
from ironic_imagedeploy import engine
from tests.support import images
from tests.support import ramdisk

MIB = 1 << 20


class WipedTestCase(ramdisk.AgentTestCase):
    """A disk, and a file that stands for its partition."""

    def setUp(self):
        super().setUp()
        self.root = self.directory / 'root'
        self.root.write_bytes(b'\xa5' * (4 * MIB))
        self.gone = str(self.directory / 'no' / 'such' / 'device')

    def fail(self, *devices):
        with handover.bootable_or_wiped(*map(str, devices)):
            raise KeyError('a first error')

    def is_wiped(self, path):
        content = path.read_bytes()
        return not any(content[:MIB]) and not any(content[-MIB:])


class BootableOrWipedTest(WipedTestCase):

    def test_what_goes_well_stays(self):
        with handover.bootable_or_wiped(str(self.root), str(self.disk)):
            pass
        self.assertFalse(self.is_wiped(self.root))

    def test_the_root_is_enough(self):
        """The partition table may name what is to be preserved."""
        with self.assertRaisesRegex(KeyError, 'a first error'):
            self.fail(self.root, self.disk)
        self.assertTrue(self.is_wiped(self.root))
        self.assert_untouched()

    def test_the_table_and_the_boot_loader_when_the_root_cannot_be(self):
        with self.assertRaisesRegex(KeyError, 'a first error'):
            self.fail(self.gone, self.disk)
        self.assertTrue(self.is_wiped(self.disk))

    def test_it_is_said_loudly_when_nothing_can_be_wiped(self):
        with self.assertRaises(engine.exceptions.TargetMayBoot) as caught:
            self.fail(f'{self.gone}1', f'{self.gone}2', self.gone)
        for words in ('MAY BOOT', 'a first error', 'No such file',
                      'Do not start the machine'):
            self.assertIn(words, str(caught.exception))
        self.assertEqual(self.gone, caught.exception.subject)
        self.assertIsInstance(caught.exception.__cause__, KeyError)

    def test_a_wipe_that_is_interrupted(self):
        with mock.patch.object(
                engine, 'open_target', autospec=True,
                side_effect=KeyboardInterrupt), self.assertRaises(
                    engine.exceptions.TargetMayBoot) as caught:
            self.fail(self.root, self.disk)
        for words in ('MAY BOOT', 'a first error', 'KeyboardInterrupt'):
            self.assertIn(words, str(caught.exception))


class ArrayTest(WipedTestCase):
    """The same with a software RAID: firmware begins with its disks."""

    def setUp(self):
        super().setUp()
        self.patched(sysfs, 'is_array').side_effect = (
            lambda device: device in (str(self.disk), self.gone))
        self.disabled = self.patched(previous_system, 'disable_array')

    def test_its_disks_are_wiped_as_well(self):
        with self.assertRaisesRegex(KeyError, 'a first error'):
            self.fail(self.root, self.disk)
        self.disabled.assert_called_once_with(str(self.disk))
        self.assertTrue(self.is_wiped(self.root))

    def test_it_is_said_loudly_when_a_disk_cannot_be_wiped(self):
        self.disabled.side_effect = engine.exceptions.TargetError(
            '/dev/b', expected='zeroes in place of the boot code',
            found='No medium found on /dev/b', fix='')
        with self.assertRaises(engine.exceptions.TargetMayBoot) as caught:
            self.fail(self.root, self.disk)
        self.assertEqual(str(self.disk), caught.exception.subject)
        for words in ('a first error', 'No medium found on /dev/b instead '
                      'of zeroes in place of the boot code'):
            self.assertIn(words, str(caught.exception))
        with self.assertRaises(engine.exceptions.TargetMayBoot) as caught:
            self.fail(self.disk)
        self.assertEqual(str(self.disk), caught.exception.subject)

    def test_it_is_said_loudly_when_nothing_can_be_wiped(self):
        """Nothing starts when its disks start nothing."""
        with self.assertRaisesRegex(KeyError, 'a first error'):
            self.fail(f'{self.gone}1', self.gone)

    def test_a_wipe_that_is_interrupted(self):
        self.disabled.side_effect = KeyboardInterrupt
        with self.assertRaisesRegex(engine.exceptions.TargetMayBoot,
                                    'KeyboardInterrupt'):
            self.fail(self.root, self.disk)


class BackupTest(ramdisk.AgentTestCase):
    """The backup of a GPT whose image ends before the disk does."""

    def setUp(self):
        super().setUp()
        images.partition(self.guest, 'gpt')
        with self.disk.open('r+b') as disk:
            disk.write(self.guest.read_bytes())
        self.finish = self.patched(handover, 'finish')

    def make(self):
        order = mock.Mock(spec=orders.WriteOrder)
        answer = handover.make_bootable(order, str(self.disk))
        self.finish.assert_called_once_with(order, {})
        self.rescanned.assert_called_once_with(str(self.disk))
        return answer

    def test_it_is_moved(self):
        self.assertEqual((self.finish.return_value, True), self.make())
        self.assertTrue(
            self.disk.read_bytes()[-512:].startswith(b'EFI PART'))

    def test_it_cannot_be(self):
        with self.disk.open('r+b') as disk:
            disk.seek(512 + 16)
            disk.write(b'damaged')
            disk.seek(8 * MIB - 512 + 16)
            disk.write(b'damaged')
        self.assertEqual((self.finish.return_value, False), self.make())
        self.assertIn('stays where the image ends', self.log.output)


class ArrayThatBootsTest(ramdisk.AgentTestCase):

    def setUp(self):
        super().setUp()
        self.array = mock.Mock(spec=software_raid.Array)
        self.patched(handover, '_fix_partition_table').return_value = True
        self.order = mock.Mock(spec=orders.WriteOrder, boot_mode='uefi',
                               own_boot_loader=True)
        self.standby.partition_uuids = {}
        self.finish = self.patched(handover, 'finish')
        self.move = self.patched(mirrored_esp, 'move')
        self.install = self.patched(image.ImageExtension,
                                    'install_bootloader')

    def make(self):
        return handover.make_bootable(self.order, str(self.disk), self.array)

    def test_a_disk_that_fell_out_meanwhile(self):
        self.array.check_members.side_effect = errors.DeploymentError('x')
        self.assertRaises(errors.DeploymentError, self.make)
        self.assert_boots_nothing()
        self.move.assert_not_called()

    def test_its_disks_start_it(self):
        self.make()
        self.move.assert_called_once_with(self.array)
        self.assertEqual({'bootloader': 'uefi'},
                         self.standby.partition_uuids)
        handover.add_boot_entry(self.order)
        self.install.assert_not_called()

    def test_a_conductor_that_does_not_ask(self):
        """It lets the agent itself install what starts it."""
        self.order.own_boot_loader = False
        self.make()
        self.move.assert_not_called()
        self.assertEqual({}, self.standby.partition_uuids)
        handover.add_boot_entry(self.order)
        self.install.assert_called_once()

    def test_what_does_not_go_well_starts_nothing(self):
        self.move.side_effect = errors.DeploymentError('no room')
        self.assertRaises(errors.DeploymentError, self.make)
        self.assert_boots_nothing()
        self.assertEqual({}, self.standby.partition_uuids)
