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

"""Raw images that are compressed as a whole."""

from collections.abc import Iterator
import contextlib

from ironic_imagedeploy.engine import budget as _budget
from ironic_imagedeploy.engine.codecs import compressions
from ironic_imagedeploy.engine.codecs import errors
from ironic_imagedeploy.engine.codecs import streams
from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine import findings
from ironic_imagedeploy.engine.formats import base
from ironic_imagedeploy.engine.sources import base as sources

#: Bytes that the window of a decoder may have, by default.
MEMORY = compressions.MEMORY
#: Bytes of the disk that can be looked at, and bytes of the file for them.
FRONT = 16 << 20
#: Bytes of a file that a look unpacks to its end: bzip2 takes a second.
SMALL = 4 << 20
#: Bytes of the file that are read at once for the front.
_STEP = 1 << 20
#: Bytes that the slowest decoder gives in a step of the budget.
_STEP_OF_WORK = 16
#: No honest file unpacks to more times its size, unless to so few bytes;
#: and no file system takes larger files for sure.
_RATIO = 4096
_ALWAYS = 16 << 30
_NEVER = 8 << 40


def supported() -> tuple[str, ...]:
    """Names of the compressions that can be unpacked here."""
    return tuple(compressions.COMPRESSIONS)


class CompressedRawImage(base.Image):
    """A disk byte for byte in a compressed file.

    No table tells where its bytes are: the file is unpacked from its first
    byte to its last, and the size of the disk shows there. Only a small file
    is unpacked at once.

    :param compression: one of :func:`supported`.
    :param memory: bytes that the window of a decoder may have.
    """

    format_name = 'raw'

    def __init__(self, source: sources.Source, compression: str,
                 memory: int = MEMORY,
                 budget: _budget.Budget | None = None) -> None:
        super().__init__(source, budget)
        self.compression = compression
        self._memory = memory
        self._unpacked = False
        self._left_out = 0
        self._least = 0
        self._front = bytearray()
        self._pieces = self._unpack_front()

    @property
    def largest(self) -> int:
        if self._unpacked:
            return self.virtual_size
        return max(_ALWAYS, min(self.source.size * _RATIO, _NEVER))

    def read(self, offset: int, length: int) -> bytes:
        """Bytes from the front of the disk.

        :raises SourceNotSeekable: when they lie after it.
        :raises ImageRefused: when it cannot be unpacked.
        """
        end = offset + length
        while len(self._front) < min(end, FRONT):
            with self.explained():
                piece = next(self._pieces, None)
            if piece is None:
                break
            self.budget.draw(len(piece) // _STEP_OF_WORK, len(piece))
            self._front += piece
        if end > len(self._front) and not self._unpacked:
            raise exceptions.SourceNotSeekable(
                self.source.name,
                expected=f'what is needed in the first {FRONT} bytes of a '
                f'disk in a {self.compression} file',
                found=f'something up to byte {end}',
                fix='Upload the image as qcow2, or as raw without '
                    'compression.')
        return bytes(self._front[offset:end])

    def forget(self) -> None:
        self._front = bytearray()
        self._pieces = iter(())

    def state_size(self, size: int, least: int) -> None:
        """Learn what the partition table says.

        :param size: bytes that the disk was made with.
        :param least: bytes up to the end of the last partition.
        """
        self._least = least
        if not self._unpacked:
            self.virtual_size = max(size, self.virtual_size)

    def extents(self) -> Iterator[base.Extent]:
        """Extent of as much of the disk as is known."""
        if self.virtual_size:
            yield base.Extent(0, self.virtual_size,
                              base.ExtentKind.COMPRESSED, 0, self.source.size)

    def decoder(self) -> streams.Decoder:
        """Decoder of the file from its first byte on."""
        return streams.Decoder(compressions.COMPRESSIONS[self.compression],
                               self._memory)

    def look_at_end(self) -> list[findings.Finding]:
        """Unpack a small file to its end, and give what shows there.

        :raises ImageRefused: when it cannot be unpacked.
        """
        if self.source.size <= SMALL:
            self.read(0, FRONT)
        return [self.left_out(self._left_out)] if self._left_out else []

    def left_out(self, count: int) -> findings.Finding:
        """Finding about bytes after the end of the compressed file."""
        return findings.Finding(
            code='bytes-left-out', data={'format': self.compression},
            expected=f'nothing after the end of the {self.compression} file',
            found=f'{count} bytes')

    def check_size(self, size: int) -> None:
        """Hold the size of all that was unpacked against what was stated.

        :raises ImageRefused: when a part of the disk is missing.
        """
        if size < self._least:
            raise self.refused(
                'truncated', case='disk',
                expected=f'{self._least} bytes, as its front says',
                found=f'{size} bytes')

    @contextlib.contextmanager
    def explained(self) -> Iterator[None]:
        """Turn errors of the decoder into findings.

        :raises ImageRefused: with ``truncated``, ``corrupt`` or
            ``format-unsupported``.
        """
        name = self.compression
        try:
            yield
        except errors.IncompleteError as error:
            raise self.refused(
                'truncated', format=name,
                expected=f'the end of the {name} file',
                found=error.found) from error
        except errors.WindowTooLarge as error:
            raise self.refused(
                'format-unsupported', case='memory', format=name,
                expected=f'a window of {error.expected}',
                found=error.found) from error
        except errors.DecodeError as error:
            raise self.refused(
                'corrupt', case='compressed', format=name,
                expected=f'nothing but {name} to its end',
                found=error.found) from error

    def _unpack_front(self) -> Iterator[bytes]:
        decoder = self.decoder()
        for position in range(0, min(self.source.size, FRONT), _STEP):
            length = min(_STEP, self.source.size - position)
            yield from decoder.decode(self.source.read_at(position, length))
        if self.source.size <= FRONT:
            decoder.finish()
            self._left_out = decoder.left_out
            self.check_size(len(self._front))
            self.virtual_size = len(self._front)
            self._unpacked = True
        elif len(self._front) < FRONT // 2:
            # What is not compressible at all takes hardly more than itself.
            raise errors.DecodeError(
                f'{len(self._front)} bytes of a disk in the first {FRONT} '
                'bytes of it')
