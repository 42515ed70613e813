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
bytes that are deployed (:mod:`.sources.recorded`).
"""

from collections.abc import Iterator
import contextlib
import dataclasses

from ironic_imagedeploy.engine.contents import boot_files
from ironic_imagedeploy.engine.contents import efi_programs
from ironic_imagedeploy.engine.contents import filesystems
from ironic_imagedeploy.engine.contents import gpt
from ironic_imagedeploy.engine.contents import kernels
from ironic_imagedeploy.engine.contents import partitions
from ironic_imagedeploy.engine.contents import signatures
from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine import findings as _findings
from ironic_imagedeploy.engine import formats
from ironic_imagedeploy.engine.formats import base
from ironic_imagedeploy.engine.formats import compressed_raw
from ironic_imagedeploy.engine.formats import extent_map
from ironic_imagedeploy.engine.inspection import oslo_inspector
from ironic_imagedeploy.engine.inspection import recognition
from ironic_imagedeploy.engine.inspection import result as _inspection
from ironic_imagedeploy.engine.sources import base as sources
from ironic_imagedeploy.engine.sources import recorded

Expectation = _inspection.Expectation
Finding = _findings.Finding
Inspection = _inspection.Inspection
PARTITION = _inspection.PARTITION
WHOLE_DISK = _inspection.WHOLE_DISK

#: Where a GPT header has the sector of its other copy, the disk's last one
#: (UEFI specification, "GPT Header").
_BACKUP = 32
_FROM_ORIGIN = ('Make the image again from its origin and upload the whole of '
                'it.')
#: File systems and the like, by what a person calls them.
_CALLED = {'lvm': 'an LVM physical volume', 'md': 'a member of an md array',
           'swap': 'swap space'}


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
    inspection = Inspection(source=recorded.RecordedSource(source),
                            expectation=expectation)
    inspection.findings = tuple(_judge(inspection))
    return inspection


def _judge(inspection: Inspection) -> Iterator[Finding]:
    """The steps, each of which may end the inspection."""
    yield from _check_checksum(inspection.expectation)
    if inspection.expectation.image_type in kernels.LARGEST:
        yield from _judge_boot_file(inspection)
        return
    try:
        found = list(recognition.recognise(inspection))
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


def _judge_boot_file(inspection: Inspection) -> Iterator[Finding]:
    """A kernel or an initramfs, which no disk is in."""
    expectation, size = inspection.expectation, inspection.stored_size
    head = inspection.source.read_at(0, min(signatures.HEAD, size))
    file = kernels.BootFile(expectation.image_type or '', head, size,
                            expectation.arch)
    yield from file.judge()
    inspection.format = file.format
    inspection.compression = file.compression
    inspection.kernel_version = file.version


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


def _open(inspection: Inspection) -> formats.AnyImage:
    if inspection.compression:
        return compressed_raw.CompressedRawImage(
            inspection.source, inspection.compression)
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
            inspection.table = partitions.read_table(image.read,
                                                     image.known_size)
    except exceptions.BadContent as bad:
        yield Finding(
            code=bad.code,
            message='The partition table in the image cannot be right.',
            expected=bad.expected, found=bad.found,
            fix=bad.fix or _FROM_ORIGIN)
        return
    inspection.file_system = None if inspection.table else name
    if inspection.table and isinstance(
            image, compressed_raw.CompressedRawImage):
        image.state_size(_least_size(image, inspection.table))
    if inspection.table and (esp := inspection.table.esp):
        with contextlib.suppress(exceptions.SourceNotSeekable):
            inspection.efi_programs = efi_programs.architectures(
                image.read, esp)
    yield from _check_table(inspection)
    yield from oslo_inspector.objections(
        front if inspection.compression else inspection.source.read_at(
            0, min(signatures.HEAD, inspection.stored_size)),
        image.format_name, has_table=inspection.table is not None,
        has_subclusters=image.has_subclusters)
    yield from _check_type(inspection)
    if inspection.image_type == PARTITION and (
            inspection.expectation.image_type != WHOLE_DISK):
        yield from _check_root(inspection)


def _check_table(inspection: Inspection) -> Iterator[Finding]:
    """The end of the disk costs a small read, where one is possible."""
    image, table = inspection.image, inspection.table
    assert image is not None
    if not (table and image.known_size is not None
            and inspection.source.random_access):
        return
    for flaw in partitions.flaws(image.read, image.virtual_size, table):
        yield Finding(
            code='corrupt', severity=_findings.Severity.WARNING,
            message='The partition table in the image has a flaw that '
                    'firmware and Linux tolerate.',
            expected=flaw.expected, found=flaw.found,
            fix=f'{gpt.REPAIR}.')


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
            severity=_severity(wanted))


#: How each kind is made for disks with sectors of 4096 bytes.
_LARGER = {'ext4': 'mkfs.ext4 -b 4096', 'xfs': 'mkfs.xfs -s size=4096',
           'btrfs': 'mkfs.btrfs --sectorsize 4096'}


def _check_root(inspection: Inspection) -> Iterator[Finding]:
    """The file system of a partition image, and how it could boot."""
    image, name = inspection.image, inspection.file_system or ''
    assert image is not None
    severity = _severity(inspection.expectation.image_type)
    if name not in filesystems.KINDS:
        yield Finding(
            code='file-system-unsupported',
            severity=(_findings.Severity.ERROR
                      if name in signatures.READ_ONLY else severity),
            message='No system can be deployed from this file system.',
            expected='ext4, xfs or btrfs',
            found=_CALLED.get(name, name),
            fix='Build the partition image with one of these file systems.')
        return
    try:
        files = filesystems.open_file_system(
            name, image.read, image.known_size)
        inspection.boot_files = boot_files.boot_files(files)
    except exceptions.BadContent as bad:
        yield Finding(
            code=bad.code, message='No kernel would mount the file system.',
            expected=bad.expected, found=bad.found, fix=_FROM_ORIGIN,
            # A magic number alone makes no file system of other content.
            severity=(severity if bad.code == 'corrupt'
                      else _findings.Severity.ERROR))
    except (exceptions.UnreadableContent,
            exceptions.SourceNotSeekable) as reason:
        yield _unknown_bootloader(name, str(reason))
    else:
        yield from _check_unit(inspection, files)
        yield from _check_features(inspection, files)
        yield from _check_boot_files(inspection, files)


def _check_unit(inspection: Inspection, files: filesystems.FileSystem
                ) -> Iterator[Finding]:
    sectors = inspection.expectation.sector_size
    if sectors and files.unit < sectors:
        yield Finding(
            code='sector-size',
            message='No kernel would mount the file system from this disk.',
            expected=f'blocks of {sectors} bytes or more, as the sectors of '
                     'the disk are',
            found=f'{_article(files.kind)} file system that counts in '
                  f'{files.unit} bytes',
            fix=f'Build the image with larger ones: {_LARGER[files.kind]}')


def _check_features(inspection: Inspection, files: filesystems.FileSystem
                    ) -> Iterator[Finding]:
    if name := files.beyond_grub:
        yield Finding(
            code='file-system-unsupported',
            severity=_severity(inspection.expectation.image_type),
            message='grub2 does not read the file system.',
            expected=f'{files.kind} without {name}', found=f'with {name}',
            fix='Build the partition image without this feature: '
                f'mkfs.{files.kind} -O ^{name}')


def _check_boot_files(inspection: Inspection, files: filesystems.FileSystem
                      ) -> Iterator[Finding]:
    boot = inspection.boot_files
    assert boot is not None
    if not files.is_dirty and boot.kernel is boot.in_boot:
        inspection.has_kernel = boot.kernel
    if boot.kernel or inspection.expectation.has_kernel:
        return
    if files.is_dirty:
        yield _unknown_bootloader(files.kind, 'changes that wait in its '
                                  'journal, as it was not unmounted')
        return
    yield Finding(
        code='no-bootloader',
        message='A disk with this partition image could not boot.',
        expected='grub2 in it, and a kernel as /boot/vmlinuz-VERSION or in '
                 '/boot/loader/entries',
        found='grub2, but no such kernel' if boot.grub else 'none of them',
        fix='Install them in the image (diskimage-builder: the elements '
            'baremetal and grub2), or give it a kernel and an initramfs: '
            'kernel and ramdisk of the node, or kernel_id and ramdisk_id of '
            'the image.',
        severity=_severity(inspection.expectation.image_type))


def _unknown_bootloader(name: str, reason: str) -> Finding:
    return Finding(
        code='bootloader-unknown', severity=_findings.Severity.WARNING,
        message='Whether the partition image has a boot loader and a kernel '
                'cannot be told.',
        expected=f'{_article(name)} file system that can be looked into',
        found=reason,
        fix='Unmount or check the file system before it becomes an image, '
            'and upload it without compression; if a kernel is in its /boot, '
            'ignore this.')


def _article(name: str) -> str:
    return f'{"an" if name[0] in "aeiox" else "a"} {name}'


def _severity(declared: str | None) -> _findings.Severity:
    """Without a declared type there is nothing that it contradicts."""
    return (_findings.Severity.ERROR if declared
            else _findings.Severity.WARNING)


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
    elif node.arch and programs and efi_programs.canonical(
            node.arch) not in programs:
        yield Finding(
            code='arch-mismatch',
            message='The boot programs of the image are for another '
                    'processor.',
            expected=efi_programs.canonical(node.arch),
            found=' and '.join(sorted(programs)),
            fix='Use an image for the processor of the node, or correct '
                'its property cpu_arch.')
