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

"""May an image be deployed?

It is decided from the head and the tables of the file, before a byte of a
disk is touched. Everything that was looked at is compared again with the
bytes that are deployed (:mod:`.sources.witness`).
"""

from collections.abc import Generator
from collections.abc import Iterator
import contextlib
import dataclasses

from ironic_imagedeploy.engine import boot_programs
from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine import extent_map
from ironic_imagedeploy.engine import findings as _findings
from ironic_imagedeploy.engine import first_opinion
from ironic_imagedeploy.engine import formats
from ironic_imagedeploy.engine.formats import base
from ironic_imagedeploy.engine.formats import packed
from ironic_imagedeploy.engine import inspection as _inspection
from ironic_imagedeploy.engine import partitions
from ironic_imagedeploy.engine import signatures
from ironic_imagedeploy.engine.sources import base as sources
from ironic_imagedeploy.engine.sources import witness

Expectation = _inspection.Expectation
Finding = _findings.Finding
Inspection = _inspection.Inspection
PARTITION = _inspection.PARTITION
WHOLE_DISK = _inspection.WHOLE_DISK

#: A disk has at least one sector.
_SMALLEST = 512
#: More than any disk has, for those whose size is not known yet.
_ANY_SIZE = 1 << 63
#: Where a GPT header has the sector of its other copy, the disk's last one
#: (UEFI specification, "GPT Header").
_BACKUP = 32
_CONVERT = ('Convert it and upload the result: qemu-img convert -O qcow2 '
            'OLD NEW')


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
    try:
        found = list(_recognise(inspection))
        if not found:
            inspection.image = _open(inspection)
    except exceptions.ImageRefused as refusal:
        found = list(refusal.findings)
    yield from found
    if inspection.image is None:
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
    head = source.read_at(0, min(signatures.HEAD, source.size))
    tail = (source.read_at(source.size - signatures.TAIL, signatures.TAIL)
            if source.random_access and source.size >= signatures.TAIL
            else b'')
    names = _containers(head, tail)
    compression = signatures.compressed(head)
    if compression and _is_disk(head):
        names.append('raw')
    if len(names) + bool(compression) > 1:
        yield Finding(
            code='format-ambiguous',
            message='The file is several formats at once.',
            expected='the signature of one format',
            found=' and '.join(filter(None, [*names, compression])),
            fix='Make the image again from its origin.')
        return
    if compression:
        unpacked = yield from _unpack_head(inspection, compression)
        if unpacked is None:
            return
        head = unpacked
    if len(head) < _SMALLEST:
        yield _not_an_image(f'a file of {len(head)} bytes')
        return
    declared = expectation.disk_format
    if not (names or _is_disk(head)) and (other := signatures.other(head)):
        yield _not_an_image(f'a {other}')
        return
    inspection.format = names[0] if names else 'raw'
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


def _containers(head: bytes, tail: bytes) -> list[str]:
    """Names of the containers of a disk that the file could be."""
    names = signatures.images(head, tail)
    return names + sorted(first_opinion.formats(head).difference(names))


def _unpack_head(inspection: Inspection, compression: str
                 ) -> Generator[Finding, None, bytes | None]:
    """The front of the disk in a compressed file; None when refused."""
    inspection.compression = compression
    if compression in packed.supported():
        head = packed.PackedImage(inspection.source, compression).read(
            0, signatures.HEAD)
        inside = _containers(head, b'')
        if nested := signatures.compressed(head):
            inside.append(nested)
        if not inside:
            return head
        found = f'{inside[0]} in {compression}'
        inspection.format = inside[0]
    else:
        inspection.format = found = compression
    yield Finding(
        code='format-unsupported',
        message='Files that are compressed like this cannot be deployed.',
        expected='raw in ' + ' or '.join(packed.supported()), found=found,
        fix='Decompress the file before it is uploaded.')
    return None


def _check_support(inspection: Inspection) -> Iterator[Finding]:
    name, permitted = inspection.format or '', inspection.expectation.permitted
    reader = formats.find(name)
    if reader and name in permitted:
        return
    if reader:
        yield Finding(
            code='format-not-permitted',
            message='The operator does not permit this format.',
            expected=_either(permitted), found=name,
            fix=f'{_CONVERT}; or add {name} to permitted_formats of '
                '[imagedeploy].')
    else:
        yield Finding(
            code='format-unsupported',
            message='Images of this format cannot be deployed.',
            expected=_either(permitted), found=name,
            fix='An installation medium is never written to a disk; use an '
                'image of an installed disk.' if name in ('iso', 'udf')
            else _CONVERT)


