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


"""Decoders of compressed files and clusters.

Where Python or a library decodes as well, what both accept is the same.
"""

import bz2
from collections.abc import Callable
import gzip
import hashlib
import lzma
import random
import sys
import zlib

from ironic_imagedeploy.engine.codecs import btrfs_extents
from ironic_imagedeploy.engine.codecs import clusters
from ironic_imagedeploy.engine.codecs import compressions
from ironic_imagedeploy.engine.codecs import errors
from ironic_imagedeploy.engine.codecs import lzo
from ironic_imagedeploy.engine.codecs import streams
from tests.fuzz import target

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

KIB = 1 << 10
CLUSTER = 64 * KIB
#: Decoded bytes after which a stream is let alone: others bound it.
_ENOUGH = 32 << 20
_DECODE_ERRORS = (errors.DecodeError,)


def content(size: int, seed: int = 0) -> bytes:
    """Something that becomes smaller."""
    dice = random.Random(seed)
    text = b''.join(dice.choice((b'All work ', b'and no play ', b'\0' * 40,
                                 dice.randbytes(5))) for _ in range(size // 4))
    return text[:size]


def decoded(name: str, stored: bytes) -> bytes | None:
    """All that a file decodes to; None when that is too much."""
    decoder = streams.Decoder(compressions.COMPRESSIONS[name], 8 << 20)
    whole = bytearray()
    for piece in decoder.decode(stored):
        if not 0 < len(piece) <= streams.PIECE:
            raise AssertionError(f'a piece of {len(piece)} bytes')
        whole += piece
        if len(whole) > _ENOUGH:
            return None
    decoder.finish()
    return bytes(whole)


def stream(name: str, reference: Callable[[bytes], bytes] | None
           ) -> Callable[[bytes], object]:
    """Decode a file, and compare."""
    def read(stored: bytes) -> object:
        ours = decoded(name, stored)
        if ours is None:
            return None
        try:
            theirs = reference(stored) if reference else ours
        except (OSError, EOFError, zlib.error, lzma.LZMAError,
                zstd.ZstdError):
            # Ours may leave bytes out at the end, as the tools do.
            theirs = ours
        if ours != theirs:
            raise AssertionError(f'{len(ours)} bytes, others have '
                                 f'{len(theirs)}')
        return len(ours), hashlib.sha256(ours).hexdigest()
    return read


def inflate(stored: bytes) -> object:
    """A cluster of qcow2, as zlib decodes it."""
    decoder = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        theirs = decoder.decompress(stored, CLUSTER + 1)
    except zlib.error:
        theirs = None
    try:
        ours = bytes(clusters.inflate(stored, CLUSTER))
    except errors.DecodeError:
        if theirs is not None and len(theirs) == CLUSTER and decoder.eof:
            raise AssertionError('refused, what zlib decodes') from None
        raise
    if theirs is not None and ours != theirs[:CLUSTER]:
        raise AssertionError('other bytes than those of zlib')
    return hashlib.sha256(ours).hexdigest()


def inflate_zlib(stored: bytes) -> object:
    """A grain of VMDK."""
    return hashlib.sha256(clusters.inflate_zlib(stored, CLUSTER)).hexdigest()


def unzstd(stored: bytes) -> object:
    """A cluster of qcow2."""
    found = clusters.unzstd(stored, CLUSTER)
    if len(found) != CLUSTER:
        raise AssertionError(f'{len(found)} bytes')
    return hashlib.sha256(found).hexdigest()


def unlzo(stored: bytes) -> object:
    """A segment of btrfs."""
    found = lzo.decompress(stored, 4096)
    if len(found) > 4096:
        raise AssertionError(f'{len(found)} bytes')
    return found


def extent(stored: bytes) -> object:
    """An extent of btrfs, its compression in the first byte."""
    compression = stored[0] % 5 if stored else 0
    size = 100_000
    found = btrfs_extents.decode(compression, stored[1:200_000], size, 4096)
    if len(found) != size:
        raise AssertionError(f'{len(found)} bytes')
    return hashlib.sha256(found).hexdigest()


def _deflated(stored: bytes) -> bytes:
    encoder = zlib.compressobj(9, zlib.DEFLATED, -12)
    return encoder.compress(stored) + encoder.flush()


def _unzstd(stored: bytes) -> bytes:
    return zstd.decompress(stored)


_FILE = content(150 * KIB)
_CLUSTER = content(CLUSTER, 1)
#: A literal run, a match, and the end, by the format's documentation.
_LZO = b'\x16hello\x29\x10\0\x11\0\0'
TARGETS: list[target.Target] = [
    target.TextTarget('gz', [gzip.compress(_FILE, mtime=0), gzip.compress(
        _FILE, mtime=0) + bytes(512), gzip.compress(b'', mtime=0) * 3],
        stream('gz', gzip.decompress), errors=_DECODE_ERRORS, examples=80),
    target.TextTarget('xz', [lzma.compress(_FILE), lzma.compress(
        _FILE, check=lzma.CHECK_SHA256) + bytes(8)],
        stream('xz', lzma.decompress), errors=_DECODE_ERRORS, examples=80),
    target.TextTarget('bz2', [bz2.compress(_FILE)],
                      stream('bz2', bz2.decompress), errors=_DECODE_ERRORS,
                      examples=50),
    target.TextTarget('zstd', [zstd.compress(_FILE),
                               zstd.compress(_FILE) * 2],
                      stream('zstd', _unzstd), errors=_DECODE_ERRORS,
                      examples=80),
    target.TextTarget('inflate', [_deflated(_CLUSTER)], inflate,
                      errors=_DECODE_ERRORS),
    target.TextTarget('inflate-zlib', [zlib.compress(_CLUSTER)],
                      inflate_zlib, errors=_DECODE_ERRORS),
    target.TextTarget('unzstd', [zstd.compress(_CLUSTER), zstd.compress(
        _CLUSTER[:9000]) + zstd.compress(_CLUSTER[9000:])], unzstd,
        errors=_DECODE_ERRORS),
    target.TextTarget('lzo', [_LZO], unlzo, errors=_DECODE_ERRORS),
    target.TextTarget(
        'btrfs-extent', [b'\1' + zlib.compress(_FILE[:100_000]),
                         b'\3' + zstd.compress(_FILE[:100_000]),
                         b'\2' + (len(_LZO) + 8).to_bytes(4, 'little')
                         + len(_LZO).to_bytes(4, 'little') + _LZO], extent,
        errors=_DECODE_ERRORS),
]
