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

from collections.abc import Iterator
import dataclasses
import zlib

from ironic_imagedeploy.engine.codecs import magic
from ironic_imagedeploy.engine.contents import efi_programs
from ironic_imagedeploy.engine.contents import signatures
from ironic_imagedeploy.engine import findings as _findings

Finding = _findings.Finding
KERNEL = 'kernel'
RAMDISK = 'ramdisk'

#: Bytes of the file: several times what distributions have, and what a
#: machine has the memory for while it boots.
LARGEST = {KERNEL: 256 << 20, RAMDISK: 1 << 30}
_CALLED = {KERNEL: 'kernel', RAMDISK: 'initramfs'}
#: Bytes at the front that tell what a kernel is.
HEADER = 4096
_SECTOR = 512
#: The size counts paragraphs, and not what rounds it up.
_PARAGRAPH = 16
#: What setup_sects of 0 stands for, on kernels of the last century.
_SETUP_SECTORS = 4
_CPIO = (b'070701', b'070702')
_PACKED_INITRAMFS = {
    'gz': magic.GZIP, 'xz': magic.XZ, 'bz2': magic.BZIP2, 'zstd': magic.ZSTD,
    'lz4': magic.LZ4_LEGACY,
    'lzma': b'\x5d\0\0', 'lzo': b'\x89LZO\0\r\n'}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kernel:
    """What the header of a kernel says.

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


def kernel(front: bytes) -> Kernel | None:
    """The kernel that starts with these bytes.

    :param front: 4 KiB or more, or the whole file.
    """
    if front[0x1fe:0x200] == b'\x55\xaa' and front[0x202:0x206] == b'HdrS':
        return _x86(front)
    if front[0x38:0x3c] == b'ARM\x64':
        return Kernel(format='Image', arch='aarch64')
    if front[0x30:0x38] == b'RISCV\0\0\0' and front[0x38:0x3c] == b'RSC\x05':
        return Kernel(format='Image', arch='riscv64')
    if front[:2] == b'MZ' and front[4:8] == b'zimg':
        return Kernel(format='zboot', arch=efi_programs.architecture(front))
    return None


class BootFile:
    """A file that must be a kernel, or an initramfs.

    :param kind: ``kernel`` or ``ramdisk``.
    :param head: its first :data:`.signatures.HEAD` bytes, or all.
    :param size: bytes of the whole file.
    :param arch: the processor that it is for.
    :ivar format: that of the :class:`Kernel`, or ``cpio``; None when it is
        neither.
    :ivar compression: of the file as a whole.
    :ivar version: of a kernel, where it is told.
    """

    def __init__(self, kind: str, head: bytes, size: int,
                 arch: str | None = None) -> None:
        self._kind = kind
        self._head = head
        self._size = size
        self._arch = arch
        self.format: str | None = None
        self.compression: str | None = None
        self.version: str | None = None

    def judge(self) -> Iterator[Finding]:
        """Say what is wrong with it."""
        limit = LARGEST[self._kind]
        if self._size > limit:
            yield Finding(
                code='boot-file-too-large',
                message=f'No {_CALLED[self._kind]} is that large.',
                expected=f'{limit} bytes at most', found=f'{self._size} bytes',
                fix=_upload(self._kind))
        elif self._kind == KERNEL:
            yield from self._judge_kernel()
        else:
            yield from self._judge_initramfs()

    def _judge_kernel(self) -> Iterator[Finding]:
        front = self._head
        if front.startswith(magic.GZIP):
            # grub2 unpacks it while it loads.
            self.compression, front = 'gz', _unpacked(front)
        found = kernel(front)
        if found is None:
            yield Finding(
                code='not-a-kernel', message='The file is no Linux kernel.',
                expected='a bzImage (x86), or an Image (arm64), also by gzip '
                         'or zboot',
                found=self._description(), fix=_upload(KERNEL))
            return
        self.format, self.version = found.format, found.version
        if not self.compression and self._size < found.size:
            yield Finding(
                code='truncated', message='The kernel is not complete.',
                expected=f'{found.size} bytes or more, by its header',
                found=f'{self._size} bytes', fix=_upload(KERNEL))
        if self._arch and found.arch and not _runs(found.arch, self._arch):
            yield Finding(
                code='arch-mismatch',
                message='The kernel is for another processor.',
                expected=efi_programs.canonical(self._arch),
                found=found.arch,
                fix='Use a kernel for the processor of the node, or correct '
                    'its property cpu_arch.')

    def _judge_initramfs(self) -> Iterator[Finding]:
        if self._head.startswith(_CPIO):
            self.format = 'cpio'
            return
        for name, number in _PACKED_INITRAMFS.items():
            if self._head.startswith(number):
                self.format, self.compression = 'cpio', name
                return
        yield Finding(
            code='not-an-initramfs', message='The file is no initramfs.',
            expected='a cpio archive, as it is or compressed by '
                     + ', '.join(_PACKED_INITRAMFS),
            found=self._description(), fix=_upload(RAMDISK))

    def _description(self) -> str:
        """What else it is."""
        head = self._head
        if not head:
            return 'an empty file'
        if self.compression:
            return f'something else in {self.compression}'
        names = [each.name for each in signatures.images(head, b'')]
        name = (names[0] if names else signatures.other(head)
                or signatures.file_system(head)
                or signatures.compressed(head))
        if name:
            return f'{"an" if name[0] in "aeiouAEIOU" else "a"} {name}'
        # Its bytes may be a secret that a URL leads to: none is shown.
        return 'a file of another kind'


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


def _runs(arch: str, processor: str) -> bool:
    processor = efi_programs.canonical(processor)
    return arch == processor or (arch, processor) == ('x86_64', 'i686')


def _unpacked(head: bytes) -> bytes:
    """The front of what is in a gzip file; empty when it is damaged."""
    try:
        return zlib.decompressobj(31).decompress(head, HEADER)
    except zlib.error:
        return b''


def _upload(kind: str) -> str:
    return (f'Use the {_CALLED[kind]} as the distribution has it in /boot, '
            'and the whole of it.')
