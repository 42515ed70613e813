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

"""VMDK in one file: ``monolithicSparse`` and ``streamOptimized``.

Source: VMware's "Virtual Disk Format 5.0".
"""

import struct

from ironic_imagedeploy.engine import budget as _budget
from ironic_imagedeploy.engine.codecs import clusters
from ironic_imagedeploy.engine.codecs import errors
from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine import extent as _extent
from ironic_imagedeploy.engine.formats import reader
from ironic_imagedeploy.engine.formats import vmdk_header
from ironic_imagedeploy.engine.formats import vmdk_tables
from ironic_imagedeploy.engine.sources import base as sources

_SECTOR = vmdk_header.SECTOR
#: Of a grain: the sector of the disk that it is for, and the stream's bytes.
_MARKER = struct.Struct('<QI')


class VmdkImage(reader.Reader):
    """A VMDK file: grains found through a directory and its tables."""

    format_name = 'vmdk'

    def __init__(self, source: sources.Source,
                 budget: _budget.Budget | None = None) -> None:
        super().__init__(source, budget)
        self._header = vmdk_header.read(self)
        self._grain = self._header.grain_size * _SECTOR
        self.virtual_size = self._header.capacity * _SECTOR

    def read_map(self) -> None:
        # What a grain takes is told by its marker: at most this.
        vmdk_tables.TableReader(
            self, self._header, _MARKER.size,
            _MARKER.size + clusters.deflate_bound(self._grain)).read()

    def decode(self, extent: _extent.Extent, stored: clusters.Stored) -> bytes:
        """("Grain Marker": the sector it is for, the size, the stream.)"""
        sector, size = _MARKER.unpack_from(stored)
        if sector * _SECTOR != extent.start or not 0 < size <= (
                len(stored) - _MARKER.size):
            raise self._bad_grain(extent, f'a marker of {size} bytes for '
                                  f'sector {sector}')
        try:
            grain = clusters.inflate_zlib(
                memoryview(stored)[_MARKER.size:_MARKER.size + size],
                self._grain)
        except errors.DecodeError as error:
            raise self._bad_grain(extent, error.found) from error
        # The last grain holds what is left of the disk, or a whole grain.
        if len(grain) < extent.length:
            raise self._bad_grain(extent, f'{len(grain)} bytes')
        return grain[:extent.length]

    def _bad_grain(self, extent: _extent.Extent, found: str
                   ) -> exceptions.ImageRefused:
        return self.corrupt(
            f'{found} in the grain at byte {extent.source_offset}',
            f'a grain for sector {extent.start // _SECTOR}')
