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

"""Members of gzip files (RFC 1952)."""

import zlib

from ironic_imagedeploy.engine.codecs import errors
from ironic_imagedeploy.engine.codecs import libraries
from ironic_imagedeploy.engine.codecs import magic

#: Header flags (section 2.3.1), and those that have no meaning.
_HEADER_CRC, _EXTRA, _NAME, _COMMENT = 2, 4, 8, 16
_RESERVED = 0xe0
#: Bytes of the fixed part, and of the length of the extra field after it.
_FIXED, _EXTRA_LENGTH = 10, 2
#: Bytes of a header at most: a name and a comment have some hundred.
_LONGEST_HEADER = 1 << 20


class GzipMember:
    """A decoder of one member, with the methods of lzma's decompressor."""

    def __init__(self) -> None:
        self._inner = libraries.isal.decompressobj(zlib.MAX_WBITS | 16)
        self._header: bytes | None = b''
        self._tail = b''
        self._full = False

    @property
    def eof(self) -> bool:
        """Whether the member is complete, and its CRC right."""
        return bool(self._inner.eof)

    @property
    def needs_input(self) -> bool:
        """Whether nothing more comes without more of the file."""
        return not (self._tail or self._full)

    @property
    def unused_data(self) -> bytes:
        """Bytes that follow the member."""
        return bytes(self._inner.unused_data)

    def decompress(self, data: libraries.Stored, max_length: int) -> bytes:
        """Decode the next bytes of the member.

        :param data: stored bytes; none while no input is needed.
        :param max_length: bytes to return at most.
        :raises DecodeError: when the header is damaged.
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
    """Whether the whole header of a member is there.

    :raises DecodeError: when it is damaged, which isal does not notice.
    """
    if not magic.GZIP.startswith(stored[:2]):
        raise errors.DecodeError('no header of gzip')
    if len(stored) < _FIXED + _EXTRA_LENGTH:
        return False
    flags, end = stored[3], _FIXED
    if flags & _RESERVED:
        raise errors.DecodeError(
            f'unknown flags {flags:#04x} in a gzip header')
    if flags & _EXTRA:
        end += _EXTRA_LENGTH + int.from_bytes(
            stored[_FIXED:_FIXED + _EXTRA_LENGTH], 'little')
    for _ in range((flags & (_NAME | _COMMENT)).bit_count()):
        end = stored.find(b'\0', end) + 1
        if not end:
            break
    if (end or len(stored)) > _LONGEST_HEADER:
        raise errors.DecodeError(
            f'a gzip header of more than {_LONGEST_HEADER} bytes')
    return bool(end) and len(stored) >= end + (flags & _HEADER_CRC)
