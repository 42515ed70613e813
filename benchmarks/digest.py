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

"""A digest of a disk that is quick over holes."""

from collections.abc import Iterator
from concurrent import futures
import hashlib
import mmap
import os
import pathlib

from ironic_imagedeploy.engine import memory

_PIECE = 1 << 20
_SPAN = 64
_READERS = 4
_ZERO = hashlib.sha256(bytes(_PIECE)).digest()


def of_file(path: pathlib.Path, size: int) -> str:
    """As :func:`of`, of a file with that path."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return of(descriptor, size)
    finally:
        os.close(descriptor)


def of(descriptor: int, size: int) -> str:
    """SHA-256 of the SHA-256 of each MiB; the same with and without holes.

    :param descriptor: of a file; it may be open for direct I/O.
    :param size: bytes from the start of the file.
    """
    with futures.ThreadPoolExecutor(_READERS) as pool:
        spans = pool.map(lambda start: _span(descriptor, start, size),
                         range(0, size, _SPAN * _PIECE))
        total = hashlib.sha256()
        for span in spans:
            total.update(span)
    return total.hexdigest()


def data(descriptor: int, size: int) -> Iterator[tuple[int, int]]:
    """Start and length of what is not in a hole."""
    end = 0
    while (start := _next_data(descriptor, end, size)) < size:
        end = os.lseek(descriptor, start, os.SEEK_HOLE)
        yield start, min(end, size) - start


def _next_data(descriptor: int, start: int, size: int) -> int:
    """Where the next bytes are that are not in a hole, or the size."""
    try:
        return min(os.lseek(descriptor, start, os.SEEK_DATA), size)
    except OSError:
        return size


def _span(descriptor: int, first: int, size: int) -> bytes:
    parts = []
    piece = memoryview(mmap.mmap(-1, _PIECE))
    for start in range(first, min(first + _SPAN * _PIECE, size), _PIECE):
        length = min(_PIECE, size - start)
        if length == _PIECE and (
                _next_data(descriptor, start, size) >= start + _PIECE):
            parts.append(_ZERO)
            continue
        if os.preadv(descriptor, [piece[:length]], start) != length:
            raise RuntimeError(f'short read at byte {start}')
        parts.append(_ZERO if length == _PIECE and memory.is_zero(piece)
                     else hashlib.sha256(piece[:length]).digest())
    return b''.join(parts)
