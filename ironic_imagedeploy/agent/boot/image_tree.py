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

"""Files of an image that somebody else made, and nothing outside of it.

The kernel resolves every path: openat2(2) with RESOLVE_IN_ROOT lets absolute
symbolic links and ``..`` count from the top of the tree, as they do for a
system that runs there, and follows no magic link of /proc and no mount point.
"""

from collections.abc import Iterable
from collections.abc import Iterator
import contextlib
import ctypes
import errno
import itertools
import os
import stat
import typing

from oslo_log import log

from ironic_python_agent import errors

LOG = log.getLogger(__name__)

#: The system call's number is the same on all processors.
_OPENAT2 = 437
#: linux/openat2.h
_RESOLVE_NO_XDEV = 0x01
_RESOLVE_NO_MAGICLINKS = 0x02
_RESOLVE_BENEATH = 0x08
_RESOLVE_IN_ROOT = 0x10

#: Bytes of a text that is read at most.
TEXT = 256 << 10
#: Names in one directory that are looked at.
_MOST_NAMES = 4096
#: Somewhere on the machine a directory was renamed, or mounted upon, while
#: the kernel followed a "..".
_TRIES = 64
_BLOCK = 1 << 20
_PERMISSIONS = 0o644
_KINDS = {stat.S_IFBLK: 'a block device', stat.S_IFCHR: 'a character device',
          stat.S_IFIFO: 'a named pipe', stat.S_IFSOCK: 'a socket',
          stat.S_IFDIR: 'a directory', stat.S_IFREG: 'a file'}


class UnsafePath(errors.DeploymentError):
    """A path of the image does not lead to a file of the right kind in it."""


class _How(ctypes.Structure):
    """struct open_how"""

    _fields_ = (('flags', ctypes.c_uint64), ('mode', ctypes.c_uint64),
                ('resolve', ctypes.c_uint64))