def _is_disk(head: bytes) -> bool:
    """Whether a GPT or a file system certainly starts there."""
    return (signatures.file_system(head) is not None
            or partitions.has_gpt(head))


def _either(names: tuple[str, ...]) -> str:
    return ' or '.join(names) or 'no format at all'


def _open(inspection: Inspection) -> base.Image:
    if inspection.compression:
        return packed.PackedImage(inspection.source, inspection.compression)
    reader = formats.find(inspection.format or '')
    assert reader is not None
    try:
        return reader(inspection.source)
    except extent_map.TooManyExtents:
        raise exceptions.ImageRefused(inspection.source.name, [Finding(
            code='too-fragmented',
            message='The image is in too many pieces.',
            expected=f'a map of {extent_map.MOST_BYTES} bytes at most',
            found='a larger one',
            fix='Convert it with larger clusters: qemu-img convert -O qcow2 '
                '-o cluster_size=2M OLD NEW')]) from None


def _look_inside(inspection: Inspection) -> Iterator[Finding]:
    """The partition table or file system of the disk in the image."""
    image = inspection.image
    assert image is not None
    front = image.read(0, signatures.HEAD)
    name = signatures.file_system(front)
    try:
        if name not in signatures.LIKE_MBR:
            inspection.table = partitions.read_table(
                image.read,
                image.virtual_size if image.exact_size else _ANY_SIZE)
    except partitions.BadTable as bad:
        yield Finding(
            code=bad.code,
            message='The partition table in the image cannot be right.',
            expected=bad.expected, found=bad.found,
            fix='Make the image again from its origin and upload the whole '
                'of it.')
        return
    inspection.file_system = None if inspection.table else name
    if inspection.table and isinstance(image, packed.PackedImage):
        image.state_size(_least_size(image, inspection.table))
    if inspection.table and (esp := inspection.table.esp):
        with contextlib.suppress(exceptions.SourceNotSeekable):
            inspection.efi_programs = boot_programs.architectures(
                image.read, esp)
    yield from first_opinion.objections(
        front if inspection.compression else inspection.source.read_at(
            0, min(signatures.HEAD, inspection.stored_size)),
        image.format_name, has_table=inspection.table is not None,
        has_subclusters=image.has_subclusters)
    yield from _check_type(inspection)


def _least_size(image: base.Image, table: partitions.PartitionTable) -> int:
    """Bytes that the disk has at least, and exactly when made for its GPT."""
    size = max((partition.start + partition.length
                for partition in table.partitions), default=0)
    if table.sector_size:
        backup = image.read(table.sector_size + _BACKUP, 8)
        size = max(size, (int.from_bytes(backup, 'little') + 1)
                   * table.sector_size)
    return size


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
    if finding := inspection.too_large(image.virtual_size):
        yield finding
    sectors = inspection.sector_size
    if sectors and node.sector_size not in (None, sectors):
        yield Finding(
            code='sector-size',
            message="The image's partition table counts other sectors.",
            expected=f'sectors of {node.sector_size} bytes',
            found=f'a GPT for sectors of {sectors} bytes',
            fix='Build the image for the sector size of the disk.')
    if inspection.table:
        yield from _check_firmware(inspection, inspection.table)


def _check_firmware(inspection: Inspection,
                    table: partitions.PartitionTable) -> Iterator[Finding]:
    """The image against the node's boot mode and processor."""
    node, programs = inspection.expectation, inspection.efi_programs
    if node.boot_mode == 'bios' and not table.boot_code:
        yield Finding(
            code='no-bios-boot', message='BIOS could not boot the image.',
            expected='boot code in the first sector', found='none',
            fix='Use an image for BIOS, or set boot_mode:uefi in the '
                "node's capabilities.")
    if node.boot_mode != 'uefi':
        return
    if 'uefi' not in inspection.boot_modes:
        yield Finding(
            code='no-esp', message='UEFI could not boot the image.',
            expected='an EFI system partition with boot programs',
            found='one without' if table.esp else 'none',
            fix='Use an image for UEFI, or set boot_mode:bios in the '
                "node's capabilities.")
    elif node.arch and programs and boot_programs.canonical(
            node.arch) not in programs:
        yield Finding(
            code='arch-mismatch',
            message='The boot programs of the image are for another '
                    'processor.',
            expected=boot_programs.canonical(node.arch),
            found=' and '.join(sorted(programs)),
            fix='Use an image for the processor of the node, or correct '
                'its property cpu_arch.')


def _not_an_image(found: str) -> Finding:
    return Finding(
        code='not-an-image', message='The file is no disk image.',
        expected='a disk image', found=found,
        fix='Check what was uploaded, and its address; declare the format '
            'raw only for a disk byte for byte.')
