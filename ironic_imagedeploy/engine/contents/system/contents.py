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

"""Contents of an image: the system in it, and how that starts."""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
import dataclasses
import typing

from ironic_imagedeploy.engine import budget as _budget
from ironic_imagedeploy.engine.contents import partitions
from ironic_imagedeploy.engine.contents import read as _read
from ironic_imagedeploy.engine.contents.system import default_entry
from ironic_imagedeploy.engine.contents.system import files as _files
from ironic_imagedeploy.engine.contents.system import firmware
from ironic_imagedeploy.engine.contents.system import first_boot as _first_boot
from ironic_imagedeploy.engine.contents.system import fstab
from ironic_imagedeploy.engine.contents.system import growth
from ironic_imagedeploy.engine.contents.system import installed_kernels
from ironic_imagedeploy.engine.contents.system import leftovers as _leftovers
from ironic_imagedeploy.engine.contents.system import loaders as _loaders
from ironic_imagedeploy.engine.contents.system import menus
from ironic_imagedeploy.engine.contents.system import network as _network
from ironic_imagedeploy.engine.contents.system import os_release
from ironic_imagedeploy.engine.contents.system import root as _root
from ironic_imagedeploy.engine.contents.system import unified_kernels
from ironic_imagedeploy.engine.contents.system import volumes as _volumes
from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine import hardware

_UnifiedKernel = unified_kernels.UnifiedKernel
Found = typing.TypeVar('Found')

#: What assembles a software RAID in an initramfs.
MDADM = frozenset({'mdadm'})
#: What may have a system in it that is not looked for.
_NOT_READ = {'md': 'a member of an md array',
             'luks': 'encrypted by LUKS', 'f2fs': 'an F2FS file system',
             'bcachefs': 'a bcachefs file system',
             'squashfs': 'a squashfs', 'erofs': 'an EROFS'}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Wanted:
    """Parts of a system that are looked at.

    :ivar devices: that the newest kernel should have drivers for.
    :ivar only_kernels: leave all else in the root alone.
    :ivar initramfs: read that of the newest kernel, which is large: does it
        have what finds the disk?
    :ivar raid: the disk is a software RAID.
    """

    devices: tuple[hardware.Device, ...] = ()
    only_kernels: bool = False
    initramfs: bool = False
    raid: bool = False

    def cards(self, kernel: installed_kernels.InstalledKernel
              ) -> frozenset[str]:
        """Modules of a kernel that drive the network cards."""
        known = kernel.devices.by_device if kernel.devices else {}
        return frozenset[str]().union(*(
            known.get(device.alias, ()) for device in self.devices
            if device.kind is hardware.Kind.NETWORK))

    def groups(self, kernel: installed_kernels.InstalledKernel
               ) -> list[frozenset[str]]:
        """Names, any of which the initramfs of a kernel must have."""
        known = kernel.devices.by_device if kernel.devices else {}
        found = [known[device.alias] for device in self.devices
                 if device.is_root is not False and known.get(device.alias)]
        return found + [MDADM] if self.raid else found


