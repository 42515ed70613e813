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


"""What is accepted is what other people's readers read.

Changed images, tables and file systems, with their checksums made right: where
both sides accept one, both have the same bytes. The changes are the same in
each run; ``DIFFERENTIAL=N`` tries so many of each seed, and others.
"""

import collections
from collections.abc import Callable
import contextlib
import json
import os
import pathlib
import random
import re
import subprocess
import tempfile
import unittest
import uuid

from ironic_imagedeploy.engine import budget
from ironic_imagedeploy.engine.contents import fat
from ironic_imagedeploy.engine.contents import fat_files
from ironic_imagedeploy.engine.contents import filesystems
from ironic_imagedeploy.engine.contents import partitions
from ironic_imagedeploy.engine.contents.system import files as _files
from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine import formats
from tests.fuzz import repairs
from tests.fuzz import target
from tests.fuzz.targets import TARGETS
from tests.fuzz.targets import writes

_ASKED = int(os.environ.get('DIFFERENTIAL', '0'))
_TRIES = _ASKED or 12
_SEED = random.SystemRandom().getrandbits(32) if _ASKED else 1
_MOST = 64 << 20
_REFUSED = (exceptions.BadContent, exceptions.UnreadableContent,
            exceptions.TooComplex, exceptions.ImageRefused)
_XFS_EXTENT = re.compile(
    rb'^data offset (\d+) startblock \d+ \((\d+)/(\d+)\) count (\d+) '
    rb'flag (\d)$', re.MULTILINE)
Answer = bytes | None
#: Asks another reader for a file of a disk; None when it does not read it.
Other = Callable[[pathlib.Path, str], Answer]


def said(*command: str | pathlib.Path) -> subprocess.CompletedProcess[bytes]:
    """What a tool says, which may fail and must end."""
    return subprocess.run(command, capture_output=True, check=False,
                          timeout=60, stdin=subprocess.DEVNULL)


def grub(path: pathlib.Path, name: str) -> Answer:
    """By grub2."""
    done = said('grub-fstest', path, 'cat', f'(loop0)/{name}')
    return done.stdout if not done.returncode and not done.stderr else None


def debugfs(path: pathlib.Path, name: str) -> Answer:
    """By e2fsprogs, which gives all of an inode with a file in it."""
    size = re.search(rb'Size: (\d+)', said(
        'debugfs', '-R', f'stat /{name}', path).stdout)
    done = said('debugfs', '-R', f'cat /{name}', path)
    clean = done.stderr.count(b'\n') == 1 and done.stderr.startswith(
        b'debugfs ')
    return (done.stdout[:int(size[1])] if clean and size
            and not done.returncode else None)


def restore(path: pathlib.Path, name: str) -> Answer:
    """By btrfs-progs."""
    pattern = '^/(|' + '(|/'.join(
        map(re.escape, name.split('/'))) + ')' * len(name.split('/')) + '$'
    with tempfile.TemporaryDirectory(dir='/dev/shm') as folder:
        done = said('btrfs', 'restore', '--path-regex', pattern, path, folder)
        found = pathlib.Path(folder, name)
        return (found.read_bytes() if not done.returncode and found.is_file()
                else None)


def mtools(path: pathlib.Path, name: str) -> Answer:
    """By mtools."""
    done = said('mcopy', '-n', '-i', path, f'::{name}', '-')
    return done.stdout if not done.returncode and not done.stderr else None


def xfs_db(path: pathlib.Path, name: str) -> Answer:
    """By xfsprogs, which tells of the places of a file."""
    done = said('xfs_db', '-r', '-c', f'path /{name}', '-c', 'print core.size',
                '-c', 'bmap -d', '-c', 'sb 0',
                '-c', 'print agblocks blocksize', path)
    numbers = dict(re.findall(rb'^(\S+) = (\d+)$', done.stdout, re.MULTILINE))
    if done.returncode or done.stderr or len(numbers) != 3:
        return None
    unit, group = int(numbers[b'blocksize']), int(numbers[b'agblocks'])
    size = int(numbers[b'core.size'])
    if size > _MOST:
        return None
    found = bytearray(size)
    with path.open('rb') as disk:
        for extent in _XFS_EXTENT.finditer(done.stdout):
            at, number, block, count, unwritten = map(int, extent.groups())
            disk.seek((number * group + block) * unit)
            start, end = at * unit, min((at + count) * unit, size)
            if start < end and not unwritten:
                found[start:end] = disk.read(end - start)
    return bytes(found[:size])


