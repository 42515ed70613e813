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

"""Compressions of whole files, and how their parts are decoded.

Whatever the compression, a file is a row of complete parts: members of gzip,
streams of xz and bzip2, frames of zstd.
"""

import bz2
from collections.abc import Callable
import lzma
import types
import typing
import zlib

from ironic_imagedeploy.engine.codecs import gzip
from ironic_imagedeploy.engine.codecs import libraries
from ironic_imagedeploy.engine.codecs import magic
from ironic_imagedeploy.engine.codecs import windows

#: Bytes for the window of zstd, or the dictionary of xz: what ``zstd -d``
#: takes. ``xz -9`` asks for 64 MiB, ``zstd --ultra -22`` for 128.
MEMORY = 128 << 20
#: Bytes that an xz decoder takes beside its dictionary.
_XZ_EXTRA = 1 << 20


class Part(typing.Protocol):
    """A decoder of one part, as the objects of :mod:`lzma` are."""

    @property
    def eof(self) -> bool:
        """Whether the part is complete."""

    @property
    def needs_input(self) -> bool:
        """Whether nothing more comes without more of the file."""

    @property
    def unused_data(self) -> bytes:
        """Bytes that follow the part."""

    def decompress(self, data: libraries.Stored, max_length: int) -> bytes:
        """Decode the next bytes, up to so many."""


class Compression(typing.NamedTuple):
    """How the parts of a kind of file are decoded.

    :ivar start: makes the decoder of a part, which may take so many bytes
        for its window.
    :ivar errors: raised by that for damaged bytes.
    :ivar padding: zeroes may follow a part, in multiples of so many bytes;
        0: they may not.
    :ivar resumes: another part may follow the padding.
    :ivar magic: first bytes of each part, where other bytes after the last
        one do no harm: its own tools leave them out, with a warning.
    """

    start: Callable[[int], Part]
    errors: tuple[type[Exception], ...]
    padding: int = 0
    resumes: bool = False
    magic: bytes = b''


def _xz(memory: int) -> Part:
    return windows.BoundedPart(
        lambda: lzma.LZMADecompressor(
            lzma.FORMAT_XZ, memlimit=memory + _XZ_EXTRA),
        windows.xz_dictionary, memory)


def _zstd(memory: int) -> Part:
    return windows.BoundedPart(
        lambda: libraries.zstd_frame(memory), windows.zstd_window, memory)


def _known() -> dict[str, Compression]:
    known = {
        'gz': Compression(lambda _: gzip.GzipMember(),
                          (zlib.error, libraries.isal.error), padding=1,
                          magic=magic.GZIP),
        'xz': Compression(_xz, (lzma.LZMAError,), padding=4, resumes=True),
        'bz2': Compression(lambda _: bz2.BZ2Decompressor(), (OSError,),
                           magic=magic.BZIP2),
    }
    if libraries.zstd_available():
        known['zstd'] = Compression(_zstd, (libraries.zstd.ZstdError,))
    return known


#: Compressions that this Python can decode, by name.
COMPRESSIONS = types.MappingProxyType(_known())
