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

"""Interface of image formats: a map, and the decoding of clusters."""

import abc
from collections.abc import Iterable
from collections.abc import Iterator
import typing

from ironic_imagedeploy.engine.codecs import clusters
from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine import extent as _extent
from ironic_imagedeploy.engine import findings as _findings
from ironic_imagedeploy.engine.formats import extent_map
from ironic_imagedeploy.engine.sources import base

Extent = _extent.Extent
ExtentKind = _extent.ExtentKind
Finding = _findings.Finding

#: Bytes of decoded clusters that are kept for the next look.
_KEPT = 8 << 20
#: Bytes of tables that are asked for at once.
_TABLES_READ = 4 << 20


class Image(abc.ABC):
    """A disk in a file, as far as a look at it goes. Everything is in bytes.

    What comes out of the whole file is told by the two kinds of images:
    :class:`MappedImage`, and a raw disk that is compressed as a whole.

    :ivar source: the file.
    :ivar virtual_size: bytes of the disk, at least.
    :ivar has_subclusters: clusters are mapped in parts (qcow2).
    :ivar findings: warnings about the file.
    """

    format_name: typing.ClassVar[str]
    has_subclusters: bool = False

    def __init__(self, source: base.Source) -> None:
        self.source = source
        self.virtual_size = 0
        self.findings: list[Finding] = []

    @property
    def largest(self) -> int:
        """Bytes of the disk, at most."""
        return self.virtual_size

    @property
    def known_size(self) -> int | None:
        """Bytes of the disk; None while only bounds of it are known."""
        return self.virtual_size if self.virtual_size == self.largest else None

    @abc.abstractmethod
    def extents(self) -> Iterator[Extent]:
        """Extents of all that is known of the disk, from its first byte on."""

    @abc.abstractmethod
    def read(self, offset: int, length: int) -> bytes:
        """Bytes of the disk, for a look at what is on it."""

    def forget(self) -> None:
        """Give the memory of earlier looks back, before the file is read."""
        return

    def refused(self, code: str, message: str, *, expected: str, found: str,
                fix: str) -> exceptions.ImageRefused:
        """The error that refuses this image for one reason."""
        return exceptions.ImageRefused(self.source.name, [Finding(
            code=code, message=message, expected=expected, found=found,
            fix=fix)])

    def warn(self, code: str, message: str, *, expected: str, found: str,
             fix: str) -> None:
        """Note something odd that does not refuse the image."""
        self.findings.append(Finding(
            code=code, message=message, expected=expected, found=found,
            fix=fix, severity=_findings.Severity.WARNING))


class MappedImage(Image):
    """A disk whose tables name the place of each of its bytes in the file.

    A reader builds :attr:`map` from a few reads of the file's tables. It
    refuses what it does not know.

    :ivar map: the extents of the whole disk.
    """

    def __init__(self, source: base.Source) -> None:
        super().__init__(source)
        self.map = extent_map.ExtentMap()
        self._clusters: dict[Extent, clusters.Decoded] = {}

    def extents(self) -> Iterator[Extent]:
        """Extents that name every byte of the disk once, in its sequence."""
        return iter(self.map)

    def by_source(self) -> Iterator[Extent]:
        """Extents that are stored, in the sequence of the file."""
        return self.map.by_source()

    def decode(self, extent: Extent, stored: clusters.Stored
               ) -> clusters.Decoded:
        """Bytes of a compressed extent.

        :raises ImageRefused: when they cannot be decoded.
        """
        raise NotImplementedError(f'{self.format_name} is not compressed')

    def read(self, offset: int, length: int) -> bytes:
        end = min(offset + length, self.virtual_size)
        read = bytearray()
        for extent in _extent.clamp(self.map.overlapping(offset, end),
                                    offset, end):
            match extent.kind:
                case ExtentKind.ZERO:
                    read += bytes(extent.length)
                case ExtentKind.DATA:
                    read += self.source.read_at(extent.source_offset,
                                                extent.length)
                case _:
                    read += self._cluster(extent)[
                        max(offset - extent.start, 0):end - extent.start]
        return bytes(read)

    def forget(self) -> None:
        self._clusters.clear()

    def append_zero(self, length: int) -> None:
        """Let zeroes follow in the map, as far as the disk goes."""
        length = min(length, self.virtual_size - self.map.end)
        if length > 0:
            self.map.append(length, ExtentKind.ZERO)

    def corrupt(self, found: str, expected: str) -> exceptions.ImageRefused:
        """The error for a file that contradicts its format."""
        return self.refused(
            'corrupt', f'The {self.format_name} file is damaged.',
            expected=expected, found=found,
            fix='Make the image again from its origin and upload that.')

    def check_inside(self, what: str, offset: int, length: int) -> None:
        """A part that the tables name lies in the file.

        :raises ImageRefused: with ``truncated`` when it does not.
        """
        if offset + length > self.source.size:
            raise self.refused(
                'truncated', f'The {self.format_name} file ends too early.',
                expected=f'{what} at bytes {offset} to '
                f'{offset + length - 1}',
                found=f'a file of {self.source.size} bytes',
                fix='Upload the whole file again.')

    def _cluster(self, extent: Extent) -> clusters.Decoded:
        """A decoded cluster: looks at a file system come near each other."""
        if extent not in self._clusters:
            while self._clusters and (
                    sum(map(len, self._clusters.values())) + extent.length
                    > _KEPT):
                del self._clusters[next(iter(self._clusters))]
            self._clusters[extent] = self.decode(extent, self.source.read_at(
                extent.source_offset, extent.source_length))
        return self._clusters[extent]


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
