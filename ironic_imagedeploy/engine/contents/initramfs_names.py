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

"""Names of the files in an initramfs.

Source: Linux, "initramfs buffer format": archives of cpio, each as it is or
compressed, one after the other, with zeroes between. The first is often one
for the microcode of processors.
"""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
import lzma
import re
import typing

from ironic_imagedeploy.engine import budget as _budget
from ironic_imagedeploy.engine.codecs import compressions
from ironic_imagedeploy.engine.codecs import errors
from ironic_imagedeploy.engine.codecs import lz4_legacy
from ironic_imagedeploy.engine.codecs import streams
from ironic_imagedeploy.engine.contents import initramfs
from ironic_imagedeploy.engine.contents import kernels
from ironic_imagedeploy.engine import exceptions

Unreadable = exceptions.UnreadableContent

#: Bytes for the window of a compressed archive: xz -9 asks for 64 MiB.
_MEMORY = 64 << 20
#: Bytes of the header of a file ("new ASCII format"), and where in it are the
#: size of the file and that of its name.
_HEADER = 110
_FILE_SIZE, _NAME_SIZE = slice(54, 62), slice(94, 102)
_MAGICS = (b'070701', b'070702')
_TRAILER = b'TRAILER!!!'
_LONGEST_NAME = 4096
#: Bytes that tell what comes next.
_FRONT = 8
_PADDING = 4
#: Steps of the budget for a file, and bytes that cost one more.
_FILE_STEPS = 8
_PART_STEPS = 32
_CHEAP = 2048
#: Bytes that are looked at once for what is not zero.
_WINDOW = 4096
_MODULE = re.compile(r'(.+)\.ko(?:\.[a-z0-9]+)?')


def lacking(stored: Iterable[bytes], groups: Iterable[frozenset[str]],
            budget: _budget.Budget) -> list[frozenset[str]]:
    """Groups of names, of which no file in an initramfs has one.

    It is read no further than up to the last of them.

    :param stored: the bytes of the file, in their sequence.
    :param groups: modules, as ``megaraid_sas``, and programs; any of each
        will do.
    :param budget: that the work draws from.
    :raises UnreadableContent: when it cannot be read to its end.
    :raises TooComplex: when that takes too much work.
    """
    left = list(groups)
    paths = names(stored, budget) if left else ()
    for path in paths:
        name = _called(path)
        left = [group for group in left if name not in group]
        if not left:
            break
    return left


def names(stored: Iterable[bytes], budget: _budget.Budget) -> Iterator[str]:
    """Paths of the files in an initramfs, which are hostile text.

    The parameters and errors are those of :func:`lacking`.
    """
    whole = _Bytes(stored)
    while front := whole.next_front():
        if front.startswith(_MAGICS):
            yield from _archive(whole, budget)
            continue
        name = next((
            name for name, signature in kernels.INITRAMFS_COMPRESSIONS.items()
            if front.startswith(signature)), None)
        if name is None:
            raise Unreadable('an initramfs with something else in it')
        inner = _Bytes(_unpacked(whole, name, budget))
        while inner.next_front():
            yield from _archive(inner, budget)


def _called(path: str) -> str:
    """The name of a module, or of a program; empty for another file."""
    folder, _, name = path.rpartition('/')
    if match := _MODULE.fullmatch(name):
        return match[1].replace('-', '_')
    return name if folder.endswith('bin') else ''


