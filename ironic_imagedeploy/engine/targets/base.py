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

"""Interface of the targets of a write."""

import abc
from collections.abc import Sequence
import ctypes
import errno
import mmap
import os
import threading
import types
import typing

from ironic_imagedeploy.engine import exceptions

MIB = 1 << 20
#: Bytes wiped at both ends of a disk before it is written.
END = MIB
_ZEROES = memoryview(mmap.mmap(-1, MIB))
#: Where an optical disk has its first descriptor, which firmware follows on
#: other disks, too (ECMA-119, section 6.2; El Torito, section 2.0).
_DESCRIPTOR = 32 << 10
#: Writes that may fail before a wipe does not look for the bad sector any
#: more: twelve find one in a MiB, and a dying disk takes its time for each.
_FAILURES = 16


class Target(abc.ABC):
    """A disk, or a file that stands for one. Offsets and sizes in bytes.

    :ivar path: where it is.
    :ivar size: of the disk.
    :ivar sector_size: of its logical sectors.
    :ivar fixed_sectors: whether that size is the disk's own, so that an
        image must have been made for it.
    :ivar created: a file that did not exist, which takes the size of the
        image (:meth:`adapt`); until then it is as large as it may become.
    :ivar read_only: nothing will be written.
    :ivar zeroes_written: bytes of zeroes that had to be written, since the
        target has no faster way.
    """

    path: str
    size: int
    sector_size: int
    fixed_sectors: typing.ClassVar[bool] = True
    created: bool = False
    read_only: bool = False
    zeroes_written: int = 0

    def __init__(self) -> None:
        self._descriptor = -1
        self._edges = threading.Lock()

    @property
    def is_partition(self) -> bool | None:
        """Whether it is a part of a disk; None where that cannot be told."""
        return None

    @property
    def identity(self) -> str:
        """Words that tell it from others, while the machine runs."""
        return f'{self.size} {self.sector_size}'

    @property
    def alignment(self) -> int:
        """Bytes that a single read or write starts and ends at a multiple of.

        Those of a sector, where the page cache is left out.
        """
        return 1

    @property
    def copies(self) -> Sequence['Target']:
        """Copies of all of its bytes: each disk of a mirror, or itself.

        :raises TargetError: when one of them cannot be opened.
        """
        return (self,)

    def write(self, offset: int, view: memoryview) -> None:
        """Write all of it.

        A sector that is written in part is read, changed and written back.
        A disk is never written through the page cache: a cached write takes
        the rest of its page along, as it was before a direct write to the
        same page, and pages may be larger than sectors.

        :raises TargetError: when the target does not take it.
        """
        if before := min(-offset % self.alignment, len(view)):
            self._write_part(offset, view[:before])
        offset, view = offset + before, view[before:]
        after = len(view) % self.alignment
        whole = len(view) - after
        self._write_whole(offset, view[:whole])
        if after:
            self._write_part(offset + whole, view[whole:])

    def zero(self, offset: int, length: int) -> None:
        """Make the range read as zeroes, by the fastest sure way."""
        if not self._zero_fast(offset, length):
            self.zeroes_written += length
            self._write_zeroes(offset, length)

    def read(self, offset: int, length: int,
             memory: memoryview | None = None) -> memoryview:
        """Bytes of that range, past the page cache where possible.

        :param memory: that is read into, where the range is aligned and so
            is the memory; new memory costs as much time as the reading.
        :raises TargetError: when the target does not give all of them.
        """
        if not length:
            return memoryview(b'')
        start = offset - offset % self.alignment
        end = -(-(offset + length) // self.alignment) * self.alignment
        if (memory is not None and end - start == length <= len(memory)
                and _in_place(memory, self.alignment)):
            view = memory[:length]
        else:
            view = memoryview(mmap.mmap(-1, end - start))
        done = 0
        try:
            while done < end - start:
                count = os.preadv(self._descriptor, [view[done:]],
                                  start + done)
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
        """Let a new file have that many bytes, those of the image.

        :raises TargetError: when it cannot.
        """
        return

    def wipe_ends(self) -> None:
        """Zero the first and the last MiB: nothing boots from here on.

        Each sector that firmware begins with is zero on the medium before the
        next step: what starts from the disk until then has all of its parts.
        Whatever fails, the rest is wiped, by plain writes where zeroing fails
        and around sectors that fail.

        :raises TargetMayBoot: with all that went wrong.
        """
        errors: list[exceptions.TargetError] = []
        for ranges in self._wipe_steps():
            for start, end in ranges:
                errors += self._wipe(start, end - start)
            try:
                self.flush()
            except exceptions.TargetError as error:
                errors.append(error)
        if errors:
            raise exceptions.TargetMayBoot.after(
                errors, subject=self.path) from errors[0]

    def flush(self) -> None:
        """Let everything that was written be on the medium.

        The first error is final: the kernel reports a lost write only once.

        :raises TargetError: when something was lost.
        """
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            raise self.failed('flush', 0, error) from error

    def drop_cache(self) -> None:
        """Let the next read come from the medium."""
        os.posix_fadvise(self._descriptor, 0, 0, os.POSIX_FADV_DONTNEED)

    def reread_partitions(self) -> None:
        """Tell the kernel about the new partition table.

        A partition that is in use lets it stay with the old one: a warning.
        """
        return

    def close(self) -> None:
        """Give the target back."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    @abc.abstractmethod
    def _zero_fast(self, offset: int, length: int) -> bool:
        """Zero without writing; False when this target cannot."""

    def _wipe_steps(self) -> list[list[tuple[int, int]]]:
        """Ranges that are wiped, by what is flushed together."""
        sector = self.sector_size
        front = min(END, self.size)
        steps = [[(start, min(start + sector, front))]
                 for start in (0, _DESCRIPTOR)]
        rest = [(min(sector, front), front),
                (max(self.size - END, front), self.size)]
        return [ranges for step in [*steps, rest]
                if (ranges := [part for part in step if part[0] < part[1]])]

    def _wipe(self, start: int, length: int) -> list[exceptions.TargetError]:
        """Errors of the sectors in that range that could not be zeroed."""
        try:
            self.zero(start, length)
        except exceptions.TargetError:
            pass
        else:
            return []
        errors = []
        failures = 0
        ranges = [(start, length)]
        while ranges:
            start, length = ranges.pop()
            try:
                self._write_zeroes(start, length)
            except exceptions.TargetError as error:
                failures += 1
                if length <= self.sector_size or failures > _FAILURES:
                    errors.append(error)
                    continue
                half = -(-length // self.sector_size // 2) * self.sector_size
                ranges += [(start + half, length - half), (start, half)]
        return errors

    def _write_zeroes(self, offset: int, length: int) -> None:
        while length:
            step = min(length, len(_ZEROES))
            self.write(offset, _ZEROES[:step])
            offset += step
            length -= step

    def _write_whole(self, offset: int, view: memoryview) -> None:
        """Write bytes at a multiple of the alignment, in multiples of it."""
        if self.alignment > 1 and view and not _in_place(view,
                                                         self.alignment):
            bounce = memoryview(mmap.mmap(-1, len(view)))
            bounce[:] = view
            view = bounce
        try:
            while view:
                count = os.pwrite(self._descriptor, view, offset)
                offset += count
                view = view[count:]
        except OSError as error:
            raise self.failed('write', offset, error) from error

    def _write_part(self, offset: int, view: memoryview) -> None:
        """Write some bytes of one sector; the others stay."""
        start = offset - offset % self.alignment
        # Another thread may write the other bytes.
        with self._edges:
            sector = self.read(start, self.alignment)
            sector[offset - start:offset - start + len(view)] = view
            self._write_whole(start, sector)

    def failed(self, action: str, offset: int, error: OSError
               ) -> exceptions.TargetError:
        """The error for a system call that failed."""
        if error.errno == errno.ENOSPC:
            return exceptions.TargetTooSmall(
                self.path, expected=f'room at byte {offset}',
                found=os.strerror(errno.ENOSPC),
                fix='Use a larger target, or make room.')
        return self.error(
            self.path, expected=f'a successful {action} at byte {offset}',
            found=error.strerror or str(error),
            fix='Check the disk and its cables; see the kernel log.')

    @property
    def error(self) -> type[exceptions.TargetError]:
        """Kind of the errors that have none of their own."""
        return (exceptions.TargetUnreadable if self.read_only
                else exceptions.TargetError)

    def mismatch(self, offset: int, length: int
                 ) -> exceptions.VerificationError:
        """The error for a range that does not hold what it should."""
        if self.read_only:
            return exceptions.TargetDiffers(
                self.path,
                expected=f'the bytes of the image from {offset} to '
                f'{offset + length - 1}', found='others',
                fix='Compare it with the image that was written to it, or '
                'write this one. A system that has booted from it has '
                'changed it, and so has a repair of its GPT.')
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


def _in_place(view: memoryview, alignment: int) -> bool:
    """Whether direct I/O takes the bytes from where they are in memory."""
    if view.readonly:
        return False
    return ctypes.addressof(ctypes.c_char.from_buffer(view)) % alignment == 0
