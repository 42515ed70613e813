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

"""The disk in an image, as a file that a program reads before it is written.

The kernel asks for what the program reads (FUSE): nothing is copied, and no
more comes from the image's server. Numbers are those of linux/fuse.h, version
7.19 of the protocol, which each kernel since 3.5 speaks.
"""

from collections.abc import Iterator
from concurrent import futures
import contextlib
import ctypes
import enum
import errno
import os
import select
import stat
import struct
import tempfile

from ironic_imagedeploy.agent import commands
from ironic_imagedeploy import engine
from ironic_imagedeploy.engine.contents import read as _read

_DEVICE = '/dev/fuse'
#: Directory that everybody may look into.
_PLACE = '/run'
_VERSION = 7, 19
_MODE = stat.S_IFREG | 0o444
#: Bytes of an answer at most, and of a request, which writes nothing.
_MOST_BYTES = 128 << 10
_MOST_WRITTEN = 4096
_LARGEST = _MOST_BYTES + 4096
#: Milliseconds between two looks at the program.
_INTERVAL = 50
#: Seconds that attributes are valid.
_VALID = 3600
_READ_ONLY = 0x1 | 0x2 | 0x4 | 0x8
_DETACH = 0x2

# struct fuse_in_header, fuse_out_header, fuse_init_out, fuse_attr_out,
# fuse_open_out, and what counts of fuse_read_in
_REQUEST = struct.Struct('=IIQQIIIHH')
_ANSWER = struct.Struct('=IiQ')
_INIT_OUT = struct.Struct('=IIIIHHI')
_ATTR_OUT = struct.Struct('=QII6Q10I')
_OPEN_OUT = struct.Struct('=QII')
_READ_IN = struct.Struct('=QQI')


class _Request(enum.IntEnum):
    """enum fuse_opcode"""

    FORGET = 2
    GETATTR = 3
    OPEN = 14
    READ = 15
    RELEASE = 18
    INIT = 26
    INTERRUPT = 36
    BATCH_FORGET = 42


#: Requests that nobody waits for.
_SILENT = frozenset((_Request.FORGET, _Request.INTERRUPT,
                     _Request.BATCH_FORGET))


class DiskFile:
    """A file that holds the bytes of a disk.

    :param path: of the file.
    :param fuse: descriptor that requests come by.
    :param read: gives bytes of the disk.
    :param size: bytes of the disk.
    :ivar error: why bytes could not be read, if so; the program found an
        error of the device instead.
    """

    def __init__(self, path: str, fuse: int, read: _read.Read, size: int
                 ) -> None:
        self.path = path
        self.error: Exception | None = None
        self._fuse: int | None = fuse
        self._read = read
        self._size = size

    def run(self, *command: str) -> str:
        """Run a program that reads the file, and give what it printed.

        :raises DeploymentError: when it fails.
        """
        with futures.ThreadPoolExecutor(1) as pool:
            running = pool.submit(commands.run, *command)
            try:
                while not running.done():
                    self._serve()
            except BaseException:
                # Nobody would answer the program any more.
                self.close()
                raise
            return running.result()

    def close(self) -> None:
        """Let all who read the file fail."""
        if self._fuse is not None:
            os.close(self._fuse)
            self._fuse = None

    def _serve(self) -> None:
        assert self._fuse is not None
        poll = select.poll()
        poll.register(self._fuse, select.POLLIN)
        if not poll.poll(_INTERVAL):
            return
        try:
            request = os.read(self._fuse, _LARGEST)
        except OSError as error:
            # It was interrupted meanwhile.
            if error.errno in (errno.ENOENT, errno.EAGAIN, errno.EINTR):
                return
            raise
        _, code, number, *_ = _REQUEST.unpack_from(request)
        if code in _SILENT:
            return
        failure, answer = self._answer(code, request[_REQUEST.size:])
        with contextlib.suppress(FileNotFoundError):
            os.write(self._fuse, _ANSWER.pack(
                _ANSWER.size + len(answer), -failure, number) + answer)

    def _answer(self, code: int, request: bytes) -> tuple[int, bytes]:
        """Number of an error, or 0, and what the kernel asked for."""
        match code:
            case _Request.INIT:
                return 0, _INIT_OUT.pack(*_VERSION, 0, 0, 1, 1, _MOST_WRITTEN)
            case _Request.GETATTR:
                return 0, _ATTR_OUT.pack(
                    _VALID, 0, 0, 1, self._size, -(-self._size // 512),
                    0, 0, 0, 0, 0, 0, _MODE, 1, 0, 0, 0, 4096, 0)
            case _Request.OPEN:
                return 0, _OPEN_OUT.pack(0, 0, 0)
            case _Request.READ:
                return self._bytes(*_READ_IN.unpack_from(request)[1:])
            case _Request.RELEASE:
                return 0, b''
        return errno.ENOSYS, b''

    def _bytes(self, offset: int, length: int) -> tuple[int, bytes]:
        if offset >= self._size:
            return 0, b''
        try:
            return 0, self._read(offset, min(
                length, _MOST_BYTES, self._size - offset))
        except engine.exceptions.ImageDeployError as error:
            self.error = self.error or error
            return errno.EIO, b''


@contextlib.contextmanager
def mounted(read: _read.Read, size: int) -> Iterator[DiskFile]:
    """A file with the bytes of a disk, which everybody may read.

    :param read: gives bytes of the disk; called by this thread.
    :param size: bytes of the disk.
    :raises OSError: when this kernel has no FUSE.
    """
    with tempfile.TemporaryDirectory(prefix='imagedeploy-', dir=_PLACE
                                     ) as folder:
        os.chmod(folder, 0o711)  # nosec B103 (it has this one file)
        path = f'{folder}/disk'
        with open(path, 'wb'):
            pass
        fuse = os.open(_DEVICE, os.O_RDWR | os.O_NONBLOCK)
        file = DiskFile(path, fuse, read, size)
        try:
            _call('mount', b'imagedeploy', path.encode(), b'fuse',
                  ctypes.c_ulong(_READ_ONLY),
                  f'fd={fuse},rootmode={_MODE:o},user_id=0,group_id=0,'
                  f'allow_other,max_read={_MOST_BYTES}'.encode())
            try:
                yield file
            finally:
                # Nobody waits for what is not answered any more.
                file.close()
                _call('umount2', path.encode(), ctypes.c_int(_DETACH))
        finally:
            file.close()


def _call(name: str, *arguments: object) -> None:
    """Call a function of the C library.

    :raises OSError: when it fails.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
