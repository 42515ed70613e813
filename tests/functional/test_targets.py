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

"""Targets that cannot be written: the right status, and nothing lost."""

import os
import pathlib
import shutil
import stat

from ironic_imagedeploy.engine.targets import block
from tests.functional import base
from tests.support import disks
from tests.support import images

MIB = base.MIB
SIZE = 16 * MIB


class TargetTestCase(base.FunctionalTestCase):
    """An image of 16 MiB."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.shared = disks.make_directory()
        cls.addClassCleanup(shutil.rmtree, cls.shared)
        cls.raw = images.make_guest(cls.shared / 'guest', SIZE, seed=4,
                                    label='gpt')
        cls.image = images.convert(cls.raw, cls.shared / 'image')

    def write(self, target: str | pathlib.Path, *options: str
              ) -> base.Outcome:
        return self.invoke('write', self.image, target, '--progress', 'none',
                           *options)

    def assert_refuses(self, target: str | pathlib.Path, *words: str) -> None:
        """The target is refused with one sentence."""
        outcome = self.write(target)
        self.assert_status(5, outcome)
        self.assert_one_sentence(outcome, str(target), *words)

    def assert_unfit(self, disk: base.Disk) -> None:
        """Whoever asks before says the same."""
        for command in (('check', self.image, '--target', disk.device),
                        ('write', self.image, disk.device, '--dry-run')):
            self.assert_status(5, self.invoke(*command))
        self.assert_untouched(disk)


class DiskTest(TargetTestCase):
    """Block devices."""

    def test_too_small_by_a_sector(self) -> None:
        disk = self.disk(SIZE - 512)
        self.assert_refuses(disk.device, 'too small', str(SIZE),
                            str(SIZE - 512))
        self.assert_unfit(disk)

    def test_just_large_enough(self) -> None:
        disk = self.disk(SIZE)
        self.assert_status(0, self.write(disk.device))
        self.assert_written(self.raw, disk)

    def test_held_by_another_program(self) -> None:
        disk = self.disk(SIZE)
        holder = os.open(disk.device, os.O_RDONLY | os.O_EXCL)
        self.addCleanup(os.close, holder)
        self.assert_refuses(disk.device, 'in use')
        self.assert_untouched(disk)

    def test_mounted(self) -> None:
        disk = self.disk(SIZE)
        disks.run('mke2fs', '-q', '-t', 'ext4', disk.device)
        place = self.mount(disk.device)
        (place / 'precious').write_text('mine')
        self.assert_refuses(disk.device, 'in use', 'mounted')
        self.assertEqual('mine', (place / 'precious').read_text())
        disks.run('umount', place)
        disks.run('e2fsck', '-fn', disk.device)

    def test_partition_mounted(self) -> None:
        disk = self.disk(SIZE)
        images.partition(pathlib.Path(disk.device), 'dos',
                         'start=2048, size=16384\n')
        # A loop device keeps the partitions of its last user.
        disks.run('partx', '-u', disk.device)
        self.addCleanup(disks.run, 'partx', '-d', disk.device)
        disks.run('mke2fs', '-q', '-t', 'ext4', f'{disk.device}p1')
        place = self.mount(f'{disk.device}p1')
        (place / 'precious').write_text('mine')
        self.assert_refuses(disk.device, 'in use')
        self.assertEqual('mine', (place / 'precious').read_text())

    def test_partition_in_use_at_the_end(self) -> None:
        """Whoever opened one meanwhile keeps the table from before."""
        backing = self.directory / 'partitioned'
        disks.fill(backing, SIZE)
        images.partition(backing, 'dos', 'start=2048, size=16384\n')
        device = disks.run('losetup', '-P', '-f', '--show', backing)
        self.addCleanup(disks.run, 'losetup', '-d', device)
        disks.run('partx', '-u', device)
        with block.BlockTarget(device) as target:
            holder = os.open(f'{device}p1', os.O_RDONLY)
            try:
                with self.assertLogs(block.LOG, 'WARNING') as logged:
                    target.reread_partitions()
            finally:
                os.close(holder)
        self.assertIn(f'{device}: a partition is in use', logged.output[0])

    def test_read_only(self) -> None:
        disk = self.disk(SIZE, read_only=True)
        self.assert_refuses(disk.device, 'read-only')
        self.assert_untouched(disk)

    def test_a_write_protected_disk_can_be_looked_at(self) -> None:
        disk = self.disk(SIZE)
        self.assert_status(0, self.write(disk.device))
        disks.run('blockdev', '--setro', disk.device)
        # Whoever gets the device next would find it as it is.
        self.addCleanup(disks.run, 'blockdev', '--setrw', disk.device)
        for command in (('verify', self.image, disk.device),
                        ('check', self.image, '--target', disk.device)):
            self.assert_status(0, self.invoke(*command))
        self.assert_refuses(disk.device, 'read-only')

    def test_sectors_larger_than_the_image_counts(self) -> None:
        disk = self.disk(SIZE, sector_size=4096)
        self.assert_refuses(disk.device, 'sectors', '512 bytes', '4096')
        self.assert_unfit(disk)

    def test_file_system_that_counts_in_less_than_a_sector(self) -> None:
        image = self.directory / 'root'
        with image.open('wb') as file:
            file.truncate(SIZE)
        disk = self.disk(SIZE, sector_size=4096)
        for size, status in ((1024, 5), (4096, 0)):
            disks.run('mke2fs', '-q', '-F', '-t', 'ext4', '-b', str(size),
                      image)
            for options in (('--dry-run',), ()):
                outcome = self.invoke('write', image, disk.device, '--force',
                                      '--progress', 'none', *options)
                self.assert_status(status, outcome)
                if status:
                    self.assert_one_sentence(
                        outcome, disk.device, 'blocks of 4096 bytes',
                        'counts in 1024 bytes', 'mkfs.ext4 -b 4096')
                    self.assert_untouched(disk)
        self.assert_written(image, disk)

    def test_medium_that_fails(self) -> None:
        # A loop device is as good as the file behind it.
        place = self.small_file_system(6 * MIB)
        backing = place / 'backing'
        with backing.open('wb') as file:
            file.truncate(SIZE)
        with self.attached(backing) as device:
            outcome = self.write(device)
        self.assert_status(5, outcome)
        self.assert_one_sentence(outcome, device, 'No space left')
        self.assertTrue(disks.holds(backing, 0, MIB, 0))
        self.assertTrue(disks.holds(backing, SIZE - MIB, SIZE, 0))

    def test_by_another_name(self) -> None:
        disk = self.disk(SIZE + MIB)
        link = self.directory / 'by-id'
        link.symlink_to(disk.device)
        self.assert_status(0, self.write(link))
        self.assert_written(self.raw, disk)

    def test_read_back(self) -> None:
        for how in ('sample', 'full'):
            with self.subTest(how):
                disk = self.disk(SIZE + 4 * MIB)
                self.assert_status(0, self.write(disk.device, '--verify',
                                                 how))
                self.assert_written(self.raw, disk)

    def mount(self, device: str) -> pathlib.Path:
        place = self.directory / 'mounted'
        place.mkdir()
        disks.run('mount', device, place)
        self.addCleanup(lambda: os.path.ismount(place)
                        and disks.run('umount', place))
        return place

    def small_file_system(self, size: int) -> pathlib.Path:
        place = self.directory / 'small'
        place.mkdir()
        disks.run('mount', '-t', 'tmpfs', '-o', f'size={size}', 'tmpfs',
                  place)
        self.addCleanup(disks.run, 'umount', place)
        return place


class FileTest(TargetTestCase):
    """Regular files."""

    def setUp(self) -> None:
        super().setUp()
        self.target = self.directory / 'disk.img'

    def test_new_file_is_sparse_and_as_large_as_the_disk(self) -> None:
        guest = self.directory / 'guest'
        with guest.open('wb') as file:
            file.truncate(64 * MIB)
        images.partition(guest)
        image = images.convert(guest, self.directory / 'image')
        self.assert_status(0, self.invoke('write', image, self.target))
        self.assertIsNone(disks.first_difference(guest, self.target,
                                                 64 * MIB))
        status = self.target.stat()
        self.assertEqual(64 * MIB, status.st_size)
        self.assertLess(status.st_blocks * 512, 3 * MIB)

    def test_new_file_holds_the_image(self) -> None:
        self.assert_status(0, self.write(self.target, '--verify', 'full'))
        self.assertEqual(self.raw.read_bytes(), self.target.read_bytes())

    def test_existing_file_is_a_disk_of_its_size(self) -> None:
        disks.fill(self.target, SIZE + 3 * MIB)
        self.assert_status(0, self.write(self.target))
        self.assert_written(self.raw, base.Disk(
            str(self.target), self.target, SIZE + 3 * MIB))

    def test_existing_file_that_is_too_small(self) -> None:
        disks.fill(self.target, SIZE - 1)
        self.assert_refuses(self.target, 'too small')
        self.assertTrue(disks.holds(self.target, 0, SIZE - 1, disks.OLD))
        self.assertEqual(SIZE - 1, self.target.stat().st_size)

    def test_file_behind_a_loop_device(self) -> None:
        disk = self.disk(SIZE)
        self.assert_refuses(disk.backing, 'in use', disk.device[5:])
        self.assert_untouched(disk)

    def test_no_room(self) -> None:
        place = self.directory / 'small'
        place.mkdir()
        disks.run('mount', '-t', 'tmpfs', '-o', 'size=4M', 'tmpfs', place)
        self.addCleanup(disks.run, 'umount', place)
        self.assert_refuses(place / 'disk.img', 'No space left')
        self.assertEqual([], list(place.iterdir()), 'a rest was left')

    def test_nowhere(self) -> None:
        self.assert_refuses(self.directory / 'no' / 'disk.img',
                            'No such file')

    def test_new_file_among_the_devices(self) -> None:
        # A typing error would fill the memory that /dev is made of.
        target = pathlib.Path('/dev/imagedeploy-no-such-disk')
        self.addCleanup(target.unlink, missing_ok=True)
        self.assert_refuses(target, 'lsblk')
        self.assertFalse(target.exists())

    def test_no_file(self) -> None:
        self.assert_refuses(self.directory)
        self.assert_refuses('/dev/null')
        self.assertTrue(stat.S_ISCHR(os.stat('/dev/null').st_mode))

    def test_the_image_itself(self) -> None:
        image = self.directory / 'image'
        shutil.copy(self.image, image)
        before = image.read_bytes()
        for source in (image, f'file://{image}'):
            outcome = self.invoke('write', source, image)
            self.assert_status(2, outcome)
            self.assertIn('same file', outcome.stderr)
        self.assertEqual(before, image.read_bytes())

    def test_a_loop_device_of_the_image_itself(self) -> None:
        image = self.directory / 'image'
        shutil.copy(self.raw, image)
        before = image.read_bytes()
        with self.attached(image) as device:
            outcome = self.invoke('write', image, device)
        self.assert_status(2, outcome)
        self.assertIn('same file', outcome.stderr)
        self.assertEqual(before, image.read_bytes())
