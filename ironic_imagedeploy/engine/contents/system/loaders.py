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
import re

from ironic_imagedeploy.engine.contents.system import files as _files

#: Vendors in an EFI system partition that are looked at.
_MOST = 16
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
_UNIFIED = 'efi/linux'


def read(files: _files.Files, esps: Iterable[str]) -> tuple[str, ...]:
    """Loaders: ``grub2 (BIOS)`` and the like, and paths of EFI programs.

    :param esps: mount points of EFI system partitions.
    """
    return (*_for_bios(files), *_for_efi(files, esps))


def has_fallback(files: _files.Files, esps: Iterable[str]) -> bool:
    """Whether firmware finds a program without a boot entry."""
    return any(_FALLBACK.fullmatch(name) for point in esps
               for name in files.list(f'{point}/efi/boot'))


def has_unified_kernels(files: _files.Files, esps: Iterable[str]) -> bool:
    """Whether a kernel lies in one EFI program with its options."""
    return any(files.list(f'{point}/{_UNIFIED}') for point in esps)


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
