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

"""Regular files as disks."""

import ctypes
import errno
import fcntl
import glob
import os
import stat
import types

from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.targets import base

_LIBC = ctypes.CDLL(None, use_errno=True)
# Numbers of <linux/falloc.h>.
_KEEP_SIZE = 1
_PUNCH_HOLE = 2


class FileTarget(base.Target):
    """A file: a new sparse one, or an existing one as a disk of its size.

    A new file that could not be finished is removed.

    :param path: of the file.
    :param create_size: bytes of the disk when the file does not exist yet.
    :param read_only: nothing will be written.
    """

    sector_size = 512
    fixed_sectors = False

    def __init__(self, path: str, create_size: int | None = None, *,
                 read_only: bool = False) -> None:
        super().__init__()
        self.path = path
        self.read_only = read_only
        self._punch = True
        try:
            self._open(create_size)
        except OSError as error:
            self._abandon()
            raise self.error(
                path, expected='a block device or a file' + (
                    '' if read_only else ' to write to'),
                found=error.strerror or str(error),
                fix='Check the path and its permissions.') from error
        except BaseException:
            self._abandon()
            raise

    @property
    def identity(self) -> str:
        status = os.fstat(self._descriptor)
        return f'{status.st_dev} {status.st_ino} {super().identity}'

    def __exit__(self, kind: type[BaseException] | None,
                 error: BaseException | None,
                 trace: types.TracebackType | None) -> None:
        if error is None:
            self.close()
        else:
            self._abandon()

    def adapt(self, size: int) -> None:
        if not self.created:
            return
        try:
            os.truncate(self._descriptor, size)
        except OSError as error:
            raise self.failed('truncation', size, error) from error
        self.size = size

    def _abandon(self) -> None:
        self.close()
        if self.created:
            os.unlink(self.path)

    def _open(self, create_size: int | None) -> None:
        flags = os.O_NONBLOCK | (os.O_RDONLY if self.read_only
                                 else os.O_RDWR)
        try:
            self._descriptor = os.open(self.path, flags)
        except FileNotFoundError:
            if create_size is None:
                raise
            self._descriptor = os.open(
                self.path, flags | os.O_CREAT | os.O_EXCL, 0o666)
            self.created = True
            os.truncate(self._descriptor, create_size)
        status = os.fstat(self._descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, 'a directory, pipe or other device')
        self.size = status.st_size
        self._lock()

    def _lock(self) -> None:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise self._busy('locked by another program') from None
        real = os.path.realpath(self.path)
        for entry in glob.glob('/sys/block/loop*/loop/backing_file'):
            try:
                with open(entry) as backing:
                    if backing.read().strip() == real:
                        raise self._busy(f'the disk of {entry.split("/")[3]}')
            except OSError:
                continue

    def _busy(self, found: str) -> exceptions.TargetBusy:
        return exceptions.TargetBusy(
            self.path, expected='a file that nobody uses', found=found,
            fix='Detach it (losetup -d), or stop the program.')

    def _zero_fast(self, offset: int, length: int) -> bool:
        if self._punch and _LIBC.fallocate(
                self._descriptor, _PUNCH_HOLE | _KEEP_SIZE,
                ctypes.c_int64(offset), ctypes.c_int64(length)):
            if ctypes.get_errno() != errno.EOPNOTSUPP:
                raise self.failed('zeroing', offset, OSError(
                    ctypes.get_errno(), os.strerror(ctypes.get_errno())))
            self._punch = False
        return self._punch
