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

The faster codecs come with the ``fast`` extra: libdeflate and isal instead of
zlib, and zstd, for which Python before 3.14 has no module of its own. The
fastest ones take only what is usual; what they refuse is decoded again by
the others, whose verdict counts.
"""

from array import array
from collections.abc import Callable
from collections.abc import Sequence
import itertools
import lzma
import sys
import typing
import zlib

_deflate: typing.Any
_zlib: typing.Any
_zstandard: typing.Any
_zstd: typing.Any
try:
    import deflate as _deflate
except ImportError:
    _deflate = None
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
try:
    import zstandard as _zstandard
except ImportError:
    _zstandard = None

#: Bytes for the dictionary of xz at most: that of ``xz -9``; and for the
#: window of zstd, which comes with buffers: that of ``zstd --ultra -20``.
XZ_DICTIONARY = 64 << 20
ZSTD_WINDOW = 32 << 20
#: The same for a single cluster: that of ``zstd -19``.
CLUSTER_WINDOW = 8 << 20
_GZIP = b'\x1f\x8b'
#: isal does not mind them.
_RESERVED_FLAGS = 0xe0
#: Bytes of a gzip header that are waited for.
_MOST_HEADER = 1 << 20
#: What an xz decoder takes beside its dictionary.
_XZ_EXTRA = 1 << 20

#: Frames in a cluster at most: each costs a copy of what follows it.
_FRAMES = 256

Stored = bytes | bytearray | memoryview
Decoded = bytes | bytearray | memoryview
Decoder = Callable[[Stored, int], Decoded]


class DecodeError(Exception):
    """The stored bytes are no stream of the expected kind and size."""


#: What the decoders of parts of a packed file raise.
PART_ERRORS: tuple[type[Exception], ...] = (
    DecodeError, zlib.error, _zlib.error, lzma.LZMAError, OSError,
    *((_zstd.ZstdError,) if _zstd else ()))

def inflate(stored: Stored, size: int) -> Decoded:
    """Decode a raw deflate stream (RFC 1951).

    :param stored: the stream; bytes after its end are ignored.
    :param size: bytes that it must decode to; more are not decoded.
    :raises DecodeError: when it is damaged or decodes to less.
    """
    if _deflate:
        try:
            decoded: Decoded = _deflate.deflate_decompress(stored, size)
        except _deflate.DeflateError:
            pass
        else:
            if len(decoded) == size:
                return decoded
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
        decoder = _zstd_decoder(CLUSTER_WINDOW)
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


def unzstd_frames(clusters: Sequence[Stored], size: int
                  ) -> list[Decoded] | None:
    """Decode clusters at once, each as :func:`unzstd` does.

    :param size: bytes that each must decode to.
    :returns: None when one is not a usual frame, or there is no codec that
        takes several: :func:`unzstd` tells what it is.
    """
    # It divides by the number of clusters.
    if not clusters or not _zstandard or (
            'multi_decompress_to_buffer' not in _zstandard.backend_features):
        return None
    sizes = array('Q', itertools.repeat(size, len(clusters)))
    try:
        # Its decoders do not bound the window.
        if any(_zstandard.get_frame_parameters(stored).window_size
               > CLUSTER_WINDOW for stored in clusters):
            return None
        decoded = _zstandard.ZstdDecompressor().multi_decompress_to_buffer(
            list(clusters), decompressed_sizes=sizes.tobytes(), threads=1)
    except _zstandard.ZstdError:
        return None
    return [memoryview(cluster) for cluster in decoded]


class GzipMember:
    """Decodes one member of gzip, by the methods that lzma's object has."""

    def __init__(self) -> None:
        self._inner = _zlib.decompressobj(zlib.MAX_WBITS | 16)
        self._header: bytes | None = b''
        self._tail = b''
        self._full = False

    @property
    def eof(self) -> bool:
        """The member is complete, and its CRC right."""
        return bool(self._inner.eof)

    @property
    def needs_input(self) -> bool:
        """Nothing more comes without more of the file."""
        return not (self._tail or self._full)

    @property
    def unused_data(self) -> bytes:
        """What follows the member."""
        return bytes(self._inner.unused_data)

    def decompress(self, data: Stored, max_length: int) -> bytes:
        """Up to that many bytes.

        :param data: stored bytes; none while no input is needed.
        """
        if self._header is not None:
            # isal takes some headers for damaged that come in two parts.
            self._header += data
            if not _has_header(self._header):
                return b''
            data, self._header = self._header, None
        piece: bytes = self._inner.decompress(self._tail or data, max_length)
        self._tail = self._inner.unconsumed_tail
        self._full = len(piece) == max_length
        return piece


def _has_header(stored: bytes) -> bool:
    """Whether no part of the header is missing (RFC 1952, section 2.3)."""
    if not _GZIP.startswith(stored[:2]):
        raise DecodeError('no header of gzip')
    if len(stored) > _MOST_HEADER:
        return True
    if len(stored) < 12:
        return False
    flags, end = stored[3], 10
    if flags & _RESERVED_FLAGS:
        raise DecodeError(f'unknown flags {flags:#04x} in a gzip header')
    if flags & 4:
        end += 2 + int.from_bytes(stored[10:12], 'little')
    for _ in range((flags & 24).bit_count()):
        end = stored.find(b'\0', end) + 1
        if not end:
            return False
    return len(stored) >= end + (flags & 2)


def xz_stream() -> lzma.LZMADecompressor:
    """A decoder of one stream of xz."""
    return lzma.LZMADecompressor(
        lzma.FORMAT_XZ, memlimit=XZ_DICTIONARY + _XZ_EXTRA)


def zstd_frame() -> typing.Any:
    """A decoder of one frame of zstd (RFC 8878)."""
    return _zstd_decoder(ZSTD_WINDOW)


def zstd_available() -> bool:
    """Whether this Python can decode zstd."""
    return _zstd is not None


def _zstd_decoder(window: int) -> typing.Any:
    return _zstd.ZstdDecompressor(options={
        _zstd.DecompressionParameter.window_log_max: window.bit_length() - 1})


def _inflate(stored: Stored, limit: int, wbits: int) -> bytes:
    try:
        decoded: bytes = _zlib.decompressobj(wbits).decompress(stored, limit)
    except (zlib.error, _zlib.error) as error:
        raise DecodeError(str(error)) from error
    return decoded
