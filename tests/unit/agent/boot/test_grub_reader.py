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

import contextlib
import dataclasses
import pathlib
import shutil
import types
from unittest import mock

from ironic_python_agent import config  # noqa: F401 (before errors)
from ironic_python_agent import errors

from ironic_imagedeploy.agent.boot import disk_file
from ironic_imagedeploy.agent.boot import grub
from ironic_imagedeploy.agent.boot import grub_reader
from ironic_imagedeploy.agent import commands
from ironic_imagedeploy import engine
from tests.support import boot_files
from tests.unit.agent.boot import mounting
from tests.unit.agent import trees

EFI = grub.platform_of('uefi', 'x86_64')
KERNELS = ['boot/vmlinuz-6.1.0-10-amd64', 'boot/vmlinuz-6.1.0-9-amd64']
NOBODY = ('setpriv', '--reuid=65534', '--regid=65534', '--clear-groups',
          '--no-new-privs')
#: As grub2 sees it, such a file system has no directories.
UNREADABLE = ('-b', '1024', '-O', 'bigalloc', '-C', '16384')


class ReaderTestCase(trees.TreeTestCase):

    def setUp(self):
        super().setUp()
        for kernel in KERNELS:
            self.put(kernel, boot_files.bzimage())

    def inspected(self, *options, kind='ext4'):
        """A partition image with such a file system."""
        image = mounting.make(self.directory / 'device', self.top, *options,
                              kind=kind)
        source = self.enterContext(engine.open_source(str(image)))
        return engine.inspect(source, engine.Expectation(
            image_type='partition', disk_format='raw'))

    def ramdisk(self, *programs):
        """Let the ramdisk have these programs alone."""
        self.enterContext(mock.patch.object(
            shutil, 'which', lambda name: name in programs and name or None))


class ProgramsTest(ReaderTestCase):

    def setUp(self):
        super().setUp()
        self.run = self.enterContext(mock.patch.object(
            commands, 'run', autospec=True))
        self.enterContext(mock.patch.object(
            grub_reader, '_readable', lambda partition: (
                contextlib.nullcontext(f'{partition}-of-everybody'))))

    def test_each_path_is_read_by_nobody(self):
        self.ramdisk('grub2-fstest', 'setpriv')
        grub_reader.check('/dev/sda1', ['/boot/grub/grub.cfg', '/vmlinuz'])
        self.assertEqual([
            mock.call(*NOBODY, 'grub2-fstest', '/dev/sda1-of-everybody',
                      'crc', f'(loop0){path}')
            for path in ('/boot/grub/grub.cfg', '/vmlinuz')],
            self.run.mock_calls)

    def test_a_ramdisk_without_them(self):
        for programs in ((), ('setpriv',), ('grub-fstest',)):
            self.ramdisk(*programs)
            grub_reader.check('/dev/sda1', ['/vmlinuz'])
            self.assertIn('the deploy ramdisk has no grub-fstest, or no '
                          'setpriv', self.log.output)
        self.run.assert_not_called()

    def test_what_is_not_read(self):
        self.ramdisk('grub-fstest', 'setpriv')
        self.run.side_effect = errors.DeploymentError(
            'grub-fstest ended with status 1: error: file `/vmlinuz\' not '
            'found.')
        with self.assertRaisesRegex(
                errors.DeploymentError, 'grub2 of the deploy ramdisk does not '
                'read .* expected to read /vmlinuz, found: '
                "file `/vmlinuz' not found. Make the file system"):
            grub_reader.check('/dev/sda1', ['/vmlinuz'])


