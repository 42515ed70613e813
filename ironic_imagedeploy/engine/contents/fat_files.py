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

"""Files of a FAT volume by their paths, as other file systems give them."""

from collections.abc import Iterator
from collections.abc import Mapping
import typing

from ironic_imagedeploy.engine.contents import fat
from ironic_imagedeploy.engine import exceptions

Unreadable = exceptions.UnreadableContent

#: Names of all directories that are kept.
_MOST_NAMES = 20_000


class FatFiles:
    """A look into a FAT volume, by paths. Case does not matter.

    :param volume: that nobody else asks for its directories.
    """

    kind: typing.ClassVar[str] = 'vfat'
    is_dirty: typing.ClassVar[bool] = False

    def __init__(self, volume: fat.FatVolume) -> None:
        self._volume = volume
        self.draw = volume.draw
        self._directories: dict[tuple[str, ...], Mapping[str, fat.Entry]] = {}
        self._names = _MOST_NAMES

    def list(self, path: str) -> list[str]:
        """Sorted names in a directory, in lower case; none in a file.

        :raises UnreadableContent: when it cannot be told.
        """
        found = self._directory(_parts(path))
        return sorted({entry.name.lower() for entry in found.values()})

    def exists(self, path: str) -> bool:
        """Whether there is a file or a directory.

        :raises UnreadableContent: when it cannot be told.
        """
        parts = _parts(path)
        return not parts or self._entry(parts) is not None

    def front(self, path: str, length: int) -> bytes | None:
        """Bytes at the beginning of a file.

        :returns: as many as asked for, or all; None without such a file.
        :raises UnreadableContent: when it cannot be told.
        """
        entry = self._entry(_parts(path))
        if entry is None or entry.directory:
            return None
        try:
            front = self._volume.front(entry, length)
        except exceptions.BadContent as bad:
            raise Unreadable(bad.found) from bad
        if len(front) < min(length, entry.size):
            raise Unreadable(f'a FAT file of {entry.size} bytes that ends '
                             f'after {len(front)}')
        return front

    def pieces(self, path: str) -> Iterator[bytes]:
        """A large file; none without it.

        :raises UnreadableContent: when it cannot be told.
        """
        entry = self._entry(_parts(path))
        if entry is None or entry.directory:
            return
        try:
            yield from self._volume.pieces(entry)
        except exceptions.BadContent as bad:
            raise Unreadable(bad.found) from bad

    def _entry(self, parts: tuple[str, ...]) -> fat.Entry | None:
        if not parts:
            return None
        return self._directory(parts[:-1]).get(parts[-1])

    def _directory(self, parts: tuple[str, ...]) -> Mapping[str, fat.Entry]:
        """Entries by their long and short names; read once."""
        if parts not in self._directories:
            self._directories[parts] = self._read(parts)
        return self._directories[parts]

    def _read(self, parts: tuple[str, ...]) -> Mapping[str, fat.Entry]:
        entry = self._entry(parts)
        if parts and not (entry and entry.directory):
            return {}
        found: dict[str, fat.Entry] = {}
        try:
            for each in (self._volume.entries(entry) if entry
                         else self._volume.root()):
                self._names -= 1
                if self._names < 0:
                    raise Unreadable(f'more than {_MOST_NAMES} names')
                found.setdefault(each.short, each)
                found[each.name] = each
        except exceptions.BadContent as bad:
            raise Unreadable(bad.found) from bad
        return found


def _parts(path: str) -> tuple[str, ...]:
    return tuple(part for part in path.upper().split('/')
                 if part not in ('', '.'))
