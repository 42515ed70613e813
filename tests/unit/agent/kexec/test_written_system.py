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

import dataclasses
import io
import pathlib
import tempfile
import unittest
from unittest import mock
import uuid

from ironic_imagedeploy.agent.kexec import machine
from ironic_imagedeploy.agent.kexec import written_system
from ironic_imagedeploy.agent import sysfs
from ironic_imagedeploy.engine.contents import kernels
from tests.support import boot_files
from tests.unit.agent.kexec import written
from tests.unit.engine import system_disks
from tests.unit.engine import systems


class WrittenSystemTest(unittest.TestCase):

    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.enterContext(
            tempfile.TemporaryDirectory()))

    def opened(self, found):
        return written_system.opened(
            str(system_disks.disk(self.folder, found)))

    def changed(self, name, **files):
        """A system with other files beside its menu."""
        return [dataclasses.replace(part, tree={**part.tree, **{
            path.replace('__', '/'): content
            for path, content in files.items()}})
            if written.NAMED[name].keys() <= part.tree.keys() else part
            for part in written.parts(name)]

    def assert_refused(self, reason, found):
        with (self.assertRaises(machine.NotPossible) as caught,
              self.opened(found) as system):
            system.check_kernel()
        self.assertIn(reason, caught.exception.details)

    def test_systems(self):
        for name, (kernel, option) in written.STARTED.items():
            with (self.subTest(name),
                  self.opened(written.parts(name)) as system):
                system.check_kernel()
                self.assertEqual(kernel, system.entry.kernel)
                self.assertEqual(option,
                                 system.entry.command_line.split()[-1])
                self.assertEqual(1, len(system.entry.initramfs))
                copy = io.BytesIO()
                system.copy(system.entry.initramfs[0], copy, 1 << 20)
                self.assertEqual(boot_files.initramfs(), copy.getvalue())

    def test_the_disk_is_not_written(self):
        with mock.patch.object(
                written_system.engine, 'open_target', autospec=True,
                side_effect=written_system.engine.open_target) as opening:
            with self.opened(written.parts('debian')):
                pass
        self.assertEqual({'read_only': True}, opening.call_args.kwargs)

    def test_file_that_is_too_large(self):
        with (self.opened(written.parts('debian')) as system,
              self.assertRaises(machine.NotPossible) as caught):
            self.assertEqual(len(written.KERNEL), system.copy(
                'boot/vmlinuz', io.BytesIO(), len(written.KERNEL)))
            system.copy('boot/vmlinuz', io.BytesIO(), len(written.KERNEL) - 1)
        self.assertIn('is too large', caught.exception.details)

    def test_kernel_of_another_processor(self):
        self.assert_refused('for another processor', self.changed(
            'debian', boot__vmlinuz=boot_files.arm64()))

    def test_kernel_that_is_none(self):
        self.assert_refused('is not a kernel', self.changed(
            'debian', boot__vmlinuz=bytes(8192)))

    def test_kernel_of_a_processor_that_is_not_told(self):
        kernel = kernels.Kernel(format='Image', arch=None)
        with mock.patch.object(kernels, 'kernel', autospec=True,
                               return_value=kernel):
            self.assert_refused('for another processor: expected '
                                f'{machine.processor()}, found None',
                                written.parts('debian'))

    def test_a_software_raid(self):
        with (mock.patch.object(sysfs, 'is_array', autospec=True,
                                return_value=True) as asked,
              self.assertRaises(machine.NotPossible) as caught,
              written_system.opened('/dev/md0')):
            pass
        asked.assert_called_once_with('/dev/md0')
        self.assertIn('is a software RAID', caught.exception.details)

    def test_menu_that_is_not_clear(self):
        self.assert_refused('cannot be told', self.changed('fedora', **{
            'loader__entries__other.conf': systems.entry('root=/dev/sda')}))

    def test_changes_in_a_journal(self):
        path = system_disks.disk(self.folder, written.parts('debian'))
        content = bytearray(path.read_bytes())
        # "ext4 Data Structures and Algorithms": s_uuid, s_feature_incompat.
        superblock = content.index(uuid.UUID(systems.ROOT_UUID).bytes) - 0x68
        content[superblock + 0x60] |= 4
        path.write_bytes(content)
        with (self.assertRaises(machine.NotPossible) as caught,
              written_system.opened(str(path))):
            pass
        self.assertIn('journal', caught.exception.details)

    def test_disk_without_a_system(self):
        path = self.folder / 'disk'
        for content, reason in ((bytes(4 << 20), 'no partition table'),
                                (None, 'cannot be told')):
            path.write_bytes(content or b'')
            if content is None:
                path.unlink()
            with (self.assertRaises(machine.NotPossible) as caught,
                  written_system.opened(str(path))):
                pass
            self.assertIn(reason, caught.exception.details)
        self.assert_refused('no system', [systems.esp('debian')])
