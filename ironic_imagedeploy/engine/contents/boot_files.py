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

from collections.abc import Iterable
from collections.abc import Iterator
import contextlib
import dataclasses
import itertools
import re

from ironic_imagedeploy.engine.contents import boot_entries
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


@dataclasses.dataclass(frozen=True)
class BootFiles:
    """Boot files that a file system has.

    :ivar grub: grub2 is installed in it.
    :ivar kernel: a kernel is, which a boot menu can name: one in /boot, or in
        an entry of the boot loader.
    :ivar in_boot: a kernel is in /boot, by a name that they have there.
    :ivar kernels: paths of some of these.
    :ivar archs: processors of the kernels in /boot, as of ``uname -m``; empty
        when their headers do not tell.
    """

    grub: bool
    kernel: bool
    in_boot: bool
    archs: frozenset[str] = frozenset()
    kernels: tuple[str, ...] = dataclasses.field(default=(), compare=False)


def boot_files(files: base.FileSystem) -> BootFiles:
    """Look for grub2 and a kernel.

    :raises UnreadableContent: when it cannot be told.
    """
    found = tuple(itertools.islice(_kernels(files), _MOST_KERNELS))
    return BootFiles(
        grub=any(_grub(files)), in_boot=bool(found), kernels=found,
        archs=frozenset(_archs(files, found)),
        kernel=bool(found) or any(_entries(files)))


def _kernels(files: base.FileSystem) -> Iterator[str]:
    """Paths of the kernels in /boot, the last one first."""
    for name in reversed(files.list('boot')):
        if KERNEL.fullmatch(name) and boot_entries.NAME.fullmatch(name) and (
                _is_file(files, f'boot/{name}')):
            yield f'boot/{name}'


def _entries(files: base.FileSystem) -> Iterator[bool]:
    """Whether entries of a boot loader name files that are there."""
    for name in files.list(boot_entries.FOLDER):
        if not name.endswith('.conf'):
            continue
        try:
            text = files.front(f'{boot_entries.FOLDER}/{name}',
                               boot_entries.MOST_TEXT)
        except (base.Unreadable, exceptions.SourceNotSeekable):
            # It may name some.
            yield True
            continue
        keys = boot_entries.keys(text or b'')
        yield all(
            any(_is_file(files, path[1:])
                for path in boot_entries.paths(named))
            for named in (boot_entries.kernel(keys),
                          *boot_entries.initramfs(keys)))


def _is_file(files: base.FileSystem, path: str) -> bool:
    """Whether there is a file, at the end of all symbolic links."""
    try:
        return files.front(path, 1) is not None
    except (base.Unreadable, exceptions.SourceNotSeekable):
        return files.exists(path)


def _archs(files: base.FileSystem, paths: Iterable[str]) -> Iterator[str]:
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
