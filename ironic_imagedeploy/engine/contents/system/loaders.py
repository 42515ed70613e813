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

"""Boot loaders of a system, by what is there of them."""

from collections.abc import Iterable
from collections.abc import Iterator
import dataclasses
import itertools
import re

from ironic_imagedeploy.engine.contents.system import config_files
from ironic_imagedeploy.engine.contents.system import files as _files
from ironic_imagedeploy.engine.contents.system import grub_menu

#: Vendors in an EFI system partition that are looked at.
_MOST, _MOST_PROGRAMS = 16, 64
#: Programs that other programs start.
_PROGRAM = re.compile(
    r'(?:shim|grub|systemd-boot|boot|refind_|limine)[a-z]*\d*[a-z]*\d*\.efi')
_FALLBACK = re.compile(
    r'boot(?:x64|ia32|aa64|arm|riscv64|loongarch64)\.efi')
_BIOS = {'grub2': ('boot/grub/i386-pc/core.img', 'boot/grub2/i386-pc/core.img',
                   'boot/grub/i386-pc/normal.mod',
                   'boot/grub2/i386-pc/normal.mod'),
         'extlinux': ('boot/ldlinux.sys', 'boot/extlinux/ldlinux.sys',
                      'boot/syslinux/ldlinux.sys')}
_GRUB = re.compile(r'EFI/.*/grub[a-z0-9]*.efi')
#: The module of grub2 that reads metadata 1.x of mdadm, and bytes of a program
#: that has its modules in it.
_RAID = b'mdraid1x'
_PROGRAM_BYTES = 8 << 20


@dataclasses.dataclass(frozen=True, kw_only=True)
class Search:
    """Search of grub2 for the file system with its menu, or the kernel.

    :ivar path: the file that says so; for the menu, on the EFI system
        partition.
    :ivar uuids: any of which would do: hostile text.
    """

    path: str
    uuids: tuple[str, ...]


def read(files: _files.Files, esps: Iterable[str]) -> tuple[str, ...]:
    """Loaders: ``grub2 (BIOS)`` and the like, and paths of EFI programs.

    :param esps: mount points of EFI system partitions.
    """
    return (*_for_bios(files),
            *itertools.islice(_for_efi(files, esps), _MOST_PROGRAMS))


def has_fallback(files: _files.Files, esps: Iterable[str]) -> bool:
    """Whether firmware finds a program without a boot entry."""
    return any(_FALLBACK.fullmatch(name) for point in esps
               for name in files.list(f'{point}/efi/boot'))


def _for_bios(files: _files.Files) -> Iterator[str]:
    for name, paths in _BIOS.items():
        if any(map(files.exists, paths)):
            yield f'{name} (BIOS)'


def _for_efi(files: _files.Files, esps: Iterable[str]) -> Iterator[str]:
    for point in esps:
        for vendor in files.list(f'{point}/efi')[:_MOST]:
            for name in files.list(f'{point}/efi/{vendor}'):
                if _PROGRAM.fullmatch(name):
                    yield f'EFI/{vendor}/{name}'


def searches(files: _files.Files, esps: Iterable[str],
             loaders: Iterable[str]) -> tuple[Search, ...]:
    """Searches of each grub2 for UEFI, by the file beside it.

    :param loaders: that were found.
    """
    folders = dict.fromkeys(path.rpartition('/')[0] for path in loaders
                            if _GRUB.fullmatch(path))
    found = [Search(path=f'{folder}/grub.cfg', uuids=tuple(_searched(
        config_files.read(files, f'{point}/{folder}/grub.cfg'))))
        for point in esps for folder in folders]
    return tuple(search for search in found if search.uuids)


def _searched(text: str) -> Iterator[str]:
    """UUIDs that a script of grub2 looks for."""
    for line in config_files.lines(text):
        if uuid := grub_menu.searched(line.split()):
            yield config_files.unquoted(uuid)


def reads_raid(files: _files.Files, esps: Iterable[str],
               loaders: Iterable[str]) -> bool | None:
    """Whether a grub2 for UEFI has what reads a software RAID.

    :param loaders: that were found.
    :returns: None without one.
    """
    programs = [
        files.front(f'{point}/{path}', _PROGRAM_BYTES) or b''
        for path in loaders if _GRUB.fullmatch(path) for point in esps]
    known = [program for program in programs if program]
    return any(_RAID in program for program in known) if known else None
