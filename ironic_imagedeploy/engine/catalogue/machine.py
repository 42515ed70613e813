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

"""Codes about the checksum, and about the machine it is for."""

from collections.abc import Mapping

from ironic_imagedeploy.engine.catalogue import entry

Case = entry.Case
Entry = entry.Entry
Retry = entry.Retry
Severity = entry.Severity
Topic = entry.Topic

_BOOT_FILE = ('Use the {kind} as the distribution has it in /boot, and the '
              'whole of it.')
#: When an image that may be a disk of data is not refused.
_UNDECLARED = 'no image type is declared'

ENTRIES: Mapping[str, Entry] = {
    'checksum-missing': Entry(
        topic=Topic.CHECKSUM, meaning='Nothing states what the image must be.',
        message='Nothing states what the image must be.',
        fix='State the sha512 of the image.'),
    'checksum-weak': Entry(
        topic=Topic.CHECKSUM,
        meaning='Only an MD5 or SHA-1 checksum is stated, and the operator '
                'does not permit these.',
        message='The checksum of the image can be forged.',
        fix='State the sha512 of the image.'),
    'checksum-invalid': Entry(
        topic=Topic.CHECKSUM,
        meaning='What is stated is not a checksum, or the file with the '
                'checksums has none for the image.',
        message='The checksum of the image is not a checksum.',
        fix='State the sha512 of the image.'),
    'checksum-mismatch': Entry(
        topic=Topic.CHECKSUM,
        meaning='The image was fetched for the cache, and it is another one. '
                'Nothing of it is kept.',
        message='The checksum does not match.',
        fix='Compare with the checksum of the original; upload it again, or '
            'correct what is stated.'),

    'too-large': Entry(
        topic=Topic.MACHINE, retry=Retry.ELSEWHERE,
        meaning='The disk in the image, or the least disk that is declared '
                'for it, is larger than the disk of the machine, as far as '
                'that is known.',
        message='The image is larger than the {place}.',
        fix='Use a smaller image, or a larger {place}.',
        cases={'node': Case(message='The disk of the node is too small.'),
               'table': Case(
                   message='The partition table in the image is for a larger '
                           '{place}.')}),
    'sector-size': Entry(
        topic=Topic.MACHINE, retry=Retry.ELSEWHERE,
        meaning='The partition table in the image is made for other sectors '
                'than the disk has, or a file system counts in smaller '
                'blocks than these, so that no kernel mounts it from there.',
        message="The image's partition table counts other sectors.",
        fix='Build the image for the sector size of the disk.',
        cases={'file-system': Case(
            message='No kernel would mount the file system from this disk.',
            fix='Build the image with larger ones: {command}')}),
    'image-type-mismatch': Entry(
        topic=Topic.MACHINE,
        meaning='A whole-disk image that comes with a kernel or initramfs, '
                'or an image of the other type than declared.',
        message='The image is of the other type.',
        fix='Declare its real type, {image_type}.',
        cases={'kernel': Case(
            message='A whole-disk image comes with a kernel or initramfs, '
                    'and so would be taken for a partition image.',
            fix='Give it neither a kernel nor an initramfs.'),
            'disk': Case(
                message='A partition image on a whole disk boots nothing.',
                fix='Write it into a partition.'),
            'partition': Case(
                message='A whole-disk image in a partition boots nothing.',
                fix='Write it to the whole disk.')}),
    'no-bootloader': Entry(
        topic=Topic.MACHINE, unless=_UNDECLARED,
        meaning='A partition image without a kernel that a boot menu could '
                'name, and no kernel and initramfs beside it, or one of '
                'these alone.',
        message='A disk with this partition image could not boot.',
        fix='Install them in the image (diskimage-builder: the elements '
            'baremetal and grub2), or give a kernel and an initramfs with '
            'it.'),
    'not-a-kernel': Entry(
        topic=Topic.MACHINE,
        meaning='What is named as the kernel beside a partition image is '
                'something else.',
        message='The file is not a Linux kernel.', fix=_BOOT_FILE),
    'not-an-initramfs': Entry(
        topic=Topic.MACHINE,
        meaning='What is named as the initramfs beside a partition image is '
                'something else.',
        message='The file is not an initramfs.', fix=_BOOT_FILE),
    'boot-file-too-large': Entry(
        topic=Topic.MACHINE,
        meaning='A kernel of more than 256 MiB, or an initramfs of more than '
                '1 GiB.',
        message='No {kind} is that large.', fix=_BOOT_FILE),
    'kernel-options-unsafe': Entry(
        topic=Topic.MACHINE,
        meaning='The kernel parameters of the node cannot be written into a '
                'boot menu.',
        message='The kernel parameters of the node cannot be written into a '
                'boot menu.',
        fix='Use letters, digits, spaces and _.,:=+/@%^~!#*?[]-'),
    'field-invalid': Entry(
        topic=Topic.MACHINE,
        meaning='A field that tells about the image or the machine is not '
                'of the kind that it must be: text, a number, a URL.',
        message='A field cannot be used.',
        fix='Correct it.'),
    'bootloader-unknown': Entry(
        topic=Topic.MACHINE, severity=Severity.WARNING,
        meaning='The file system cannot be looked into: it has a feature '
                'that is not known here, was not unmounted, is damaged, or '
                'is in a compressed file after the front that is read.',
        message='Whether the partition image has a boot loader and a kernel '
                'cannot be told.',
        fix='Unmount or check the file system before it becomes an image, '
            'and upload it without compression; if a kernel is in its /boot, '
            'ignore this.'),
    'fstab-adapted': Entry(
        topic=Topic.MACHINE, severity=Severity.WARNING,
        meaning='/etc/fstab of a partition image has lines for devices of '
                'the disk that it was made of, or lines that need these. A '
                'deployment lets those for '
                'an EFI system partition and for swap space name what the '
                'new disk has, and gives the others the option nofail, so '
                'that the system does not wait for them.',
        message='A deployment changes lines of /etc/fstab.',
        fix='Nothing, if the system works without these file systems; else '
            'make an image that has all of it in one file system, or one of '
            'the whole disk.'),
    'file-system-unsupported': Entry(
        topic=Topic.MACHINE,
        unless='no image type is declared, but for squashfs, EROFS, cramfs '
               'and romfs',
        meaning='A partition image with another file system than ext2, ext3, '
                'ext4, XFS or btrfs, or with LVM or swap space; or an ext4 '
                'that no grub2 reads (inline_data, ea_inode, casefold).',
        message='No system can be deployed from this file system.',
        fix='Build the partition image with ext4, xfs or btrfs.',
        cases={'grub': Case(
            message='grub2 does not read the file system.',
            fix='Build the partition image without this feature: '
                'mkfs.{file_system} -O ^{feature}')}),
    'grub-dependent': Entry(
        topic=Topic.MACHINE, severity=Severity.WARNING,
        meaning='The file system of a partition image has a feature that '
                'some releases of grub2 do not read (ext4: bigalloc with '
                'blocks of 1 KiB; XFS: exchange, parent, metadir). The one '
                'that a deployment installs is asked on the machine, before '
                'its disk is erased where the kernel there has FUSE.',
        message='Whether grub2 reads the file system depends on its release.',
        fix='Build the partition image without {feature}, or deploy it to '
            'see.'),
    'no-partition-table': Entry(
        topic=Topic.MACHINE, unless=_UNDECLARED,
        meaning='Neither a partition table nor a file system is in the '
                'image.',
        message='No {content} is in the image.',
        fix='Use an image of an installed system.'),
    'no-esp': Entry(
        topic=Topic.MACHINE,
        meaning='The machine boots by UEFI, and the image has no EFI system '
                'partition, or one without boot programs.',
        message='UEFI could not boot the image.',
        fix='Use an image for UEFI, or have the machine boot by BIOS.'),
    'no-bios-boot': Entry(
        topic=Topic.MACHINE,
        meaning='The machine boots by BIOS, and the image has no boot code.',
        message='BIOS could not boot the image.',
        fix='Use an image for BIOS, or have the machine boot by UEFI.'),
    'arch-mismatch': Entry(
        topic=Topic.MACHINE,
        meaning='The boot programs in the EFI system partition, or the '
                'kernel beside a partition image, are for another processor, '
                'or the image is declared to be.',
        message='The boot programs of the image are for another processor.',
        fix='Use an image for the processor of the machine, or correct what '
            'is stated about that.',
        cases={
            'kernel': Case(message='The kernel is for another processor.',
                           fix='Use a kernel for the processor of the '
                               'machine, or correct what is stated about '
                               'that.'),
            'declared': Case(message='The {kind} is declared to be for '
                                     'another processor.')}),
    'arch-unknown': Entry(
        topic=Topic.MACHINE, severity=Severity.WARNING,
        meaning='Which processor the image is for cannot be told: from its '
                'boot programs, or from its kernel.',
        message='Whether the image is for this processor cannot be told.',
        fix='Check it on a machine with this processor.'),
    'not-bootable': Entry(
        topic=Topic.MACHINE, severity=Severity.WARNING,
        meaning='Neither BIOS nor UEFI could boot the image. For a known boot '
                'mode it is refused, with no-bios-boot or no-esp.',
        message='No firmware could boot the image.',
        fix='Use an image of an installed system, unless this is a disk of '
            'data.'),
    'firmware-mismatch': Entry(
        topic=Topic.MACHINE,
        meaning='The image is declared to be for other firmware than the '
                'machine boots by.',
        message='The image is declared to be for other firmware.',
        fix='Use an image for this firmware, or correct what is declared.'),
}
