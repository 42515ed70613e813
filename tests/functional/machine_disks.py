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

"""Tests for inside of the machine of test_disk_machine: disks of the kernel.

Elsewhere they would need modules that not every kernel has.
"""

import contextlib
import os
import pathlib
import shutil
import subprocess
import threading
import time
import typing

from ironic_imagedeploy.agent.boot import previous_system
from tests.functional import base
from tests.functional import disk_faults
from tests.functional import inside
from tests.support import disks
from tests.support.faults import cuts
from tests.support.faults import firmware
from tests.support.faults import table
from tests.support import images

MIB = base.MIB
SIZE = disk_faults.SIZE
SECTORS = SIZE // 512
#: Of each bad place so many sectors.
_BAD = 8


class KernelDiskTestCase(disk_faults.DiskFaultTestCase):
    """A disk with an old system, and what the kernel makes of it."""

    def setUp(self) -> None:
        if not os.environ.get(inside.INSIDE):
            self.skipTest('for the machine of test_disk_machine only')
        super().setUp()
        self.backing = self.directory / 'backing'
        shutil.copy(self.old, self.backing)
        self.loop = disks.attach(self.backing)
        self.addCleanup(disks.run, 'losetup', '-d', self.loop)

    def mapped(self, *lines: str, name: str = 'faulty') -> str:
        """A device of device-mapper."""
        disks.run('dmsetup', 'create', name, '--table', '\n'.join(lines))
        self.addCleanup(disks.run, 'dmsetup', 'remove', '--retry', name)
        return f'/dev/mapper/{name}'

    def write_to(self, device: str, *options: str,
                 image: pathlib.Path | None = None) -> base.Outcome:
        return self.invoke('write', image or self.raw, device, '--progress',
                           'none', *options)

    def check(self, fault: str, status: int, device: str, *options: str,
              backing: pathlib.Path | None = None, words: str = '') -> None:
        """Write; it ends with that status, and nothing starts or all of it.

        :param backing: that is looked at, after the device was.
        """
        outcome = self.write_to(device, *options)
        backing = backing or self.backing
        disks.run('sync')
        self.count(fault, status, outcome, backing)
        self.assertIn(words, outcome.stderr)

    def count(self, fault: str, status: int, outcome: base.Outcome,
              backing: pathlib.Path) -> None:
        """Nothing starts, or a whole system, or the error tells of it."""
        whole = disks.first_difference(self.raw, backing, SIZE) is None
        former = disks.first_difference(self.old, backing, SIZE) is None
        ended = outcome.status == 0
        started = [] if whole or former or 'MAY BOOT' in outcome.stderr \
            else [*firmware.starts(cuts.Medium(backing))]
        table.add(table.Row(
            'machine', fault, tries=1, survived=int(ended and whole),
            refused=int(not ended), lost=int(ended and not whole),
            half=len(started)))
        self.assert_status(status, outcome)
        self.assertEqual(not ended, bool(outcome.stderr))
        self.assertEqual([], started)
        self.assertTrue(whole or not ended)


