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

"""Block devices."""

from collections.abc import Sequence
import errno
import fcntl
import logging
import os
import pathlib
import stat
import struct
import time

from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.targets import base
from ironic_imagedeploy.engine.targets import mirror

LOG = logging.getLogger(__name__)

# Numbers of <linux/fs.h>.
_BLKROGET = 0x125e
_BLKRRPART = 0x125f
_BLKSSZGET = 0x1268
_BLKGETSIZE64 = 0x80081272
_BLKZEROOUT = 0x127f
_INT = struct.Struct('i')
_SIZE = struct.Struct('Q')
_RANGE = struct.Struct('QQ')
_REREAD_ATTEMPTS = 5
#: Names of devices made of others, by what they begin with.
_EITHER = ('dm-', 'md', 'bcache', 'drbd', 'zd', 'zram', 'ram')


class BlockTarget(base.Target):
    """A disk or partition, held exclusively and written with direct I/O."""

    def __init__(self, path: str, *, read_only: bool = False) -> None:
        super().__init__()
        self.path = path
        self.read_only = read_only
        self._zeroout = True
        self._members: list[mirror.Member] = []
        try:
            # The kernel refuses O_EXCL for what is mounted or has holders.
            self._descriptor = os.open(
                path, (os.O_RDONLY if read_only else os.O_RDWR)
                | os.O_EXCL | os.O_DIRECT)
            self._measure()
        except OSError as error:
            self.close()
            raise self._not_opened(error) from error
        except BaseException:
            self.close()
            raise

    @property
    def is_partition(self) -> bool | None:
        """Whether it is a part of a disk; None for what may be either.

        A file system may lie on a mapped device or on an array as a whole,
        and so may a partition table.
        """
        return _is_partition(self._sysfs)

    @property
    def identity(self) -> str:
        """The disk, the use of its number, and where a partition begins.

        A partition that is made anew in the same place may have another
        number, but is the same.
        """
        disk = '../' if self.is_partition else ''
        words = [super().identity]
        for name in (f'{disk}dev', f'{disk}diskseq', 'start'):
            try:
                words.append(f'{name} {(self._sysfs / name).read_text()}')
            except OSError:
                continue
        return ' '.join(' '.join(words).split())

    @property
    def _sysfs(self) -> pathlib.Path:
        number = os.fstat(self._descriptor).st_rdev
        return pathlib.Path(
            '/sys/dev/block', f'{os.major(number)}:{os.minor(number)}')

    @property
    def alignment(self) -> int:
        return self.sector_size

    @property
    def copies(self) -> Sequence[base.Target]:
        if not self._members:
            for path, begin in mirror.places(self._sysfs):
                self._members.append(mirror.Member(
                    path, begin, self.size, self.sector_size))
        return self._members or (self,)

    def flush(self) -> None:
        super().flush()
        for member in self.copies:
            # An array flushes its members, and tells of no error there.
            if member is not self:
                member.flush()

    def close(self) -> None:
        for member in self._members:
            member.close()
        super().close()

    def reread_partitions(self) -> None:
        for attempt in range(_REREAD_ATTEMPTS):
            try:
                fcntl.ioctl(self._descriptor, _BLKRRPART)
                return
            except OSError as error:
                # A device without partitions says EINVAL; udev may still
                # look at one of them.
                if error.errno != errno.EBUSY:
                    return
                time.sleep(0.2 * (attempt + 1))
        LOG.warning('%s: a partition is in use, so that the kernel goes on '
                    'with the partition table from before', self.path)

    def _measure(self) -> None:
        protected, = _INT.unpack(fcntl.ioctl(
            self._descriptor, _BLKROGET, bytes(_INT.size)))
        if protected and not self.read_only:
            raise self._read_only()
        self.sector_size, = _INT.unpack(fcntl.ioctl(
            self._descriptor, _BLKSSZGET, bytes(_INT.size)))
        self.size, = _SIZE.unpack(fcntl.ioctl(
            self._descriptor, _BLKGETSIZE64, bytes(_SIZE.size)))

    def _zero_fast(self, offset: int, length: int) -> bool:
        if not self._zeroout or (offset | length) % self.sector_size:
            return False
        try:
            fcntl.ioctl(self._descriptor, _BLKZEROOUT,
                        _RANGE.pack(offset, length))
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.ENOTTY,
                                   errno.EINVAL):
                raise self.failed('zeroing', offset, error) from error
            self._zeroout = False
        return self._zeroout

    def _not_opened(self, error: OSError) -> exceptions.TargetError:
        if error.errno == errno.EBUSY:
            return exceptions.TargetBusy(
                self.path, expected='a disk that nobody uses',
                found='one that is mounted or held by another device or '
                'program',
                fix='Unmount it; lsblk and fuser tell who holds it.')
        if self.read_only and error.errno in (errno.EACCES, errno.EPERM):
            return self.error(
                self.path, expected='permission to read it', found='none',
                fix='Run as root.')
        if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            return self._read_only()
        return self.error(
            self.path, expected='a disk that can be opened',
            found=error.strerror or str(error), fix='Check the device.')

    def _read_only(self) -> exceptions.TargetReadOnly:
        return exceptions.TargetReadOnly(
            self.path, expected='a disk that can be written',
            found='a write-protected one, or no permission',
            fix='Use another disk, remove its protection (blockdev --setrw) '
                'or run as root.')


def _is_partition(device: pathlib.Path) -> bool | None:
    """Whether a device is a partition, by its directory in sysfs."""
    if (device / 'partition').exists():
        return True
    if not device.exists() or device.resolve().name.startswith(_EITHER):
        return None
    return False


def is_block_device(path: str) -> bool:
    """Whether there is a block device at that path."""
    try:
        return stat.S_ISBLK(os.stat(path).st_mode)
    except OSError:
        return False
