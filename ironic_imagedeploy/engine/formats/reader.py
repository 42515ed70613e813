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

"""Base of the readers of image formats that have tables."""

from collections.abc import Iterable
from collections.abc import Iterator

from ironic_imagedeploy.engine import extent as _extent
from ironic_imagedeploy.engine.formats import base
from ironic_imagedeploy.engine.formats import runs

#: Bytes of tables that are asked for at once.
_TABLES_READ = 4 << 20
#: A file may be as large as so many of its disks, and that many bytes more:
#: snapshots, the memory of machines in them, and clusters that nothing uses
#: any more are in it. All of it is read for its checksum.
_DISKS = 16
_MORE = 1 << 40


class Reader(base.MappedImage):
    """An image of a format with tables.

    A reader takes the size from the header when it is made, and fills the
    map in :meth:`read_map`, with a draw from :attr:`budget` for each table
    and for each entry that does not go on as the one before. It refuses what
    it does not know.
    """

    def append_zero(self, length: int) -> None:
        """Let zeroes follow in the map, as far as the disk goes."""
        length = min(length, self.virtual_size - self.map.end)
        if length > 0:
            self.map.append(length, _extent.ExtentKind.ZERO)

    def append_entries(self, unit: int, kinds: bytes, offsets: int,
                       stored: int = 0) -> None:
        """Let entries of a table follow in the map, as far as the disk goes.

        The last of them begins on the disk.

        :param unit: bytes of each on the disk.
        :param kinds: of the entries, each an :class:`.ExtentKind`.
        :param offsets: bytes in the file, in lanes; 0 for zeroes.
        :param stored: bytes that compressed ones take there, in lanes.
        """
        found = runs.find(self.map.end, unit, kinds, offsets, stored)
        self.budget.draw(len(found) * 2 // 5)
        over = found.start[-1] + found.length[-1] - self.virtual_size
        if over > 0:
            found.length[-1] -= over
            if found.kind[-1] == _extent.ExtentKind.DATA:
                found.stored[-1] -= over
        self.map.extend(found)

    def check_file_size(self) -> None:
        """The file is not far larger than what can be in it.

        :raises ImageRefused: with ``corrupt`` when it is.
        """
        most = _DISKS * self.virtual_size + _MORE
        if self.source.size > most:
            raise self.refused(
                'corrupt', case='file-size',
                expected=f'at most {most} bytes for a disk of '
                f'{self.virtual_size} bytes',
                found=f'a file of {self.source.size} bytes')

    def check_inside(self, what: str, offset: int, length: int) -> None:
        """A part that the tables name lies in the file.

        :raises ImageRefused: with ``truncated`` when it does not.
        """
        if offset + length > self.source.size:
            raise self.refused(
                'truncated',
                expected=f'{what} at bytes {offset} to '
                f'{offset + length - 1}',
                found=f'a file of {self.source.size} bytes')


def neighbours(offsets: Iterable[int], size: int
               ) -> Iterator[tuple[int, int]]:
    """Gather tables that follow each other in the file, in bounded runs.

    :param offsets: of tables of ``size`` bytes; 0 where there is none.
    :returns: offset and count of each run; offset 0 for absent ones.
    """
    limit = max(_TABLES_READ // size, 1)
    run = count = 0
    for offset in offsets:
        follows = (offset == run + count * size and count < limit
                   if run else not offset)
        if count and not follows:
            yield run, count
            count = 0
        if not count:
            run = offset
        count += 1
    if count:
        yield run, count
