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

"""qemu-img and our write give identical bytes, for all that it can make."""

from collections.abc import Callable
import pathlib
import random
import shutil

from tests.functional import base
from tests.support import commands
from tests.support import disks
from tests.support import images

KIB, MIB = images.KIB, images.MIB
#: Ends within a sector of every cluster size.
ODD = 16 * MIB + 7 * images.SECTOR
CLUSTER_SIZES = [512 << shift for shift in range(13)]
_SUBCLUSTERS = 'extended_l2=on,'


class OracleTestCase(base.FunctionalTestCase):
    """Compares a disk that we wrote with what qemu-img makes of the image."""

    def assert_same(self, image: pathlib.Path, form: str = 'qcow2',
                    *options: str, sector_size: int = 512) -> None:
        """Write the image onto a larger disk and compare all of it."""
        raw = images.as_raw(image, form)
        size = -(-raw.stat().st_size // 4096) * 4096 + 3 * MIB
        disk = self.disk(size, sector_size=sector_size)
        outcome = self.invoke(
            'write', image, disk.device, '--disk-format', form,
            '--progress', 'none', '--json', *options,
            *(('--permit', form) if form in ('vmdk', 'vdi') else ()))
        self.assert_status(0, outcome)
        self.assert_written(raw, disk)
        report = outcome.json
        self.assertEqual(image.stat().st_size, report['bytes_read'])
        self.assertEqual(raw.stat().st_size, report['virtual_size'])
        self.assertEqual(raw.stat().st_size, report['bytes_written']
                         + report['bytes_zeroed'])

    @property
    def image(self) -> pathlib.Path:
        """Where to make the image."""
        return self.directory / 'image'


class MixedTest(OracleTestCase):
    """Images that lived: written, compressed, zeroed, discarded."""

    def check(self, options: str, size: int = ODD) -> None:
        self.assert_same(images.make_mixed(self.image, size, options,
                                           seed=len(options)))

    def test_defaults(self) -> None:
        self.check('')

    def test_version_2(self) -> None:
        self.check('compat=0.10')

    def test_lazy_refcounts(self) -> None:
        self.check('lazy_refcounts=on')

    def test_disk_that_ends_with_a_cluster(self) -> None:
        self.check('cluster_size=65536', 16 * MIB)

    def test_disk_smaller_than_both_ends(self) -> None:
        self.check('cluster_size=65536', MIB + 3 * images.SECTOR)

    def test_disk_smaller_than_a_cluster(self) -> None:
        self.check('cluster_size=2097152', 1500 * KIB)


class ConvertedTest(OracleTestCase):
    """Images as they are published: by ``qemu-img convert``."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.shared = disks.make_directory()
        cls.addClassCleanup(shutil.rmtree, cls.shared)
        cls.guest = images.make_guest(cls.shared / 'guest', ODD, seed=11)

    def check(self, options: str = '', *flags: str) -> None:
        disks.run('qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2',
                  *(('-o', options) if options else ()), *flags, self.guest,
                  self.image)
        self.assert_same(self.image)

    def test_uncompressed(self) -> None:
        self.check()

    def test_nothing_left_out(self) -> None:
        self.check('', '-S', '0')

    def test_every_hole_left_out(self) -> None:
        self.check('cluster_size=512', '-S', '512')

    def test_clusters_in_any_order(self) -> None:
        self.check('cluster_size=4096', '-W', '-m', '16')

    def test_version_2_compressed(self) -> None:
        self.check('compat=0.10', '-c')

    def test_gpt(self) -> None:
        guest = images.make_guest(self.directory / 'gpt', 16 * MIB, seed=5,
                                  label='gpt')
        self.assert_same(images.convert(guest, self.image, compress=True))

    def test_gpt_for_sectors_of_4096_bytes(self) -> None:
        guest = self.directory / 'guest'
        images.make_guest(guest, 16 * MIB, seed=6)
        with self.attached(guest, 4096) as device:
            images.partition(pathlib.Path(device), 'gpt',
                             'start=256, size=256\n')
        self.assert_same(images.convert(guest, self.image),
                         sector_size=4096)

    def test_onto_sectors_of_4096_bytes(self) -> None:
        # An MBR does not tell its sector size, and clusters of 512 bytes
        # are less than a sector.
        guest = images.make_guest(self.directory / 'mbr', 16 * MIB, seed=7)
        images.convert(guest, self.image, 'cluster_size=512')
        self.assert_same(self.image, sector_size=4096)


class HistoryTest(OracleTestCase):
    """Images with a past."""

    def test_internal_snapshots(self) -> None:
        images.make_mixed(self.image, ODD, seed=1)
        self.snapshot('-c', 'one')
        self.change(2)
        self.snapshot('-c', 'two')
        self.change(3)
        self.assert_same(self.image)

    def test_snapshot_applied(self) -> None:
        images.make_mixed(self.image, ODD, 'cluster_size=4096', seed=4)
        self.snapshot('-c', 'one')
        self.change(5)
        self.snapshot('-a', 'one')
        self.assert_same(self.image)

    def test_snapshot_deleted(self) -> None:
        images.make_mixed(self.image, ODD, 'compression_type=zstd', seed=6)
        self.snapshot('-c', 'one')
        self.change(7)
        self.snapshot('-d', 'one')
        self.assert_same(self.image)

    def test_grown_until_the_table_moved_to_the_end(self) -> None:
        images.make_mixed(self.image, 4 * MIB, 'cluster_size=512', seed=8)
        before = self.level1()
        disks.run('qemu-img', 'resize', '-q', '-f', 'qcow2', self.image,
                  str(24 * MIB))
        self.assertGreater(self.level1(), before)
        self.assert_same(self.image)

    def test_grown_and_used(self) -> None:
        images.make_mixed(self.image, 4 * MIB, 'cluster_size=512', seed=9)
        disks.run('qemu-img', 'resize', '-q', '-f', 'qcow2', self.image,
                  str(ODD))
        self.change(10)
        self.assert_same(self.image)

    def test_shrunk(self) -> None:
        images.make_mixed(self.image, ODD, seed=12)
        disks.run('qemu-img', 'resize', '-q', '--shrink', '-f', 'qcow2',
                  self.image, str(9 * MIB + 512))
        self.assert_same(self.image)

    def test_overlay_made_independent(self) -> None:
        images.make_mixed(self.image, ODD, seed=13)
        overlay = self.directory / 'overlay'
        disks.run('qemu-img', 'create', '-q', '-f', 'qcow2', '-F', 'qcow2',
                  '-b', self.image, overlay)
        images.qemu_io(overlay, 'write -P 7 5M 900k', 'write -z 8M 70k')
        disks.run('qemu-img', 'rebase', '-f', 'qcow2', '-b', '', overlay)
        self.assert_same(overlay)

    def test_overlay_committed(self) -> None:
        images.make_mixed(self.image, ODD, seed=14)
        overlay = self.directory / 'overlay'
        disks.run('qemu-img', 'create', '-q', '-f', 'qcow2', '-F', 'qcow2',
                  '-b', self.image, overlay)
        images.qemu_io(overlay, 'write -P 9 3M 2M', 'discard 9M 1M')
        disks.run('qemu-img', 'commit', '-q', '-f', 'qcow2', overlay)
        self.assert_same(self.image)

    def test_dirty_bitmap(self) -> None:
        images.make_mixed(self.image, ODD, seed=15)
        disks.run('qemu-img', 'bitmap', '-f', 'qcow2', '--add', self.image,
                  'backup')
        self.change(16)
        self.assert_same(self.image)

    def test_not_closed_after_its_last_use(self) -> None:
        images.make_mixed(self.image, ODD, 'lazy_refcounts=on', seed=17)
        with self.assertRaises(commands.CommandFailed):
            images.qemu_io(self.image, 'write -P 3 1M 3M', 'flush', 'abort')
        outcome = self.invoke('check', self.image, '--json')
        self.assertEqual(['dirty'], [
            finding['code'] for finding in outcome.json['findings']])
        self.assert_same(self.image)

    def test_amended_to_the_newer_version(self) -> None:
        images.make_mixed(self.image, ODD, 'compat=0.10', seed=18)
        disks.run('qemu-img', 'amend', '-q', '-f', 'qcow2', '-o',
                  'compat=1.1', self.image)
        self.change(19)
        self.assert_same(self.image)

    def change(self, seed: int) -> None:
        """Let a guest use the disk further."""
        dice = random.Random(seed)
        size = images.virtual_size(self.image)
        images.qemu_io(self.image, *[
            f'{dice.choice(("write -P 33", "write -z", "discard"))} '
            f'{start} {length}'
            for start, length in images.pieces(dice, size, 0.2)])
        images.write_table(self.image)

    def snapshot(self, *arguments: str) -> None:
        disks.run('qemu-img', 'snapshot', *arguments, self.image)

    def level1(self) -> int:
        """Offset of the level 1 table."""
        with self.image.open('rb') as file:
            file.seek(40)
            return int.from_bytes(file.read(8), 'big')


class RawTest(OracleTestCase):
    """Raw images: the file is the disk."""

    def check(self, size: int, *, label: str = 'dos') -> None:
        images.make_guest(self.image, size, seed=size, label=label)
        self.assert_same(self.image, 'raw')

    def test_whole_sectors(self) -> None:
        self.check(ODD)

    def test_gpt(self) -> None:
        self.check(16 * MIB, label='gpt')

    def test_just_two_ends(self) -> None:
        self.check(2 * MIB + 512)

    def test_less_than_one_end(self) -> None:
        self.check(700 * KIB)

    def test_preallocated(self) -> None:
        for how in ('off', 'falloc', 'full'):
            with self.subTest(how):
                images.create(self.image, 12 * MIB, f'preallocation={how}',
                              'raw')
                images.partition(self.image)
                self.assert_same(self.image, 'raw')

    def test_file_system_without_partitions(self) -> None:
        tree = self.directory / 'tree'
        tree.mkdir()
        (tree / 'noise').write_bytes(random.Random(1).randbytes(3 * MIB))
        disks.run('mke2fs', '-q', '-t', 'ext4', '-d', tree, self.image, '16M')
        with self.assertRaisesRegex(AssertionError, 'image-type-mismatch'):
            self.assert_same(self.image, 'raw')
        self.assert_same(self.image, 'raw', '--force')


class PermittedTest(OracleTestCase):
    """Formats that the operator has to permit."""

    def check(self, form: str, options: str = '', size: int = ODD) -> None:
        guest = images.make_guest(self.directory / 'guest', size, seed=21)
        self.assert_same(images.convert(guest, self.image, options,
                                        form=form), form)

    def test_vmdk(self) -> None:
        self.check('vmdk', 'subformat=monolithicSparse')

    def test_vmdk_with_zeroed_grains(self) -> None:
        self.check('vmdk', 'zeroed_grain=on')

    def test_vmdk_for_transport(self) -> None:
        self.check('vmdk', 'subformat=streamOptimized')

    def test_vdi(self) -> None:
        self.check('vdi')

    def test_vdi_in_full(self) -> None:
        self.check('vdi', 'static=on', 16 * MIB)


Check = Callable[[OracleTestCase], None]


def _mixed(options: str, size: int = ODD, *, compress: bool = True) -> Check:
    return lambda case: case.assert_same(images.make_mixed(
        case.image, size, options, seed=len(options), compress=compress))


def _compressed(options: str) -> Check:
    return lambda case: case.assert_same(images.convert(
        images.make_guest(case.directory / 'guest', ODD, seed=3), case.image,
        options, compress=True))


def _variants() -> dict[str, Check]:
    """A check for each value of each option of ``qemu-img create``."""
    checks = {}
    for size in CLUSTER_SIZES:
        cluster = f'cluster_size={size}'
        checks[f'mixed_{size}'] = _mixed(cluster)
        checks[f'zlib_{size}'] = _compressed(cluster)
        checks[f'zstd_{size}'] = _compressed(
            f'{cluster},compression_type=zstd')
        if size >= 16 * KIB:
            checks[f'subclusters_{size}'] = _mixed(_SUBCLUSTERS + cluster)
            checks[f'subclusters_zstd_{size}'] = _mixed(
                f'{_SUBCLUSTERS}{cluster},compression_type=zstd')
    for bits in (1, 2, 4, 8, 16, 32, 64):
        checks[f'refcount_bits_{bits}'] = _mixed(f'refcount_bits={bits}')
    for how in ('off', 'metadata', 'falloc', 'full'):
        for extra in ('', _SUBCLUSTERS, 'lazy_refcounts=on,'):
            name = extra.partition('=')[0] or 'plain'
            checks[f'preallocation_{how}_{name}'] = _mixed(
                f'{extra}preallocation={how}', compress=False)
    return checks


class VariantTest(OracleTestCase):
    """One test for each variant that ``qemu-img create`` can make."""


for _name, _check in _variants().items():
    setattr(VariantTest, f'test_{_name}', _check)
