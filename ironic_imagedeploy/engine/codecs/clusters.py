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

The fastest ones take only what is usual; what they refuse is decoded again
by the others, whose verdict counts.
"""

from collections.abc import Callable
from collections.abc import Sequence
import threading
import typing
import zlib

from ironic_imagedeploy.engine.codecs import errors
from ironic_imagedeploy.engine.codecs import libraries

#: Bytes of the window of zstd: that of ``zstd -19``. Each thread has one.
WINDOW = 8 << 20
#: Frames in a cluster at most: each costs a copy of what follows it.
_FRAMES = 256
#: What decodes whole frames in a thread: it takes one at a time.
_THREAD = threading.local()

Stored = libraries.Stored
Decoded = bytes | bytearray | memoryview
Decoder = Callable[[Stored, int], Decoded]


def inflate(stored: Stored, size: int) -> Decoded:
    """Decode a raw deflate stream (RFC 1951).

    :param stored: the stream; bytes after its end are ignored.
    :param size: bytes that it must decode to.
    :raises DecodeError: when it is damaged, or decodes to less or more.
    """
    if libraries.deflate:
        try:
            decoded: Decoded = libraries.deflate.deflate_decompress(
                stored, size)
        except libraries.deflate.DeflateError:
            pass
        else:
            if len(decoded) == size:
                return decoded
    decoded = _inflate(stored, size, -zlib.MAX_WBITS)
    if len(decoded) != size:
        raise _too_short(decoded)
    return decoded


def inflate_zlib(stored: Stored, limit: int) -> bytes:
    """Decode a zlib stream (RFC 1950).

    :param limit: bytes that it may decode to.
    :raises DecodeError: when it is damaged, or decodes to more.
    """
    return _inflate(stored, limit, zlib.MAX_WBITS)


def deflate_bound(size: int) -> int:
    """Bytes that a zlib stream takes at most for so many decoded ones.

    As ``compressBound`` of zlib, and some slack for other writers.
    """
    return size + (size >> 8) + 1024


def unzstd(stored: Stored, size: int) -> bytes:
    """Decode one or more zstd frames (RFC 8878).

    :param stored: the frames; bytes after the last needed one are ignored.
    :param size: bytes that they must decode to.
    :raises DecodeError: when they are damaged, or decode to less or more.
    """
    decoded = _unzstd_frame(stored, size) if libraries.zstandard else None
    return _unzstd(stored, size) if decoded is None else decoded


def unzstd_together(stored: Sequence[Stored], size: int
                    ) -> Sequence[Decoded] | None:
    """Decode many frames by one call, which lets other threads run once.

    :param stored: the frames, each as :func:`unzstd` takes it.
    :param size: bytes that each of them must decode to.
    :returns: None when one of them is not as QEMU writes it, or is damaged.
    """
    # Of no frames at all zstandard makes a division by zero.
    if not libraries.zstandard or not stored:
        return None
    try:
        if not all(_is_usual(frame, size) for frame in stored):
            return None
        decoded = _frame_decoder().multi_decompress_to_buffer(list(stored))
    except libraries.zstandard.ZstdError:
        return None
    return [memoryview(cluster) for cluster in decoded]


def _unzstd_frame(stored: Stored, size: int) -> bytes | None:
    """The bytes of one frame; None for an unusual one, and a damaged one."""
    try:
        if not _is_usual(stored, size):
            return None
        decoded: bytes = _frame_decoder().decompress(stored)
    except libraries.zstandard.ZstdError:
        return None
    return decoded


def _is_usual(stored: Stored, size: int) -> bool:
    """Whether a frame has a header as QEMU writes it.

    Such a frame tells its size, by which memory is allocated. Its window has
    all of it: decoders differ for what refers to bytes outside of it.
    """
    frame = libraries.zstandard.get_frame_parameters(stored)
    return bool(frame.content_size == size
                and size <= frame.window_size <= WINDOW)


def _frame_decoder() -> typing.Any:
    if not hasattr(_THREAD, 'decoder'):
        _THREAD.decoder = libraries.zstandard.ZstdDecompressor(
            max_window_size=WINDOW)
    return _THREAD.decoder


def _unzstd(stored: Stored, size: int) -> bytes:
    decoded: bytes = b''
    for _ in range(_FRAMES):
        decoder = libraries.zstd_frame(WINDOW)
        try:
            part = decoder.decompress(stored, size - len(decoded))
            more = len(decoded) + len(part) == size and not decoder.eof and (
                decoder.decompress(b'', 1))
        except libraries.zstd.ZstdError as error:
            raise errors.DecodeError(str(error)) from error
        decoded = decoded + part if decoded else part
        if more:
            raise _too_long(size)
        if len(decoded) == size:
            return decoded
        stored = decoder.unused_data
        if not decoder.eof or not stored:
            raise _too_short(decoded)
    raise errors.DecodeError(f'more than {_FRAMES} frames')


def _inflate(stored: Stored, limit: int, wbits: int) -> bytes:
    decoder = libraries.isal.decompressobj(wbits)
    try:
        decoded: bytes = decoder.decompress(stored, limit)
        more = len(decoded) == limit and not decoder.eof and (
            decoder.decompress(decoder.unconsumed_tail, 1))
    except (zlib.error, libraries.isal.error) as error:
        raise errors.DecodeError(str(error)) from error
    if more:
        raise _too_long(limit)
    return decoded


def _too_short(decoded: Decoded) -> errors.DecodeError:
    return errors.DecodeError(f'the stream ends after {len(decoded)} bytes')


def _too_long(size: int) -> errors.DecodeError:
    return errors.DecodeError(f'the stream goes on after {size} bytes')
