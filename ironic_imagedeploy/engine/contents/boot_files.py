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

"""Files that a system's root needs to boot: grub2 and a kernel."""

from collections.abc import Iterator
import contextlib
import dataclasses
import re

from ironic_imagedeploy.engine.contents.filesystems import base
from ironic_imagedeploy.engine.contents import kernels
from ironic_imagedeploy.engine import exceptions

_GRUB_PROGRAMS = tuple(
    f'{folder}/{name}' for folder in ('usr/sbin', 'usr/bin', 'sbin')
    for name in ('grub-install', 'grub2-install'))
#: Directories of it, when they have anything in them.
_GRUB_FOLDERS = ('usr/lib/grub', 'usr/lib/grub2', 'usr/share/grub2',
                 'boot/grub', 'boot/grub2')
#: A kernel in /boot, and its version: what a boot menu is made of. vmlinux is
#: for debuggers (SUSE), grub2 boots none on x86 and ARM.
KERNEL = re.compile(r'(?:vmlinuz|Image|kernel)(?:-(.+))?')
#: Kernels whose headers are looked at.
_MOST_KERNELS = 16
#: Directory of the entries of the Boot Loader Specification.
BOOT_ENTRIES = 'boot/loader/entries'


@dataclasses.dataclass(frozen=True)
class BootFiles:
    """Boot files that a file system has.

    :ivar grub: grub2 is installed in it.
    :ivar kernel: a kernel is, which a boot menu can name: one in /boot, or in
        an entry of the boot loader.
    :ivar in_boot: a kernel is in /boot, by a name that they have there.
    :ivar archs: processors of the kernels in /boot, as of ``uname -m``; empty
        when their headers do not tell.
    """

    grub: bool
    kernel: bool
    in_boot: bool
    archs: frozenset[str] = frozenset()


def boot_files(files: base.FileSystem) -> BootFiles:
    """Look for grub2 and a kernel.

    :raises UnreadableContent: when it cannot be told.
    """
    named = [f'boot/{name}' for name in files.list('boot')
             if KERNEL.fullmatch(name) and files.exists(f'boot/{name}')]
    in_boot = bool(named)
    return BootFiles(
        grub=any(_grub(files)), in_boot=in_boot,
        archs=frozenset(_archs(files, named[-_MOST_KERNELS:])),
        kernel=in_boot or any(name.endswith('.conf')
                              for name in files.list(BOOT_ENTRIES)))


def _archs(files: base.FileSystem, paths: list[str]) -> Iterator[str]:
    for path in paths:
        with contextlib.suppress(base.Unreadable,
                                 exceptions.SourceNotSeekable):
            kernel = kernels.kernel(files.front(path, kernels.HEADER) or b'')
            if kernel and kernel.arch:
                yield kernel.arch


def _grub(files: base.FileSystem) -> Iterator[bool]:
    for path in _GRUB_PROGRAMS:
        yield files.exists(path)
    for path in _GRUB_FOLDERS:
        yield bool(files.list(path))
