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

"""Kernels that are installed, and the drivers that they have."""

from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Iterator
import dataclasses
import itertools
import re
import typing

from ironic_imagedeploy.engine import budget as _budget
from ironic_imagedeploy.engine.contents import boot_entries
from ironic_imagedeploy.engine.contents import boot_files
from ironic_imagedeploy.engine.contents import initramfs
from ironic_imagedeploy.engine.contents import kernels
from ironic_imagedeploy.engine.contents import pe
from ironic_imagedeploy.engine.contents.system import config_files
from ironic_imagedeploy.engine.contents.system import files as _files
from ironic_imagedeploy.engine.contents.system import modules as _modules
from ironic_imagedeploy.engine.contents.system import unified_kernels
from ironic_imagedeploy.engine import exceptions

#: Kernels that are looked at, the newest by their names.
_MOST = 4
#: Bytes at the front of a kernel: its version is some 16 KiB away.
_FRONT = 32 << 10
_MODULES = ('usr/lib/modules', 'lib/modules')
_MODULES_LIMIT = 4 << 20
_RESCUE = '-rescue-'
#: Bytes that an initramfs is unpacked to, and steps: some seconds.
_INITRAMFS_BYTES = 1 << 30
_INITRAMFS_STEPS = 8 << 20
_INITRAMFS = ('initrd.img-{}', 'initramfs-{}.img', 'initrd-{}',
              'initrd-{}.img', 'initramfs-{}')
#: Has no drivers, whatever else an initramfs may be put together from.
_MICROCODE = re.compile('ucode|microcode')
#: Before the colon is the module, after it what it needs.
_MODULE = re.compile(
    rb'^(?:[^:\n]*/)?([^/:\n]+)\.ko(?:\.[a-z0-9]+)?(?=:|$)', re.MULTILINE)
_MOST_MODULES = 20_000


class _Named(typing.NamedTuple):
    """A kernel, as names tell of it.

    :ivar path: in the root.
    :ivar version: empty when they do not tell.
    :ivar initramfs: its path; empty without one, or when there are several.
    """

    path: str
    version: str
    initramfs: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class InstalledKernel:
    """A kernel.

    :ivar path: in the root, without the first slash: hostile text.
    :ivar version: as of ``uname -r``; empty when nothing tells.
    :ivar arch: the processor; None when its header does not tell.
    :ivar initramfs: the path of its initramfs; empty without one.
    :ivar initramfs_at: where it begins in that file, and its bytes; None when
        it is all of it.
    :ivar is_signed: it has a signature that secure boot could verify; None
        when it is not a program for UEFI.
    :ivar modules: the folder of its modules; empty without one.
    :ivar drivers: all modules and what is built in, by name; None when that
        is not told.
    :ivar built_in: of these, what is built in.
    :ivar devices: which of them drive the devices asked for; None when that
        is not told.
    """

    path: str
    version: str = ''
    arch: str | None = None
    initramfs: str = ''
    initramfs_at: tuple[int, int] | None = None
    is_signed: bool | None = None
    modules: str = ''
    drivers: frozenset[str] | None = dataclasses.field(default=None,
                                                       repr=False)
    built_in: frozenset[str] = dataclasses.field(
        default=frozenset(), repr=False)
    devices: _modules.Drivers | None = dataclasses.field(
        default=None, repr=False)


def read(files: _files.Files, devices: Collection[str] = (),
         unified: Iterable[unified_kernels.UnifiedKernel] = ()
         ) -> tuple[InstalledKernel, ...]:
    """The kernels of a root, the newest first.

    :param devices: aliases of what the newest one should have drivers for.
    :param unified: kernels in one program with their initramfs.
    """
    found = sorted(_named(files), key=_newest, reverse=True)
    installed = [_kernel(files, each) for each in found[:_MOST]]
    for each in unified:
        if each.options is not None or each.version:
            _add(installed, _unified(files, each))
    installed.sort(key=_newest, reverse=True)
    del installed[_MOST:]
    if devices and installed and installed[0].modules:
        installed[0] = dataclasses.replace(
            installed[0], devices=_modules.find(
                files, installed[0].modules, devices))
    return tuple(installed)


def versions(files: _files.Files) -> tuple[str, ...]:
    """Versions of the kernels that a root has modules for."""
    return tuple(dict.fromkeys(
        name for folder in _MODULES for name in files.list(folder)))


def lacking(files: _files.Files, kernel: InstalledKernel,
            groups: Iterable[frozenset[str]]
            ) -> tuple[frozenset[str], ...] | None:
    """Groups of names, of which the initramfs of a kernel has none.

    What is built into the kernel need not be in it.

    :param groups: modules and programs, any of each will do.
    :returns: None without an initramfs.
    :raises UnreadableContent: when it cannot be told.
    """
    wanted = [group for group in groups
              if group and group.isdisjoint(kernel.built_in)]
    if not kernel.initramfs:
        return None
    budget = _budget.Budget(bytes=_INITRAMFS_BYTES, entries=_INITRAMFS_STEPS)
    stored = files.pieces(kernel.initramfs)
    if kernel.initramfs_at:
        stored = _part(stored, *kernel.initramfs_at)
    try:
        return tuple(initramfs.lacking(stored, wanted, budget))
    except exceptions.TooComplex as reason:
        raise exceptions.UnreadableContent(str(reason)) from reason


