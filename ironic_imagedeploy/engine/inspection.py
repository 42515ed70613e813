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

"""What an image is, and whether it may be deployed.

It is decided from the head and the tables of the file, before a byte of a
disk is touched. Everything that was looked at is compared again with the
bytes that are deployed (:mod:`.sources.witness`).
"""

from collections.abc import Iterator
import dataclasses
import typing

from ironic_imagedeploy.engine import checksum as _checksum
from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine import findings as _findings
from ironic_imagedeploy.engine import first_opinion
from ironic_imagedeploy.engine import formats
from ironic_imagedeploy.engine.formats import base
from ironic_imagedeploy.engine import partitions
from ironic_imagedeploy.engine import signatures
from ironic_imagedeploy.engine.sources import base as sources
from ironic_imagedeploy.engine.sources import witness

Finding = _findings.Finding

WHOLE_DISK = 'whole-disk'
PARTITION = 'partition'
#: A disk has at least one sector.
_SMALLEST = 512
_CONVERT = ('Convert it and upload the result: qemu-img convert -O qcow2 '
            'OLD NEW')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Expectation:
    """What the image must be, and for which node. None: not known.

    :ivar disk_format: the declared format, as in Glance.
    :ivar image_type: ``whole-disk`` or ``partition``.
    :ivar checksum: of the file as stored.
    :ivar permitted: formats that the operator permits.
    :ivar disk_size: bytes of the node's disk.
    :ivar sector_size: bytes in its sectors.
    :ivar boot_mode: ``bios`` or ``uefi``.
    :ivar arch: processor of the node, as ``x86_64``.
    :ivar has_kernel: a kernel or initramfs is given with the image.
    :ivar require_checksum: refuse what comes without a checksum.
    :ivar permit_weak: accept md5 and sha1.
    """

    disk_format: str | None = None
    image_type: str | None = None
    checksum: _checksum.Checksum | None = None
    permitted: tuple[str, ...] = ('raw', 'qcow2')
    disk_size: int | None = None
    sector_size: int | None = None
    boot_mode: str | None = None
    arch: str | None = None
    has_kernel: bool = False
    require_checksum: bool = False
    permit_weak: bool = True


@dataclasses.dataclass(kw_only=True)
class Inspection:
    """What was found. Sizes in bytes.

    :ivar format: by signature; None when it is no image.
    :ivar image: its reader, when it can be read.
    :ivar table: its partition table.
    """

    source: witness.Witness
    expectation: Expectation
    format: str | None = None
    image: base.Image | None = None
    table: partitions.PartitionTable | None = None
    file_system: str | None = None
    findings: tuple[Finding, ...] = ()

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
        """Size of the disk in it."""
        return self.image.virtual_size if self.image else None

    @property
    def image_type(self) -> str | None:
        """``whole-disk``, ``partition``, or None when neither shows."""
        if self.table:
            return WHOLE_DISK
        return PARTITION if self.file_system else None

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
        """How firmware could boot the disk."""
        return self.table.boot_modes if self.table else ()

    @property
    def sector_size(self) -> int | None:
        """Bytes in the sectors that the partition table counts."""
        return self.table.sector_size if self.table else None

    def raise_if_refused(self) -> None:
        """Stop here when the image must not be deployed.

        :raises ImageRefused: with every finding that refuses it.
        """
        if errors := self._errors():
            raise exceptions.ImageRefused(self.source.name, errors)

    def accepted(self) -> base.Image:
        """The image, when it may be deployed.

        :raises ImageRefused: when it may not.
        """
        self.raise_if_refused()
        assert self.image is not None
        return self.image

    def to_dict(self) -> dict[str, typing.Any]:
        """The inspection as JSON values."""
        return {
            'verdict': self.verdict, 'format': self.format,
            'declared_format': self.declared_format,
            'image_type': self.image_type,
            'virtual_size': self.virtual_size,
            'stored_size': self.stored_size,
            'partition_table': self.partition_table,
            'boot_modes': list(self.boot_modes),
            'sector_size': self.sector_size,
            'findings': [finding.to_dict() for finding in self.findings],
        }

    def _errors(self) -> list[Finding]:
        return [finding for finding in self.findings
                if finding.severity is _findings.Severity.ERROR]


