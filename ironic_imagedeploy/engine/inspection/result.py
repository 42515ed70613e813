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

"""Result of an inspection."""

from collections.abc import Set
import dataclasses
import typing

from ironic_imagedeploy.engine.contents import boot_files as _boot_files
from ironic_imagedeploy.engine.contents import kernels
from ironic_imagedeploy.engine.contents import partitions
from ironic_imagedeploy.engine.contents.system import contents as _contents
from ironic_imagedeploy.engine.contents.system import record
from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine import findings as _findings
from ironic_imagedeploy.engine import formats
from ironic_imagedeploy.engine.inspection.checks import node
from ironic_imagedeploy.engine.inspection import expectation as _expectation
from ironic_imagedeploy.engine.inspection import oslo_inspector
from ironic_imagedeploy.engine.sources import recorded

Finding = _findings.Finding


@dataclasses.dataclass(frozen=True, kw_only=True)
class Inspection:
    """Result of a look at an image. Sizes in bytes.

    :ivar format: by signature; None when it is not an image.
    :ivar compression: of the file as a whole: ``gz``, ``xz``, ``bz2`` or
        ``zstd``; of an initramfs and of a refused image also another.
    :ivar image: its reader, when it can be read.
    :ivar table: its partition table.
    :ivar file_system: name of the one that it is, without a table.
    :ivar boot_files: what that brings along; None when it cannot be told.
    :ivar efi_programs: processors that it has EFI programs for; None when
        that cannot be told.
    :ivar has_kernel: a partition image has a kernel of its own, which a boot
        menu would find; None when that cannot be told.
    :ivar kernel_version: of a kernel, where that is told.
    :ivar contents: the system in the image; None where that was not looked
        for, or nothing can be read.
    """

    source: recorded.RecordedSource
    expectation: _expectation.Expectation
    format: str | None = None
    compression: str | None = None
    image: formats.AnyImage | None = None
    table: partitions.PartitionTable | None = None
    file_system: str | None = None
    boot_files: _boot_files.BootFiles | None = None
    efi_programs: Set[str] | None = None
    has_kernel: bool | None = None
    kernel_version: str | None = None
    contents: _contents.Contents | None = None
    findings: tuple[Finding, ...] = ()

    @property
    def start_judged(self) -> bool:
        """Whether all was looked at that tells how the system starts."""
        return (self.expectation.contents and self.contents is not None
                and not self.contents.is_cut)

    @property
    def verdict(self) -> str:
        """``accept`` or ``refuse``."""
        return 'refuse' if self._errors() else 'accept'

    @property
    def declared_format(self) -> str | None:
        """The format that the metadata states."""
        return self.expectation.disk_format

    @property
    def stored_size(self) -> int:
        """Size of the file."""
        return self.source.size

    @property
    def virtual_size(self) -> int | None:
        """Size of the disk in it; None when it is not known.

        For a compressed file it is what its GPT says.
        """
        if self.image and (self.image.known_size is not None
                           or self.partition_table == 'gpt'):
            return self.image.virtual_size
        return None

    @property
    def least_disk(self) -> int:
        """Bytes that a disk must have for the partition table to be used."""
        return self.table.least_disk if self.table else 0

    @property
    def largest(self) -> int:
        """The most bytes that the disk of an accepted image may have."""
        image = self.accepted()
        if image.known_size is not None:
            return max(image.known_size, self.least_disk)
        return self.expectation.disk_size or image.largest

    @property
    def image_type(self) -> str | None:
        """``whole-disk``, ``partition``, or None when neither shows.

        ``kernel`` or ``ramdisk`` where that was expected, and is there.
        """
        if self.expectation.image_type in kernels.LARGEST:
            return self.expectation.image_type if self.format else None
        if self.table:
            return _expectation.WHOLE_DISK
        return _expectation.PARTITION if self.file_system else None

    @property
    def partition_table(self) -> str | None:
        """``gpt``, ``mbr`` or None."""
        return self.table.kind if self.table else None

    @property
    def partitions(self) -> tuple[partitions.Partition, ...]:
        """The partitions of the disk."""
        return self.table.partitions if self.table else ()

    @property
    def boot_modes(self) -> tuple[str, ...]:
        """How firmware could boot the disk: ``bios``, ``uefi``."""
        return node.boot_modes(self.table, self.efi_programs)

    @property
    def sector_size(self) -> int | None:
        """Bytes in the sectors that the partition table counts."""
        return self.table.sector_size if self.table else None

    @property
    def unchecked(self) -> tuple[str, ...]:
        """Facts that this look could not tell.

        Only the whole file can tell these, and a transfer checks them:

        ``checksum``: whether it is the stated one. ``compression``: whether
        all that is compressed can be unpacked, and is complete.
        ``disk-size``: how large the disk in it is.

        ``contents``: the system on the disk, which was to be looked at. The
        file gives its bytes in their sequence only.

        ``oslo-inspector``: the opinion of OpenStack's format inspector, which
        is not installed.
        """
        facts = []
        if self.expectation.checksum:
            facts.append('checksum')
        if self.image and self.image.has_compressed:
            facts.append('compression')
        if self.image and self.image.known_size is None and (
                self.virtual_size is None):
            facts.append('disk-size')
        if (self.expectation.contents and self.contents is None
                and self.image and self.image_type):
            facts.append('contents')
        if not oslo_inspector.PRESENT:
            facts.append('oslo-inspector')
        return tuple(facts)

    def raise_if_refused(self) -> None:
        """Stop here when the image must not be deployed.

        :raises ImageRefused: with every finding that refuses it.
        """
        if errors := self._errors():
            raise exceptions.ImageRefused(self.source.name, errors)

    def too_large(self, size: int) -> Finding | None:
        """The finding for a disk of that size, when it is too large."""
        return node.too_large(self.expectation, size)

    def misplaced(self, is_partition: bool | None) -> Finding | None:
        """The finding for an image on the other kind of target.

        :param is_partition: whether the target is one; None when it may be
            either.
        """
        return node.misplaced(self.image_type, is_partition)

    def accepted(self) -> formats.AnyImage:
        """The image, when it may be deployed.

        :raises ImageRefused: when it may not.
        :raises TypeError: for a kernel or an initramfs, which has no disk.
        """
        self.raise_if_refused()
        if self.image is None:
            raise TypeError(f'{self.source.name} is not an image of a disk')
        return self.image

    def to_dict(self) -> dict[str, typing.Any]:
        """The inspection as JSON values."""
        return {
            'verdict': self.verdict, 'format': self.format,
            'declared_format': self.declared_format,
            'compression': self.compression,
            'image_type': self.image_type,
            'virtual_size': self.virtual_size,
            'stored_size': self.stored_size,
            'partition_table': self.partition_table,
            'file_system': self.file_system,
            'boot_modes': list(self.boot_modes),
            'sector_size': self.sector_size,
            'unchecked': list(self.unchecked),
            'contents': (record.to_dict(self.contents) if self.contents
                         else None),
            'findings': [finding.to_dict() for finding in self.findings],
        }

    def _errors(self) -> list[Finding]:
        return [finding for finding in self.findings
                if finding.severity is _findings.Severity.ERROR]
