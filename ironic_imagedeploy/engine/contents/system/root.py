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

"""The root of a system on a disk, with what is mounted below it.

Sources: "The Discoverable Partitions Specification" of UAPI for the types;
for everything else the fstab of the system. Nothing is mounted in fact.
"""

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import dataclasses

from ironic_imagedeploy.engine import budget as _budget
from ironic_imagedeploy.engine.contents import fat
from ironic_imagedeploy.engine.contents import fat_files
from ironic_imagedeploy.engine.contents import filesystems
from ironic_imagedeploy.engine.contents import partitions
from ironic_imagedeploy.engine.contents import read as _read
from ironic_imagedeploy.engine.contents.system import files as _files
from ironic_imagedeploy.engine.contents.system import fstab
from ironic_imagedeploy.engine.contents.system import volumes as _volumes
from ironic_imagedeploy.engine import exceptions

#: Types of root partitions: x86-64, x86, ARM, AArch64, RISC-V, LoongArch,
#: ppc64le, s390x.
ROOT_TYPES = frozenset({
    '4f68bce3-e8cd-4db1-96e7-fbcaf984b709',
    '44479540-f297-41b2-9af7-d131d5f0458a',
    '69dad710-2ce4-4e3c-b16c-21a1d49abed3',
    'b921b045-1df0-41c3-af44-4c6f280d3fae',
    '72ec70a6-cf74-40e6-bd49-4bda08e8f224',
    '77055800-792c-4f94-b39a-98c91b762bb6',
    'c31c45e6-3f39-412e-80fb-4809c4980599',
    '5eead9a9-fe09-4a1e-a1d7-520d00531306'})
_BOOT_TYPE = 'bc13c2ff-59e6-4262-a352-b275fd6f7172'
_SYSTEM = ('etc/os-release', 'usr/lib/os-release', 'etc/fstab', 'sbin/init')
#: What tells a partition for /usr alone.
_USR = 'lib/os-release'
_USR_POINT = 'usr'
_OSTREE = 'ostree/deploy'
#: What is mounted here; the rest tells nothing of how a system starts.
_POINTS = frozenset({'boot', 'boot/efi', 'efi', 'boot/firmware', 'usr'})
_ESP_POINTS = frozenset({'boot/efi', 'efi'})
_MOST_DEPLOYMENTS = 16
#: File systems that are opened; each keeps up to 16 MiB.
_MOST_OPENED = 6
_MORE = f'file systems after the first {_MOST_OPENED}'
_MOST_SUBVOLUMES = 32
#: Steps of the budget that it takes to make sense of a file.
_READ_STEPS = 20
_BYTES_A_STEP = 16
#: Names in a partition for /boot.
_BOOT_NAMES = frozenset({'grub', 'grub2', 'loader', 'extlinux', 'syslinux'})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Root:
    """A system's files.

    :ivar volume: that the root, or else /usr, lies in.
    :ivar files: all of them by path.
    :ivar points: mount points without their slash, with the volume of each.
    :ivar table: what the fstab has.
    """

    volume: _volumes.Volume
    files: 'MountedFiles'
    points: Mapping[str, _volumes.Volume]
    table: tuple[fstab.Mount, ...] = ()


