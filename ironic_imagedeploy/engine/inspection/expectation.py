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

"""Expectation of an image."""

import dataclasses

from ironic_imagedeploy.engine import checksum as _checksum
from ironic_imagedeploy.engine import choices
from ironic_imagedeploy.engine import findings
from ironic_imagedeploy.engine.formats import compressed_raw
from ironic_imagedeploy.engine import hardware
from ironic_imagedeploy.engine import start_policy as _start_policy

WHOLE_DISK = 'whole-disk'
PARTITION = 'partition'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Expectation:
    """Properties that an image must have, by its machine too; None: any.

    :ivar disk_format: the declared format, as in Glance.
    :ivar image_type: ``whole-disk`` or ``partition``; ``kernel`` or
        ``ramdisk`` for one that comes beside a partition image.
    :ivar checksum: of the file as stored.
    :ivar permitted: formats that the operator permits.
    :ivar disk_size: bytes of the machine's disk, or of the partition for a
        partition image.
    :ivar sector_size: bytes in its sectors.
    :ivar boot_mode: ``bios`` or ``uefi``.
    :ivar arch: processor of the machine, as ``x86_64``.
    :ivar has_kernel: a kernel or initramfs is given with the image.
    :ivar kernel_version: of that kernel, as of ``uname -r``, when it is known.
    :ivar require_checksum: refuse what comes without a checksum.
    :ivar permit_weak: accept md5 and sha1.
    :ivar contents: also look at the system in the image, and how it starts;
        read an initramfs, and a kernel in gzip, to its end.
    :ivar devices: of the machine, which the kernel in it needs drivers for;
        without ``contents``, nothing else is looked at in the system.
    :ivar secure_boot: the firmware starts signed programs only.
    :ivar initramfs: read the initramfs as well, whether it has what finds the
        disk.
    :ivar raid_esp: bytes for an EFI system partition on each disk of the
        software RAID that the disk is; None when it is not one.
    :ivar start_policy: how severe the findings about that are.
    :ivar decompression_memory: bytes for the window of a file that is
        compressed as a whole.
    """

    disk_format: str | None = None
    image_type: str | None = None
    checksum: _checksum.Checksum | None = None
    permitted: tuple[str, ...] = choices.PERMITTED_FORMATS
    disk_size: int | None = None
    sector_size: int | None = None
    boot_mode: str | None = None
    arch: str | None = None
    has_kernel: bool = False
    kernel_version: str | None = None
    require_checksum: bool = False
    permit_weak: bool = True
    contents: bool = False
    devices: tuple[hardware.Device, ...] = ()
    secure_boot: bool = False
    initramfs: bool = False
    raid_esp: int | None = None
    start_policy: _start_policy.StartPolicy = _start_policy.StartPolicy()
    decompression_memory: int = compressed_raw.MEMORY

    @property
    def content_severity(self) -> findings.Severity:
        """Severity of a content that does not suit what is declared.

        Without a type, and a firmware that is to boot it, there is nothing
        that it contradicts.
        """
        return (findings.Severity.ERROR if self.image_type or self.boot_mode
                else findings.Severity.WARNING)
