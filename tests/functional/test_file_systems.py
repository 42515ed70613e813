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

"""Partition images, as the kernel sees them and as ``check`` does."""

from collections.abc import Iterator
import contextlib
import mmap
import os
import random
import re

from ironic_imagedeploy.engine.contents import filesystems
from ironic_imagedeploy.engine import exceptions
from tests.functional import base
from tests.support import disks
from tests.support import web

MIB = base.MIB
_GONE = 3
_NOT_ZERO = re.compile(rb'[^\0]')
FILES = {f'{kind}-{size}': part[:size]
         for kind, part in (
             ('text', b'some words in a line, again\n' * 20_000),
             ('lines', b''.join(b'%d %d\n' % (line, line * line)
                                for line in range(30_000))),
             ('noise', random.Random(5).randbytes(400_000)))
         for size in (0, 300, 4095, 4096, 5000, 140_000)}


class FileSystemsTest(base.FunctionalTestCase):
    """File systems that the kernel filled, with directories of all forms."""

    def setUp(self) -> None:
        super().setUp()
        self.image = self.directory / 'image'
        self.mountpoint = self.directory / 'mountpoint'
        self.mountpoint.mkdir()

    def make(self, *command: str, size: int = 320 * MIB, names: int = 2500,
             how: str = 'rw') -> None:
        """A file system with a system, and a directory that shrank."""
        self.image.unlink(missing_ok=True)
        with self.image.open('wb') as file:
            file.truncate(size)
        disks.run(*command, self.image)
        with self.mounted(how):
            self.fill(names)

    def fill(self, names: int, folder: str = '') -> None:
        """Put a system into a folder of the mounted file system."""
        root = self.mountpoint / folder
        for name in ('usr/sbin', 'boot/grub', 'etc', 'many', 'some'):
            (root / name).mkdir(parents=True)
        for name in ('usr/sbin/grub-install', 'boot/vmlinuz-6.1', 'etc/x'):
            (root / name).touch()
        for name, content in FILES.items():
            (root / 'etc' / name).write_bytes(content)
        with (root / 'etc/holes').open('wb') as file:
            for place in (5000, 300_000):
                file.seek(place)
                file.write(b'here')
            file.truncate(400_000)
        with (root / 'etc/allocated').open('wb') as file:
            os.posix_fallocate(file.fileno(), 0, 50_000)
        (root / 'sbin').symlink_to('usr/sbin')
        (root / 'far').symlink_to('/etc/../' + './' * 400 + 'boot')
        for number in range(names):
            path = root / 'many' / f'{number}-{"n" * (number % 99)}'
            path.touch()
            # Makes the extents of the directory short.
            if number % 20 == 0:
                (root / 'some' / str(number)).write_bytes(bytes(9000))
            if number % _GONE == 0:
                path.unlink()

    @contextlib.contextmanager
    def mounted(self, how: str) -> Iterator[None]:
        """The image, mounted for a while."""
        with self.attached(self.image) as device:
            # Discards of one test would reach the file of the next.
            disks.run('mount', '-o', f'{how},nodiscard', device,
                      self.mountpoint)
            try:
                yield
            finally:
                disks.run('umount', self.mountpoint)

    def open(self, kind: str) -> filesystems.FileSystem:
        """A fresh look into the image."""
        def read(offset: int, length: int) -> bytes:
            with self.image.open('rb') as file:
                return os.pread(file.fileno(), length, offset)
        return filesystems.open_file_system(kind, read,
                                            self.image.stat().st_size)

    def assert_as_mounted(self, kind: str, status: int = 0) -> None:
        """Every directory lists what the kernel lists."""
        seen = 0
        with self.mounted('ro'):
            for folder, _, _ in os.walk(self.mountpoint):
                path = os.path.relpath(folder, self.mountpoint)
                names = self.open(kind).list(path)
                self.assertEqual(sorted(os.listdir(folder)), names, path)
                seen += len(names)
            files = self.open(kind)
            for path in ('sbin/grub-install', 'far/grub', 'many/1-n'):
                self.assertTrue(files.exists(path), path)
            for path in ('sbin/grub', 'far/grab', 'many/0-'):
                self.assertFalse(files.exists(path), path)
            for name in os.listdir(self.mountpoint / 'etc'):
                content = (self.mountpoint / 'etc' / name).read_bytes()
                for length in (4097, 1 << 20):
                    self.assertEqual(content[:length], files.front(
                        f'etc/{name}', length), (name, length))
        self.assertGreater(seen, 1600)
        self.assert_status(status, self.invoke(
            'check', self.image, '--image-type', 'partition'))

    def test_ext(self) -> None:
        for command in ('-t ext4', '-t ext4 -b 1024', '-t ext3', '-t ext2',
                        '-t ext4 -O inline_data', '-t ext4 -O meta_bg,'
                        '^resize_inode', '-t ext4 -O bigalloc'):
            with self.subTest(command):
                self.make('mke2fs', '-q', '-F', *command.split(),
                          size=128 * MIB)
                # grub2 does not know this one.
                self.assert_as_mounted(
                    'ext4', 4 if 'inline_data' in command else 0)

    def test_xfs(self) -> None:
        for command in ('', '-b size=1024', '-n size=65536', '-i size=1024'):
            with self.subTest(command):
                self.make('mkfs.xfs', '-q', *command.split())
                self.assert_as_mounted('xfs')

    def test_btrfs(self) -> None:
        for command in ('', '-n 65536', '--mixed -m single -d single',
                        '--csum blake2'):
            with self.subTest(command):
                self.make('mkfs.btrfs', '-q', *command.split())
                self.assert_as_mounted('btrfs')

    def test_compressed_btrfs(self) -> None:
        """As the kernel and btrfs restore read it."""
        for compression in ('zlib', 'lzo', 'zstd'):
            with self.subTest(compression):
                self.make('mkfs.btrfs', '-q',
                          how=f'rw,compress-force={compression}')
                self.assert_as_mounted('btrfs')
                restored = self.directory / compression
                restored.mkdir()
                disks.run('btrfs', 'restore', '--path-regex',
                          '^/(|etc(|/.*))$', self.image, restored)
                for name, content in FILES.items():
                    self.assertEqual(
                        content, (restored / 'etc' / name).read_bytes())
                    self.assertEqual(content, self.open('btrfs').front(
                        f'etc/{name}', 1 << 20), name)

    def test_damaged_compression(self) -> None:
        """An answer, or that it cannot be read."""
        dice = random.Random(1)
        for compression in ('zlib', 'lzo', 'zstd'):
            self.make('mkfs.btrfs', '-q', names=0, how='rw,max_inline=0,'
                          f'compress-force={compression}')
            with self.image.open('r+b') as file, mmap.mmap(
                    file.fileno(), 0) as disk:
                for _ in range(40):
                    at = _NOT_ZERO.search(
                        disk, dice.randrange(13 * MIB, 22 * MIB)).start()
                    old = disk[at:at + 2]
                    disk[at:at + 2] = dice.randbytes(2)
                    for name in FILES:
                        with contextlib.suppress(
                                exceptions.UnreadableContent):
                            self.open('btrfs').front(f'etc/{name}', 1 << 20)
                    disk[at:at + 2] = old

    def test_subvolumes(self) -> None:
        """Distributions put the root in one, and some make it the default."""
        for name, default in (('@', ''), ('root', ''), ('system', 'system'),
                              ('system', ''), ('@', 'other')):
            with self.subTest(name=name, default=default):
                self.make('mkfs.btrfs', '-q', names=0)
                with self.mounted('rw'):
                    self.move_into_subvolume(name, default)
                found = default == name or (name, default) in (
                    ('@', ''), ('root', ''))
                self.assert_status(0 if found else 4, self.invoke(
                    'check', self.image, '--image-type', 'partition'))

    def move_into_subvolume(self, name: str, default: str) -> None:
        """Leave nothing of the system outside of a new subvolume."""
        for entry in self.mountpoint.iterdir():
            disks.run('rm', '-r', entry)
        for each in {name, default} - {''}:
            disks.run('btrfs', 'subvolume', 'create', self.mountpoint / each)
        self.fill(0, name)
        if default:
            disks.run('btrfs', 'subvolume', 'set-default',
                      self.mountpoint / default)

    def test_a_root_that_is_a_read_only_snapshot(self) -> None:
        """openSUSE's: of it, and not of what lies beside it, files are read.

        What a subvolume hides below it counts for nothing.
        """
        self.make('mkfs.btrfs', '-q', names=0)
        first = self.mountpoint / '@/.snapshots/1'
        with self.mounted('rw'):
            for entry in self.mountpoint.iterdir():
                disks.run('rm', '-r', entry)
            for name in ('@', '@/.snapshots', '@/home', 'system'):
                disks.run('btrfs', 'subvolume', 'create',
                          self.mountpoint / name)
            self.fill(0, 'system')
            (self.mountpoint / 'system/etc/os-release').write_text(
                'ID=opensuse-microos\nVERSION_ID=20241125\n')
            (self.mountpoint / '@/home/.bash_history').touch()
            first.mkdir()
            disks.run('btrfs', 'subvolume', 'snapshot', '-r',
                      self.mountpoint / 'system', first / 'snapshot')
            disks.run('btrfs', 'subvolume', 'set-default', first / 'snapshot')
            (self.mountpoint / 'system/etc/os-release').write_text(
                'ID=another\n')
        outcome = self.invoke('check', self.image, '--image-type',
                              'partition', '--json')
        self.assert_status(0, outcome)
        self.assertEqual(('opensuse-microos', '20241125'), tuple(
            outcome.json['contents']['system'][name]
            for name in ('id', 'version')))
        files = self.open('btrfs')
        self.assertEqual(FILES['text-300'], files.front('etc/text-300', 999))
        self.assertEqual([], files.list('.snapshots'))

    def test_subvolumes_that_the_fstab_mounts(self) -> None:
        """openSUSE's: what grub2 has, and homes, lie beside the root."""
        uuid = '6d1f2b3c-0000-4000-8000-00000000000a'
        self.make('mkfs.btrfs', '-q', '-U', uuid, names=0)
        points = ('boot/grub2/i386-pc', 'root', 'var')
        with self.mounted('rw'):
            for entry in self.mountpoint.iterdir():
                disks.run('rm', '-r', entry)
            (self.mountpoint / 'top').mkdir()
            for name in ('@', 'system'):
                disks.run('btrfs', 'subvolume', 'create',
                          self.mountpoint / name)
            self.fill(0, 'system')
            for point in points:
                path = self.mountpoint / '@' / point
                path.parent.mkdir(parents=True, exist_ok=True)
                disks.run('btrfs', 'subvolume', 'create', path)
                (self.mountpoint / 'system' / point).mkdir(parents=True)
            for path in ('@/boot/grub2/i386-pc/normal.mod', 'top/x',
                         '@/root/.bash_history',
                         'system/var/hidden'):
                (self.mountpoint / path).write_text('ls\n')
            (self.mountpoint / 'system/etc/fstab').write_text(
                f'UUID={uuid} / btrfs defaults 0 0\n' + ''.join(
                    f'UUID={uuid} /{point} btrfs subvol=/{path} 0 0\n'
                    for point, path in (
                        *((point, f'@/{point}') for point in points),
                        ('many', 'top'), ('some', 'nowhere'))))
            disks.run('btrfs', 'subvolume', 'set-default',
                      self.mountpoint / 'system')
        outcome = self.invoke('check', self.image, '--image-type',
                              'partition', '--json')
        self.assert_status(0, outcome)
        contents = outcome.json['contents']
        self.assertIn('grub2 (BIOS)', contents['loaders'])
        self.assertEqual(['root/.bash_history'],
                         contents['left']['histories'])
        self.assertEqual([], contents['unread'])

    def test_usr_in_a_subvolume(self) -> None:
        """What the root has in its place is hidden."""
        uuid = '6d1f2b3c-0000-4000-8000-00000000000b'
        self.make('mkfs.btrfs', '-q', '-U', uuid, names=0)
        with self.mounted('rw'):
            disks.run('btrfs', 'subvolume', 'create',
                      self.mountpoint / '@usr')
            (self.mountpoint / '@usr/lib').mkdir()
            (self.mountpoint / '@usr/lib/os-release').write_text('ID=new\n')
            (self.mountpoint / 'usr/lib').mkdir()
            for path in ('usr/lib', 'lib'):
                folder = self.mountpoint / path
                folder.mkdir(exist_ok=True)
                (folder / 'os-release').write_text('ID=hidden\n')
            (self.mountpoint / 'etc/fstab').write_text(
                f'UUID={uuid} / btrfs defaults 0 0\n'
                f'UUID={uuid} /usr btrfs subvol=@usr 0 0\n')
        outcome = self.invoke('check', self.image, '--image-type',
                              'partition', '--json')
        self.assert_status(0, outcome)
        self.assertEqual('new', outcome.json['contents']['system']['id'])

    def test_a_subvolume_that_a_snapshot_has_not(self) -> None:
        """As the kernel lists it: its name, and nothing in it."""
        self.make('mkfs.btrfs', '-q', names=0)
        with self.mounted('rw'):
            for name in ('@', '@/var'):
                disks.run('btrfs', 'subvolume', 'create',
                          self.mountpoint / name)
            (self.mountpoint / '@/var/x').touch()
            disks.run('btrfs', 'subvolume', 'snapshot',
                      self.mountpoint / '@', self.mountpoint / 'copy')
            disks.run('btrfs', 'subvolume', 'set-default',
                      self.mountpoint / 'copy')
        with self.mounted('ro'):
            self.assertEqual(['var'], os.listdir(self.mountpoint))
            self.assertEqual([], os.listdir(self.mountpoint / 'var'))
        files = self.open('btrfs')
        self.assertEqual((['var'], []), (files.list(''), files.list('var')))
        self.assertTrue(files.exists('var'))
        top = files.subvolume('/')
        self.assertEqual(['x'], top and top.list('@/var'))
        for path, found in (('@/var', ['x']), ('copy', ['var']),
                            ('nowhere', None), ('boot', None)):
            below = files.subvolume(path)
            self.assertEqual(found, below and below.list(''), path)

    def test_over_http(self) -> None:
        """Little is read, and only once."""
        server = web.Server(self.directory)
        self.addCleanup(server.stop)
        for command in ('mke2fs -q -F -t ext4', 'mkfs.xfs -q',
                        'mkfs.btrfs -q'):
            with self.subTest(command):
                self.make(*command.split(), size=1024 * MIB)
                server.requests.clear()
                outcome = self.invoke(
                    'check', server.url('image'), '--image-type',
                    'partition', '--json')
                self.assert_status(0, outcome)
                self.assertEqual('partition', outcome.json['image_type'])
                self.assertLessEqual(len(server.requests), 60)
                self.assertLessEqual(sum(map(_length, server.requests)),
                                     4 * MIB)


def _length(requested: str) -> int:
    """Bytes in a range."""
    first, _, last = requested.removeprefix('bytes=').partition('-')
    return int(last) - int(first) + 1
