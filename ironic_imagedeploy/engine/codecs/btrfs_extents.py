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

"""Decoders of the compressed extents of btrfs, with bounded output.

What an extent decodes to may be shorter than its file says: the rest of a
last block is not stored, and zeroes.
"""

from collections.abc import Callable
import zlib

from ironic_imagedeploy.engine.codecs import errors
from ironic_imagedeploy.engine.codecs import libraries
from ironic_imagedeploy.engine.codecs import lzo

#: Of bytes that an extent decodes to (BTRFS_MAX_UNCOMPRESSED).
LARGEST = 128 << 10
_WINDOW = LARGEST
_WORD = 4
#: Of the other compressions, whose libraries are fast.
_STEPS = 512
_NAMES = {1: 'zlib', 2: 'lzo', 3: 'zstd'}


def decode(compression: int, stored: bytes, size: int, sector_size: int
           ) -> bytes:
    """Decode an extent.

    :param compression: as the item of the extent states it.
    :param stored: the extent; bytes after the end of the stream are ignored.
    :param size: bytes that the file has there; of more, the rest is dropped.
    :param sector_size: bytes in a sector of the file system.
    :raises DecodeError: when it is damaged, or there is no decoder.
    """
    name = _NAMES.get(compression)
    if name is None or size > LARGEST:
        raise errors.DecodeError(f'compression {compression} of {size} bytes')
    decoder: dict[str, Callable[[], bytes]] = {
        'zlib': lambda: _zlib(stored, size),
        'lzo': lambda: _lzo(stored, size, sector_size),
        'zstd': lambda: _zstd(stored, size)}
    return decoder[name]()[:size].ljust(size, b'\0')


def steps(compression: int, length: int) -> int:
    """Steps of a budget that decoding so many bytes takes.

    An instruction of LZO has a byte or more, and takes a microsecond.
    """
    return length if _NAMES.get(compression) == 'lzo' else _STEPS


def _zlib(stored: bytes, size: int) -> bytes:
    try:
        return zlib.decompressobj().decompress(stored, size)
    except zlib.error as error:
        raise errors.DecodeError(str(error)) from error


def _zstd(stored: bytes, size: int) -> bytes:
    if not libraries.zstd_available():
        raise errors.DecodeError('zstd, for which there is no decoder here')
    try:
        decoded: bytes = libraries.zstd_frame(_WINDOW).decompress(stored, size)
    except libraries.zstd.ZstdError as error:
        raise errors.DecodeError(str(error)) from error
    return decoded


def _lzo(stored: bytes, size: int, sector_size: int) -> bytes:
    """Segments of a sector each, after the length of all and of each.

    No length crosses the end of a sector.
    """
    total = int.from_bytes(stored[:_WORD], 'little')
    at, end = _WORD, min(total, len(stored))
    decoded = b''
    while at < end and len(decoded) < size:
        if sector_size - at % sector_size < _WORD:
            at += sector_size - at % sector_size
        length = int.from_bytes(stored[at:at + _WORD], 'little')
        at += _WORD
        if not 0 < length <= end - at:
            raise errors.DecodeError('a segment after the end of the extent')
        decoded += lzo.decompress(stored[at:at + length], sector_size)
        at += length
    return decoded
