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

"""The table of file systems of an image, for the disk that it is on now.

It was written for the disk that the image was made of. A line for a device
that is not here lets the system wait, or stop, at boot (fstab(5),
systemd-fstab-generator(8)).
"""

from collections.abc import Iterator
from collections.abc import Sequence
import dataclasses
import enum
import re
import typing

#: Device, mount point, type and options, with the blanks before each; and
#: the rest of the line.
_LINE = re.compile(
    rb'(\s*)([^#\s]\S*)(\s+)(\S+)(\s+)(\S+)(?:([ \t]+)(\S+))?(.*)', re.DOTALL)
#: Mount points of an EFI system partition and of nothing else.
_ESP_MOUNTS = (b'/boot/efi', b'/efi')
_TAG = re.compile(rb'(?:UUID|LABEL|PARTUUID|PARTLABEL|ID)=')
_BY_TAG = re.compile(rb'/dev/disk/by-(uuid|label|partuuid|partlabel)/')
_QUOTED = re.compile(rb'([A-Z]+=)(["\'])(.*)\2', re.DOTALL)
#: With these nothing waits for a device.
_HARMLESS = frozenset((b'nofail', b'noauto'))
_ESP_OPTIONS = b'umask=0077,nofail'
#: Of systemd.mount(5): a line needs what these options name.
_REQUIREMENT = re.compile(rb'x-systemd\.requires(?:-mounts-for)?=(.*)',
                          re.DOTALL)
_DEVICE_UNIT = b'.device'
#: Directories that an overlay is made of; several lower ones after colons.
_LAYER = re.compile(rb'(?:lower|upper|work)dir=(.*)', re.DOTALL)
#: Mount points that others are held against; a table has a dozen.
_MOST_MOUNTS = 64


class Role(enum.StrEnum):
    """Purpose of what a line is about, where a disk has its own of these."""

    ESP = 'esp'
    SWAP = 'swap'
    ROOT = 'root'
    OTHER = ''


class Foreign(typing.NamedTuple):
    """A line for a device that is not on the disk, or that needs one.

    :ivar device: as the table names it: hostile text, as the mount point.
    :ivar blocks: a system waits for it.
    """

    device: str
    mount: str
    role: Role
    blocks: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class Disk:
    """File systems on the disk that the image is on now.

    :ivar root_uuid: of the root file system.
    :ivar root_label: of the same; empty when it has none.
    :ivar esp_uuid: of the EFI system partition, if there is one.
    :ivar swap_uuid: of the swap partition, if there is one.
    """

    root_uuid: str
    root_label: str = ''
    esp_uuid: str | None = None
    swap_uuid: str | None = None


def adapted(table: bytes, disk: Disk) -> bytes:
    """The table with no line that keeps the system from booting.

    Lines for partitions that were made for the image get these; others for
    devices that are not here, and lines that need one of those, get the option
    nofail; the root needs nothing of the kind. All else stays, byte for byte.
    An ESP gets a line where it has none.
    """
    lines = table.splitlines(keepends=True)
    changed = dict(_changed(lines, disk))
    lines = [_adapted(changed[index], disk) if index in changed else line
             for index, line in enumerate(lines)]
    if disk.esp_uuid and not any(map(_esp_mount, lines)):
        if lines and not lines[-1].endswith(b'\n'):
            lines[-1] += b'\n'
        lines.append(b'UUID=%b\t/boot/efi\tvfat\t%b\t0\t1\n' % (
            disk.esp_uuid.encode('ascii'), _ESP_OPTIONS))
    return b''.join(lines)


def foreign(table: bytes, disk: Disk) -> Iterator[Foreign]:
    """Lines for devices of the disk that the image was made of.

    :param disk: the one that the image is on; of it counts the root.
    """
    for _, match in _changed(table.splitlines(), disk):
        yield Foreign(match[2].decode('utf-8', 'replace'),
                      match[4].decode('utf-8', 'replace'), _role(match),
                      not _HARMLESS & set(_options(match)))


def esp_mounts(table: bytes) -> Iterator[str]:
    """Paths in the image that a table mounts an ESP at."""
    for line in table.splitlines():
        if mount := _esp_mount(line):
            yield mount[1:].decode('ascii')