def inspect(source: sources.Source,
            expectation: Expectation | None = None) -> Inspection:
    """Judge an image by its head and its tables.

    :param source: the image file.
    :param expectation: what it must be; what is not stated there is taken
        from the source's own metadata.
    :raises SourceError: when the file cannot be read.
    """
    expectation = expectation or Expectation()
    expectation = dataclasses.replace(
        expectation,
        disk_format=expectation.disk_format or source.declared_format,
        checksum=expectation.checksum or source.declared_checksum)
    inspection = Inspection(source=witness.Witness(source),
                            expectation=expectation)
    inspection.findings = tuple(_judge(inspection))
    return inspection


def _judge(inspection: Inspection) -> Iterator[Finding]:
    """The steps, each of which may end the inspection."""
    yield from _check_checksum(inspection.expectation)
    found = list(_recognise(inspection))
    yield from found
    if found:
        return
    try:
        inspection.image = _open(inspection)
    except exceptions.ImageRefused as refusal:
        yield from refusal.findings
        return
    yield from inspection.image.findings
    try:
        yield from _look_inside(inspection)
    except exceptions.ImageRefused as refusal:
        yield from refusal.findings
        return
    yield from _check_node(inspection)


def _check_checksum(expectation: Expectation) -> Iterator[Finding]:
    if expectation.checksum is None:
        if expectation.require_checksum:
            yield Finding(
                code='checksum-missing',
                message='Nothing states what the image must be.',
                expected='a checksum', found='none',
                fix='Set image_os_hash_algo and image_os_hash_value, or '
                    'upload the image to Glance.')
    elif expectation.checksum.weak and not expectation.permit_weak:
        yield Finding(
            code='checksum-weak',
            message='The checksum of the image can be forged.',
            expected='sha256 or sha512', found=expectation.checksum.algorithm,
            fix='State the sha512 of the image in image_os_hash_value, with '
                'image_os_hash_algo=sha512.')


def _recognise(inspection: Inspection) -> Iterator[Finding]:
    """Find the format by signature, and hold it against what is declared."""
    source, expectation = inspection.source, inspection.expectation
    if source.size < _SMALLEST:
        yield _not_an_image(f'a file of {source.size} bytes')
        return
    head = source.read_at(0, min(signatures.HEAD, source.size))
    tail = (source.read_at(source.size - signatures.TAIL, signatures.TAIL)
            if source.random_access else b'')
    names = signatures.images(head, tail)
    names += sorted(first_opinion.formats(head).difference(names))
    if len(names) > 1:
        yield Finding(
            code='format-ambiguous',
            message='The file is several formats at once.',
            expected='the signature of one format', found=' and '.join(names),
            fix='Make the image again from its origin.')
        return
    declared = expectation.disk_format
    if not (names or _is_disk(head)) and (other := signatures.other(head)):
        yield _not_an_image(f'a {other}')
        return
    inspection.format = (names[0] if names
                         else signatures.compressed(head) or 'raw')
    if declared not in (None, inspection.format):
        yield Finding(
            code='format-mismatch',
            message='The file is of another format than declared.',
            expected=f'{declared}, as declared', found=inspection.format,
            fix='Upload it again with its real format: openstack image '
                f'create --disk-format {inspection.format} ...; or state '
                f'image_disk_format={inspection.format} for the node.')
        return
    yield from _check_support(inspection)
    if inspection.format == 'raw' and declared is None and not (
            _is_disk(head) or head[510:512] == partitions.BOOT_SIGNATURE):
        inspection.format = None
        yield _not_an_image('no known format, partition table or file system')


def _check_support(inspection: Inspection) -> Iterator[Finding]:
    name, permitted = inspection.format or '', inspection.expectation.permitted
    reader = formats.find(name)
    if reader and name in permitted:
        return
    if reader:
        yield Finding(
            code='format-not-permitted',
            message='The operator does not permit this format.',
            expected=' or '.join(permitted), found=name,
            fix=f'{_CONVERT}; or add {name} to permitted_formats of '
                '[imagedeploy].')
    else:
        yield Finding(
            code='format-unsupported',
            message='Images of this format cannot be deployed.',
            expected=' or '.join(permitted), found=name,
            fix='An installation medium is never written to a disk; use an '
                'image of an installed disk.' if name in ('iso', 'udf')
            else _CONVERT)


