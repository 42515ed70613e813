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

"""Table of file systems, as far as it tells how a system starts (fstab(5))."""

from collections.abc import Iterable
from collections.abc import Iterator
import dataclasses
import re

from ironic_imagedeploy.engine.contents.system import volumes as _volumes

#: Bytes of the table, and lines of it, that are read.
LIMIT = 32 << 10
_MOST = 200
_BY_TAG = re.compile(r'/dev/disk/by-(uuid|label|partuuid|partlabel)/(.+)')
_TAG = re.compile(r'(UUID|LABEL|PARTUUID|PARTLABEL)=(.*)', re.ASCII)
_OCTAL = re.compile(r'\\([0-7]{3})')
#: Names that depend on the controller, and on the order of its disks.
_CHANGING = re.compile(
    r'/dev/(?:[hsv]d[a-z]+|xvd[a-z]+|nvme\d+n\d+|mmcblk\d+)(?:p?(\d+))?')
#: Names by the place or the serial number of a disk.
_OF_ONE_DISK = re.compile(
    r'/dev/disk/by-(?:path/|id/(?:ata|scsi|nvme|virtio|wwn|usb|mmc)-).+')
_OPTIONAL = frozenset({'noauto', 'nofail', 'x-systemd.automount'})
#: Of growpart-generator: openSUSE's.
_GROWS = 'x-growpart.grow'
_SUBVOLUME = 'subvol='


@dataclasses.dataclass(frozen=True, kw_only=True)
class Device:
    """A device as an fstab or a kernel option names it.

    :ivar name: the whole of it: hostile text.
    :ivar tag: ``uuid``, ``label``, ``partuuid`` or ``partlabel``; empty when
        it is named by none of these.
    :ivar value: of the tag.
    """

    name: str
    tag: str = ''
    value: str = ''

    @property
    def changes(self) -> bool:
        """Whether another machine may have another name for it."""
        return any(names.fullmatch(self.name)
                   for names in (_CHANGING, _OF_ONE_DISK))

    def find(self, volumes: Iterable[_volumes.Volume]
             ) -> _volumes.Volume | None:
        """The volume that is meant."""
        return next(filter(self._is, volumes), None)

    def _is(self, volume: _volumes.Volume) -> bool:
        partition = volume.partition
        match self.tag:
            case 'uuid':
                return _same(self.value, volume.uuid)
            case 'label':
                return bool(volume.label) and self.value == volume.label
            case 'partuuid':
                return bool(partition) and _same(
                    self.value, partition.uuid if partition else '')
            case 'partlabel':
                return bool(partition and self.value == partition.name)
        if self.name in volume.paths:
            return True
        match = _CHANGING.fullmatch(self.name)
        return bool(match and match[1]) and (
            volume.number == int(match[1][:4] if match else 0))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mount:
    """A line of the table.

    :ivar point: the mount point; ``none`` and the like for swap space.
    :ivar kind: of the file system.
    """

    device: Device
    point: str
    kind: str
    options: tuple[str, ...] = ()

    @property
    def is_optional(self) -> bool:
        """Whether the system starts without it."""
        return not _OPTIONAL.isdisjoint(self.options)

    @property
    def grows(self) -> bool:
        """Whether its partition becomes as large as the disk lets it."""
        return _GROWS in self.options

    @property
    def subvolume(self) -> str:
        """Path of a subvolume of btrfs; empty where the default is meant."""
        return next((option[len(_SUBVOLUME):]
                     for option in reversed(self.options)
                     if option.startswith(_SUBVOLUME)), '')


def device(name: str) -> Device:
    """The device that is named like that, in an fstab or after ``root=``."""
    if match := _TAG.fullmatch(name):
        return Device(name=name, tag=match[1].lower(),
                      value=match[2].strip('"\''))
    if match := _BY_TAG.fullmatch(name):
        return Device(name=name, tag=match[1], value=match[2])
    return Device(name=name)


def parse(stored: bytes) -> Iterator[Mount]:
    """The mounts of a table; lines that are none are left out."""
    text = stored.decode('utf-8', 'replace')
    for line in text.splitlines()[:_MOST]:
        words = [_OCTAL.sub(lambda match: chr(int(match[1], 8)), word)
                 for word in line.split()]
        if len(words) < 3 or words[0].startswith('#'):
            continue
        options = words[3].split(',') if len(words) > 3 else []
        yield Mount(device=device(words[0]), point=words[1], kind=words[2],
                    options=tuple(options))


def _same(one: str, other: str) -> bool:
    return bool(other) and one.lower() == other.lower()
