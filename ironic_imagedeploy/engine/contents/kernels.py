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

"""Kernels and initramfs that come beside a partition image.

Sources: Linux, "The Linux/x86 Boot Protocol", "Booting AArch64 Linux", "Boot
image header in RISC-V Linux", "initramfs buffer format", and zboot-header.S
for kernels that unpack themselves under EFI.
"""

import dataclasses
import zlib

from ironic_imagedeploy.engine.codecs import magic
from ironic_imagedeploy.engine.contents import efi_programs
from ironic_imagedeploy.engine.contents import pe

KERNEL = 'kernel'
RAMDISK = 'ramdisk'

#: Bytes of the file: several times what distributions have, and what a
#: machine has the memory for while it boots.
LARGEST = {KERNEL: 256 << 20, RAMDISK: 1 << 30}
#: Bytes at the front that tell what a kernel is.
HEADER = 4096
_SECTOR = 512
#: The size counts paragraphs, and not what rounds it up.
_PARAGRAPH = 16
#: What setup_sects of 0 stands for, on kernels of the last century.
_SETUP_SECTORS = 4
_CPIO = (b'070701', b'070702')
#: Compressions of an initramfs that Linux unpacks, and how they begin.
INITRAMFS_COMPRESSIONS = {
    'gz': magic.GZIP, 'xz': magic.XZ, 'bz2': magic.BZIP2, 'zstd': magic.ZSTD,
    'lz4': magic.LZ4_LEGACY, 'lzma': b'\x5d\0\0', 'lzo': b'\x89LZO\0\r\n'}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kernel:
    """Header of a kernel.

    :ivar format: ``bzImage``, ``Image`` or ``zboot``.
    :ivar arch: the processor, as of ``uname -m``; a 32-bit kernel of x86 is
        not told from a 64-bit one, as a 64-bit processor boots both.
    :ivar size: bytes that the file has at least.
    :ivar version: as of ``uname -r``, where it is told.
    """

    format: str
    arch: str | None
    size: int = 0
    version: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Initramfs:
    """A cpio archive, or several, that Linux unpacks at its start.

    :ivar compression: of the file; None for an archive as it is.
    """

    compression: str | None = None


def kernel(front: bytes) -> Kernel | None:
    """The kernel that starts with these bytes.

    :param front: 4 KiB or more, or the whole file; also compressed by gzip.
    """
    if front.startswith(magic.GZIP):
        # grub2 unpacks it while it loads.
        front = _unpacked(front)
    if front[0x1fe:0x200] == b'\x55\xaa' and front[0x202:0x206] == b'HdrS':
        return _x86(front)
    if front[0x38:0x3c] == b'ARM\x64':
        return Kernel(format='Image', arch='aarch64',
                      size=pe.least_size(front))
    if front[0x30:0x38] == b'RISCV\0\0\0' and front[0x38:0x3c] == b'RSC\x05':
        return Kernel(format='Image', arch='riscv64',
                      size=pe.least_size(front))
    if front[:2] == b'MZ' and front[4:8] == b'zimg':
        return Kernel(format='zboot', arch=efi_programs.architecture(front),
                      size=pe.least_size(front))
    return None


def initramfs(front: bytes) -> Initramfs | None:
    """The initramfs that starts with these bytes.

    Only the first of its archives is looked at.
    """
    if front.startswith(_CPIO):
        return Initramfs()
    for name, signature in INITRAMFS_COMPRESSIONS.items():
        if front.startswith(signature):
            return Initramfs(compression=name)
    return None


def runs(arch: str, processor: str) -> bool:
    """Whether a kernel runs on a processor.

    :param arch: of the :class:`Kernel`.
    """
    processor = efi_programs.canonical(processor)
    return arch == processor or (arch, processor) == ('x86_64', 'i686')


def _unpacked(front: bytes) -> bytes:
    """The front of what is in a gzip file; empty when it is damaged."""
    try:
        return zlib.decompressobj(31).decompress(front, HEADER)
    except zlib.error:
        return b''


def _x86(front: bytes) -> Kernel:
    """The setup header of x86: offsets as in the boot protocol."""
    sectors = front[0x1f1] or _SETUP_SECTORS
    paragraphs = int.from_bytes(front[0x1f4:0x1f8], 'little')
    text = int.from_bytes(front[0x20e:0x210], 'little') + _SECTOR
    banner = front[text:].partition(b'\0')[0] if text > _SECTOR else b''
    version = banner[:256].decode('ascii', 'replace').split(' ')[0]
    return Kernel(
        format='bzImage', arch='x86_64', version=version or None,
        size=(sectors + 1) * _SECTOR + max(paragraphs - 1, 0) * _PARAGRAPH)