class ImageTest(ReaderTestCase):
    """Before the image is written, by a program in place of grub2's."""

    def setUp(self):
        super().setUp()
        self.ramdisk('grub-fstest', 'setpriv')
        self.asked = []
        #: What the program does not read.
        self.unread = set()
        self.names = 'boot/ etc/\n'
        self.file = types.SimpleNamespace(path='/run/x/disk', error=None,
                                          run=self.run_program)
        self.mounted = self.enterContext(mock.patch.object(
            disk_file, 'mounted', autospec=True,
            side_effect=lambda read, size: contextlib.nullcontext(self.file)))

    def run_program(self, *command):
        self.assertEqual((*NOBODY, 'grub-fstest'), command[:6])
        self.asked.append(command[6:])
        if command[-1] in self.unread:
            raise errors.DeploymentError(f'x: {command[-1]} is not read.')
        return self.names if 'ls' in command else ''

    def check(self, *options, platform=grub.BIOS, **changes):
        inspection = dataclasses.replace(
            self.inspected(*options, kind=changes.pop('kind', 'ext4')),
            **changes)
        grub_reader.check_image(inspection, platform, 'x86_64')

    def test_the_first_sector_and_names_and_a_kernel(self):
        self.check()
        crc = '/run/x/disk', 'crc'
        first, names, kernel = self.asked
        self.assertEqual(((*crc, '(loop0)0+1'),
                          ('/run/x/disk', 'ls', '(loop0)/')), (first, names))
        self.assertEqual(('-n', '65536', *crc), kernel[:-1])
        self.assertIn(kernel[-1].removeprefix('(loop0)/'), KERNELS)
        read, size = self.mounted.call_args.args
        self.assertEqual(16 << 20, size)
        self.assertEqual(b'\x53\xef', bytes(read(1024 + 0x38, 2)))

    def test_one_kernel_is_enough(self):
        self.check()
        self.unread = {self.asked[-1][-1]}
        self.asked.clear()
        self.check()
        self.assertEqual(4, len(self.asked))

    def test_no_kernel_is_read(self):
        self.check()
        first = self.asked[-1][-1]
        self.unread = {f'(loop0)/{kernel}' for kernel in KERNELS}
        with self.assertRaisesRegex(
                errors.DeploymentError, 'expected to read '
                f'{first.removeprefix("(loop0)")}, found: '):
            self.check()

    def test_no_names(self):
        for self.names in ('', ' \n'):
            with self.assertRaisesRegex(
                    errors.DeploymentError,
                    'expected to read /, found: no names. Make'):
                self.check()

    def test_a_program_that_reads_nothing(self):
        """It is asked again when the image is written."""
        self.unread = {'(loop0)0+1'}
        self.check()
        self.assertEqual(1, len(self.asked))
        self.assertIn('is asked when the image is written', self.log.output)

    def test_a_kernel_without_fuse(self):
        self.mounted.side_effect = OSError('no FUSE')
        self.check()
        self.assertIn('is asked when the image is written: no FUSE',
                      self.log.output)

    def test_bytes_of_the_image_that_cannot_be_read(self):
        """That is told by whoever writes it."""
        self.unread = {'(loop0)/'}
        self.file.error = engine.exceptions.SourceTimeout(
            'image', expected='an answer', found='silence', fix='Wait.')
        self.check()
        self.assertIn('is asked when the image is written', self.log.output)
        self.assertIn('silence', self.log.output)

    def test_of_btrfs_no_kernel(self):
        """It may be in a subvolume, which the menu names."""
        self.check(kind='btrfs')
        self.assertEqual([('/run/x/disk', 'crc', '(loop0)0+1'),
                          ('/run/x/disk', 'ls', '(loop0)/')], self.asked)

    def test_an_image_whose_files_are_not_known(self):
        self.check(boot_files=None)
        self.assertEqual(2, len(self.asked))

    def test_what_cannot_be_asked(self):
        self.check(image=None)
        self.check(file_system=None)
        self.assertEqual([], self.asked)
        self.enterContext(mock.patch.object(
            shutil, 'which', autospec=True, return_value=None))
        self.check()
        self.assertEqual([], self.asked)

    def test_a_stream(self):
        inspection = self.inspected()
        with mock.patch.object(type(inspection.image), 'known_size', None):
            grub_reader.check_image(inspection, grub.BIOS, 'x86_64')
        with mock.patch.object(inspection.image.source, 'random_access',
                               False):
            grub_reader.check_image(inspection, grub.BIOS, 'x86_64')
        self.assertEqual([], self.asked)

    def test_what_waits_in_a_journal(self):
        inspection = self.inspected()
        for is_dirty in (True, False):
            with mock.patch.object(
                    grub_reader.filesystems, 'open_file_system',
                    autospec=True,
                    return_value=types.SimpleNamespace(is_dirty=is_dirty)):
                grub_reader.check_image(inspection, grub.BIOS, 'x86_64')
            self.assertEqual(not is_dirty, bool(self.asked))

    def test_an_image_that_brings_its_own(self):
        for path in ('usr/lib/shim/shimx64.efi.signed', 'usr/lib/grub/'
                     'x86_64-efi-signed/grubx64.efi.signed'):
            self.check(platform=EFI)
            self.assertEqual(3, len(self.asked))
            self.asked.clear()
            self.put(path)
        self.check(platform=EFI)
        self.assertEqual([], self.asked)
        self.check(platform=grub.BIOS)
        self.assertEqual(3, len(self.asked))


class RealTest(ReaderTestCase):
    """The program of grub2, before the image is written."""

    def setUp(self):
        super().setUp()
        mounting.require(self, '/dev/fuse')
        if grub_reader._program() is None:
            self.skipTest('needs grub-fstest and setpriv')

    def test_what_it_reads(self):
        grub_reader.check_image(self.inspected(), grub.BIOS, 'x86_64')
        self.assertNotIn('is asked when', self.log.output)

    def test_what_it_does_not_read(self):
        with self.assertRaisesRegex(errors.DeploymentError,
                                    'deploy ramdisk does not read'):
            grub_reader.check_image(self.inspected(*UNREADABLE), grub.BIOS,
                                    'x86_64')

    def test_a_device_for_everybody(self):
        with grub_reader._readable('/dev/loop0') as path:
            status = pathlib.Path(path).stat()
            self.assertEqual(0o60444, status.st_mode)
            self.assertEqual(pathlib.Path('/dev/loop0').stat().st_rdev,
                             status.st_rdev)
        self.assertFalse(pathlib.Path(path).exists())
