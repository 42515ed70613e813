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

from concurrent import futures
import hashlib
import os
import pathlib

_PIECE = 1 << 20
_SPAN = 64
_ZERO = hashlib.sha256(bytes(_PIECE)).digest()


def of_file(path: pathlib.Path, size: int) -> str:
    """SHA-256 of the SHA-256 of each MiB; the same with and without holes.

    :param size: bytes from the start of the file.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            spans = pool.map(
                lambda start: _span(descriptor, start, size),
                range(0, size, _SPAN * _PIECE))
            total = hashlib.sha256()
            for span in spans:
                total.update(span)
    finally:
        os.close(descriptor)
    return total.hexdigest()


def next_data(descriptor: int, start: int, size: int) -> int:
    """Where the next bytes are that are not in a hole, or the size."""
    try:
        return min(os.lseek(descriptor, start, os.SEEK_DATA), size)
    except OSError:
        return size


def _span(descriptor: int, first: int, size: int) -> bytes:
    parts = []
    for start in range(first, min(first + _SPAN * _PIECE, size), _PIECE):
        length = min(_PIECE, size - start)
        if length == _PIECE and (
                next_data(descriptor, start, size) >= start + _PIECE):
            parts.append(_ZERO)
        else:
            parts.append(hashlib.sha256(
                os.pread(descriptor, length, start)).digest())
    return b''.join(parts)
