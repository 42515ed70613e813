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
import os
import tempfile
from unittest import mock

from ironic_imagedeploy.agent.kexec import loading
from ironic_imagedeploy.agent.kexec import machine
from ironic_imagedeploy.engine.contents import kernels
from ironic_imagedeploy.engine.contents.system import default_entry
from tests.support import boot_files
from tests.unit.agent.kexec import loads
from tests.unit.agent.kexec import written


class LoadTest(loads.LoadingTestCase):

    def test_what_the_menu_says(self):
        self.assertEqual({
            'kernel': '/boot/vmlinuz', 'menu': '/boot/grub/grub.cfg',
            'initramfs': ['/boot/initrd.img']}, loading.load(self.disk))
        call, = self.calls
        self.assertIn('--command-line=root=PARTUUID=', call)
        self.assertIn('earlyprintk=ttyS0,115200', call)
        self.assertEqual(written.KERNEL,
                         (self.root / 'kernel').read_bytes())
        loaded = (self.root / 'initramfs').read_bytes()
        self.assertEqual(boot_files.initramfs(), loaded.rstrip(b'\0').ljust(
            len(boot_files.initramfs()), b'\0'))
        self.assertEqual(0, len(loaded) % 4)

    def test_nothing_is_left_in_the_memory(self):
        place = self.enterContext(tempfile.TemporaryDirectory())
        with mock.patch.object(tempfile, 'tempdir', place):
            loading.load(self.disk)
        self.assertEqual([], os.listdir(place))

    def test_machine_that_cannot(self):
        self.put('proc/sys/kernel/kexec_load_disabled', b'1')
        self.assert_fails('kexec_load_disabled', loading.load, self.disk)

    def test_too_little_memory(self):
        self.put('proc/meminfo', b'MemAvailable: 12 kB\n')
        self.assert_fails('memory of the machine', loading.load, self.disk)

    def test_memory_that_is_just_enough(self):
        """For four times what is loaded."""
        needed = 4 * (len(written.KERNEL) + len(boot_files.initramfs()))
        for kib, is_enough in ((-(-needed // 1024), True),
                               (-(-needed // 1024) - 1, False)):
            self.put('proc/meminfo', f'MemAvailable: {kib} kB\n'.encode())
            if is_enough:
                loading.load(self.disk)
            else:
                self.assert_fails(
                    f'expected {(kib << 10) // 4 - len(written.KERNEL)} '
                    'bytes at most, by the memory of the machine',
                    loading.load, self.disk)

    def test_larger_than_any(self):
        for kind, path in ((kernels.KERNEL, '/boot/vmlinuz'),
                           (kernels.RAMDISK, '/boot/initrd.img')):
            with mock.patch.dict(kernels.LARGEST, {kind: 10}):
                self.assert_fails(f'{path} is too large: expected 10 bytes',
                                  loading.load, self.disk)

    def test_several_archives(self):
        """Each begins at a multiple of four bytes."""
        for size in range(1, 9):
            self.write_archives(bytes([1]) * size, b'\2' * 5)
            loading.load(self.disk)
            padded = -(-size // 4) * 4
            self.assertEqual(
                (b'\1' * size).ljust(padded, b'\0') + b'\2' * 5 + bytes(3),
                (self.root / 'initramfs').read_bytes())

    def test_without_an_initramfs(self):
        self.write_archives()
        self.assertEqual([], loading.load(self.disk)['initramfs'])
        self.assertNotIn('--initrd', self.calls[-1])

    def write_archives(self, *archives):
        """Have an entry with these archives of an initramfs."""
        content = dict(enumerate(archives))

        class System:
            entry = default_entry.DefaultEntry(
                kernel='k', initramfs=tuple(content), command_line='quiet',
                menu='m')

            def check_kernel(self):
                pass

            def copy(self, path, file, most):
                return file.write(content.get(path, b'kernel'))

        self.enterContext(mock.patch.object(
            loading.written_system, 'opened',
            lambda device: contextlib.nullcontext(System())))

    def test_program_that_fails(self):
        with mock.patch.dict('os.environ', STATUS='1'):
            self.assert_fails('said by kexec', loading.load, self.disk)

    def test_program_that_says_a_lot(self):
        """Its last words, as the options of a kernel come first."""
        for spaces, is_told in ((299, True), (300, False)):
            self.put('bin/kexec', f"""#!/bin/sh
                     printf '!%{spaces}s' 'at last' >&2
                     exit 1
                     """.encode())
            with self.assertRaises(machine.NotPossible) as caught:
                loading.load(self.disk)
            self.assertIn('kexec --load failed: ', caught.exception.details)
            self.assertEqual(is_told, '!' in caught.exception.details)

    def test_program_that_does_nothing(self):
        self.put('bin/kexec', b'#!/bin/sh\n')
        self.assert_fails('has not been loaded', loading.load, self.disk)


class StartTest(loads.LoadingTestCase):

    def test_nothing_is_loaded(self):
        self.assert_fails('no kernel is loaded', loading.start)

    def test_program_that_returns(self):
        for status, reason in (('0', 'has started nothing'),
                               ('1', 'said by kexec')):
            loading.load(self.disk)
            with mock.patch.dict('os.environ', STATUS=status):
                self.assert_fails(reason, loading.start)
            self.assertEqual(['--exec', '--unload'], self.calls[-2:])
            self.assertFalse(machine.is_loaded())
