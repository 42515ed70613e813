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

"""Checks of the partition table on the disk in an image."""

from collections.abc import Iterator
import dataclasses

from ironic_imagedeploy.engine.contents import partitions
from ironic_imagedeploy.engine.contents import signatures
from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine import findings
from ironic_imagedeploy.engine import formats
from ironic_imagedeploy.engine.formats import compressed_raw
from ironic_imagedeploy.engine.inspection import expectation as _expectation

Finding = findings.Finding


@dataclasses.dataclass(frozen=True, kw_only=True)
class Layout:
    """Layout of a disk, as its front shows it.

    :ivar table: its partition table.
    :ivar file_system: name of the one that it is, without a table.
    :ivar content: what else it begins with, in words.
    :ivar findings: why the table cannot be used.
    """

    table: partitions.PartitionTable | None = None
    file_system: str | None = None
    content: str = ''
    findings: tuple[Finding, ...] = ()

    @property
    def image_type(self) -> str | None:
        """``whole-disk``, ``partition``, or None when neither shows."""
        if self.table:
            return _expectation.WHOLE_DISK
        return _expectation.PARTITION if self.file_system else None


def read(image: formats.AnyImage) -> Layout:
    """Read the partition table, or the name of the file system.

    A compressed image learns from its table how large the disk is.

    :raises ImageRefused: when the front of the disk cannot be decoded.
    """
    head = image.read(0, signatures.HEAD)
    try:
        table = (partitions.read_table(image.read, image.known_size)
                 if partitions.may_have_table(head) else None)
    except exceptions.BadContent as bad:
        return Layout(findings=(Finding(
            code=bad.code, case='gpt' if bad.fix else 'partition-table',
            expected=bad.expected, found=bad.found),))
    if table is None:
        return Layout(file_system=signatures.file_system(head),
                      content=signatures.described(head))
    if isinstance(image, compressed_raw.CompressedRawImage):
        image.state_size(_stated_size(table), table.partitions_end)
    return Layout(table=table)


def flaws(image: formats.AnyImage, table: partitions.PartitionTable
          ) -> Iterator[Finding]:
    """Warnings about a table that firmware and Linux tolerate.

    The end of the disk costs a small read, where one is possible.
    """
    if image.known_size is None or not image.source.random_access:
        return
    for flaw in partitions.flaws(image.read, image.virtual_size, table):
        yield Finding(
            code='corrupt', case=flaw.mend, expected=flaw.expected,
            found=flaw.found,
            data={'size': table.least_disk},
            severity=findings.Severity.WARNING)


def check_type(expectation: _expectation.Expectation, layout: Layout
               ) -> Iterator[Finding]:
    """Findings about the type of the image, against what was declared."""
    wanted, found = expectation.image_type, layout.image_type
    if expectation.has_kernel and found == _expectation.WHOLE_DISK:
        yield Finding(
            code='image-type-mismatch', case='kernel',
            expected='no kernel and no ramdisk', found='one of them',
            data={'image_type': found})
    elif found and wanted not in (None, found):
        yield Finding(
            code='image-type-mismatch', expected=f'a {wanted} image',
            found=f'a {found} image', data={'image_type': found})
    elif not found:
        content = ('file system' if wanted == _expectation.PARTITION
                   else 'partition table')
        yield Finding(
            code='no-partition-table', expected=f'a {content}',
            found=layout.content, data={'content': content},
            severity=expectation.content_severity)


def _stated_size(table: partitions.PartitionTable) -> int:
    """Bytes of the disk that a table was made for, as far as it tells."""
    if header := table.header:
        return max(table.partitions_end,
                   (header.other + 1) * header.sector_size)
    return table.partitions_end