class _Bytes:
    """Bytes that come in pieces, taken in other ones."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._held = b''
        self._at = 0

    def next_front(self) -> bytes:
        """The next bytes that are not zero; none at the end."""
        while True:
            window = self._held[self._at:self._at + _WINDOW]
            rest = window.lstrip(b'\0')
            self._skip(len(window) - len(rest))
            if len(rest) >= _FRONT:
                return rest[:_FRONT]
            is_held = len(self._held) - self._at > len(rest)
            if not is_held and not self._more():
                return rest

    def take(self, count: int) -> bytes:
        """Exactly so many bytes.

        :raises UnreadableContent: when there are fewer.
        """
        while len(self._held) - self._at < count:
            if not self._more():
                raise Unreadable('an initramfs that is cut off')
        taken = self._held[self._at:self._at + count]
        self._skip(count)
        return taken

    def leave(self, count: int) -> None:
        """Go on after so many bytes, or at the end.

        :raises UnreadableContent: when there are fewer.
        """
        while (held := len(self._held) - self._at) < count:
            self._held, self._at = b'', 0
            count -= held
            if not self._more():
                raise Unreadable('an initramfs that is cut off')
        self._skip(count)

    def pieces(self) -> Iterator[bytes]:
        """The rest, piece by piece."""
        while self._at < len(self._held) or self._more():
            piece, self._held = self._held[self._at:], b''
            self._at = 0
            yield piece

    def put_back(self, front: bytes) -> None:
        """Have these bytes come next, before all others."""
        self._held, self._at = front + self._held[self._at:], 0

    def _skip(self, count: int) -> None:
        self._at += count

    def _more(self) -> bool:
        piece = next(self._pieces, b'')
        if piece:
            self._held, self._at = self._held[self._at:] + piece, 0
        return bool(piece)


def _archive(whole: _Bytes, budget: _budget.Budget) -> Iterator[str]:
    """Paths in one archive, which is taken up to its trailer."""
    while True:
        header = whole.take(_HEADER)
        budget.draw(_FILE_STEPS)
        try:
            size, length = (initramfs.number(header[place])
                            for place in (_FILE_SIZE, _NAME_SIZE))
        except ValueError:
            length = 0
        if not header.startswith(_MAGICS) or not 0 < length <= _LONGEST_NAME:
            raise Unreadable('an initramfs with a damaged archive')
        name = whole.take(_padded(_HEADER + length) - _HEADER)[:length - 1]
        if name == _TRAILER:
            return
        budget.draw(size // _CHEAP)
        whole.leave(_padded(size))
        yield name.decode('utf-8', 'replace')


def _padded(size: int) -> int:
    return -(-size // _PADDING) * _PADDING


def _unpacked(whole: _Bytes, name: str, budget: _budget.Budget
              ) -> Iterator[bytes]:
    """Bytes of the compressed archive that comes next, part by part."""
    start, problems = _decoder(name)
    signature = kernels.INITRAMFS_COMPRESSIONS[name]
    try:
        while whole.next_front().startswith(signature):
            yield from _part(whole, start(), budget)
    except problems as error:
        raise Unreadable(f'an initramfs that is damaged, in {name}: {error}'
                         ) from error


def _part(whole: _Bytes, part: typing.Any, budget: _budget.Budget
          ) -> Iterator[bytes]:
    budget.draw(_PART_STEPS)
    steps = 0
    for stored in whole.pieces():
        while True:
            unpacked = part.decompress(stored, streams.PIECE)
            # Other decoders than that of lz4 are fast.
            done = getattr(part, 'steps', 0)
            budget.draw(1 + done - steps, len(unpacked))
            stored, steps = b'', done
            if unpacked:
                yield unpacked
            if part.eof:
                whole.put_back(bytes(part.unused_data))
                return
            if part.needs_input:
                break
    if not getattr(part, 'may_end', False):
        raise Unreadable('an initramfs that is cut off')


def _decoder(name: str) -> tuple[Callable[[], typing.Any],
                                 tuple[type[Exception], ...]]:
    """The maker of decoders of a compression, and their errors."""
    if name == 'lz4':
        return lz4_legacy.LegacyFrame, (errors.DecodeError,)
    if name == 'lzma':
        return (lambda: lzma.LZMADecompressor(
            lzma.FORMAT_ALONE, memlimit=_MEMORY)), (lzma.LZMAError,)
    known = compressions.COMPRESSIONS.get(name)
    if known is None:
        raise Unreadable(f'an initramfs in {name}, for which there is no '
                         'decoder here')
    return (lambda: known.start(_MEMORY)), (errors.DecodeError,
                                            *known.errors)