class MapperTest(KernelDiskTestCase):

    def test_error_at_one_place(self) -> None:
        for at in disk_faults.PLACES:
            first = min(at // 512, SECTORS - _BAD)
            lines = [f'{first} {_BAD} error'] + (
                [f'0 {first} linear {self.loop} 0'] if first else []) + (
                [f'{first + _BAD} {SECTORS - first - _BAD} linear '
                 f'{self.loop} {first + _BAD}']
                if first + _BAD < SECTORS else [])
            with self.subTest(at=at):
                shutil.copy(self.old, self.backing)
                device = self.mapped(*sorted(
                    lines, key=lambda line: int(line.split()[0])),
                    name=f'error{at}')
                self.check('dm-error', 5, device)

    def flakey(self, up: int, down: int, *features: str) -> str:
        return self.mapped(f'0 {SECTORS} flakey {self.loop} 0 {up} {down} '
                           f'{len(features)} {" ".join(features)}')

    def test_writes_that_are_dropped(self) -> None:
        self.check('dm-flakey, dropped writes, read back', 5,
                   self.flakey(0, 60, 'drop_writes'), '--verify', 'full',
                   words='MAY BOOT')

    def test_writes_that_fail(self) -> None:
        self.check('dm-flakey, failing writes', 5,
                   self.flakey(0, 60, 'error_writes'))

    def test_writes_that_are_corrupt(self) -> None:
        self.check('dm-flakey, corrupt writes, read back', 6, self.flakey(
            0, 60, 'corrupt_bio_byte', '32', 'w', '7', '0'),
            '--verify', 'full')

    def test_a_disk_that_is_there_at_times(self) -> None:
        device = self.flakey(1, 1, 'error_writes')
        for _ in range(5):
            outcome = self.write_to(device)
            disks.run('sync')
            self.count('dm-flakey, there every other second',
                       5 if outcome.status else 0, outcome, self.backing)

    def test_a_slow_disk(self) -> None:
        self.check('dm-delay, 20 ms', 0, self.mapped(
            f'0 {SECTORS} delay {self.loop} 0 20'))

    def test_held_by_a_mapped_device(self) -> None:
        self.mapped(f'0 {SECTORS - 2048} linear {self.loop} 2048')
        outcome = self.write_to(self.loop)
        self.count('held by device-mapper', 5, outcome, self.backing)
        self.assertIn('in use', outcome.stderr)
        self.assertIsNone(disks.first_difference(
            self.old, self.backing, SIZE))


class RaidTest(KernelDiskTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.other = self.directory / 'other'
        disks.fill(self.other, SIZE + 2 * MIB)
        with self.backing.open('r+b') as file:
            file.truncate(SIZE + 2 * MIB)
        disks.run('losetup', '-c', self.loop)
        self.second = disks.attach(self.other)
        self.addCleanup(disks.run, 'losetup', '-d', self.second)

    def array(self, *members: str, metadata: str = '1.2',
              device: str = '/dev/md127') -> str:
        disks.run('mdadm', '--create', device, '--run', '--quiet',
                  '--level=1', f'--metadata={metadata}', '--assume-clean',
                  f'--raid-devices={len(members)}', *members)
        self.addCleanup(self.stop, device)
        return device

    def stop(self, device: str = '/dev/md127') -> None:
        subprocess.run(['mdadm', '--stop', device], capture_output=True)

    def test_firmware_starts_from_the_disks_beside_an_array(self) -> None:
        loops = self.loop, self.second
        for disk in loops:
            subprocess.run(
                ['sfdisk', '-q', disk], text=True, check=True,
                input='label: gpt\nsize=4MiB, type=U\ntype=R\n')
            disks.run('partx', '-a', disk)
            self.addCleanup(disks.run, 'partx', '-d', disk)
            with open(disk, 'r+b') as file:
                file.write(images.BOOT_CODE)
        esp = self.array(*(f'{disk}p1' for disk in loops), metadata='1.0',
                         device='/dev/md126')
        device = self.array(*(f'{disk}p2' for disk in loops))
        images.fill_esp(pathlib.Path(esp), start=0, size=4032 << 10)
        disks.run('sync')
        former = [[*firmware.starts(cuts.Medium(path))]
                  for path in (self.backing, self.other)]
        previous_system.disable_array(device)
        disks.run('sync')
        # By that the agent knows it, with the help of udev.
        self.assertEqual('vfat', disks.run(
            'blkid', '-p', '-s', 'TYPE', '-o', 'value', esp).strip())
        left = [[*firmware.starts(cuts.Medium(path))]
                for path in (self.backing, self.other)]
        table.add(table.Row(
            'machine', 'boot code and ESP beside an array', tries=2,
            survived=0, refused=2, lost=0, half=sum(map(len, left))))
        self.assertTrue(all(former))
        self.assertEqual([[], []], left)

    def test_a_mirror_of_which_a_disk_fails(self) -> None:
        device = self.array(self.loop, self.second)
        threading.Timer(0.5, disks.run, (
            'mdadm', '--fail', '/dev/md127', self.second)).start()
        outcome = self.write_to(device, '--verify', 'full')
        content = self.directory / 'content'
        disks.run('dd', f'if={device}', f'of={content}', 'bs=1M',
                  'iflag=direct')
        self.count('md, a mirror loses a disk', 0, outcome, content)

    def test_a_member_is_held(self) -> None:
        self.array(self.loop, self.second)
        outcome = self.write_to(self.second)
        self.count('held by md', 5, outcome, self.other)
        self.assertIn('in use', outcome.stderr)

    def test_metadata_at_both_ends(self) -> None:
        for metadata in ('1.0', '1.2'):
            with self.subTest(metadata):
                self.array(self.loop, self.second, metadata=metadata)
                self.stop()
                self.check('old md metadata', 0, self.second,
                           backing=self.other)
                found = subprocess.run(
                    ['mdadm', '--examine', self.second],
                    capture_output=True, text=True)
                self.assertNotIn('Raid Level', found.stdout)


class ScsiTest(KernelDiskTestCase):
    """Disks of scsi_debug."""

    @contextlib.contextmanager
    def scsi(self, **options: object) -> typing.Iterator[str]:
        """A disk in memory with such options of the module."""
        disks.run('modprobe', 'scsi_debug', 'dev_size_mb=20', *(
            f'{name}={value}' for name, value in options.items()))
        try:
            end = time.monotonic() + 30
            while not (found := [
                    path for path in pathlib.Path('/sys/block').glob('sd*')
                    if 'scsi_debug' in (path / 'device/model').read_text()]):
                if time.monotonic() > end:
                    raise AssertionError('no disk of scsi_debug')
                time.sleep(0.1)
            yield f'/dev/{found[0].name}'
        finally:
            time.sleep(1)
            disks.run('modprobe', '-r', 'scsi_debug')

    def content(self, device: str) -> pathlib.Path:
        path = self.directory / 'content'
        subprocess.run(['dd', f'if={device}', f'of={path}', 'bs=64k',
                        'iflag=direct', 'conv=noerror,sync'],
                       capture_output=True)
        return path

    def check_scsi(self, fault: str, status: int, *options: str,
                   **of_module: object) -> None:
        with self.scsi(**of_module) as device:
            outcome = self.write_to(device, *options)
            self.count(fault, status, outcome, self.content(device))

    def test_good(self) -> None:
        self.check_scsi('scsi_debug', 0, '--verify', 'full')

    def test_no_way_to_zero_but_writing(self) -> None:
        self.check_scsi('scsi_debug, no WRITE SAME', 0, lbpws=0, lbpws10=0,
                        no_write_same=1)

    def test_discard_is_not_zero(self) -> None:
        self.check_scsi('scsi_debug, discards that are not zero', 0,
                        lbpu=1, lbpws=1, lbprz=0)

    def test_medium_error(self) -> None:
        self.check_scsi('scsi_debug, medium error, read back', 5,
                        '--verify', 'full', opts=2,
                        medium_error_start=0x1234, medium_error_count=8)

    def test_write_protected(self) -> None:
        self.check_scsi('scsi_debug, write-protected', 5, wp=1)

    def test_large_sectors(self) -> None:
        self.check_scsi('scsi_debug, sectors of 4096 bytes', 5,
                        sector_size=4096)

    def test_too_small(self) -> None:
        self.check_scsi('scsi_debug, too small', 5, virtual_gb=0,
                        num_parts=0, dev_size_mb=8)

    def test_vanishing(self) -> None:
        for seconds in (0.2, 0.6, 1.2):
            with self.subTest(seconds), self.scsi(delay=5) as device:
                delete = pathlib.Path(
                    '/sys/block', device[5:], 'device/delete')
                threading.Timer(seconds, delete.write_text, ('1',)).start()
                outcome = self.write_to(device)
                table.add(table.Row(
                    'machine', 'scsi_debug, the disk is removed', tries=1,
                    survived=int(outcome.status == 0),
                    refused=int(outcome.status != 0)))
                self.assertIn(outcome.status, (0, 5), outcome.stderr)
                time.sleep(max(seconds, 1))


class NvmeTest(KernelDiskTestCase):

    def test_good(self) -> None:
        device = '/dev/nvme0n1'
        outcome = self.write_to(device, '--verify', 'full')
        content = self.directory / 'content'
        disks.run('dd', f'if={device}', f'of={content}', 'bs=1M',
                  'iflag=direct')
        self.count('NVMe', 0, outcome, content)
