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


"""What reaches the kernel, and in which sequence.

A disk keeps what was flushed, and nothing else for sure. So these tests do
not ask the program what it did: they watch its system calls.
"""

import os
import pathlib
import shutil
import struct
import subprocess
import sys
import typing

from ironic_imagedeploy.agent.boot import grub
from tests.functional import base
from tests.support import images
from tests.support import system_calls

MIB = base.MIB
SIZE = 8 * MIB
Call = system_calls.Call
FLUSH = Call('flush')


class SystemCallTestCase(base.FunctionalTestCase):

    def setUp(self) -> None:
        super().setUp()
        if not shutil.which('strace'):
            self.skipTest('needs the package strace')

    def trace(self, command: typing.Sequence[str | pathlib.Path],
              path: str, *, inject: str | None = None
              ) -> list[system_calls.Call]:
        """Calls of a program that must succeed."""
        done, calls = system_calls.trace(
            command, path, self.directory / 'strace', inject=inject)
        self.assertEqual(0, done.returncode, done.stderr[-2000:])
        return calls

    def python(self, program: str, *arguments: str | pathlib.Path
               ) -> list[str | pathlib.Path]:
        """The command that runs a few lines of Python."""
        return [sys.executable, '-c', program, *arguments]


class WriteTest(SystemCallTestCase):
    """An image that is written to a disk."""

    def setUp(self) -> None:
        super().setUp()
        self.raw = images.make_guest(self.directory / 'guest', SIZE, seed=9,
                                     label='gpt')
        self.target = self.disk(SIZE)

    def write(self, *options: str, inject: str | None = None
              ) -> list[system_calls.Call]:
        return self.trace(
            [base.PROGRAM, 'write', self.raw, self.target.device,
             '--progress', 'none', *options], self.target.device,
            inject=inject)

    def test_each_step_is_on_the_medium_before_the_next(self) -> None:
        calls = self.write()
        self.assertEqual(
            [Call('zero', 0, 512), FLUSH, Call('zero', 32 << 10, 512), FLUSH,
             Call('zero', 512, MIB - 512), Call('zero', SIZE - MIB, MIB),
             FLUSH], calls[:7])
        middle = calls[7:calls.index(FLUSH, 7)]
        for call in middle:
            self.assertIn(call.kind, ('write', 'zero'))
            self.assertGreaterEqual(call.start, MIB)
            self.assertLessEqual(call.start + call.length, SIZE - MIB)
        self.assertEqual(SIZE - 2 * MIB, sum(call.length for call in middle))
        self.assertEqual(
            [FLUSH, Call('write', SIZE - MIB, MIB), FLUSH,
             Call('write', 512, MIB - 512), FLUSH,
             Call('write', 0, 512), FLUSH], calls[7 + len(middle):])
        self.assert_written(self.raw, self.target)

    def test_a_disk_that_cannot_zero_is_zeroed_by_writes(self) -> None:
        """Three calls ask for its size, sectors and protection, twice.

        Before the image is looked at, and before it is written.
        """
        calls = self.write(inject='ioctl:error=EOPNOTSUPP:when=7+')
        self.assertEqual([], [call for call in calls if call.kind == 'zero'])
        self.assertEqual(
            [Call('write', 0, 512), FLUSH, Call('write', 32 << 10, 512),
             FLUSH, Call('write', 512, MIB - 512),
             Call('write', SIZE - MIB, MIB), FLUSH], calls[:7])
        self.assert_written(self.raw, self.target)

    def test_a_flush_that_fails_is_an_error(self) -> None:
        for number in range(1, 8):
            with self.subTest(number=number):
                done, _ = system_calls.trace(
                    [base.PROGRAM, 'write', self.raw, self.target.device,
                     '--progress', 'none'], self.target.device,
                    self.directory / 'strace',
                    inject=f'fsync:error=EIO:when={number}')
                self.assertEqual(5, done.returncode)
                self.assertIn('flush', done.stderr)
                self.assert_boots_nothing(self.target)


class BootLoaderTest(SystemCallTestCase):
    """grub2, which a deployment is not done without."""

    def test_core_is_on_the_medium_before_the_first_sector(self) -> None:
        if not pathlib.Path(grub.BIOS.directory, 'boot.img').exists():
            self.skipTest('needs the package grub-pc-bin')
        disk = self.disk(SIZE)
        images.partition(pathlib.Path(disk.device), 'dos',
                         'start=2048, size=2048\n')
        core = self.directory / 'core'
        core.write_bytes(os.urandom(500) + struct.pack('<QHH', 2, 456, 0x820)
                         + os.urandom(50_000))
        calls = self.trace(self.python(
            'import pathlib, sys\n'
            'from ironic_imagedeploy.agent.boot import bios\n'
            'bios.install(sys.argv[1], pathlib.Path(sys.argv[2])'
            '.read_bytes())\n', disk.device, core), disk.device)
        length = -(-core.stat().st_size // 512) * 512
        self.assertEqual([Call('write', 512, length), FLUSH,
                          Call('write', 0, 512), FLUSH], calls)

    def test_efi_system_partition_is_flushed_after_its_last_byte(self
                                                                 ) -> None:
        partition = self.disk(40 * MIB)
        subprocess.run(['mkfs.vfat', '-I', '-F', '32', partition.device],
                       check=True, capture_output=True)
        calls = self.trace(self.python(
            'import sys\n'
            'from ironic_imagedeploy.agent.boot import esp\n'
            "esp.fill(sys.argv[1], esp.Programs('image', "
            "{'BOOTX64.EFI': bytes(100000)}), 'a menu', ['debian'])\n",
            partition.device), partition.device)
        writes = [index for index, call in enumerate(calls)
                  if call.kind in ('write', 'stream')]
        self.assertTrue(writes)
        self.assertIn(FLUSH, calls[writes[-1] + 1:])
