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

"""Unified kernels: kernel, initramfs and options in one EFI program.

Sources: "Unified Kernel Image (UKI)" of UAPI for the sections, "PE Format"
for where they are. Of a program with several profiles it is the first one.
"""

from collections.abc import Iterable
from collections.abc import Iterator
import dataclasses
import struct
import typing

from ironic_imagedeploy.engine.contents import efi_programs
from ironic_imagedeploy.engine.contents import kernels
from ironic_imagedeploy.engine.contents.system import files as _files

#: Programs that are looked at; bytes at the front of each, where ukify puts
#: the sections with text; and bytes of one of these.
_MOST = 4
_FRONT = 1 << 20
_TEXT = 8192
_KERNEL = 32 << 10
_FOLDER, _FALLBACK = 'efi/linux', 'efi/boot'
#: Another partition for them, by the Boot Loader Specification.
_BOOT_FOLDER = 'boot/EFI/Linux'
#: Offsets in the header of a PE program, and its entries for sections.
_COUNT_AT, _OPTIONAL_SIZE_AT, _HEADER = 6, 20, 24
_SECTION = struct.Struct('<8sIIII16x')
_MOST_SECTIONS = 64


@dataclasses.dataclass(frozen=True, kw_only=True)
class UnifiedKernel:
    """A unified kernel.

    :ivar path: in the root, without the first slash: hostile text, as all.
    :ivar arch: the processor; None when it does not tell.
    :ivar version: as of ``uname -r``; empty when it does not tell.
    :ivar options: kernel options; None when they cannot be read.
    :ivar initramfs: where it is in the program, and its bytes; None without.
    """

    path: str
    arch: str | None = None
    version: str = ''
    options: str | None = None
    initramfs: tuple[int, int] | None = None


class _Section(typing.NamedTuple):
    """A part of a program: its first byte in the file, and its bytes."""

    start: int
    length: int

    def text(self, front: bytes) -> str | None:
        """The text in it; None where that is far away."""
        length = min(self.length, _TEXT)
        text = front[self.start:self.start + length]
        return (text.partition(b'\0')[0].decode('utf-8', 'replace').strip()
                if len(text) == length else None)


def read(files: _files.Files, esps: Iterable[str]
         ) -> tuple[UnifiedKernel, ...]:
    """Unified kernels of a root, by their names.

    :param esps: mount points of EFI system partitions.
    """
    found = [_kernel(files, path) for path in _paths(files, esps)]
    # Where nothing else is, firmware starts one itself.
    return tuple(found) or tuple(
        kernel for path in _programs(files, esps, _FALLBACK)
        if (kernel := _kernel(files, path)).options is not None)


def _paths(files: _files.Files, esps: Iterable[str]) -> list[str]:
    others = [] if 'boot' in esps else [
        f'{_BOOT_FOLDER}/{name}' for name in files.list(_BOOT_FOLDER)
        if name.endswith('.efi')]
    return [*_programs(files, esps, _FOLDER), *others][:_MOST]


def _programs(files: _files.Files, esps: Iterable[str], folder: str
              ) -> list[str]:
    return [f'{point}/{folder}/{name}' for point in esps
            for name in reversed(files.list(f'{point}/{folder}'))
            if name.lower().endswith('.efi')][:_MOST]


def _kernel(files: _files.Files, path: str) -> UnifiedKernel:
    front = files.front(path, _FRONT) or b''
    found: dict[str, _Section] = {}
    for name, section in _sections(front):
        found.setdefault(name, section)
    if '.linux' not in found:
        return UnifiedKernel(path=path)
    place = found['.linux'].start
    header = kernels.kernel(front[place:place + _KERNEL])
    named = found['.uname'].text(front) if '.uname' in found else ''
    return UnifiedKernel(
        path=path, arch=efi_programs.architecture(front) or (
            header.arch if header else None),
        version=(named or '').split(' ')[0] or (
            header.version if header else None) or '',
        # Without the section it boots with none.
        options=found['.cmdline'].text(front) if '.cmdline' in found else '',
        initramfs=found.get('.initrd'))


def _sections(front: bytes) -> Iterator[tuple[str, _Section]]:
    """Names and places of a program's sections."""
    start = int.from_bytes(front[0x3c:0x40], 'little')
    if not front.startswith(b'MZ') or front[start:start + 4] != b'PE\0\0':
        return
    count, optional = (
        int.from_bytes(front[start + at:start + at + 2], 'little')
        for at in (_COUNT_AT, _OPTIONAL_SIZE_AT))
    at = start + _HEADER + optional
    for _ in range(min(count, _MOST_SECTIONS)):
        if at + _SECTION.size > len(front):
            return
        name, length, _, stored, place = _SECTION.unpack_from(front, at)
        yield (name.rstrip(b'\0').decode('ascii', 'replace'),
               _Section(place, min(length or stored, stored)))
        at += _SECTION.size