class DifferentialTestCase(unittest.TestCase):
    """Has a folder, and counts what came of the tries."""

    def setUp(self) -> None:
        super().setUp()
        self.folder = pathlib.Path(self.enterContext(
            tempfile.TemporaryDirectory(dir='/dev/shm')))
        self.counts: collections.Counter[str] = collections.Counter()

    def tearDown(self) -> None:
        print(f'{self.id().rpartition(".")[2]}: {dict(self.counts)}')
        super().tearDown()

    def changed(self, name: str, reader: str) -> list[target.Disk]:
        """Disks of a seed with one field changed, and one of them without.

        :param reader: the name of the target whose reader looks at them.
        """
        dice = random.Random(f'{name} {_SEED}')
        known = TARGETS[reader]
        assert isinstance(known, target.DiskTarget)
        seed = known.names.index(name)
        disks = [target.load(name).copy()]
        for _ in range(_TRIES):
            disk = known.subject(target.some_input(known, dice, seed))
            repairs.everything(name, disk)
            disks.append(disk)
        return disks


class FileSystemsTest(DifferentialTestCase):

    def compare(self, reader: str, name: str, look: Callable[
            [target.Disk], _files.Files], names: tuple[str, ...],
            **others: Other) -> None:
        """Have files read by us and by others."""
        for number, disk in enumerate(self.changed(name, reader)):
            path = disk.save_to(self.folder / 'disk')
            for file in names:
                ours = self.read(look, disk, file)
                self.counts['ours' if ours is not None else 'refused'] += 1
                for tool, other in others.items():
                    theirs = other(path, file) if ours is not None else None
                    if theirs is not None:
                        self.counts[tool] += 1
                        self.assertEqual(
                            len(theirs), len(ours or b''),
                            f'{name}, change {number}, {file}, {tool}')
                        self.assertTrue(theirs == ours, (
                            f'{name}, change {number}, {file}: other bytes '
                            f'than those of {tool}'))
                    elif not number:
                        self.fail(f'{tool} does not read {file} of {name}')

    @staticmethod
    def read(look: Callable[[target.Disk], _files.Files], disk: target.Disk,
             name: str) -> Answer:
        with contextlib.suppress(*_REFUSED):
            return look(disk).front(name, _MOST)
        return None

    def check(self, kind: str, name: str, **others: Other) -> None:
        def look(disk: target.Disk) -> _files.Files:
            return filesystems.open_file_system(
                kind, disk.read, disk.size, budget.Budget())
        self.compare(kind, name, look, ('etc/large', 'boot/tiny'), **others)

    def test_ext4(self) -> None:
        self.check('ext4', 'ext4', grub=grub, debugfs=debugfs)

    def test_ext4_inline(self) -> None:
        # grub2 reads no inline data.
        self.check('ext4', 'ext4-inline', debugfs=debugfs)

    def test_ext2(self) -> None:
        self.check('ext4', 'ext2', grub=grub, debugfs=debugfs)

    def test_xfs(self) -> None:
        self.check('xfs', 'xfs', grub=grub, xfs_db=xfs_db)

    def test_xfs_4(self) -> None:
        self.check('xfs', 'xfs-4', grub=grub, xfs_db=xfs_db)

    def test_xfs_blocks(self) -> None:
        self.check('xfs', 'xfs-blocks', grub=grub, xfs_db=xfs_db)

    def test_btrfs(self) -> None:
        self.check('btrfs', 'btrfs', grub=grub, restore=restore)

    def test_fat(self) -> None:
        def look(disk: target.Disk) -> _files.Files:
            return fat_files.FatFiles(fat.FatVolume(disk.read,
                                                    budget.Budget()))
        for name in ('fat12', 'fat16', 'fat32'):
            self.compare('fat', name, look, ('EFI/BOOT/BOOTX64.EFI',
                                             'EFI/debian/BOOTX64.CSV'),
                         grub=grub, mtools=mtools)