def _esp_mount(line: bytes) -> bytes | None:
    match = _LINE.fullmatch(line)
    mount = match[4].rstrip(b'/') if match else None
    return mount if mount in _ESP_MOUNTS else None


def _changed(lines: Sequence[bytes], disk: Disk
             ) -> Iterator[tuple[int, re.Match[bytes]]]:
    """Indices and fields of lines for what is not here, and that need it."""
    found = {index: match for index, line in enumerate(lines)
             if (match := _LINE.fullmatch(line))}
    changed = {index for index, match in found.items()
               if not _stays(match, disk) or any(
                   _is_foreign(name, disk) for name in _required(match))}
    mounts = [found[index][4] for index in sorted(changed)
              if not (disk.esp_uuid and _role(found[index]) is Role.ESP)
              and _role(found[index]) not in (Role.SWAP, Role.ROOT)
              ][:_MOST_MOUNTS]
    others = {index: [path + b'/' for path in _paths(match)]
              for index, match in found.items() if index not in changed}
    for mount in mounts:
        above = mount.rstrip(b'/') + b'/'
        below = [index for index, paths in others.items() if above != b'/'
                 and any(path.startswith(above) for path in paths)]
        changed.update(below)
        for index in below:
            del others[index]
            if len(mounts) < _MOST_MOUNTS:
                mounts.append(found[index][4])
    yield from ((index, found[index]) for index in sorted(changed))


def _adapted(line: re.Match[bytes], disk: Disk) -> bytes:
    before, device, gap, mount, gap2, kind, gap3, options, rest = (
        field or b'' for field in line.groups())
    role = _role(line)
    if uuid := {Role.ESP: disk.esp_uuid, Role.SWAP: disk.swap_uuid}.get(role):
        device = b'UUID=' + uuid.encode('ascii')
    if role is Role.ROOT:
        options = b','.join(
            option for option in options.split(b',')
            if not _REQUIREMENT.fullmatch(option)) or b'defaults'
    elif not _HARMLESS & set(_options(line)):
        gap3 = gap3 or b'\t'
        options = b','.join(filter(None, (options or b'defaults', b'nofail')))
    return b''.join((before, device, gap, mount, gap2, kind, gap3, options,
                     rest))


def _stays(line: re.Match[bytes], disk: Disk) -> bool:
    """Whether a line is about the root file system, or about no device.

    The root is mounted by then: nobody waits for it.
    """
    return line[4] == b'/' or not _is_foreign(line[2], disk)


def _is_foreign(name: bytes, disk: Disk) -> bool:
    """Whether a name is that of a device which is not here."""
    tags = {b'UUID=' + disk.root_uuid.encode('ascii')}
    if disk.root_label:
        tags.add(b'LABEL=' + disk.root_label.encode())
    return (bool(_TAG.match(name)) or name.startswith(b'/dev/')
            or name.endswith(_DEVICE_UNIT)) and _tag(name) not in tags


def _options(line: re.Match[bytes]) -> list[bytes]:
    return (line[8] or b'').split(b',')


def _required(line: re.Match[bytes]) -> Iterator[bytes]:
    """Names of what the options of a line require."""
    for option in _options(line):
        if match := _REQUIREMENT.fullmatch(option):
            yield match[1]


def _paths(line: re.Match[bytes]) -> Iterator[bytes]:
    """Paths of what must be mounted for a line.

    The directory that it is mounted at is in some file system, too, and so is
    what it binds, swaps to, or lies over.
    """
    yield line[4].rstrip(b'/').rpartition(b'/')[0]
    if line[2].startswith(b'/'):
        yield line[2]
    yield from _required(line)
    for option in _options(line):
        if match := _LAYER.fullmatch(option):
            yield from match[1].split(b':')


def _role(line: re.Match[bytes]) -> Role:
    if line[6] == b'swap':
        return Role.SWAP
    if line[4] == b'/':
        return Role.ROOT
    return Role.ESP if line[4].rstrip(b'/') in _ESP_MOUNTS else Role.OTHER


def _tag(device: bytes) -> bytes:
    """The same device, as a tag without quotes where it has one."""
    device = _BY_TAG.sub(lambda match: match[1].upper() + b'=', device)
    if quoted := _QUOTED.fullmatch(device):
        return quoted[1] + quoted[3]
    return device