class ImageTree:
    """A directory and what is beneath it.

    :param top: path of the directory, which is trusted.
    """

    def __init__(self, top: str) -> None:
        self._top = os.open(top, os.O_PATH | os.O_DIRECTORY)

    def close(self) -> None:
        """Let it go, so that it can be unmounted."""
        os.close(self._top)

    def enter(self, path: str) -> None:
        """Let a directory of the tree be all of it from now on.

        :raises UnsafePath: when it is not a directory, or is outside.
        """
        with self._directory(path) as directory:
            top = os.dup(directory)
        os.close(self._top)
        self._top = top

    @property
    def free(self) -> int:
        """Bytes that fit into the file system."""
        status = os.fstatvfs(self._top)
        return status.f_frsize * status.f_bfree

    def names(self, path: str, most: int = _MOST_NAMES) -> list[str]:
        """Sorted names in a directory; none when it does not exist.

        Names that are not UTF-8 are left out.

        :param most: a directory with more entries is refused.
        :raises UnsafePath: when the path leads out of the tree, or to
            anything but a directory, or there are too many names.
        """
        with self._found(path, stat.S_IFDIR) as found:
            if found is None:
                return []
            with _reopened(path, found, os.O_DIRECTORY) as directory:
                names: list[str] = _unless_refused(
                    path, _first_names, directory, most + 1)
        if len(names) > most:
            raise UnsafePath(f'/{path} of the image has more than {most} '
                             'entries')
        return sorted(name for name in names if name.isprintable())

    def size(self, path: str) -> int | None:
        """Bytes in a file; None when it does not exist.

        :raises UnsafePath: when the path leads out of the tree, or to
            anything but a file.
        """
        with self._found(path, stat.S_IFREG) as found:
            return None if found is None else os.fstat(found).st_size

    def real_path(self, path: str, kind: int | None = None) -> str | None:
        """Path of a file without links; None when it is not in the tree.

        :param kind: of the file; one of another kind is as good as none.
        """
        try:
            file = self._resolve(path)
        except (FileNotFoundError, UnsafePath):
            return None
        try:
            mode = os.fstat(file).st_mode
            if kind is not None and stat.S_IFMT(mode) != kind:
                LOG.warning('%s: it is not used',
                            _wrong_kind(path, kind, mode).details)
                return None
            # The top may itself be a subvolume of what is mounted.
            top, real = (os.readlink(f'/proc/self/fd/{descriptor}')
                         for descriptor in (self._top, file))
        finally:
            os.close(file)
        return real.removeprefix(f'{top}/') if real.startswith(
            f'{top}/') else None

    def optional(self, path: str, most: int = TEXT) -> bytes | None:
        """Bytes of a file that the system can do without.

        None when the system itself would find no file there.

        :param most: a larger file is refused.
        :raises UnsafePath: when it is too large, or cannot be read.
        """
        real = self.real_path(path, stat.S_IFREG)
        return None if real is None else self.read(real, most)

    def optional_names(self, path: str, most: int = _MOST_NAMES
                       ) -> list[str]:
        """Sorted names in a directory that the system can do without.

        :param most: a directory with more entries is refused.
        :raises UnsafePath: when there are too many, or they cannot be read.
        """
        real = self.real_path(path, stat.S_IFDIR)
        return [] if real is None else self.names(real, most)

    def is_beneath(self, path: str) -> bool:
        """Whether the path leads there without an absolute symbolic link."""
        try:
            os.close(self._resolve(path, _RESOLVE_BENEATH))
        except (FileNotFoundError, UnsafePath):
            return False
        return True

    def is_directory(self, path: str) -> bool:
        """Whether there is such a directory.

        :raises UnsafePath: when the path leads out of the tree, or to
            anything but a directory.
        """
        with self._found(path, stat.S_IFDIR) as found:
            return found is not None

    def read(self, path: str, most: int = TEXT) -> bytes | None:
        """Bytes of a whole file; None when it does not exist.

        :param most: a larger file is refused.
        :raises UnsafePath: when the path leads out of the tree, or to
            anything but a file, or that is too large.
        """
        content = self.front(path, most + 1)
        if content is not None and len(content) > most:
            raise UnsafePath(f'/{path} of the image has more than {most} '
                             'bytes')
        return content

    def front(self, path: str, length: int) -> bytes | None:
        """First bytes of a file; None when it does not exist.

        :raises UnsafePath: when the path leads out of the tree, or to
            anything but a file.
        """
        with self._found(path, stat.S_IFREG) as found:
            if found is None:
                return None
            with _reopened(path, found) as file:
                content: bytes = _unless_refused(
                    path, _first_bytes, file, length)
        return content

    def make_directory(self, path: str) -> None:
        """Make a directory where there is none, and its parents.

        It takes the place of a symbolic link that leads nowhere.

        :raises UnsafePath: when there is anything else.
        """
        directory = ''
        for name in path.split('/'):
            parent, directory = directory, f'{directory}/{name}'.lstrip('/')
            if self.is_directory(directory):
                continue
            with self._directory(parent) as descriptor:
                mode = _mode(name, descriptor)
                if mode is not None and stat.S_ISLNK(mode):
                    _unless_refused(directory, os.unlink, name,
                                    dir_fd=descriptor)
                _unless_refused(directory, os.mkdir, name, 0o755,
                                dir_fd=descriptor)

    def write(self, path: str, content: bytes) -> None:
        """Make a file of these bytes, as :meth:`copy` does."""
        self.copy(path, [content])

    def copy(self, path: str, blocks: Iterable[bytes]) -> None:
        """Make a file, fill one anew, or take the place of a symbolic link.

        A file that is there keeps its owner, permissions and labels.

        :raises UnsafePath: when its directory is not in the tree, what is
            there is neither a file nor a link, or there is no room.
        """
        parent, name = os.path.split(path)
        with self._directory(parent) as directory:
            mode = _mode(name, directory)
            if mode is not None and stat.S_ISLNK(mode):
                _unless_refused(path, os.unlink, name, dir_fd=directory)
                mode = None
            if mode is not None and not stat.S_ISREG(mode):
                raise _wrong_kind(path, stat.S_IFREG, mode)
            # Nobody else is in the file system: what was seen stays.
            file: int = _unless_refused(
                path, os.open, name, os.O_WRONLY | os.O_NOFOLLOW
                | (os.O_CREAT | os.O_EXCL if mode is None else os.O_TRUNC),
                _PERMISSIONS, dir_fd=directory)
            with open(file, 'wb', buffering=0) as writer:
                for block in blocks:
                    view = memoryview(block)
                    while view:
                        view = view[_unless_refused(
                            path, writer.write, view):]
                # Only now it is known to be on the disk.
                _unless_refused(path, os.fsync, writer.fileno())

    @contextlib.contextmanager
    def _directory(self, path: str) -> Iterator[int]:
        with self._found(path or '.', stat.S_IFDIR) as found:
            if found is None:
                raise UnsafePath(f'the image has no directory /{path}')
            yield found

    @contextlib.contextmanager
    def _found(self, path: str, kind: int) -> Iterator[int | None]:
        """A descriptor that names a file and does not open it."""
        try:
            found = self._resolve(path)
        except FileNotFoundError:
            yield None
            return
        try:
            mode = os.fstat(found).st_mode
            if stat.S_IFMT(mode) != kind:
                raise _wrong_kind(path, kind, mode)
            yield found
        finally:
            os.close(found)

    def _resolve(self, path: str, scope: int = _RESOLVE_IN_ROOT) -> int:
        how = _How(os.O_PATH | os.O_CLOEXEC, 0,
                   scope | _RESOLVE_NO_MAGICLINKS | _RESOLVE_NO_XDEV)
        libc = ctypes.CDLL(None, use_errno=True)
        for _ in range(_TRIES):
            descriptor: int = libc.syscall(
                ctypes.c_long(_OPENAT2), ctypes.c_int(self._top),
                ctypes.c_char_p(os.fsencode(path)), ctypes.byref(how),
                ctypes.c_size_t(ctypes.sizeof(how)))
            if descriptor >= 0:
                return descriptor
            number = ctypes.get_errno()
            if number != errno.EAGAIN:
                break
        if number == errno.EXDEV:
            raise UnsafePath(
                f'/{path} of the image leads to the outside of the image: '
                'expected a path without mount points')
        if number == errno.ENOSYS:
            raise errors.DeploymentError(
                'The kernel of the deploy ramdisk does not know openat2: '
                'expected Linux 5.6 or later. Build the ramdisk with a newer '
                'kernel.')
        if number == errno.ENOENT:
            raise FileNotFoundError(number, os.strerror(number), path)
        raise UnsafePath(f'/{path} of the image cannot be opened: '
                         f'{os.strerror(number)}')