class MountedFiles:
    """Files of a root, and of what is mounted below it.

    A symbolic link does not lead from one of them into another.

    :param root: files of the root; None when only /usr is known.
    :param prefix: the folder that is the root, if not the top.
    :param mounts: others by their mount points, without the slash.
    :param budget: that the work with what is read draws from.
    """

    def __init__(self, root: _files.Files | None, prefix: str,
                 mounts: Mapping[str, _files.Files],
                 budget: _budget.Budget) -> None:
        self._root = root
        self._budget = budget
        self.draw = budget.draw
        self._prefix = f'{prefix}/' if prefix else ''
        # The deepest first.
        self._mounts = sorted(mounts.items(), reverse=True)

    @property
    def is_dirty(self) -> bool:
        """Whether changes wait in the journal of the root."""
        return self._root is not None and self._root.is_dirty

    @property
    def is_any_dirty(self) -> bool:
        """Whether they do in any of the journals."""
        return self.is_dirty or any(files.is_dirty
                                    for _, files in self._mounts)

    def list(self, path: str) -> list[str]:
        """Sorted names in a directory; none in anything else."""
        files, rest = self._at(path)
        return files.list(rest) if files else []

    def exists(self, path: str) -> bool:
        """Whether it is there, at the end of all symbolic links."""
        files, rest = self._at(path)
        return files is not None and files.exists(rest)

    def front(self, path: str, length: int) -> bytes | None:
        """Bytes at the beginning of a file; None without such a file."""
        files, rest = self._at(path)
        front = files.front(rest, length) if files else None
        self._budget.draw(_READ_STEPS + len(front or b'') // _BYTES_A_STEP)
        return front

    def pieces(self, path: str) -> Iterator[bytes]:
        """A large file in its sequence; none without such a file."""
        files, rest = self._at(path)
        for piece in files.pieces(rest) if files else ():
            self._budget.draw(_READ_STEPS)
            yield piece

    def _at(self, path: str) -> tuple[_files.Files | None, str]:
        path = path.strip('/')
        for point, files in self._mounts:
            if f'{path}/'.startswith(f'{point}/'):
                return files, path[len(point) + 1:]
        return self._root, self._prefix + path


class Finder:
    """A search for the root of a system.

    :param read: gives bytes of the disk.
    :param volumes: of the disk.
    :param budget: that the search, and all looks at files, draw from.
    :ivar unread: what cannot be read, and why.
    """

    def __init__(self, read: _read.Read, volumes: Iterable[_volumes.Volume],
                 budget: _budget.Budget) -> None:
        self._read = read
        self._volumes = tuple(volumes)
        self._budget = budget
        self._opened: dict[_volumes.Volume, _files.Files | None] = {}
        self.unread: list[str] = []

    def find(self) -> Root | None:
        """The root of the system; None without one."""
        for volume in sorted(self._volumes, key=lambda volume:
                             volume.type not in ROOT_TYPES):
            if volume.kind not in filesystems.KINDS:
                continue
            files = self._open(volume)
            if files is None:
                continue
            prefix = _deployment(files)
            if prefix or any(map(files.exists, _SYSTEM)):
                return self._mounted(volume, files, prefix)
            if files.exists(_USR):
                return self._with_usr(volume, files)
        return None

    def _mounted(self, volume: _volumes.Volume, files: _files.Files,
                 prefix: str) -> Root:
        alone = MountedFiles(files, prefix, {}, self._budget)
        table = tuple(fstab.parse(
            alone.front('etc/fstab', fstab.LIMIT) or b''))
        points = self._points(
            {mount.point.strip('/'): mount.device for mount in table},
            alone, volume)
        opened = {point: mounted for point, found in points.items()
                  if (mounted := self._open(found)) is not None}
        opened |= self._subvolumes(table)
        return Root(volume=volume, table=table, points=points,
                    files=MountedFiles(files, prefix, opened, self._budget))

    def _with_usr(self, volume: _volumes.Volume, usr: _files.Files) -> Root:
        """A system whose root has only what it makes when it starts."""
        nothing = MountedFiles(None, '', {}, self._budget)
        points = {_USR_POINT: volume, **self._points({}, nothing, volume)}
        opened = {point: mounted for point, found in points.items()
                  if (mounted := self._open(found)) is not None}
        return Root(volume=volume, points=points, files=MountedFiles(
            None, '', {**opened, _USR_POINT: usr}, self._budget))

    def _subvolumes(self, table: Iterable[fstab.Mount]
                    ) -> dict[str, _files.Files]:
        """Files of subvolumes of btrfs by their mount points."""
        opened: dict[str, _files.Files] = {}
        for mount in table:
            point = mount.point.strip('/')
            found = mount.device.find(self._volumes) if (
                point and mount.subvolume) else None
            if found is None or len(opened) == _MOST_SUBVOLUMES:
                continue
            with self._telling(found):
                files = self._open(found)
                if isinstance(files, filesystems.FileSystem) and (
                        below := files.subvolume(mount.subvolume)):
                    opened[point] = below
        return opened

    def _points(self, wanted: Mapping[str, fstab.Device],
                root: _files.Files, own: _volumes.Volume
                ) -> dict[str, _volumes.Volume]:
        """Volumes by their mount points, by the fstab, or by what is in it."""
        named = {point: volume for point, device in wanted.items()
                 if point in _POINTS
                 and (volume := device.find(self._volumes))}
        # Subvolumes of the root's own are in it.
        found = {point: volume for point, volume in named.items()
                 if volume != own}
        others = [volume for volume in self._volumes
                  if volume != own and volume not in found.values()]
        if 'boot' not in named:
            boot = next((volume for volume in others
                         if volume.type == _BOOT_TYPE), None)
            if boot is None and not root.list('boot'):
                boot = next(self._like_boot(others), None)
            if boot:
                found['boot'] = boot
                others.remove(boot)
        esp = next((volume for volume in others
                    if volume.type in partitions.ESP_TYPES), None)
        if esp and not any(volume.type in partitions.ESP_TYPES
                           for volume in found.values()):
            usual = sorted(_ESP_POINTS & {*wanted})
            found[usual[0] if usual else _esp_point(root, found)] = esp
        return found

    def _like_boot(self, volumes: Iterable[_volumes.Volume]
                   ) -> Iterator[_volumes.Volume]:
        for volume in volumes:
            if volume.kind in filesystems.KINDS:
                files = self._open(volume)
                if files and not _BOOT_NAMES.isdisjoint(files.list('')):
                    yield volume

    def _open(self, volume: _volumes.Volume) -> _files.Files | None:
        """The files of a volume; None when they cannot be read."""
        if volume not in self._opened:
            if len(self._opened) >= _MOST_OPENED:
                if _MORE not in self.unread:
                    self.unread.append(_MORE)
                return None
            self._opened[volume] = None
            with self._telling(volume):
                self._opened[volume] = _open(self._read, volume,
                                             self._budget)
        return self._opened[volume]

    @contextlib.contextmanager
    def _telling(self, volume: _volumes.Volume) -> Iterator[None]:
        """Go on without what cannot be read, and tell of it."""
        try:
            yield
        except (exceptions.BadContent, exceptions.UnreadableContent,
                exceptions.SourceNotSeekable) as reason:
            self.unread.append(f'{volume.called}: {reason}')


def _esp_point(root: _files.Files, found: Mapping[str, _volumes.Volume]
               ) -> str:
    """Mount point that systemd-gpt-auto-generator takes, or distributions."""
    if root.exists('efi'):
        return 'efi'
    if 'boot' not in found and not root.list('boot'):
        return 'boot'
    return 'boot/efi'


def _deployment(files: _files.Files) -> str:
    """The folder of the first deployment of OSTree; empty without one."""
    if not files.exists(_OSTREE):
        return ''
    for name in files.list(_OSTREE)[:_MOST_DEPLOYMENTS]:
        folder = f'{_OSTREE}/{name}/deploy'
        for each in files.list(folder)[:_MOST_DEPLOYMENTS]:
            if files.exists(f'{folder}/{each}/usr'):
                return f'{folder}/{each}'
    return ''


def _open(read: _read.Read, volume: _volumes.Volume, budget: _budget.Budget
          ) -> _files.Files | None:
    if volume.kind == 'vfat':
        return fat_files.FatFiles(fat.FatVolume(
            _read.cached(read, volume.start, volume.length), budget))
    if volume.kind in filesystems.KINDS:
        return filesystems.open_file_system(
            volume.kind, _read.joined(read, volume.segments) if volume.segments
            else _read.part(read, volume.start, volume.length),
            volume.length, budget)
    return None