@dataclasses.dataclass(frozen=True, kw_only=True)
class Contents:
    """Contents of an image. What cannot be told is None.

    :ivar volumes: of the disk.
    :ivar root: the one with the root; None when no system was found.
    :ivar has_root: whether that is the root itself, and not /usr alone.
    :ivar system: the operating system.
    :ivar kernels: that are installed, the newest first.
    :ivar loaders: boot loaders.
    :ivar has_fallback: firmware without a boot entry finds a program; None
        without an EFI system partition, too.
    :ivar searches: for the menus, of grub2 for UEFI.
    :ivar kernel_search: of grub2, for the file system with the kernel.
    :ivar command_lines: kernel options of the menus.
    :ivar unified_kernels: those in one program with their initramfs.
    :ivar table: the fstab.
    :ivar first_boot: agents for the first boot.
    :ivar network: its configuration.
    :ivar leftovers: what is for one machine only.
    :ivar can_log_in: with a password or a key that is in the image.
    :ivar growth: what makes the root as large as the disk.
    :ivar module_versions: kernels that there are modules for.
    :ivar initramfs_lacks: names, any of which would do, that the initramfs of
        the newest kernel has not; None when it was not read.
    :ivar grub_reads_raid: grub2 for UEFI finds its menu on a software RAID;
        None when that was not looked for, or there is none.
    :ivar firmware_missing: files of which a network card needs one, when none
        is there.
    :ivar is_dirty: changes wait in the journal of the root.
    :ivar unread: what could not be read, and why.
    :ivar is_cut: the look ended before it came to everything.
    """

    volumes: tuple[_volumes.Volume, ...] = ()
    root: _volumes.Volume | None = None
    has_root: bool | None = None
    system: os_release.OperatingSystem | None = None
    kernels: tuple[installed_kernels.InstalledKernel, ...] | None = None
    loaders: tuple[str, ...] | None = None
    has_fallback: bool | None = None
    searches: tuple[_loaders.Search, ...] | None = None
    kernel_search: _loaders.Search | None = None
    command_lines: tuple[menus.CommandLine, ...] | None = None
    unified_kernels: tuple[_UnifiedKernel, ...] | None = None
    table: tuple[fstab.Mount, ...] | None = None
    first_boot: _first_boot.FirstBoot | None = None
    network: _network.Network | None = None
    leftovers: _leftovers.Leftovers | None = None
    can_log_in: bool | None = None
    growth: tuple[str, ...] | None = None
    module_versions: tuple[str, ...] | None = None
    initramfs_lacks: tuple[frozenset[str], ...] | None = None
    grub_reads_raid: bool | None = None
    firmware_missing: tuple[str, ...] = ()
    is_dirty: bool | None = None
    unread: tuple[str, ...] = ()
    is_cut: bool = False

    @property
    def is_usr_only(self) -> bool:
        """Whether the root is empty, and all comes from /usr."""
        return self.root is not None and self.has_root is False

    @property
    def all_options_known(self) -> bool:
        """Whether each kernel starts with options that were read."""
        return bool(self.command_lines) and all(
            kernel.options is not None
            for kernel in self.unified_kernels or ())

    @property
    def consoles(self) -> tuple[str, ...]:
        """The consoles of the first entry, as ``ttyS0,115200``."""
        lines = self.command_lines or ()
        return lines[0].values('console') if lines else ()

    @property
    def root_names(self) -> tuple[str, ...]:
        """Devices that the menus name as the root."""
        return tuple(dict.fromkeys(
            name for line in self.command_lines or ()
            for name in line.values('root')[-1:]))


def read(read_disk: _read.Read, size: int,
         table: partitions.PartitionTable | None, budget: _budget.Budget,
         wanted: Wanted | None = None) -> Contents:
    """The contents of a disk, as far as they can be read.

    :param read_disk: gives bytes of the disk.
    :param size: bytes of the disk.
    :param table: its partitions; None for a partition image.
    :param budget: that the look draws from.
    :param wanted: to be looked at; all but an initramfs by default.
    """
    found = _Look(read_disk, budget, wanted or Wanted())
    try:
        found.take(size, table)
    except (exceptions.TooComplex, exceptions.SourceNotSeekable) as reason:
        found.unread.append(f'the rest: {reason}')
        found.is_cut = True
    return found.contents()


