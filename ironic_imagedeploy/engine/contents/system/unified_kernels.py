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

Sources: "Unified Kernel Image (UKI)" of UAPI, and systemd-stub(7) for the
addons beside it. Of a program with several profiles it is the first one.
"""

from collections.abc import Iterable
from collections.abc import Iterator
import dataclasses
import re
import typing

from ironic_imagedeploy.engine.contents import efi_programs
from ironic_imagedeploy.engine.contents import kernels
from ironic_imagedeploy.engine.contents import pe
from ironic_imagedeploy.engine.contents.system import files as _files
from ironic_imagedeploy.engine import exceptions

#: Programs that are looked at; bytes at the front of each, where ukify puts
#: the sections with text; and bytes of one of these.
_MOST = 4
_FRONT = 1 << 20
_TEXT = 8192
_KERNEL = 32 << 10
_FOLDER, _FALLBACK = 'efi/linux', 'efi/boot'
#: Another partition for them, by the Boot Loader Specification.
_BOOT, _BOOT_FOLDER = 'boot', 'EFI/Linux'
#: Addons of all kernels of a partition, of one, and the names that they have.
_COMMON, _OWN, _ADDON = 'loader/addons', '{}.extra.d', '.addon.efi'
_MOST_ADDONS = 16
#: Bytes at the front of an addon, where its text is.
_ADDON_FRONT = 128 << 10
#: Tries that are left, in a name: no part of that of a folder.
_TRIES = re.compile(r'\+\d+(?:-\d+)?(?=\.|$)', re.ASCII)


@dataclasses.dataclass(frozen=True, kw_only=True)
class UnifiedKernel:
    """A unified kernel.

    :ivar path: in the root, without the first slash: hostile text, as all.
    :ivar arch: the processor; None when it does not tell.
    :ivar version: as of ``uname -r``; empty when it does not tell.
    :ivar options: kernel options, with those of addons; None when they cannot
        be read.
    :ivar initramfs: where it is in the program, and its bytes; None without,
        and where addons have more of it.
    :ivar is_signed: it has a signature that secure boot could verify; None
        when it is not a program.
    :ivar unsigned_addons: paths of those that secure boot passes over.
    """

    path: str
    arch: str | None = None
    version: str = ''
    options: str | None = None
    initramfs: tuple[int, int] | None = None
    is_signed: bool | None = None
    unsigned_addons: tuple[str, ...] = ()


class _Addon(typing.NamedTuple):
    """Front of an addon, and the sections in it."""

    path: str
    front: bytes
    sections: dict[str, pe.Section]


class _Program(typing.NamedTuple):
    """A program that may be one.

    :ivar point: mount point of its partition.
    :ivar path: in the root.
    """

    point: str
    path: str


def read(files: _files.Files, esps: Iterable[str]
         ) -> tuple[UnifiedKernel, ...]:
    """Unified kernels of a root, by their names.

    :param esps: mount points of EFI system partitions.
    """
    found = [_kernel(files, program) for program in _programs(files, esps)]
    # Where nothing else is, firmware starts one itself.
    return tuple(found) or tuple(
        kernel for program in _in_folder(files, esps, _FALLBACK)
        if (kernel := _kernel(files, program)).options is not None)


def _programs(files: _files.Files, esps: Iterable[str]) -> list[_Program]:
    others = [] if _BOOT in esps else _in_folder(files, [_BOOT], _BOOT_FOLDER)
    return [*_in_folder(files, esps, _FOLDER), *others][:_MOST]


def _in_folder(files: _files.Files, points: Iterable[str], folder: str
               ) -> list[_Program]:
    return [_Program(point, f'{point}/{folder}/{name}') for point in points
            for name in reversed(files.list(f'{point}/{folder}'))
            if name.lower().endswith('.efi')][:_MOST]


def _kernel(files: _files.Files, program: _Program) -> UnifiedKernel:
    front = files.front(program.path, _FRONT) or b''
    found = _sections(front)
    if '.linux' not in found:
        return UnifiedKernel(path=program.path)
    place = found['.linux'].start
    header = kernels.kernel(front[place:place + _KERNEL])
    named = _text(found.get('.uname'), front) or ''
    initramfs = found.get('.initrd')
    options = [_text(found.get('.cmdline'), front)]
    unsigned = []
    for addon in _addons(files, program, named):
        options.append(_text(addon.sections.get('.cmdline'), addon.front))
        if '.initrd' in addon.sections:
            initramfs = None
        if not pe.is_signed(addon.front):
            unsigned.append(addon.path)
    return UnifiedKernel(
        path=program.path, arch=efi_programs.architecture(front) or (
            header.arch if header else None),
        version=named.split(' ')[0] or (
            header.version if header else None) or '',
        options=None if None in options else ' '.join(
            filter(None, options)),
        initramfs=initramfs and (initramfs.start, initramfs.length),
        is_signed=pe.is_signed(front), unsigned_addons=tuple(unsigned))


def _addons(files: _files.Files, program: _Program, version: str
            ) -> Iterator[_Addon]:
    """Addons of a kernel, in their order.

    :param version: of the kernel, which those for another one differ in.
    """
    folder, _, name = program.path.rpartition('/')
    for place in (f'{program.point}/{_COMMON}',
                  f'{folder}/{_OWN.format(_TRIES.sub("", name, 1))}'):
        names = [name for name in files.list(place)
                 if name.lower().endswith(_ADDON)]
        if len(names) > _MOST_ADDONS:
            raise exceptions.UnreadableContent(
                f'more than {_MOST_ADDONS} addons of unified kernels')
        for name in names:
            front = files.front(f'{place}/{name}', _ADDON_FRONT) or b''
            sections = _sections(front)
            wanted = _text(sections.get('.uname'), front)
            if '.linux' not in sections and (
                    not version or wanted in ('', version)):
                yield _Addon(f'{place}/{name}', front, sections)


def _sections(front: bytes) -> dict[str, pe.Section]:
    """The first section of each name."""
    found: dict[str, pe.Section] = {}
    for section in pe.sections(front):
        found.setdefault(section.name, section)
    return found


def _text(section: pe.Section | None, front: bytes) -> str | None:
    """The text in a section, empty without; None where it is far away."""
    if section is None:
        return ''
    length = min(section.length, _TEXT)
    text = front[section.start:section.start + length]
    return (text.partition(b'\0')[0].decode('utf-8', 'replace').strip()
            if len(text) == length else None)
