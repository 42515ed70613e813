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

"""Deployments to a software RAID of which a member fails."""

from collections.abc import Iterator
import contextlib
import os
import random
import typing
from unittest import mock

from oslo_concurrency import processutils

from ironic_python_agent import config  # noqa: F401 (before raid_utils)
from ironic_python_agent import raid_utils
from ironic_python_agent import utils

from tests.functional import array_images
from tests.functional import partition_images
from tests.support import commands
from tests.support import disks
from tests.support.faults import rules

MIB = array_images.MIB
#: A file in the image, by which data are told that are lost: they are not
#: those of the former system.
PATH = 'usr/lib/payload'
PAYLOAD, _FORMER_PAYLOAD = (
    random.Random(seed).randbytes(3 * MIB) for seed in (7, 8))
KERNEL = 'boot/vmlinuz-6.2'
OLD, NEW = b'a kernel', b'a newer kernel'
#: Folders of what is kept: of the former system, and of each attempt.
FORMER, ATTEMPTS = 'former', 'attempts'
_PIECE = 4096
_BIOS = {'boot_mode': 'bios', 'disk_label': 'gpt'}
_UEFI = {'boot_mode': 'uefi', 'disk_label': 'gpt'}


class FaultyMemberTest(array_images.ArrayTestCase):
    """A former system on the array, and another one for it."""

    _count = 0

    def prepare(self, **capabilities: str) -> None:
        """Deploy the former system, and use the next one."""
        self.outside.fill(0)
        self.look_again()
        self._use(OLD, _FORMER_PAYLOAD, **capabilities)
        self.create()
        self.written(root_mb=20)
        self.former = self.about(self.partition())
        self.stop()
        self._keep(**self.former)
        self._use(NEW, **capabilities)

    def _keep(self, **about: object) -> None:
        type(self)._count += 1
        self.kept = f'{FORMER}/{self._count}'
        self.outside.begin(self.kept)
        self.outside.end(self.kept, **about)

    def _use(self, kernel: bytes, payload: bytes = PAYLOAD,
             **capabilities: str) -> None:
        self.use(partition_images.debian,
                 lambda tree: partition_images.put(tree, KERNEL, kernel),
                 lambda tree: partition_images.put(tree, PATH, payload),
                 **capabilities)

    def attempt(self, fault: str, *wanted: rules.Rule, disk: int = 1,
                words: str = '', held: str = '', survives: bool = False
                ) -> None:
        """Deploy over the former system; who is outside judges how it ended.

        :param disk: number of the one of which that goes wrong.
        :param words: of the error, if there is one; the disk by default.
        :param held: a device that somebody has open.
        :param survives: whether the deployment ends well.
        """
        self.outside.restore(self.kept)
        self.look_again()
        self.assemble()
        with _held(held):
            self.outside.fail(disk, *wanted)
            command = self.write_image(root_mb=20)
            self.outside.fail(disk)
        error = command['command_error']
        about = None if error else self.about(self.partition())
        self.stop()
        type(self)._count += 1
        self.outside.end(
            f'{ATTEMPTS}/{self._count}', fault=fault, former=self.kept,
            error=error.serialize()['details'] if error else '', about=about,
            words=words or held or array_images.DISKS[disk],
            survives=survives)

    def payload(self, disk: int) -> int:
        """Where the file of the image is on a disk."""
        at = self.guest.read_bytes().index(PAYLOAD[:_PIECE])
        return self.former['array'][disk][0][0] + at

    def at_payload(self, on: str, do: str, disk: int) -> rules.Rule:
        """What happens to a sector of the file of the image."""
        at = self.payload(disk)
        return rules.Rule(on, do, start=at, end=at + 512)

    def read_back(self) -> None:
        """Read all that is written of the image, from here on."""
        self.conf.config(group='imagedeploy', read_back='full')

    def test_bios(self) -> None:
        self.prepare(**_BIOS)
        core = self.former['needed'][1][1][0]
        for place, at in (('the boot sector', 0), ('grub2', core),
                          ('the image', self.payload(1))):
            self.attempt(f'EIO of a member in {place}', rules.Rule(
                'write', 'fail', start=at, end=at + 512))
        self.attempt('a member drops out', rules.Rule(
            'all', 'fail', skip=100), disk=0)

    def test_uefi(self) -> None:
        self.prepare(**_UEFI)
        esp = self.former['esp'][1]
        self.attempt('EIO of a member in the ESP', rules.Rule(
            'write', 'fail', start=esp + 512, end=esp + 1024))

    def test_mirror_that_was_not_made(self) -> None:
        """A former deployment ended before its ESPs were a mirror."""
        for ended, halves in (('mdadm', 1), ('mdadm', 2), ('mkfs', 2)):
            self.outside.fill(0)
            self.look_again()
            self._arrays.clear()
            self._use(NEW, **_UEFI)
            self.create()
            with self._ends_at(ended):
                raid_utils.prepare_boot_partitions_for_softraid(
                    self.device, array_images.DISKS[:halves], None, 'uefi')
            self.stop()
            self._keep()
            self.attempt(f'an ESP of which no mirror was made, {ended}',
                         survives=True)

    @contextlib.contextmanager
    def _ends_at(self, program: str) -> Iterator[None]:
        execute = utils.execute

        def until(*command: typing.Any, **options: typing.Any
                  ) -> typing.Any:
            if command[0] == program:
                raise processutils.ProcessExecutionError('no power')
            return execute(*command, **options)

        with mock.patch.object(utils, 'execute', until), self.assertRaises(
                processutils.ProcessExecutionError):
            yield

    def test_slow(self) -> None:
        self.prepare(**_UEFI)
        self.attempt('a slow member', rules.Rule(
            'all', 'delay', seconds=0.02), survives=True)

    def test_flushes(self) -> None:
        for capabilities in (_BIOS, _UEFI):
            self.prepare(**capabilities)
            self.attempt('EIO of each flush of a member', rules.Rule(
                'flush', 'fail'))

    def test_reads(self) -> None:
        self.prepare(**_BIOS)
        bad = self.at_payload('read', 'fail', 1)
        # By the array only one disk is read, and another one instead.
        self.attempt('EIO of reading a member', bad, survives=True)
        self.read_back()
        self.attempt('EIO of reading a member, read back', bad)
        self.attempt('EIO of all reads of a member', rules.Rule(
            'read', 'fail'))

    def test_silent_faults(self) -> None:
        self.prepare(**_BIOS)
        self.read_back()
        for fault, on, do in (
                ('silent corruption of a member', 'write', 'corrupt'),
                ('corruption of what is read of a member', 'read',
                 'corrupt')):
            self.attempt(f'{fault}, read back', self.at_payload(on, do, 1))
        for disk in range(2):
            self.attempt('silent loss of a member, read back',
                         self.at_payload('write', 'lose', disk), disk=disk)
            self.attempt('a member loses all, read back', *(
                rules.Rule(kind, 'lose')
                for kind in ('write', 'zero', 'discard')), disk=disk)

    def test_held(self) -> None:
        self.prepare(**_UEFI)
        for device in ('/dev/md0', '/dev/md1'):
            self.attempt('held', held=device)

    def test_too_small(self) -> None:
        self._use(NEW, **_BIOS)
        for disk, size in zip(array_images.DISKS, (60, 20), strict=True):
            commands.run('sfdisk', '-q', disk, stdin=(
                f'label: gpt\nstart=8MiB, size={size}MiB, type=R\n'))
        members = [f'{disk}1' for disk in array_images.DISKS]
        disks.run('mdadm', '--create', self.device, '--run', '--level=1',
                  '--metadata=1.2', '--raid-devices=2', *members)
        self.stop()
        self._keep()
        self.attempt('a member is too small', words='do not fit')


@contextlib.contextmanager
def _held(device: str) -> Iterator[None]:
    """Have a device open, so that nobody else may have it alone."""
    if not device:
        yield
        return
    descriptor = os.open(device, os.O_RDWR | os.O_EXCL)
    try:
        yield
    finally:
        os.close(descriptor)
