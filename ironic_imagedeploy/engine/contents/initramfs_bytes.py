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

"""Bytes of an initramfs in their sequence, unpacked within bounds.

Source: Linux, "initramfs buffer format". What Linux cannot unpack there, as
an archive that goes on in another compressed part, is not read either.
"""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
import lzma
import typing

from ironic_imagedeploy.engine import budget as _budget
from ironic_imagedeploy.engine.codecs import compressions
from ironic_imagedeploy.engine.codecs import errors
from ironic_imagedeploy.engine.codecs import lz4_legacy
from ironic_imagedeploy.engine.codecs import streams
from ironic_imagedeploy.engine.codecs import windows
from ironic_imagedeploy.engine.contents import kernels
from ironic_imagedeploy.engine import exceptions

Unreadable = exceptions.UnreadableContent

#: Bytes for the window of a compressed part: xz -9 asks for 64 MiB.
_MEMORY = 64 << 20
#: Bytes of the header of LZMA without XZ.
_LZMA_HEADER = 13
#: Bytes that tell what comes next.
_FRONT = 8
#: Bytes that are looked at once for what is not zero.
_WINDOW = 4096
#: Steps of the budget for each part.
_PART_STEPS = 32
#: Bytes that a part may unpack to, and times as many as are stored. An
#: initramfs with its programs and modules has up to 10; bombs have 1,000 with
#: gzip and 100,000 with bzip2.
_SLACK = 64 << 20
_GROWTH = 64


class CutOff(Unreadable):
    """An initramfs that ends in the middle."""

    summary = 'the initramfs is cut off'


class NotDecoded(Unreadable):
    """An initramfs that Linux may decode, and nothing here."""

    summary = 'the initramfs cannot be decoded'


class _Work(typing.NamedTuple):
    """Steps of the budget that a decoder takes, as they were measured.

    :ivar unpacked: for each :data:`streams.PIECE` that comes out.
    :ivar stored: for each KiB that goes in.
    """

    unpacked: int
    stored: int


#: The slowest are bytes that repeat for bzip2, and such of which little can
#: be spared for the others. LZ4 draws its own.
_WORK = {'gz': _Work(100, 8), 'zstd': _Work(100, 8), 'xz': _Work(500, 80),
         'lzma': _Work(500, 80), 'bz2': _Work(6000, 200),
         'lz4': _Work(500, 0)}


class Bytes:
    """Bytes that come in pieces, taken in other ones.

    :param pieces: all bytes, in their sequence.
    """

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._received = 0
        self._held = b''
        self._at = 0

    @property
    def position(self) -> int:
        """Offset of the byte that comes next."""
        return self._received - len(self._held) + self._at

    def next_front(self) -> bytes:
        """The next bytes that are not zero; none at the end."""
        while True:
            window = self._held[self._at:self._at + _WINDOW]
            rest = window.lstrip(b'\0')
            self._at += len(window) - len(rest)
            if len(rest) >= _FRONT:
                return rest[:_FRONT]
            is_held = len(self._held) - self._at > len(rest)
            if not is_held and not self._more():
                return rest

    def take(self, count: int) -> bytes:
        """Exactly so many bytes.

        :raises CutOff: when there are fewer.
        """
        while len(self._held) - self._at < count:
            if not self._more():
                raise CutOff('an initramfs that is cut off')
        taken = self._held[self._at:self._at + count]
        self._at += count
        return taken

    def leave(self, count: int) -> None:
        """Go on after so many bytes.

        :raises CutOff: when there are fewer.
        """
        while (held := len(self._held) - self._at) < count:
            self._held, self._at = b'', 0
            count -= held
            if not self._more():
                raise CutOff('an initramfs that is cut off')
        self._at += count

    def unpacked(self, name: str, budget: _budget.Budget) -> Iterator[bytes]:
        """Bytes of the compressed part that comes next.

        When all of them were taken, the next byte is that after the part.

        :param name: of the compression.
        :raises CutOff: when it ends in the middle.
        :raises NotDecoded: when nothing here decodes it.
        :raises UnreadableContent: when it is damaged.
        :raises TooComplex: when that takes too much work.
        """
        start, problems = _decoder(name, budget)
        budget.draw(_PART_STEPS)
        try:
            yield from self._unpack(start(), _WORK[name], budget)
        except errors.WindowTooLarge as error:
            raise NotDecoded(
                f'an initramfs that takes a window of {error.found} to '
                'decode') from error
        except problems as error:
            raise Unreadable(f'an initramfs that is damaged, in {name}: '
                             f'{error}') from error

    def _unpack(self, part: typing.Any, work: _Work, budget: _budget.Budget
                ) -> Iterator[bytes]:
        begin, out = self.position, 0
        for stored in self._rest():
            fed = len(stored)
            while True:
                unpacked = part.decompress(stored, streams.PIECE)
                stored, out = b'', out + len(unpacked)
                budget.draw(1 + work.unpacked * len(unpacked)
                            // streams.PIECE, len(unpacked))
                _check_growth(out, self.position - begin)
                if unpacked:
                    yield unpacked
                if part.eof:
                    unused = bytes(part.unused_data)
                    self._held, self._at = unused + self._held[self._at:], 0
                    fed -= len(unused)
                if part.eof or part.needs_input:
                    break
            budget.draw(work.stored * fed >> 10)
            if part.eof:
                return
        if not getattr(part, 'may_end', False):
            raise CutOff('an initramfs that is cut off')

    def _rest(self) -> Iterator[bytes]:
        """The rest, piece by piece."""
        while self._at < len(self._held) or self._more():
            piece, self._held = self._held[self._at:], b''
            self._at = 0
            yield piece

    def _more(self) -> bool:
        piece = next(self._pieces, b'')
        if piece:
            self._received += len(piece)
            self._held, self._at = self._held[self._at:] + piece, 0
        return bool(piece)


def _check_growth(out: int, stored: int) -> None:
    """Tell a bomb by how much comes out of how little.

    :raises TooComplex: when it is one.
    """
    if out > _SLACK + _GROWTH * stored:
        raise exceptions.TooComplex(
            expected='an initramfs that unpacks to at most '
                     f'{_GROWTH} times its bytes', found='more')


def _decoder(name: str, budget: _budget.Budget
             ) -> tuple[Callable[[], typing.Any],
                        tuple[type[Exception], ...]]:
    """The maker of decoders of a compression, and their errors."""
    if name == 'lz4':
        return (lambda: lz4_legacy.LegacyFrame(budget.draw)), (
            errors.DecodeError,)
    if name == 'lzma':
        return (lambda: windows.BoundedPart(
            lambda: lzma.LZMADecompressor(lzma.FORMAT_ALONE),
            _lzma_dictionary, _MEMORY)), (lzma.LZMAError,)
    known = compressions.COMPRESSIONS.get(name)
    if known is None:
        raise NotDecoded(f'an initramfs in {name}, for which there is no '
                         'decoder here')
    return (lambda: known.start(_MEMORY)), (errors.DecodeError,
                                            *known.errors)


def _lzma_dictionary(header: bytes) -> int | None:
    """Bytes of the dictionary, which follow the properties."""
    return (int.from_bytes(header[1:5], 'little')
            if len(header) >= _LZMA_HEADER else None)


def compression(front: bytes) -> str | None:
    """The compression that something begins with; None for none."""
    return next((
        name for name, signature in kernels.INITRAMFS_COMPRESSIONS.items()
        if front.startswith(signature)), None)
