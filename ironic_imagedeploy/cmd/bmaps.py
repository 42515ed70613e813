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

"""Block maps of bmaptool, given and made."""

from collections.abc import Iterator
import dataclasses
import errno
import os

from ironic_imagedeploy.cmd import console
from ironic_imagedeploy.cmd import small_files
from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import bmap as bmaps
from ironic_imagedeploy.engine import checksum as checksums

_ALGORITHM = 'sha256'


def stated(location: str | None) -> bmaps.Bmap | None:
    """The block map that a write was given.

    :raises SourceError: when it cannot be read.
    :raises InvalidBmap: when it is not one.
    """
    if location is None:
        return None
    file = small_files.read(
        location, most=bmaps.MOST_BYTES, expected='a block map',
        fix='Make one: bmaptool create IMAGE.',
        too_large=engine.exceptions.InvalidBmap)
    with small_files.blamed(location):
        bmap = bmaps.Bmap.decode(file.content)
    if not bmap.proven:
        console.say('warning: the block map has no checksums, so that it '
                    'does not prove the image: give --checksum')
    return bmap


class Recorder:
    """Block map of a file, recorded while its bytes pass by.

    :param path: of the file, whose holes are left out; None for one that is
        not on this machine: all of it is listed.
    :param size: bytes of the file.
    """

    def __init__(self, path: str | None, size: int) -> None:
        self._size = size
        ranges = [bmaps.Range(start, end) for start, end in _joined(
            _data(path) if path else iter([(0, size)]), size)]
        self._digests = bmaps.RangeDigests(ranges, _ALGORITHM)
        self._ranges: list[bmaps.Range] = []

    def update(self, view: memoryview) -> None:
        """Take the next bytes of the file."""
        for listed, value in self._digests.update(view):
            self._ranges.append(dataclasses.replace(
                listed, checksum=checksums.Checksum(_ALGORITHM, value)))

    def finish(self) -> bmaps.Bmap:
        """The block map, when all of the file has passed by."""
        return bmaps.Bmap(self._size, bmaps.BLOCK_SIZE, tuple(self._ranges))


def _data(path: str) -> Iterator[tuple[int, int]]:
    """Ranges of a file that are not holes.

    :raises SourceError: when it cannot be read.
    """
    end = 0
    try:
        with open(path, 'rb') as file:
            while True:
                start = os.lseek(file.fileno(), end, os.SEEK_DATA)
                end = os.lseek(file.fileno(), start, os.SEEK_HOLE)
                yield start, end
    except OSError as error:
        # No more data.
        if error.errno != errno.ENXIO:
            raise engine.exceptions.SourceError(
                path, expected='a file that can be read',
                found=error.strerror or str(error),
                fix='Check the file.') from error


def _joined(ranges: Iterator[tuple[int, int]], size: int
            ) -> Iterator[tuple[int, int]]:
    """The ranges in whole blocks, those that touch as one."""
    last: tuple[int, int] | None = None
    for start, end in ranges:
        start -= start % bmaps.BLOCK_SIZE
        end = min(-(-end // bmaps.BLOCK_SIZE) * bmaps.BLOCK_SIZE, size)
        if last and start <= last[1]:
            last = last[0], end
            continue
        if last:
            yield last
        last = start, end
    if last:
        yield last
