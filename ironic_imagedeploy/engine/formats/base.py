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
from collections.abc import Sequence
import itertools
import typing

from ironic_imagedeploy.engine import budget as _budget
from ironic_imagedeploy.engine.codecs import clusters
from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine import extent as _extent
from ironic_imagedeploy.engine import findings as _findings
from ironic_imagedeploy.engine.formats import extent_map
from ironic_imagedeploy.engine.sources import base

Extent = _extent.Extent
ExtentKind = _extent.ExtentKind
Finding = _findings.Finding

#: A compressed extent, and what the file has of it.
StoredExtent = tuple[Extent, clusters.Stored]

#: Bytes of decoded clusters that are kept for the next look.
_KEPT = 8 << 20
#: Entries that a look at the disk costs, beside what is read for it.
_READ = 8


class Image(abc.ABC):
    """A disk in a file, as far as a look at it goes. Everything is in bytes.

    What comes out of the whole file is told by the two kinds of images:
    :class:`MappedImage`, and a raw disk that is compressed as a whole.

    :param budget: for the work of the look.
    :ivar source: the file.
    :ivar virtual_size: bytes of the disk, at least.
    :ivar has_tables: the map is read from tables in the file.
    :ivar has_subclusters: clusters are mapped in parts (qcow2).
    :ivar findings: warnings about the file.
    """

    format_name: typing.ClassVar[str]
    has_tables: typing.ClassVar[bool] = False
    has_subclusters: bool = False

    def __init__(self, source: base.Source,
                 budget: _budget.Budget | None = None) -> None:
        self.source = source
        self.budget = budget or _budget.Budget()
        self.virtual_size = 0
        self.findings: list[Finding] = []

    @property
    def largest(self) -> int:
        """Bytes of the disk, at most."""
        return self.virtual_size

    @property
    def has_compressed(self) -> bool:
        """Whether data is compressed that no look has unpacked."""
        return self.known_size is None

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

    def read_map(self) -> None:
        """Learn from the file's tables where the bytes are, if it has any.

        :raises ImageRefused: when they contradict each other or the file.
        :raises TooComplex: when they take too much work or memory.
        """
        return

    def forget(self) -> None:
        """Give the memory of earlier looks back, before the file is read."""
        return

    def refused(self, code: str, *, expected: str, found: str,
                case: str = '', **data: _findings.Value
                ) -> exceptions.ImageRefused:
        """The error that refuses this image for one reason.

        :param code: of the catalogue, with the kind of cause and the data
            that its sentences name.
        """
        return exceptions.ImageRefused(self.source.name, [Finding(
            code=code, case=case, expected=expected, found=found,
            data={'format': self.format_name, **data})])

    def corrupt(self, found: str, expected: str) -> exceptions.ImageRefused:
        """The error for a file that contradicts its format."""
        return self.refused('corrupt', expected=expected, found=found)

    def warn(self, code: str, *, expected: str, found: str) -> None:
        """Note something odd that does not refuse the image."""
        self.findings.append(Finding(
            code=code, expected=expected, found=found,
            data={'format': self.format_name},
            severity=_findings.Severity.WARNING))


class MappedImage(Image):
    """A disk whose tables name the place of each of its bytes in the file.

    The size is known from the header, before :meth:`read_map` fills the map.

    :ivar map: the extents of the whole disk.
    """

    has_tables = True

    def __init__(self, source: base.Source,
                 budget: _budget.Budget | None = None) -> None:
        super().__init__(source, budget)
        self.map = extent_map.ExtentMap(self.budget)
        self._clusters: dict[Extent, clusters.Decoded] = {}

    @property
    def has_compressed(self) -> bool:
        return self.map.has_compressed

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

    def decode_together(self, stored: Sequence[StoredExtent]
                        ) -> Iterable[clusters.Decoded]:
        """Bytes of compressed extents, in their sequence.

        :raises ImageRefused: when they cannot be decoded.
        """
        return itertools.starmap(self.decode, stored)

    def read(self, offset: int, length: int) -> bytes:
        end = min(offset + length, self.virtual_size)
        self.budget.draw(_READ)
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

    def _cluster(self, extent: Extent) -> clusters.Decoded:
        """A decoded cluster: looks at a file system come near each other."""
        if extent not in self._clusters:
            while self._clusters and (
                    sum(map(len, self._clusters.values())) + extent.length
                    > _KEPT):
                del self._clusters[next(iter(self._clusters))]
            self.budget.draw(_READ, extent.length)
            self._clusters[extent] = self.decode(extent, self.source.read_at(
                extent.source_offset, extent.source_length))
        return self._clusters[extent]
