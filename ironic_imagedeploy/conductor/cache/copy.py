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
from ironic_imagedeploy.engine import memory

_CHUNK = 1 << 20
#: Bytes of zeroes that are left out of a file: a multiple of every file
#: system's block, and many of most: fewer holes are read faster.
_BLOCK = 64 << 10


def copy(stream: engine.VerifiedStream, *,
         builder: manifest_builder.Builder | None = None,
         file: typing.BinaryIO | None = None) -> None:
    """Read a stream to its end.

    A stream that is longer than it should be raises its own error there.

    :param builder: of the manifest.
    :param file: empty; gets the bytes, and holes where they are zero.
    """
    buffer = memoryview(bytearray(_CHUNK))
    while True:
        room = builder.room if builder else buffer[:0]
        view = room or buffer
        count = _fill(stream, view)
        if not count:
            break
        if file:
            _write(file, view[:count])
        if builder and room:
            builder.advance(count)
    if file:
        file.truncate()


def _fill(stream: engine.VerifiedStream, view: memoryview) -> int:
    """Fill a buffer as far as the stream goes, so that blocks are aligned."""
    filled = 0
    while filled < len(view) and (
            count := stream.readinto(view[filled:])):
        filled += count
    return filled


def _write(file: typing.BinaryIO, view: memoryview) -> None:
    """Write what is not zero, and go on after it."""
    start = 0
    for position in range(0, len(view), _BLOCK):
        block = view[position:position + _BLOCK]
        if len(block) == _BLOCK and memory.is_zero(block):
            file.write(view[start:position])
            file.seek(_BLOCK, os.SEEK_CUR)
            start = position + _BLOCK
    file.write(view[start:])
