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

"""A file that is served through FUSE, as the medium of a disk.

A loop device on it is a disk for the kernel and for everybody else. What
reaches it is logged in its sequence, flushes included, and it fails as it is
told.

``python -m tests.support.faults.fuse_file PLACE BACKING LOG`` mounts it over
the file PLACE and prints a line. Then it takes lines of JSON, and answers all:
``{"rules": [...]}`` replaces the rules, ``{"mark": TEXT}`` goes into the log.
It ends when it is unmounted.

The log is a row of records: kind, offset, length and time, and then the bytes
of a write or a mark. The protocol is that of <linux/fuse.h>.
"""

import ctypes
import errno
import json
import mmap
import os
import select
import stat
import struct
import sys
import time
import typing

from tests.support.faults import rules as _rules

#: Kind of a record; W(rite), Z(ero), D(iscard), F(lush) or M(ark). Then its
#: offset, its length, and nanoseconds of a clock that all disks share.
RECORD = struct.Struct('<cQQQ')
_MIB = 1 << 20
_LIBC = ctypes.CDLL(None, use_errno=True)
_IN = struct.Struct('<IIQQIIIHH')
_OUT = struct.Struct('<IiQ')
_INIT_OUT = struct.Struct('<IIIIHHIIHHI28x')
_ATTRIBUTES = struct.Struct('<QIIQQQQQQIIIIIIIIII')
_OPEN_OUT = struct.Struct('<QII')
_TRANSFER_IN = struct.Struct('<QQIIQII')
_WRITE_OUT = struct.Struct('<II')
_FALLOCATE_IN = struct.Struct('<QQQII')
_STATFS_OUT = struct.Struct('<QQQQQIIII24x')
_DIRECT_IO = 1
# FUSE_ASYNC_READ, FUSE_BIG_WRITES, FUSE_MAX_PAGES
_FLAGS = 1 << 0 | 1 << 5 | 1 << 22
_KEEP_SIZE, _PUNCH_HOLE, _ZERO_RANGE = 1, 2, 16
_FOR_EVER = 1 << 30
#: What a disk may give for sectors that were discarded.
GARBAGE = 0xdb


class Failure(Exception):
    """An error for who asked."""


