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

"""The disks that are written: loop devices over a file."""

from collections.abc import Iterator
from concurrent import futures
import fcntl
import mmap
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import types

from benchmarks import digest

MIB = 1 << 20
_BLKFLSBUF = 0x1261
_ZRAM = pathlib.Path('/sys/class/zram-control')
_STEP = 4 * MIB
_WRITERS = 4
#: What an old disk has everywhere: nobody may take it for zeroes.
_GARBAGE = memoryview(mmap.mmap(-1, _STEP))
_GARBAGE[:] = b'\xa5' * _STEP


class Disk:
    """A loop device over a file in a folder, with direct I/O.

    A disk in memory has writes and flushes for nothing, which no disk has;
    a file without direct I/O has a cache that no disk has.

    :ivar device: path of the device.
    :ivar kind: what it is, for the reader of the results.
    :ivar rounds: at most, since some take long on it.
    """

    rounds = sys.maxsize
    cached = False
    sparse = False

    def __init__(self, state: pathlib.Path, folder: pathlib.Path,
                 size: int) -> None:
        self.size = size
        self._link = state / 'disk'
        self._descriptor = self._make(folder)
        self.device = self._attach()
        direct = pathlib.Path('/sys/block', os.path.basename(self.device),
                              'loop/dio').read_text().strip() == '1'
        if not (direct or self.cached):
            print(f'{folder} takes no direct I/O: the disk has a cache, '
                  'which no real one has', file=sys.stderr, flush=True)
        self.kind = 'loop device, {}, over a {} in {}'.format(
            'direct I/O' if direct else 'no direct I/O',
            'sparse file' if self.sparse else 'file', _file_system(folder))

    def __enter__(self) -> 'Disk':
        return self

    def __exit__(self, kind: type[BaseException] | None,
                 error: BaseException | None,
                 trace: types.TracebackType | None) -> None:
        _run('losetup', '--detach', self.device)
        os.close(self._descriptor)
        self._link.readlink().unlink()
        self._link.unlink()

    def soil(self, guest: pathlib.Path) -> None:
        """Garbage in all places, which are there then.

        :param guest: what will be written.
        """
        self._forget()
        self._fill([(0, self.size)])

    def digest(self) -> str:
        """Of all that is on the disk."""
        self._forget()
        return digest.of(self._descriptor, self.size)

    @property
    def asked(self) -> int:
        """Bytes that the device was asked to write or zero until now."""
        name = os.path.basename(self.device)
        fields = pathlib.Path('/sys/block', name, 'stat').read_text().split()
        return int(fields[6]) * 512

    def _make(self, folder: pathlib.Path) -> int:
        """The file, named in the state for whoever cleans up."""
        descriptor, path = tempfile.mkstemp(
            prefix='ironic-imagedeploy-disk.', dir=folder)
        self._link.symlink_to(path)
        if self.sparse:
            os.truncate(descriptor, self.size)
        else:
            os.posix_fallocate(descriptor, 0, self.size)
        if self.cached:
            return descriptor
        try:
            direct = os.open(path, os.O_RDWR | os.O_DIRECT)
        except OSError:
            return descriptor
        os.close(descriptor)
        return direct

    def _attach(self) -> str:
        # The images are for this size, whatever the disk below has.
        command = ['losetup', '--find', '--show', '--sector-size', '512',
                   os.readlink(self._link)]
        if not self.cached:
            tried = subprocess.run(
                [*command, '--direct-io=on'], text=True, capture_output=True)
            if not tried.returncode:
                return tried.stdout.strip()
        return subprocess.run(
            command, check=True, text=True,
            stdout=subprocess.PIPE).stdout.strip()

    def _fill(self, ranges: list[tuple[int, int]]) -> None:
        def write(start: int, length: int) -> None:
            while length:
                count = os.pwrite(self._descriptor, _GARBAGE[:length], start)
                start += count
                length -= count
        with futures.ThreadPoolExecutor(_WRITERS) as pool:
            list(pool.map(write, *zip(*_steps(ranges), strict=True)))
        os.fsync(self._descriptor)

    def _forget(self) -> None:
        """Nothing of the device is in the page cache, or on its way."""
        descriptor = os.open(self.device, os.O_RDWR)
        try:
            os.fsync(descriptor)
            fcntl.ioctl(descriptor, _BLKFLSBUF)
        finally:
            os.close(descriptor)
        os.posix_fadvise(self._descriptor, 0, 0, os.POSIX_FADV_DONTNEED)