class _Look:
    """A look at a disk, step by step, as far as it goes."""

    def __init__(self, read: _read.Read, budget: _budget.Budget,
                 wanted: Wanted) -> None:
        self._read = read
        self._wanted = wanted
        self._budget = budget
        self._values: dict[str, typing.Any] = {}
        self.unread: list[str] = []
        self.is_cut = False

    def contents(self) -> Contents:
        """Everything that was found so far."""
        return Contents(**self._values, unread=tuple(self.unread),
                        is_cut=self.is_cut)

    def take(self, size: int, table: partitions.PartitionTable | None
             ) -> None:
        """Take the steps."""
        volumes = self._values['volumes'] = (
            tuple(_volumes.find(self._read, table, self._budget)) if table
            else (_volumes.whole(self._read, size),))
        self.unread += _unread(volumes)
        if table and len(table.partitions) > _volumes.MOST:
            self.unread.append(f'partitions after the first {_volumes.MOST}')
        finder = _root.Finder(self._read, volumes, self._budget)
        root = self._tell('root', finder.find)
        self.unread += finder.unread
        if root is None:
            return
        self._values |= {'root': root.volume, 'table': root.table,
                         'has_root': root.volume not in root.points.values(),
                         'is_dirty': root.files.is_dirty}
        needed = {'kernels', 'unified_kernels',
                  *(['loaders'] if self._wanted.raid else [])}
        for name, step in self._steps(root.files, _esps(root)):
            if self._wanted.only_kernels and name not in needed:
                continue
            value = self._tell(name, step)
            if value is not None:
                self._values[name] = value
        self._take_further(root.files, _esps(root))

    def _take_further(self, files: _files.Files, esps: tuple[str, ...]
                      ) -> None:
        """Take the steps that need what others found."""
        if first_boot := self._values.get('first_boot'):
            self._values['growth'] = self._tell(
                'growth', lambda: growth.read(files, first_boot.agents))
        kernels = self._values.get('kernels')
        if kernels and (cards := self._wanted.cards(kernels[0])):
            self._values['firmware_missing'] = self._tell(
                'firmware', lambda: firmware.missing(
                    files, kernels[0].modules, cards)) or ()
        if kernels and self._wanted.initramfs:
            self._values['initramfs_lacks'] = self._tell(
                'initramfs', lambda: installed_kernels.lacking(
                    files, kernels[0], self._wanted.groups(kernels[0])))
        if self._wanted.raid and (loaders := self._values.get('loaders')):
            self._values['grub_reads_raid'] = self._tell(
                'grub2', lambda: _loaders.reads_raid(files, esps, loaders))

    def _steps(self, files: _files.Files, esps: tuple[str, ...]
               ) -> Iterator[tuple[str, Callable[[], object]]]:
        yield 'system', lambda: os_release.read(files)
        yield 'unified_kernels', lambda: unified_kernels.read(files, esps)
        yield 'command_lines', lambda: (
            *menus.read(files), *self._options_of_unified())
        yield 'first_boot', lambda: _first_boot.read(files, tuple(
            option for line in self._values.get('command_lines', ())[:1]
            for option in line.options))
        yield 'loaders', lambda: _loaders.read(files, esps)
        if esps:
            yield 'has_fallback', lambda: _loaders.has_fallback(files, esps)
            yield 'searches', lambda: _loaders.searches(
                files, esps, self._values.get('loaders', ()))
        yield 'kernel_search', lambda: default_entry.kernel_search(files)
        yield 'kernels', lambda: installed_kernels.read(
            files, [device.alias for device in self._wanted.devices],
            self._values.get('unified_kernels', ()))
        yield 'module_versions', lambda: installed_kernels.versions(files)
        yield 'network', lambda: _network.read(files)
        yield 'leftovers', lambda: _leftovers.read(files)
        yield 'can_log_in', lambda: _leftovers.can_log_in(files)

    def _options_of_unified(self) -> Iterator[menus.CommandLine]:
        """Kernel options of unified kernels."""
        for kernel in self._values.get('unified_kernels', ()):
            if kernel.options:
                yield menus.CommandLine.parse(kernel.path, kernel.options)

    def _tell(self, name: str, step: Callable[[], Found]) -> Found | None:
        try:
            return step()
        except exceptions.UnreadableContent as reason:
            self.unread.append(f'{name.replace("_", " ")}: {reason}')
            return None


def _unread(volumes: Iterable[_volumes.Volume]) -> Iterator[str]:
    """Contents of the volumes that nothing here reads."""
    for volume in volumes:
        reason = volume.unread or (
            'others are in it' if volume.type in partitions.EXTENDED
            else _NOT_READ.get(volume.kind or ''))
        if reason:
            yield f'{volume.called}: {reason}'


def _esps(root: _root.Root) -> tuple[str, ...]:
    """Mount points of EFI system partitions."""
    return tuple(point for point, volume in root.points.items()
                 if volume.type in partitions.ESP_TYPES)