class Server:
    """One file, and its log.

    :param place: a file that it is mounted over.
    :param backing: what holds the bytes.
    :param log: is made.
    """

    def __init__(self, place: str, backing: str, log: str) -> None:
        self._backing = os.open(backing, os.O_RDWR)
        self._size = os.fstat(self._backing).st_size
        self._log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._rules: list[_rules.Rule] = []
        self._buffer = memoryview(mmap.mmap(-1, 2 * _MIB))
        self._answers = {
            3: self._attributes, 4: self._attributes, 14: self._open,
            15: self._read, 16: self._write, 17: self._file_system,
            18: self._nothing, 20: self._flush, 25: self._nothing,
            26: self._begin, 38: self._nothing, 43: self._allocate}
        self._fuse = os.open('/dev/fuse', os.O_RDWR)
        options = (f'fd={self._fuse},rootmode={stat.S_IFREG:o},user_id=0,'
                   'group_id=0,allow_other')
        if _LIBC.mount(b'faulty', place.encode(), b'fuse', 0,
                       options.encode()):
            raise OSError(ctypes.get_errno(), 'mount')

    def serve(self) -> None:
        """Answer until it is unmounted."""
        poll = select.poll()
        poll.register(self._fuse, select.POLLIN)
        poll.register(0, select.POLLIN)
        print('ready', flush=True)
        while True:
            for descriptor, _ in poll.poll():
                if descriptor == self._fuse:
                    if not self._request():
                        return
                elif line := sys.stdin.readline():
                    self._order(json.loads(line))
                    print('ok', flush=True)
                else:
                    poll.unregister(0)

    def _order(self, order: dict[str, typing.Any]) -> None:
        if 'rules' in order:
            self._rules = [_rules.Rule(**rule) for rule in order['rules']]
        if 'mark' in order:
            text = order['mark'].encode()
            self._note(b'M', 0, len(text), text)

    def _request(self) -> bool:
        """Answer one request; False when there will be no more."""
        try:
            count = os.readv(self._fuse, [self._buffer])
        except OSError as error:
            if error.errno == errno.ENODEV:
                return False
            if error.errno in (errno.ENOENT, errno.EINTR, errno.EAGAIN):
                return True
            raise
        _, code, unique, *_ = _IN.unpack_from(self._buffer)
        if code in (2, 36, 42):
            # Forgotten inodes and interrupts take no answer.
            return True
        body = self._buffer[_IN.size:count]
        failed, content = 0, b''
        try:
            if answer := self._answers.get(code):
                content = answer(body)
            else:
                failed = errno.ENOSYS
        except Failure as failure:
            failed = failure.args[0]
        try:
            os.writev(self._fuse, [_OUT.pack(
                _OUT.size + len(content), -failed, unique), content])
        except OSError as error:
            # Who asked is gone.
            if error.errno not in (errno.ENOENT, errno.ENODEV):
                raise
        return True

    def _begin(self, body: memoryview) -> bytes:
        major, minor, ahead, flags = struct.unpack_from('<IIII', body)
        return _INIT_OUT.pack(major, min(minor, 31), ahead, flags & _FLAGS,
                              64, 48, _MIB, 1, _MIB // mmap.PAGESIZE, 0, 0)

    def _attributes(self, body: memoryview) -> bytes:
        return _ATTRIBUTES.pack(
            _FOR_EVER, 0, 0, 1, self._size, self._size // 512, 0, 0, 0, 0, 0,
            0, stat.S_IFREG | 0o600, 1, 0, 0, 0, 4096, 0)

    def _open(self, body: memoryview) -> bytes:
        return _OPEN_OUT.pack(1, _DIRECT_IO, 0)

    def _nothing(self, body: memoryview) -> bytes:
        return b''

    def _file_system(self, body: memoryview) -> bytes:
        blocks = self._size // 4096
        return _STATFS_OUT.pack(blocks, 0, 0, 1, 0, 4096, 255, 4096, 0)

    def _read(self, body: memoryview) -> bytes:
        _, start, size, *_ = _TRANSFER_IN.unpack_from(body)
        size = max(min(size, self._size - start), 0)
        rule = self._rule('read', start, size)
        content = bytearray(os.pread(self._backing, size, start))
        if rule and rule.do == 'corrupt':
            content[rule.at(start)] ^= 0x10
        return bytes(content)

    def _write(self, body: memoryview) -> bytes:
        _, start, size, *_ = _TRANSFER_IN.unpack_from(body)
        content = body[_TRANSFER_IN.size:_TRANSFER_IN.size + size]
        done = size
        rule = self._rule('write', start, size, content)
        if rule and rule.do == 'lose':
            return _WRITE_OUT.pack(size, 0)
        if rule and rule.do == 'corrupt':
            content = memoryview(bytearray(content))
            content[rule.at(start)] ^= 0x10
        if rule and rule.do == 'short':
            done = max(size // 2 // 512 * 512, min(512, size))
        self._put(start, content[:done])
        return _WRITE_OUT.pack(done, 0)

    def _put(self, start: int, content: memoryview) -> None:
        os.pwrite(self._backing, content, start)
        self._note(b'W', start, len(content), content)

    def _flush(self, body: memoryview) -> bytes:
        rule = self._rule('flush', 0, 0)
        if not (rule and rule.do == 'lose'):
            self._note(b'F', 0, 0)
        return b''

    def _allocate(self, body: memoryview) -> bytes:
        _, start, length, mode, _ = _FALLOCATE_IN.unpack_from(body)
        if not mode & (_PUNCH_HOLE | _ZERO_RANGE):
            raise Failure(errno.EOPNOTSUPP)
        kind = 'zero' if mode & _ZERO_RANGE else 'discard'
        rule = self._rule(kind, start, length)
        if rule and rule.do == 'lose':
            return b''
        if rule and rule.do == 'garbage':
            for at in range(start, start + length, _MIB):
                self._put(at, memoryview(bytes([GARBAGE]) * min(
                    _MIB, start + length - at)))
            return b''
        if _LIBC.fallocate(self._backing, _PUNCH_HOLE | _KEEP_SIZE,
                           ctypes.c_int64(start), ctypes.c_int64(length)):
            raise Failure(ctypes.get_errno())
        self._note(b'Z' if kind == 'zero' else b'D', start, length)
        return b''

    def _rule(self, kind: str, start: int, length: int,
              content: memoryview | None = None) -> _rules.Rule | None:
        """The rule for a request, if any; a failure is raised."""
        for rule in self._rules:
            if not rule.applies(kind, start, length):
                continue
            time.sleep(rule.seconds)
            if rule.do != 'fail':
                return rule
            # What lies before the bad sector is written, as on a disk.
            before = max(rule.start // 512 * 512 - start, 0)
            if content is not None and before < length:
                self._put(start, content[:before])
            raise Failure(getattr(errno, rule.error))
        return None

    def _note(self, kind: bytes, start: int, length: int,
              content: bytes | memoryview = b'') -> None:
        os.writev(self._log, [RECORD.pack(
            kind, start, length, time.monotonic_ns()), content])


if __name__ == '__main__':
    Server(*sys.argv[1:]).serve()
