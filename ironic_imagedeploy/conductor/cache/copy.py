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

"""Reading of an image once: into its manifest, and into a sparse file."""

import os
import typing

from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import manifest_builder

_CHUNK = 1 << 20
#: Bytes of zeroes that are left out of a file: a multiple of every file
#: system's block, and of 16 reads of a disk's cache.
_BLOCK = 64 << 10
_ZEROES = bytes(_BLOCK)


def copy(stream: engine.VerifiedStream, size: int, *,
         builder: manifest_builder.Builder | None = None,
         file: typing.BinaryIO | None = None) -> None:
    """Read a stream to its end.

    :param size: bytes that it should have; another end is an error of its
        own.
    :param builder: of the manifest.
    :param file: empty; gets the bytes, and holes where they are zero.
    """
    buffer = bytearray(_CHUNK)
    with memoryview(buffer) as view:
        left = size
        while count := _fill(stream, view):
            if builder:
                builder.update(view[:min(count, left)])
            left = max(0, left - count)
            if file:
                _write(file, buffer, count)
        if file:
            file.truncate()


def _fill(stream: engine.VerifiedStream, view: memoryview) -> int:
    """Fill a buffer as far as the stream goes, so that blocks are aligned."""
    filled = 0
    while filled < len(view) and (
            count := stream.readinto(view[filled:])):
        filled += count
    return filled


def _write(file: typing.BinaryIO, buffer: bytearray, count: int) -> None:
    """Write the front of a buffer, and no block of zeroes."""
    with memoryview(buffer)[:count] as view:
        start = 0
        for position in range(0, count, _BLOCK):
            if buffer.startswith(_ZEROES, position, count):
                file.write(view[start:position])
                file.seek(_BLOCK, os.SEEK_CUR)
                start = position + _BLOCK
        if start < count:
            file.write(view[start:])