@contextlib.contextmanager
def _reopened(path: str, found: int, flags: int = 0) -> Iterator[int]:
    """Open what is known to be a file or a directory."""
    descriptor: int = _unless_refused(
        path, os.open, f'/proc/self/fd/{found}',
        os.O_RDONLY | os.O_NOCTTY | flags)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _first_names(directory: int, most: int) -> list[str]:
    with os.scandir(directory) as entries:
        return [entry.name for entry in itertools.islice(entries, most)]


def _first_bytes(file: int, most: int) -> bytes:
    with open(file, 'rb', buffering=0, closefd=False) as reader:
        return b''.join(_blocks(reader, most))


def _blocks(reader: typing.BinaryIO, most: int) -> Iterator[bytes]:
    while most > 0 and (block := reader.read(min(most, _BLOCK))):
        most -= len(block)
        yield block


def _mode(name: str, directory: int) -> int | None:
    try:
        return os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return None


def _unless_refused(path: str, call: typing.Any, *arguments: typing.Any,
                    **named: typing.Any) -> typing.Any:
    """Call the system; an error of it names the path in the image."""
    try:
        return call(*arguments, **named)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UnsafePath(f'/{path} of the image: {error.strerror}') from error


def _wrong_kind(path: str, kind: int, mode: int) -> UnsafePath:
    found = stat.S_IFMT(mode)
    return UnsafePath(f'/{path} of the image: expected {_KINDS[kind]}, '
                      f'found {_KINDS.get(found, "something else")}')
