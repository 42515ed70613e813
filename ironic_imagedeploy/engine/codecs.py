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

"""Decoders of single compressed clusters, with bounded output.

The faster codecs come with the ``fast`` extra: isal instead of zlib, and
zstd, for which Python before 3.14 has no module of its own.
"""

from collections.abc import Callable
import sys
import typing
import zlib

_zlib: typing.Any
_zstd: typing.Any
try:
    from isal import isal_zlib as _zlib
except ImportError:
    _zlib = zlib
try:
    if sys.version_info >= (3, 14):
        from compression import zstd as _zstd
    else:
        from backports import zstd as _zstd
except ImportError:
    _zstd = None

#: Frames in a cluster at most: each costs a copy of what follows it.
_FRAMES = 256

Stored = bytes | bytearray | memoryview
Decoder = Callable[[Stored, int], bytes]


class DecodeError(Exception):
    """The stored bytes are no stream of the expected kind and size."""


def inflate(stored: Stored, size: int) -> bytes:
    """Decode a raw deflate stream (RFC 1951).

    :param stored: the stream; bytes after its end are ignored.
    :param size: bytes that it must decode to; more are not decoded.
    :raises DecodeError: when it is damaged or decodes to less.
    """
    decoded = _inflate(stored, size, -zlib.MAX_WBITS)
    if len(decoded) != size:
        raise DecodeError(f'the stream ends after {len(decoded)} bytes')
    return decoded


def unzip(stored: Stored, limit: int) -> bytes:
    """Decode a zlib stream (RFC 1950).

    :param limit: bytes that it may decode to; more are not decoded.
    :raises DecodeError: when it is damaged.
    """
    return _inflate(stored, limit, zlib.MAX_WBITS)


def deflate_bound(size: int) -> int:
    """The most that a zlib stream of that many bytes may take.

    As ``compressBound`` of zlib, and some slack for other writers.
    """
    return size + (size >> 8) + 1024


def unzstd(stored: Stored, size: int) -> bytes:
    """Decode one or more zstd frames (RFC 8878).

    :param stored: the frames; bytes after the needed output are ignored.
    :param size: bytes that they must decode to; more are not decoded.
    :raises DecodeError: when they are damaged or decode to less.
    """
    decoded: bytes = b''
    for _ in range(_FRAMES):
        decoder = _zstd.ZstdDecompressor()
        try:
            part = decoder.decompress(stored, size - len(decoded))
        except _zstd.ZstdError as error:
            raise DecodeError(str(error)) from error
        decoded = decoded + part if decoded else part
        if len(decoded) == size:
            return decoded
        stored = decoder.unused_data
        if not decoder.eof or not stored:
            raise DecodeError(f'the stream ends after {len(decoded)} bytes')
    raise DecodeError(f'more than {_FRAMES} frames')


def zstd_available() -> bool:
    """Whether this Python can decode zstd."""
    return _zstd is not None


def _inflate(stored: Stored, limit: int, wbits: int) -> bytes:
    try:
        decoded: bytes = _zlib.decompressobj(wbits).decompress(stored, limit)
    except (zlib.error, _zlib.error) as error:
        raise DecodeError(str(error)) from error
    return decoded
