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

"""What every target of a write can do."""

import abc
import ctypes
import errno
import mmap
import os
import types
import typing

from ironic_imagedeploy.engine import exceptions

MIB = 1 << 20
#: Bytes wiped at both ends of a disk before it is written.
END = MIB
_ZEROES = memoryview(mmap.mmap(-1, MIB))


class Target(abc.ABC):
    """A disk, or a file that stands for one. Offsets and sizes in bytes.

    :ivar path: where it is.
    :ivar size: of the disk.
    :ivar sector_size: of its logical sectors.
    :ivar fixed_sectors: whether that size is the disk's own, so that an
        image must have been made for it.
    :ivar created: a file that did not exist: nothing but the image says how
        large it becomes.
    :ivar zeroes_written: bytes of zeroes that had to be written, since the
        target has no faster way.
    """

    path: str
    size: int
    sector_size: int
    fixed_sectors: typing.ClassVar[bool] = True
    created: bool = False
    zeroes_written: int = 0

    def __init__(self) -> None:
        self._buffered = -1
        self._direct = -1

    def use_page_cache(self) -> None:
        """From here on, no direct I/O.

        For images in pieces smaller than a sector: direct and cached writes
        to one page at the same time would lose one of them.
        """
        if self._direct >= 0:
            os.close(self._direct)
            self._direct = -1

    def write(self, offset: int, view: memoryview) -> None:
        """Write all of it.

        :raises TargetError: when the target does not take it.
        """
        if not view:
            return
        descriptor = self._buffered
        if self._direct >= 0 and not (
                (offset | len(view)) % self.sector_size):
            descriptor = self._direct
            if not _aligned(view, self.sector_size):
                bounce = memoryview(mmap.mmap(-1, len(view)))
                bounce[:] = view
                view = bounce
        try:
            while view:
                count = os.pwrite(descriptor, view, offset)
                offset += count
                view = view[count:]
        except OSError as error:
            raise self.failed('write', offset, error) from error

    def zero(self, offset: int, length: int) -> None:
        """Make the range read as zeroes, by the fastest sure way."""
        if not self._zero_fast(offset, length):
            self.zeroes_written += length
            while length:
                step = min(length, len(_ZEROES))
                self.write(offset, _ZEROES[:step])
                offset += step
                length -= step

    def read(self, offset: int, length: int) -> memoryview:
        """Exactly that range, past the page cache where possible."""
        if not length:
            return memoryview(b'')
        start = offset - offset % self.sector_size
        end = -(-(offset + length) // self.sector_size) * self.sector_size
        view = memoryview(mmap.mmap(-1, end - start))
        descriptor = self._direct if self._direct >= 0 else self._buffered
        done = 0
        try:
            while done < end - start:
                count = os.preadv(descriptor, [view[done:]], start + done)
                if not count:
                    break
                done += count
        except OSError as error:
            raise self.failed('read', start + done, error) from error
        if done < offset - start + length:
            raise self.failed('read', start + done, OSError(
                errno.EIO, 'end of the target'))
        return view[offset - start:offset - start + length]

    def adapt(self, size: int) -> None:
        """The image has that many bytes after all; a new file adapts.

        :raises TargetError: when it cannot.
        """
        return

    def wipe_ends(self) -> None:
        """Zero the first and the last MiB: nothing boots from here on."""
        self.zero(0, min(END, self.size))
        tail = max(self.size - END, 0)
        self.zero(tail, self.size - tail)
        self.flush()

    def flush(self) -> None:
        """Everything written is on the medium.

        The first error is final: the kernel reports a lost write only once.
        """
        try:
            os.fsync(self._buffered)
            if self._direct >= 0:
                os.fsync(self._direct)
        except OSError as error:
            raise self.failed('flush', 0, error) from error

    def drop_cache(self) -> None:
        """Let the next read come from the medium."""
        os.posix_fadvise(self._buffered, 0, 0, os.POSIX_FADV_DONTNEED)

    def reread_partitions(self) -> None:
        """Tell the kernel about the new partition table."""
        return

    def close(self) -> None:
        """Give the target back."""
        self.use_page_cache()
        if self._buffered >= 0:
            os.close(self._buffered)
            self._buffered = -1

    @abc.abstractmethod
    def _zero_fast(self, offset: int, length: int) -> bool:
        """Zero without writing; False when this target cannot."""

    def failed(self, action: str, offset: int, error: OSError
               ) -> exceptions.TargetError:
        """The error for a system call that failed."""
        if error.errno == errno.ENOSPC:
            return exceptions.TargetTooSmall(
                self.path, expected=f'room at byte {offset}',
                found=os.strerror(errno.ENOSPC),
                fix='Use a larger target, or make room.')
        return exceptions.TargetError(
            self.path, expected=f'a successful {action} at byte {offset}',
            found=error.strerror or str(error),
            fix='Check the disk and its cables; see the kernel log.')

    def mismatch(self, offset: int, length: int
                 ) -> exceptions.ReadBackMismatch:
        """The error for a range that does not hold what it should."""
        return exceptions.ReadBackMismatch(
            self.path,
            expected=f'the bytes of the image from {offset} to '
            f'{offset + length - 1}', found='others',
            fix='Write the image again; if it happens again, replace the '
                'disk.')

    def __enter__(self) -> typing.Self:
        return self

    def __exit__(self, kind: type[BaseException] | None,
                 error: BaseException | None,
                 trace: types.TracebackType | None) -> None:
        self.close()


def _aligned(view: memoryview, alignment: int) -> bool:
    if view.readonly:
        return False
    return ctypes.addressof(ctypes.c_char.from_buffer(view)) % alignment == 0
