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

Source: "Unified Kernel Image (UKI)" of UAPI. Of a program with several
profiles it is the first one.
"""

from collections.abc import Iterable
import dataclasses

from ironic_imagedeploy.engine.contents import efi_programs
from ironic_imagedeploy.engine.contents import kernels
from ironic_imagedeploy.engine.contents import pe
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
    found: dict[str, pe.Section] = {}
    for section in pe.sections(front):
        found.setdefault(section.name, section)
    if '.linux' not in found:
        return UnifiedKernel(path=path)
    place = found['.linux'].start
    header = kernels.kernel(front[place:place + _KERNEL])
    named = _text(found['.uname'], front) if '.uname' in found else ''
    initramfs = found.get('.initrd')
    return UnifiedKernel(
        path=path, arch=efi_programs.architecture(front) or (
            header.arch if header else None),
        version=(named or '').split(' ')[0] or (
            header.version if header else None) or '',
        # Without the section it boots with none.
        options=(_text(found['.cmdline'], front) if '.cmdline' in found
                 else ''),
        initramfs=initramfs and (initramfs.start, initramfs.length))


def _text(section: pe.Section, front: bytes) -> str | None:
    """The text in a section; None where that is far away."""
    length = min(section.length, _TEXT)
    text = front[section.start:section.start + length]
    return (text.partition(b'\0')[0].decode('utf-8', 'replace').strip()
            if len(text) == length else None)