def _part(pieces: Iterable[bytes], start: int, length: int
          ) -> Iterator[bytes]:
    """Bytes from some place on, piece by piece."""
    for piece in pieces:
        part = piece[start:start + length]
        start = max(start - len(piece), 0)
        length -= len(part)
        if part:
            yield part
        if not length:
            return


def _named(files: _files.Files) -> list[_Named]:
    """Kernels by their own names, or by who names them."""
    return (list(_in_boot(files)) or list(_in_entries(files))
            or list(_among_modules(files)))


def _in_boot(files: _files.Files) -> Iterator[_Named]:
    named = {}
    for name in files.list('boot'):
        match = boot_files.KERNEL.fullmatch(name)
        if match and _RESCUE not in name and files.exists(f'boot/{name}'):
            named[f'boot/{name}'] = match[1] or ''
    # One without a version is a link to another.
    yield from [_Named(path, version, _initramfs(files, path, version))
                for path, version in named.items()
                if version or not any(named.values())]


def _in_entries(files: _files.Files) -> Iterator[_Named]:
    """Kernels of the entries of systemd-boot."""
    seen = set[str]()
    for entry in config_files.below(files, boot_entries.FOLDERS, '.conf'):
        keys = boot_entries.keys(
            files.front(entry, boot_entries.MOST_TEXT) or b'')
        point = entry.partition('/loader/')[0]
        path = _of_entry(files, point, boot_entries.kernel(keys))
        if path and path not in seen and 'rescue' not in path:
            seen.add(path)
            rest = [name for name in boot_entries.initramfs(keys)
                    if not _MICROCODE.search(name)]
            yield _Named(path, keys.get('version', [''])[0], _of_entry(
                files, point, rest[0]) if len(rest) == 1 else '')


def _of_entry(files: _files.Files, point: str, named: str) -> str:
    """Path of a file that an entry names, counted from its partition."""
    places = [f'{point}{path}' for path in boot_entries.paths(named)[:1]]
    return next(filter(files.exists, places), '')


def _among_modules(files: _files.Files) -> Iterator[_Named]:
    for folder in _MODULES:
        for version in files.list(folder):
            path = f'{folder}/{version}/vmlinuz'
            if files.exists(path):
                yield _Named(path, version, _initramfs(files, path, version))
        if files.list(folder):
            return


def _kernel(files: _files.Files, named: _Named) -> InstalledKernel:
    front = files.front(named.path, _FRONT) or b''
    header = kernels.kernel(front)
    versions = [name for name in (header and header.version, named.version)
                if name]
    return _with_drivers(files, InstalledKernel(
        path=named.path, arch=header.arch if header else None,
        is_signed=(None if pe.machine(front) is None
                   else pe.is_signed(front)),
        initramfs=named.initramfs), versions)


def _unified(files: _files.Files, kernel: unified_kernels.UnifiedKernel
             ) -> InstalledKernel:
    return _with_drivers(files, InstalledKernel(
        path=kernel.path, arch=kernel.arch,
        initramfs=kernel.path if kernel.initramfs else '',
        initramfs_at=kernel.initramfs, is_signed=kernel.is_signed),
        [kernel.version] if kernel.version else [])


def _add(installed: list[InstalledKernel], kernel: InstalledKernel) -> None:
    """Add a kernel, unless it is there by itself, with its initramfs."""
    same = [each for each in installed if each.version == kernel.version]
    if any(each.initramfs for each in same):
        return
    for each in same:
        installed.remove(each)
    installed.append(kernel)


def _with_drivers(files: _files.Files, kernel: InstalledKernel,
                  versions: list[str]) -> InstalledKernel:
    """The kernel with what its modules tell.

    :param versions: that the kernel may have.
    """
    folders = [f'{folder}/{name}' for folder in _MODULES for name in versions]
    folder = next((folder for folder in folders if files.list(folder)), '')
    loadable, built_in = _drivers(files, folder) if folder else (None, None)
    return dataclasses.replace(
        kernel, version=versions[0] if versions else '', modules=folder,
        drivers=(None if loadable is None or built_in is None
                 else loadable | built_in),
        built_in=built_in or frozenset())


def _initramfs(files: _files.Files, path: str, version: str) -> str:
    names = [form.format(version) for form in _INITRAMFS]
    if not version:
        names = ['initrd.img', 'initrd', 'initramfs']
    folder = path.rpartition('/')[0]
    return next((f'{folder}/{name}' for name in names
                 if files.exists(f'{folder}/{name}')), '')


def _drivers(files: _files.Files, folder: str
             ) -> tuple[frozenset[str] | None, frozenset[str] | None]:
    """The modules of a kernel, and what is built in, as depmod lists them."""
    loadable, built_in = (
        _names(files.front(f'{folder}/{name}', _MODULES_LIMIT))
        for name in ('modules.dep', 'modules.builtin'))
    return loadable, built_in


def _names(listed: bytes | None) -> frozenset[str] | None:
    """Names in a list of modules; None without one that has an end."""
    if listed is None:
        return None
    names = [match[1] for match in itertools.islice(
        _MODULE.finditer(listed), _MOST_MODULES + 1)]
    return None if len(names) > _MOST_MODULES else frozenset(
        name.decode('ascii', 'replace').replace('-', '_') for name in names)


def _newest(kernel: _Named | InstalledKernel) -> list[tuple[int, str]]:
    """The order of versions: numbers as numbers."""
    return [(int(part), '') if part.isdecimal() and len(part) < 12
            else (-1, part) for part in re.split(r'(\d+)', kernel.version)]
