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

"""qcow2, versions 2 and 3, without anything outside of the file.

Source of all names and numbers: QEMU's ``docs/interop/qcow2.rst``.
"""

from collections.abc import Iterable
from collections.abc import Sequence

from ironic_imagedeploy.engine import budget as _budget
from ironic_imagedeploy.engine.codecs import clusters
from ironic_imagedeploy.engine.codecs import errors
from ironic_imagedeploy.engine import extent as _extent
from ironic_imagedeploy.engine.formats import base
from ironic_imagedeploy.engine.formats import qcow2_header
from ironic_imagedeploy.engine.formats import qcow2_tables
from ironic_imagedeploy.engine.formats import reader
from ironic_imagedeploy.engine.sources import base as sources

Extent = _extent.Extent


class Qcow2Image(reader.Reader):
    """A qcow2 file: clusters found through two levels of tables."""

    format_name = 'qcow2'

    def __init__(self, source: sources.Source,
                 budget: _budget.Budget | None = None) -> None:
        super().__init__(source, budget)
        self._header = qcow2_header.read(self)
        self.virtual_size = self._header.size
        self._cluster_size = self._header.cluster_size
        self.has_subclusters = self._header.extended_l2
        self._decoder = (clusters.unzstd if self._header.compression_type
                         else clusters.inflate)

    def read_map(self) -> None:
        qcow2_tables.TableReader(self, self._header).read()

    def decode(self, extent: Extent, stored: clusters.Stored
               ) -> clusters.Decoded:
        try:
            # A compressed cluster is whole even where the disk ends in it.
            cluster = self._decoder(stored, self._cluster_size)
        except errors.DecodeError as error:
            raise self.corrupt(
                f'the cluster at byte {extent.source_offset} of the file, '
                f'which gives none: {error.found}',
                'clusters that can be decompressed') from error
        return _on_disk(cluster, extent)

    def decode_together(self, stored: Sequence[base.StoredExtent]
                        ) -> Iterable[clusters.Decoded]:
        if self._header.compression_type:
            decoded = clusters.unzstd_together(
                [frame for _, frame in stored], self._cluster_size)
            if decoded is not None:
                return [_on_disk(cluster, extent) for (extent, _), cluster
                        in zip(stored, decoded, strict=True)]
        return super().decode_together(stored)


def _on_disk(cluster: clusters.Decoded, extent: Extent) -> clusters.Decoded:
    """As much of a cluster as is on the disk, which may end in it."""
    return (cluster if len(cluster) == extent.length
            else cluster[:extent.length])