def _is_disk(head: bytes) -> bool:
    """Whether a GPT or a file system certainly starts there."""
    return (signatures.file_system(head) is not None
            or partitions.has_gpt(head))


def _open(inspection: Inspection) -> base.Image:
    reader = formats.find(inspection.format or '')
    assert reader is not None
    return reader(inspection.source)


def _look_inside(inspection: Inspection) -> Iterator[Finding]:
    """The partition table or file system of the disk in the image."""
    image = inspection.image
    assert image is not None
    name = signatures.file_system(image.read(0, signatures.HEAD))
    try:
        if name not in signatures.LIKE_MBR:
            inspection.table = partitions.read_table(image.read,
                                                     image.virtual_size)
    except partitions.BadTable as bad:
        yield Finding(
            code=bad.code,
            message='The partition table in the image cannot be right.',
            expected=bad.expected, found=bad.found,
            fix='Make the image again from its origin and upload the whole '
                'of it.')
        return
    inspection.file_system = None if inspection.table else name
    yield from first_opinion.objections(
        inspection.source.read_at(0, min(signatures.HEAD,
                                         inspection.stored_size)),
        image.format_name, has_table=inspection.table is not None,
        has_subclusters=image.has_subclusters)
    yield from _check_type(inspection)


def _check_type(inspection: Inspection) -> Iterator[Finding]:
    """Whole-disk or partition, against what was declared."""
    wanted, found = inspection.expectation.image_type, inspection.image_type
    if inspection.expectation.has_kernel and found == WHOLE_DISK:
        yield Finding(
            code='image-type-mismatch',
            message='A whole-disk image comes with a kernel or initramfs, '
                    'and so would be taken for a partition image.',
            expected='no kernel and no ramdisk', found='one of them',
            fix='openstack image unset --property kernel_id --property '
                'ramdisk_id IMAGE; and remove kernel and ramdisk from '
                'instance_info.')
    elif found and wanted not in (None, found):
        yield Finding(
            code='image-type-mismatch',
            message='The image is of the other type.',
            expected=f'a {wanted} image', found=f'a {found} image',
            fix=f'openstack image set --property img_type={found} IMAGE')
    elif not found:
        content = 'file system' if wanted == PARTITION else 'partition table'
        yield Finding(
            code='no-partition-table',
            message=f'No {content} is in the image.',
            expected=f'a {content}', found='neither that nor another',
            fix='Use an image of an installed system.',
            # Without a declared type there is nothing that it contradicts.
            severity=(_findings.Severity.ERROR if wanted
                      else _findings.Severity.WARNING))


def _check_node(inspection: Inspection) -> Iterator[Finding]:
    """The image against the node's disk and firmware."""
    node, image = inspection.expectation, inspection.image
    assert image is not None
    if node.disk_size is not None and image.virtual_size > node.disk_size:
        yield Finding(
            code='too-large', message='The image is larger than the disk.',
            expected=f'{node.disk_size} bytes at most',
            found=f'{image.virtual_size} bytes',
            fix='Use a smaller image, or a node with a larger disk.')
    sectors = inspection.sector_size
    if sectors and node.sector_size not in (None, sectors):
        yield Finding(
            code='sector-size',
            message="The image's partition table counts other sectors.",
            expected=f'sectors of {node.sector_size} bytes',
            found=f'a GPT for sectors of {sectors} bytes',
            fix='Build the image for the sector size of the disk.')
    if not inspection.table or node.boot_mode in (
            None, *inspection.boot_modes):
        return
    if node.boot_mode == 'uefi':
        yield Finding(
            code='no-esp', message='UEFI could not boot the image.',
            expected='an EFI system partition', found='none',
            fix='Use an image for UEFI, or set boot_mode:bios in the '
                "node's capabilities.")
    else:
        yield Finding(
            code='no-bios-boot', message='BIOS could not boot the image.',
            expected='boot code in the first sector', found='none',
            fix='Use an image for BIOS, or set boot_mode:uefi in the '
                "node's capabilities.")


def _not_an_image(found: str) -> Finding:
    return Finding(
        code='not-an-image', message='The file is no disk image.',
        expected='a disk image', found=found,
        fix='Check what was uploaded, and its address; declare the format '
            'raw only for a disk byte for byte.')