class MemoryDisk(Disk):
    """One whose file is in a tmpfs."""

    cached = True


class ThinDisk(Disk):
    """One that is larger than the memory and the space.

    Its file is in a file system on zram: the one zeroes on request without
    writing, the other keeps written zeroes without a need for memory.
    """

    rounds = 1
    cached = True
    sparse = True

    def __init__(self, state: pathlib.Path, size: int) -> None:
        number = _ZRAM.joinpath('hot_add').read_text().strip()
        self._number = state / 'zram'
        self._number.write_text(number)
        pathlib.Path(f'/sys/block/zram{number}/disksize').write_text(
            str(size // 8 * 9))
        under = f'/dev/zram{number}'
        self._mount = state / 'thin'
        self._mount.mkdir(exist_ok=True)
        _run('mke2fs', '-q', '-t', 'ext4', '-O', '^has_journal', '-E',
             'lazy_itable_init=1,nodiscard', under)
        _run('mount', '-t', 'ext4', '-o', 'noatime,noinit_itable',
             under, self._mount)
        super().__init__(state, self._mount, size)

    def __exit__(self, kind: type[BaseException] | None,
                 error: BaseException | None,
                 trace: types.TracebackType | None) -> None:
        super().__exit__(kind, error, trace)
        self._unmount()
        self._mount.rmdir()
        _ZRAM.joinpath('hot_remove').write_text(self._number.read_text())
        self._number.unlink()

    def _unmount(self) -> None:
        """A killed writer holds the disk until its last request is done."""
        for _ in range(120):
            if not subprocess.run(['umount', '--quiet', self._mount],
                                  stderr=subprocess.DEVNULL).returncode:
                return
            time.sleep(0.5)
        _run('umount', self._mount)

    def soil(self, guest: pathlib.Path) -> None:
        """Garbage where the guest has data, and 64 KiB in every 64 MiB."""
        self._forget()
        os.truncate(self._descriptor, 0)
        os.truncate(self._descriptor, self.size)
        with guest.open('rb') as source:
            self._fill([
                *((start, 1 << 16) for start in range(
                    0, self.size, 64 * MIB)),
                *digest.data(source.fileno(), self.size)])


def make(state: pathlib.Path, folder: pathlib.Path | None, size: int,
         largest: int) -> Disk:
    """The disk for an image.

    :param folder: where its file goes; none: into memory.
    :param size: of the image's disk, in bytes.
    :param largest: that has a place in the folder or in memory.
    """
    if size > largest:
        return ThinDisk(state, size)
    if folder is None:
        return MemoryDisk(state, state, size)
    folder.mkdir(parents=True, exist_ok=True)
    return Disk(state, folder, size)


def _steps(ranges: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    for start, length in ranges:
        for first in range(start, start + length, _STEP):
            yield first, min(_STEP, start + length - first)


def _file_system(folder: pathlib.Path) -> str:
    found = subprocess.run(
        ['findmnt', '--noheadings', '--output', 'FSTYPE,SOURCE', '--target',
         folder], check=True, text=True, stdout=subprocess.PIPE)
    kind, source = found.stdout.split()
    return kind if kind == 'tmpfs' else f'{kind} on {source}'


def _run(*command: str | pathlib.Path) -> None:
    subprocess.run(command, check=True)