class TablesTest(DifferentialTestCase):

    def test_gpt(self) -> None:
        self.compare('gpt')

    def test_mbr(self) -> None:
        self.compare('mbr')

    def compare(self, name: str) -> None:
        """Have tables read by us and by sfdisk."""
        for number, disk in enumerate(self.changed(name, 'table')):
            path = disk.save_to(self.folder / 'disk')
            with contextlib.suppress(*_REFUSED):
                table = partitions.read_table(disk.read, disk.size)
                done = said('sfdisk', '--json', path)
                if table is None or done.returncode or (
                        table.sector_size == 4096):
                    self.counts['refused'] += 1
                    continue
                self.counts['both'] += 1
                # It says what it would correct before what it found.
                _, brace, rest = done.stdout.partition(b'{')
                theirs = json.loads(brace + rest)['partitiontable']
                self.assertEqual(
                    self.theirs(theirs), self.ours(table),
                    f'{name}, change {number}: {done.stderr.decode()}')

    @staticmethod
    def ours(table: partitions.PartitionTable) -> list[object]:
        """Numbers, first bytes, lengths and types."""
        return sorted((each.number, each.start, each.length,
                       each.type if table.kind == 'gpt'
                       else int(each.type, 16)) for each in table.partitions)

    @staticmethod
    def theirs(table: dict[str, object]) -> list[object]:
        """The same of sfdisk, without logical partitions."""
        listed = table.get('partitions', [])
        assert isinstance(listed, list)
        found = []
        for each in listed:
            number = int(re.search(r'\d+$', each['node'])[0])
            if table['label'] == 'gpt':
                kind: object = str(uuid.UUID(each['type']))
            elif number > 4:
                continue
            else:
                kind = int(each['type'], 16)
                if not kind or not each['size']:
                    # Linux takes neither for a partition.
                    continue
            found.append((number, each['start'] * 512, each['size'] * 512,
                          kind))
        return sorted(found)


class ImagesTest(DifferentialTestCase):

    def compare(self, form: str, name: str) -> None:
        """Have images read by us and by qemu-img, which ours must permit."""
        reader = formats.find(form)
        assert reader is not None
        for number, disk in enumerate(self.changed(name, form)):
            try:
                image = reader(target.DiskSource(disk), budget.Budget())
                image.read_map()
                if image.virtual_size > _MOST:
                    self.counts['large'] += 1
                    continue
                ours = writes.copied(image, disk)
            except (*_REFUSED, *writes.DECODE_ERRORS):
                self.counts['refused'] += 1
                continue
            path = disk.save_to(self.folder / 'image')
            raw = self.folder / 'raw'
            done = said('qemu-img', 'convert', '-f', form, '-O', 'raw', path,
                        raw)
            if done.returncode:
                self.counts['only ours'] += 1
                print(f'{name}, change {number}: {done.stderr.decode()}')
                self.assertTrue(number, done.stderr)
                continue
            self.counts['both'] += 1
            theirs = raw.read_bytes()
            self.assertEqual(len(theirs), len(ours),
                             f'{name}, change {number}')
            self.assertTrue(ours == theirs, (
                f'{name}, change {number}: other bytes than those of '
                'qemu-img'))


def _test(form: str, name: str) -> Callable[[ImagesTest], None]:
    return lambda case: case.compare(form, name)


for _form in ('qcow2', 'vmdk', 'vdi'):
    _known = TARGETS[_form]
    assert isinstance(_known, target.DiskTarget)
    for _name in _known.names:
        setattr(ImagesTest, f'test_{_name.replace("-", "_")}',
                _test(_form, _name))
