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

"""The ramdisk's grub2 is asked which file systems it reads."""

import contextlib
import os
import pathlib
import shutil
from unittest import mock

from ironic_python_agent import config  # noqa: F401 (before errors)
from ironic_python_agent import errors

from ironic_imagedeploy.agent.boot import disk_file
from ironic_imagedeploy.agent.boot import grub_reader
from tests.functional import base
from tests.functional import partition_images
from tests.support import disks
from tests.support import images

KERNEL = '/boot/vmlinuz-6.1.0-10-amd64'


class GrubReaderTest(base.FunctionalTestCase):

    def partition(self, *options):
        """A device with an ext4 that has a kernel in it."""
        tree, image = self.directory / 'tree', self.directory / 'image'
        tree.mkdir()
        partition_images.debian(tree)
        disks.fill(image, 64 << 20, 0)
        disks.run('mke2fs', '-q', '-t', 'ext4', *options, '-d', tree, image)
        return self.enterContext(self.attached(image))

    def test_what_grub2_reads(self):
        grub_reader.check(self.partition(), [KERNEL])

    def test_what_grub2_does_not_read(self):
        # As grub2 2.06 and 2.12 see it, the file system has no directories.
        partition = self.partition('-b', '1024', '-O', 'bigalloc',
                                   '-C', '16384')
        with self.assertRaisesRegex(
                errors.DeploymentError, 'grub2 of the deploy ramdisk does '
                f'not read .* expected to read {KERNEL}, found'):
            grub_reader.check(partition, [KERNEL])

    def test_nothing_is_left(self):
        partition = self.partition()
        number = os.stat(partition).st_rdev
        grub_reader.check(partition, [KERNEL])
        names = []
        for path in pathlib.Path('/dev').iterdir():
            # Those of tests that run now come and go.
            with contextlib.suppress(FileNotFoundError):
                if path.is_block_device() and path.stat().st_rdev == number:
                    names.append(str(path))
        self.assertEqual([partition], names)

    def test_nobody_reads_one_device_and_writes_none(self):
        partition = self.partition()
        with grub_reader._readable(partition) as device:
            for command, status in (
                    (['dd', f'if={device}', 'count=1'], 0),
                    (['dd', f'of={device}', 'count=0', 'conv=notrunc'], 1),
                    (['dd', f'if={partition}', 'count=1'], 1)):
                run = base.subprocess.run(
                    [*grub_reader._AS_NOBODY, *command],
                    capture_output=True, check=False)
                self.assertEqual(status, run.returncode, command)

    def test_a_ramdisk_without_the_program(self):
        with mock.patch.object(grub_reader.shutil, 'which', autospec=True,
                               return_value=None):
            grub_reader.check('/dev/gone', [KERNEL])


class ImageTest(partition_images.PartitionImageTestCase):
    """It is asked before the disk is erased, whatever the format."""

    def use_ext4(self, *options, form='qcow2'):
        tree, self.guest = self.directory / 'tree', self.directory / 'root'
        shutil.rmtree(tree, ignore_errors=True)
        tree.mkdir()
        partition_images.debian(tree)
        disks.fill(self.guest, 64 << 20, 0)
        disks.run('mke2fs', '-q', '-F', '-t', 'ext4', *options, '-d', tree,
                  self.guest)
        self.image = images.convert(
            self.guest, self.directory / 'disk.qcow2', form=form)
        self.node['properties'] = {'capabilities': 'boot_mode:bios'}

    def test_what_grub2_does_not_read(self):
        for form in ('qcow2', 'raw'):
            self.use_ext4('-b', '1024', '-O', 'bigalloc', '-C', '16384',
                          form=form)
            self.assertIn('grub2 of the deploy ramdisk does not read',
                          self.failed(disk_format=form))
            self.assertEqual(bytes(base.MIB),
                             disks.first_bytes(self.device, base.MIB))

    def test_what_it_reads(self):
        self.use_ext4()
        with mock.patch.object(grub_reader, '_check', autospec=True,
                               side_effect=grub_reader._check) as asked:
            self.written()
        asked.assert_called_once_with(
            mock.ANY, mock.ANY, ['/boot/vmlinuz-6.1.0-9-amd64', KERNEL])

    def test_a_kernel_without_fuse(self):
        self.use_ext4('-b', '1024', '-O', 'bigalloc', '-C', '16384')
        with mock.patch.object(disk_file, '_DEVICE', '/dev/gone'):
            self.assertIn('grub2 of the deploy ramdisk does not read',
                          self.failed())
        # It is asked all the same, and what is written is wiped.
        self.assertNotEqual(bytes(base.MIB),
                            disks.first_bytes(self.device, base.MIB))
